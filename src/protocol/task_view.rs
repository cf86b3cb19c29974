//! A task as the outside sees it; stable, documented in docs/protocol.md.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::claude::{ClaudeOptions, QuestionView};
use super::process::ReportView;
use super::{GroupReport, SandboxReport};
use crate::claude::Tokens;

/// One task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// `delayed blocked held queued running paused waiting succeeded failed cancelled skipped lost`.
    pub state: String,
    /// Why it ended, or why it last went back to the queue; absent before the first attempt ended.
    pub reason: Option<String>,
    /// 0 to 255, larger first.
    pub priority: u8,
    /// The worker profile.
    pub worker: String,
    /// The workspace; empty for none.
    pub workspace: String,
    /// The user's own word.
    pub label: Option<String>,
    /// The shell line or prompt; absent if `argv` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program and its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The working folder.
    pub cwd: String,
    /// The task whose worker has queued it; absent if the user has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it was queued, in milliseconds since the Unix epoch.
    pub submitted_at_ms: u64,
    /// What it waits for, as `ID:condition`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Its earliest start, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<u64>,
    /// The limit of one attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How many retries it has in all.
    pub retries: u32,
    /// How many it has used up.
    pub retries_used: u32,
    /// The slot of the pool that its running attempt holds, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// A stop has been asked for, and the attempt has not ended yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// Its own options for a worker of kind `claude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claude: Option<Box<ClaudeOptions>>,
    /// The git worktree that it runs in, if it runs in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeView>,
    /// While it is `waiting`: what it asks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<QuestionView>,
    /// What its worker reports of itself, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportView>,
    /// In the answer to `Show`, while it has not ended: nice value and limits of its worker, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// The same of its sandbox: what this system can do of it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// A task's git worktree. Path and branch are known once an attempt has made it, and stand in `worktree.json` in that
/// attempt's folder; the command line's `show` adds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorktreeView {
    /// The task whose worktree it is, if it goes on in that of another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What its branch begins at; absent for what is checked out when it first starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The folder in it that the worker works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// One execution of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    pub n: u32,
    /// `ok exit_code signal timeout spawn_error cancelled lost not_started`, and for Claude workers also
    /// `denied limited overloaded auth api_error unreachable prompt_too_long budget max_turns refusal
    /// truncated no_op interrupted crashed no_session stalled`; absent while it runs.
    pub outcome: Option<String>,
    /// The exit code, if the command ended by itself.
    pub exit_code: Option<i32>,
    /// The signal's number, if one ended it.
    pub signal: Option<i32>,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
    /// User and system time of the whole tree, in seconds.
    pub cpu_seconds: Option<f64>,
    /// The largest resident size seen of the whole tree, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// What went wrong, in words (the path tried, what was left behind …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Claude workers: the session, which `claude --resume` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Claude workers: what it cost, in US dollars; absent if the CLI did not get to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Claude workers: tokens by model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, Tokens>,
    /// Claude workers: turns of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// The sandbox that it was in; once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxReport>,
    /// What its control group has kept it to, if its profile has such limits; once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupReport>,
    /// Its folder: `output`, `exit.json` …
    pub folder: String,
}
