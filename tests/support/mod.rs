//! A home of its own for each test: own folders, own socket, the real binary, the real daemon.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stderr,
    reason = "each test file uses its own part of this"
)]

#[cfg(target_os = "linux")]
pub mod disk;
#[cfg(target_os = "linux")]
pub mod process;
pub mod wire;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Answer, Filter, Message, OneTask, Summary, TaskQueue, TaskView};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_wezterm-parallel");

/// Long enough for a loaded machine; a test that hits it has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a condition: its value, or a failure that says what was waited for.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        // Between two looks, not in place of one.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A home folder that nothing else knows of. Its daemon and workers end with it.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// An empty home.
    pub fn new() -> Self {
        // Short: the path of a socket may have 103 bytes on macOS.
        let folder = tempfile::Builder::new()
            .prefix("wp")
            .tempdir_in("/tmp")
            .expect("a temporary folder");
        Self { folder }
    }

    /// A home with a config file.
    pub fn with_config(config: &str) -> Self {
        let home = Self::new();
        home.configure(config);
        home
    }

    /// Writes the config file.
    pub fn configure(&self, config: &str) {
        let folder = self.path().join(".config/wezterm-parallel");
        std::fs::create_dir_all(&folder).expect("the config folder");
        std::fs::write(folder.join("config.toml"), config).expect("the config file");
    }

    /// The home folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The daemon's data folder.
    pub fn data(&self) -> PathBuf {
        self.path().join(".local/share/wezterm-parallel")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path().join("run/wezterm-parallel/daemon.sock")
    }

    /// An attempt's folder.
    pub fn attempt(&self, id: &str, attempt: u32) -> PathBuf {
        self.data().join("tasks").join(id).join(attempt.to_string())
    }

    /// The program in this home, with nothing of the caller's environment but PATH.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.command_of(PROGRAM, arguments)
    }

    /// Any program in this home.
    pub fn command_of<S: AsRef<std::ffi::OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        std::fs::create_dir_all(self.path().join("run")).expect("the runtime folder");
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env("TZ", "UTC")
            .envs(self.usual())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Most tests queue shell lines, and are about something else than what the machine carries: its processors are
    /// busy with other tests. A config that says something of its own has its way.
    fn usual(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let config = self.path().join(".config/wezterm-parallel/config.toml");
        let config = std::fs::read_to_string(config).unwrap_or_default();
        let unless = |words: &str, name, value| (!config.contains(words)).then_some((name, value));
        let usual = [
            unless("default_worker", "WEZTERM_PARALLEL_POOL_DEFAULT_WORKER", "shell"),
            unless("[admission]", "WEZTERM_PARALLEL_ADMISSION_ENABLED", "false"),
            // No test listens where another one may, or the user's own daemon.
            unless("[metrics]", "WEZTERM_PARALLEL_METRICS_LISTEN", "off"),
        ];
        usual.into_iter().flatten()
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs the program, which must succeed: its stdout.
    pub fn ok<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts the daemon in the foreground and waits until it answers.
    pub fn daemon(&self) -> Daemon<'_> {
        self.daemon_of(self.command(["daemon"]))
    }

    /// The same by a command that a test has changed.
    pub fn daemon_of(&self, mut command: Command) -> Daemon<'_> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("daemon.log"));
        let child = command
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the daemon starts");
        let daemon = Daemon { child, home: self };
        wait_for("the daemon's answer", || {
            Client::connect(&self.socket()).ok()?.ask(&Message::Info {}).ok()
        });
        daemon
    }

    /// A client of the running daemon.
    pub fn client(&self) -> Client {
        Client::connect(&self.socket()).expect("a daemon")
    }

    /// What the daemon wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default()
    }

    /// One task as it stands.
    pub fn task(&self, id: &str) -> TaskView {
        match self.client().ask(&Message::Show(OneTask { id: id.to_owned() })) {
            Ok(Answer::Task(task)) => *task,
            other => panic!("{other:?}"),
        }
    }

    /// All tasks as they stand.
    pub fn tasks(&self) -> Vec<TaskView> {
        match self.client().ask(&Message::Status(Filter::default())) {
            Ok(Answer::Status(status)) => status.tasks,
            other => panic!("{other:?}"),
        }
    }

    /// The queue in numbers.
    pub fn summary(&self) -> Summary {
        let filter = Filter {
            summary_only: true,
            ..Filter::default()
        };
        match self.client().ask(&Message::Status(filter)) {
            Ok(Answer::Status(status)) => status.summary,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until nothing is left to do. Asks for numbers only: the tasks may be many.
    pub fn wait_idle(&self) {
        const OPEN: [&str; 5] = ["queued", "running", "delayed", "blocked", "paused"];
        let begin = Instant::now();
        loop {
            let states = self.summary().states;
            let left: usize = OPEN.iter().filter_map(|state| states.get(*state)).sum();
            if left == 0 {
                return;
            }
            if begin.elapsed() > DEADLINE {
                let mut tasks = self.tasks();
                tasks.retain(|task| OPEN.contains(&task.state.as_str()));
                panic!("{left} tasks have not ended: {tasks:#?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until each of these has ended.
    pub fn wait_idle_of(&self, ids: &[String]) {
        for id in ids {
            self.wait_state(id, &["succeeded", "failed", "cancelled", "skipped", "lost"]);
        }
    }

    /// Queues a shell command.
    pub fn queue(&self, command: &str) -> String {
        self.submit(TaskQueue {
            command: Some(command.to_owned()),
            ..TaskQueue::default()
        })
    }

    /// Queues a task.
    pub fn submit(&self, task: TaskQueue) -> String {
        match self.client().ask(&Message::TaskQueue(Box::new(task))) {
            Ok(Answer::StatusUpdate(update)) => update.process_id,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a task is in one of these states.
    pub fn wait_state(&self, id: &str, states: &[&str]) -> TaskView {
        wait_for(
            &format!("task {id} to be {states:?}, is {:?}", self.task(id)),
            || Some(self.task(id)).filter(|task| states.contains(&task.state.as_str())),
        )
    }

    /// What an attempt wrote.
    pub fn output(&self, id: &str, attempt: u32) -> String {
        std::fs::read_to_string(self.attempt(id, attempt).join("output")).unwrap_or_default()
    }
}

impl Drop for Home {
    /// Ends what a test left running, so that no test leaves processes to the next one.
    fn drop(&mut self) {
        if let Ok(mut client) = Client::connect(&self.socket()) {
            let kill = wezterm_parallel::protocol::Shutdown { kill: true };
            let _ = client.ask(&Message::Shutdown(kill));
            let begin = Instant::now();
            while Client::connect(&self.socket()).is_ok() && begin.elapsed() < Duration::from_secs(15) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A running daemon; dropped, it ends gently.
pub struct Daemon<'a> {
    child: Child,
    home: &'a Home,
}

impl Daemon<'_> {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and the end of the process.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was ours");
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> std::process::ExitStatus {
        wait_for("the daemon's end", || self.child.try_wait().expect("it is ours"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            if std::thread::panicking() {
                eprintln!("--- daemon.log\n{}", self.home.log());
            }
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// A folder for folders that no sandbox opens by itself, which `/tmp` is not.
pub fn apart() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let candidates = [Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))), home];
    let usual = ["/tmp", "/var/tmp", "/dev/shm", "/private/tmp"];
    let is_apart = |path: &PathBuf| !usual.iter().any(|usual| path.starts_with(usual));
    let found = candidates.into_iter().flatten().find(is_apart);
    found.expect("the build's folder or HOME is outside of /tmp")
}

/// Everything that a program said.
pub fn shown(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
