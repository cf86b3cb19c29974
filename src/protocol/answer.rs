//! What the daemon says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AdmissionAnswer, CostAnswer, ProcessesAnswer, StatusUpdate, TaskView, WorkspaceRemoved, WorkspaceView,
    WorkspacesAnswer,
};

/// One line from the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Answer {
    /// To `TaskQueue` and `ProcessSpawn`: the id and the state; and a line for subscribers that asked for `statuses`.
    StatusUpdate(StatusUpdate),
    /// Something was refused; nothing has changed.
    Error(ErrorAnswer),
    /// To `Status` and `Subscribe`.
    Status(StatusAnswer),
    /// To `Show`.
    Task(Box<TaskView>),
    /// To `Explain`.
    Explanation(ExplanationView),
    /// To `Cancel`, `Hold` and their like.
    Changed(Changed),
    /// To `ReserveIds`.
    Reserved(Reserved),
    /// To `Environment`.
    Environment(EnvironmentStored),
    /// To `WorkspaceCreate`, `WorkspaceShow` and `WorkspaceEdit`.
    Workspace(Box<WorkspaceView>),
    /// To `WorkspaceList`.
    Workspaces(WorkspacesAnswer),
    /// To `WorkspaceRemove`.
    WorkspaceRemoved(WorkspaceRemoved),
    /// To `ProcessList`.
    Processes(ProcessesAnswer),
    /// To `Admission`.
    Admission(Box<AdmissionAnswer>),
    /// To `Cost`.
    Cost(CostAnswer),
    /// To `Metrics`.
    Metrics(MetricsText),
    /// To `Info`, `Shutdown`, `Reload`.
    Daemon(DaemonInfo),
    /// On a subscribed connection.
    Event(Event),
}

/// An error with what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct ErrorAnswer {
    /// For programs.
    pub code: ErrorCode,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl ErrorAnswer {
    /// An error from its three parts; an empty hint is left out on the wire.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Nothing was done, since the daemon is ending.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::new(
            ErrorCode::ShuttingDown,
            "the daemon is ending",
            "try again: the next call starts a new one",
        )
    }
}

/// What kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is not JSON, not UTF-8, or nested too deeply.
    InvalidJson,
    /// The line is longer than the limit.
    LineTooLong,
    /// There is no such message.
    UnknownMessage,
    /// The message has no such field.
    UnknownField,
    /// A value is out of range, empty, or of the wrong type.
    InvalidValue,
    /// No task has this id.
    UnknownTask,
    /// There is no workspace, template or process of this name.
    NotFound,
    /// There is another workspace or process of this name.
    Exists,
    /// There is no such worker profile.
    UnknownWorker,
    /// The id was used before with other content.
    Conflict,
    /// The dependencies would wait for each other.
    Cycle,
    /// The task's state does not allow it.
    WrongState,
    /// The program does not exist or cannot be executed.
    MissingProgram,
    /// The working folder does not exist.
    MissingCwd,
    /// This daemon cannot do that (yet).
    Unsupported,
    /// The caller may not do that.
    Forbidden,
    /// The journal cannot be written: nothing new is taken until it can.
    JournalFailed,
    /// Too many connections, or too many answers not read.
    TooBusy,
    /// The config is wrong.
    InvalidConfig,
    /// The daemon is ending.
    ShuttingDown,
    /// A bug in the daemon.
    Internal,
}

/// Tasks and the summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusAnswer {
    /// The tasks asked for.
    pub tasks: Vec<TaskView>,
    /// All tasks, counted.
    pub summary: Summary,
}

/// The queue in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Tasks in each state; every state is named.
    pub states: std::collections::BTreeMap<String, usize>,
    /// Tasks that may start as soon as gates open.
    pub queued: usize,
    /// Attempts that run now (paused and waiting ones are counted in `states`).
    pub running: usize,
    /// Slots of the pool.
    pub slots: u32,
    /// Whether all starts are paused.
    pub paused: bool,
    /// Workspaces whose starts are paused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_workspaces: Vec<String>,
    /// Tasks and processes that wait for somebody: those that ask, and those that report so.
    #[serde(default)]
    pub attention: usize,
    /// Long-lived processes; absent as long as there are none.
    #[serde(default, skip_serializing_if = "ProcessCounts::is_empty")]
    pub processes: ProcessCounts,
    /// What holds up every queued task.
    pub blocked_by: Vec<GateView>,
}

/// Long-lived processes in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessCounts {
    /// Those with a run under way.
    pub up: usize,
    /// Those that start again in a while, by themselves.
    #[serde(default)]
    pub backoff: usize,
    /// Those that have failed: nothing starts them but somebody who looks.
    pub failed: usize,
    /// Those that ended as they should, or were stopped.
    #[serde(default)]
    pub stopped: usize,
}

impl ProcessCounts {
    /// Whether there are no processes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many there are.
    #[must_use]
    pub fn all(&self) -> usize {
        self.up + self.backoff + self.failed + self.stopped
    }
}

/// One closed gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// Its name: `slots limit dependency delay pause hold journal quota auth session budget` …
    pub gate: String,
    /// The number and the threshold, in words.
    pub message: String,
    /// When it opens, in milliseconds since the Unix epoch, if that can be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at_ms: Option<u64>,
}

/// Why a task waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplanationView {
    /// The task.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// Why it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Each closed gate in its way.
    pub gates: Vec<GateView>,
    /// Queued tasks that come before it.
    pub ahead: usize,
    /// No task submitted after this moment can overtake it, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_overtaken_after_ms: Option<u64>,
}

/// The tasks that a request changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Their ids; empty for a pause or resume of all.
    pub ids: Vec<String>,
}

/// Numbers set aside for a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    /// The first.
    pub first: u64,
    /// The last, inclusive.
    pub last: u64,
}

/// The name of a stored environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentStored {
    /// The hash of its content in hexadecimal digits: what `env_ref` takes.
    pub hash: String,
}

/// All metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsText {
    /// In Prometheus' text format, version 0.0.4.
    pub text: String,
}

/// Who the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonInfo {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// Its socket.
    pub socket: String,
    /// Its data folder.
    pub data: String,
    /// Its config file, if there is one.
    pub config: Option<String>,
    /// The address at which its metrics are served over HTTP, as `127.0.0.1:9469`; absent if nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// How the writing of the history goes; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryInfo>,
    /// Whether workers can have control groups of their own, in words: where, or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// What it warns of: a cut journal tail, a config that could not be reloaded …
    pub warnings: Vec<String>,
}

/// How the writing of the history goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryInfo {
    /// The file.
    pub file: String,
    /// Tasks whose changes are not written yet.
    pub behind: usize,
    /// Why nothing is written at the moment, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Damaged files that this daemon has moved aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<String>,
}

/// Something happened to a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It changed: its new view.
    Task(Box<TaskView>),
    /// It was removed.
    Removed {
        /// Its id.
        id: String,
    },
    /// A gate has closed or opened; told to those who hear of all tasks.
    Gate {
        /// `memory`, `cpu`, `pressure` or `rate`.
        gate: String,
        /// Which of the two.
        is_open: bool,
        /// Why it has closed. Of one that has opened it is empty, but for a rate: whose.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        /// It is a dry run: the gate only would have.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
    },
    /// Starts were paused or resumed, or the config was read again; told to those who hear of all tasks.
    Queue {
        /// Slots of the pool.
        slots: u32,
        /// Whether all starts are paused.
        paused: bool,
        /// Workspaces whose starts are paused.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        paused_workspaces: Vec<String>,
    },
    /// A task or process changed, for those that asked for `statuses`: it goes out as a line of its own shape.
    #[serde(skip)]
    Status(StatusUpdate),
    /// The subscriber read too slowly and this many events were dropped: ask for the status again.
    Lagged {
        /// How many.
        dropped: u64,
    },
}
