//! What clients ask about processes.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use wezterm_parallel_scheduler::Tick;

use super::table::NoProcess;
use super::views::{capitalized, worker_of};
use super::{id_of, key_of};
use crate::config::parse_signal;
use crate::engine::batch::Batch;
use crate::engine::captured::{captured, check_secrets};
use crate::engine::environments::Variables;
use crate::engine::hash::StableHash;
use crate::engine::requests::Answered;
use crate::engine::{errors, Engine};
use crate::executor::StopPlan;
use crate::journal::{
    AfterStop, ProcessImage, ProcessSpec, ProcessStanding, ProcessState, Record, WorkspaceImage,
};
use crate::protocol::{
    check_process, Answer, Changed, ErrorAnswer, ErrorCode, ProcessFilter, ProcessIds, ProcessSpawn,
    ProcessStop, ProcessesAnswer, StatusUpdate,
};
use crate::worker::Job;

/// Each of them runs all the time: more than this is a loop that spawns.
const PROCESSES_MAX: usize = 512;

impl Engine {
    /// Spawns a process, which starts at once. The same message again is answered like the first time, if it has a name.
    pub(in crate::engine) fn spawn_process(
        &mut self,
        now: Tick,
        spawn: &ProcessSpawn,
        batch: &mut Batch,
    ) -> Answered {
        check_process(spawn)?;
        let workspace = self.workspace(&spawn.workspace)?;
        let content = StableHash::of_json(spawn);
        if let Some(name) = &spawn.name {
            if let Some((number, known)) = self.store.processes.named(&spawn.workspace, name) {
                if known.spec.content == content {
                    return Ok(self.process_status(number));
                }
                return Err(errors::process_exists(name, &spawn.workspace, &id_of(number)));
            }
        }
        self.check_process_alone(spawn, &workspace)?;
        let number = self.add_process(now, spawn, &workspace, content, batch)?;
        self.begin_run(now, number, batch);
        Ok(self.process_status(number))
    }

    /// All that can be wrong with a process but its name. Changes nothing.
    pub(in crate::engine) fn check_process_alone(
        &mut self,
        spawn: &ProcessSpawn,
        workspace: &WorkspaceImage,
    ) -> Result<(), ErrorAnswer> {
        check_process(spawn)?;
        if self.store.processes.len() >= PROCESSES_MAX {
            return Err(errors::too_many_processes(PROCESSES_MAX));
        }
        let cwd = self.cwd_of_process(spawn, workspace)?;
        let variables = self.variables_of_process(spawn, workspace);
        check_secrets(&self.config, &variables)?;
        self.check_program_of_process(spawn, &cwd, variables.get("PATH").map(String::as_str))
    }

    /// Its whole environment, as far as it is kept.
    pub(in crate::engine) fn variables_of_process(
        &self,
        spawn: &ProcessSpawn,
        workspace: &WorkspaceImage,
    ) -> Variables {
        let base = spawn.env.as_ref().unwrap_or(&self.environment);
        let mut variables = captured(&self.config, base);
        let over = workspace.settings.env.iter().chain(&spawn.env_add);
        variables.extend(over.map(|(name, value)| (name.clone(), value.clone())));
        variables
    }

    fn add_process(
        &mut self,
        now: Tick,
        spawn: &ProcessSpawn,
        workspace: &WorkspaceImage,
        content: u64,
        batch: &mut Batch,
    ) -> Result<u64, ErrorAnswer> {
        let cwd = self.cwd_of_process(spawn, workspace)?;
        let variables = self.variables_of_process(spawn, workspace);
        let (env, is_new) = self.store.environments.add(variables.clone());
        if is_new {
            batch.records.push(Record::Environment { hash: env, variables });
        }
        let spec = ProcessSpec {
            name: spawn.name.as_deref().map(Into::into),
            workspace: self.store.intern(&spawn.workspace),
            command: spawn.command.as_deref().map(Into::into),
            argv: spawn.argv.clone().map(Vec::into_boxed_slice),
            cwd,
            env,
            restart: spawn.restart.unwrap_or_default(),
            max_restarts: spawn.max_restarts.unwrap_or(self.config.processes.max_restarts),
            ready: spawn.ready.clone(),
            ready_timeout_ms: spawn.ready_timeout_ms.and_then(NonZeroU64::new),
            memory_bytes: spawn.memory_bytes.unwrap_or(0),
            created_at: now,
            content,
        };
        let number = self.next_process();
        let standing = ProcessStanding::default();
        self.store
            .set_process(number, Some(ProcessImage { spec, standing }));
        batch.spawned.push(number);
        Ok(number)
    }

    /// A number whose folder is not there: one of a journal that is gone belongs to another process.
    fn next_process(&mut self) -> u64 {
        let folder = Self::processes_folder(&self.tasks_folder);
        loop {
            let number = self.store.processes.take_next();
            if !folder.join(id_of(number)).exists() {
                return number;
            }
        }
    }

    fn cwd_of_process(
        &mut self,
        spawn: &ProcessSpawn,
        workspace: &WorkspaceImage,
    ) -> Result<Arc<str>, ErrorAnswer> {
        let folder = workspace.settings.folder.as_deref();
        let home = self.environment.get("HOME").map_or("/", String::as_str);
        let cwd = spawn.cwd.as_deref().or(folder).unwrap_or(home);
        if Path::new(cwd).is_dir() {
            return Ok(self.store.intern(cwd));
        }
        Err(match (&spawn.cwd, folder) {
            (None, Some(folder)) => errors::vanished_folder(&spawn.workspace, folder),
            _ => errors::missing_cwd(cwd),
        })
    }

    fn check_program_of_process(
        &self,
        spawn: &ProcessSpawn,
        cwd: &str,
        path: Option<&str>,
    ) -> Result<(), ErrorAnswer> {
        let worker = worker_of(spawn.argv.is_some());
        let profile = self.profiles.get(worker);
        let profile = profile.ok_or_else(|| errors::unknown_worker(worker, self.profiles.names()))?;
        let job = Job {
            command: spawn.command.as_deref(),
            argv: spawn.argv.as_deref(),
            stdin: None,
            cwd: Path::new(cwd),
            path,
            claude: None,
            session: None,
            budget_usd: None,
        };
        profile.check(&job).map_err(|error| errors::job(&error))
    }

    fn process_status(&self, number: u64) -> Answer {
        let image = self.store.processes.get(number);
        let state = image.map_or(ProcessState::Stopped, |image| image.standing.state);
        Answer::StatusUpdate(StatusUpdate {
            process_id: id_of(number),
            status: capitalized(state.name()),
            note: None,
        })
    }

    /// The process that a word names.
    pub(in crate::engine) fn find_process(&self, word: &str) -> Result<u64, ErrorAnswer> {
        self.store.processes.find(word).map_err(|none| match none {
            NoProcess::Unknown => {
                let names = self
                    .store
                    .processes
                    .iter()
                    .filter_map(|(_, image)| image.spec.name.as_deref());
                errors::unknown_process(word, names)
            }
            NoProcess::Several(ids) => errors::several_processes(word, &ids),
        })
    }

    fn find_processes(&self, words: &[String]) -> Result<Vec<u64>, ErrorAnswer> {
        if words.is_empty() {
            let hint = "name at least one process; `wezterm-parallel process list` shows them";
            return Err(errors::invalid("no ids are given".to_owned(), hint));
        }
        let mut numbers = words
            .iter()
            .map(|word| self.find_process(word))
            .collect::<Result<Vec<u64>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    pub(in crate::engine) fn list_processes(&mut self, now: Tick, filter: &ProcessFilter) -> Answered {
        let numbers = match (&filter.ids, &filter.workspace) {
            (ids, _) if !ids.is_empty() => self.find_processes(ids)?,
            (_, Some(workspace)) => self.store.processes.of(workspace),
            (_, None) => self.store.processes.iter().map(|(number, _)| number).collect(),
        };
        let used = self.scheduler.admission(now).companions;
        let used = |number| {
            let key = key_of(number);
            let own = used.iter().find(|companion| companion.key == key)?;
            own.used.map(|(_, bytes)| bytes)
        };
        let views = self.views();
        let in_workspace = |workspace: &str| {
            filter
                .workspace
                .as_deref()
                .is_none_or(|wanted| wanted == workspace)
        };
        let processes = numbers
            .into_iter()
            .filter_map(|number| views.process(number, used(number)));
        Ok(Answer::Processes(ProcessesAnswer {
            processes: processes.filter(|view| in_workspace(&view.workspace)).collect(),
        }))
    }

    pub(in crate::engine) fn stop_by_request(
        &mut self,
        now: Tick,
        stop: &ProcessStop,
        batch: &mut Batch,
    ) -> Answered {
        let signal = match &stop.signal {
            Some(name) => Some(parse_signal(name).ok_or_else(|| errors::unknown_signal(name))?),
            None => None,
        };
        let numbers = self.find_processes(&stop.ids)?;
        for number in &numbers {
            let state = self
                .store
                .processes
                .get(*number)
                .map(|image| image.standing.state);
            if let Some(state) = state.filter(|state| state.is_end() && !stop.remove) {
                return Err(ErrorAnswer::new(
                    ErrorCode::WrongState,
                    format!("process '{}' is {} already", id_of(*number), state.name()),
                    "nothing was changed; `process restart` starts it, `process stop --remove` forgets it",
                ));
            }
        }
        for number in &numbers {
            let usual = self.stop_plan(key_of(*number));
            if signal.is_some() || stop.grace_ms.is_some() {
                let plan = StopPlan {
                    signal: signal.unwrap_or(usual.signal),
                    grace_ms: stop.grace_ms.unwrap_or(usual.grace_ms),
                    then: usual.then,
                };
                self.stop_plans.insert(key_of(*number), plan);
            }
            self.stop_process(now, *number, stop.remove, batch);
        }
        Ok(Answer::Changed(Changed {
            ids: numbers.into_iter().map(id_of).collect(),
        }))
    }

    /// Whether a run of each of these is under way.
    pub(in crate::engine) fn are_up(&self, words: &[String]) -> bool {
        let is_up = |word: &String| {
            let number = self.store.processes.find(word).ok();
            let image = number.and_then(|number| self.store.processes.get(number));
            image.is_some_and(|image| image.standing.state.is_up())
        };
        words.iter().all(is_up)
    }

    /// Whatever it does, it ends and stays so, or goes altogether.
    pub(in crate::engine) fn stop_process(
        &mut self,
        now: Tick,
        number: u64,
        remove: bool,
        batch: &mut Batch,
    ) {
        let Some(standing) = self.store.processes.get(number).map(|image| &image.standing) else {
            return;
        };
        let (then, is_up, was) = (standing.then, standing.state.is_up(), standing.state);
        let wanted = if remove || then == Some(AfterStop::Remove) {
            AfterStop::Remove
        } else {
            AfterStop::Stay
        };
        if is_up {
            self.stop_run(now, number, wanted, batch);
        } else if remove {
            self.remove_process(now, number, batch);
        } else if was == ProcessState::Backoff {
            self.change_process(now, number, batch, |standing| {
                standing.state = ProcessState::Stopped;
                standing.why = None;
                standing.next_at = None;
                standing.restarts = 0;
            });
        }
    }

    pub(in crate::engine) fn restart_processes(
        &mut self,
        now: Tick,
        ids: &ProcessIds,
        batch: &mut Batch,
    ) -> Answered {
        let numbers = self.find_processes(&ids.ids)?;
        let is_going = |number: &u64| {
            let image = self.store.processes.get(*number);
            image.is_some_and(|image| image.standing.then == Some(AfterStop::Remove))
        };
        if let Some(number) = numbers.iter().find(|number| is_going(number)) {
            return Err(ErrorAnswer::new(
                ErrorCode::WrongState,
                format!("process '{}' is being removed", id_of(*number)),
                "nothing was changed; spawn it anew",
            ));
        }
        for number in &numbers {
            let image = self.store.processes.get(*number);
            if image.is_some_and(|image| image.standing.state.is_up()) {
                self.stop_run(now, *number, AfterStop::Start, batch);
                continue;
            }
            self.change_process(now, *number, batch, |standing| standing.restarts = 0);
            self.begin_run(now, *number, batch);
        }
        Ok(Answer::Changed(Changed {
            ids: numbers.into_iter().map(id_of).collect(),
        }))
    }

    /// Processes of a workspace that are not over.
    pub(in crate::engine) fn live_processes_of(&self, workspace: &str) -> u64 {
        let own = self.store.processes.of(workspace).into_iter();
        let live = own.filter(|number| {
            let image = self.store.processes.get(*number);
            image.is_some_and(|image| !image.standing.state.is_end())
        });
        live.count() as u64
    }

    /// A workspace goes, and its processes with it: how many of them were stopped.
    pub(in crate::engine) fn remove_processes_of(
        &mut self,
        now: Tick,
        workspace: &str,
        batch: &mut Batch,
    ) -> u64 {
        let live = self.live_processes_of(workspace);
        for number in self.store.processes.of(workspace) {
            self.stop_process(now, number, true, batch);
        }
        live
    }
}
