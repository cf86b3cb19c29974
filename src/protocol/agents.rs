//! What a worker may ask of the daemon besides what concerns its own task.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A right that the config or a workspace gives to the tasks that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentRight {
    /// To queue in other workspaces than its own.
    Workspaces,
    /// To queue with secrets that it does not get itself.
    Secrets,
    /// To change tasks that it has not queued, and to answer questions.
    Tasks,
    /// Everything else: the pool, workspaces, the daemon.
    Daemon,
}

impl AgentRight {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Workspaces, Self::Secrets, Self::Tasks, Self::Daemon];

    /// Its name, as config and protocol have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspaces => "workspaces",
            Self::Secrets => "secrets",
            Self::Tasks => "tasks",
            Self::Daemon => "daemon",
        }
    }
}

impl fmt::Display for AgentRight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A word that is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no right {0:?}, only workspaces, secrets, tasks and daemon")]
pub struct NoRight(String);

impl FromStr for AgentRight {
    type Err = NoRight;

    fn from_str(text: &str) -> Result<Self, NoRight> {
        let found = Self::ALL.into_iter().find(|right| right.name() == text);
        found.ok_or_else(|| NoRight(text.to_owned()))
    }
}
