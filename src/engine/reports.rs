//! What the executor reports, judged by the worker profile and handed to the scheduler.

use std::time::Instant;

use wezterm_parallel_scheduler::{Action, Change, GateNotice, Input, Reason, State, Task, TaskKey, Tick};

use super::batch::{Batch, Control, Start};
use super::facts::{self, Outcome};
use super::processes::number_of;
use super::Engine;
use crate::executor::{AttemptId, Exit, Found, Report};
use crate::journal::{ClaudeFacts, Record};
use crate::listener::Ending;
use crate::protocol::Event;
use crate::worker::{attempt_folder, judge_exit, Verdict};

/// An attempt that could not be launched is tried again this much later, doubled each time …
const LAUNCH_RETRY_MS: u64 = 1_000;
/// … up to this many times: 64 seconds.
const LAUNCH_DOUBLINGS_MAX: usize = 6;

impl Engine {
    /// Takes in what became of an attempt.
    pub(super) fn take_report(&mut self, now: Tick, report: Report, batch: &mut Batch) {
        if let Some(number) = number_of(report.id().key) {
            return self.take_run_report(now, number, report, batch);
        }
        let (id, ending) = match &report {
            Report::Ended(id, exit) if exit.spawn_error.is_none() => {
                (*id, Some(Ending::Exited(Box::new(exit.clone()))))
            }
            Report::Lost(id, why) => (*id, Some(Ending::Lost(why.clone()))),
            Report::Ended(id, _) | Report::NotStarted(id, _) => (*id, None),
        };
        if let Some(ending) = ending.filter(|_| self.runs_claude(id) && self.awaits(id)) {
            // Its output says more than its exit, and is read elsewhere.
            let folder = self.folder_of(id);
            return self.listener.conclude(id, folder, ending);
        }
        let (id, exit, verdict) = match report {
            Report::Ended(id, exit) => {
                let verdict = self.judge(id, &exit);
                (id, Some(Box::new(exit)), verdict)
            }
            Report::NotStarted(id, why) => (id, None, Verdict::not_started(why)),
            Report::Lost(id, why) => (id, None, Verdict::lost(why)),
        };
        if !self.awaits(id) {
            tracing::debug!(
                task = id.key.0,
                attempt = id.attempt,
                "a report about an attempt that is over already"
            );
            return;
        }
        self.stop_plans.remove(&id.key);
        let verdict = self.with_memory(now, id, exit.as_deref(), verdict);
        let verdict = self.with_room(id, exit.as_deref(), verdict);
        self.learn_from_exit(now, id, exit.as_deref(), batch);
        self.record_outcome(now, id, exit, &verdict, None, batch);
        self.unclaim(now, id, batch);
        let input = self.verdict_input(now, id, &verdict);
        self.feed(now, input, batch);
    }

    /// Whether this attempt is the one whose end is awaited. The scheduler knows: the outcome alone
    /// may have been read from a commit that a power loss cut in two.
    pub(super) fn awaits(&self, id: AttemptId) -> bool {
        let task = self.scheduler.task(id.key);
        task.is_some_and(|task| task.state.is_active() && task.attempts == id.attempt)
    }

    fn judge(&self, id: AttemptId, exit: &Exit) -> Verdict {
        let folder = attempt_folder(&self.tasks_folder, &self.store.id(id.key), id.attempt);
        let task = self.scheduler.task(id.key);
        let profile = task
            .as_ref()
            .and_then(|task| self.profiles.get(&task.submission.lane.worker));
        match profile {
            Some(profile) => profile.judge(exit, &folder),
            None => judge_exit(exit),
        }
    }

    pub(super) fn record_outcome(
        &mut self,
        at: Tick,
        id: AttemptId,
        exit: Option<Box<Exit>>,
        verdict: &Verdict,
        claude: Option<Box<ClaudeFacts>>,
        batch: &mut Batch,
    ) {
        let outcome: Box<str> = verdict.outcome.into();
        let message: Option<Box<str>> = verdict.message.as_deref().map(Into::into);
        let AttemptId { key, attempt } = id;
        batch.records.push(Record::Exited {
            key,
            attempt,
            exit: exit.clone(),
            outcome: outcome.clone(),
            message: message.clone(),
            claude: claude.clone(),
            at,
        });
        facts::outcome(
            &mut self.store,
            key,
            Outcome {
                attempt,
                exit,
                outcome,
                message,
                claude,
                at,
            },
        );
    }

    pub(super) fn verdict_input(&self, now: Tick, id: AttemptId, verdict: &Verdict) -> Input {
        let AttemptId { key, attempt } = id;
        let stopping = self.scheduler.task(key).is_some_and(|task| task.stopping);
        let unfinished = matches!(verdict.reason, Reason::NotStarted | Reason::Lost);
        if stopping && unfinished {
            return Input::Exited {
                key,
                attempt,
                state: State::Cancelled,
                reason: Reason::Cancelled,
            };
        }
        if verdict.reason == Reason::Memory {
            return Input::PutBack {
                key,
                attempt,
                reason: verdict.reason,
                not_before: None,
            };
        }
        if verdict.reason == Reason::NotStarted {
            return Input::PutBack {
                key,
                attempt,
                reason: verdict.reason,
                not_before: Some(now.plus_ms(self.launch_retry_ms(key))),
            };
        }
        Input::Exited {
            key,
            attempt,
            state: verdict.state,
            reason: verdict.reason,
        }
    }

    /// How long to wait after a launch that failed, given how many failed before it in a row.
    fn launch_retry_ms(&self, key: TaskKey) -> u64 {
        let attempts = self.store.get(key).map_or(&[][..], |entry| &entry.attempts);
        let failed = attempts
            .iter()
            .rev()
            .take_while(|attempt| attempt.outcome.as_deref() == Some("not_started"))
            .count();
        LAUNCH_RETRY_MS << failed.saturating_sub(1).min(LAUNCH_DOUBLINGS_MAX)
    }

    /// What is done to relieve memory is done to somebody's work: it is in the log.
    fn log_relief(&self, key: TaskKey, change: &Change, now: Tick) {
        let why = || self.scheduler.relief_in_words(now, key).unwrap_or_default();
        let id = || self.store.id(key);
        match change {
            Change::Relieved { .. } => tracing::warn!(id = id(), "a worker is paused: {}", why()),
            Change::PutBackRequested => {
                tracing::warn!(id = id(), "a worker is stopped and put back: {}", why());
            }
            _ => {}
        }
    }

    /// Hands an input that cannot be refused to the scheduler.
    pub(super) fn feed(&mut self, now: Tick, input: Input, batch: &mut Batch) {
        match self.scheduler.apply(now, input) {
            Ok(actions) => self.absorb(now, actions, batch),
            Err(refusal) => tracing::error!(%refusal, "the scheduler refused an input of our own: a bug"),
        }
    }

    /// Notes what the scheduler wants: records first, effects for later.
    pub(super) fn absorb(&mut self, now: Tick, actions: Vec<Action>, batch: &mut Batch) {
        for action in actions {
            match action {
                Action::Record(key, change) => {
                    self.log_relief(key, &change, now);
                    facts::change(&mut self.store, now, key, &change);
                    batch.records.push(Record::Changed { at: now, key, change });
                    batch.touched.push(key);
                }
                Action::Start { key, attempt, .. } => {
                    let id = AttemptId { key, attempt };
                    if self.choose_session(now, id, batch) {
                        let decided_at = Instant::now();
                        batch.starts.push(Start { id, decided_at });
                    }
                }
                Action::Stop(key, attempt) => batch.controls.push(Control::Stop(AttemptId { key, attempt })),
                Action::Suspend(key, attempt) => {
                    batch.controls.push(Control::Suspend(AttemptId { key, attempt }));
                }
                Action::Continue(key, attempt) => {
                    batch.controls.push(Control::Resume(AttemptId { key, attempt }));
                    self.ask_again(now, key, batch);
                }
                Action::Gate(notice) => {
                    log_gate(&notice);
                    batch.gates.push(gate_event(notice));
                }
                Action::WouldPause { key, message } => {
                    tracing::info!(
                        id = self.store.id(key),
                        "dry run: a worker would be paused: {message}"
                    );
                }
            }
        }
    }

    /// After a restart: learns what became of the attempts that ran under the last daemon.
    pub(super) fn adopt(&mut self) {
        for task in self.scheduler.active() {
            let (key, attempt) = (task.submission.key, task.attempts);
            if let Some(slot) = task.slot {
                self.tally.found(AttemptId { key, attempt }, slot);
            }
        }
        let active: Vec<(TaskKey, u32, Control)> = self
            .scheduler
            .active()
            .map(|task| {
                let (key, attempt) = (task.submission.key, task.attempts);
                (key, attempt, wanted_of(AttemptId { key, attempt }, &task))
            })
            .collect();
        for (key, attempt, wanted) in active {
            let id = AttemptId { key, attempt };
            let folder = attempt_folder(&self.tasks_folder, &self.store.id(key), attempt);
            match self.executor.adopt(id, folder) {
                Ok(Found::Running) => {
                    self.listen_again(id);
                    tracing::info!(task = key.0, attempt, "adopted a running attempt");
                    self.control(wanted);
                }
                Ok(Found::Stopping) => {
                    self.listen_again(id);
                    tracing::info!(task = key.0, attempt, "adopted an attempt that is being stopped");
                }
                Ok(Found::Ended(exit)) => self.own_reports.push(Report::Ended(id, exit)),
                Ok(Found::NeverStarted) => self
                    .own_reports
                    .push(Report::NotStarted(id, "the daemon ended first".to_owned())),
                Ok(Found::Lost(why)) => self.own_reports.push(Report::Lost(id, why)),
                Err(error) => self.own_reports.push(Report::Lost(id, error.to_string())),
            }
        }
    }
}

fn gate_event(notice: GateNotice) -> Event {
    Event::Gate {
        gate: notice.gate,
        is_open: notice.is_open,
        message: notice.message,
        dry_run: notice.dry_run,
    }
}

/// At most once per change: the scheduler tells each only then.
fn log_gate(notice: &GateNotice) {
    let GateNotice {
        gate,
        is_open,
        dry_run,
        message,
    } = notice;
    match (is_open, dry_run) {
        (true, false) if message.is_empty() => tracing::info!(gate, "the gate is open"),
        (true, false) => tracing::info!(gate, message, "the gate is open"),
        (true, true) => tracing::info!(gate, "dry run: the gate would be open"),
        (false, false) => tracing::info!(gate, message, "the gate is closed"),
        (false, true) => tracing::info!(gate, message, "dry run: the gate would be closed"),
    }
}

/// What the journal says that a running attempt was told to do: the last daemon may have died
/// between writing it down and telling the shim.
fn wanted_of(id: AttemptId, task: &Task) -> Control {
    match task.state {
        _ if task.stopping => Control::Stop(id),
        State::Paused => Control::Suspend(id),
        _ => Control::Resume(id),
    }
}
