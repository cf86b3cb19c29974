//! The states of a task and the one table that says which change leads from where to where.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Edit, TaskKey, Tick};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its earliest start lies ahead (`--delay`, `--at`, or a retry's backoff).
    Delayed,
    /// It waits for another task.
    Blocked,
    /// It was put on hold by the user.
    Held,
    /// It may start as soon as every gate is open.
    Queued,
    /// An attempt is running.
    Running,
    /// An attempt is stopped by SIGSTOP.
    Paused,
    /// A running attempt waits for an answer.
    Waiting,
    /// It did what it was asked to do.
    Succeeded,
    /// It did not.
    Failed,
    /// The user took it back.
    Cancelled,
    /// It can no longer run: see its reason.
    Skipped,
    /// Its attempt vanished without an outcome.
    Lost,
}

/// Why a task ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The command succeeded.
    Ok,
    /// The command ended with a code other than 0.
    ExitCode,
    /// A signal ended the command.
    Signal,
    /// The timeout ended it.
    Timeout,
    /// The command could not be started.
    SpawnError,
    /// The user cancelled it.
    Cancelled,
    /// Its shim was killed, or the machine went down.
    Lost,
    /// A task that it waits for ended the other way: which one.
    Dependency(TaskKey),
    /// It did not start within its maximum queue time.
    QueueTime,
    /// The attempt never began (the launcher died, or the disk was full): no retry is used up.
    NotStarted,
}

/// Why a task goes back to its place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requeue {
    /// It failed and has retries left: one is used up.
    Retry,
    /// It did not get to run through no fault of its own: none is used up.
    Free,
}

/// A change of one task: what the journal stores and what replay applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An attempt was given a slot.
    Started {
        /// Its number, from 1.
        attempt: u32,
        /// The slot, from 0.
        slot: u32,
    },
    /// Its running attempt shall be stopped.
    StopRequested,
    /// Its attempt was stopped by SIGSTOP.
    Suspended,
    /// Its attempt runs again.
    Continued,
    /// Its attempt is over and it goes back to its place.
    Requeued {
        /// Whether a retry is used up.
        cause: Requeue,
        /// What ended the attempt.
        reason: Reason,
        /// When it may start again.
        not_before: Option<Tick>,
    },
    /// It is over.
    Ended {
        /// An end: `succeeded`, `failed`, `cancelled`, `skipped` or `lost`.
        state: State,
        /// Why.
        reason: Reason,
    },
    /// The user put it on hold.
    Held,
    /// The user released it.
    Released,
    /// The user changed it.
    Edited(Edit),
    /// It had ended, and the user wants it again; retries count from 0 anew.
    Revived,
}

/// The table has no such change: a bug in the caller, or a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("task {} is {from:?}: it cannot take {change:?}", key.0)]
pub struct IllegalChange {
    /// The task.
    pub key: TaskKey,
    /// Where it stood; `None` if the task is unknown.
    pub from: Option<State>,
    /// What was to happen.
    pub change: Change,
}
