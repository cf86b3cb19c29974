//! How many attempts a second the executor alone gets through: 2,000 × `true`, two at a time, next
//! to `xargs -P2` in the same run, several rounds of each in turn.
//!
//! No folder is deleted before the last round is over: ext4 avoids inodes that were deleted within
//! the last minutes, and looks at each of them for every file that it makes. After 10,000 deleted
//! files a new one took 770 µs instead of 15 µs, so a round would measure the clean-up before it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wezterm_parallel::executor::{
    AttemptId, Executor, ExecutorOptions, Launch, ProcessExecutor, Report, StopPlan,
};
use wezterm_parallel_scheduler::TaskKey;

const ATTEMPTS: u64 = 2_000;
const AT_A_TIME: u64 = 2;
const ROUNDS: u32 = 5;

fn main() -> io::Result<()> {
    let mut rates = Vec::new();
    let mut homes = Vec::new();
    for _ in 0..ROUNDS {
        let home = tempfile::tempdir()?;
        let ours = rate(run_attempts(home.path())?);
        homes.push(home);
        let xargs = rate(run_xargs()?);
        writeln!(
            io::stdout(),
            "executor {ours:.0}/s, xargs -P2 {xargs:.0}/s, ratio {:.2}",
            ours / xargs
        )?;
        rates.push(ours);
    }
    rates.sort_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    writeln!(io::stdout(), "executor, median: {median:.0}/s")
}

fn rate(elapsed: Duration) -> f64 {
    ATTEMPTS as f64 / elapsed.as_secs_f64()
}

fn run_attempts(home: &Path) -> io::Result<Duration> {
    let (sender, mut reports) = mpsc::channel(64);
    let options = ExecutorOptions {
        runtime: home.join("run"),
        lock: home.join("launcher.lock"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_wezterm-parallel")),
    };
    let mut executor = ProcessExecutor::start(options, sender)?;
    let start = Instant::now();
    let mut next = 1;
    let mut ended = 0;
    while ended < ATTEMPTS {
        while next <= ATTEMPTS && next - ended <= AT_A_TIME {
            executor.launch(launch(home, next))?;
            next += 1;
        }
        match reports.blocking_recv() {
            Some(Report::Ended(_, exit)) if exit.exit_code == Some(0) => ended += 1,
            other => return Err(io::Error::other(format!("unexpected: {other:?}"))),
        }
    }
    Ok(start.elapsed())
}

fn launch(home: &Path, key: u64) -> Launch {
    let key = TaskKey(key);
    Launch {
        id: AttemptId { key, attempt: 1 },
        folder: home.join(format!("tasks/{}/1", key.0)),
        argv: vec!["true".to_owned()],
        cwd: home.to_owned(),
        env: std::env::vars().collect::<BTreeMap<_, _>>(),
        stdin: None,
        stdin_open: false,
        worktree: None,
        secrets: Vec::new(),
        separate_stderr: false,
        timeout_ms: None,
        stop: StopPlan {
            signal: 15,
            grace_ms: 10_000,
            then: None,
        },
        output_cap_bytes: 256 << 20,
    }
}

fn run_xargs() -> io::Result<Duration> {
    let start = Instant::now();
    let mut xargs = Command::new("xargs")
        .args(["-P2", "-n1", "true"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = xargs.stdin.take() {
        for number in 0..ATTEMPTS {
            writeln!(stdin, "{number}")?;
        }
    }
    xargs.wait()?;
    Ok(start.elapsed())
}
