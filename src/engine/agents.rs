//! What a worker may ask for: it speaks for its own task, unless the config or its workspace lets it do more.
//!
//! Whoever descends from a shim speaks for the task or process of that shim. The rules are here, and nowhere else: a message that
//! is not named below is refused.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wezterm_parallel_scheduler::TaskKey;

use super::errors;
use super::processes::{number_of, worker_of};
use super::Engine;
use crate::executor::{shim_process, AttemptId};
use crate::protocol::{AgentRight, ErrorAnswer, Ids, Message, ProcessSpawn};
use crate::secrets;

/// A process, told from others that have had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ancestor {
    /// Its number.
    pub pid: i32,
    /// When it was started, as the platform counts it.
    pub started: u64,
}

/// A process and its ancestors, the nearest first; none if the process is in no place where a worker could be.
#[derive(Clone, Debug, Default)]
pub struct Lineage(Arc<[Ancestor]>);

impl Lineage {
    /// As it was found.
    #[must_use]
    pub fn new(line: Vec<Ancestor>) -> Self {
        Self(line.into())
    }

    /// The nearest first.
    pub fn iter(&self) -> impl Iterator<Item = Ancestor> + '_ {
        self.0.iter().copied()
    }
}

/// The shims of running attempts, as far as somebody has asked for them.
#[derive(Debug, Default)]
pub(super) struct Shims(HashMap<AttemptId, Ancestor>);

/// Who asks, if that is a worker.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    /// Its task.
    pub(super) key: TaskKey,
    id: String,
    workspace: Arc<str>,
    rights: Vec<AgentRight>,
    /// The secrets that it gets itself, as its environment refers to them.
    secrets: BTreeSet<String>,
}

impl Engine {
    /// The task, or process beside the queue, for which the caller speaks; `None` for the user.
    pub(super) fn agent(&mut self, lineage: &Lineage) -> Option<Agent> {
        let active: Vec<AttemptId> = self
            .scheduler
            .active()
            .map(|task| AttemptId {
                key: task.submission.key,
                attempt: task.attempts,
            })
            .collect();
        let beside = self.store.processes.up();
        let beside = beside.filter_map(|(number, _)| self.run_of(number));
        let active: Vec<AttemptId> = active.into_iter().chain(beside).collect();
        self.shims.0.retain(|id, _| active.contains(id));
        for id in active {
            if !self.shims.0.contains_key(&id) {
                // Before its shim has said who it is, it has started nothing.
                let folder = match number_of(id.key) {
                    Some(_) => self.folder_of_any(id),
                    None => self.folder_of(id),
                };
                if let Some((pid, started)) = shim_process(&folder) {
                    self.shims.0.insert(id, Ancestor { pid, started });
                }
            }
        }
        let owner = |ancestor| {
            let mut shims = self.shims.0.iter();
            shims.find_map(|(id, shim)| (*shim == ancestor).then_some(id.key))
        };
        let key = lineage.iter().find_map(owner)?;
        self.agent_of(key)
    }

    fn agent_of(&self, key: TaskKey) -> Option<Agent> {
        let (workspace, worker, env) = match number_of(key) {
            Some(number) => {
                let spec = &self.store.processes.get(number)?.spec;
                (&spec.workspace, self.worker_of_process(key)?, spec.env)
            }
            None => {
                let lane = self.scheduler.lane(key)?;
                (
                    &lane.workspace,
                    lane.worker.as_ref(),
                    self.store.get(key)?.spec.env,
                )
            }
        };
        let env = self.store.environments.get(env).unwrap_or_default();
        let of_profile = self.profiles.config(worker).map(|profile| profile.env.values());
        let values = env.values().chain(of_profile.into_iter().flatten());
        let settings = self.store.workspaces.get(workspace);
        let own_rights = settings.and_then(|image| image.settings.allow_agents.clone());
        Some(Agent {
            key,
            id: self.store.id(key),
            workspace: Arc::clone(workspace),
            rights: own_rights.unwrap_or_else(|| self.config.agents.allow.clone()),
            secrets: references(values),
        })
    }

    /// Whether the worker may ask for this.
    pub(super) fn permit(&self, agent: &Agent, message: &Message) -> Result<(), ErrorAnswer> {
        match message {
            // What is looked at is nobody's secret: the journal is in the worker's reach as well as in the user's.
            Message::Status(_)
            | Message::Show(_)
            | Message::Explain(_)
            | Message::ProcessList(_)
            | Message::WorkspaceList {}
            | Message::WorkspaceShow(_)
            | Message::Admission {}
            | Message::Cost(_)
            | Message::Metrics {}
            | Message::Subscribe(_)
            | Message::Info {}
            // Where a task may be queued is judged with the task.
            | Message::TaskQueue(_)
            | Message::Check(_)
            | Message::Environment(_)
            | Message::ReserveIds(_) => Ok(()),
            Message::StatusUpdate(report) if report.process_id == agent.id => Ok(()),
            Message::Cancel(cancel) => self.permit_on(agent, &cancel.ids, true),
            Message::Hold(ids) | Message::Release(ids) => self.permit_on(agent, &ids.ids, false),
            Message::Pause(ids) | Message::Resume(ids) => self.permit_pause(agent, ids),
            Message::Retry(retry) => self.permit_on(agent, &retry.ids, false),
            Message::StatusUpdate(_)
            | Message::Edit(_)
            | Message::Answer(_)
            | Message::Clean(_)
            | Message::ProcessStop(_)
            | Message::ProcessRestart(_) => agent.needs(AgentRight::Tasks, message.name()),
            Message::ProcessSpawn(spawn) => self.permit_spawn(agent, spawn),
            Message::WorkspaceCreate(_)
            | Message::WorkspaceEdit(_)
            | Message::WorkspaceRemove(_)
            | Message::Shutdown(_)
            | Message::Reload {} => agent.needs(AgentRight::Daemon, message.name()),
        }
    }

    /// A process is a worker's own as a task is: it may be neither elsewhere, nor told other secrets.
    fn permit_spawn(&self, agent: &Agent, spawn: &ProcessSpawn) -> Result<(), ErrorAnswer> {
        agent.needs(AgentRight::Tasks, "ProcessSpawn")?;
        agent.may_queue_in(&spawn.workspace)?;
        if spawn.ready.as_ref().is_some_and(|ready| ready.command.is_some()) {
            // The daemon runs it, outside of all that workers are kept in.
            agent.needs(AgentRight::Daemon, "a process with a ready command")?;
        }
        let Some(workspace) = self.store.workspaces.get(&spawn.workspace) else {
            // The request itself says so.
            return Ok(());
        };
        let variables = self.variables_of_process(spawn, workspace);
        let profile = self.profiles.config(worker_of(spawn.argv.is_some()));
        let of_profile = profile.map(|profile| profile.env.values());
        agent.may_pass_on(variables.values().chain(of_profile.into_iter().flatten()))
    }

    /// The pool is everybody's.
    fn permit_pause(&self, agent: &Agent, ids: &Ids) -> Result<(), ErrorAnswer> {
        if ids.ids.is_empty() {
            return agent.needs(AgentRight::Daemon, "a pause of the whole pool");
        }
        self.permit_on(agent, &ids.ids, false)
    }

    /// Tasks that it has queued are its own to call back; itself it may end, and no more.
    fn permit_on(&self, agent: &Agent, ids: &[String], ends: bool) -> Result<(), ErrorAnswer> {
        let is_own = |id: &String| {
            let Some(key) = self.store.find(id) else {
                // The request itself says so.
                return true;
            };
            let parent = self.store.get(key).and_then(|entry| entry.spec.parent);
            parent.is_some_and(|parent| parent.get() == agent.key.0) || (ends && key == agent.key)
        };
        match ids.iter().find(|id| !is_own(id)) {
            None => Ok(()),
            Some(other) => agent.needs(AgentRight::Tasks, &format!("a change of task {other}")),
        }
    }
}

impl Agent {
    fn has(&self, right: AgentRight) -> bool {
        self.rights.contains(&right)
    }

    fn needs(&self, right: AgentRight, what: &str) -> Result<(), ErrorAnswer> {
        if self.has(right) {
            return Ok(());
        }
        Err(errors::not_for_agents(&self.id, &self.workspace, right, what))
    }

    /// Whether it may queue a task there.
    pub(super) fn may_queue_in(&self, workspace: &str) -> Result<(), ErrorAnswer> {
        if *self.workspace == *workspace {
            return Ok(());
        }
        let what = match workspace {
            "" => "a task of no workspace".to_owned(),
            workspace => format!("a task of workspace {workspace}"),
        };
        self.needs(AgentRight::Workspaces, &what)
    }

    /// Whether what it queues may have these values in its environment: a secret that it does not get itself would be told to
    /// it by its own task.
    pub(super) fn may_pass_on<'a>(
        &self,
        values: impl Iterator<Item = &'a String>,
    ) -> Result<(), ErrorAnswer> {
        match references(values).difference(&self.secrets).next() {
            None => Ok(()),
            Some(other) => self.needs(AgentRight::Secrets, &format!("the secret {other}")),
        }
    }

    pub(super) fn workspace(&self) -> &str {
        &self.workspace
    }
}

/// The names of the secrets that values of variables refer to.
fn references<'a>(values: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    values
        .filter_map(|value| secrets::reference(value))
        .map(str::to_owned)
        .collect()
}
