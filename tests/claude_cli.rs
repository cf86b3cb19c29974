//! The real Claude Code CLI against a stub of its API: first by itself, so that a new version which behaves otherwise
//! is noticed here, then as a worker, from the command line to the processes.
//!
//! Ignored unless asked for: `.ci/run claude` fetches the CLI in the version that `.ci/claude-code/` pins.
#![cfg(target_os = "linux")]

mod claude_support;
mod support;

#[path = "claude_support/facts_tests.rs"]
mod facts;
#[path = "claude_support/hooks_tests.rs"]
mod hooks;
#[path = "claude_support/worker_tests.rs"]
mod worker;
