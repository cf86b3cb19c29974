//! What of attempts, launchers and shims survives when one of them is killed; with real processes.

mod executor_support;

use std::collections::BTreeSet;
use std::fs;

use executor_support::{command, is_alive, kill, pid, plan, shell, status_field, wait_until, Home};
use rustix::process::Signal;
use wezterm_parallel::executor::{Executor, Found, Report, StopCause};

#[test]
fn the_launcher_dies_under_load_and_nothing_runs_twice_or_is_forgotten() {
    let mut home = Home::new();
    let mut ids = BTreeSet::new();
    for round in 0..5 {
        for _ in 0..30 {
            ids.insert(home.launch(shell("echo began; sleep 0.02")));
        }
        let launcher = home.launcher();
        kill(launcher, Signal::KILL);
        wait_until("the launcher is gone", || !is_alive(launcher));
        assert_ne!(home.launcher(), launcher, "round {round}");
    }
    for id in &ids {
        let began = match home.report(*id) {
            Report::Ended(_, exit) => {
                assert_eq!(exit.exit_code, Some(0));
                assert_eq!(home.output(*id), "began\n");
                true
            }
            Report::NotStarted(..) => false,
            report @ Report::Lost(..) => panic!("{report:?}"),
        };
        assert_eq!(home.attempt(*id).exists(), began);
    }
    home.assert_silent();
}

#[test]
fn a_running_attempt_does_not_notice_the_launchers_death() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "echo ready; while ! test -e go; do sleep 0.01; done; exit 6",
    ));
    home.wait_for_line(id, "ready");
    kill(home.launcher(), Signal::KILL);
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(6));
}

#[test]
fn a_killed_shim_is_lost_and_its_tree_is_ended() {
    let mut home = Home::new();
    // One with the mark, one without it in the session, one that fled with it.
    let line = "env -i sleep 1000 & echo bare $!; setsid sleep 1000 & echo fled $!; echo main $$; wait";
    let id = home.launch(shell(line));
    let words = ["bare", "fled", "main"];
    let pids = words.map(|word| pid(&home.wait_for_line(id, word)));
    kill(home.shim(id), Signal::KILL);
    let Report::Lost(_, reason) = home.report(id) else {
        panic!("not lost");
    };
    assert_eq!(reason, "its shim ended without an outcome");
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    home.assert_silent();
}

#[test]
fn a_new_daemon_adopts_what_runs_and_hears_of_its_end() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "echo ready; while ! test -e go; do sleep 0.01; done; exit 9",
    ));
    home.wait_for_line(id, "ready");
    home.restart_daemon();
    let folder = home.attempt(id);
    assert_eq!(home.executor().adopt(id, folder).unwrap(), Found::Running);
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(9));
    home.assert_silent();
}

#[test]
fn a_new_daemon_can_stop_what_it_adopted() {
    let mut home = Home::new();
    let id = home.launch(shell("echo ready; sleep 1000"));
    home.wait_for_line(id, "ready");
    home.restart_daemon();
    let folder = home.attempt(id);
    assert_eq!(home.executor().adopt(id, folder).unwrap(), Found::Running);
    home.executor().stop(id, plan(libc::SIGTERM, 60_000)).unwrap();
    let exit = home.exit(id);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGTERM))
    );
}

#[test]
fn a_new_daemon_finds_what_ended_while_there_was_none() {
    let mut home = Home::new();
    let id = home.launch(shell(
        "echo ready; while ! test -e go; do sleep 0.01; done; echo done; exit 9",
    ));
    home.wait_for_line(id, "ready");
    home.kill_daemon();
    fs::write(home.folder.path().join("go"), "").unwrap();
    let exit = home.attempt(id).join("exit.json");
    wait_until("the outcome", || exit.exists());
    home.restart_daemon();
    let folder = home.attempt(id);
    let Found::Ended(exit) = home.executor().adopt(id, folder).unwrap() else {
        panic!("not ended");
    };
    assert_eq!(exit.exit_code, Some(9));
    assert_eq!(home.output(id), "ready\ndone\n");
    home.assert_silent();
}

#[test]
fn a_new_daemon_finds_launches_of_the_last_moment_all_or_not_at_all() {
    let mut home = Home::new();
    let ids: Vec<_> = (0..50).map(|_| home.launch(shell("echo once"))).collect();
    home.restart_daemon();
    let mut running = Vec::new();
    for id in ids {
        let folder = home.attempt(id);
        match home.executor().adopt(id, folder.clone()).unwrap() {
            Found::Ended(exit) => assert_eq!(exit.exit_code, Some(0)),
            Found::Running | Found::Stopping => running.push(id),
            Found::NeverStarted => assert!(!folder.exists()),
            Found::Lost(reason) => panic!("{reason}"),
        }
    }
    for id in running {
        assert_eq!(home.exit(id).exit_code, Some(0));
        assert_eq!(home.output(id), "once\n");
    }
    home.assert_silent();
}

#[test]
fn a_new_daemon_launches_again_what_never_started() {
    let mut home = Home::new();
    let missing = home.next_id();
    let empty = home.next_id();
    let blank = home.next_id();
    for (id, content) in [(empty, ""), (blank, &*" ".repeat(4096))] {
        fs::create_dir_all(home.attempt(id)).unwrap();
        fs::write(home.attempt(id).join("shim.json"), content).unwrap();
    }
    for id in [missing, empty, blank] {
        let folder = home.attempt(id);
        assert_eq!(home.executor().adopt(id, folder).unwrap(), Found::NeverStarted);
        home.launch_as(id, shell("exit 2"));
        assert_eq!(home.exit(id).exit_code, Some(2));
    }
}

#[test]
fn a_new_daemon_finds_a_killed_shim_and_ends_its_tree() {
    let mut home = Home::new();
    let id = home.launch(shell("setsid sleep 1000 & echo fled $!; echo main $$; wait"));
    let pids = ["fled", "main"].map(|word| pid(&home.wait_for_line(id, word)));
    let shim = home.shim(id);
    home.kill_daemon();
    kill(shim, Signal::KILL);
    wait_until("the shim is gone", || !is_alive(shim));
    home.restart_daemon();
    let folder = home.attempt(id);
    let found = home.executor().adopt(id, folder).unwrap();
    assert_eq!(found, Found::Lost("its shim ended without an outcome".to_owned()));
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    home.assert_silent();
}

#[test]
fn a_stranger_with_a_reused_pid_is_never_signalled() {
    let mut home = Home::new();
    let mut stranger = std::process::Command::new("setsid")
        .args(["sleep", "1000"])
        .spawn()
        .unwrap();
    let stranger_pid = i32::try_from(stranger.id()).unwrap();
    let id = home.next_id();
    fs::create_dir_all(home.attempt(id)).unwrap();
    let record = format!(
        r#"{{"id":{{"key":{},"attempt":1}},"pid":{stranger_pid},"started":1,"worker":[{stranger_pid},1]}}"#,
        id.key.0
    );
    fs::write(home.attempt(id).join("shim.json"), record).unwrap();
    let folder = home.attempt(id);
    let found = home.executor().adopt(id, folder).unwrap();
    assert!(matches!(found, Found::Lost(_)), "{found:?}");
    home.executor().stop(id, plan(libc::SIGKILL, 0)).unwrap();
    home.assert_silent();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_held_record_with_a_strangers_start_time_is_not_signalled() {
    let mut home = Home::new();
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let id = home.next_id();
    fs::create_dir_all(home.attempt(id)).unwrap();
    let record = format!(
        r#"{{"id":{{"key":{},"attempt":1}},"pid":{},"started":1}}"#,
        id.key.0,
        stranger.id()
    );
    let path = home.attempt(id).join("shim.json");
    fs::write(&path, record).unwrap();
    let held = fs::File::open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let folder = home.attempt(id);
    assert_eq!(home.executor().adopt(id, folder).unwrap(), Found::Running);
    home.executor().stop(id, plan(libc::SIGKILL, 0)).unwrap();
    drop(held);
    assert!(matches!(home.report(id), Report::Lost(..)));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn an_attempt_is_watched_once() {
    let mut home = Home::new();
    let id = home.launch(shell("echo ready; while ! test -e go; do sleep 0.01; done"));
    let folder = home.attempt(id);
    let twice = home.executor().adopt(id, folder);
    assert_eq!(twice.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    fs::write(home.folder.path().join("go"), "").unwrap();
    assert_eq!(home.exit(id).exit_code, Some(0));
}

#[test]
fn launcher_and_shims_leave_no_zombies_and_hold_no_foreign_files() {
    let mut home = Home::new();
    let running = home.launch(shell("echo ready; while ! test -e go; do sleep 0.01; done"));
    home.wait_for_line(running, "ready");
    // Another one, which knows nothing of the first one's ends.
    let other = home.launch(shell("echo ready; while ! test -e go; do sleep 0.01; done"));
    home.wait_for_line(other, "ready");
    let shim = home.shim(other);
    let links: Vec<String> = fs::read_dir(format!("/proc/{shim}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    let expected =
        |link: &String| link == "/dev/null" || link.ends_with("/shim.json") || link.ends_with("/output");
    let (expected, others): (Vec<_>, Vec<_>) = links.into_iter().partition(expected);
    assert!(!expected.is_empty());
    let sockets = others.iter().filter(|link| link.starts_with("socket:"));
    assert_eq!(
        (sockets.count(), others.len()),
        (3, 3),
        "those to its launcher: {others:?}"
    );
    let launcher = home.launcher();
    for _ in 0..20 {
        let id = home.launch(shell("true"));
        home.exit(id);
    }
    wait_until("the launcher has two shims left", || {
        let all = executor_support::processes();
        let parent =
            |pid: &i32| status_field(*pid, "PPid:").is_some_and(|parent| parent == launcher.to_string());
        all.iter().filter(|pid| parent(pid)).count() == 2
    });
    fs::write(home.folder.path().join("go"), "").unwrap();
    home.exit(running);
    home.exit(other);
}

#[test]
fn a_shim_that_is_done_serves_the_next_attempt_and_measures_it_alone() {
    let mut home = Home::new();
    let hungry = shell("head -c 60M /dev/zero | tail -c 60M | wc -c; kill -USR1 $PPID; exit 4");
    let first = home.launch(hungry);
    let exit = home.exit(first);
    assert_eq!(exit.exit_code, Some(4));
    assert!(exit.peak_memory_bytes > 50 << 20, "{exit:?}");
    let shim = home.shim(first);
    let second = home.launch(shell("echo $PPID; cat; exit 5"));
    let exit = home.exit(second);
    assert_eq!((exit.exit_code, exit.stopped), (Some(5), None));
    assert!(exit.peak_memory_bytes < 50 << 20, "{exit:?}");
    let output = fs::read_to_string(home.attempt(second).join("output")).unwrap();
    if output != format!("{shim}\n") {
        // Under load it may have waited long enough to leave.
        wait_until("the first shim is gone", || !is_alive(shim));
    }
}

#[test]
fn what_an_attempt_leaves_behind_is_never_counted_for_the_next_one() {
    let mut home = Home::new();
    for _ in 0..5 {
        let id = home.launch(shell("sleep 1000 & exit 0"));
        let exit = home.exit(id);
        assert_eq!((exit.exit_code, exit.leftovers), (Some(0), 1));
    }
    let id = home.launch(shell("true"));
    assert_eq!(home.exit(id).leftovers, 0);
}

#[test]
fn a_launcher_ends_with_its_daemon() {
    let mut home = Home::new();
    let launcher = home.launcher();
    home.assert_silent();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill(launcher, signal);
    }
    home.assert_silent();
    assert_eq!(
        home.launcher(),
        launcher,
        "signals meant for the daemon pass it by"
    );
    home.kill_daemon();
    wait_until("the launcher is gone", || !is_alive(launcher));
}

#[test]
fn an_outcome_survives_a_full_disk() {
    let mut home = Home::new();
    let Some(_disk) = executor_support::SmallDisk::mount(&home.folder.path().join("tasks")) else {
        return;
    };
    let sleeper = home.launch(shell("echo ready; sleep 1000"));
    home.wait_for_line(sleeper, "ready");
    let filler = home.launch(shell(
        "cat /dev/zero > $WEZTERM_PARALLEL_FOLDER/fill; echo more; exit 3",
    ));
    let exit = home.exit(filler);
    assert_eq!((exit.exit_code, exit.spawn_error), (Some(3), None));
    assert!(
        !home.attempt(filler).join("exit.json").exists(),
        "the disk was not full"
    );

    let refused = home.launch(shell("true"));
    let Report::NotStarted(_, reason) = home.report(refused) else {
        panic!("it started");
    };
    assert!(reason.contains("No space left on device"), "{reason}");

    home.executor()
        .stop(sleeper, plan(libc::SIGTERM, 60_000))
        .unwrap();
    let exit = home.exit(sleeper);
    assert_eq!(
        (exit.stopped, exit.signal),
        (Some(StopCause::Request), Some(libc::SIGTERM))
    );

    home.restart_daemon();
    let folder = home.attempt(filler);
    let Found::Ended(exit) = home.executor().adopt(filler, folder).unwrap() else {
        panic!("the outcome is gone");
    };
    assert_eq!(exit.exit_code, Some(3));
    fs::remove_file(home.attempt(filler).join("fill")).unwrap();
    home.assert_silent();
}

#[test]
fn a_daemon_started_from_inside_an_attempt_does_not_end_with_it() {
    let mut home = Home::new();
    // The launcher stands for a daemon: the same program in a session of its own. Its standard
    // output is the other end of its request socket, so that it goes on without us.
    let line = format!(
        "import socket, subprocess
ours, theirs = socket.socketpair()
inner = subprocess.Popen(['{}', '__launcher'], stdin=theirs, stdout=ours, start_new_session=True)
print('inner', inner.pid, flush=True)
subprocess.Popen(['sleep', '1000'], start_new_session=True)",
        env!("CARGO_BIN_EXE_wezterm-parallel")
    );
    let id = home.launch(command(&["python3", "-c", &line]));
    let exit = home.exit(id);
    assert_eq!(
        (exit.exit_code, exit.leftovers),
        (Some(0), 1),
        "{}",
        home.output(id)
    );
    let inner = pid(&home.wait_for_line(id, "inner"));
    assert!(is_alive(inner));
    kill(inner, Signal::KILL);
}
