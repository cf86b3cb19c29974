//! `top` on a real terminal (a pty), with the real daemon behind it.

use std::process::Command;

use rustix::process::Signal;
use support::{shown, Home};
use terminal::{Terminal, OTHER_SCREEN, OWN_SCREEN};
use wezterm_parallel::protocol::TaskQueue;

mod support;
mod terminal;

/// One worker, and none that waits for a machine that others use.
const CONFIG: &str = "[pool]\nslots = 1\ndefault_worker = \"shell\"\n[admission]\nenabled = false\n";
const SMALL: (u16, u16) = (80, 24);

fn top(home: &Home) -> Command {
    home.command(["top"])
}

fn queue(home: &Home, command: &str, priority: u8) -> String {
    home.submit(TaskQueue {
        command: Some(command.to_owned()),
        priority: Some(priority),
        label: Some("nightly".to_owned()),
        ..TaskQueue::default()
    })
}

#[test]
fn the_queue_is_seen_as_it_changes() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let mut terminal = Terminal::run(top(&home), SMALL);
    terminal.wait_for(&["no tasks", "0 of 1", "? help"]);
    let first = queue(&home, "echo hello; sleep 600", 100);
    terminal.wait_for(&["1 of 1", "running", "echo hello; sleep 600"]);
    queue(&home, "second", 100);
    terminal.wait_for(&["1/1 running, 1 queued", "slots are taken"]);
    // The task in full, with what it writes.
    terminal.press("j\r");
    terminal.wait_for(&["task 1 running", "hello", "Tab: facts"]);
    terminal.press("\t");
    terminal.wait_for(&["command", "folder", "Tab: output"]);
    terminal.press("\x1b");
    terminal.wait_for(&["second"]);
    terminal.press("q");
    assert_eq!(terminal.wait_end().code(), Some(0));
    assert_eq!(home.task(&first).state, "running");
}

#[test]
fn keys_change_tasks() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let running = queue(&home, "sleep 600", 100);
    home.wait_state(&running, &["running"]);
    let [low, high] = [50, 100].map(|priority| queue(&home, "sleep 601", priority));
    let mut terminal = Terminal::run(top(&home), SMALL);
    terminal.wait_for(&["1/1 running, 2 queued"]);
    // What runs is not ended by one key.
    terminal.press("jc");
    terminal.wait_for(&["sure?", "task 1 is running"]);
    terminal.press("n");
    terminal.wait_for(&["nothing was done"]);
    terminal.press("G++");
    terminal.wait_for(&[&format!("task {low} has priority 70")]);
    assert_eq!(home.task(&low).priority, 70);
    terminal.press("h");
    terminal.wait_for(&[&format!("task {low} is held")]);
    home.wait_state(&low, &["held"]);
    terminal.press("/state:held\r");
    terminal.wait_until("the held one alone", |screen| {
        screen.contains("/state:held 1/1") && !screen.contains("sleep 600")
    });
    terminal.press("p");
    terminal.wait_for(&["what runs can be paused"]);
    terminal.press("\x1b");
    terminal.wait_for(&["sleep 600"]);
    terminal.press("gcy");
    home.wait_state(&running, &["cancelled"]);
    home.wait_state(&high, &["running"]);
    terminal.wait_for(&["cancelled"]);
    terminal.press("Py");
    terminal.wait_for(&[
        "starts are paused",
        "running, 0 queued, 1 held, 1 cancelled · paused",
    ]);
    assert!(home.summary().paused);
}

#[test]
fn the_terminal_is_given_back() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    for end in [None, Some(Signal::TERM), Some(Signal::INT), Some(Signal::HUP)] {
        let mut terminal = Terminal::run(top(&home), SMALL);
        terminal.wait_for(&["? help"]);
        assert!(!terminal.has_its_mode() && terminal.text().contains(OTHER_SCREEN));
        match end {
            None => terminal.press("q"),
            Some(signal) => terminal.signal(signal),
        }
        let expected = if end.is_none() { 0 } else { 130 };
        assert_eq!(terminal.wait_end().code(), Some(expected), "{end:?}");
        assert!(terminal.has_its_mode(), "{end:?}");
        support::wait_for("the own screen", || {
            terminal.text().ends_with(OWN_SCREEN).then_some(())
        });
    }
}

#[test]
fn the_screen_fits_its_terminal() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    queue(&home, "sleep 600", 100);
    let mut terminal = Terminal::run(top(&home), SMALL);
    terminal.wait_for(&["WORKER/LABEL", "shell/nightly"]);
    terminal.resize((200, 60));
    terminal.wait_for(&["WORKSPACE", "MEMORY", "LABEL", "nightly", "sleep 600"]);
    terminal.resize((30, 5));
    terminal.wait_for(&["30×5 is too small"]);
    terminal.resize((40, 10));
    terminal.wait_for(&["running", "sleep 600"]);
}

#[test]
fn it_outlives_the_daemon() {
    let home = Home::with_config(CONFIG);
    let daemon = home.daemon();
    let task = queue(&home, "sleep 600", 100);
    home.wait_state(&task, &["running"]);
    let mut terminal = Terminal::run(top(&home), SMALL);
    terminal.wait_for(&["sleep 600"]);
    daemon.kill();
    terminal.wait_for(&["the daemon is away: reconnecting", "sleep 600"]);
    terminal.press("jcy");
    terminal.wait_for(&["nothing was done"]);
    let _daemon = home.daemon();
    terminal.wait_until("a daemon that is there", |screen| {
        !screen.contains("reconnecting")
    });
    queue(&home, "after the restart", 100);
    terminal.wait_for(&["after the restart", "sleep 600"]);
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let home = Home::with_config(CONFIG);
    insta::assert_snapshot!(shown(&home.run(["top"])), @"
    exit status: 2
    --- stdout
    --- stderr
    error: top needs a terminal, for its screen and for its keys
    hint: `wezterm-parallel status --watch` prints the queue on each change, to a file too
    ");
    assert!(!home.socket().exists(), "no daemon is started for nothing");
}
