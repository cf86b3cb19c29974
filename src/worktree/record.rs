//! What stands beside a worktree: whose it is, where it began, and how far its making or removal has come.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::WorktreeError;

/// The version of the file.
const VERSION: u32 = 1;
/// The copy that an attempt leaves in its folder.
const POINTER: &str = "worktree.json";

/// What a worker that is about to start wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The folder of all worktrees.
    pub worktrees: PathBuf,
    /// The task's id.
    pub task: String,
    /// When it was queued, in milliseconds since the Unix epoch: ids begin anew with a new journal.
    pub queued_at_ms: u64,
    /// Where it was queued: a folder of a repository.
    pub folder: PathBuf,
    /// What its branch begins at; `None` for what is checked out there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// `git worktree add` has not ended well yet: no worker has been in it.
    Creating,
    /// It is there.
    Ready,
    /// It was found to hold nothing that is not elsewhere, and is being removed.
    Removing,
}

/// One worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this file.
    pub version: u32,
    /// The task.
    pub task: String,
    /// When that was queued, in milliseconds since the Unix epoch.
    pub queued_at_ms: u64,
    /// The repository: where git keeps its commits.
    pub repository: PathBuf,
    /// The working folder of the repository that the task was queued in, and into which it is merged.
    pub source: PathBuf,
    /// The worktree.
    pub path: PathBuf,
    /// Its branch, without `refs/heads/`.
    pub branch: String,
    /// The commit that it began at.
    pub base: String,
    /// How far it has come.
    pub stage: Stage,
    /// In the copy that an attempt leaves: the folder below it in which the worker works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Record {
    pub(super) fn new(order: &Order, repository: &super::repository::Repository) -> Self {
        Self {
            version: VERSION,
            task: order.task.clone(),
            queued_at_ms: order.queued_at_ms,
            repository: repository.common_dir.clone(),
            source: repository.top.clone(),
            path: PathBuf::new(),
            branch: String::new(),
            base: String::new(),
            stage: Stage::Creating,
            folder: None,
        }
    }

    /// Whether it is that of this task.
    pub(super) fn is_of(&self, task: &str, queued_at_ms: u64) -> bool {
        self.task == task && self.queued_at_ms == queued_at_ms
    }

    /// The name of its branch and of its folder.
    pub(super) fn slug(&self) -> &str {
        self.branch.strip_prefix(super::BRANCHES).unwrap_or(&self.branch)
    }
}

/// Reads a record; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Record>, WorktreeError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(WorktreeError::file(path, error)),
    };
    let damaged = |words: String| {
        let hint = "what it tells of is untouched: `git worktree list` in the repository shows it";
        WorktreeError::refused(format!("{} cannot be used: {words}", path.display()), hint)
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if record.version > VERSION {
        return Err(damaged(format!("it is of a newer version ({})", record.version)));
    }
    Ok(Some(record))
}

/// Writes a record whole or not at all, and through to the disk: after a power loss, too, it must not be forgotten whose
/// worktree that is.
pub(super) fn write(path: &Path, record: &Record) -> Result<(), WorktreeError> {
    let bytes = serde_json::to_vec_pretty(record);
    let bytes = bytes.map_err(|error| WorktreeError::file(path, error.into()))?;
    let new = path.with_extension("new");
    let put = || {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        std::fs::rename(&new, path)
    };
    put().map_err(|error| WorktreeError::file(path, error))
}

/// Leaves a copy where whoever looks at the attempt finds it.
pub(super) fn leave_pointer(attempt: &Path, record: &Record) -> Result<(), WorktreeError> {
    write(&attempt.join(POINTER), record)
}

/// The worktree that an attempt ran in, if it ran in one.
#[must_use]
pub fn read_pointer(attempt: &Path) -> Option<Record> {
    read(&attempt.join(POINTER)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_first_version_are_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/worktree-v1/12.json");
        let record = read(&path).unwrap().unwrap();
        assert_eq!((record.slug(), record.stage), ("12", Stage::Removing));
        assert!(record.is_of("12", 1_795_939_017_016) && record.folder.is_none());
    }

    #[test]
    fn records_are_checked_when_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.json");
        assert_eq!(read(&path).unwrap(), None);
        let record = Record {
            version: VERSION,
            task: "1".into(),
            queued_at_ms: 7,
            repository: "/r/.git".into(),
            source: "/r".into(),
            path: "/w/1".into(),
            branch: "wezterm-parallel/1".into(),
            base: "abc".into(),
            stage: Stage::Ready,
            folder: None,
        };
        write(&path, &record).unwrap();
        assert_eq!(read(&path).unwrap().as_ref(), Some(&record));
        assert_eq!(record.slug(), "1");
        write(&path, &Record { version: 2, ..record }).unwrap();
        let newer = read(&path).unwrap_err().to_string();
        assert!(
            newer.ends_with("cannot be used: it is of a newer version (2)"),
            "{newer}"
        );
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("cannot be used"));
    }
}
