//! The viewer on a real terminal (a pty), with the real daemon behind it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, tcsetwinsize, LocalModes, Winsize};
use support::{shown, wait_for, Home, DEADLINE};
use wezterm_parallel::protocol::{Message, OneTask, TaskQueue};

mod support;

const TITLE: &str = "\x1b]1;";
const VARIABLE: &str = "\x1b]1337;SetUserVar=wezterm_parallel_";

/// A terminal, what it was sent, and the viewer on it.
struct Pane {
    keyboard: File,
    /// The other end: it stays open, so that its mode can be looked at after the viewer.
    terminal: File,
    screen: Arc<Mutex<Vec<u8>>>,
    viewer: Child,
}

impl Pane {
    fn open(home: &Home, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        resize(&terminal, 80);
        let viewer = home
            .command(["attach"].iter().chain(arguments))
            .env("TERM", "xterm-256color")
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal.try_clone().unwrap())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let screen = Arc::default();
        listen(keyboard.try_clone().unwrap(), Arc::clone(&screen));
        Self {
            keyboard,
            terminal,
            screen,
            viewer,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// What a person reads, without colours and without what the tab was told.
    fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.text())
            .to_string()
            .replace('\r', "")
    }

    fn wait_for(&self, text: &str) {
        let begin = Instant::now();
        while !self.plain().contains(text) && !self.text().contains(text) {
            assert!(begin.elapsed() < DEADLINE, "no {text:?} in {:?}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.viewer), signal).unwrap();
    }

    fn wait_end(&mut self) -> ExitStatus {
        wait_for("the viewer's end", || self.viewer.try_wait().unwrap())
    }

    /// Whether the terminal waits for Enter and echoes, as it did before.
    fn has_its_mode(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = self.viewer.kill();
        let _ = self.viewer.wait();
    }
}

fn resize(terminal: &File, columns: u16) {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal.as_fd(), size).unwrap();
}

fn listen(mut from: File, screen: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            screen.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
}

/// A shell line that goes on until a file is there.
fn until(file: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.01; done", file.display())
}

fn user_variable(name: &str, coded: &str) -> String {
    format!("{VARIABLE}{name}={coded}\x07")
}

#[test]
fn a_task_is_shown_to_its_end_and_held() {
    let home = Home::new();
    let _daemon = home.daemon();
    let go = home.path().join("go");
    let id = home.queue(&format!("echo begin; {}; printf half; exit 3", until(&go)));
    let mut pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("begin\n");
    assert!(!pane.has_its_mode());
    std::fs::write(&go, "").unwrap();
    pane.wait_for("Enter closes · r runs it again · q quits");
    let text = pane.plain();
    assert!(text.contains("── task 1 · priority 100 · "), "{text}");
    assert!(text.contains("half\n── task 1: exit 3 · "), "{text}");
    pane.press("\n");
    assert!(pane.wait_end().success());
    assert!(pane.has_its_mode());
}

#[test]
fn hostile_output_reaches_no_terminal() {
    let home = Home::new();
    let _daemon = home.daemon();
    let id = home.queue(
        r"printf 'a\033]52;c;ZXZpbA==\007b\033[?1049hc\033[6nd\033]1337;SetUserVar=wezterm_parallel_state=ZXZpbA==\007e\033[31mf\n\033]0;open'",
    );
    home.wait_idle();
    let pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("Enter closes");
    let text = pane.text();
    assert!(text.contains("abcde\x1b[31mf\r\n"), "{text:?}");
    for bad in ["\x1b]52", "\x1b[?1049", "\x1b[6n", "=ZXZpbA==\x07", "\x1b]0"] {
        assert!(!text.contains(bad), "{bad:?} in {text:?}");
    }
}

#[test]
fn the_tab_is_told_what_changes_and_cleared_in_the_end() {
    let home = Home::new();
    let _daemon = home.daemon();
    let go = home.path().join("go");
    let id = home.submit(TaskQueue {
        command: Some(format!("echo begin; {}", until(&go))),
        label: Some("nightly".into()),
        ..TaskQueue::default()
    });
    let mut pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("begin");
    pane.wait_for(&user_variable("state", "cnVubmluZw=="));
    std::fs::write(&go, "").unwrap();
    pane.wait_for(&user_variable("attention", "ZW5kZWQ="));
    pane.press("q");
    assert!(pane.wait_end().success());
    pane.wait_for(&user_variable("attention", ""));
    let text = pane.text();
    assert_eq!(text.matches(TITLE).count(), 2, "set once and cleared: {text:?}");
    assert!(
        text.contains("\x1b]1;1 nightly\x1b\\") && text.contains("\x1b]1;\x1b\\"),
        "{text:?}"
    );
    assert_eq!(text.matches(&user_variable("task", "MQ==")).count(), 1);

    let silent = Pane::open(&home, &["--task", &id, "--no-title"]);
    silent.wait_for("Enter closes");
    assert!(!silent.text().contains("\x1b]"), "{:?}", silent.text());
}

#[test]
fn r_runs_it_again_and_c_twice_cancels_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let once = home.path().join("once");
    let id = home.queue(&format!(
        "if [ -e {0} ]; then echo second; sleep 1000; fi; touch {0}; echo first",
        once.display()
    ));
    let mut pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("Enter closes");
    pane.press("r");
    pane.wait_for("attempt 2");
    pane.wait_for("second\n");
    pane.press("c");
    pane.wait_for("press c again within 5 s to cancel task 1");
    assert_eq!(home.task(&id).state, "running");
    take_the_time_to_answer();
    pane.press("c");
    pane.wait_for("── task 1, attempt 2: cancelled");
    assert_eq!(home.wait_state(&id, &["cancelled"]).attempts.len(), 2);
}

/// The viewer takes no answer that comes within 200 ms of the question.
fn take_the_time_to_answer() {
    std::thread::sleep(std::time::Duration::from_millis(250));
}

#[test]
fn what_is_pasted_presses_no_key() {
    let home = Home::new();
    let _daemon = home.daemon();
    let id = home.queue("echo begin; sleep 1000");
    let mut pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("\x1b[?2004h");
    pane.wait_for("begin\n");
    // With marks around it, and without.
    pane.press("\x1b[200~c\n");
    take_the_time_to_answer();
    pane.press("cq\x04\x1b[201~");
    take_the_time_to_answer();
    pane.press(&("x".repeat(256) + "cc"));
    take_the_time_to_answer();
    pane.press("cc");
    pane.wait_for("press c again");
    assert_eq!(
        pane.plain().matches("press c again").count(),
        1,
        "{}",
        pane.plain()
    );
    assert_eq!(home.task(&id).state, "running");
    // Any other key takes the question back.
    take_the_time_to_answer();
    pane.press("r");
    take_the_time_to_answer();
    pane.press("c");
    wait_for("the second question", || {
        (pane.plain().matches("press c again").count() == 2).then_some(())
    });
    assert_eq!(home.task(&id).state, "running");
    pane.press("q");
    assert!(pane.wait_end().success());
    pane.wait_for("\x1b[?2004l");
}

#[test]
fn a_slot_goes_on_from_task_to_task() {
    let home = Home::with_config("[pool]\nslots = 2\n");
    let _daemon = home.daemon();
    let go = home.path().join("go");
    let mut pane = Pane::open(&home, &["--slot", "1"]);
    pane.wait_for("slot 1 waits for the next task · q quits");
    let elsewhere = home.queue(&format!("echo elsewhere; {}", until(&go)));
    home.wait_state(&elsewhere, &["running"]);
    for n in 0..3 {
        home.queue(&format!("echo here $((40 + {n}))"));
        pane.wait_for(&format!("here 4{n}\n── task {}: succeeded", n + 2));
    }
    let text = pane.plain();
    assert_eq!(text.matches(" · priority 100 · ").count(), 3, "{text}");
    assert!(!text.contains("elsewhere"), "{text}");
    pane.wait_for("slot 1 waits for the next task · r runs 4 again");
    // Enter is for an end, and a slot has none.
    pane.press("\n");
    home.queue("echo still there");
    pane.wait_for("still there\n");
    pane.press("q");
    assert!(pane.wait_end().success());
    std::fs::write(&go, "").unwrap();
}

#[test]
fn a_slot_that_the_pool_does_not_have_is_named_and_waited_for() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let daemon = home.daemon();
    let pane = Pane::open(&home, &["--slot", "1"]);
    pane.wait_for("the pool has 1 slot, which is slot 0\nslot 1 waits for the next task · q quits");
    home.configure("[pool]\nslots = 2\n");
    let pid = rustix::process::Pid::from_raw(daemon.pid().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let go = home.path().join("go");
    home.queue(&until(&go));
    home.queue("echo in the new one");
    pane.wait_for("in the new one\n── task 2: succeeded");
    std::fs::write(&go, "").unwrap();
}

#[test]
fn a_retry_in_another_slot_is_not_shown() {
    let home = Home::with_config("[pool]\nslots = 2\n[workers.shell]\nretry_delay = \"300ms\"\n");
    let _daemon = home.daemon();
    let (go, once) = (home.path().join("go"), home.path().join("once"));
    let pane = Pane::open(&home, &["--slot", "0"]);
    pane.wait_for("slot 0 waits for the next task");
    let roaming = home.submit(TaskQueue {
        command: Some(format!(
            "if [ -e {0} ]; then echo roaming; {1}; exit 0; fi; touch {0}; exit 3",
            once.display(),
            until(&go)
        )),
        retries: Some(1),
        ..TaskQueue::default()
    });
    // The other slot is free by the time of the retry, and this one is not.
    let free = home.path().join("free");
    home.queue(&until(&free));
    home.queue(&format!("touch {}; {}", free.display(), until(&go)));
    let begun = wait_for("the retry", || {
        let task = home.task(&roaming);
        (task.attempts.len() == 2 && task.slot.is_some()).then_some(task)
    });
    std::fs::write(&go, "").unwrap();
    home.wait_idle();
    home.queue("echo last");
    pane.wait_for("last\n── task 4: succeeded");
    let text = pane.plain();
    // On a machine that is slow enough it gets its own slot back.
    let shows_it = begun.slot == Some(0);
    assert_eq!(
        text.contains("roaming\n── task 1"),
        shows_it,
        "slot {:?}: {text}",
        begun.slot
    );
    assert!(text.contains("── task 1: exit 3"), "{text}");
}

#[test]
fn a_workspace_shows_only_its_own_tasks() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let _daemon = home.daemon();
    let pane = Pane::open(&home, &["--workspace", "api"]);
    pane.wait_for("workspace api waits for the next task");
    for (workspace, words) in [("web", "one"), ("api", "two"), ("api", "three")] {
        home.submit(TaskQueue {
            command: Some(format!("echo said {words}")),
            workspace: Some(workspace.into()),
            ..TaskQueue::default()
        });
    }
    pane.wait_for("said three\n── task 3: succeeded");
    let text = pane.plain();
    assert!(
        text.contains("said two\n── task 2") && !text.contains("said one"),
        "{text}"
    );
}

#[test]
fn output_goes_on_without_the_daemon_and_the_next_one_is_found() {
    let home = Home::new();
    let daemon = home.daemon();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let id = home.queue(&format!(
        "echo begin; {}; echo alone; {}; echo end",
        until(&one),
        until(&two)
    ));
    let pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("begin\n");
    daemon.kill();
    std::fs::write(&one, "").unwrap();
    pane.wait_for("alone\n");
    // The end comes while nobody can tell of it.
    std::fs::write(&two, "").unwrap();
    pane.wait_for("end\n");
    pane.wait_for("the daemon has gone away");
    assert!(
        wezterm_parallel::client::Client::connect(&home.socket()).is_err(),
        "a viewer starts no daemon that somebody has ended"
    );
    let _next = home.daemon();
    pane.wait_for("the daemon is back");
    pane.wait_for("── task 1: succeeded");
    pane.wait_for("Enter closes");
}

#[test]
fn without_a_keyboard_it_ends_with_the_task() {
    let home = Home::new();
    let _daemon = home.daemon();
    let good = home.queue("printf 'a\\033[31mb\\033]0;t\\007c\\n'");
    let bad = home.queue("exit 3");
    home.wait_idle();
    let output = home.run(["attach", "--task", &good]);
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\na\x1b[31mbc\n") && !text.contains("\x1b]"),
        "{text:?}"
    );
    assert_eq!(home.run(["attach", "--task", &bad]).status.code(), Some(1));
    let unknown = home.run(["attach", "--task", "99"]);
    assert_eq!(unknown.status.code(), Some(4), "{}", shown(&unknown));
}

#[test]
fn the_tail_is_bounded() {
    let home = Home::new();
    let _daemon = home.daemon();
    let id = home.queue("seq 1000");
    home.wait_idle();
    let tail = |arguments: &[&str]| {
        let text = home.ok(["attach", "--task", &id].iter().chain(arguments));
        text.lines()
            .filter(|line| line.parse::<u32>().is_ok())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(tail(&[]).len(), 200);
    assert_eq!(tail(&["--tail", "2"]), ["999", "1000"]);
    assert_eq!(tail(&["--tail", "2000"]).len(), 1000);
}

#[test]
fn signals_and_a_lost_terminal_end_it_and_restore_the_mode() {
    use rustix::process::Signal;
    let home = Home::new();
    let _daemon = home.daemon();
    let id = home.queue("echo begin; sleep 1000");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let mut pane = Pane::open(&home, &["--task", &id]);
        pane.wait_for("begin\n");
        assert!(!pane.has_its_mode());
        pane.signal(signal);
        assert_eq!(pane.wait_end().code(), Some(130), "{signal:?}");
        assert!(pane.has_its_mode(), "{signal:?}");
    }
    assert_eq!(
        home.task(&id).state,
        "running",
        "a viewer that ends, ends no task"
    );
}

#[test]
fn a_pane_that_takes_nothing_holds_up_no_worker_and_can_be_left() {
    let home = Home::new();
    let _daemon = home.daemon();
    let id = home.queue("yes | head -c 4000000");
    // A pipe that nobody reads is soon full.
    let mut viewer = home
        .command(["attach", "--task", &id, "--tail", "9999999"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    home.wait_state(&id, &["succeeded"]);
    let pid = rustix::process::Pid::from_child(&viewer);
    let mut first = [0; 1];
    viewer.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = wait_for("the viewer's end", || viewer.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
}

/// A home whose Claude is a script that prints what the CLI has printed, line by line.
fn home_with_claude(fixture: &str) -> Home {
    let home = Home::new();
    let events = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/claude")
        .join(fixture);
    let program = home.path().join("claude");
    let script = format!(
        "#!/bin/sh\ncat {}\n{}\n",
        events.display(),
        until(&home.path().join("go"))
    );
    std::fs::write(&program, script).unwrap();
    let status = Command::new("chmod").arg("755").arg(&program).status().unwrap();
    assert!(status.success());
    home.configure(&format!(
        "[workers.claude]\nkind = \"claude\"\nbinary = {program:?}\n"
    ));
    home
}

#[test]
fn what_claude_does_is_shown_for_people() {
    let home = home_with_claude("2.1.330/tool_use.jsonl");
    let _daemon = home.daemon();
    let id = home.submit(TaskQueue {
        command: Some("fix the tests".into()),
        worker: Some("claude".into()),
        ..TaskQueue::default()
    });
    let pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("● Bash(echo hello)\n  ⎿ hello\n");
    std::fs::write(home.path().join("go"), "").unwrap();
    pane.wait_for("Enter closes");
    let text = pane.plain();
    assert!(
        text.contains("── task 1 · priority 100 · fix the tests · attempt 1 · "),
        "{text}"
    );
    assert!(
        text.contains("── task 1: succeeded · ") && text.contains(" · $0.0016\n"),
        "{text}"
    );
    assert!(!text.contains("\"type\""), "{text}");
}

#[test]
fn a_pane_of_another_size_gets_lines_that_fit() {
    let home = Home::new();
    let program = home.path().join("claude");
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let call = |word: &str| {
        let long = word.repeat(100);
        format!(
            r#"printf '%s\n' '{{"type":"assistant","session_id":"s","message":{{"model":"opus","content":[{{"type":"tool_use","id":"{word}","name":"Bash","input":{{"command":"{long}"}}}}]}}}}'"#
        )
    };
    // When the viewer hears of its new size is for the kernel to say: the second call is made until it has.
    let script = format!(
        "#!/bin/sh\n{}\n{}\nwhile [ ! -e {} ]; do {}; sleep 0.02; done\n",
        call("one-"),
        until(&one),
        two.display(),
        call("two-"),
    );
    std::fs::write(&program, script).unwrap();
    assert!(Command::new("chmod")
        .arg("755")
        .arg(&program)
        .status()
        .unwrap()
        .success());
    home.configure(&format!(
        "[workers.claude]\nkind = \"claude\"\nbinary = {program:?}\n"
    ));
    let _daemon = home.daemon();
    let id = home.submit(TaskQueue {
        command: Some("look".into()),
        worker: Some("claude".into()),
        ..TaskQueue::default()
    });
    let pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("one-");
    pane.wait_for("…\n");
    resize(&pane.terminal, 40);
    pane.signal(rustix::process::Signal::WINCH);
    std::fs::write(&one, "").unwrap();
    wait_for("a line that fits", || {
        let text = pane.plain();
        let whole = text
            .lines()
            .filter(|line| line.contains("two-") && line.ends_with('…'));
        whole
            .map(|line| line.chars().count())
            .find(|columns| *columns == 40)
    });
    let text = pane.plain();
    let before = text.lines().find(|line| line.contains("one-")).unwrap();
    assert_eq!(before.chars().count(), 80, "{text}");
    std::fs::write(&two, "").unwrap();
}

#[test]
fn a_task_that_was_removed_is_said_to_be() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let _daemon = home.daemon();
    let id = home.queue("echo done");
    home.wait_idle();
    let mut pane = Pane::open(&home, &["--task", &id]);
    pane.wait_for("Enter closes");
    home.ok(["clean", &id]);
    wait_for("the task to be gone", || {
        home.client()
            .ask(&Message::Show(OneTask { id: id.clone() }))
            .err()
    });
    pane.press("r");
    pane.wait_for("there is no task");
    pane.press("\n");
    assert!(pane.wait_end().success());
}
