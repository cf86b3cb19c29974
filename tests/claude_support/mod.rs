//! The Claude Code CLI under test, which speaks to a stub of its API: by itself, or as the worker of a daemon.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

pub mod alone;
pub mod queued;
pub mod stub;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::kill;
use crate::support::{Home, PROGRAM};
use stub::Stub;

/// Marks every process that belongs to a test's CLI, whatever else of the environment a tool is given. Tasks get variables of
/// this name from whoever queues them.
const MARK: &str = "XDG_TEST_MARK";

/// The CLI that is tested.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("WEZTERM_PARALLEL_CLAUDE")
        .expect("WEZTERM_PARALLEL_CLAUDE says which Claude Code CLI to test; `.ci/run claude` installs one");
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{} is no file", path.display());
    path
}

/// How the CLI shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// By a key of the API.
    Key,
    /// By a subscription's token; only these hear of usage limits.
    Subscription,
}

/// A command with what makes the CLI speak to the stub and to nothing else.
pub fn with_stub<'a>(
    command: &'a mut Command,
    home: &Home,
    stub: &Stub,
    account: Account,
) -> &'a mut Command {
    let secret = match account {
        Account::Key => "ANTHROPIC_API_KEY",
        Account::Subscription => "CLAUDE_CODE_OAUTH_TOKEN",
    };
    command
        .env("ANTHROPIC_BASE_URL", stub.url())
        .env(secret, "sk-ant-of-no-worth")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        // Enough to see a retry, not enough to wait for minutes.
        .env("CLAUDE_CODE_MAX_RETRIES", "2")
        .env(MARK, home.path())
}

/// The folder in which the CLI works; its home stays apart from it.
pub fn project(home: &Home) -> PathBuf {
    let project = home.path().join("project");
    std::fs::create_dir_all(&project).expect("the project's folder");
    project
}

/// A process of the CLI or of one of its tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its program and arguments.
    pub line: String,
    /// Its variables, as `NAME=VALUE`.
    pub environment: Vec<String>,
}

/// Ends what is left of a home's CLI and its tools; a failing test leaves some.
pub struct Sweeper {
    home: PathBuf,
}

impl Sweeper {
    /// For this home.
    pub fn of(home: &Home) -> Self {
        let home = home.path().to_owned();
        Self { home }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        for process in processes_of(&self.home) {
            kill(process.pid);
        }
    }
}

/// Every process that was started with what [`with_stub`] sets, and what those started.
pub fn processes(home: &Home) -> Vec<Process> {
    processes_of(home.path())
}

fn processes_of(home: &Path) -> Vec<Process> {
    let mark = format!("{MARK}={}", home.display());
    let all = std::fs::read_dir("/proc").expect("the kernel's files of processes");
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.map(process)
        .filter(|process| process.environment.contains(&mark))
        // The command line that queues is none of them.
        .filter(|process| !process.line.starts_with(PROGRAM))
        .collect()
}

/// A process that is gone has neither arguments nor variables.
fn process(pid: i32) -> Process {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let (line, environment) = (read("cmdline"), read("environ"));
    let variables = environment.split(|byte| *byte == 0);
    Process {
        pid,
        line: String::from_utf8_lossy(&line).replace('\0', " "),
        environment: variables
            .map(|one| String::from_utf8_lossy(one).into_owned())
            .collect(),
    }
}
