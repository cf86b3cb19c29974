//! What it costs to read the host: CPU time of the thread that samples, as a share of one core, at the intervals
//! that admission uses.
//!
//! No criterion here: what a kernel file costs depends on the processes that there are, and on how long ago it was
//! read, so eight workers of twenty real processes run, and time passes as it does in the daemon. This program is
//! also the shims and the processes below them.
#![allow(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{clock_gettime, ClockId};
use wezterm_parallel::host::{Host, Sampler};

const SHIMS: usize = 8;
const PROCESSES: usize = 20;
const SIZE: usize = 8 << 20;
/// Enough for every process to be measured anew.
const CHANGE: usize = 2 << 20;
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// Trees are read with every fourth sample.
const TREES_EVERY: usize = 4;
const IDLE: Duration = Duration::from_secs(20);
/// Longer than a measurement is believed.
const BUSY: Duration = Duration::from_secs(90);
const PAGE: usize = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments.as_slice() {
        ["shim", threads] => shim(threads),
        ["process", threads] => process(threads.parse().unwrap()),
        // `cargo test --benches` and `cargo bench -- --list` want no figures.
        arguments if arguments.contains(&"--bench") => bench(),
        _ => {}
    }
}

fn bench() {
    let mut sampler = Sampler::new();
    run("idle: no workers", &mut sampler, &mut [], IDLE, false);
    let mut shims = start(1);
    run("8 workers of 20 processes", &mut sampler, &mut shims, BUSY, false);
    run(
        "the same, all sizes change all the time",
        &mut sampler,
        &mut shims,
        BUSY,
        true,
    );
    drop(shims);
    let mut shims = start(10);
    run(
        "8 workers of 20 processes of 10 threads",
        &mut sampler,
        &mut shims,
        BUSY,
        false,
    );
}

/// Samples for a while, and prints what it has cost.
fn run(name: &str, sampler: &mut Sampler, shims: &mut [Shim], time: Duration, changing: bool) {
    let pids: Vec<i32> = shims.iter().map(|shim| shim.child.id() as i32).collect();
    let (mut samples, mut trees) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    let mut told = Vec::new();
    for turn in 0.. {
        let now = begin.elapsed();
        if now >= time {
            break;
        }
        samples.push(cost(|| drop(black_box(sampler.sample(now)))));
        if turn % TREES_EVERY == 0 {
            trees.push(cost(|| told = sampler.trees(now, &pids)));
            for shim in shims.iter_mut().filter(|_| changing) {
                shim.input.write_all(b"\n").unwrap();
            }
        }
        std::thread::sleep(
            (begin + SAMPLE_EVERY * (turn as u32 + 1)).saturating_duration_since(Instant::now()),
        );
    }
    let processes: usize = told.iter().flatten().map(|tree| tree.processes).sum();
    let bytes: u64 = told.iter().flatten().map(|tree| tree.bytes).sum();
    let used: Duration = samples.iter().chain(&trees).sum();
    println!(
        "{name}: {:.3} % of a core ({processes} processes with {} MiB)",
        used.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0,
        bytes >> 20
    );
    for (call, mut costs) in [("sample", samples), ("trees", trees)] {
        costs.sort_unstable();
        let (median, most) = (costs[costs.len() / 2], costs[costs.len() - 1]);
        println!("    {call}: median {median:?}, at most {most:?}");
    }
}

/// The CPU time of this thread for one call.
fn cost(call: impl FnOnce()) -> Duration {
    let used = || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
    };
    let before = used();
    call();
    used() - before
}

/// A process that stands for a shim: it has twenty below it. A line to it is a line to each of them.
struct Shim {
    child: Child,
    input: ChildStdin,
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(threads: usize) -> Vec<Shim> {
    let shim = |_| {
        let (child, input) = spawn("shim", &threads.to_string());
        Shim { child, input }
    };
    (0..SHIMS).map(shim).collect()
}

/// Starts this program in another role, and waits until it says that it is ready.
fn spawn(role: &str, threads: &str) -> (Child, ChildStdin) {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args([role, threads])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut ready = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

fn shim(threads: &str) {
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn("process", threads)).collect();
    say_ready();
    for line in BufReader::new(std::io::stdin()).lines() {
        let line = line.unwrap() + "\n";
        for (_, input) in &mut children {
            input.write_all(line.as_bytes()).unwrap();
        }
    }
}

/// Takes memory, and a little more or less with each line, until its input ends.
fn process(threads: usize) {
    for _ in 1..threads {
        std::thread::spawn(|| loop {
            std::thread::park();
        });
    }
    let held = touched(SIZE);
    say_ready();
    let mut more = None;
    for line in BufReader::new(std::io::stdin()).lines() {
        line.unwrap();
        more = match more {
            None => Some(touched(CHANGE)),
            Some(_) => None,
        };
    }
    drop((held, more));
}

fn touched(size: usize) -> Vec<u8> {
    let mut memory = vec![0; size];
    for page in memory.iter_mut().step_by(PAGE) {
        *page = 1;
    }
    black_box(memory)
}

fn say_ready() {
    let mut output = std::io::stdout();
    output.write_all(b"r").unwrap();
    output.flush().unwrap();
}
