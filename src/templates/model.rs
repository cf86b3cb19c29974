//! What a template can say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TemplatePane;
use crate::config::{ByteSize, StartRate};
use crate::protocol::{AgentRight, PaneLayout, RestartPolicy, Sandbox};

/// A template, as it stands in its file or with all that it extends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Template {
    /// What it is for, in one line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Another template, which says what this one does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// The workspace's folder; may begin with `~/` and hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The worker profile of commands that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The most tasks that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How fast tasks start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<StartRate>,
    /// What a task needs that declares nothing itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// What its Claude workers may cost in one day, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Parts of the slots among tasks of equal priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Added to the priority of each task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_offset: Option<i16>,
    /// What its tasks are kept in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// What the workspace's workers may ask of the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_agents: Option<Vec<AgentRight>>,
    /// Tasks run in git worktrees of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
    /// How its panes share the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<PaneLayout>,
    /// Variables for the workspace's tasks; their values may hold placeholders.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What placeholders stand for besides `{name}`, `{folder}` and `{home}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// Tasks to queue when a workspace is created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TemplateTask>,
    /// Processes to spawn when a workspace is created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<TemplateProcess>,
    /// Panes to open when a workspace is created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub panes: Vec<TemplatePane>,
}

/// A process of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateProcess {
    /// Its name, by which templates that extend this one replace it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The shell line; may hold placeholders.
    pub command: String,
    /// What follows when it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartPolicy>,
    /// So many restarts in a row, and it is failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// It is ready when something listens on this port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_port: Option<u16>,
    /// It is ready when it has written this text; may hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_line: Option<String>,
    /// It is ready when a line that it has written matches this; may hold placeholders, whose values stand for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_pattern: Option<String>,
    /// It is ready when this shell line succeeds; may hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_command: Option<String>,
    /// What it needs at its peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}

/// A variable of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Variable {
    /// What it is, for whoever is asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// A task of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateTask {
    /// What `after` of later tasks calls it; the task's id is a number all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A prompt or a shell line, as the worker takes it; may hold placeholders.
    pub command: String,
    /// Its worker profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Its label; may hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// It runs in a git worktree of its own, or does not, whatever the template says for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
    /// Its priority, to which the workspace's offset is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What it waits for: names of tasks before it, as `NAME` or `NAME:success|failure|any`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl Template {
    /// Takes over what `above` says: tables are merged name by name, and tasks, processes and panes added, or replaced by
    /// those of the same name.
    pub(super) fn overlay(&mut self, above: Self) {
        let Self {
            description,
            extends,
            folder,
            worker,
            max_parallel,
            rate,
            memory,
            budget_usd,
            weight,
            priority_offset,
            sandbox,
            allow_agents,
            worktree,
            env,
            variables,
            tasks,
            processes,
            layout,
            panes,
        } = above;
        if !description.is_empty() {
            self.description = description;
        }
        self.extends = extends;
        self.folder = folder.or(self.folder.take());
        self.worker = worker.or(self.worker.take());
        self.max_parallel = max_parallel.or(self.max_parallel);
        self.rate = rate.or(self.rate);
        self.memory = memory.or(self.memory);
        self.budget_usd = budget_usd.or(self.budget_usd);
        self.weight = weight.or(self.weight);
        self.priority_offset = priority_offset.or(self.priority_offset);
        self.sandbox = sandbox.or(self.sandbox.take());
        self.allow_agents = allow_agents.or(self.allow_agents.take());
        self.worktree = worktree.or(self.worktree);
        self.env.extend(env);
        self.variables.extend(variables);
        self.layout = layout.or(self.layout);
        merge(&mut self.tasks, tasks, |task| task.name.as_deref());
        merge(&mut self.processes, processes, |process| process.name.as_deref());
        merge(&mut self.panes, panes, |pane| pane.name.as_deref());
    }
}

/// Adds what is above, in the place of what has the same name.
fn merge<T>(own: &mut Vec<T>, above: Vec<T>, name: impl Fn(&T) -> Option<&str>) {
    for new in above {
        let same = |old: &&mut T| name(old).is_some() && name(old) == name(&new);
        match own.iter_mut().find(same) {
            Some(old) => *old = new,
            None => own.push(new),
        }
    }
}
