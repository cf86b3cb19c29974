//! The file of a draft: one that nobody else writes over, and that says whether somebody still writes it.
//!
//! Beside it lies a hidden file that is locked as long as its writer lives. A draft without such a lock was left
//! behind, by a tab that was closed or a machine that went down.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};

/// More than anybody writes within a second.
const NUMBERS_MAX: u32 = 1_000;

/// A file of its own, and its lock.
#[derive(Debug)]
pub(super) struct DraftFile {
    path: PathBuf,
    _lock: File,
}

impl DraftFile {
    /// Makes a file with a text, which is named after the moment (`2026-01-02 03:04:05`).
    pub(super) fn create(folder: &Path, moment: &str, text: &str) -> io::Result<Self> {
        let stamp = moment.replace(':', "").replace(' ', "-");
        for number in 1..=NUMBERS_MAX {
            let name = match number {
                1 => format!("prompt-{stamp}.md"),
                _ => format!("prompt-{stamp}-{number}.md"),
            };
            // The process id in a name would come again, after a restart and in another container.
            match Self::create_at(folder.join(name), text) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
        Err(io::Error::other("there are too many drafts"))
    }

    fn create_at(path: PathBuf, text: &str) -> io::Result<Self> {
        // The lock comes first: a draft that is there without one was left behind.
        let lock = create_new(&lock_of(&path))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let made = Self { path, _lock: lock };
        create_new(&made.path)?.write_all(text.as_bytes())?;
        Ok(made)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(lock_of(&self.path));
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn lock_of(draft: &Path) -> PathBuf {
    let name = draft.file_name().unwrap_or_default().to_string_lossy();
    draft.with_file_name(format!(".{name}.lock"))
}

/// The drafts that nobody is writing any more, the oldest first.
pub(super) fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_draft = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("prompt-") && name.ends_with(".md") && path.is_file()
    };
    let drafts = entries.map(|entry| entry.path()).filter(is_draft);
    let mut left: Vec<PathBuf> = drafts.filter(|path| !is_being_written(path)).collect();
    left.sort_by_key(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
    left
}

fn is_being_written(draft: &Path) -> bool {
    let path = lock_of(draft);
    let Ok(lock) = File::open(&path) else {
        return false;
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return true;
    }
    let _ = fs::remove_file(path);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: &str = "2026-01-02 03:04:05";

    #[test]
    fn no_draft_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| DraftFile::create(folder.path(), MOMENT, text).unwrap();
        let (one, two) = (write("one"), write("two"));
        assert_eq!(one.path(), folder.path().join("prompt-2026-01-02-030405.md"));
        assert_eq!(two.path(), folder.path().join("prompt-2026-01-02-030405-2.md"));
        // A name whose writer has gone is not free either.
        drop(one);
        let three = write("three");
        assert_eq!(three.path(), folder.path().join("prompt-2026-01-02-030405-3.md"));
        let first = fs::read_to_string(folder.path().join("prompt-2026-01-02-030405.md"));
        assert_eq!(first.unwrap(), "one");
    }

    #[test]
    fn what_is_being_written_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let draft = DraftFile::create(folder.path(), MOMENT, "").unwrap();
        let path = draft.path().to_owned();
        assert!(left_behind(folder.path()).is_empty());
        drop(draft);
        assert_eq!(left_behind(folder.path()), std::slice::from_ref(&path));
        // As a process leaves it that is killed.
        fs::write(lock_of(&path), "").unwrap();
        assert_eq!(left_behind(folder.path()), std::slice::from_ref(&path));
        assert!(!lock_of(&path).exists());
    }
}
