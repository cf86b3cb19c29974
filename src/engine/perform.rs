//! Makes a round durable and performs its effects, in that order.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::UNIX_EPOCH;

use wezterm_parallel_scheduler::{Gate, Input, TaskKey, Tick};

use super::batch::{Batch, Control, Reply, Start};
use super::{worktrees, Engine, JOURNAL_GATE};
use crate::config::parse_signals;
use crate::executor::{AttemptId, Executor, Exit, Found, Launch, Report, StopPlan};
use crate::journal::Record;
use crate::protocol::Event;
use crate::secrets;
use crate::worker::{attempt_folder, Job, Verdict};

/// SIGKILL follows the first signal after this long, unless the profile says otherwise.
const STOP_GRACE_MS: u64 = 10_000;

/// What a start needs, and when its task was submitted; or why it cannot be made.
type Prepared = Result<(Launch, Tick), String>;

impl Engine {
    /// Writes the round's records and waits for the disk. If that fails, the round's submissions
    /// and starts are taken back, and the rest is kept to be written later.
    pub(super) fn commit(&mut self, now: Tick, batch: &mut Batch) {
        if batch.is_clean() && self.unwritten.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut batch.records);
        let records = if self.unwritten.is_empty() {
            fresh
        } else {
            let mut all = std::mem::take(&mut self.unwritten);
            all.extend(fresh);
            all
        };
        match self.write(&records, batch) {
            Ok(()) => {
                batch.removed.append(&mut self.unwritten_removals);
                self.count(&records, batch);
                self.journal_works(now, batch);
            }
            Err(error) => self.journal_fails(now, records, &error, batch),
        }
    }

    /// Writes and syncs. A task that was submitted in an earlier round starts between the two: its
    /// start is written, which is all that a killed daemon needs, and nobody is promised a start.
    /// So the disk's latency is not added to each run of a busy slot.
    fn write(&mut self, records: &[Record], batch: &mut Batch) -> std::io::Result<()> {
        let promised = |start: &Start| batch.submitted.contains(&start.id.key);
        let (late, early): (Vec<Start>, Vec<Start>) = batch.starts.iter().partition(|start| promised(start));
        let prepare = |early: &Start| (*early, self.launch(early.id));
        let launches: Vec<(Start, Prepared)> = early.iter().map(prepare).collect();
        let mut latencies = Vec::with_capacity(launches.len());
        let (starts, executor, reports) = (&mut batch.starts, &mut self.executor, &mut self.own_reports);
        let now = self.clock.now();
        let mut began = false;
        let written = self.journal.commit_with(records, || {
            *starts = late;
            began = true;
            for (early, launch) in launches {
                let report = start(executor.as_mut(), now, early.id, launch);
                latencies.extend(report.is_none().then(|| early.decided_at.elapsed()));
                reports.extend(report);
            }
        });
        if began {
            early.into_iter().for_each(|early| self.started(early.id));
            latencies.into_iter().for_each(|latency| self.dispatched(latency));
        }
        written
    }

    /// A start has been made: its session is on its way, and what it says is listened to.
    fn started(&mut self, id: AttemptId) {
        self.sessions.remove(&id);
        self.listen_again(id);
    }

    fn journal_works(&mut self, now: Tick, batch: &mut Batch) {
        if self.journal_failing.take().is_some() {
            self.touch();
            tracing::info!("the journal can be written again");
            // The starts that this brings are recorded with the next round, and made then.
            let mut next = Batch::default();
            self.feed(now, Input::OpenGate(JOURNAL_GATE.into()), &mut next);
            self.commit(now, &mut next);
            batch.absorb(next);
        }
    }

    fn journal_fails(&mut self, now: Tick, records: Vec<Record>, error: &std::io::Error, batch: &mut Batch) {
        let why = error.to_string();
        if self.journal_failing.is_none() {
            tracing::error!(%why, "the journal cannot be written: nothing new is queued or started until it can");
        }
        self.unwritten = records;
        let mut undone = Batch::default();
        let gate = Gate::closed(JOURNAL_GATE, why.as_str());
        self.feed(now, Input::CloseGate(JOURNAL_GATE.into(), gate), &mut undone);
        for start in std::mem::take(&mut batch.starts) {
            self.undo_start(now, start.id, &why, &mut undone);
        }
        self.unwritten.append(&mut undone.records);
        for key in std::mem::take(&mut batch.submitted).into_iter().rev() {
            self.withdraw(now, key);
        }
        self.withdraw_workspaces(now, batch, &mut undone);
        batch.touched.retain(|key| self.store.get(*key).is_some());
        // Output stays where it is until its task's removal is on the disk.
        self.unwritten_removals.append(&mut batch.removed);
        if self.unwritten.is_empty() {
            // Whether there is room again is found out by writing, so there must be something to
            // write. This record changes nothing.
            self.unwritten.push(Record::Removed {
                keys: Vec::new(),
                spent: Vec::new(),
            });
        }
        batch.refuse_changes(&why);
        self.journal_failing = Some(why);
        self.touch();
    }

    /// A start that was decided and not made.
    fn undo_start(&mut self, now: Tick, id: AttemptId, why: &str, undone: &mut Batch) {
        let verdict = Verdict::not_started(format!("the journal could not be written: {why}"));
        self.record_outcome(now, id, None, &verdict, None, undone);
        self.unclaim(now, id, undone);
        let AttemptId { key, attempt } = id;
        let not_before = None;
        self.feed(
            now,
            Input::PutBack {
                key,
                attempt,
                reason: verdict.reason,
                not_before,
            },
            undone,
        );
    }

    /// Takes back a submission that nobody was promised.
    fn withdraw(&mut self, now: Tick, key: TaskKey) {
        // It may have ended in the same round (a dependency that can no longer hold): removal needs an end.
        let mut ended = Batch::default();
        if self.scheduler.state(key).is_some_and(|state| !state.is_end()) {
            self.feed(now, Input::Cancel(key), &mut ended);
        }
        self.feed(now, Input::Forget(key), &mut ended);
        self.store.withdraw(key);
        self.unwritten.append(&mut ended.records);
        self.unwritten.retain(|record| record_key(record) != Some(key));
    }

    /// Does what the round has led to.
    pub(super) fn perform(&mut self, batch: Batch) {
        for Start { id, decided_at } in batch.starts {
            let launch = self.launch(id);
            let report = start(self.executor.as_mut(), self.clock.now(), id, launch);
            if report.is_none() {
                self.dispatched(decided_at.elapsed());
            }
            self.own_reports.extend(report);
            self.started(id);
        }
        // After the starts: a task can be queued and cancelled in one round.
        for control in batch.controls {
            self.control(control);
        }
        for reply in batch.replies {
            self.acknowledge(&reply);
            let Reply { to, answers, .. } = reply;
            // A client that left no longer wants its answer.
            let _ = to.send(answers);
        }
        for (reply, answer) in batch.subscribed {
            let _ = reply.send(answer);
        }
        for event in &batch.gates {
            if let Event::Gate { gate, is_open, .. } = event {
                self.tally.gate(gate, *is_open);
            }
            self.watchers.whole(event);
        }
        self.tell_watchers(batch.touched);
        for removed in &batch.removed {
            self.watchers.removed(removed.key, &removed.id);
        }
        self.upkeep
            .remove_folders(batch.removed.into_iter().map(|removed| removed.id));
    }

    fn tell_watchers(&mut self, mut touched: Vec<TaskKey>) {
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            self.tidy_worktree(key);
            if self.watchers.want(key) {
                if let Some(view) = self.views().task(key) {
                    self.watchers.changed(key, &view);
                }
            }
        }
        self.watchers.settle();
    }

    /// Signals a running attempt.
    pub(super) fn control(&mut self, control: Control) {
        let done = match control {
            Control::Stop(id) => {
                let plan = self
                    .stop_plans
                    .get(&id.key)
                    .copied()
                    .unwrap_or_else(|| self.stop_plan(id.key));
                self.executor.stop(id, plan)
            }
            Control::Suspend(id) => self.executor.suspend(id),
            Control::Resume(id) => self.executor.resume(id),
        };
        if let Err(error) = done {
            tracing::warn!(?control, %error, "an attempt could not be signalled");
        }
    }

    /// All that the shim needs, and when the task was submitted; or why the task cannot be started any more.
    fn launch(&self, id: AttemptId) -> Prepared {
        let task = self.scheduler.task(id.key).ok_or("the task is gone")?;
        let spec = &self.store.get(id.key).ok_or("the task is gone")?.spec;
        let worker = &task.submission.lane.worker;
        let profile = self.profiles.get(worker).zip(self.profiles.config(worker));
        let (profile, settings) = profile
            .ok_or("its worker profile is not in the config any more: add it again, then retry the task")?;
        let env = self.store.environments.get(spec.env);
        let mut env = (*env.ok_or("its environment is gone")?).clone();
        env.extend(
            settings
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let prepared = profile.prepare(&Job {
            command: spec.command.as_deref(),
            argv: spec.argv.as_deref(),
            stdin: spec.stdin(),
            cwd: spec.cwd.as_ref().as_ref(),
            path: env.get("PATH").map(String::as_str),
            claude: spec.claude.as_deref(),
            session: self.sessions.get(&id),
            budget_usd: self.budget_of(id.key),
        });
        if self.is_claude(worker) && !self.sessions.contains_key(&id) {
            return Err("the task whose session it was to continue has none".to_owned());
        }
        for name in prepared.unset {
            env.remove(*name);
        }
        self.inherit(&mut env, prepared.unset);
        let secrets = self.secrets_for(&env)?;
        let timeout = settings
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let launch = Launch {
            id,
            folder: attempt_folder(&self.tasks_folder, &self.store.id(id.key), id.attempt),
            argv: prepared.argv,
            cwd: spec.cwd.as_ref().into(),
            worktree: worktrees::order(
                &self.store,
                id.key,
                task.submission.submitted_at.0,
                &self.tasks_folder,
            ),
            secrets,
            stdin: prepared.stdin,
            stdin_open: prepared.stdin_open,
            separate_stderr: prepared.separate_stderr,
            timeout_ms: spec.timeout_ms.map(NonZeroU64::get).or(timeout),
            stop: self.stop_plan(id.key),
            output_cap_bytes: self.config.output.cap_bytes.0,
            env,
        };
        Ok((launch, task.submission.submitted_at))
    }

    /// Adds what workers get from the daemon, and nobody writes down.
    fn inherit(&self, env: &mut BTreeMap<String, String>, unset: &[&str]) {
        for name in &self.config.environment.inherit {
            if let Some(value) = self
                .environment
                .get(name)
                .filter(|_| !unset.contains(&name.as_str()))
            {
                env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// The command that tells the secrets which an environment refers to; empty if there are none.
    fn secrets_for(&self, env: &BTreeMap<String, String>) -> Result<Vec<String>, &'static str> {
        let command = &self.config.secrets.command;
        match env.values().any(|value| secrets::reference(value).is_some()) {
            false => Ok(Vec::new()),
            true if command.is_empty() => Err(
                "its environment refers to a secret, and the config has no `secrets.command` any more: add it again, then retry the task",
            ),
            true => Ok(command.clone()),
        }
    }

    /// How a task's tree is stopped, by its profile.
    pub(super) fn stop_plan(&self, key: TaskKey) -> StopPlan {
        let task = self.scheduler.task(key);
        let settings = task.and_then(|task| self.profiles.config(&task.submission.lane.worker).cloned());
        let signals = settings
            .as_ref()
            .and_then(|settings| settings.stop_signal.as_deref())
            .and_then(parse_signals);
        let (signal, then) = signals.unwrap_or((rustix::process::Signal::TERM.as_raw(), None));
        let grace = settings.and_then(|settings| settings.stop_grace);
        StopPlan {
            signal,
            then,
            grace_ms: grace.map_or(STOP_GRACE_MS, |grace| {
                u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }
}

/// Starts an attempt; a report if that failed.
fn start(executor: &mut dyn Executor, now: Tick, id: AttemptId, prepared: Prepared) -> Option<Report> {
    let (launch, submitted_at) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            let exit = Exit {
                spawn_error: Some(why),
                started_at_ms: now.0,
                ended_at_ms: now.0,
                ..Exit::default()
            };
            return Some(Report::Ended(id, exit));
        }
    };
    tracing::debug!(task = id.key.0, attempt = id.attempt, "start");
    if let Some(report) = found(executor, id, &launch, submitted_at) {
        return report;
    }
    let error = executor.launch(launch).err()?;
    tracing::warn!(task = id.key.0, attempt = id.attempt, %error, "an attempt could not be launched");
    Some(Report::NotStarted(id, error.to_string()))
}

/// An attempt that runs or ran already: a daemon started it and died before its start was durable
/// (a sync that failed, a power loss). Its folder says the truth, and it must not run twice.
/// A folder from before the task was submitted belongs to a journal that is gone.
fn found(
    executor: &mut dyn Executor,
    id: AttemptId,
    launch: &Launch,
    submitted_at: Tick,
) -> Option<Option<Report>> {
    let modified = launch
        .folder
        .metadata()
        .and_then(|folder| folder.modified())
        .ok()?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).ok()?;
    if since_epoch.as_millis() < u128::from(submitted_at.0) {
        return None;
    }
    let found = executor.adopt(id, launch.folder.clone()).ok()?;
    tracing::warn!(
        task = id.key.0,
        attempt = id.attempt,
        ?found,
        "an attempt that was not recorded"
    );
    match found {
        Found::Running | Found::Stopping => Some(None),
        Found::Ended(exit) => Some(Some(Report::Ended(id, exit))),
        Found::Lost(why) => Some(Some(Report::Lost(id, why))),
        Found::NeverStarted => None,
    }
}

/// The task that a record is about, if it is about one.
fn record_key(record: &Record) -> Option<TaskKey> {
    match record {
        Record::Submitted { submission, .. } => Some(submission.key),
        Record::Changed { key, .. } | Record::Exited { key, .. } | Record::Respecified { key, .. } => {
            Some(*key)
        }
        Record::Image(image) => Some(image.task.submission.key),
        Record::Environment { .. }
        | Record::Reserved { .. }
        | Record::Paused { .. }
        | Record::Workspace { .. }
        | Record::Spent(_)
        | Record::Account { .. }
        | Record::Removed { .. }
        | Record::State { .. } => None,
    }
}
