//! Relief with real workers: whose trees are stopped when memory is short, who goes on, and who is put back.
#![cfg(target_os = "linux")]

mod support;

use rustix::process::{kill_process, Pid, Signal};
use support::process::{is_alive, is_stopped, pid_in};
use support::{wait_for, Daemon, Home};

/// Whatever else runs on this machine, workers start.
const OPEN: &str = "enabled = false";
/// No machine has so much available: memory is short from the next reading on.
const SHORT: &str = "memory_floor = \"900TiB\"";
/// Any machine has.
const ENOUGH: &str = "memory_floor = \"1MiB\"";
/// A shell and a program below it, which say who they are and run until the test says so.
const TREE: &str = "echo $$ > $WEZTERM_PARALLEL_TASK.shell
sh -c 'echo $$ > $WEZTERM_PARALLEL_TASK.below; until [ -e go ]; do sleep 0.05; done'
true";

fn config(state: &str, pause: &str) -> String {
    format!(
        "[pool]\nslots = 4\n[admission]\n{state}\nstall_high = 1.0\nreopen_after = \"100ms\"\n\
         relief_after = \"100ms\"\nrelief_interval = \"1s\"\nrelief_pause = \"{pause}\"\n"
    )
}

fn reload(home: &Home, daemon: &Daemon<'_>, config: &str) {
    home.configure(config);
    let pid = Pid::from_raw(daemon.pid().try_into().expect("a pid")).expect("not 0");
    kill_process(pid, Signal::HUP).expect("it runs");
}

/// Its id, and its processes.
fn start(home: &Home) -> (String, [i32; 2]) {
    let id = home.queue(TREE);
    let tree = ["shell", "below"].map(|part| {
        let file = home.path().join(format!("{id}.{part}"));
        wait_for("a process of the worker", || pid_in(&file))
    });
    (id, tree)
}

fn wait_stopped(tree: [i32; 2], stopped: bool) {
    for pid in tree {
        wait_for("the signal", || (is_stopped(pid) == stopped).then_some(()));
    }
}

#[test]
fn the_trees_of_the_youngest_are_stopped_one_by_one_and_the_oldest_runs_on() {
    let home = Home::with_config(&config(OPEN, "60s"));
    let daemon = home.daemon();
    let (old, old_tree) = start(&home);
    let (middle, middle_tree) = start(&home);
    let (young, young_tree) = start(&home);
    reload(&home, &daemon, &config(SHORT, "60s"));
    home.wait_state(&young, &["paused"]);
    assert_eq!(home.task(&middle).state, "running", "one at a time");
    wait_stopped(young_tree, true);
    home.wait_state(&middle, &["paused"]);
    wait_stopped(middle_tree, true);
    let next = home.queue(TREE);
    let explained = home.ok(["explain", &next]);
    assert!(
        explained.contains("memory is short: 2 running tasks are paused or put back"),
        "{explained}"
    );
    assert!(home.ok(["explain", &young]).contains("paused to relieve memory"));
    reload(&home, &daemon, &config(ENOUGH, "60s"));
    home.wait_state(&middle, &["running"]);
    assert_eq!(
        [&young, &next].map(|id| home.task(id).state),
        ["paused", "queued"],
        "those who were paused go on before anybody starts, the oldest first"
    );
    wait_stopped(middle_tree, false);
    home.wait_state(&young, &["running"]);
    wait_stopped(young_tree, false);
    std::fs::write(home.path().join("go"), "").expect("the sign");
    home.wait_idle();
    for id in [&old, &middle, &young, &next] {
        let task = home.task(id);
        assert_eq!(
            (task.state.as_str(), task.attempts.len()),
            ("succeeded", 1),
            "{id}"
        );
    }
    let log = home.log();
    assert_eq!(log.matches("a worker is paused: ").count(), 2, "{log}");
    assert!(old_tree.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn one_that_was_paused_for_too_long_is_put_back_and_uses_no_retry() {
    let home = Home::with_config(&config(OPEN, "1s"));
    let daemon = home.daemon();
    let (old, old_tree) = start(&home);
    let (young, young_tree) = start(&home);
    reload(&home, &daemon, &config(SHORT, "1s"));
    let put_back = home.wait_state(&young, &["queued"]);
    assert_eq!(put_back.retries_used, 0);
    assert_eq!(put_back.attempts[0].outcome.as_deref(), Some("memory"));
    for pid in young_tree {
        wait_for("its end", || (!is_alive(pid)).then_some(()));
    }
    assert_eq!(home.task(&old).state, "running");
    assert!(old_tree.iter().all(|pid| !is_stopped(*pid)));
    reload(&home, &daemon, &config(ENOUGH, "1s"));
    std::fs::write(home.path().join("go"), "").expect("the sign");
    home.wait_idle();
    let attempts = [&old, &young].map(|id| {
        let task = home.task(id);
        (task.state, task.attempts.len())
    });
    assert_eq!(
        attempts,
        [("succeeded".to_owned(), 1), ("succeeded".to_owned(), 2)]
    );
}
