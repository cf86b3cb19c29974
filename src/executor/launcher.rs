//! The launcher: a tiny process without threads that forks one shim per attempt.
//!
//! It exists because a fork of the daemon would copy the daemon's memory map and its locks, and an
//! exec for each shim costs more than the fork. It keeps no state worth saving: requests in, shims
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
use super::frame::{self, Decoder, NotStarted, Request};
use super::shim::{self, Errand};
use super::Launch;
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
    };
    let mut decoder = Decoder::default();
    loop {
        while let Some(request) = decoder.next()? {
            launcher.serve(request);
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
}

impl Launcher {
    fn serve(&mut self, request: Request) {
        match request {
            Request::Setup { pokes } => self.pokes = pokes,
            Request::Launch(launch) => {
                let id = launch.id;
                if let Err(reason) = self.launch(*launch) {
                    self.refuse(&NotStarted { id, reason });
                }
            }
        }
    }

    fn launch(&mut self, launch: Launch) -> Result<(), String> {
        let folder = AttemptFolder::new(launch.folder.clone());
        let path = folder.path().display();
        let shim = folder.prepare().map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => format!("its folder {path} exists already"),
            _ => format!("its folder {path} cannot be made: {error}"),
        })?;
        // SAFETY: this process has a single thread, so the child may do whatever the parent may.
        match unsafe { libc::fork() } {
            0 => self.become_shim(launch, shim),
            -1 => {
                let error = io::Error::last_os_error();
                folder.remove_unstarted();
                Err(format!("its shim cannot be forked: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn become_shim(&self, launch: Launch, shim: File) -> ! {
        let errand = Errand {
            launch,
            shim,
            null: &self.null,
            pokes: self.pokes.as_path(),
        };
        let run = panic::catch_unwind(AssertUnwindSafe(|| shim::run(errand)));
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
