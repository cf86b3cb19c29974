//! Long-lived processes on the wire, and what workers report of themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AttemptView;

/// What the id of a process begins with. No id of a task has it, so that the two never clash.
pub const PROCESS_MARK: char = '@';

/// Whether an id is that of a process.
#[must_use]
pub fn is_process_id(id: &str) -> bool {
    id.starts_with(PROCESS_MARK)
}

/// A process to start in a workspace: `command` or `argv`, and what else is to be said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpawn {
    /// The workspace, which must have been created.
    pub workspace: String,
    /// The shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A program and its arguments, in place of `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// A name, of which there is one in a workspace. The same message again is then answered like the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The working folder, absolute. Default: the workspace's folder, else the home folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The environment. Default: the daemon's own. The workspace's variables are put over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Variables over all of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_add: BTreeMap<String, String>,
    /// What follows when it ends by itself. Default: `on-failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartPolicy>,
    /// So many restarts in a row, and it is `failed`. Default: the config's `processes.max_restarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// How it is found out that it is ready. Default: it counts as running once it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyCheck>,
    /// A run that is not ready within this time is stopped and counts as failed, in milliseconds. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_timeout_ms: Option<u64>,
    /// What it needs at its peak, in bytes: admission keeps that free for it. Default: only what it uses counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What follows when a process ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    Never,
    /// It is started again after a failure: another exit code than 0, a signal, a run that was lost.
    #[default]
    OnFailure,
    /// It is started again.
    Always,
}

impl RestartPolicy {
    /// Its name, as it stands on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// How it is found out that a process is ready: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadyCheck {
    /// Something listens on this TCP port of this machine's loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A line of its output has this text in it, colours and other escape sequences left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// A line of its output matches this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// This shell line, which is run in its folder and environment (secrets among it) again and again, exits with 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The one way of a [`ReadyCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyWay {
    /// See [`ReadyCheck::port`].
    Port(u16),
    /// See [`ReadyCheck::line`].
    Line(String),
    /// See [`ReadyCheck::pattern`].
    Pattern(String),
    /// See [`ReadyCheck::command`].
    Command(String),
}

impl ReadyCheck {
    /// Its one way; `None` if there is none, or more than one.
    #[must_use]
    pub fn way(&self) -> Option<ReadyWay> {
        match (self.port, &self.line, &self.pattern, &self.command) {
            (Some(port), None, None, None) => Some(ReadyWay::Port(port)),
            (None, Some(line), None, None) => Some(ReadyWay::Line(line.clone())),
            (None, None, Some(pattern), None) => Some(ReadyWay::Pattern(pattern.clone())),
            (None, None, None, Some(command)) => Some(ReadyWay::Command(command.clone())),
            _ => None,
        }
    }
}

/// Which processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessFilter {
    /// Only these, by id or name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Only those of this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Processes to stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessStop {
    /// Which, by id or name. All are checked before the first is stopped.
    pub ids: Vec<String>,
    /// Forget them, too, with what they wrote; one that is stopped already may be named then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
    /// The first signal, by name (`INT`) or number. Default: the worker profile's, else `TERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// How long after it the rest is killed, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Processes to start anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessIds {
    /// Which, by id or name. All are checked before the first is changed.
    pub ids: Vec<String>,
}

/// Processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessesAnswer {
    /// In the order in which they were spawned.
    pub processes: Vec<ProcessView>,
}

/// A process as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessView {
    /// Its id: `@1`, `@2` …, never given twice.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its workspace.
    pub workspace: String,
    /// `starting running ready backoff stopping stopped failed`.
    pub state: String,
    /// Why it waits, stopped or failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The shell line; absent if `argv` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The working folder.
    pub cwd: String,
    /// When it was spawned, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// What follows when it ends by itself.
    pub restart: RestartPolicy,
    /// So many restarts in a row, and it is `failed`.
    pub max_restarts: u32,
    /// How many there were in a row by now.
    pub restarts: u32,
    /// In `backoff`: when it starts again, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start_ms: Option<u64>,
    /// How it is found out that it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyCheck>,
    /// What it declares to need, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What it was last seen with, in bytes; absent as long as admission has not measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// What it reports of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportView>,
    /// Its last runs, oldest first.
    pub runs: Vec<AttemptView>,
}

/// The status of one task or process: an answer, a line for subscribers, or a worker's own report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusUpdate {
    /// The id of the task or process.
    pub process_id: String,
    /// Its state, with a capital letter: `Queued`, `Running`, `Succeeded` …; of a process `Ready`, `Backoff` …
    /// A worker reports `waiting` or `working`.
    pub status: String,
    /// What the worker says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a worker has reported of itself while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportView {
    /// `waiting` or `working`.
    pub status: String,
    /// In its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl ReportView {
    /// Whether somebody is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == "waiting"
    }
}
