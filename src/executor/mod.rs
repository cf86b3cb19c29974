//! Runs attempts: one folder each, owned by a shim that outlives the daemon.
//!
//! The attempt folder is the interface between the daemon, the shim and whoever reads the output:
//! `shim.json` (pid and start time, locked by flock while the shim lives), `output`, `stderr` where
//! it is kept apart, `stdin` (all that the command was told), `control.json` (a stop that was asked for)
//! `group.json` (the control group, of those that
//! have one) and `exit.json` (the outcome, written, then renamed).

mod exit;
mod fake;
mod folder;
mod frame;
mod group;
mod input;
mod launcher;
mod process;
mod room;
mod shim;
mod spare;
mod survivors;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wezterm_parallel_scheduler::TaskKey;

use crate::worktree::Order;

pub use exit::{Exit, StopCause};
pub use fake::{FakeExecutor, FakeHandle};
pub use folder::dropped_range;
pub use launcher::{launcher_main, LAUNCHER_ARGUMENT};
pub use process::{ExecutorOptions, ProcessExecutor};
pub use room::{GroupPlan, Means, ResourceLimits, Room, SandboxPlan};
pub use shim::enter_sandbox;

/// One execution of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The task.
    pub key: TaskKey,
    /// Its attempt, from 1.
    pub attempt: u32,
}

/// Everything that a shim needs to run one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which attempt.
    pub id: AttemptId,
    /// Its folder, `tasks/<id>/<attempt>`; it does not exist yet.
    pub folder: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working folder.
    pub cwd: PathBuf,
    /// A git worktree that is made first, or found, and that the command runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Order>,
    /// The command that tells secrets, if the environment refers to any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// What the command reads on its standard input; `None` for `/dev/null`.
    pub stdin: Option<String>,
    /// Whether its standard input stays open for further lines, until [`Executor::close_input`]. A newline
    /// that `stdin` lacks at its end is added.
    #[serde(default)]
    pub stdin_open: bool,
    /// Whether stderr goes to a file of its own (`stderr`) rather than into `output`.
    pub separate_stderr: bool,
    /// The longest run, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How it is stopped by the timeout, and what the command left behind is given.
    pub stop: StopPlan,
    /// Output kept at most, in bytes: half of it head, half tail.
    pub output_cap_bytes: u64,
    /// What the command is kept in.
    #[serde(default, skip_serializing_if = "Room::is_none")]
    pub room: Room,
}

impl Launch {
    /// Whether something must be brought about before the command is started.
    pub(crate) fn needs_entrance(&self) -> bool {
        self.worktree.is_some() || !self.secrets.is_empty()
    }
}

/// How a tree is stopped: the first signal, after the grace time perhaps a second one, and after the
/// grace time again SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPlan {
    /// The first signal's number.
    pub signal: i32,
    /// Milliseconds until the next step, which in the end is SIGKILL for the whole tree.
    pub grace_ms: u64,
    /// The second signal's number, if there is a step between the first one and SIGKILL.
    #[serde(default)]
    pub then: Option<i32>,
}

/// What the executor tells the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The attempt is over; `exit.json` says how.
    Ended(AttemptId, Exit),
    /// The attempt never began: no process was started and none will be.
    NotStarted(AttemptId, String),
    /// Its shim is gone without an outcome, and what was left of its tree has been ended.
    Lost(AttemptId, String),
}

impl Report {
    /// The attempt that it is about.
    #[must_use]
    pub fn id(&self) -> AttemptId {
        match self {
            Self::Ended(id, _) | Self::NotStarted(id, _) | Self::Lost(id, _) => *id,
        }
    }
}

/// What an attempt folder shows after a restart of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is an outcome.
    Ended(Exit),
    /// Its shim is alive; reports about it will come.
    Running,
    /// The same, and it was told to stop already.
    Stopping,
    /// No process was ever started for it.
    NeverStarted,
    /// Its shim is gone without an outcome.
    Lost(String),
}

/// The process that owns the attempt in this folder, if it runs and has said so.
pub fn shim_of(folder: &Path) -> Option<i32> {
    shim_process(folder).map(|(pid, _)| pid)
}

/// The same with its start, as the platform counts it: together they name one process for good.
pub fn shim_process(folder: &Path) -> Option<(i32, u64)> {
    match folder::AttemptFolder::new(folder.to_owned()).look() {
        Ok(folder::State::Alive(Some(record))) => Some((record.pid, record.started)),
        _ => None,
    }
}

/// Starts and stops attempts. Reports come through the channel given when it was made.
pub trait Executor: Send {
    /// Starts an attempt. Returns at once; an `Err` means that nothing was started.
    fn launch(&mut self, launch: Launch) -> io::Result<()>;
    /// Stops its whole tree by the plan. A second stop with a shorter grace time takes effect.
    fn stop(&mut self, id: AttemptId, plan: StopPlan) -> io::Result<()>;
    /// SIGSTOP for its whole tree.
    fn suspend(&mut self, id: AttemptId) -> io::Result<()>;
    /// SIGCONT for it.
    fn resume(&mut self, id: AttemptId) -> io::Result<()>;
    /// Gives a command whose input stays open further lines, the last one with its newline. What is
    /// given survives the daemon, whether the command has read it or not. `NotFound` if the attempt is
    /// over, `BrokenPipe` after [`Executor::close_input`]; an `Err` means that nothing was given.
    fn feed(&mut self, id: AttemptId, lines: &[u8]) -> io::Result<()>;
    /// Ends the input that stays open, behind all that was given before.
    fn close_input(&mut self, id: AttemptId) -> io::Result<()>;
    /// After a restart: looks at an attempt that was running when the last daemon ended, and, if
    /// it still runs, watches it from now on.
    fn adopt(&mut self, id: AttemptId, folder: PathBuf) -> io::Result<Found>;
}
