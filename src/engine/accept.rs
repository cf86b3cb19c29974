//! Turns a `TaskQueue` message into a submission and a spec, or says what is wrong with it.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use wezterm_parallel_scheduler::{Backoff, Dependency, Lane, Needs, Scheduler, Submission, TaskKey, Tick};

use super::admission_rules::milli;
use super::agents::Agent;
use super::budget::own_limit;
use super::captured::{captured, check_secrets};
use super::costs::micros;
use super::environments::Variables;
use super::errors;
use super::hash::StableHash;
use super::sessions::{resolved, Origin};
use super::store::{IdUse, Store};
use crate::config::Config;
use crate::journal::{EnvHash, Extra, Record, Spec, WorktreeSpec};
use crate::protocol::{self, ErrorAnswer, TaskQueue};
use crate::worker::{Job, JobError, Profiles};

/// Retries wait this long at first, doubled each time, unless the profile says otherwise.
const RETRY_DELAY_MS: u64 = 1_000;
/// The longest wait between retries, unless the profile says otherwise.
const RETRY_MAX_DELAY_MS: u64 = 5 * 60 * 1_000;

/// A task that may be queued.
pub(super) enum Accepted {
    /// The same task is there already.
    Repeat(TaskKey),
    /// A new one. If its environment is new, its record comes first.
    New {
        /// For the scheduler.
        submission: Box<Submission>,
        /// For the store.
        spec: Box<Spec>,
        /// The environment to journal first.
        environment: Option<Record>,
    },
}

/// Checks that cost system calls are made once for the many equal tasks of a batch.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) folders: HashSet<String>,
    /// Folders of which worktrees can be made.
    pub(super) repositories: HashSet<String>,
    /// Hashes of worker, folder, PATH and program.
    programs: HashSet<u64>,
}

/// An environment that is stored already, or that may have to be.
pub(super) enum Environment {
    Stored(EnvHash, Arc<Variables>),
    New(Variables),
}

impl Environment {
    fn variables(&self) -> &Variables {
        match self {
            Self::Stored(_, variables) => variables,
            Self::New(variables) => variables,
        }
    }
}

/// What the checks of a task have found out.
pub(super) struct Checks {
    origin: Origin,
    cost: u64,
    worker: Arc<str>,
    after: Vec<Dependency>,
    cwd: Arc<str>,
    variables: Environment,
    worktree: Option<WorktreeSpec>,
}

/// Everything that judging a task needs.
pub(super) struct Acceptor<'a> {
    pub(super) store: &'a mut Store,
    pub(super) config: &'a Config,
    pub(super) profiles: &'a Profiles,
    pub(super) scheduler: &'a Scheduler,
    pub(super) own_environment: &'a Variables,
    /// The worker that queues it; `None` for the user.
    pub(super) agent: Option<&'a Agent>,
    pub(super) checked: &'a mut Checked,
    pub(super) now: Tick,
}

impl Acceptor<'_> {
    /// Judges a task. On an error nothing has changed.
    pub(super) fn accept(&mut self, mut task: TaskQueue) -> Result<Accepted, ErrorAnswer> {
        protocol::check_task(&task)?;
        self.keep_at_home(&mut task);
        let content = content_hash(&task);
        if let Some(repeat) = self.repeat(&task.id, content)? {
            return Ok(Accepted::Repeat(repeat));
        }
        self.settle(&mut task)?;
        let Checks {
            origin,
            cost,
            worker,
            mut after,
            cwd,
            variables,
            worktree,
        } = self.check(&task)?;
        after.extend(origin.after);
        // Nothing below can fail: what it adds to the store is journaled for certain.
        let (env, environment) = self.store_environment(variables);
        let (key, name) = self.identify(&task.id);
        let mut submission = Box::new(self.submission(key, &task, worker, after));
        submission.session.clone_from(&origin.session);
        submission.cost = cost;
        let spec = Box::new(Spec {
            name,
            command: task.command.map(String::into_boxed_str),
            argv: task.argv.map(Vec::into_boxed_slice),
            cwd,
            env,
            label: task.label.map(|label| self.store.intern(&label)),
            timeout_ms: task.timeout_ms.and_then(NonZeroU64::new),
            extra: Extra::of(task.stdin, worktree),
            claude: task.claude.map(|options| resolved(options, &origin)),
            parent: self.agent.and_then(|agent| NonZeroU64::new(agent.key.0)),
            content,
        });
        Ok(Accepted::New {
            submission,
            spec,
            environment,
        })
    }

    /// All that can be wrong with a task but its id. Changes nothing.
    pub(super) fn check_alone(&mut self, mut task: TaskQueue) -> Result<(), ErrorAnswer> {
        protocol::check_task(&task)?;
        self.keep_at_home(&mut task);
        self.settle(&mut task)?;
        self.check(&task).map(drop)
    }

    /// What a worker queues without a word on the workspace belongs to its own.
    fn keep_at_home(&self, task: &mut TaskQueue) {
        if let Some(agent) = self.agent.filter(|_| task.workspace.is_none()) {
            task.workspace = Some(agent.workspace().to_owned());
        }
    }

    /// The same of a task that is in its workspace already.
    fn check(&mut self, task: &TaskQueue) -> Result<Checks, ErrorAnswer> {
        let worker = self.worker(task)?;
        let after = dependencies(self.store, &task.after)?;
        let cwd = self.cwd(task)?;
        if let Some(agent) = self.agent {
            agent.may_queue_in(task.workspace.as_deref().unwrap_or_default())?;
        }
        let variables = self.variables(task)?;
        check_secrets(self.config, variables.variables())?;
        if let Some(agent) = self.agent {
            let profile = self.profiles.config(&worker);
            let of_profile = profile.map(|profile| profile.env.values());
            let values = variables.variables().values();
            agent.may_pass_on(values.chain(of_profile.into_iter().flatten()))?;
        }
        self.check_program(task, &worker, &cwd, &variables)?;
        let path = variables.variables().get("PATH").map(String::as_str);
        let worktree = self.worktree(task, &cwd, path)?;
        let origin = self.origin(task)?;
        let options = self.profiles.claude_options(&worker, task.claude.as_deref());
        let cost = options.and_then(|options| own_limit(&options, &self.config.budget));
        Ok(Checks {
            origin,
            cost: cost.map_or(0, micros),
            worker,
            after,
            cwd,
            variables,
            worktree,
        })
    }

    /// The task that this id already stands for, if the content is the same.
    fn repeat(&self, id: &str, content: u64) -> Result<Option<TaskKey>, ErrorAnswer> {
        if id.is_empty() {
            return Ok(None);
        }
        match self.store.id_use(id) {
            IdUse::Task(key)
                if self
                    .store
                    .get(key)
                    .is_some_and(|entry| entry.spec.content == content) =>
            {
                Ok(Some(key))
            }
            IdUse::Task(_) => Err(errors::conflict(id, "by a task with other content")),
            IdUse::Spent => Err(errors::conflict(id, "by a task that has been removed")),
            IdUse::Reserved(_) | IdUse::Free => Ok(None),
        }
    }

    fn worker(&mut self, task: &TaskQueue) -> Result<Arc<str>, ErrorAnswer> {
        let fallback = if task.argv.is_some() {
            "exec"
        } else {
            &self.config.pool.default_worker
        };
        let name = task.worker.as_deref().unwrap_or(fallback);
        if self.profiles.get(name).is_none() {
            return Err(errors::unknown_worker(name, self.profiles.names()));
        }
        Ok(self.store.intern(name))
    }

    fn cwd(&mut self, task: &TaskQueue) -> Result<Arc<str>, ErrorAnswer> {
        let home = self.own_environment.get("HOME").map_or("/", String::as_str);
        let continued = task
            .claude
            .as_deref()
            .and_then(|options| options.continue_from.as_deref());
        let continued = continued.and_then(|id| self.store.get(self.store.find(id)?));
        // A session is at home in the folder that it began in.
        let there = continued.map(|entry| Arc::clone(&entry.spec.cwd));
        let cwd = task.cwd.as_deref().or(there.as_deref()).unwrap_or(home);
        if !self.checked.folders.contains(cwd) {
            if !Path::new(cwd).is_dir() {
                return Err(errors::missing_cwd(cwd));
            }
            self.checked.folders.insert(cwd.to_owned());
        }
        Ok(self.store.intern(cwd))
    }

    /// The task's whole environment.
    fn variables(&self, task: &TaskQueue) -> Result<Environment, ErrorAnswer> {
        let base = match (&task.env_ref, &task.env) {
            (Some(reference), _) => self.stored(reference)?,
            (None, Some(env)) => Environment::New(captured(self.config, env)),
            (None, None) => Environment::New(captured(self.config, self.own_environment)),
        };
        if task.env_add.is_empty() {
            return Ok(base);
        }
        let mut variables = Variables::clone(base.variables());
        variables.extend(
            task.env_add
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(Environment::New(variables))
    }

    fn stored(&self, reference: &str) -> Result<Environment, ErrorAnswer> {
        let hash = u64::from_str_radix(reference, 16).ok().map(EnvHash);
        let known = hash.and_then(|hash| Some(Environment::Stored(hash, self.store.environments.get(hash)?)));
        known.ok_or_else(|| errors::unknown_environment(reference))
    }

    /// The environment's hash, and its record if it is new.
    fn store_environment(&mut self, environment: Environment) -> (EnvHash, Option<Record>) {
        match environment {
            Environment::Stored(hash, _) => (hash, None),
            Environment::New(variables) => {
                let (hash, new) = self.store.environments.add(variables.clone());
                (hash, new.then_some(Record::Environment { hash, variables }))
            }
        }
    }

    fn check_program(
        &mut self,
        task: &TaskQueue,
        worker: &str,
        cwd: &str,
        env: &Environment,
    ) -> Result<(), ErrorAnswer> {
        let profile = self
            .profiles
            .get(worker)
            .ok_or_else(|| errors::unknown_worker(worker, self.profiles.names()))?;
        let path = env.variables().get("PATH").map(String::as_str);
        let job = Job {
            command: task.command.as_deref(),
            argv: task.argv.as_deref(),
            stdin: task.stdin.as_deref(),
            cwd: Path::new(cwd),
            path,
            claude: task.claude.as_deref(),
            session: None,
            budget_usd: None,
        };
        let program = job.argv.and_then(<[String]>::first).map(String::as_str);
        let mut memo = StableHash::default();
        for part in [
            Some(worker),
            Some(cwd),
            path,
            program,
            job.command.map(|_| "command"),
        ] {
            memo.feed(part.unwrap_or_default().as_bytes());
            memo.feed(&[0]);
        }
        if !self.checked.programs.contains(&memo.finish()) {
            profile.check(&job).map_err(|error| errors::job(&error))?;
            self.checked.programs.insert(memo.finish());
        }
        Ok(())
    }

    /// The key and, if the id is not simply its number, the name.
    fn identify(&mut self, id: &str) -> (TaskKey, Option<Box<str>>) {
        if id.is_empty() {
            return (self.store.next_key(), None);
        }
        if let IdUse::Reserved(key) = self.store.id_use(id) {
            return (key, None);
        }
        let key = self.store.next_key();
        (key, (key.0.to_string() != id).then(|| Box::from(id)))
    }

    fn submission(
        &mut self,
        key: TaskKey,
        task: &TaskQueue,
        worker: Arc<str>,
        after: Vec<Dependency>,
    ) -> Submission {
        let profile = self.profiles.config(&worker);
        let retries = task
            .retries
            .or(profile.and_then(|profile| profile.retries))
            .unwrap_or(0);
        let millis = |duration: Option<std::time::Duration>| {
            duration.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
        };
        let workspace = self.store.intern(task.workspace.as_deref().unwrap_or_default());
        let delayed = task
            .delay_ms
            .map(|ms| self.now.plus_ms(ms))
            .or(task.not_before_ms.map(Tick));
        Submission {
            key,
            lane: Lane { workspace, worker },
            priority: task.priority.unwrap_or(self.config.pool.default_priority),
            submitted_at: self.now,
            after,
            not_before: delayed.filter(|moment| *moment > self.now),
            start_by: task.max_queue_time_ms.map(|ms| self.now.plus_ms(ms)),
            held: task.hold,
            backoff: Backoff {
                max_retries: retries,
                base_ms: millis(profile.and_then(|p| p.retry_delay)).unwrap_or(RETRY_DELAY_MS),
                max_ms: millis(profile.and_then(|p| p.retry_max_delay)).unwrap_or(RETRY_MAX_DELAY_MS),
            },
            session: None,
            cost: 0,
            needs: Needs {
                memory_bytes: task.memory_bytes.unwrap_or(0),
                cpus_milli: task.cpus.map_or(0, milli),
            },
        }
    }
}

/// The keys of the tasks that a list of `ID[:condition]` names.
pub(super) fn dependencies(store: &Store, after: &[String]) -> Result<Vec<Dependency>, ErrorAnswer> {
    let one = |text: &String| {
        let (id, on) = protocol::parse_after(text)?;
        let key = store.find(&id).ok_or_else(|| errors::unknown_dependency(&id))?;
        Ok(Dependency { key, on })
    };
    after.iter().map(one).collect()
}

/// What tells a repeat of a submission from another one under the same id.
fn content_hash(task: &TaskQueue) -> u64 {
    StableHash::of_json(task)
}

impl From<&JobError> for protocol::ErrorCode {
    fn from(error: &JobError) -> Self {
        match error {
            JobError::WantsCommand(_)
            | JobError::WantsArgv(_)
            | JobError::CommandTooLong(_)
            | JobError::TakesNoStdin(_)
            | JobError::TakesNoClaudeOptions(_) => Self::InvalidValue,
            JobError::MissingProgram { .. } | JobError::MissingClaude { .. } => Self::MissingProgram,
        }
    }
}
