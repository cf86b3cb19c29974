//! The worker's side of a worktree: the process that is to become the worker moves in.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::create::{enter, Entered};
use super::error::WorktreeError;
use super::git::make_homeless;
use super::record::{leave_pointer, Order, Record};

/// Where the worker finds its worktree.
const WORKTREE: &str = "WEZTERM_PARALLEL_WORKTREE";

/// Goes into the worktree, which is made if need be, and makes the worker ready for it.
///
/// # Errors
///
/// If there can be none, in git's own words.
pub fn move_in(order: &Order, attempt: Option<&Path>, worker: &mut Command) -> Result<(), String> {
    let entered = enter(order).map_err(|error| error.in_full())?;
    go_in(&entered, attempt).map_err(|error| error.in_full())?;
    make_homeless(worker);
    worker
        .env("PWD", &entered.folder)
        .env(WORKTREE, &entered.record.path);
    Ok(())
}

fn go_in(entered: &Entered, attempt: Option<&Path>) -> Result<(), WorktreeError> {
    if let Some(note) = &entered.note {
        // It is there all the same.
        let _ = writeln!(std::io::stderr(), "warning: {note}");
    }
    if let Some(attempt) = attempt {
        let record = Record {
            folder: Some(entered.folder.clone()),
            ..entered.record.clone()
        };
        leave_pointer(attempt, &record)?;
    }
    let go = || {
        std::env::set_current_dir(&entered.folder)?;
        entered.lock.hand_on()
    };
    go().map_err(|error| WorktreeError::file(&entered.folder, error))
}
