//! `status --watch` and `status --format`, with the real daemon behind them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{channel, Receiver};

use support::{shown, wait_for, Home, DEADLINE};
use terminal::Terminal;
use wezterm_parallel::protocol::{Ids, Message, StatusAnswer};

mod support;
mod terminal;

const CONFIG: &str = "[pool]\nslots = 1\ndefault_worker = \"shell\"\n[admission]\nenabled = false\n";
const FORMAT: &str = "{state} {running}/{slots}[ {queued} queued]";

/// A command whose lines are read as they come.
struct Lines {
    program: Child,
    lines: Receiver<String>,
}

impl Lines {
    fn of(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(arguments);
        let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout: BufReader<ChildStdout> = BufReader::new(program.stdout.take().unwrap());
        let (tx, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    break;
                }
            }
        });
        Self { program, lines }
    }

    /// The first line from here on for which this holds.
    fn wait_for(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}: no {what} after {seen:#?}"),
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn a_bar_is_told_without_a_daemon() {
    let home = Home::with_config(CONFIG);
    insta::assert_snapshot!(shown(&home.run(["status", "--format", FORMAT])), @"
    exit status: 0
    --- stdout
    off
    --- stderr
    ");
    insta::assert_snapshot!(shown(&home.run(["status", "--format", "{queued}", "--off", ""])), @"
    exit status: 0
    --- stdout

    --- stderr
    ");
    assert!(!home.socket().exists(), "a bar starts no daemon");
    insta::assert_snapshot!(shown(&home.run(["status", "--format", "{quued}"])), @"
    exit status: 2
    --- stdout
    --- stderr
    error: invalid value '{quued}' for '--format <FORMAT>': there is no field {quued}: did you mean `queued`?

    For more information, try '--help'.
    ");
}

#[test]
fn the_examples_for_bars_are_what_bars_take() {
    let home = Home::with_config(CONFIG);
    let page = include_str!("../docs/bars.md");
    let line = page.lines().find(|line| line.contains("\"exec\":")).unwrap();
    let line: String =
        serde_json::from_str(line.trim().trim_start_matches("\"exec\":").trim_end_matches(',')).unwrap();
    // The words as a shell takes them apart: only quotes of one kind are used.
    let words: Vec<&str> = line.split('\'').collect();
    let [_, format, _, off, ""] = words[..] else {
        panic!("{words:?}");
    };
    let told = |status: &str| serde_json::from_str::<serde_json::Value>(status).unwrap();
    let arguments = ["status", "--format", format, "--off", off];
    assert_eq!(told(&home.ok(arguments))["class"], "off");
    let _daemon = home.daemon();
    home.queue("sleep 600");
    home.queue("sleep 601");
    wait_for("both of them", || {
        (told(&home.ok(arguments))["text"] == "1/1 +1").then_some(())
    });
}

#[test]
fn a_bar_hears_of_each_change() {
    let home = Home::with_config(CONFIG);
    let lines = Lines::of(&home, &["status", "--format", FORMAT, "--watch"]);
    lines.wait_for("word of no daemon", |line| line == "off");
    let daemon = home.daemon();
    lines.wait_for("word of a daemon", |line| line == "idle 0/1");
    let running = home.queue("sleep 600");
    lines.wait_for("a task that runs", |line| line == "running 1/1");
    home.queue("sleep 601");
    lines.wait_for("a queue", |line| line == "running 1/1 1 queued");
    home.client().ask(&Message::Pause(Ids::default())).unwrap();
    lines.wait_for("a pause", |line| line == "paused 1/1 1 queued");
    home.ok(["cancel", &running]);
    lines.wait_for("the end of the task", |line| line == "paused 0/1 1 queued");
    drop(daemon);
    lines.wait_for("the end of the daemon", |line| line == "off");
}

#[test]
fn the_queue_is_printed_anew_on_each_change() {
    let home = Home::with_config(CONFIG);
    let daemon = home.daemon();
    let text = Lines::of(&home, &["status", "--watch"]);
    let json = Lines::of(&home, &["status", "--watch", "--json", "--state", "running"]);
    text.wait_for("an empty queue", |line| line.starts_with("0/1 running, 0 queued"));
    json.wait_for("an empty queue", |line| line.contains("\"tasks\":[]"));
    let task = home.queue("sleep 600");
    text.wait_for("the task", |line| line.contains("sleep 600"));
    let line = json.wait_for("the task", |line| line.contains("sleep 600"));
    let answer: StatusAnswer = serde_json::from_str(&line).unwrap();
    assert_eq!(answer.tasks[0].id, task);
    // No task changes by this.
    home.client().ask(&Message::Pause(Ids::default())).unwrap();
    text.wait_for("a pause", |line| line.contains("· paused"));
    daemon.kill();
    let _daemon = home.daemon();
    home.ok(["cancel", &task]);
    text.wait_for("the end, by the next daemon", |line| line.contains("1 cancelled"));
    json.wait_for("the end, by the next daemon", |line| {
        line.contains("\"cancelled\":1")
    });
}

#[test]
fn a_screen_is_kept_up_to_date() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let terminal = Terminal::run(home.command(["status", "--watch"]), (80, 12));
    terminal.wait_for(&["0/1 running, 0 queued"]);
    for _ in 0..20 {
        home.queue("sleep 600");
    }
    terminal.wait_for(&["1/1 running, 19 queued", "sleep 600", "… and 13 more"]);
    wait_for("no line below the last", || {
        (terminal.screen().lines().last() == Some("")).then_some(())
    });
}

#[test]
fn a_format_goes_with_no_table() {
    let home = Home::with_config(CONFIG);
    insta::assert_snapshot!(shown(&home.run(["status", "--format", "x", "--json"])), @"
    exit status: 2
    --- stdout
    --- stderr
    error: the argument '--format <FORMAT>' cannot be used with '--json'

    Usage: wezterm-parallel status --format <FORMAT>

    For more information, try '--help'.
    ");
    assert_eq!(home.run(["status", "--off", "x"]).status.code(), Some(2));
}
