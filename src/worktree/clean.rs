//! Removes a worktree and its branch, if nothing in them is not elsewhere.
//!
//! git takes the files away (`git worktree remove`, never by force, so that it looks again itself) and then the branch is
//! deleted by the commit that was looked at: if it has moved since, it stays. What a kill leaves half removed is put back
//! together from the commit and judged anew, since by then it may hold something.

use std::path::Path;

use super::create::{is_half_made, settle};
use super::error::WorktreeError;
use super::git::Git;
use super::holds::{holds, unmerged, Hold};
use super::place::{is_taken, Spot};
use super::record::{read_pointer, Record, Stage};
use super::repository::{admin_dir, branch_tip, entries, entry_at, Entry};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// It is gone, and so is its branch, unless that is checked out in another worktree.
    Removed {
        /// The branch stays.
        branch_stays: bool,
    },
    /// It stays, for these reasons.
    Kept(Vec<Hold>),
}

/// Removes a worktree, if nothing holds it. `with_rewritten`: commits that only its log still knows may go.
///
/// # Errors
/// If git fails, or a file cannot be written. The next try goes on from there.
pub fn clean(record: &Record, with_rewritten: bool) -> Result<Cleaned, WorktreeError> {
    let Some(spot) = Spot::of_record(record) else {
        return Ok(Cleaned::Kept(vec![Hold::Git(
            "its record names no folder".to_owned(),
        )]));
    };
    let Some(lock) = spot.lock_patiently()? else {
        return Ok(Cleaned::Kept(vec![Hold::Busy]));
    };
    // As it stands now that nobody else can change it.
    let Some(record) = spot.record()? else {
        spot.forget(lock)?;
        return Ok(Cleaned::Removed { branch_stays: false });
    };
    let cleaned = clean_locked(&record, &spot, with_rewritten)?;
    if let Cleaned::Removed { .. } = cleaned {
        spot.forget(lock)?;
    }
    Ok(cleaned)
}

/// Removes the worktree that an attempt ran in, for whoever needs no answer.
pub fn clean_after_success(attempt: &Path) {
    let Some(record) = read_pointer(attempt) else {
        return;
    };
    let path = record.path.display();
    match clean(&record, false) {
        Ok(Cleaned::Removed { .. }) => tracing::info!(%path, "a worktree with nothing in it was removed"),
        Ok(Cleaned::Kept(holds)) => tracing::debug!(%path, ?holds, "a worktree stays"),
        Err(error) => tracing::warn!(%path, %error, "a worktree could not be looked at"),
    }
}

/// Finishes a removal that was killed, for who holds the lock alone. The record, if the worktree stays after all.
pub(super) fn finish_removal(record: &Record, spot: &Spot) -> Result<Option<Record>, WorktreeError> {
    match clean_locked(record, spot, false)? {
        Cleaned::Removed { .. } => spot.drop_record().map(|()| None),
        Cleaned::Kept(_) => spot.record(),
    }
}

/// Puts a worktree back together whose removal was killed, for who holds the lock alone and wants to go on with it.
pub(super) fn undo_removal(record: &Record, spot: &Spot) -> Result<(), WorktreeError> {
    if record.stage == Stage::Removing {
        if is_taken(&record.path) {
            restore(record)?;
        }
        keep(record, spot)?;
    }
    Ok(())
}

fn clean_locked(record: &Record, spot: &Spot, with_rewritten: bool) -> Result<Cleaned, WorktreeError> {
    let mut all = entries(&record.repository)?;
    let entry = entry_at(&all, &record.path);
    match (record.stage, entry) {
        (Stage::Removing, Some(_)) if is_taken(&record.path) => restore(record)?,
        (Stage::Creating, Some(entry)) if is_half_made(record, entry) => {
            settle(record, spot)?;
            all = entries(&record.repository)?;
        }
        (Stage::Creating, None) => drop(spot.set_aside()?),
        _ => {}
    }
    let entry = entry_at(&all, &record.path);
    let tip = branch_tip(&record.repository, &record.branch)?;
    let mut found = match entry {
        Some(entry) => holds(record, entry, tip.as_deref())?,
        None => holds_of_branch(record, tip.as_deref())?,
    };
    found.retain(|hold| !(with_rewritten && matches!(hold, Hold::Rewritten(_))));
    if !found.is_empty() {
        keep(record, spot)?;
        return Ok(Cleaned::Kept(found));
    }
    if let Some(entry) = entry {
        if let Some(refusal) = remove_folder(record, spot, entry)? {
            return Ok(Cleaned::Kept(vec![refusal]));
        }
    }
    let branch = format!("refs/heads/{}", record.branch);
    let is_elsewhere = |entry: &Entry| entry.path != record.path && entry.branch.as_deref() == Some(&branch);
    let branch_stays = all.iter().any(is_elsewhere);
    if let Some(tip) = tip.filter(|_| !branch_stays) {
        let git = Git::of(&record.repository).alone();
        git.run(&["update-ref", "-d", &branch, &tip])?;
    }
    Ok(Cleaned::Removed { branch_stays })
}

/// A removal that was begun is not going to be made.
fn keep(record: &Record, spot: &Spot) -> Result<(), WorktreeError> {
    if record.stage == Stage::Removing {
        let stage = Stage::Ready;
        spot.save(&Record {
            stage,
            ..record.clone()
        })?;
    }
    Ok(())
}

/// What holds a branch whose worktree is gone.
fn holds_of_branch(record: &Record, tip: Option<&str>) -> Result<Vec<Hold>, WorktreeError> {
    if is_taken(&record.path) {
        let words = "git does not know it as a worktree any more";
        return Ok(vec![Hold::Git(words.to_owned())]);
    }
    let ends: Vec<&str> = tip.into_iter().collect();
    let commits = unmerged(record, &ends, false)?;
    let mut found: Vec<Hold> = (commits > 0)
        .then_some(Hold::Unmerged(commits))
        .into_iter()
        .collect();
    let rewritten = super::holds::rewritten(record, None, &ends)?;
    found.extend((rewritten > 0).then_some(Hold::Rewritten(rewritten)));
    Ok(found)
}

/// Has git remove the folder. Why not, if it does not want to.
fn remove_folder(record: &Record, spot: &Spot, entry: &Entry) -> Result<Option<Hold>, WorktreeError> {
    let removing = Record {
        stage: Stage::Removing,
        ..record.clone()
    };
    spot.save(&removing)?;
    let git = Git::of(&record.repository).alone();
    let path = entry.path.as_os_str();
    match git.run(&["worktree".as_ref(), "remove".as_ref(), path]) {
        Ok(_) => Ok(None),
        Err(WorktreeError::Git { said, .. }) => {
            keep(&removing, spot)?;
            let said = said.trim_start_matches("fatal: ").to_owned();
            Ok(Some(Hold::Git(said)))
        }
        Err(error) => Err(error),
    }
}

/// Puts back what a killed removal has deleted. It overwrites nothing: whoever wrote there since shows as uncommitted.
fn restore(record: &Record) -> Result<(), WorktreeError> {
    let link = record.path.join(".git");
    if link.symlink_metadata().is_err() {
        let Some(admin) = admin_dir(&record.repository, &record.path) else {
            return Ok(());
        };
        let text = format!("gitdir: {}\n", admin.display());
        std::fs::write(&link, text).map_err(|error| WorktreeError::file(&link, error))?;
    }
    // It fails at files that are there and differ; the status tells of them.
    let git = Git::within(&record.path).alone();
    git.output(&["checkout-index", "--all", "--quiet"]).map(drop)
}
