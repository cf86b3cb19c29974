//! One daemon per user: whoever holds the lock file's flock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{flock, FlockOperation};

/// The lock, held until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why there is no lock to be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another daemon holds it.
    Held {
        /// Its process, if it wrote that down.
        pid: Option<u32>,
    },
    /// The file cannot be opened or locked.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock without waiting, and writes our process id into the file.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        let mut file = open.map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // The holder may not have written it yet.
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held {
                    pid: text.trim().parse().ok(),
                });
            }
            Err(error) => return Err(LockError::Io(error.into())),
        }
        // The id is for people; the lock holds without it, on a full disk, too.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("daemon.lock");
        let first = Lock::take(&path).expect("free");
        let second = Lock::take(&path);
        assert!(matches!(second, Err(LockError::Held { pid: Some(pid) }) if pid == std::process::id()));
        drop(first);
        assert!(Lock::take(&path).is_ok());
    }
}
