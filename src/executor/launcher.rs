//! The launcher: a tiny process without threads that forks one shim per attempt.
//!
//! It exists because a fork of the daemon would copy the daemon's memory map and its locks, and an
//! exec for each shim costs more than the fork. A shim that is done with a short command is given
//! the next one, which spares the fork, too. It keeps no state worth saving: requests in, shims
//! out. It ends when the daemon's end of the socket is closed and all that was received is done.
//!
//! Its standard input is the socket. Its standard output is `launcher.lock`, locked before it was
//! started: as long as it lives no other launcher starts, so nothing can be started twice.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::folder::AttemptFolder;
use super::frame::{self, Decoder, LaunchHead, NotStarted, RequestHead};
use super::shim::{self, Errand};
use super::spare::{self, Claim, Seat, Spare};
use crate::platform;

/// The one argument that makes the program a launcher. It is no part of the command line.
pub const LAUNCHER_ARGUMENT: &str = "__launcher";
const IGNORED: [i32; 5] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGPIPE,
    // Shims vanish when they end, and need no wait.
    libc::SIGCHLD,
];
/// More shims than these are forked for one attempt each: the launcher asks all of them in turn.
const SPARES_MAX: usize = 16;
/// A shim that panicked: the daemon finds an attempt without an outcome.
const SHIM_PANICKED: i32 = 70;

/// The launcher's whole life. No thread may have been started in this process.
pub fn launcher_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its stderr is the daemon's, or the daemon's log.
            let _ = writeln!(io::stderr(), "launcher: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    platform::reset_signals();
    IGNORED.into_iter().for_each(platform::ignore_signal);
    // It fails for a leader of a process group, which is as good.
    let _ = rustix::process::setsid();
    // Descriptors that the daemon inherited must not reach a worker.
    platform::close_descriptors_from(3);
    let mut launcher = Launcher {
        // SAFETY: descriptor 0 is the socket that this process was started with, and nobody else
        // in it reads standard input.
        socket: unsafe { UnixStream::from_raw_fd(0) },
        null: OpenOptions::new().read(true).write(true).open("/dev/null")?,
        pokes: PathBuf::new(),
        spares: Vec::new(),
    };
    let mut decoder = Decoder::default();
    loop {
        while let Some(content) = decoder.next_content()? {
            launcher.serve(&content)?;
        }
        if !decoder.read_from(&mut launcher.socket)? {
            return Ok(());
        }
    }
}

struct Launcher {
    socket: UnixStream,
    null: File,
    pokes: PathBuf,
    /// Shims that are, or will be, free for another attempt.
    spares: Vec<Spare>,
}

impl Launcher {
    fn serve(&mut self, content: &[u8]) -> io::Result<()> {
        match serde_json::from_slice(content)? {
            RequestHead::Setup { pokes } => self.pokes = pokes,
            RequestHead::Launch(LaunchHead { id, folder }) => {
                if let Err(reason) = self.launch(content, folder) {
                    self.refuse(&NotStarted { id, reason });
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, content: &[u8], folder: PathBuf) -> Result<(), String> {
        let folder = AttemptFolder::new(folder);
        let path = folder.path().display();
        let shim = folder.prepare().map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => format!("its folder {path} exists already"),
            _ => format!("its folder {path} cannot be made: {error}"),
        })?;
        if content.len() <= spare::LAUNCH_MAX && self.give_to_spare(content, &shim) {
            return Ok(());
        }
        self.fork(content, shim).map_err(|error| {
            folder.remove_unstarted();
            format!("its shim cannot be forked: {error}")
        })
    }

    /// Hands it to a shim that is free, if there is one, and forgets those that have left.
    fn give_to_spare(&mut self, content: &[u8], shim: &File) -> bool {
        let mut given = false;
        self.spares.retain_mut(|spare| {
            if given {
                return true;
            }
            match spare.claim() {
                Claim::Busy => true,
                Claim::Gone => false,
                Claim::Taken => {
                    given = spare.give(content, shim).is_ok();
                    given
                }
            }
        });
        given
    }

    fn fork(&mut self, content: &[u8], shim: File) -> io::Result<()> {
        // Without such a pair the shim serves one attempt and ends.
        let pair = (self.spares.len() < SPARES_MAX).then(|| spare::pair().ok());
        let (spare, seat) = pair.flatten().unzip();
        // SAFETY: this process has a single thread, so the child may do whatever the parent may.
        match unsafe { libc::fork() } {
            0 => {
                drop(spare);
                self.become_shim(content, shim, seat)
            }
            -1 => Err(io::Error::last_os_error()),
            _ => {
                self.spares.extend(spare);
                Ok(())
            }
        }
    }

    fn become_shim(&mut self, content: &[u8], shim: File, seat: Option<Seat>) -> ! {
        // A shim that held these would keep the launcher's death from the others.
        self.spares.clear();
        let run = panic::catch_unwind(AssertUnwindSafe(|| {
            shim::run(Errand {
                content,
                shim,
                null: &self.null,
                pokes: self.pokes.as_path(),
                seat,
            });
        }));
        let code = if run.is_ok() { 0 } else { SHIM_PANICKED };
        // SAFETY: it ends the process. Nothing of the launcher's may run or be flushed in a shim.
        unsafe { libc::_exit(code) }
    }

    fn refuse(&mut self, refusal: &NotStarted) {
        let sent = frame::encode(refusal).and_then(|bytes| self.socket.write_all(&bytes));
        if let Err(error) = sent {
            // The daemon is gone; the next one finds the folder missing.
            let _ = writeln!(io::stderr(), "launcher: {}: {error}", refusal.reason);
        }
    }
}

/// Where shims of a daemon with this runtime folder report.
pub(super) fn pokes_path(runtime: &Path) -> PathBuf {
    runtime.join("shims.sock")
}
