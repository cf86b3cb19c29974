//! What can be wrong with a worktree, in words, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why something could not be done. Nothing was lost, and what was begun is finished by the next try.
#[derive(Debug, Error)]
pub enum WorktreeError {
    /// The program is missing.
    #[error("there is no program 'git' in PATH")]
    NoGit,
    /// It is there, and cannot be run.
    #[error("git cannot be run: {0}")]
    Unusable(io::Error),
    /// It is too old for what is asked of it.
    #[error("git {found} is too old: {what} needs {needed} or newer")]
    OldGit {
        /// The version that is there.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
        /// What was to be done.
        what: &'static str,
    },
    /// The folder belongs to no repository, or to none that git wants to touch.
    #[error("{} cannot have worktrees: {said}", .folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What git said.
        said: String,
    },
    /// A repository without files of its own.
    #[error("{} is no working folder of a repository, but the inside of one", .0.display())]
    Bare(PathBuf),
    /// What a worktree should begin at is not there.
    #[error("there is no commit '{base}' in {}", .folder.display())]
    NoCommit {
        /// As it was given.
        base: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// git refused or failed.
    #[error("git {command} failed: {said}")]
    Git {
        /// Its command: `worktree add`.
        command: String,
        /// What it said.
        said: String,
    },
    /// A file of ours could not be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It would be wrong to go on.
    #[error("{message}")]
    Refused {
        /// What is in the way.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A merge that would not be clean. Nothing was changed.
    #[error(
        "{branch} and {target} conflict in {}: neither was changed",
        if .files.len() == 1 { "1 file".to_owned() } else { format!("{} files", .files.len()) }
    )]
    Conflict {
        /// The task's branch.
        branch: String,
        /// What it was to be merged into.
        target: String,
        /// Where they conflict.
        files: Vec<String>,
        /// The task's worktree, in which it can be resolved.
        path: PathBuf,
    },
}

impl WorktreeError {
    /// A file that could not be read or written.
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// It would be wrong to go on.
    pub(super) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// What to do about it; may be empty.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoGit => "install git, or queue the task with --no-worktree".to_owned(),
            Self::NoRepository { .. } => {
                "queue it from a folder of a git repository, or with --no-worktree".to_owned()
            }
            Self::Bare(_) => "queue it from a worktree of that repository, or with --no-worktree".to_owned(),
            Self::NoCommit { base, .. } if base == "HEAD" => {
                "a worktree begins at a commit: make the first one, then retry the task".to_owned()
            }
            Self::NoCommit { .. } => "name a branch, tag or commit that is there".to_owned(),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Conflict { target, path, .. } => format!(
                "merge the other way first, and resolve it there: `git -C '{}' merge {target}`",
                path.display()
            ),
            Self::OldGit { .. } | Self::Unusable(_) | Self::Git { .. } | Self::File { .. } => String::new(),
        }
    }

    /// The whole of it in one text, for who has no place for a hint.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self.hint() {
            hint if hint.is_empty() => self.to_string(),
            hint => format!("{self} ({hint})"),
        }
    }
}
