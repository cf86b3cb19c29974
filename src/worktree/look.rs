//! How a worktree stands, for people: what is in it that is nowhere else.

use std::path::PathBuf;

use serde::Serialize;

use super::create::is_half_made;
use super::diff::fork_point;
use super::error::WorktreeError;
use super::git::Git;
use super::holds::{operation, status, unmerged, Hold};
use super::place::Spot;
use super::record::{Record, Stage};
use super::repository::{admin_dir, branch_tip, entries, entry_at};

/// A worktree in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its making was cut off; the next attempt or `worktree clean` finishes it.
    HalfCreated,
    /// Its removal was.
    HalfRemoved,
    /// Its folder is gone; the branch may be there.
    Missing,
    /// Somebody has locked it.
    Locked,
    /// It holds uncommitted files.
    Dirty,
    /// It holds commits that are nowhere else.
    Ahead,
    /// Its commits are elsewhere, too.
    Merged,
    /// Nothing was done in it.
    Clean,
}

impl Standing {
    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfCreated => "half-created",
            Self::HalfRemoved => "half-removed",
            Self::Missing => "missing",
            Self::Locked => "locked",
            Self::Dirty => "dirty",
            Self::Ahead => "ahead",
            Self::Merged => "merged",
            Self::Clean => "clean",
        }
    }
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// In one word.
    pub state: Standing,
    /// A process works in it.
    pub in_use: bool,
    /// Commits that no other branch, tag or remote has.
    pub commits: usize,
    /// Files that are changed or new, and not ignored.
    pub uncommitted: usize,
    /// What git is in the middle of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// Why it is locked, if it is; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// Files that differ from where it began, new ones aside that git does not know yet.
    pub files: usize,
    /// Lines more.
    pub insertions: usize,
    /// Lines less.
    pub deletions: usize,
}

impl Look {
    /// What is in it that is nowhere else, like `2 commits, 1 uncommitted file`; empty if there is nothing.
    #[must_use]
    pub fn contents(&self) -> String {
        let commits = match self.commits {
            0 => None,
            1 => Some("1 commit".to_owned()),
            n => Some(format!("{n} commits")),
        };
        let files = (self.uncommitted > 0).then(|| Hold::Uncommitted(self.uncommitted).to_string());
        let parts: Vec<String> = commits.into_iter().chain(files).collect();
        parts.join(", ")
    }
}

/// Looks at a worktree. Changes nothing.
///
/// # Errors
/// If git fails.
pub fn look(record: &Record) -> Result<Look, WorktreeError> {
    let all = entries(&record.repository)?;
    let entry = entry_at(&all, &record.path);
    let is_there = entry.is_some() && record.path.join(".git").exists();
    let tip = branch_tip(&record.repository, &record.branch)?;
    // What a killed removal has deleted is no work.
    let is_whole = is_there && record.stage != Stage::Removing;
    let status = if is_whole {
        status(&record.path)?
    } else {
        Default::default()
    };
    let head = status.head.or_else(|| entry.and_then(|entry| entry.head.clone()));
    let ends: Vec<&str> = head.as_deref().into_iter().chain(tip.as_deref()).collect();
    let commits = unmerged(record, &ends, false)?;
    let admin: Option<PathBuf> = admin_dir(&record.repository, &record.path);
    let locked = entry.and_then(|entry| entry.locked.clone());
    let is_half = entry.is_none_or(|entry| is_half_made(record, entry));
    let state = match record.stage {
        Stage::Creating if is_half => Standing::HalfCreated,
        Stage::Removing => Standing::HalfRemoved,
        _ if !is_there => Standing::Missing,
        _ if locked.is_some() => Standing::Locked,
        _ if status.uncommitted > 0 => Standing::Dirty,
        _ if commits > 0 => Standing::Ahead,
        _ if head.as_deref() == Some(&record.base) => Standing::Clean,
        _ => Standing::Merged,
    };
    let (files, insertions, deletions) = if is_whole { size(record)? } else { (0, 0, 0) };
    Ok(Look {
        state,
        in_use: Spot::of_record(record).map_or(Ok(false), |spot| spot.is_in_use())?,
        commits,
        uncommitted: status.uncommitted,
        operation: admin.as_deref().and_then(operation),
        locked,
        files,
        insertions,
        deletions,
    })
}

/// Files, lines more and lines less than where it began.
fn size(record: &Record) -> Result<(usize, usize, usize), WorktreeError> {
    let base = fork_point(record)?;
    let text = Git::within(&record.path)
        .alone()
        .line(&["diff", "--shortstat", &base, "--"])?;
    let number = |word: &str| {
        let part = text.split(',').find(|part| part.contains(word))?;
        part.split_whitespace().next()?.parse().ok()
    };
    let of = |word| number(word).unwrap_or(0);
    Ok((of("file"), of("insertion"), of("deletion")))
}
