//! Makes a task's worktree, or finds the one that an earlier attempt left, in whatever state.
//!
//! The order of steps is what makes it safe to kill: the record first, then git's branch and files, then the word that it
//! is complete. No worker is in a worktree before that word, so what a killed git left half-made holds nobody's work.

use std::path::{Path, PathBuf};

use super::aside::set_aside;
use super::clean::finish_removal;
use super::error::WorktreeError;
use super::git::{failed, Git};
use super::holds::unmerged;
use super::lock::Lock;
use super::place::{is_taken, Place, Spot};
use super::record::{Order, Record, Stage};
use super::repository::{branch_tip, commit, entries, entry_at, Entry, Repository};

/// How often others may be in the way for a moment before that is an error.
const TRIES: u32 = 100;
/// The reason by which git locks a worktree while it makes it.
pub(super) const INITIALIZING: &str = "initializing";

/// A worktree that a worker may go into.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) record: Record,
    /// The folder to work in, which is as far below the worktree as the task's was below its repository.
    pub(super) folder: PathBuf,
    /// Held as long as the worker runs.
    pub(super) lock: Lock,
    /// What git complained of, though it did its work.
    pub(super) note: Option<String>,
}

/// The worktree for an order.
pub(super) fn enter(order: &Order) -> Result<Entered, WorktreeError> {
    let repository = Repository::find(&order.folder)?;
    let place = Place::of(&order.worktrees, &repository)?;
    let (mut note, mut is_made) = (None, false);
    for _ in 0..TRIES {
        let spot = place.spot(order, &repository)?;
        let lock = spot.lock_shared()?;
        let found = spot.record()?;
        if let Some(record) = found.clone().filter(|record| is_ready(record, is_made)) {
            let folder = folder_in(&record, &repository)?;
            return Ok(Entered {
                record,
                folder,
                lock,
                note,
            });
        }
        if let Some(record) = found.filter(|_| is_made) {
            return Err(damaged(&record, "git does not take it for one"));
        }
        drop(lock);
        // Another attempt of the same session, or a look at it, may hold it now: then this begins anew.
        if let Some(lock) = spot.lock_alone()? {
            let made = make(order, &repository, &spot);
            if made.is_err() && matches!(spot.record(), Ok(None)) {
                // Nothing came of it: nothing is left of it.
                spot.forget(lock)?;
            }
            note = made?;
            is_made = true;
        }
    }
    Err(WorktreeError::refused(
        format!("another process keeps the worktree of task {} busy", order.task),
        "retry the task when that has ended",
    ))
}

/// Whether a worker can go into it. git need not be asked about what it has just made.
fn is_ready(record: &Record, is_just_made: bool) -> bool {
    let top = || {
        Git::within(&record.path)
            .alone()
            .line(&["rev-parse", "--show-toplevel"])
    };
    record.stage == Stage::Ready
        && record.path.is_dir()
        && (is_just_made && record.path.join(".git").is_file()
            || top().is_ok_and(|top| Path::new(&top) == record.path))
}

fn folder_in(record: &Record, repository: &Repository) -> Result<PathBuf, WorktreeError> {
    let mut folder = record.path.clone();
    folder.extend(&repository.prefix);
    if folder.is_dir() {
        return Ok(folder);
    }
    let prefix = repository.prefix.display();
    Err(WorktreeError::refused(
        format!(
            "there is no folder {prefix} in the worktree {}",
            record.path.display()
        ),
        "it was not committed: commit it, or queue the task from a folder that is",
    ))
}

/// Brings the worktree of this spot about; the lock is held alone. What git complained of.
fn make(order: &Order, repository: &Repository, spot: &Spot) -> Result<Option<String>, WorktreeError> {
    let found = match spot.record()? {
        // What came to be in it meanwhile is kept.
        Some(record) if record.stage == Stage::Removing => finish_removal(&record, spot)?,
        found => found,
    };
    let (mut record, mut note, is_made) = match found {
        Some(record) => (record, None, false),
        None => {
            let record = begin(order, repository, spot)?;
            // Nobody has used the spot: most likely git can do its work at once. If not, what is there is looked at.
            let failure = add_new(&record)?;
            let is_made = failure.is_none();
            (record, failure, is_made)
        }
    };
    if !is_made && settle(&record, spot)?.is_none() {
        if record.stage != Stage::Creating {
            // Its folder was deleted: until it is whole again, no worker is to go in.
            record.stage = Stage::Creating;
            spot.save(&record)?;
        }
        note = add(&record)?;
    }
    if record.stage != Stage::Ready {
        record.stage = Stage::Ready;
        spot.save(&record)?;
    }
    Ok(note)
}

/// Writes down what is about to be made.
fn begin(order: &Order, repository: &Repository, spot: &Spot) -> Result<Record, WorktreeError> {
    let name = order.base.as_deref().unwrap_or("HEAD");
    let base = commit(&Git::at(&order.folder).alone(), name)?;
    let record = Record {
        path: spot.path(),
        branch: spot.branch(),
        base: base.ok_or_else(|| WorktreeError::NoCommit {
            base: name.to_owned(),
            folder: order.folder.clone(),
        })?,
        ..Record::new(order, repository)
    };
    spot.save(&record)?;
    Ok(record)
}

/// Looks at what is there, and moves out of the way what is only half there. The worktree, if it is complete.
pub(super) fn settle(record: &Record, spot: &Spot) -> Result<Option<Entry>, WorktreeError> {
    let all = entries(&record.repository)?;
    let entry = entry_at(&all, &record.path);
    match (entry, is_taken(&record.path)) {
        (None, false) => Ok(None),
        (Some(entry), true) if !is_half_made(record, entry) => Ok(Some(entry.clone())),
        (Some(entry), true) => {
            set_aside(record, spot)?;
            forget(record, entry)?;
            Ok(None)
        }
        (Some(entry), false) => {
            check_forgettable(record, entry)?;
            forget(record, entry)?;
            Ok(None)
        }
        (None, true) if record.stage == Stage::Creating => {
            set_aside(record, spot)?;
            Ok(None)
        }
        (None, true) => Err(damaged(record, "git does not know it any more")),
    }
}

fn damaged(record: &Record, what: &str) -> WorktreeError {
    let (repository, path) = (record.repository.display(), record.path.display());
    WorktreeError::refused(
        format!("the worktree {path} is damaged: {what}"),
        format!("`git --git-dir='{repository}' worktree repair '{path}'` may bring it back"),
    )
}

/// git was killed while it made it. No worker was in it.
pub(super) fn is_half_made(record: &Record, entry: &Entry) -> bool {
    record.stage == Stage::Creating && entry.locked.as_deref() == Some(INITIALIZING)
}

/// Its folder is gone, and what git still keeps of it is about to go: that must not be the last that knows a commit.
fn check_forgettable(record: &Record, entry: &Entry) -> Result<(), WorktreeError> {
    if let Some(reason) = entry.locked.as_deref().filter(|_| !is_half_made(record, entry)) {
        return Err(WorktreeError::refused(
            format!(
                "{} is missing and locked{}",
                record.path.display(),
                because(reason)
            ),
            "bring its disk back, or `git worktree unlock` it",
        ));
    }
    let Some(head) = entry.head.as_deref() else {
        return Ok(());
    };
    let is_of_branch = entry.branch.as_deref() == Some(&format!("refs/heads/{}", record.branch));
    if !is_of_branch && unmerged(record, &[head], true)? > 0 {
        return Err(WorktreeError::refused(
            format!(
                "the folder of the worktree is gone, and commit {head} is on no branch: {}",
                record.path.display()
            ),
            format!(
                "keep it: `git --git-dir='{}' branch rescued {head}`, then `git worktree prune`",
                record.repository.display()
            ),
        ));
    }
    Ok(())
}

/// A reason of a lock, to be put behind a word.
pub(super) fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

/// Has git forget a worktree whose folder is gone.
pub(super) fn forget(record: &Record, entry: &Entry) -> Result<(), WorktreeError> {
    // git takes an empty folder for a damaged worktree, and none for one that is to be forgotten.
    let _ = std::fs::remove_dir(&record.path);
    let git = Git::of(&record.repository).alone();
    let path = record.path.as_os_str();
    if entry.locked.is_some() {
        git.run(&["worktree".as_ref(), "unlock".as_ref(), path])?;
    }
    git.run(&["worktree".as_ref(), "remove".as_ref(), path]).map(drop)
}

/// Has git make it with a new branch: what it complained of, if it has failed. It may have made it all the same.
fn add_new(record: &Record) -> Result<Option<String>, WorktreeError> {
    let path = record.path.to_string_lossy();
    let arguments = new_branch(record, &path);
    let output = Git::of(&record.repository).output(&arguments)?;
    Ok((!output.status.success()).then(|| failed(&arguments, &output).to_string()))
}

fn new_branch<'a>(record: &'a Record, path: &'a str) -> [&'a str; 7] {
    [
        "worktree",
        "add",
        "--no-track",
        "-b",
        &record.branch,
        path,
        &record.base,
    ]
}

/// Has git make it. A hook that fails at the end is told of, and no more: the worktree is there.
fn add(record: &Record) -> Result<Option<String>, WorktreeError> {
    let path = record.path.to_string_lossy();
    let has_branch = || Ok(branch_tip(&record.repository, &record.branch)?.is_some());
    loop {
        let is_branch_there = has_branch()?;
        let arguments: Vec<&str> = if is_branch_there {
            // An earlier attempt, or one that was killed, left the branch.
            vec!["worktree", "add", path.as_ref(), &record.branch]
        } else {
            new_branch(record, &path).to_vec()
        };
        let output = Git::of(&record.repository).output(&arguments)?;
        if output.status.success() {
            return Ok(None);
        }
        let error = failed(&arguments, &output);
        let all = entries(&record.repository)?;
        match entry_at(&all, &record.path) {
            Some(entry) if entry.locked.is_none() && record.path.join(".git").is_file() => {
                return Ok(Some(error.to_string()));
            }
            // It came as far as the branch: the rest may work by itself.
            None if !is_branch_there && has_branch()? => {}
            _ => return Err(error),
        }
    }
}
