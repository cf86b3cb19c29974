//! What it costs to have the Claude Code CLI run by the daemon, against the same CLI run by hand.
//!
//! No criterion here: a run takes half a second, and only the difference within a pair says anything. Needs
//! `WEZTERM_PARALLEL_CLAUDE`, the path of the CLI; it speaks to a stub of its API on this machine.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use claude_support::stub::{Reply, Stub};
use claude_support::{binary, project, with_stub, Account};
use support::{Home, PROGRAM};
use wezterm_parallel::client::{Client, Events};
use wezterm_parallel::protocol::{Answer, Event, Message, Subscribe, TaskQueue};

#[path = "../tests/claude_support/mod.rs"]
mod claude_support;
#[path = "../tests/support/mod.rs"]
mod support;

/// Pairs of runs, one by hand and one by the daemon, in turns.
const PAIRS: usize = 30;
/// Workers that write at once for the measurement of memory.
const WRITERS: u32 = 8;
/// What each of them writes, in bytes.
const WRITTEN: usize = 64 << 20;

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` want no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    overhead();
    memory();
}

fn overhead() {
    let stub = Stub::start([Reply::text("done")]);
    let config = format!(
        "[pool]\ndefault_worker = \"claude\"\n[workers.claude]\nkind = \"claude\"\nbinary = {:?}\n",
        binary()
    );
    let home = Home::with_config(&config);
    let _daemon = home.daemon();
    let mut desk = Desk::new(&home);
    let environment = environment(&home, &stub);
    // The first run of the CLI in a home sets that home up.
    by_hand(&home, &stub);
    let mut pairs: Vec<(f64, f64)> = (0..PAIRS)
        .map(|pair| {
            // Who goes first may matter, so they take turns.
            if pair % 2 == 0 {
                let hand = by_hand(&home, &stub);
                (hand, desk.by_daemon(&home, &environment))
            } else {
                let daemon = desk.by_daemon(&home, &environment);
                (by_hand(&home, &stub), daemon)
            }
        })
        .map(|(hand, daemon)| (hand.as_secs_f64(), daemon.as_secs_f64()))
        .collect();
    let sum = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let (hand, daemon) = (sum(|pair| pair.0), sum(|pair| pair.1));
    pairs.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (hand_ms, daemon_ms) = (hand * 1e3 / PAIRS as f64, daemon * 1e3 / PAIRS as f64);
    let median_ms = (pairs[PAIRS / 2].1 - pairs[PAIRS / 2].0) * 1e3;
    println!(
        "{PAIRS} runs each: {hand_ms:.0} ms by hand, {daemon_ms:.0} ms by the daemon, ratio {:.3}",
        daemon / hand
    );
    println!("difference within a pair: median {median_ms:.1} ms");
}

/// Runs the CLI by hand, with its output into a file.
fn by_hand(home: &Home, stub: &Stub) -> Duration {
    let (prompt, output) = (home.path().join("prompt"), home.path().join("output"));
    std::fs::write(&prompt, "do as scripted").expect("the prompt");
    let mut command = home.command_of(
        binary().to_str().expect("UTF-8"),
        ["-p", "--output-format", "stream-json", "--verbose"],
    );
    with_stub(&mut command, home, stub, Account::Key)
        .current_dir(project(home))
        .stdin(File::open(prompt).expect("the prompt"))
        .stdout(File::create(output).expect("the output"));
    let begin = Instant::now();
    let status = command.status().expect("the CLI starts");
    assert!(status.success(), "{status}");
    begin.elapsed()
}

/// Two connections to the daemon: one to queue, one to hear what becomes of it.
struct Desk {
    client: Client,
    events: Events,
}

impl Desk {
    fn new(home: &Home) -> Self {
        let subscribed = home.client().subscribe(Subscribe::default());
        let (_, events) = subscribed.expect("a subscription");
        Self {
            client: home.client(),
            events,
        }
    }

    /// Queues the same and waits for its end.
    fn by_daemon(&mut self, home: &Home, environment: &BTreeMap<String, String>) -> Duration {
        let begin = Instant::now();
        let id = self.queue(TaskQueue {
            command: Some("do as scripted".to_owned()),
            cwd: Some(project(home).display().to_string()),
            env: Some(environment.clone()),
            ..TaskQueue::default()
        });
        self.wait(&id);
        begin.elapsed()
    }

    fn queue(&mut self, task: TaskQueue) -> String {
        match self.client.ask(&Message::TaskQueue(Box::new(task))) {
            Ok(Answer::StatusUpdate(update)) => update.process_id,
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self, id: &str) {
        let ended = self
            .events
            .by_ref()
            .find_map(|event| match event.expect("an event") {
                Event::Task(task)
                    if task.id == id && task.attempts.iter().any(|attempt| attempt.outcome.is_some()) =>
                {
                    Some(task.state)
                }
                _ => None,
            });
        assert_eq!(ended.as_deref(), Some("succeeded"));
    }
}

fn environment(home: &Home, stub: &Stub) -> BTreeMap<String, String> {
    let mut command = home.command(["status"]);
    let command = with_stub(&mut command, home, stub, Account::Key);
    variables(command)
}

fn variables(command: &Command) -> BTreeMap<String, String> {
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    set.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The daemon's memory before and while workers write event lines as fast as they can.
fn memory() {
    let home = Home::new();
    let lines = home.path().join("lines");
    let writer = home.path().join("writer");
    std::fs::write(&lines, event_lines()).expect("the lines");
    let result =
        r#"{"type":"result","subtype":"success","is_error":false,"stop_reason":"end_turn","result":"done"}"#;
    std::fs::write(
        &writer,
        format!("#!/bin/sh\ncat {}\necho '{result}'\n", lines.display()),
    )
    .expect("the writer");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&writer, mode).expect("a program");
    home.configure(&format!(
        "[pool]\nslots = {WRITERS}\ndefault_worker = \"claude\"\n[workers.claude]\nkind = \"claude\"\nbinary = {writer:?}\n"
    ));
    let daemon = home.daemon();
    let mut desk = Desk::new(&home);
    let before = resident_kib(daemon.pid());
    let begin = Instant::now();
    let ids: Vec<String> = (0..WRITERS)
        .map(|_| {
            desk.queue(TaskQueue {
                command: Some("write".to_owned()),
                ..TaskQueue::default()
            })
        })
        .collect();
    let mut most = before;
    let mut open = ids.len();
    while open > 0 {
        most = most.max(resident_kib(daemon.pid()));
        let event = desk
            .events
            .next_timeout(Duration::from_millis(5))
            .expect("events");
        let ended = |event: &Event| matches!(event, Event::Task(task) if task.state == "succeeded");
        open -= usize::from(event.as_ref().is_some_and(ended));
    }
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "{WRITERS} workers wrote {} MiB of events each in {:.1} s: the daemon's memory grew from {:.1} to {:.1} MiB",
        WRITTEN >> 20,
        begin.elapsed().as_secs_f64(),
        mib(before),
        mib(most)
    );
}

/// Messages of a model, each of a few hundred bytes.
fn event_lines() -> String {
    let text = "The failing test expects the lock to be released first. ".repeat(8);
    let line = format!(
        "{{\"type\":\"assistant\",\"message\":{{\"model\":\"claude-opus-5-5\",\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}},\"session_id\":\"s\"}}\n"
    );
    line.repeat(WRITTEN / line.len())
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    digits.unwrap_or_else(|| panic!("{PROGRAM} with pid {pid} has no memory to be told"))
}
