//! The states of a task and the one table that says which change leads from where to where.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Edit, TaskKey, Tick};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its earliest start lies ahead (`--delay`, `--at`, or a retry's backoff).
    Delayed,
    /// It waits for another task: a dependency, or one that works in its session.
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

impl State {
    /// Every state, in the order of the variants.
    pub const ALL: [Self; 12] = [
        Self::Delayed,
        Self::Blocked,
        Self::Held,
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
        Self::Lost,
    ];

    /// Its name as it is written in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Lost => "lost",
        }
    }

    /// Whether no attempt runs and one may still come. (`waiting` is not meant: there an attempt
    /// waits for an answer.)
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Delayed | Self::Blocked | Self::Held | Self::Queued)
    }

    /// Whether an attempt holds a slot.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Waiting)
    }

    /// Whether the task is over.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped | Self::Lost
        )
    }

    /// The one table: where `change` leads from here; `None` if it cannot happen here. Live use
    /// and replay both go through it. No arm is a wildcard, so that a new state or a new change
    /// does not compile until every pair has been thought about.
    pub(crate) fn after(self, change: &Change) -> Option<Next> {
        use Change as C;
        use State::{
            Blocked, Cancelled, Delayed, Failed, Held, Lost, Paused, Queued, Running, Skipped, Succeeded,
            Waiting,
        };
        match (self, change) {
            // In replay nobody knows the time, so a delay that was over when the attempt started
            // still counts there.
            (Queued | Delayed, C::Started { .. }) => Some(Next::Is(Running)),
            (Blocked | Held | Running | Paused | Waiting, C::Started { .. }) => None,

            (Running | Paused | Waiting, C::StopRequested) => Some(Next::Is(self)),
            (Delayed | Blocked | Held | Queued, C::StopRequested) => None,

            (Running | Waiting, C::Suspended) => Some(Next::Is(Paused)),
            (Delayed | Blocked | Held | Queued | Paused, C::Suspended) => None,

            // What waits for an answer does not grow, and the user's pause stays the user's.
            (Running, C::Relieved { .. }) => Some(Next::Is(Paused)),
            (Delayed | Blocked | Held | Queued | Paused | Waiting, C::Relieved { .. }) => None,

            (Paused, C::PutBackRequested) => Some(Next::Is(Paused)),
            (Delayed | Blocked | Held | Queued | Running | Waiting, C::PutBackRequested) => None,

            (Paused, C::Continued) => Some(Next::Is(Running)),
            (Delayed | Blocked | Held | Queued | Running | Waiting, C::Continued) => None,

            (Running, C::Asked) => Some(Next::Is(Waiting)),
            (Delayed | Blocked | Held | Queued | Paused | Waiting, C::Asked) => None,

            (Waiting, C::Answered) => Some(Next::Is(Running)),
            (Delayed | Blocked | Held | Queued | Running | Paused, C::Answered) => None,

            (Running | Paused | Waiting, C::Requeued { .. }) => Some(Next::Pending),
            (Delayed | Blocked | Held | Queued, C::Requeued { .. }) => None,

            (Delayed | Blocked | Held | Queued, C::Ended { state, .. }) => match state {
                Cancelled | Skipped => Some(Next::Is(*state)),
                Succeeded | Failed | Lost => None,
                Delayed | Blocked | Held | Queued | Running | Paused | Waiting => None,
            },
            (Running | Paused | Waiting, C::Ended { state, .. }) => match state {
                Succeeded | Failed | Cancelled | Lost => Some(Next::Is(*state)),
                Skipped => None,
                Delayed | Blocked | Held | Queued | Running | Paused | Waiting => None,
            },

            (Delayed | Blocked | Queued, C::Held) => Some(Next::Pending),
            (Held | Running | Paused | Waiting, C::Held) => None,

            (Held, C::Released) => Some(Next::Pending),
            (Delayed | Blocked | Queued | Running | Paused | Waiting, C::Released) => None,

            (Delayed | Blocked | Held | Queued, C::Edited(_)) => Some(Next::Pending),
            // What a running attempt has waited for cannot be changed any more.
            (Running | Paused | Waiting, C::Edited(edit)) => {
                (edit.after.is_none() && edit.not_before.is_none()).then_some(Next::Is(self))
            }

            (Delayed | Blocked | Held | Queued, C::Claimed(_)) => Some(Next::Pending),
            (Running | Paused | Waiting | Succeeded | Failed | Cancelled | Skipped | Lost, C::Claimed(_)) => {
                Some(Next::Is(self))
            }

            (Succeeded | Failed | Cancelled | Skipped | Lost, C::Revived) => Some(Next::Pending),
            (Delayed | Blocked | Held | Queued | Running | Paused | Waiting, C::Revived) => None,

            (
                Succeeded | Failed | Cancelled | Skipped | Lost,
                C::Started { .. }
                | C::StopRequested
                | C::Suspended
                | C::Relieved { .. }
                | C::PutBackRequested
                | C::Continued
                | C::Asked
                | C::Answered
                | C::Requeued { .. }
                | C::Ended { .. }
                | C::Held
                | C::Released
                | C::Edited(_),
            ) => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Where a change leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To this state.
    Is(State),
    /// To `held`, `blocked`, `delayed` or `queued`: whichever of them the task's facts say, the
    /// first of these that applies.
    Pending,
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
    /// It was not allowed to use a tool that it needed.
    Denied,
    /// A usage limit of the account was reached.
    Limited,
    /// The service had too much to do.
    Overloaded,
    /// The service did not accept who was asking, or who was paying.
    Auth,
    /// The service answered with some other error.
    ApiError,
    /// The service could not be reached.
    Unreachable,
    /// The prompt was longer than the model takes.
    PromptTooLong,
    /// It reached what it may cost.
    Budget,
    /// It reached its number of turns.
    MaxTurns,
    /// The model declined.
    Refusal,
    /// Its answer was cut off.
    Truncated,
    /// It changed nothing where it was to change something.
    NoOp,
    /// It was interrupted from outside.
    Interrupted,
    /// The worker program broke down.
    Crashed,
    /// The session that it was to go on with is not there.
    NoSession,
    /// Nothing was heard of it for too long.
    Stalled,
    /// The kernel killed it for want of memory.
    Oom,
    /// It was stopped and put back, because memory was short.
    Memory,
}

impl Reason {
    /// Its name as it is written in JSON; `dependency` whichever the other task is.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::SpawnError => "spawn_error",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Dependency(_) => "dependency",
            Self::QueueTime => "queue_time",
            Self::NotStarted => "not_started",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Overloaded => "overloaded",
            Self::Auth => "auth",
            Self::ApiError => "api_error",
            Self::Unreachable => "unreachable",
            Self::PromptTooLong => "prompt_too_long",
            Self::Budget => "budget",
            Self::MaxTurns => "max_turns",
            Self::Refusal => "refusal",
            Self::Truncated => "truncated",
            Self::NoOp => "no_op",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::NoSession => "no_session",
            Self::Stalled => "stalled",
            Self::Oom => "oom",
            Self::Memory => "memory",
        }
    }
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
    /// The user had its attempt stopped by SIGSTOP.
    Suspended,
    /// Memory is short: its attempt was stopped by SIGSTOP.
    Relieved {
        /// Until then at most.
        until: Tick,
    },
    /// Memory is short still: its attempt shall be ended, and the task goes back to its place.
    PutBackRequested,
    /// Its attempt runs again.
    Continued,
    /// Its attempt waits for an answer.
    Asked,
    /// Its attempt has the answer.
    Answered,
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
    /// It works in this session from now on; `None` for none.
    Claimed(Option<Arc<str>>),
    /// It had ended, and the user wants it again; retries count from 0 anew.
    Revived,
}

/// The table has no such change: a bug in the caller, or a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("task {} is {}: it cannot take {change:?}", key.0, from.map_or("unknown", State::name))]
pub struct IllegalChange {
    /// The task.
    pub key: TaskKey,
    /// Where it stood; `None` if the task is unknown.
    pub from: Option<State>,
    /// What was to happen.
    pub change: Change,
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
