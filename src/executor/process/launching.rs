//! Starts launchers, never two at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::executor::frame::{self, Request};
use crate::executor::launcher::LAUNCHER_ARGUMENT;

const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// What it takes to start a launcher.
pub(super) struct LauncherOptions {
    pub(super) program: PathBuf,
    /// Locked by the launcher for life.
    pub(super) lock: PathBuf,
    pub(super) lock_patience: Duration,
    /// Where its shims report.
    pub(super) pokes: PathBuf,
}

impl LauncherOptions {
    /// Waits until no launcher is left, and keeps others from being started.
    pub(super) fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(&self.lock)?;
        let deadline = Instant::now() + self.lock_patience;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(self.explain_held()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn explain_held(&self) -> io::Error {
        let path = self.lock.display();
        let seconds = self.lock_patience.as_secs();
        let text = format!("an earlier launcher still holds {path} after {seconds} s");
        io::Error::new(ErrorKind::TimedOut, text)
    }

    /// Starts one. From now on the launcher alone holds the lock.
    pub(super) fn spawn(&self, lock: File) -> io::Result<(Child, UnixStream)> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let pokes = self.pokes.clone();
        ours.write_all(&frame::encode(&Request::Setup { pokes })?)?;
        ours.set_nonblocking(true)?;
        // An empty environment: what the daemon was started with is no business of shims, and
        // marks of an outer attempt must not make them look like its leftovers.
        let child = Command::new(&self.program)
            .arg(LAUNCHER_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(lock))
            .spawn()?;
        Ok((child, ours))
    }
}
