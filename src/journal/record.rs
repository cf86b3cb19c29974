//! What the journal stores. Versioned: old records stay loadable.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wezterm_parallel_scheduler::{Change, Submission, Task, TaskKey, Tick};

use super::process::{ProcessImage, Reported};
use crate::claude::Tokens;
use crate::executor::Exit;
use crate::protocol::{ClaudeOptions, WorkspaceSettings};

/// An environment is stored once, under the hash of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvHash(pub u64);

/// What the engine knows of a task beside what the scheduler needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The client's own id; `None` if the id is the key's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The shell line or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<str>>,
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Box<[String]>>,
    /// The working folder.
    pub cwd: Arc<str>,
    /// The environment.
    pub env: EnvHash,
    /// The user's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Arc<str>>,
    /// The limit of one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<NonZeroU64>,
    /// What few tasks have. It stands in the place of the `stdin` of old records, and reads like it where it can.
    #[serde(default, rename = "stdin", skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<Extra>>,
    /// Its own options for a worker of kind `claude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claude: Option<Box<ClaudeOptions>>,
    /// The number of the task whose worker has queued it; `None` for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<NonZeroU64>,
    /// Hash of the client's message, to tell a repeat from a conflict.
    pub content: u64,
}

impl Spec {
    /// What the command reads on its standard input.
    #[must_use]
    pub fn stdin(&self) -> Option<&str> {
        self.extra.as_deref()?.stdin.as_deref()
    }

    /// The git worktree that it runs in.
    #[must_use]
    pub fn worktree(&self) -> Option<&WorktreeSpec> {
        self.extra.as_deref()?.worktree.as_ref()
    }
}

/// What few tasks have, apart from the many that have to fit into memory without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Extra {
    /// What the command reads on its standard input.
    pub stdin: Option<Box<str>>,
    /// The git worktree that it runs in.
    pub worktree: Option<WorktreeSpec>,
}

impl Extra {
    /// `None` if there is nothing in it.
    #[must_use]
    pub fn of(stdin: Option<String>, worktree: Option<WorktreeSpec>) -> Option<Box<Self>> {
        let stdin = stdin.map(String::into_boxed_str);
        (stdin.is_some() || worktree.is_some()).then(|| Box::new(Self { stdin, worktree }))
    }
}

/// How that stands in the journal: an input alone as its text, as ever.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Stdin(Box<str>),
    Parts {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<Box<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worktree: Option<WorktreeSpec>,
    },
}

impl From<Written> for Extra {
    fn from(written: Written) -> Self {
        match written {
            Written::Stdin(text) => Self {
                stdin: Some(text),
                worktree: None,
            },
            Written::Parts { text, worktree } => Self {
                stdin: text,
                worktree,
            },
        }
    }
}

impl From<Extra> for Written {
    fn from(extra: Extra) -> Self {
        match (extra.stdin, extra.worktree) {
            (Some(text), None) => Self::Stdin(text),
            (text, worktree) => Self::Parts { text, worktree },
        }
    }
}

/// The git worktree of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorktreeSpec {
    /// What its branch begins at; `None` for what is checked out when it first starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Box<str>>,
    /// The task whose worktree it is, if it is another one's: id, and when that was queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<(Box<str>, Tick)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A task was submitted.
    Submitted {
        /// For the scheduler.
        submission: Box<Submission>,
        /// For the engine.
        spec: Box<Spec>,
    },
    /// A task changed.
    Changed {
        /// When.
        at: Tick,
        /// Which.
        key: TaskKey,
        /// How.
        change: Change,
    },
    /// An attempt's outcome, beside the `Changed` that it led to.
    Exited {
        /// The task.
        key: TaskKey,
        /// The attempt.
        attempt: u32,
        /// `exit.json`; `None` if the attempt was lost or never began.
        exit: Option<Box<Exit>>,
        /// The outcome in one word.
        outcome: Box<str>,
        /// What went wrong, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Box<str>>,
        /// What a Claude worker left behind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claude: Option<Box<ClaudeFacts>>,
        /// When the daemon learned of it.
        at: Tick,
    },
    /// Values that the engine alone keeps were edited.
    Respecified {
        /// The task.
        key: TaskKey,
        /// Its new spec.
        spec: Box<Spec>,
    },
    /// An environment that later records refer to.
    Environment {
        /// Its hash.
        hash: EnvHash,
        /// Its content.
        variables: BTreeMap<String, String>,
    },
    /// Numbers were set aside for a client.
    Reserved {
        /// The first.
        first: u64,
        /// The last, inclusive.
        last: u64,
    },
    /// Starts were paused or resumed.
    Paused {
        /// The workspace; `None` for all.
        workspace: Option<Arc<str>>,
        /// Paused or resumed.
        paused: bool,
    },
    /// A workspace was created or changed, or removed.
    Workspace {
        /// Its name.
        name: Arc<str>,
        /// How it stands now; `None` if it was removed.
        image: Option<Box<WorkspaceImage>>,
    },
    /// A process was spawned or changed, or removed.
    Process {
        /// Its number.
        number: u64,
        /// How it stands now; `None` if it was removed.
        image: Option<Box<ProcessImage>>,
    },
    /// A worker has reported its status, or what it had reported does not hold any more.
    Reported {
        /// The task.
        key: TaskKey,
        /// What; `None` for nothing any more.
        report: Option<Box<Reported>>,
    },
    /// What an attempt of a Claude worker has cost, apart from the task, which is removed some day.
    Spent(Box<Spent>),
    /// Where the usage limit of a Claude account stands.
    Account {
        /// Its name in the config.
        name: String,
        /// How it stands.
        image: AccountImage,
    },
    /// Ended tasks were removed.
    Removed {
        /// Which.
        keys: Vec<TaskKey>,
        /// Hashes of the ids that clients had chosen for them: never to be used again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spent: Vec<u64>,
    },
    /// In a snapshot: one task as it stands.
    Image(Box<TaskImage>),
    /// In a snapshot: everything that is not a task.
    State {
        /// The next number to give.
        next_key: u64,
        /// Numbers set aside and not used yet, as `(first, last)`.
        reserved: Vec<(u64, u64)>,
        /// Hashes of ids that clients chose and whose tasks were removed: never to be used again.
        spent: Vec<u64>,
        /// The newest moment that the clock has shown.
        at: Tick,
        /// The next number for a process; 0 in files of versions that had none.
        #[serde(default, skip_serializing_if = "is_none")]
        next_process: u64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkspaceImage {
    /// The template that it was made from.
    pub template: Box<str>,
    /// When.
    pub created_at: Tick,
    /// Hash of the client's message, to tell a repeat from another workspace of the same name.
    pub content: u64,
    /// The tasks that its template queued then, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Box<str>>,
    /// What it gives to its tasks.
    #[serde(default)]
    pub settings: WorkspaceSettings,
}

/// A task in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskImage {
    /// The scheduler's part.
    pub task: Task,
    /// The engine's part.
    pub spec: Spec,
    /// Its attempts, as the engine keeps them.
    pub attempts: Vec<AttemptImage>,
    /// When it ended; `None` while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Tick>,
    /// The last attempt before the user wanted it again; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revived_after: u32,
    /// What its worker reports of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Box<Reported>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An attempt in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptImage {
    /// Its number.
    pub attempt: u32,
    /// When it was started.
    pub started_at: Tick,
    /// When the daemon learned of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Tick>,
    /// The outcome in one word; `None` while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<str>>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Box<str>>,
    /// `exit.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Box<Exit>>,
    /// Claude workers: the session that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// Claude workers: what it left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claude: Option<Box<ClaudeFacts>>,
}

impl AttemptImage {
    /// One that has been started, of which nothing else is known yet.
    #[must_use]
    pub fn started(attempt: u32, started_at: Tick) -> Self {
        Self {
            attempt,
            started_at,
            ended_at: None,
            outcome: None,
            message: None,
            exit: None,
            session: None,
            claude: None,
        }
    }
}

/// What an attempt of a Claude worker left behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaudeFacts {
    /// The session knows the task's prompt.
    pub told: bool,
    /// It ended by trouble that passes by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trouble: bool,
    /// What it cost, in US dollars, if the CLI got to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens by model.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, Tokens>,
    /// Turns of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
}

/// What one model has cost, or a sum of such.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The day by local time, as `2026-01-31`.
    pub day: Box<str>,
    /// The workspace; empty for none.
    pub workspace: Arc<str>,
    /// The worker profile.
    pub worker: Arc<str>,
    /// The label; empty for none.
    pub label: Arc<str>,
    /// The model.
    pub model: Box<str>,
    /// How many attempts.
    pub attempts: u64,
    /// Their tokens, and what these cost.
    pub tokens: Tokens,
}

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountImage {
    /// Its usage limit is reached until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_until: Option<Tick>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
