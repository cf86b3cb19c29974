//! Merges a task's branch, or leaves everything as it was.
//!
//! It is tried without touching anything first (`git merge-tree`). Only a merge that is clean, into a folder that is
//! clean, is then made.

use std::path::PathBuf;

use super::clean::undo_removal;
use super::error::WorktreeError;
use super::git::{failed, needs, Git};
use super::holds::{operation, status};
use super::lock::Lock;
use super::place::Spot;
use super::record::{Record, Stage};
use super::repository::{admin_dir, branch_tip, entries, Entry};

/// The first version whose `merge-tree` merges.
const NEEDED: (u32, u32) = (2, 38);

/// A merge that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Into which branch.
    pub target: String,
    /// How many commits it had not; 0 if there was nothing to do.
    pub commits: usize,
    /// Uncommitted files that were left where they are.
    pub left: usize,
}

/// Merges the worktree's branch into `into`, or into what is checked out where its task was queued. With `committed`
/// uncommitted files are left out rather than a reason to refuse.
///
/// # Errors
/// [`WorktreeError::Conflict`], a worktree or target that is not fit for it, or a git that fails. Nothing was changed.
pub fn merge(record: &Record, into: Option<&str>, committed: bool) -> Result<Merged, WorktreeError> {
    let (_lock, record) = lock(record)?;
    let record = &record;
    let all = entries(&record.repository)?;
    let target = match into {
        Some(name) => name.to_owned(),
        None => checked_out(record, &all)?,
    };
    if record.stage == Stage::Removing && branch_tip(&record.repository, &record.branch)?.is_none() {
        // It was merged, and a kill kept it from being forgotten.
        return Ok(Merged {
            target,
            commits: 0,
            left: 0,
        });
    }
    let (tip, left) = check_source(record, &all, committed)?;
    if target == record.branch {
        return Err(WorktreeError::refused(
            format!("{target} is the task's own branch"),
            "name another with --into",
        ));
    }
    let git = Git::of(&record.repository);
    let old = branch_tip(&record.repository, &target)?.ok_or_else(|| {
        let message = format!("there is no branch '{target}'");
        WorktreeError::refused(message, "`git branch` lists them; --into takes one of them")
    })?;
    if git.says(&["merge-base", "--is-ancestor", &tip, &old])? {
        return Ok(Merged {
            target,
            commits: 0,
            left,
        });
    }
    let range = format!("{old}..{tip}");
    let commits = git.line(&["rev-list", "--count", &range])?.parse().unwrap_or(0);
    let full = format!("refs/heads/{target}");
    let place = all.iter().find(|entry| entry.branch.as_deref() == Some(&full));
    if let Some(place) = place {
        check_target(record, place, &target)?;
    }
    let tree = try_out(record, &git, &old, &tip, &target)?;
    match place {
        Some(place) => merge_there(record, place, &target)?,
        None => merge_ref(record, &git, (&full, &target), (&old, &tip), &tree)?,
    }
    Ok(Merged {
        target,
        commits,
        left,
    })
}

/// Keeps workers out, and the record as it stands now.
fn lock(record: &Record) -> Result<(Lock, Record), WorktreeError> {
    let spot = Spot::of_record(record);
    let lock = spot.as_ref().map(Spot::lock_patiently).transpose()?.flatten();
    let (Some(spot), Some(lock)) = (spot, lock) else {
        return Err(WorktreeError::refused(
            format!("task {} is at work in its worktree", record.task),
            "merge when it has ended: `wezterm-parallel wait` waits for it",
        ));
    };
    match spot.record()? {
        Some(record) => {
            undo_removal(&record, &spot)?;
            Ok((lock, record))
        }
        None => {
            spot.forget(lock)?;
            let message = format!(
                "the worktree of task {} has just been removed: nothing was in it",
                record.task
            );
            Err(WorktreeError::refused(message, ""))
        }
    }
}

/// The commit to merge, and how many files are not in it.
fn check_source(record: &Record, all: &[Entry], committed: bool) -> Result<(String, usize), WorktreeError> {
    let path = record.path.display();
    let tip = branch_tip(&record.repository, &record.branch)?.ok_or_else(|| {
        let message = format!("the branch {} is gone", record.branch);
        WorktreeError::refused(message, format!("look at what is in {path}"))
    })?;
    let is_there = all.iter().any(|entry| entry.path == record.path) && record.path.join(".git").exists();
    if !is_there {
        return Ok((tip, 0));
    }
    let status = status(&record.path)?;
    if status.branch.as_deref() != Some(&record.branch) && status.head.as_deref() != Some(&tip) {
        let now = status.branch.unwrap_or_else(|| "no branch".to_owned());
        return Err(WorktreeError::refused(
            format!("the worktree is on {now}, not on {}", record.branch),
            format!(
                "bring its work there: `git -C '{path}' switch -C {}`",
                record.branch
            ),
        ));
    }
    let admin = admin_dir(&record.repository, &record.path);
    if let Some(what) = admin.as_deref().and_then(operation) {
        return Err(WorktreeError::refused(
            format!("the worktree is in the middle of a {what}"),
            format!("finish or abort it in {path}"),
        ));
    }
    if status.uncommitted > 0 && !committed {
        return Err(WorktreeError::refused(
            format!(
                "the worktree holds {}",
                super::Hold::Uncommitted(status.uncommitted)
            ),
            format!("commit in {path}, or leave them there: --committed"),
        ));
    }
    Ok((tip, status.uncommitted))
}

/// The branch of the folder that the task was queued in, or else of the repository's main one.
fn checked_out(record: &Record, all: &[Entry]) -> Result<String, WorktreeError> {
    let source = all.iter().find(|entry| entry.path == record.source);
    let branch = source.or(all.first()).and_then(|entry| entry.branch.as_deref());
    let branch = branch.and_then(|name| name.strip_prefix("refs/heads/"));
    branch.map(str::to_owned).ok_or_else(|| {
        WorktreeError::refused(
            format!("no branch is checked out in {}", record.source.display()),
            "say where to: --into BRANCH",
        )
    })
}

/// A folder with changes in it is left alone.
fn check_target(record: &Record, place: &Entry, target: &str) -> Result<(), WorktreeError> {
    let path = place.path.display();
    let git = Git::within(&place.path).alone();
    let own = git.line(&["rev-parse", "--absolute-git-dir"])?;
    if let Some(what) = operation(&PathBuf::from(own)) {
        return Err(WorktreeError::refused(
            format!("{path}, where {target} is checked out, is in the middle of a {what}"),
            "finish or abort it there first",
        ));
    }
    let text = git.run(&["status", "--porcelain", "-z", "--untracked-files=no"])?;
    let changed = text.split('\0').filter(|piece| !piece.is_empty()).count();
    if changed > 0 {
        return Err(WorktreeError::refused(
            format!("{path}, where {target} is checked out, has uncommitted changes"),
            format!("commit or stash them, then merge {}", record.task),
        ));
    }
    Ok(())
}

/// Merges in git's head only: the tree that it would come to.
fn try_out(record: &Record, git: &Git, old: &str, tip: &str, target: &str) -> Result<String, WorktreeError> {
    needs(NEEDED, "`worktree merge`")?;
    let arguments = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "--no-messages",
        "-z",
        old,
        tip,
    ];
    let output = git.output(&arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut pieces = text.split('\0').map(str::trim).filter(|piece| !piece.is_empty());
    match output.status.code() {
        Some(0) => Ok(pieces.next().unwrap_or_default().to_owned()),
        Some(1) => Err(WorktreeError::Conflict {
            branch: record.branch.clone(),
            target: target.to_owned(),
            files: pieces.skip(1).map(str::to_owned).collect(),
            path: record.path.clone(),
        }),
        _ => Err(failed(&arguments, &output)),
    }
}

/// Merges where the target is checked out, with the user's own hooks and signature.
fn merge_there(record: &Record, place: &Entry, target: &str) -> Result<(), WorktreeError> {
    let git = Git::within(&place.path);
    let arguments = ["merge", "--no-edit", record.branch.as_str()];
    let output = git.output(&arguments)?;
    if output.status.success() {
        return Ok(());
    }
    // A hook refused, or a file that git does not know is in the way. git leaves the latter as it was itself.
    let error = failed(&arguments, &output);
    if crate::worktree::repository::commit(&git, "MERGE_HEAD")?.is_some() {
        git.run(&["merge", "--abort"])?;
    }
    Err(WorktreeError::refused(
        format!("{error}\n{target} is as it was"),
        format!("look at {}", place.path.display()),
    ))
}

/// Merges into a branch that is checked out nowhere.
fn merge_ref(
    record: &Record,
    git: &Git,
    (full, target): (&str, &str),
    (old, tip): (&str, &str),
    tree: &str,
) -> Result<(), WorktreeError> {
    let message = format!("Merge branch '{}' into {target}", record.branch);
    let new = if git.says(&["merge-base", "--is-ancestor", old, tip])? {
        tip.to_owned()
    } else {
        git.line(&["commit-tree", tree, "-p", old, "-p", tip, "-m", &message])?
    };
    let log = format!("merge {}", record.branch);
    // Only if nobody has moved it since.
    git.run(&["update-ref", "-m", &log, full, &new, old]).map(drop)
}
