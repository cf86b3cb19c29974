//! What the scheduler knows of a task: enough to order it, no command and no environment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Reason, Relief, State, Tick};

/// The number of a task: given once, in the order of submission, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskKey(pub u64);

/// The tasks of one workspace and one worker profile; each lane has a priority queue of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane {
    /// The workspace's name; empty for tasks outside any workspace.
    pub workspace: Arc<str>,
    /// The worker profile's name.
    pub worker: Arc<str>,
}

/// When a dependency lets its dependent run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// After the other task has succeeded.
    #[default]
    Success,
    /// After it has failed or was lost.
    Failure,
    /// After any end.
    Any,
}

/// One task that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The task waited for.
    pub key: TaskKey,
    /// What its end must be.
    pub on: Condition,
}

/// How often and how soon a failed task is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Retries after the first attempt; 0 for none.
    pub max_retries: u32,
    /// The wait before the first retry, in milliseconds; it doubles with each one.
    pub base_ms: u64,
    /// The longest wait, in milliseconds, before jitter.
    pub max_ms: u64,
}

/// What a task declares that one attempt takes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Memory at its peak; 0 if it does not say.
    #[serde(skip_serializing_if = "is_nothing")]
    pub memory_bytes: u64,
    /// Thousandths of a CPU; 0 if it does not say.
    #[serde(skip_serializing_if = "is_none")]
    pub cpus_milli: u32,
}

impl Needs {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A new task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Its number; the caller gives each number once.
    pub key: TaskKey,
    /// Where it queues.
    pub lane: Lane,
    /// 0 to 255, larger first.
    pub priority: u8,
    /// When it was submitted.
    pub submitted_at: Tick,
    /// What it waits for; each key must be known to the scheduler.
    pub after: Vec<Dependency>,
    /// It stays `delayed` until then.
    pub not_before: Option<Tick>,
    /// If it has not started by then, it ends as `skipped` with reason `queue_time`.
    pub start_by: Option<Tick>,
    /// It stays `held` until released.
    pub held: bool,
    /// What happens after a failure.
    pub backoff: Backoff,
    /// The session that it works in, by any name: two tasks of one session never run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// What one attempt may cost, in millionths of a US dollar: set aside in its budgets while
    /// it runs. 0 for nothing.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub cost: u64,
    /// What it declares that it takes of the machine.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
}

// The signatures are the ones that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_nothing(amount: &u64) -> bool {
    *amount == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(amount: &u32) -> bool {
    *amount == 0
}

/// New values for a task that has not ended; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edit {
    /// A new priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// New dependencies, in place of all old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<Dependency>>,
    /// A new earliest start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Tick>,
    /// A new retry limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// New declared memory; 0 takes the declaration back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// New declared CPUs; 0 takes the declaration back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_milli: Option<u32>,
}

/// A task as it stands; also what a snapshot stores of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What was submitted, with later edits and claims applied.
    pub submission: Submission,
    /// Where it stands.
    pub state: State,
    /// Why it ended, or why it last went back to the queue.
    pub reason: Option<Reason>,
    /// Attempts started so far; the number of the newest one.
    pub attempts: u32,
    /// Retries used up so far.
    pub retries: u32,
    /// The slot that its running attempt holds.
    pub slot: Option<u32>,
    /// A stop has been asked for, and its attempt has not ended yet.
    pub stopping: bool,
    /// What was done to its attempt to relieve memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relief: Option<Relief>,
}
