//! A home for one test: a runtime folder, tasks, and an executor whose reports can be waited for.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc;
use wezterm_parallel::executor::{
    AttemptId, Executor, ExecutorOptions, Exit, Launch, ProcessExecutor, Report, StopPlan,
};
use wezterm_parallel_scheduler::TaskKey;

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody in these tests writes faster than the engine's own channel could be read.
const REPORTS_MAX: usize = 1024;

pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) executor: Option<ProcessExecutor>,
    reports: mpsc::Receiver<Report>,
    pub(crate) unclaimed: Vec<Report>,
    next_key: u64,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn at(folder: TempDir) -> Self {
        let (executor, reports) = start(folder.path());
        Self {
            folder,
            executor: Some(executor),
            reports,
            unclaimed: Vec::new(),
            next_key: 1,
        }
    }

    pub(crate) fn executor(&mut self) -> &mut ProcessExecutor {
        self.executor.as_mut().expect("the executor runs")
    }

    /// What the death of a daemon does to its executor.
    pub(crate) fn kill_daemon(&mut self) {
        self.executor = None;
    }

    pub(crate) fn restart_daemon(&mut self) {
        self.kill_daemon();
        let (executor, reports) = start(self.folder.path());
        self.executor = Some(executor);
        self.reports = reports;
    }

    pub(crate) fn next_id(&mut self) -> AttemptId {
        let key = TaskKey(self.next_key);
        self.next_key += 1;
        AttemptId { key, attempt: 1 }
    }

    pub(crate) fn attempt(&self, id: AttemptId) -> PathBuf {
        let path = format!("tasks/{}/{}", id.key.0, id.attempt);
        self.folder.path().join(path)
    }

    pub(crate) fn launch(&mut self, launch: Launch) -> AttemptId {
        let id = self.next_id();
        self.launch_as(id, launch);
        id
    }

    pub(crate) fn launch_as(&mut self, id: AttemptId, mut launch: Launch) {
        launch.id = id;
        launch.folder = self.attempt(id);
        if launch.cwd.as_os_str().is_empty() {
            launch.cwd = self.folder.path().to_owned();
        }
        self.executor().launch(launch).expect("it is launched");
    }

    /// The next report, whoever it is about.
    pub(crate) fn next_report(&mut self) -> Report {
        if self.unclaimed.is_empty() {
            return self.receive();
        }
        self.unclaimed.remove(0)
    }

    fn receive(&mut self) -> Report {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.reports.try_recv() {
                Ok(report) => return report,
                Err(_) if Instant::now() < deadline => pause(),
                Err(_) => panic!("no report came; unclaimed: {:?}", self.unclaimed),
            }
        }
    }

    /// The report about this attempt.
    pub(crate) fn report(&mut self, id: AttemptId) -> Report {
        if let Some(index) = self.unclaimed.iter().position(|one| id_of(one) == id) {
            return self.unclaimed.remove(index);
        }
        loop {
            let report = self.receive();
            if id_of(&report) == id {
                return report;
            }
            self.unclaimed.push(report);
        }
    }

    /// The outcome of this attempt.
    pub(crate) fn exit(&mut self, id: AttemptId) -> Exit {
        match self.report(id) {
            Report::Ended(_, exit) => exit,
            report => panic!("expected an outcome: {report:?}"),
        }
    }

    /// Asserts that nobody else is reported, not even late.
    pub(crate) fn assert_silent(&mut self) {
        // A further attempt from start to end, after which an earlier report would be here.
        let id = self.launch(shell("true"));
        assert_eq!(self.exit(id).exit_code, Some(0));
        assert!(self.unclaimed.is_empty(), "{:?}", self.unclaimed);
    }

    pub(crate) fn output(&self, id: AttemptId) -> String {
        self.read(id, "output")
    }

    pub(crate) fn read(&self, id: AttemptId, name: &str) -> String {
        let path = self.attempt(id).join(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        String::from_utf8(bytes).expect("text")
    }

    /// The first line of the output that starts with this word, without it, once it is there.
    pub(crate) fn wait_for_line(&self, id: AttemptId, word: &str) -> String {
        let path = self.attempt(id).join("output");
        let mut found = None;
        wait_until(&format!("{word} in the output"), || {
            let output = fs::read_to_string(&path).unwrap_or_default();
            let complete = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let mut lines = complete.lines();
            found = lines.find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()));
            found.is_some()
        });
        found.expect("it was found")
    }

    /// The shim's pid, once it has written it down.
    pub(crate) fn shim(&self, id: AttemptId) -> i32 {
        let path = self.attempt(id).join("shim.json");
        let mut pid = None;
        wait_until("the shim's record", || {
            let content = fs::read_to_string(&path).unwrap_or_default();
            let record: Option<serde_json::Value> = serde_json::from_str(content.trim()).ok();
            pid = record.and_then(|record| record["pid"].as_i64());
            pid.is_some()
        });
        i32::try_from(pid.expect("it was found")).expect("pids fit")
    }

    /// The launcher's pid: the holder of its lock.
    pub(crate) fn launcher(&self) -> i32 {
        let inode = {
            use std::os::unix::fs::MetadataExt;
            let lock = self.folder.path().join("launcher.lock");
            fs::metadata(lock).expect("the lock exists").ino()
        };
        let me = std::process::id().to_string();
        let mut found = None;
        wait_until("the launcher", || {
            found = processes().into_iter().find(|pid| {
                let own = status_field(*pid, "PPid:").is_some_and(|parent| parent == me);
                let link = fs::metadata(format!("/proc/{pid}/fd/1"));
                own && link.is_ok_and(|file| {
                    use std::os::unix::fs::MetadataExt;
                    file.ino() == inode
                })
            });
            found.is_some()
        });
        found.expect("it was found")
    }
}

fn start(home: &Path) -> (ProcessExecutor, mpsc::Receiver<Report>) {
    let (sender, reports) = mpsc::channel(REPORTS_MAX);
    let options = ExecutorOptions {
        runtime: home.join("run"),
        lock: home.join("launcher.lock"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_wezterm-parallel")),
    };
    let executor = ProcessExecutor::start(options, sender).expect("the executor starts");
    (executor, reports)
}

pub(crate) fn id_of(report: &Report) -> AttemptId {
    match report {
        Report::Ended(id, _) | Report::NotStarted(id, _) | Report::Lost(id, _) => *id,
    }
}

/// A launch of an argv; id, folder and, if empty, working folder are set by [`Home`].
pub(crate) fn command(argv: &[&str]) -> Launch {
    Launch {
        id: AttemptId {
            key: TaskKey(0),
            attempt: 1,
        },
        folder: PathBuf::new(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: PathBuf::new(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        stdin: None,
        stdin_open: false,
        worktree: None,
        secrets: Vec::new(),
        separate_stderr: false,
        timeout_ms: None,
        stop: plan(libc::SIGTERM, 60_000),
        output_cap_bytes: 256 << 20,
    }
}

pub(crate) fn shell(line: &str) -> Launch {
    command(&["sh", "-c", line])
}

pub(crate) fn plan(signal: i32, grace_ms: u64) -> StopPlan {
    StopPlan {
        signal,
        grace_ms,
        then: None,
    }
}

/// The same with another signal between the first one and force.
pub(crate) fn plan_in_steps(signal: i32, then: i32, grace_ms: u64) -> StopPlan {
    StopPlan {
        then: Some(then),
        ..plan(signal, grace_ms)
    }
}

/// Waits for a condition, with a deadline.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        pause();
    }
}

/// Between two looks at a condition.
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

pub(crate) fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.filter_map(pid).collect()
}

pub(crate) fn status_field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// Alive, and not merely a zombie that nobody has collected.
pub(crate) fn is_alive(pid: i32) -> bool {
    status_field(pid, "State:").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

pub(crate) fn is_stopped(pid: i32) -> bool {
    status_field(pid, "State:").is_some_and(|state| state.starts_with('T'))
}

pub(crate) fn kill(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it is there");
}

pub(crate) fn pid(text: &str) -> i32 {
    text.parse().expect("a pid")
}

/// A file system of one megabyte, as long as it lives.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a message, where this user may not mount.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        use std::io::Write;
        fs::create_dir_all(path).expect("a folder");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "small"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: only root can mount a small disk").expect("stderr");
            return None;
        }
        Some(Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let umount = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        assert!(umount.is_ok_and(|status| status.success()));
    }
}
