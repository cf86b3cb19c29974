//! The few system calls that change the journal's folder. They stand in one place so that a test
//! can let any one of them fail; outside of tests this is nothing but names.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Reaches the file system; in tests, through a plan of failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Storage {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<faults::Faults>,
}

impl Storage {
    /// An empty file that only its owner can read, in place of whatever was there.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.before(Call::Create)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.mode(0o600).open(path)
    }

    pub(super) fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(part) = self.faults.short_write(bytes.len()) {
            file.write_all_at(&bytes[..part], offset)?;
            return Err(faults::error());
        }
        self.before(Call::Write)?;
        file.write_all_at(bytes, offset)
    }

    /// Returns once content and length are on the disk.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.before(Call::Sync)?;
        file.sync_data()
    }

    pub(super) fn truncate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.before(Call::Truncate)?;
        file.set_len(bytes)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(Call::Rename)?;
        std::fs::rename(from, to)
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.before(Call::Remove)?;
        std::fs::remove_file(path)
    }

    /// Returns once the folder's names are on the disk.
    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.before(Call::SyncFolder)?;
        File::open(folder)?.sync_all()
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    #[inline]
    fn before(&self, _call: Call) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn before(&self, call: Call) -> io::Result<()> {
        self.faults.before(call)
    }
}

/// Which call is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    SyncFolder,
}

#[cfg(test)]
pub(super) mod faults {
    //! Plans of failures for tests.

    use std::io;
    use std::sync::Mutex;

    use super::Call;

    #[derive(Clone, Copy, Debug, Default)]
    pub(in crate::journal) enum Plan {
        #[default]
        Healthy,
        /// The call fails whenever it is made.
        Fail(Call),
        /// After so many further calls every call fails, as after a crash.
        DieAfter(usize),
        /// Writes stop after so many bytes each.
        ShortWrites(usize),
    }

    #[derive(Debug, Default)]
    pub(in crate::journal) struct Faults {
        state: Mutex<(Vec<Plan>, usize)>,
    }

    pub(super) fn error() -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, "injected fault")
    }

    impl Faults {
        pub(in crate::journal) fn set(&self, plans: &[Plan]) {
            *self.state.lock().unwrap() = (plans.to_vec(), 0);
        }

        /// Calls since the plan was set.
        pub(in crate::journal) fn calls(&self) -> usize {
            self.state.lock().unwrap().1
        }

        pub(super) fn before(&self, call: Call) -> io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.1 += 1;
            let calls = state.1;
            let fails = state.0.iter().any(|plan| match plan {
                Plan::Healthy | Plan::ShortWrites(_) => false,
                Plan::Fail(which) => *which == call,
                Plan::DieAfter(limit) => calls > *limit,
            });
            if fails {
                Err(error())
            } else {
                Ok(())
            }
        }

        pub(super) fn short_write(&self, bytes: usize) -> Option<usize> {
            let state = self.state.lock().unwrap();
            state.0.iter().find_map(|plan| match plan {
                Plan::ShortWrites(limit) if *limit < bytes => Some(*limit),
                _ => None,
            })
        }
    }
}
