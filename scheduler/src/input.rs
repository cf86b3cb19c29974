//! What goes into the scheduler and what comes out.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

use crate::{
    AdmissionRules, Budget, Change, Companion, Edit, Gate, GateNotice, HostReading, Lane, LanePeak, Reason,
    Share, State, Submission, TaskKey, Tick, TreeMemory,
};

/// Something happened or was asked for.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; nothing else.
    Tick,
    /// A new task. Boxed: it is far larger than the rest.
    Submit(Box<Submission>),
    /// The user takes the task back: a waiting one ends as `cancelled`, a running one is stopped.
    Cancel(TaskKey),
    /// A waiting task shall not start until released.
    Hold(TaskKey),
    /// Undoes `Hold`.
    Release(TaskKey),
    /// New values for a waiting task (priority and retries also for a running one).
    Edit(TaskKey, Edit),
    /// SIGSTOP for the running attempt.
    Suspend(TaskKey),
    /// SIGCONT for it.
    Continue(TaskKey),
    /// An ended task shall run again.
    Revive(TaskKey),
    /// A running attempt is over. The caller has judged it: `state` is `succeeded`, `failed`,
    /// `cancelled` or `lost`. The scheduler decides whether it is retried. A report for another
    /// attempt than the newest running one is ignored.
    Exited {
        /// The task.
        key: TaskKey,
        /// The attempt.
        attempt: u32,
        /// The judgement.
        state: State,
        /// Why.
        reason: Reason,
    },
    /// An attempt came to nothing through no fault of the task's (its start did not take place,
    /// a usage limit was reached): the task goes back to its place and uses up no retry; with
    /// `not_before`, not at once. One that is being stopped ends as `cancelled`. A report for
    /// another attempt than the newest running one is ignored.
    PutBack {
        /// The task.
        key: TaskKey,
        /// The attempt.
        attempt: u32,
        /// What ended the attempt.
        reason: Reason,
        /// The earliest next try.
        not_before: Option<Tick>,
    },
    /// The running attempt waits for an answer from now on, and may lend its slot meanwhile (see
    /// [`Limits::lend`]). Ignored for another attempt than the newest.
    Asked(TaskKey, u32),
    /// It has its answer and goes on. Ignored for another attempt than the newest.
    Answered(TaskKey, u32),
    /// The task works in this session from now on (`None`: in none), whatever its state: two
    /// tasks of one session never run at once. Tasks that run already go on.
    Claim(TaskKey, Option<Arc<str>>),
    /// An ended task is removed from memory (retention), or a submission that could not be
    /// journaled is taken back. A task that others still wait for, or that runs, is refused.
    Forget(TaskKey),
    /// Nothing in this workspace (`None`: nothing at all) starts until `Resume`.
    Pause(Option<Arc<str>>),
    /// Undoes `Pause` of the same scope.
    Resume(Option<Arc<str>>),
    /// A gate closes, be it in full or down to a number of tasks. The first value is the name
    /// that its owner knows it by (`journal`, `quota/default`): the same one again replaces it.
    CloseGate(Arc<str>, Gate),
    /// It opens.
    OpenGate(Arc<str>),
    /// New budgets, in place of all old ones.
    SetBudgets(Vec<Budget>),
    /// New weights of workspaces, in place of the old ones. Without any, who came first goes first.
    SetShares(Vec<Share>),
    /// New limits (a config reload).
    SetLimits(Limits),
    /// New rules of admission, in place of the old ones. Until then there are none.
    SetAdmission(Box<AdmissionRules>),
    /// The host was read. Boxed: it is larger than the rest.
    Reading(Box<HostReading>),
    /// Workers were measured. What is measured at an attempt's end goes in before its
    /// `Exited`, so that short ones teach something, too.
    WorkerMemory {
        /// When.
        taken_at: Tick,
        /// All that were.
        trees: Vec<TreeMemory>,
    },
    /// What runs beside the tasks from now on, in place of all that did before. Nothing of it is decided here.
    SetCompanions(Vec<Companion>),
    /// What was learned before a restart (see [`crate::Scheduler::peaks`]).
    SetPeaks(Vec<LanePeak>),
}

/// What the engine shall do. Changes have been applied to the scheduler's own state already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this to the journal, tell whoever watches.
    Record(TaskKey, Change),
    /// Start this attempt. Its `Change::Started` stands before it.
    Start {
        /// The task.
        key: TaskKey,
        /// The attempt.
        attempt: u32,
        /// The slot it shows in.
        slot: u32,
    },
    /// Stop this attempt's whole process tree; `Input::Exited` follows in time.
    Stop(TaskKey, u32),
    /// Send SIGSTOP to its tree.
    Suspend(TaskKey, u32),
    /// Send SIGCONT to its tree.
    Continue(TaskKey, u32),
    /// Tell whoever watches that a gate has closed or opened.
    Gate(GateNotice),
    /// It is a dry run: this worker would be paused to relieve memory.
    WouldPause {
        /// Its task.
        key: TaskKey,
        /// Why.
        message: String,
    },
}

/// Which lanes a limit counts together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// All lanes of this workspace.
    Workspace(Arc<str>),
    /// All lanes of this worker profile.
    Worker(Arc<str>),
    /// This one lane.
    Lane(Lane),
}

/// At most `max_parallel` running tasks in `scope`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub scope: LimitScope,
    /// How many may run at once; 0 closes the lanes.
    pub max_parallel: u32,
}

/// How much may run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Slots of the pool.
    pub slots: u32,
    /// How much waiting time one point of priority is worth, in milliseconds: a task that
    /// waits for `aging_step_ms` longer overtakes one of the next higher priority.
    pub aging_step_ms: u64,
    /// Limits of lanes.
    pub lanes: Vec<Limit>,
    /// Seed of the jitter in retries.
    pub jitter_seed: u64,
    /// At most so many slots of tasks that wait for an answer are lent to others. A task keeps
    /// its slot meanwhile; when it goes on, more tasks than slots may run for a time. Limits of
    /// lanes go on counting it.
    pub lend: u32,
}

/// Why an input was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No task has this number.
    #[error("there is no task {}", .0.0)]
    Unknown(TaskKey),
    /// The task waits for one that is not there.
    #[error("task {} waits for task {}, which does not exist", .0.0, .1.0)]
    UnknownDependency(TaskKey, TaskKey),
    /// The dependencies would wait for each other: each of these for the next, the last for the
    /// first.
    #[error("the dependencies form a cycle: {}", path_in_words(.0))]
    Cycle(Vec<TaskKey>),
    /// The task's state does not allow it.
    #[error("task {} is {}", .0.0, .1)]
    WrongState(TaskKey, State),
    /// The number was used before.
    #[error("task {} exists already", .0.0)]
    Exists(TaskKey),
    /// Other tasks still wait for it.
    #[error("task {} is waited for by task {}", .0.0, .1.0)]
    WaitedFor(TaskKey, TaskKey),
}

/// `7 waits for 9 waits for 7`.
fn path_in_words(path: &[TaskKey]) -> String {
    let numbers = path.iter().chain(path.first());
    let words: Vec<String> = numbers.map(|key| key.0.to_string()).collect();
    words.join(" waits for ")
}

/// One reason to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// `slots`, `limit`, `dependency`, `session`, `delay`, `pause`, `hold`, `budget`, `rate`,
    /// `memory`, `cpu`, `pressure`, or an outside gate's name.
    pub gate: String,
    /// The number and the threshold, in words.
    pub message: String,
    /// When it opens, where that can be computed.
    pub opens_at: Option<Tick>,
    /// The other task that the words are about, as `task NUMBER` in them.
    pub task: Option<TaskKey>,
}

/// Why a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Where it stands.
    pub state: State,
    /// Each closed gate in its way; none for a task that runs or has ended.
    pub gates: Vec<GateReport>,
    /// Queued tasks that come before it in the order (all lanes).
    pub ahead: usize,
    /// No task submitted after this moment, of whatever priority, can overtake it; `None` where
    /// workspaces have shares, by which one that is behind may go first.
    pub not_overtaken_after: Option<Tick>,
}
