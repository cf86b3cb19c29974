//! SIGHUP reads the config again, under a daemon that has work; and what its log must not hold.

mod support;

use rustix::process::{kill_process, Pid, Signal};
use support::{wait_for, Daemon, Home};
use wezterm_parallel::protocol::{Answer, Message, TaskQueue};

fn hang_up(daemon: &Daemon<'_>) {
    let pid = Pid::from_raw(daemon.pid().try_into().expect("a pid")).expect("not 0");
    kill_process(pid, Signal::HUP).expect("it runs");
}

#[test]
fn a_hang_up_brings_new_slots_and_a_bad_config_changes_nothing() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let daemon = home.daemon();
    let first = home.queue("until [ -e go ]; do sleep 0.01; done");
    let second = home.queue("until [ -e go ]; do sleep 0.01; done");
    home.wait_state(&first, &["running"]);
    assert_eq!(home.task(&second).state, "queued");

    home.configure("[pool]\nslotz = 9\n");
    hang_up(&daemon);
    let warnings = wait_for("the warning", || match home.client().ask(&Message::Info {}) {
        Ok(Answer::Daemon(info)) => Some(info.warnings).filter(|warnings| !warnings.is_empty()),
        other => panic!("{other:?}"),
    });
    assert!(warnings[0].contains("slotz"), "{warnings:?}");
    assert_eq!(
        home.task(&second).state,
        "queued",
        "the old config stays in force"
    );

    home.configure("[pool]\nslots = 2\n");
    hang_up(&daemon);
    home.wait_state(&second, &["running"]);
    std::fs::write(home.path().join("go"), "").expect("the sign");
    for id in [first, second] {
        let task = home.wait_state(&id, &["succeeded", "failed"]);
        assert_eq!((task.state.as_str(), task.attempts.len()), ("succeeded", 1));
    }
}

#[test]
fn the_log_holds_no_command_no_environment_and_no_input() {
    let home = Home::new();
    let log = std::fs::File::create(home.path().join("trace.log")).expect("a log");
    let mut daemon = home.command(["daemon"]);
    daemon
        .env("WEZTERM_PARALLEL_LOG", "trace")
        .env("DAEMONS_OWN", "mark-of-own")
        .stderr(log);
    let mut daemon = daemon.spawn().expect("it starts");
    wait_for("the daemon's answer", || {
        wezterm_parallel::client::Client::connect(&home.socket())
            .ok()?
            .ask(&Message::Info {})
            .ok()
    });
    let id = home.submit(TaskQueue {
        command: Some("echo mark-of-command; cat; exit 3".to_owned()),
        env_add: [("SECRET".to_owned(), "mark-of-environment".to_owned())].into(),
        stdin: Some("mark-of-input".to_owned()),
        ..TaskQueue::default()
    });
    home.wait_state(&id, &["failed"]);
    assert_eq!(home.output(&id, 1), "mark-of-command\nmark-of-input");
    let pid = Pid::from_child(&daemon);
    kill_process(pid, Signal::TERM).expect("it runs");
    daemon.wait().expect("it is ours");
    let log = std::fs::read_to_string(home.path().join("trace.log")).expect("the log");
    assert!(log.contains("the daemon ends"), "{log}");
    assert!(!log.contains("mark-of"), "{log}");
}
