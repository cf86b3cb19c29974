//! Who works on a worktree: a worker in it shares the lock, and who makes or removes it has it alone.
//!
//! The kernel gives a lock back with its last process, however that ends. A worker inherits the handle, so its worktree
//! is held for as long as anything of the attempt runs, whether a daemon is there to ask or not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};
use rustix::io::{fcntl_dupfd_cloexec, fcntl_setfd, FdFlags};

/// Scripts use small numbers for files of their own, and would close the lock unawares.
const LOWEST_HANDLE: i32 = 200;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits until nobody makes or removes the worktree.
    pub(super) fn shared(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// `None` if somebody else has it.
    pub(super) fn alone(path: &Path) -> io::Result<Option<Self>> {
        match Self::take(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether others share it: a worker does, and who makes or removes the worktree does not.
    pub(super) fn is_shared(path: &Path) -> io::Result<bool> {
        if Self::alone(path)?.is_some() {
            return Ok(false);
        }
        match Self::take(path, FlockOperation::NonBlockingLockShared) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take(path: &Path, how: FlockOperation) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(path)?;
            loop {
                match flock(&file, how) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            }
            // Who had it before may have deleted the file: then it locks nothing any more.
            if is_at(&file, path)? {
                let path = path.to_owned();
                return Ok(Self { file, path });
            }
        }
    }

    /// Gives it up together with its file.
    pub(super) fn delete(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// What this process becomes keeps it.
    pub(super) fn hand_on(&self) -> io::Result<()> {
        let handle = fcntl_dupfd_cloexec(&self.file, LOWEST_HANDLE)?;
        fcntl_setfd(&handle, FdFlags::empty())?;
        // It is closed by the end of the last process that has it.
        std::mem::forget(handle);
        Ok(())
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_keeps_others_from_having_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let one = Lock::shared(&path).unwrap();
        let two = Lock::shared(&path).unwrap();
        assert!(Lock::alone(&path).unwrap().is_none());
        assert!(Lock::is_shared(&path).unwrap());
        drop((one, two));
        assert!(!Lock::is_shared(&path).unwrap());
        let alone = Lock::alone(&path).unwrap().unwrap();
        assert!(Lock::alone(&path).unwrap().is_none());
        assert!(!Lock::is_shared(&path).unwrap());
        alone.delete().unwrap();
        assert!(Lock::alone(&path).unwrap().is_some());
    }
}
