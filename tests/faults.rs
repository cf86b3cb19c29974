//! The machine gives out under the daemon: a full disk, a read-only one, no file descriptors, a
//! damaged journal, leftovers of the dead. What was acknowledged stays, and it says what is wrong.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Output;

use support::disk::SmallDisk;
use support::wire::Wire;
use support::{shown, wait_for, Home, PROGRAM};
use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Answer, ErrorCode, Message, TaskQueue};

fn shell(id: &str, command: impl Into<String>) -> TaskQueue {
    TaskQueue {
        id: id.to_owned(),
        command: Some(command.into()),
        ..TaskQueue::default()
    }
}

fn submit(home: &Home, task: TaskQueue) -> Result<Answer, ErrorCode> {
    use wezterm_parallel::client::ClientError;
    match home.client().ask(&Message::TaskQueue(Box::new(task))) {
        Ok(answer) => Ok(answer),
        Err(ClientError::Refused(refusal)) => Err(refusal.code),
        Err(error) => panic!("{error}"),
    }
}

/// Fills the disk and submits until a submission is refused; what was acknowledged is noted.
fn fill_until_refused(home: &Home, disk: &SmallDisk, acknowledged: &mut Vec<String>, mark: &str) {
    disk.fill();
    wait_for("a refusal", || {
        disk.fill();
        let id = format!("{mark}-{}", acknowledged.len());
        match submit(home, shell(&id, format!("echo {id} >>$HOME/ran"))) {
            Ok(_) => acknowledged.push(id),
            Err(code) => {
                assert_eq!(code, ErrorCode::JournalFailed);
                return Some(());
            }
        }
        None
    });
}

fn wait_accepted(home: &Home, id: &str) {
    wait_for("a submission to be taken again", || {
        match submit(home, shell(id, format!("echo {id} >>$HOME/ran"))) {
            Ok(_) => Some(()),
            Err(code) => {
                assert_eq!(code, ErrorCode::JournalFailed);
                None
            }
        }
    });
}

/// A task counts as running as soon as its start is decided; this waits for its process.
fn wait_started(home: &Home, id: &str) {
    wait_for("its shim", || support::process::shim_of(&home.attempt(id, 1)));
}

/// Each of these ran once, and nothing else did.
fn assert_ran_once(home: &Home, acknowledged: &[String]) {
    let ran = std::fs::read_to_string(home.path().join("ran")).unwrap_or_default();
    let mut ran: Vec<&str> = ran.lines().collect();
    ran.sort_unstable();
    let mut expected: Vec<&str> = acknowledged.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(ran, expected);
}

const RELEASED: &str = "until [ -e $HOME/go ]; do sleep 0.01; done; exit 5";

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_runs() {
    let home =
        Home::with_config("[pool]\nslots = 4\n[workers.shell]\nkind = \"shell\"\nstop_grace = \"200ms\"\n");
    let Some(disk) = SmallDisk::mount(&home) else {
        return;
    };
    let _daemon = home.daemon();
    home.submit(shell("runs", RELEASED));
    home.submit(shell("stopped", "sleep 1000"));
    wait_started(&home, "runs");
    wait_started(&home, "stopped");
    for round in 0..2 {
        let mut acknowledged = Vec::new();
        fill_until_refused(&home, &disk, &mut acknowledged, &format!("r{round}"));
        let output = home.run(["queue", "echo never >>$HOME/ran"]);
        assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("journal cannot be written"), "{words}");
        let status = home.ok(["status"]);
        assert!(status.contains("runs"), "{status}");
        let file = home.path().join("run/wezterm-parallel/status.json");
        wait_for("the status file to say so", || {
            // What is small may still find room, and then all is well until the next one.
            fill_until_refused(&home, &disk, &mut acknowledged, &format!("r{round}"));
            let text = std::fs::read_to_string(&file).ok()?;
            text.contains("journal_error").then_some(())
        });
        if round == 0 {
            assert_eq!(home.task("runs").state, "running");
            home.ok(["cancel", "stopped"]);
            home.wait_state("stopped", &["cancelled"]);
        } else {
            // Its end finds no room: it must be known all the same, now and later.
            std::fs::write(home.path().join("go"), "").expect("a file");
            home.wait_state("runs", &["failed"]);
        }
        disk.make_room();
        let id = format!("after-{round}");
        wait_accepted(&home, &id);
        acknowledged.push(id);
        home.wait_idle_of(&acknowledged);
        assert_ran_once(&home, &acknowledged);
        std::fs::remove_file(home.path().join("ran")).expect("they ran");
    }
    let task = home.task("runs");
    assert_eq!(task.attempts.len(), 1);
    assert_eq!(task.attempts[0].exit_code, Some(5), "{task:?}");
}

#[test]
fn a_kill_while_the_disk_is_full_loses_and_doubles_nothing() {
    let home = Home::with_config("[pool]\nslots = 2\n");
    let Some(disk) = SmallDisk::mount(&home) else {
        return;
    };
    let mut daemon = home.daemon();
    let mut all = Vec::new();
    for round in 0..4 {
        let mark = format!("k{round}");
        let running = format!("{mark}-runs");
        home.submit(shell(&running, "while [ ! -e $HOME/go$WEZTERM_PARALLEL_TASK ]; do sleep 0.01; done; echo $WEZTERM_PARALLEL_TASK >>$HOME/ran"));
        wait_started(&home, &running);
        all.push(running.clone());
        fill_until_refused(&home, &disk, &mut all, &mark);
        std::fs::write(home.path().join(format!("go{running}")), "").expect("a file");
        if round % 2 == 0 {
            home.wait_state(&running, &["succeeded"]);
        }
        daemon.kill();
        if round >= 2 {
            // A daemon that starts on a full disk serves, or says what is missing; either way
            // nothing is lost.
            let output = home.run(["status"]);
            assert!(
                matches!(output.status.code(), Some(0 | 3 | 4)),
                "{}",
                shown(&output)
            );
            let _ = home.run(["shutdown"]);
        }
        disk.make_room();
        daemon = home.daemon();
        let after = format!("{mark}-after");
        wait_accepted(&home, &after);
        all.push(after);
    }
    home.wait_idle();
    for id in &all {
        assert_eq!(home.task(id).state, "succeeded", "{:?}", home.task(id));
    }
    assert_ran_once(&home, &all);
}

#[test]
fn a_read_only_disk_is_named_and_left_alone() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home) else {
        return;
    };
    home.daemon();
    let journal = |home: &Home| std::fs::read(home.data().join("journal/00000001.wal")).expect("a journal");
    let before = journal(&home);
    disk.remount("ro");
    let output = home.run(["daemon"]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        words.contains("Read-only") && words.contains(".local/share"),
        "{words}"
    );
    let output = home.run(["queue", "true"]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Read-only"),
        "{}",
        shown(&output)
    );
    assert_eq!(journal(&home), before);
    disk.remount("rw");
    home.ok(["queue", "--wait", "true"]);
    home.ok(["shutdown"]);
}

#[test]
fn without_file_descriptors_what_runs_goes_on_and_later_callers_are_served() {
    let home = Home::with_config("[pool]\nslots = 2\n");
    let script = format!("ulimit -n 48; exec {PROGRAM} daemon");
    let log = std::fs::File::create(home.path().join("daemon.log")).expect("a log");
    let mut sh = home.command_of("/bin/sh", ["-c", &script]);
    let mut daemon = sh.stderr(log).spawn().expect("it starts");
    wait_for("the daemon", || Client::connect(&home.socket()).ok());
    home.submit(shell("runs", RELEASED));
    home.wait_state("runs", &["running"]);
    let mut early = Wire::connect(&home);
    early.ask(r#"{"Info":{}}"#);
    let crowd: Vec<UnixStream> = (0..100)
        .filter_map(|_| UnixStream::connect(home.socket()).ok())
        .collect();
    assert_eq!(crowd.len(), 100, "the backlog takes them");
    wait_for("the descriptors to run out", || {
        home.log().contains("could not be accepted").then_some(())
    });
    let answer = early.ask(r#"{"TaskQueue":{"id":"during","command":"exit 3"}}"#);
    assert_eq!(
        answer,
        r#"{"StatusUpdate":{"process_id":"during","status":"Queued"}}"#
    );
    std::fs::write(home.path().join("go"), "").expect("a file");
    wait_for("the outcome", || {
        home.attempt("runs", 1).join("exit.json").exists().then_some(())
    });
    drop(crowd);
    let runs = home.wait_state("runs", &["failed", "lost", "succeeded"]);
    assert_eq!(runs.attempts[0].exit_code, Some(5), "{runs:?}");
    let during = home.wait_state("during", &["failed", "lost", "succeeded"]);
    assert_eq!(
        (during.attempts.len(), during.attempts[0].exit_code),
        (1, Some(3)),
        "{during:?}"
    );
    home.ok(["queue", "--wait", "true"]);
    let lines = home.log().matches("could not be accepted").count();
    assert!(lines < 100, "the log is flooded: {lines} lines");
    home.ok(["shutdown"]);
    daemon.wait().expect("it ends");
}

#[test]
fn a_second_daemon_says_so_and_one_in_the_background_is_quiet() {
    let home = Home::new();
    let mut first = home.daemon();
    let output = home.run(["daemon"]);
    let words = String::from_utf8_lossy(&output.stderr).replace(&first.pid().to_string(), "PID");
    assert_eq!(
        (output.status.code(), words.as_str()),
        (
            Some(4),
            "error: a daemon is running already, as process PID\nhint: `wezterm-parallel shutdown` ends it; its tasks go on\n"
        )
    );
    let output = home.run(["daemon", "--detach"]);
    assert_eq!(shown(&output), "exit status: 0\n--- stdout\n--- stderr\n");
    // Another runtime folder does not make a second daemon on the same data.
    let mut other = home.command(["daemon"]);
    let elsewhere = home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    let output = other
        .env("XDG_RUNTIME_DIR", &elsewhere)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(first.is_running());
}

#[test]
fn twenty_first_commands_at_once_start_one_daemon() {
    let home = Home::new();
    let queue = |n: usize| {
        let mut command = home.command(["queue".to_owned(), format!("echo {n} >>$HOME/ran")]);
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        command.spawn().expect("it starts")
    };
    let children: Vec<_> = (0..20).map(queue).collect();
    let mut ids: Vec<u64> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", shown(&output));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.trim().parse().expect("a number")
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<u64>>());
    home.wait_idle();
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_ran_once(&home, &expected);
    assert_eq!(daemons(&home), 1);
}

/// Daemons whose environment names this home.
fn daemons(home: &Home) -> usize {
    let mark = format!("HOME={}", home.path().display());
    let all = std::fs::read_dir("/proc").expect("/proc");
    all.filter_map(Result::ok)
        .filter(|entry| {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let is_daemon = words.starts_with(PROGRAM) && words.contains(" daemon");
            is_daemon && String::from_utf8_lossy(&read("environ")).contains(&mark)
        })
        .count()
}

#[test]
fn a_command_right_after_a_shutdown_finds_or_starts_a_daemon() {
    let home = Home::new();
    for _ in 0..15 {
        home.ok(["queue", "true"]);
        // Not by the command line, which waits until the daemon is gone.
        let shutdown = Message::Shutdown(wezterm_parallel::protocol::Shutdown { kill: false });
        home.client().ask(&shutdown).expect("an answer");
    }
    home.ok(["queue", "true"]);
    home.wait_idle();
    assert_eq!(home.tasks().len(), 16);
}

#[test]
fn what_the_dead_left_behind_is_replaced() {
    let home = Home::new();
    let run = home.path().join("run/wezterm-parallel");
    std::fs::create_dir_all(&run).expect("the runtime folder");
    set_mode(&run, 0o700);
    drop(UnixListener::bind(home.socket()).expect("a stale socket"));
    std::fs::write(run.join("status.json"), r#"{"version":1,"pid":1,"running":9}"#).expect("a file");
    std::fs::write(run.join("status.json.new"), "half").expect("a file");
    std::fs::write(run.join("daemon.lock"), "4711\n").expect("a file");
    home.ok(["queue", "--wait", "true"]);
    let status = std::fs::read_to_string(run.join("status.json")).expect("a status");
    assert!(!status.contains("\"running\":9"), "{status}");
    home.ok(["shutdown"]);
    wait_for("the status file to go", || {
        (!run.join("status.json").exists()).then_some(())
    });
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_damaged_journal_is_refused_by_name_until_it_is_repaired() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let daemon = home.daemon();
    for n in 0..20 {
        home.submit(shell(&format!("t{n}"), "true"));
    }
    home.wait_idle();
    daemon.kill();
    let journal = home.data().join("journal/00000001.wal");
    let mut bytes = std::fs::read(&journal).expect("a journal");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let at = text.find("\"t7\"").expect("a record of t7");
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    bytes[at + 1] ^= 1;
    std::fs::write(&journal, &bytes).expect("the damage");
    let named = format!("{} is damaged at byte {line}", journal.display());
    let refused = |output: Output| {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        // 3 if the daemon had ended before it could be asked, which it tells in its last words.
        assert!(matches!(output.status.code(), Some(3 | 4)), "{}", shown(&output));
        assert!(words.contains(&named), "{words}\nexpected: {named}");
        assert!(words.contains("doctor --repair"), "{words}");
    };
    refused(home.run(["daemon"]));
    for _ in 0..5 {
        refused(home.run(["queue", "true"]));
    }
    let doctor = home.run(["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{}", shown(&doctor));
    assert!(
        String::from_utf8_lossy(&doctor.stdout).contains(&named),
        "{}",
        shown(&doctor)
    );
    assert_eq!(std::fs::read(&journal).expect("untouched"), bytes);
    let repaired = home.run(["doctor", "--repair"]);
    assert_eq!(repaired.status.code(), Some(0), "{}", shown(&repaired));
    let words = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(
        words.contains("records were kept") && words.contains("damaged-1"),
        "{words}"
    );
    assert!(
        words.contains(&line.to_string()),
        "it does not say what was lost: {words}"
    );
    let _daemon = home.daemon();
    let left: Vec<String> = home.tasks().into_iter().map(|task| task.id).collect();
    let expected: Vec<String> = (0..20).filter(|n| *n != 7).map(|n| format!("t{n}")).collect();
    assert_eq!(left, expected);
    home.ok(["queue", "--wait", "true"]);
}

#[test]
fn an_empty_home_becomes_one_with_closed_doors() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.ok(["queue", "--wait", "true"]);
    let mut looked_at = 0;
    let mut folders = vec![home.data(), home.path().join("run/wezterm-parallel")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder") {
            let path = path.expect("an entry").path();
            let metadata = std::fs::symlink_metadata(&path).expect("it is there");
            if path.extension().is_some_and(|end| end == "new" || end == "tmp") {
                continue;
            }
            let mode = metadata.permissions().mode() & 0o777;
            let right = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, right, "{} has mode {mode:o}", path.display());
            looked_at += 1;
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(looked_at > 8, "only {looked_at} files were looked at");
}
