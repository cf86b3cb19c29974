//! Workspaces on the wire: what creates, changes and removes them, and how they stand.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentRight, PaneLayout, Sandbox, WorkspacePane};

/// What a workspace gives to its tasks. The journal keeps it in this shape, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkspaceSettings {
    /// Its folder, absolute: where tasks run that name none, and by which tasks that name no workspace are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Variables for its tasks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The worker profile of commands that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The most tasks that run at once; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How fast tasks start: `10/min`, `10/min burst 3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// What a task needs at its peak that declares nothing itself, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What its Claude workers may cost in one day, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Parts of the slots among tasks of equal priority, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Added to the priority of each task when it is queued, -255 to 255; the sum stays within 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_offset: Option<i16>,
    /// What its tasks are kept in, whatever their worker; both sandboxes hold if the worker has one, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// What its workers may ask of the daemon besides what concerns their own tasks; absent for what the config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_agents: Option<Vec<AgentRight>>,
    /// Its tasks run in git worktrees of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
    /// How its panes share the terminal; a grid if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<PaneLayout>,
    /// Its panes. They come from its template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub panes: Vec<WorkspacePane>,
}

impl WorkspaceSettings {
    /// Names of the values, as `unset` takes them.
    pub const NAMES: [&'static str; 14] = [
        "folder",
        "env",
        "worker",
        "max_parallel",
        "rate",
        "memory_bytes",
        "budget_usd",
        "weight",
        "priority_offset",
        "sandbox",
        "allow_agents",
        "worktree",
        "layout",
        "panes",
    ];

    /// Takes over what `above` says; variables are merged name by name.
    pub fn overlay(&mut self, above: Self) {
        let Self { env, .. } = above;
        self.env.extend(env);
        let keep = |own: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *own = new;
            }
        };
        keep(&mut self.folder, above.folder);
        keep(&mut self.worker, above.worker);
        keep(&mut self.rate, above.rate);
        self.max_parallel = above.max_parallel.or(self.max_parallel);
        self.memory_bytes = above.memory_bytes.or(self.memory_bytes);
        self.budget_usd = above.budget_usd.or(self.budget_usd);
        self.weight = above.weight.or(self.weight);
        self.priority_offset = above.priority_offset.or(self.priority_offset);
        self.sandbox = above.sandbox.or(self.sandbox.take());
        if above.allow_agents.is_some() {
            self.allow_agents = above.allow_agents;
        }
        self.worktree = above.worktree.or(self.worktree);
        self.layout = above.layout.or(self.layout);
        if !above.panes.is_empty() {
            self.panes = above.panes;
        }
    }

    /// Takes a value away: one of [`Self::NAMES`], or `env.NAME` for one variable. Whether there is such a value.
    pub fn unset(&mut self, name: &str) -> bool {
        match name {
            "folder" => self.folder = None,
            "env" => self.env.clear(),
            "worker" => self.worker = None,
            "max_parallel" => self.max_parallel = None,
            "rate" => self.rate = None,
            "memory_bytes" => self.memory_bytes = None,
            "budget_usd" => self.budget_usd = None,
            "weight" => self.weight = None,
            "priority_offset" => self.priority_offset = None,
            "sandbox" => self.sandbox = None,
            "allow_agents" => self.allow_agents = None,
            "worktree" => self.worktree = None,
            "layout" => self.layout = None,
            "panes" => self.panes.clear(),
            variable => match variable.strip_prefix("env.") {
                Some(variable) => drop(self.env.remove(variable)),
                None => return false,
            },
        }
        true
    }
}

/// A workspace to create. The values are those of [`WorkspaceSettings`], and go over the template's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceCreate {
    /// Its name: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The template to make it from.
    pub template: String,
    /// Values for the template's variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Its folder, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Variables for its tasks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The worker profile of commands that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The most tasks that run at once; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How fast tasks start: `10/min`, `10/min burst 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// What a task needs at its peak that declares nothing itself, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What its Claude workers may cost in one day, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Parts of the slots among tasks of equal priority, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Added to the priority of each task when it is queued, -255 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_offset: Option<i16>,
    /// What its tasks are kept in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// What its workers may ask of the daemon besides what concerns their own tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_agents: Option<Vec<AgentRight>>,
    /// Its tasks run in git worktrees of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
}

impl WorkspaceCreate {
    /// A workspace with these values.
    #[must_use]
    pub fn new(name: String, template: String, settings: WorkspaceSettings) -> Self {
        Self {
            name,
            template,
            variables: BTreeMap::new(),
            folder: settings.folder,
            env: settings.env,
            worker: settings.worker,
            max_parallel: settings.max_parallel,
            rate: settings.rate,
            memory_bytes: settings.memory_bytes,
            budget_usd: settings.budget_usd,
            weight: settings.weight,
            priority_offset: settings.priority_offset,
            sandbox: settings.sandbox,
            allow_agents: settings.allow_agents,
            worktree: settings.worktree,
        }
    }

    /// Its values.
    #[must_use]
    pub fn settings(&self) -> WorkspaceSettings {
        WorkspaceSettings {
            folder: self.folder.clone(),
            env: self.env.clone(),
            worker: self.worker.clone(),
            max_parallel: self.max_parallel,
            rate: self.rate.clone(),
            memory_bytes: self.memory_bytes,
            budget_usd: self.budget_usd,
            weight: self.weight,
            priority_offset: self.priority_offset,
            sandbox: self.sandbox.clone(),
            allow_agents: self.allow_agents.clone(),
            worktree: self.worktree,
            ..WorkspaceSettings::default()
        }
    }
}

/// New values for a workspace; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceEdit {
    /// Which.
    pub name: String,
    /// Values to take away first: names of the fields below, `panes`, `layout`, or `env.NAME` for one variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
    /// A new folder, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Variables to add or replace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// A new default worker profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// A new limit of tasks at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// A new rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// New default memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// A new budget of a day, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// A new weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// A new priority offset, for tasks not yet queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_offset: Option<i16>,
    /// A new sandbox, in the place of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// New rights of its workers; none of them for an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_agents: Option<Vec<AgentRight>>,
    /// Whether its tasks, those not yet queued, run in git worktrees of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
}

impl WorkspaceEdit {
    /// Its values.
    #[must_use]
    pub fn settings(&self) -> WorkspaceSettings {
        WorkspaceSettings {
            folder: self.folder.clone(),
            env: self.env.clone(),
            worker: self.worker.clone(),
            max_parallel: self.max_parallel,
            rate: self.rate.clone(),
            memory_bytes: self.memory_bytes,
            budget_usd: self.budget_usd,
            weight: self.weight,
            priority_offset: self.priority_offset,
            sandbox: self.sandbox.clone(),
            allow_agents: self.allow_agents.clone(),
            worktree: self.worktree,
            ..WorkspaceSettings::default()
        }
    }
}

/// One workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneWorkspace {
    /// Its name.
    pub name: String,
}

/// A workspace to remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceRemove {
    /// Its name.
    pub name: String,
    /// Also while tasks of it wait or run: they keep its name, and no more. Its processes are stopped and removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// A workspace as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceView {
    /// Its name.
    pub name: String,
    /// The template that it was made from.
    pub template: String,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Its folder does not exist (any more).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folder_missing: bool,
    /// The values in force.
    #[serde(flatten)]
    pub settings: WorkspaceSettings,
    /// Which of them the config says, whatever the workspace itself does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_config: Vec<String>,
    /// Its tasks that wait, for whatever reason.
    pub waiting: u64,
    /// Its tasks that hold a slot.
    pub running: u64,
    /// What its Claude workers have cost today, in US dollars.
    pub spent_usd: f64,
    /// The tasks that its template queued when it was created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// Its processes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<String>,
}

/// All workspaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspacesAnswer {
    /// By name.
    pub workspaces: Vec<WorkspaceView>,
}

/// A workspace that was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceRemoved {
    /// Its name.
    pub name: String,
    /// Tasks that wait or run, and keep its name.
    pub tasks: u64,
    /// Processes that are stopped, and go with it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub processes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}
