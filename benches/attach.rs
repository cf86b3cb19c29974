//! The viewer in figures: how soon a line shows, what it costs to wait, how fast it is next to `cat`, and how
//! soon a long history opens.
//!
//! No criterion here: these are whole processes, on a terminal of their own. The bench writes into the output
//! of a task that only sleeps, so that one clock sees both ends.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use support::{wait_for, Home};

#[path = "../tests/support/mod.rs"]
mod support;

const LINES: usize = 2_000;
const IDLE: Duration = Duration::from_secs(10);
const FLAT_OUT_BYTES: usize = 256 << 20;
const HISTORY_BYTES: usize = 1 << 30;
const RUNS: usize = 5;
const FOOTER_BYTES_MAX: usize = 400;
const END: &[u8] = b"the last line\n";

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` want no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let home = Home::new();
    let _daemon = home.daemon();
    latency_and_idle(&home);
    flat_out(&home);
    history(
        &home,
        "text",
        b"a line of text as a worker may print it, neither long nor short\n",
    );
    let event = concat!(
        r#"{"type":"assistant","session_id":"s","message":{"model":"opus","content":[{"type":"tool_use","id":"t","#,
        r#""name":"Bash","input":{"command":"cargo test --workspace"}}]}}"#,
        "\n"
    );
    history(&home, "events", event.as_bytes());
}

/// A viewer on a terminal, and what arrives there with its time.
struct Pane {
    viewer: Child,
    arrivals: Receiver<(Instant, Vec<u8>)>,
    _terminal: File,
}

impl Pane {
    fn open(home: &Home, program: &str, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let (tx, arrivals) = channel();
        let mut screen = File::from(master);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if tx.send((Instant::now(), bytes[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        let viewer = home
            .command_of(program, arguments)
            .stdin(Stdio::null())
            .stdout(terminal.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self {
            viewer,
            arrivals,
            _terminal: terminal,
        }
    }

    fn attach(home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["attach"].iter().chain(arguments).copied().collect();
        Self::open(home, support::PROGRAM, &all)
    }

    /// When these bytes had arrived, in the order in which they are asked for.
    fn wait_for(&self, text: &[u8], seen: &mut Vec<u8>) -> Instant {
        loop {
            let (at, bytes) = self.arrivals.recv_timeout(support::DEADLINE).unwrap();
            seen.extend_from_slice(&bytes);
            if let Some(found) = seen.windows(text.len()).position(|window| window == text) {
                seen.drain(..found + text.len());
                return at;
            }
            let keep = seen.len().saturating_sub(text.len());
            seen.drain(..keep);
        }
    }

    /// Reads all of it; when the last line came.
    fn wait_for_end(&self) -> Instant {
        let text = END.strip_suffix(b"\n").unwrap();
        let mut seen: Vec<u8> = Vec::new();
        loop {
            let (at, bytes) = self.arrivals.recv_timeout(support::DEADLINE).unwrap();
            seen.extend_from_slice(&bytes);
            // Only a footer may come after it; to look through all of it would slow the terminal down.
            seen.drain(..seen.len().saturating_sub(FOOTER_BYTES_MAX));
            if seen.windows(text.len()).any(|window| window == text) {
                return at;
            }
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = self.viewer.kill();
        let _ = self.viewer.wait();
    }
}

/// A task that sleeps, and its output to be written into.
fn sleeper(home: &Home) -> (String, File) {
    let id = home.queue("sleep 1000");
    home.wait_state(&id, &["running"]);
    let path = home.attempt(&id, 1).join("output");
    let open = || File::options().append(true).open(&path).ok();
    (id, wait_for("the output", open))
}

fn latency_and_idle(home: &Home) {
    let (id, mut output) = sleeper(home);
    let pane = Pane::attach(home, &["--task", &id]);
    let mut seen = Vec::new();
    output.write_all(b"begin\n").unwrap();
    pane.wait_for(b"begin", &mut seen);
    let mut taken: Vec<Duration> = (0..LINES)
        .map(|n| {
            let line = format!("line {n:08}");
            let written = Instant::now();
            output.write_all(format!("{line}\n").as_bytes()).unwrap();
            let at = pane.wait_for(line.as_bytes(), &mut seen);
            // A worker that writes at once again would find the viewer awake.
            std::thread::sleep(Duration::from_millis(2));
            at - written
        })
        .collect();
    taken.sort_unstable();
    println!(
        "a line shows after: median {:?}, p99 {:?}, max {:?}",
        taken[LINES / 2],
        taken[LINES * 99 / 100],
        taken[LINES - 1]
    );
    let before = cpu(&pane.viewer);
    std::thread::sleep(IDLE);
    let used = cpu(&pane.viewer) - before;
    println!(
        "idle: {:.4} % CPU",
        used.as_secs_f64() / IDLE.as_secs_f64() * 100.0
    );
    home.ok(["cancel", &id]);
}

/// What all threads of a process have used.
fn cpu(process: &Child) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let used = |thread: PathBuf| {
        let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let all: u64 = threads.filter_map(|thread| used(thread.ok()?.path())).sum();
    Duration::from_nanos(all)
}

/// A task that has ended, with this output.
fn ended(home: &Home, line: &[u8], bytes: usize) -> (String, PathBuf) {
    let id = home.queue("true");
    home.wait_state(&id, &["succeeded"]);
    let path = home.attempt(&id, 1).join("output");
    let mut file = File::create(&path).unwrap();
    let block = line.repeat((1 << 20) / line.len());
    let mut written = 0;
    while written < bytes {
        file.write_all(&block).unwrap();
        written += block.len();
    }
    let last = if line.starts_with(b"{") {
        let text = String::from_utf8_lossy(&END[..END.len() - 1]).into_owned();
        format!("{{\"type\":\"assistant\",\"session_id\":\"s\",\"message\":{{\"model\":\"opus\",\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}\n").into_bytes()
    } else {
        END.to_vec()
    };
    file.write_all(&last).unwrap();
    (id, path)
}

fn flat_out(home: &Home) {
    let plain: &[u8] = b"a line of text as a worker may print it, neither long nor short\n";
    let coloured: &[u8] = b"\x1b[32m   Compiling\x1b[0m gr\xc3\xbcn v0.1.0 \xe2\x9c\x93 (/home/me/project)\n";
    for (name, line) in [("plain", plain), ("coloured", coloured)] {
        let (id, path) = ended(home, line, FLAT_OUT_BYTES);
        let path_words = path.display().to_string();
        let arguments = ["--task", &id, "--tail", "99999999999"];
        for sink in ["a terminal", "a pipe"] {
            let mut ratios: Vec<(f64, Duration, Duration)> = (0..RUNS)
                .map(|_| {
                    let cat = timed(home, "cat", &[&path_words], sink);
                    let all: Vec<&str> = ["attach"].iter().chain(&arguments).copied().collect();
                    let attach = timed(home, support::PROGRAM, &all, sink);
                    (cat.as_secs_f64() / attach.as_secs_f64(), cat, attach)
                })
                .collect();
            ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (ratio, cat, attach) = ratios[RUNS / 2];
            println!("flat out, {name}, to {sink}: {ratio:.2} of cat (cat {cat:?}, attach {attach:?})");
        }
        std::fs::remove_file(path).unwrap();
    }
}

/// From the start of a program to the last line of what it shows.
fn timed(home: &Home, program: &str, arguments: &[&str], sink: &str) -> Duration {
    let begin = Instant::now();
    if sink == "a terminal" {
        return Pane::open(home, program, arguments).wait_for_end() - begin;
    }
    let mut child = home
        .command_of(program, arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut bytes = vec![0; 64 << 10];
    while matches!(pipe.read(&mut bytes), Ok(1..)) {}
    child.wait().unwrap();
    begin.elapsed()
}

fn history(home: &Home, name: &str, line: &[u8]) {
    let (id, path) = ended(home, line, HISTORY_BYTES);
    let mut taken: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            Pane::attach(home, &["--task", &id]).wait_for_end() - begin
        })
        .collect();
    taken.sort_unstable();
    println!(
        "1 GiB of {name} opens at its tail in: median {:?}, max {:?}",
        taken[RUNS / 2],
        taken[RUNS - 1]
    );
    std::fs::remove_file(path).unwrap();
}
