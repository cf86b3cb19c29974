//! The life of processes: runs that begin, are waited for, are told to end, and begin again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wezterm_parallel_scheduler::{Companion, Input, Tick};

use super::{id_of, key_of, number_of};
use crate::engine::batch::{Batch, Control};
use crate::engine::tally::Tally;
use crate::engine::Engine;
use crate::executor::{AttemptId, Exit, Found, Launch, Report};
use crate::journal::{AfterStop, AttemptImage, ProcessImage, ProcessStanding, ProcessState, Record};
use crate::prober::Probe;
use crate::protocol::{ReadyCheck, ReadyWay};
use crate::worker::{attempt_folder, Job};

/// Runs that are remembered, with their output; older ones are removed.
const RUNS_KEPT: usize = 5;
/// A run that could not be written down is tried again so much later.
const UNWRITTEN_RETRY_MS: u64 = 5_000;

impl Engine {
    /// `processes/` beside `tasks/`.
    pub(in crate::engine) fn processes_folder(tasks_folder: &Path) -> PathBuf {
        tasks_folder.with_file_name("processes")
    }

    fn folder_of_run(&self, number: u64, run: u32) -> PathBuf {
        attempt_folder(&Self::processes_folder(&self.tasks_folder), &id_of(number), run)
    }

    /// The folder of a run, given by its key.
    pub(in crate::engine) fn folder_of_any(&self, id: AttemptId) -> PathBuf {
        self.folder_of_run(number_of(id.key).unwrap_or_default(), id.attempt)
    }

    /// The newest run of a process.
    pub(in crate::engine) fn run_of(&self, number: u64) -> Option<AttemptId> {
        let standing = &self.store.processes.get(number)?.standing;
        Some(AttemptId {
            key: key_of(number),
            attempt: standing.run,
        })
    }

    /// Changes how a process stands, with the record of it.
    pub(super) fn change_process(
        &mut self,
        now: Tick,
        number: u64,
        batch: &mut Batch,
        change: impl FnOnce(&mut ProcessStanding),
    ) {
        let Some(image) = self.store.processes.get_mut(number) else {
            return;
        };
        let was_up = image.standing.state.is_up();
        change(&mut image.standing);
        let is_up = image.standing.state.is_up();
        batch.records.push(Record::Process {
            number,
            image: Some(Box::new(image.clone())),
        });
        batch.touched.push(key_of(number));
        if was_up != is_up {
            self.tell_companions(now, batch);
        }
    }

    /// Admission keeps free what running processes declare.
    pub(in crate::engine) fn tell_companions(&mut self, now: Tick, batch: &mut Batch) {
        let up = self.store.processes.up();
        let companions = up.map(|(number, image)| Companion {
            key: key_of(number),
            reserved_bytes: image.spec.memory_bytes,
        });
        let companions = companions.collect();
        self.feed(now, Input::SetCompanions(companions), batch);
    }

    /// The next run of a process begins, once this round is written down.
    pub(super) fn begin_run(&mut self, now: Tick, number: u64, batch: &mut Batch) {
        let Some(image) = self.store.processes.get(number) else {
            return;
        };
        let waits = image.spec.ready.is_some();
        let run = image.standing.run + 1;
        let old = image.standing.runs.iter().rev().skip(RUNS_KEPT - 1);
        let old: Vec<PathBuf> = old.map(|old| self.folder_of_run(number, old.attempt)).collect();
        batch.folders.extend(old);
        self.change_process(now, number, batch, |standing| {
            standing.state = if waits {
                ProcessState::Starting
            } else {
                ProcessState::Running
            };
            standing.run = run;
            standing.next_at = None;
            standing.then = None;
            standing.why = None;
            let surplus = (standing.runs.len() + 1).saturating_sub(RUNS_KEPT);
            standing.runs.drain(..surplus);
            standing.runs.push(AttemptImage::started(run, now));
        });
        batch.runs.extend(self.run_of(number));
    }

    /// Starts a run that is written down; a report if that fails.
    pub(in crate::engine) fn launch_run(&mut self, now: Tick, id: AttemptId) {
        let launch = match self.prepare_run(id) {
            Ok(launch) => launch,
            Err(why) => {
                let exit = Exit {
                    spawn_error: Some(why),
                    started_at_ms: now.0,
                    ended_at_ms: now.0,
                    ..Exit::default()
                };
                return self.own_reports.push(Report::Ended(id, exit));
            }
        };
        tracing::debug!(process = number_of(id.key), run = id.attempt, "start");
        match self.executor.launch(launch) {
            Ok(()) => self.probe(id),
            Err(error) => self.own_reports.push(Report::NotStarted(id, error.to_string())),
        }
    }

    fn prepare_run(&self, id: AttemptId) -> Result<Launch, String> {
        let number = number_of(id.key).ok_or("it is no process")?;
        let image = self.store.processes.get(number).ok_or("the process is gone")?;
        let spec = &image.spec;
        let worker = self.worker_of_process(id.key).ok_or("the process is gone")?;
        let profile = self.profiles.get(worker).zip(self.profiles.config(worker));
        let (profile, settings) = profile.ok_or(format!("worker profile '{worker}' is not in the config"))?;
        let env = self
            .store
            .environments
            .get(spec.env)
            .ok_or("its environment is gone")?;
        let mut env = (*env).clone();
        let own = settings.env.iter();
        env.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        let prepared = profile.prepare(&Job {
            command: spec.command.as_deref(),
            argv: spec.argv.as_deref(),
            stdin: None,
            cwd: spec.cwd.as_ref().as_ref(),
            path: env.get("PATH").map(String::as_str),
            claude: None,
            session: None,
            budget_usd: None,
        });
        self.inherit(&mut env, prepared.unset);
        let secrets = self.secrets_for(&env)?;
        Ok(Launch {
            id,
            folder: self.folder_of_run(number, id.attempt),
            argv: prepared.argv,
            cwd: spec.cwd.as_ref().into(),
            worktree: None,
            room: self.room_in(&spec.workspace, settings, true, None),
            secrets,
            stdin: None,
            stdin_open: false,
            separate_stderr: false,
            timeout_ms: None,
            stop: self.stop_plan(id.key),
            output_cap_bytes: self.config.output.cap_bytes.0,
            env,
        })
    }

    /// Looks for the sign that a run is ready, if one was named.
    fn probe(&mut self, id: AttemptId) {
        let image = number_of(id.key).and_then(|number| self.store.processes.get(number));
        let Some(image) = image.filter(|image| image.standing.state == ProcessState::Starting) else {
            return;
        };
        let Some(way) = image.spec.ready.as_ref().and_then(ReadyCheck::way) else {
            return;
        };
        let cwd = image.spec.cwd.as_ref().into();
        let (env, secrets) = match way {
            ReadyWay::Command(_) => self.surroundings(id),
            ReadyWay::Port(_) | ReadyWay::Line(_) | ReadyWay::Pattern(_) => Default::default(),
        };
        self.prober.watch(Probe {
            id,
            way,
            output: self.folder_of_any(id).join("output"),
            cwd,
            env,
            secrets,
        });
    }

    /// The environment of a run, and the command that tells the secrets to which it refers, for another program that is run as
    /// the process is.
    fn surroundings(&self, id: AttemptId) -> (BTreeMap<String, String>, Vec<String>) {
        match self.prepare_run(id) {
            Ok(Launch { mut env, secrets, .. }) => {
                env.insert("WEZTERM_PARALLEL_TASK".to_owned(), self.store.id(id.key));
                env.insert("WEZTERM_PARALLEL_ATTEMPT".to_owned(), id.attempt.to_string());
                (env, secrets)
            }
            // An earlier daemon started it, by a config that had what is missing now.
            Err(why) => {
                tracing::warn!(
                    process = number_of(id.key),
                    "its ready command lacks its environment: {why}"
                );
                Default::default()
            }
        }
    }

    /// A run is ready.
    pub(in crate::engine) fn take_probed(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        let Some(number) = number_of(id.key).filter(|number| self.run_of(*number) == Some(id)) else {
            return;
        };
        let state = self.store.processes.get(number).map(|image| image.standing.state);
        if state == Some(ProcessState::Starting) {
            self.change_process(now, number, batch, |standing| {
                standing.state = ProcessState::Ready;
            });
        }
    }

    /// Tells a running process to end.
    pub(super) fn stop_run(&mut self, now: Tick, number: u64, then: AfterStop, batch: &mut Batch) {
        self.change_process(now, number, batch, |standing| {
            standing.state = ProcessState::Stopping;
            standing.why = None;
            standing.then = Some(then);
        });
        if let Some(id) = self.run_of(number) {
            self.prober.forget(id);
            batch.controls.push(Control::Stop(id));
        }
    }

    /// Forgets a process, with its folder.
    pub(super) fn remove_process(&mut self, now: Tick, number: u64, batch: &mut Batch) {
        if self.store.set_process(number, None).is_some() {
            batch.records.push(Record::Process { number, image: None });
            batch.gone.push(number);
            batch
                .folders
                .push(Self::processes_folder(&self.tasks_folder).join(id_of(number)));
            self.tell_companions(now, batch);
        }
    }

    /// When something is due that only the time brings.
    pub(in crate::engine) fn processes_due(&self) -> Option<Tick> {
        let may_start = self.may_start_runs();
        let due = |image: &ProcessImage| match image.standing.state {
            ProcessState::Backoff if may_start => image.standing.next_at,
            ProcessState::Starting => ready_by(image),
            _ => None,
        };
        self.store
            .processes
            .iter()
            .filter_map(|(_, image)| due(image))
            .min()
    }

    /// Nothing starts that could not be written down, or that a daemon starts which is ending.
    fn may_start_runs(&self) -> bool {
        self.journal_failing.is_none() && self.ending.is_none()
    }

    /// Does what is due.
    pub(in crate::engine) fn tend_processes(&mut self, now: Tick, batch: &mut Batch) {
        if self.processes_due().is_none_or(|due| due > now) {
            return;
        }
        let is_due = |image: &ProcessImage| match image.standing.state {
            ProcessState::Backoff => image.standing.next_at.is_none_or(|at| at <= now),
            ProcessState::Starting => ready_by(image).is_some_and(|by| by <= now),
            _ => false,
        };
        let due = self.store.processes.iter().filter(|(_, image)| is_due(image));
        let due: Vec<(u64, ProcessState)> = due
            .map(|(number, image)| (number, image.standing.state))
            .collect();
        for (number, state) in due {
            if state == ProcessState::Starting {
                self.stop_run(now, number, AfterStop::Unready, batch);
            } else if self.may_start_runs() {
                self.begin_run(now, number, batch);
            }
        }
    }

    /// After a restart: learns what became of the runs of the last daemon.
    pub(in crate::engine) fn adopt_processes(&mut self) {
        let Tally {
            processes, ledger, ..
        } = &mut self.tally;
        processes.found(&self.store.processes, ledger);
        let up: Vec<u64> = self.store.processes.up().map(|(number, _)| number).collect();
        for number in up {
            let Some(id) = self.run_of(number) else { continue };
            let folder = self.folder_of_run(number, id.attempt);
            let stopping = self
                .store
                .processes
                .get(number)
                .is_some_and(|image| image.standing.state == ProcessState::Stopping);
            match self.executor.adopt(id, folder) {
                Ok(Found::Running) => {
                    tracing::info!(process = number, run = id.attempt, "adopted a running process");
                    if stopping {
                        self.control(Control::Stop(id));
                    } else {
                        self.probe(id);
                    }
                }
                Ok(Found::Stopping) => {
                    tracing::info!(
                        process = number,
                        run = id.attempt,
                        "adopted a process that is being stopped"
                    );
                }
                Ok(Found::Ended(exit)) => self.own_reports.push(Report::Ended(id, exit)),
                Ok(Found::NeverStarted) => {
                    let why = "the daemon ended first".to_owned();
                    self.own_reports.push(Report::NotStarted(id, why));
                }
                Ok(Found::Lost(why)) => self.own_reports.push(Report::Lost(id, why)),
                Err(error) => self.own_reports.push(Report::Lost(id, error.to_string())),
            }
        }
    }

    /// All of them end, and stay so: the daemon was told to end with its workers.
    pub(in crate::engine) fn stop_processes(&mut self, now: Tick, batch: &mut Batch) {
        let all: Vec<u64> = self.store.processes.iter().map(|(number, _)| number).collect();
        for number in all {
            self.stop_process(now, number, false, batch);
        }
    }

    /// The round could not be written: what nobody was promised is taken back, and runs that have not begun wait.
    pub(in crate::engine) fn withdraw_processes(&mut self, now: Tick, batch: &mut Batch, undone: &mut Batch) {
        for number in std::mem::take(&mut batch.spawned).into_iter().rev() {
            self.store.set_process(number, None);
            batch.runs.retain(|id| id.key != key_of(number));
            self.unwritten.retain(
                |record| !matches!(record, Record::Process { number: other, .. } if *other == number),
            );
        }
        for id in std::mem::take(&mut batch.runs) {
            let Some(number) = number_of(id.key) else { continue };
            self.change_process(now, number, undone, |standing| {
                standing.state = ProcessState::Backoff;
                standing.next_at = Some(now.plus_ms(UNWRITTEN_RETRY_MS));
                standing.why = Some("the journal cannot be written".into());
                if let Some(run) = standing.runs.last_mut() {
                    run.ended_at = Some(now);
                    run.outcome = Some("not_started".into());
                }
            });
        }
        self.tell_companions(now, undone);
        self.unwritten_folders.append(&mut batch.folders);
    }
}

/// Until when a run must be ready.
fn ready_by(image: &ProcessImage) -> Option<Tick> {
    let limit = image.spec.ready_timeout_ms?;
    let started_at = image.standing.runs.last()?.started_at;
    Some(started_at.plus_ms(limit.get()))
}
