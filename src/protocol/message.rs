//! What a client says. The first four messages keep the shape that scripts out there send.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::claude::{AnswerQuestion, ClaudeOptions, CostQuery};
use super::workspace::{OneWorkspace, WorkspaceCreate, WorkspaceEdit, WorkspaceRemove};

/// One line from a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Message {
    /// Queues a task; answered with `StatusUpdate`.
    TaskQueue(Box<TaskQueue>),
    /// Creates a workspace; answered with `Workspace`.
    WorkspaceCreate(Box<WorkspaceCreate>),
    /// Asks for all workspaces; answered with `Workspaces`.
    WorkspaceList {},
    /// Asks for one workspace; answered with `Workspace`.
    WorkspaceShow(OneWorkspace),
    /// Gives a workspace new values; answered with `Workspace`.
    WorkspaceEdit(Box<WorkspaceEdit>),
    /// Removes a workspace; answered with `WorkspaceRemoved`.
    WorkspaceRemove(WorkspaceRemove),
    /// Starts a long-lived process in a workspace.
    ProcessSpawn(ProcessSpawn),
    /// A worker reports its own status.
    StatusUpdate(StatusUpdate),
    /// Checks a task like `TaskQueue`, its profile, program and folder included, and queues nothing;
    /// answered with `Changed` without ids. `id` is not looked up.
    Check(Box<TaskQueue>),
    /// Asks for the tasks and the summary; answered with `Status`.
    Status(Filter),
    /// Asks for one task; answered with `Task`.
    Show(OneTask),
    /// Asks why a task waits; answered with `Explanation`.
    Explain(OneTask),
    /// Takes tasks back; answered with `Changed`.
    Cancel(Cancel),
    /// Runs ended tasks again; answered with `Changed`.
    Retry(Retry),
    /// Gives a task new values; answered with `Changed`.
    Edit(Box<EditTask>),
    /// Puts waiting tasks on hold; answered with `Changed`.
    Hold(Ids),
    /// Releases held tasks; answered with `Changed`.
    Release(Ids),
    /// Pauses tasks (a running one by SIGSTOP, a waiting one by a hold), or, without ids, all starts.
    Pause(Ids),
    /// Undoes `Pause`; or, with `worker`, lets a profile go on that a refused login or a usage limit keeps.
    Resume(Ids),
    /// Answers the question of a task that is `waiting`; answered with `Changed`.
    Answer(AnswerQuestion),
    /// Asks what the machine carries, what is reserved, and why tasks wait for it; answered with `Admission`.
    Admission {},
    /// Asks what Claude workers have cost; answered with `Cost`.
    Cost(CostQuery),
    /// Asks for all metrics; answered with `Metrics`.
    Metrics {},
    /// Removes ended tasks and their attempt folders; answered with `Changed`.
    Clean(Clean),
    /// Sets aside the next free numbers, so that a batch can be repeated without doubling; answered with `Reserved`.
    ReserveIds(ReserveIds),
    /// Stores an environment once, so that many tasks can refer to it; answered with `Environment`.
    Environment(Environment),
    /// From now on this connection gets `Event` lines; answered with one `Status` of the tasks asked for.
    Subscribe(Subscribe),
    /// Asks who the daemon is; answered with `Daemon`.
    Info {},
    /// Ends the daemon; answered with `Daemon`. Workers go on unless `kill`.
    Shutdown(Shutdown),
    /// Reads the config again; answered with `Daemon`.
    Reload {},
}

impl Message {
    /// Its name, as it stands on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TaskQueue(_) => "TaskQueue",
            Self::WorkspaceCreate(_) => "WorkspaceCreate",
            Self::WorkspaceList {} => "WorkspaceList",
            Self::WorkspaceShow(_) => "WorkspaceShow",
            Self::WorkspaceEdit(_) => "WorkspaceEdit",
            Self::WorkspaceRemove(_) => "WorkspaceRemove",
            Self::ProcessSpawn(_) => "ProcessSpawn",
            Self::StatusUpdate(_) => "StatusUpdate",
            Self::Check(_) => "Check",
            Self::Status(_) => "Status",
            Self::Show(_) => "Show",
            Self::Explain(_) => "Explain",
            Self::Cancel(_) => "Cancel",
            Self::Retry(_) => "Retry",
            Self::Edit(_) => "Edit",
            Self::Hold(_) => "Hold",
            Self::Release(_) => "Release",
            Self::Pause(_) => "Pause",
            Self::Resume(_) => "Resume",
            Self::Answer(_) => "Answer",
            Self::Admission {} => "Admission",
            Self::Cost(_) => "Cost",
            Self::Metrics {} => "Metrics",
            Self::Clean(_) => "Clean",
            Self::ReserveIds(_) => "ReserveIds",
            Self::Environment(_) => "Environment",
            Self::Subscribe(_) => "Subscribe",
            Self::Info {} => "Info",
            Self::Shutdown(_) => "Shutdown",
            Self::Reload {} => "Reload",
        }
    }
}

/// A task to queue. Only `command` or `argv` is needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskQueue {
    /// The task's name: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Empty: the next free whole number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// 0 to 255, larger first. Default: the config's, else 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What to run: a shell line or a prompt, as the worker profile takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A program and its arguments, in place of `command`; runs under profile `exec` unless `worker` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The worker profile. Default: the config's `default_worker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The working folder, absolute. Default: the workspace's folder, else the home folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// `cwd` is only where the caller happens to be: the workspace's folder goes before it, unless `cwd` is in there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cwd_gives_way: bool,
    /// The environment; of it is kept what the config captures (`env_add` takes any variable). Default: the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// The environment by the hash that `Environment` was answered with, in place of `env`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_ref: Option<String>,
    /// Added to the environment, name by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_add: BTreeMap<String, String>,
    /// The workspace; empty for none. Default: the one in whose folder `cwd` is, else `default_workspace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The workspace if neither `workspace` nor `cwd` says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_workspace: Option<String>,
    /// A word of the user's own to find tasks by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it waits for: `ID` or `ID:success|failure|any`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Not before this many milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Not before this moment, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// An attempt that runs longer is stopped, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How many times a failed attempt is followed by another. Default: the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Skipped if it has not started within this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_time_ms: Option<u64>,
    /// Starts only when released.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// What it needs at its peak, in bytes. Default: what was learned of its profile and workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The processors that it uses, in parts too (0.5). Default: what is measured decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// What the command reads on its standard input. Default: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Options for a worker of kind `claude`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claude: Option<Box<ClaudeOptions>>,
    /// Runs in a git worktree of its own, made from the repository of `cwd`. Default: the workspace's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
    /// The branch, tag or commit that its worktree begins at. Default: what is checked out when it first starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree_base: Option<String>,
}

/// A process to start in a workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpawn {
    /// The workspace.
    pub workspace: String,
    /// The shell line.
    pub command: String,
}

/// The status of one task or process: an answer, an event, or a worker's own report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusUpdate {
    /// The task's id.
    pub process_id: String,
    /// Its state, with a capital letter: `Queued`, `Running`, `Succeeded` …
    pub status: String,
}

/// Which tasks; an empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Only these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Only these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// Only this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// At most this many: active ones first, then waiting ones in the order of starting, then the newest ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Leaves out the tasks: the summary alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub summary_only: bool,
}

/// One task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTask {
    /// Its id.
    pub id: String,
}

/// Several tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ids {
    /// Their ids. All are checked before the first is changed.
    pub ids: Vec<String>,
    /// `Pause` and `Resume` without ids: only this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// `Resume` without ids: this worker profile, which a refused login or a usage limit keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// Tasks to take back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    /// Their ids. All are checked before the first is changed.
    pub ids: Vec<String>,
    /// The first signal for a running command, by name (`INT`) or number. Default: the profile's, else `TERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// How long after it the rest is killed, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Tasks to run again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Their ids.
    pub ids: Vec<String>,
    /// Every task that is `failed` or `lost`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_failed: bool,
    /// Claude tasks begin a new session, rather than to go on with the one of their last attempt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// New values for one task; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditTask {
    /// Its id.
    pub id: String,
    /// A new priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// A new label; empty removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// New dependencies in place of the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
    /// Not before this many milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Not before this moment, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// A new timeout, for attempts not yet started, in milliseconds; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// A new retry limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// What it needs, in bytes; 0 for what was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The processors that it uses; 0 for what is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// A new command, for a task that has not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Which ended tasks to remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clean {
    /// Only these ids; empty means every ended task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Only those that succeeded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub succeeded_only: bool,
    /// Only those that ended at least this many milliseconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
}

/// How many numbers to set aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveIds {
    /// 1 to 10,000,000.
    pub count: u64,
}

/// An environment that tasks refer to by `env_ref`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// All of its variables, of which those are kept that the config captures.
    pub variables: BTreeMap<String, String>,
}

/// Which tasks' events are wanted: all, or those that one of the fields names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subscribe {
    /// These tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The task that holds this slot, counted from 0, and then the next one; each until its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The tasks of this workspace that hold a slot; each until its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// At most this many tasks in the first answer, chosen like those of a `Filter`; events come of all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// How the daemon shall end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Stop the running workers first; their tasks end as `cancelled`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kill: bool,
}
