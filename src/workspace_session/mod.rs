//! What is remembered of a workspace beyond the queue: its panes in WezTerm, its processes and its Claude sessions, in
//! one JSON file for each, so that `session restore` can build it up again after a reboot.
//!
//! The journal has what must not be lost. This file has what only WezTerm knows, which forgets it when it ends, and
//! enough besides to make a workspace anew whose journal is gone. The daemon writes it, the command line reads it.

mod error;
mod file;
mod merge;

use serde::{Deserialize, Serialize};

pub use self::error::SessionError;
pub use self::file::{Found, Sessions};
pub use self::merge::{keep_unknown, merged, Answered, Seen, CLAUDE_MAX, TABS_MAX};
use crate::pane::wezterm::{Server, TabPlan};
use crate::protocol::{ReadyCheck, RestartPolicy, WorkspaceSettings};

/// The form of the file.
pub const VERSION: u32 = 1;

/// A workspace as it was when it was saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The form of the file.
    pub version: u32,
    /// The workspace's name.
    pub workspace: String,
    /// When this was saved, in milliseconds since the Unix epoch.
    pub saved_at_ms: u64,
    /// The template that it was made from.
    pub template: String,
    /// When the workspace was created, in milliseconds since the Unix epoch: of another one with its name that is another moment.
    #[serde(default)]
    pub created_at_ms: u64,
    /// Its values.
    #[serde(default)]
    pub settings: WorkspaceSettings,
    /// Tabs of WezTerm that show something of it, with all of their panes.
    #[serde(default)]
    pub tabs: Vec<SavedTab>,
    /// Its processes.
    #[serde(default)]
    pub processes: Vec<SavedProcess>,
    /// The newest sessions of Claude Code that its tasks ran, the newest last.
    #[serde(default)]
    pub claude: Vec<ClaudeSession>,
    /// Tasks and processes that viewers in panes of WezTerm showed.
    #[serde(default)]
    pub attached: Vec<String>,
}

impl Session {
    /// Whether both remember the same, whenever they were saved.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let at = |session: &Self| Self {
            saved_at_ms: 0,
            ..session.clone()
        };
        at(self) == at(other)
    }
}

/// A tab, and the WezTerm that it was seen in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedTab {
    /// Its panes, and how they are laid out.
    #[serde(flatten)]
    pub plan: TabPlan,
    /// The server that had it.
    pub server: Server,
    /// When that was started, in the kernel's own unit; 0 where it cannot be told. A pid alone may be another one's by now.
    #[serde(default)]
    pub server_started: u64,
    /// Its number there.
    pub tab: u64,
}

/// A process, and what is needed to spawn it again. Its environment is not kept here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedProcess {
    /// Its id, like `@3`.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The shell line; absent if `argv` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The working folder.
    pub cwd: String,
    /// What follows when it ends by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// So many restarts in a row, and it is failed.
    pub max_restarts: u32,
    /// How it is found out that it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyCheck>,
    /// The time that it has for that, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_timeout_ms: Option<u64>,
    /// What it declares to need, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// It ran, or would have again: neither a user nor its own end has stopped it.
    pub wanted: bool,
    /// The daemon does not know it: it was the workspace's when that was created last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

impl SavedProcess {
    /// Whether this is how that process stands in the session: by its name, or else by what it runs, since numbers are
    /// given anew with a new journal.
    #[must_use]
    pub fn is_same(
        &self,
        name: Option<&str>,
        command: Option<&str>,
        argv: Option<&[String]>,
        cwd: &str,
    ) -> bool {
        match &self.name {
            Some(own) => name == Some(own),
            None => {
                name.is_none()
                    && self.command.as_deref() == command
                    && self.argv.as_deref() == argv
                    && self.cwd == cwd
            }
        }
    }
}

/// A session of Claude Code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaudeSession {
    /// Its id, as `claude --resume` takes it.
    pub session: String,
    /// The task whose session it is.
    pub task: String,
    /// That task's state.
    pub state: String,
    /// The folder that it ran in, where alone Claude Code finds it again.
    pub cwd: String,
    /// The task's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The daemon does not know the task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

#[cfg(test)]
mod tests;
