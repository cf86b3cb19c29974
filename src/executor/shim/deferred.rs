//! The sandbox of a worker that needs something first, a worktree or secrets: that is brought about outside of it.
//!
//! The shim leaves the plan in the attempt folder. The process that brought it about reads it, leaves in its place
//! what came of it, enters, and becomes the worker, which can change neither.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::sandbox::Sandbox;
use crate::executor::folder::AttemptFolder;
use crate::executor::SandboxPlan;
use crate::protocol::SandboxReport;

const FILE: &str = "sandbox.json";

/// Leaves a plan for whoever stands before the worker.
pub(super) fn leave(plan: &SandboxPlan, attempt: &AttemptFolder) -> io::Result<()> {
    attempt.write_renamed(FILE, &serde_json::to_vec(plan)?)
}

/// What the worker was kept in; `None` if it came to none.
pub(super) fn report(attempt: &AttemptFolder) -> Option<SandboxReport> {
    let content = std::fs::read(attempt.file(FILE)).ok()?;
    let report: SandboxReport = serde_json::from_slice(&content).ok()?;
    // A plan has no words.
    (!report.words.is_empty()).then_some(report)
}

/// Puts the calling process into the sandbox that was planned for an attempt, if one was, with its worktree open. What
/// comes in front of the worker's own words: on macOS a program that starts others in a sandbox.
///
/// # Errors
/// If the plan cannot be followed; the worker must not be started then.
pub fn enter_sandbox(attempt: &Path, worktree: Option<&Path>) -> Result<Vec<OsString>, String> {
    let attempt = AttemptFolder::new(attempt.to_owned());
    let failed = |error: io::Error| format!("its sandbox cannot be made: {error}");
    let content = match std::fs::read(attempt.file(FILE)) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let plan: SandboxPlan = serde_json::from_slice(&content).map_err(|error| failed(error.into()))?;
    let plan = SandboxPlan {
        closed_cwd: plan.closed_cwd && worktree.is_none(),
        ..plan
    };
    let cwd = match worktree {
        Some(worktree) => worktree.to_owned(),
        None => std::env::current_dir().map_err(failed)?,
    };
    let Sandbox { ruleset, report } = Sandbox::prepare(&plan, &cwd, &attempt)?;
    let report = serde_json::to_vec(&report).map_err(|error| failed(error.into()))?;
    attempt.write_renamed(FILE, &report).map_err(failed)?;
    let before = ruleset.program();
    let entered = ruleset.enter();
    entered.map_err(|()| "its sandbox cannot be entered (16 can be nested)".to_owned())?;
    Ok(before)
}
