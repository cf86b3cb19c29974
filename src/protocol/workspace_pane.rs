//! Panes of a workspace on the wire: what its template wants to be seen beside each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the panes of a workspace share the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaneLayout {
    /// Rows and columns of one tab, about as many of each.
    #[default]
    Grid,
    /// Side by side in one tab.
    Columns,
    /// One above the other in one tab.
    Rows,
    /// A tab for each.
    Tabs,
}

/// A pane of a workspace. It shows one of `slot`, `task` and `process`, or runs `command`; a shell if it says none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkspacePane {
    /// The name that its template gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The slot that it shows, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The id of the task that it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The process that it shows: its id in views, its name in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The shell line that it runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its folder, absolute; the workspace's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}
