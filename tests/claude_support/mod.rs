//! The Claude Code CLI under test, which speaks to a stub of its API: by itself, or as the worker of a daemon.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

pub mod alone;
pub mod queued;
pub mod stub;

use std::path::PathBuf;
use std::process::Command;

use crate::support::Home;
use stub::Stub;

/// Marks every process that belongs to a test's CLI, whatever else of the environment a tool is given.
pub const MARK: &str = "TEST_MARK";

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
