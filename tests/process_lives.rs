//! How processes begin, get ready, crash, survive their daemon and end: the real program, its daemon, real commands, and
//! daemons that are killed.

mod process_support;
mod support;

use process_support::{folder_of, home, output, process, processes, said, spawn, wait_state, workspace};
use support::{wait_for, wire::Wire};

#[test]
fn ready_is_seen_by_port_by_line_and_by_command() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    // Taken by nobody at the moment it is looked for.
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("its address").port()
    };
    let by_port = spawn(&home, &["--ready-port", &port.to_string(), "sleep 600"]);
    let by_line = spawn(
        &home,
        &[
            "--ready-line",
            "listening on",
            "echo begins; until test -e go; do sleep 0.01; done; echo listening on 1; sleep 600",
        ],
    );
    let by_command = spawn(&home, &["--ready-command", "test -e go", "sleep 600"]);
    for id in [&by_port, &by_line, &by_command] {
        wait_state(&home, id, "starting");
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    wait_state(&home, &by_port, "ready");
    drop(listener);
    assert_eq!(
        process(&home, &by_line).map(|view| view.state).as_deref(),
        Some("starting")
    );
    std::fs::write(home.path().join("api/go"), "").expect("a file");
    wait_state(&home, &by_line, "ready");
    wait_state(&home, &by_command, "ready");
}

#[test]
fn a_pattern_is_matched_against_lines_as_people_read_them() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let vite = r"printf '\n  \033[32m➜\033[39m  \033[1mLocal\033[22m:   \033[36mhttp://localhost:\033[1m5173\033[22m/\033[39m\n'";
    let begins = format!(
        "echo http://localhost:99999/; until test -e go; do sleep 0.01; done; {vite}; exec sleep 600"
    );
    let by_pattern = spawn(
        &home,
        &[
            "--ready-pattern",
            r"^  ➜  Local: +http://localhost:\d{4}/$",
            &begins,
        ],
    );
    let by_line = spawn(
        &home,
        &["--ready-line", "Local:   http://localhost:5173/", &begins],
    );
    // What has no end of its line counts, too, once nothing follows.
    let prompt = spawn(
        &home,
        &["--ready-pattern", "^ready> $", "printf 'ready> '; exec sleep 600"],
    );
    wait_state(&home, &prompt, "ready");
    for id in [&by_pattern, &by_line] {
        wait_for("its first line", || {
            output(&home, id, 1).contains("99999").then_some(())
        });
        let view = process(&home, id).expect("it is there");
        assert_eq!(view.state, "starting");
    }
    std::fs::write(home.path().join("api/go"), "").expect("a file");
    wait_state(&home, &by_pattern, "ready");
    wait_state(&home, &by_line, "ready");
    let refused = |pattern: &str| {
        said(
            &home,
            &[
                "process",
                "spawn",
                "-w",
                "api",
                "--ready-pattern",
                pattern,
                "true",
            ],
        )
    };
    insta::assert_snapshot!(refused("on port ([0-9]+"), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: invalid value 'on port ([0-9]+' for '--ready-pattern <REGEX>': the pattern is wrong at character 9: unclosed group (a backslash before a character takes it as it is; a plain text needs no pattern)

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(".*"), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: invalid value '.*' for '--ready-pattern <REGEX>': the pattern matches an empty line, and so every line (write `.` if any output will do)

    For more information, try '--help'.
    ");
    // Whoever asks without the command line is told the same.
    let mut wire = Wire::connect(&home);
    let spawn = r#"{"ProcessSpawn":{"workspace":"api","command":"true","ready":{"pattern":"a{2,1}"}}}"#;
    insta::assert_snapshot!(wire.ask(spawn), @r#"{"Error":{"code":"invalid_value","message":"`ready`: the pattern is wrong at character 2: invalid repetition count range, the start must be <= the end","hint":"a backslash before a character takes it as it is; a plain text needs no pattern"}}"#);
    assert_eq!(processes(&home).len(), 3);
}

#[test]
fn one_that_is_not_ready_in_time_is_stopped_and_tried_again() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let words = [
        "--ready-line",
        "up",
        "--ready-timeout",
        "50ms",
        "--max-restarts",
        "1",
    ];
    let id = spawn(&home, &[&words[..], &["sleep 600"]].concat());
    let view = wait_state(&home, &id, "failed");
    assert_eq!(
        view.message.as_deref(),
        Some("it was not ready in time, also after 1 restarts in a row")
    );
}

#[test]
fn a_crash_is_followed_by_restarts_until_it_is_given_up() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["--name", "dev", "echo run >> runs; exit 7"]);
    let view = wait_state(&home, &id, "failed");
    assert_eq!(
        view.message.as_deref(),
        Some("it ended with exit code 7, also after 3 restarts in a row")
    );
    let runs = || std::fs::read_to_string(home.path().join("api/runs")).unwrap_or_default();
    assert_eq!(runs().lines().count(), 4);
    // It stays failed, and is started by hand.
    home.ok(["process", "restart", "dev"]);
    wait_for("four more runs", || (runs().lines().count() == 8).then_some(()));
    wait_state(&home, &id, "failed");
    // A success is no reason to start it again; with `always` it is.
    let once = spawn(&home, &["echo once >> once"]);
    wait_state(&home, &once, "stopped");
    let always = spawn(&home, &["--restart", "always", "echo always >> always"]);
    wait_state(&home, &always, "failed");
    let count = |name: &str| {
        let text = std::fs::read_to_string(home.path().join("api").join(name)).unwrap_or_default();
        text.lines().count()
    };
    assert_eq!((count("once"), count("always")), (1, 4));
}

#[test]
#[cfg(target_os = "linux")]
fn a_stop_ends_the_whole_tree_and_a_removal_its_folder() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let script =
        "sleep 600 & echo $! > child; setsid sh -c 'echo $$ > escaped; exec sleep 600' & echo $$ > own; wait";
    let id = spawn(&home, &[script]);
    let pid = |name: &str| {
        let file = home.path().join("api").join(name);
        wait_for(name, || pid_in(&file))
    };
    let pids = ["own", "child", "escaped"].map(pid);
    home.ok(["process", "stop", &id]);
    wait_state(&home, &id, "stopped");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    home.ok(["process", "stop", "--remove", &id]);
    assert!(process(&home, &id).is_none());
    let folder = home.data().join("processes").join(&id);
    wait_for("its folder to go", || (!folder.exists()).then_some(()));
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_spawned_survives_its_daemon_and_is_not_started_twice() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(
        &home,
        &["--ready-line", "up", "echo $$ >> pids; echo up; exec sleep 600"],
    );
    wait_state(&home, &id, "ready");
    let file = home.path().join("api/pids");
    let pid = wait_for("its process", || pid_in(&file));
    // Acknowledged, and nothing else is known of it yet.
    let other = spawn(&home, &["exec sleep 601"]);
    daemon.kill();
    assert!(is_alive(pid));
    let daemon = home.daemon();
    let view = process(&home, &id).expect("it is known");
    assert_eq!((view.state.as_str(), view.runs.len()), ("ready", 1));
    assert!(is_alive(pid));
    wait_state(&home, &other, "running");
    // Its end is noticed by the daemon that has adopted it.
    support::process::kill(pid);
    wait_for("its second run", || {
        process(&home, &id).filter(|view| view.state == "ready" && view.runs.len() == 2)
    });
    let pids = std::fs::read_to_string(&file).expect("the pids");
    assert_eq!(pids.lines().count(), 2, "{pids}");
    // One that ended while there was no daemon is started by the next one.
    let second: i32 = pids
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("a pid");
    daemon.kill();
    support::process::kill(second);
    let _daemon = home.daemon();
    wait_for("its third run", || {
        process(&home, &id).filter(|view| view.state == "ready" && view.runs.len() == 3)
    });
}

#[test]
#[cfg(target_os = "linux")]
fn every_spawn_that_was_acknowledged_runs_once_however_soon_its_daemon_is_killed() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let mut daemon = home.daemon();
    workspace(&home);
    let mut files = Vec::new();
    for n in 0..10 {
        let command = format!("echo $$ >> pids-{n}; exec sleep 600");
        let id = spawn(&home, &["--restart", "never", &command]);
        daemon.kill();
        daemon = home.daemon();
        files.push((id, home.path().join(format!("api/pids-{n}"))));
    }
    for (id, file) in files {
        wait_state(&home, &id, "running");
        let written = wait_for("its process", || pid_in(&file).map(|pid| (pid, is_alive(pid))));
        assert!(written.1, "{id}: {written:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_whose_shim_was_killed_leaves_nothing_beside_the_next_one() {
    use support::process::{is_alive, kill, pid_in, shim_of};
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["echo $$ > pid; exec sleep 600"]);
    let file = home.path().join("api/pid");
    let pid = wait_for("its process", || pid_in(&file));
    let shim = wait_for("its shim", || shim_of(&folder_of(&home, &id, 1)));
    // As after a reboot: the daemon and the shim are gone.
    daemon.kill();
    kill(shim);
    let _daemon = home.daemon();
    wait_for("its second run", || {
        process(&home, &id).filter(|view| view.state == "running" && view.runs.len() == 2)
    });
    assert!(!is_alive(pid), "what the lost run left was ended before");
}

#[test]
fn a_daemon_that_ends_gently_leaves_them_and_one_that_kills_ends_them() {
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["exec sleep 600"]);
    wait_state(&home, &id, "running");
    home.ok(["shutdown"]);
    assert!(daemon.wait().success());
    let daemon = home.daemon();
    assert_eq!(process(&home, &id).map(|view| view.runs.len()), Some(1));
    home.ok(["shutdown", "--kill"]);
    assert!(daemon.wait().success());
    let _daemon = home.daemon();
    assert_eq!(
        process(&home, &id).map(|view| view.state).as_deref(),
        Some("stopped")
    );
}
