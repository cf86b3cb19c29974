//! The executor that runs real processes: the daemon's end of launcher and shims.
//!
//! One thread waits for pokes, for the launcher's refusals and for its death, and looks at every
//! watched folder once a second, so that an outcome is found even if its poke was lost. With
//! nothing running it sleeps without a timeout.

mod launching;
mod shared;
mod watched;
mod watcher;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::launching::LauncherOptions;
use self::shared::Shared;
use self::watched::Change;
use self::watcher::Watcher;
use super::folder::{AttemptFolder, State};
use super::launcher::pokes_path;
use super::{group, survivors, AttemptId, Executor, Found, Launch, Report, StopPlan};

/// An old launcher has only what it already received to work off.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Where and what.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    /// The runtime folder, for `shims.sock`.
    pub runtime: PathBuf,
    /// Held by the launcher as long as it lives. It belongs beside the attempts, so that a daemon
    /// with another runtime folder waits for it, too.
    pub lock: PathBuf,
    /// This program, which is also the launcher: `/proc/self/exe` on Linux.
    pub program: PathBuf,
}

/// Runs attempts as real processes.
///
/// Dropping it stops nothing: what runs goes on, and the next executor adopts it.
pub struct ProcessExecutor {
    shared: Arc<Shared>,
}

impl ProcessExecutor {
    /// Starts the launcher, after the one of an earlier daemon has ended. Only then do attempt
    /// folders say the truth, so nothing may be adopted before.
    ///
    /// # Errors
    ///
    /// If the runtime folder cannot be used, the launcher cannot be started, or an earlier one
    /// still runs after ten seconds.
    pub fn start(options: ExecutorOptions, reports: mpsc::Sender<Report>) -> io::Result<Self> {
        let ExecutorOptions {
            runtime,
            lock,
            program,
        } = options;
        let runtime = std::path::absolute(runtime)?;
        DirBuilder::new().mode(0o700).recursive(true).create(&runtime)?;
        let launcher = LauncherOptions {
            program: std::path::absolute(program)?,
            lock: std::path::absolute(lock)?,
            lock_patience: LOCK_PATIENCE,
            pokes: pokes_path(&runtime),
        };
        let lock = launcher.lock()?;
        let pokes = bind(&launcher.pokes)?;
        let (child, socket) = launcher.spawn(lock)?;
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared::new(socket.try_clone()?, wake));
        let watcher = Watcher::new(Arc::clone(&shared), launcher, (child, socket), reports);
        std::thread::Builder::new()
            .name("executor".to_owned())
            .spawn(move || watcher.run(&pokes, &woken))?;
        Ok(Self { shared })
    }
}

fn bind(path: &Path) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixDatagram::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Drop for ProcessExecutor {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Executor for ProcessExecutor {
    fn launch(&mut self, mut launch: Launch) -> io::Result<()> {
        launch.folder = std::path::absolute(&launch.folder)?;
        self.shared.launch(launch)
    }

    /// An attempt that is over, with its report on the way, needs no stop: that is no error.
    fn stop(&mut self, id: AttemptId, plan: StopPlan) -> io::Result<()> {
        self.shared.change(id, Change::Stop(plan))
    }

    fn suspend(&mut self, id: AttemptId) -> io::Result<()> {
        self.shared.change(id, Change::Pause(true))
    }

    fn resume(&mut self, id: AttemptId) -> io::Result<()> {
        self.shared.change(id, Change::Pause(false))
    }

    fn feed(&mut self, id: AttemptId, lines: &[u8]) -> io::Result<()> {
        self.shared.feed(id, lines)
    }

    /// Like a stop, that of an attempt that is over is no error.
    fn close_input(&mut self, id: AttemptId) -> io::Result<()> {
        self.shared.change(id, Change::CloseInput)
    }

    fn adopt(&mut self, id: AttemptId, folder: PathBuf) -> io::Result<Found> {
        let folder = AttemptFolder::new(std::path::absolute(folder)?);
        // Watched before it is looked at: an end in between is found by one of the two.
        let stopping = self.shared.watch(id, &folder)?;
        let state = match folder.look() {
            Ok(State::Alive(_)) => {
                group::renew(&folder);
                return Ok(if stopping { Found::Stopping } else { Found::Running });
            }
            Ok(state) => state,
            Err(error) => {
                // No file descriptor left, say. It may well run, and what is taken for lost could
                // be started a second time beside it: the thread looks again every second.
                let path = folder.path().display();
                tracing::warn!(%path, %error, "an attempt's folder cannot be read: it counts as running");
                return Ok(Found::Running);
            }
        };
        if self.shared.take(id).is_none() {
            // The thread was faster, and its report is on the way.
            return Ok(Found::Running);
        }
        Ok(match state {
            State::Alive(_) => Found::Running,
            State::Ended(exit) => Found::Ended(exit),
            State::Unprepared | State::Blank => {
                folder.remove_unstarted();
                Found::NeverStarted
            }
            State::Gone(record, reason) => {
                let left = survivors::end(&folder, record.as_ref(), None);
                Found::Lost(explain_lost(reason, left))
            }
        })
    }
}

fn explain_lost(reason: String, left: usize) -> String {
    match left {
        0 => reason,
        left => format!("{reason}, and {left} of its processes could not be ended"),
    }
}
