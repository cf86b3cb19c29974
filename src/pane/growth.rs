//! Tells when files in a folder grow, so that nobody has to look at them all the time.
//!
//! The system says it (inotify, FSEvents) to a thread, which makes a descriptor readable. Where it does
//! not (no more watches, a folder that is not there yet), a reader has to look now and then.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// Without the system's help, new output shows after this time at the latest.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// With it, a look is needed only where a file grows behind the system's back, as over a network.
const LOOK_ANYWAY_EVERY: Duration = Duration::from_secs(1);

/// One folder at a time, and a descriptor that is readable once something in it has changed.
#[derive(Debug)]
pub struct Growth {
    reader: UnixStream,
    bell: Bell,
    watcher: Option<RecommendedWatcher>,
    folder: Option<PathBuf>,
    /// Whether the system tells of this folder.
    told: bool,
}

#[derive(Clone, Debug)]
struct Bell {
    writer: Arc<UnixStream>,
    /// It has rung and was not heard yet: a flood of changes costs one byte.
    rung: Arc<AtomicBool>,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // A full pipe is a bell that rings already.
            let _ = (&*self.writer).write(&[0]);
        }
    }
}

impl Growth {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let bell = Bell {
            writer: Arc::new(writer),
            rung: Arc::default(),
        };
        Ok(Self {
            reader,
            bell,
            watcher: None,
            folder: None,
            told: false,
        })
    }

    /// From now on tells of this folder, in place of the one before. To be called before the files in it are
    /// read, and again while [`Growth::look_within`] is short: the folder may come into being later.
    pub fn follow(&mut self, folder: &Path) {
        if self.folder.as_deref() == Some(folder) && self.told {
            return;
        }
        self.forget();
        self.folder = Some(folder.to_owned());
        if self.watcher.is_none() {
            self.watcher = watcher(self.bell.clone());
        }
        self.told = self
            .watcher
            .as_mut()
            .is_some_and(|watcher| watcher.watch(folder, RecursiveMode::NonRecursive).is_ok());
    }

    /// Nothing grows any more.
    pub fn forget(&mut self) {
        if let (Some(folder), Some(watcher), true) = (self.folder.take(), &mut self.watcher, self.told) {
            // The folder may be gone.
            let _ = watcher.unwatch(&folder);
        }
        self.told = false;
    }

    /// After this time a reader should look without having been told; `None` if nothing is watched.
    pub fn look_within(&self) -> Option<Duration> {
        let wait = if self.told { LOOK_ANYWAY_EVERY } else { LOOK_EVERY };
        self.folder.as_ref().map(|_| wait)
    }

    /// Takes note of what was told. To be called before reading, or a change could be missed.
    pub fn heard(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.reader.read(&mut bytes), Ok(count) if count == bytes.len()) {}
        self.bell.rung.store(false, Ordering::Release);
    }
}

impl AsFd for Growth {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

fn watcher(bell: Bell) -> Option<RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        // That somebody opened a file, this process for one, is no news; an error may hide some.
        if event.map_or(true, |event| !event.kind.is_access()) {
            bell.ring();
        }
    };
    RecommendedWatcher::new(told, notify::Config::default()).ok()
}

#[cfg(test)]
mod tests {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};

    use super::*;

    const DEADLINE_S: i64 = 30;

    fn is_told(growth: &Growth, seconds: i64) -> bool {
        let timeout = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(growth, PollFlags::IN)], Some(&timeout)).unwrap() > 0
    }

    #[test]
    fn a_file_that_grows_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut growth = Growth::new().unwrap();
        assert_eq!(growth.look_within(), None);
        growth.follow(folder.path());
        assert_eq!(growth.look_within(), Some(LOOK_ANYWAY_EVERY));
        let mut file = std::fs::File::create(folder.path().join("output")).unwrap();
        assert!(is_told(&growth, DEADLINE_S));
        for _ in 0..3 {
            growth.heard();
            file.write_all(b"more\n").unwrap();
            assert!(is_told(&growth, DEADLINE_S));
        }
    }

    #[test]
    fn a_folder_that_comes_later_is_looked_for() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("1");
        let mut growth = Growth::new().unwrap();
        growth.follow(&folder);
        assert_eq!(growth.look_within(), Some(LOOK_EVERY));
        std::fs::create_dir(&folder).unwrap();
        growth.follow(&folder);
        assert_eq!(growth.look_within(), Some(LOOK_ANYWAY_EVERY));
        std::fs::write(folder.join("output"), "x").unwrap();
        assert!(is_told(&growth, DEADLINE_S));
    }

    #[test]
    fn one_folder_takes_the_place_of_the_other() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut growth = Growth::new().unwrap();
        growth.follow(one.path());
        growth.follow(two.path());
        growth.heard();
        std::fs::write(one.path().join("output"), "x").unwrap();
        std::fs::write(two.path().join("output"), "x").unwrap();
        assert!(is_told(&growth, DEADLINE_S));
        growth.forget();
        assert_eq!(growth.look_within(), None);
    }
}
