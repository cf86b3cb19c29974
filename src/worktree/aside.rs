//! A worktree that git was killed in the middle of making: moved out of the way, and deleted only if all of it is git's.
//!
//! No worker was in it. But it may have lain there for days, and somebody may have found it.

use std::path::Path;
use std::process::Command;

use super::error::WorktreeError;
use super::git::{failed, finished, Git};
use super::place::Spot;
use super::record::Record;
use super::repository::branch_tip;

/// Moves it away. What somebody else has put there stays, where it was moved to.
pub(super) fn set_aside(record: &Record, spot: &Spot) -> Result<(), WorktreeError> {
    let Some(aside) = spot.move_aside()? else {
        return Ok(());
    };
    let tip = branch_tip(&record.repository, &record.branch)?;
    let index = spot.scratch("index-aside");
    let checkout = Checkout {
        record,
        folder: &aside,
        index: &index,
        commit: tip.as_deref().unwrap_or(&record.base),
    };
    // What cannot be told for certain is kept.
    let is_gits = checkout.is_all_gits().unwrap_or(false);
    let _ = std::fs::remove_file(&index);
    if is_gits {
        std::fs::remove_dir_all(&aside).map_err(|error| WorktreeError::file(&aside, error))?;
    }
    Ok(())
}

struct Checkout<'a> {
    record: &'a Record,
    folder: &'a Path,
    index: &'a Path,
    commit: &'a str,
}

impl Checkout<'_> {
    /// Whether each file is one of the commit, or the beginning of one.
    fn is_all_gits(&self) -> Result<bool, WorktreeError> {
        self.run(&["read-tree", self.commit])?;
        if !self.run(&["ls-files", "--others", "-z"])?.is_empty() {
            return Ok(false);
        }
        let changed = self.run(&["diff-files", "--name-only", "--diff-filter=d", "-z"])?;
        for name in changed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let Ok(name) = std::str::from_utf8(name) else {
                return Ok(false);
            };
            if !self.is_beginning(name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_beginning(&self, name: &str) -> Result<bool, WorktreeError> {
        let path = self.folder.join(name);
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(false);
        }
        let there = std::fs::read(&path).map_err(|error| WorktreeError::file(&path, error))?;
        let object = format!("{}:{name}", self.commit);
        let whole = self.run(&["cat-file", "--filters", &object])?;
        Ok(whole.starts_with(&there))
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, WorktreeError> {
        let mut command: Command = Git::of(&self.record.repository).alone().command(arguments);
        command
            .current_dir(self.folder)
            .env("GIT_WORK_TREE", self.folder)
            .env("GIT_INDEX_FILE", self.index);
        let output = finished(command.output())?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(arguments, &output))
    }
}
