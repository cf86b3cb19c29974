//! Counts what is in the journal: records that were committed, and no others.
//!
//! So the counters agree with what a restart would find. What was submitted and withdrawn because the disk was full
//! never happened, and what had to wait in memory for the disk is counted when it is written. Replay counts nothing: a
//! counter begins anew with each daemon, which Prometheus knows how to take.

use std::time::Duration;

use wezterm_parallel_scheduler::{Change, Lane, PriorityClass, Requeue, Scheduler, TaskKey, Tick};

use super::batch::{Batch, Removed, Reply};
use super::store::Store;
use super::tally::Tally;
use super::Engine;
use crate::executor::{AttemptId, Exit};
use crate::journal::{Record, Spent};
use crate::metrics::catalog;
use crate::protocol::Answer;

impl Engine {
    /// A commit is on the disk.
    pub(super) fn count(&mut self, records: &[Record], batch: &Batch) {
        let sync = self.journal.stats().last_sync.as_secs_f64();
        self.tally.ledger.observe(catalog::JOURNAL_FSYNC, [], sync, 1);
        let now = self.clock.now();
        let mut counting = Counting {
            now,
            tally: &mut self.tally,
            scheduler: &self.scheduler,
            store: &self.store,
            removed: &batch.removed,
        };
        counting.count(records);
        self.history.note(records);
        self.remembering.note(records, &self.scheduler);
    }

    /// So long after the decision the launcher has an attempt.
    pub(super) fn dispatched(&mut self, latency: Duration) {
        let seconds = latency.as_secs_f64();
        self.tally
            .ledger
            .observe(catalog::DISPATCH_LATENCY, [], seconds, 1);
    }

    /// Tasks that are queued for good by now, and whose clients are about to hear of it.
    pub(super) fn acknowledge(&mut self, reply: &Reply) {
        let queued = reply.answers.iter();
        let queued = queued
            .filter(|answer| matches!(answer, Answer::StatusUpdate(_)))
            .count();
        if queued > 0 {
            let seconds = reply.read_at.elapsed().as_secs_f64();
            self.tally
                .ledger
                .observe(catalog::SUBMIT_ACK, [], seconds, queued);
        }
    }
}

/// Whoever counts records knows the tasks that they are about.
struct Counting<'a> {
    now: Tick,
    tally: &'a mut Tally,
    scheduler: &'a Scheduler,
    store: &'a Store,
    /// Tasks that these very records have removed.
    removed: &'a [Removed],
}

impl Counting<'_> {
    /// Counts records that were committed.
    fn count(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Submitted { submission, .. } => {
                    let Lane { workspace, worker } = &submission.lane;
                    let ledger = &mut self.tally.ledger;
                    ledger.add(catalog::TASKS_SUBMITTED, [workspace, worker], 1);
                }
                Record::Changed { at, key, change } => self.change(*at, *key, change),
                Record::Exited {
                    key,
                    attempt,
                    exit,
                    outcome,
                    ..
                } => {
                    let (key, attempt) = (*key, *attempt);
                    self.exit(AttemptId { key, attempt }, exit.as_deref(), outcome);
                }
                Record::Spent(spent) => self.spent(spent),
                Record::Process { number, image } => {
                    let Tally {
                        processes, ledger, ..
                    } = &mut *self.tally;
                    processes.count(self.now, *number, image.as_deref(), ledger);
                }
                Record::Respecified { .. }
                | Record::Environment { .. }
                | Record::Reserved { .. }
                | Record::Paused { .. }
                | Record::Workspace { .. }
                | Record::Reported { .. }
                | Record::Account { .. }
                | Record::Removed { .. }
                | Record::Image(_)
                | Record::State { .. } => {}
            }
        }
    }

    fn change(&mut self, at: Tick, key: TaskKey, change: &Change) {
        match change {
            Change::Started { attempt, slot } => self.start(at, key, *attempt, *slot),
            Change::Ended { state, reason } => {
                self.tally.revived.remove(&key);
                let lane = self.lane(key);
                let labels = [&*lane.workspace, state.name(), reason.name()];
                self.tally.ledger.add(catalog::TASKS_ENDED, labels, 1);
            }
            Change::Requeued { cause, reason, .. } => {
                let lane = self.lane(key);
                let counter = match cause {
                    Requeue::Retry => catalog::TASK_RETRIES,
                    Requeue::Free => catalog::TASK_REQUEUES,
                };
                self.tally.ledger.add(counter, [&lane.worker, reason.name()], 1);
            }
            Change::Relieved { .. } => self.tally.ledger.add(catalog::MEMORY_RELIEF, ["pause"], 1),
            Change::PutBackRequested => self.tally.ledger.add(catalog::MEMORY_RELIEF, ["put_back"], 1),
            Change::Asked => self.tally.ledger.add(catalog::QUESTIONS, [], 1),
            Change::Revived => {
                self.tally.revived.insert(key, at);
            }
            Change::StopRequested
            | Change::Answered
            | Change::Suspended
            | Change::Continued
            | Change::Held
            | Change::Released
            | Change::Edited(_)
            | Change::Claimed(_) => {}
        }
    }

    fn start(&mut self, at: Tick, key: TaskKey, attempt: u32, slot: u32) {
        let Lane { workspace, worker } = self.lane(key);
        let waited = self.waited_since(key, attempt);
        self.tally.started(AttemptId { key, attempt }, slot);
        let ledger = &mut self.tally.ledger;
        ledger.add(catalog::ATTEMPTS_STARTED, [&workspace, &worker], 1);
        ledger.set(catalog::NEWEST_START, [], at.0 as f64 / 1e3);
        if let Some((since, class)) = waited {
            let seconds = at.ms_since(since) as f64 / 1e3;
            ledger.observe(catalog::TASK_WAIT, [&worker, class.name()], seconds, 1);
        }
    }

    /// Since when the task could have started, as far as that lay with it, and its class. Unknown for the first attempt of
    /// one that was wanted again under an earlier daemon.
    fn waited_since(&mut self, key: TaskKey, attempt: u32) -> Option<(Tick, PriorityClass)> {
        let submission = self.scheduler.task(key)?.submission;
        let entry = self.store.get(key)?;
        let mut before = entry.attempts.iter().rev();
        let before = before.find(|other| other.attempt < attempt);
        let revived_at = self.tally.revived.remove(&key);
        let is_revived = entry.revived_after > 0 && entry.revived_after + 1 == attempt;
        if is_revived && revived_at.is_none() {
            return None;
        }
        let moments = [
            Some(submission.submitted_at),
            submission.not_before,
            before.and_then(|before| before.ended_at),
            revived_at,
        ];
        let since = moments.into_iter().flatten().max()?;
        Some((since, PriorityClass::of(submission.priority)))
    }

    fn exit(&mut self, id: AttemptId, exit: Option<&Exit>, outcome: &str) {
        let worker = self.lane(id.key).worker;
        self.tally.ended(id, exit.map(|exit| exit.cpu_seconds));
        let ledger = &mut self.tally.ledger;
        ledger.add(catalog::ATTEMPTS_ENDED, [&worker, outcome], 1);
        if outcome == "oom" {
            ledger.add(catalog::OOM_KILLS, [], 1);
        }
        let Some(exit) = exit.filter(|exit| exit.spawn_error.is_none()) else {
            return;
        };
        ledger.add(catalog::OUTPUT_BYTES, [&worker], exit.output_bytes);
        let ran_ms = exit.ended_at_ms.saturating_sub(exit.started_at_ms);
        let state = if outcome == "ok" { "ok" } else { "failed" };
        ledger.observe(catalog::ATTEMPT_RUN, [&worker, state], ran_ms as f64 / 1e3, 1);
    }

    fn spent(&mut self, spent: &Spent) {
        let tokens = &spent.tokens;
        let kinds = [
            ("input", tokens.input),
            ("output", tokens.output),
            ("cache_read", tokens.cache_read),
            ("cache_write", tokens.cache_write),
        ];
        let ledger = &mut self.tally.ledger;
        for (kind, count) in kinds {
            ledger.add(catalog::CLAUDE_TOKENS, [&spent.model, kind], count);
        }
        // A counter cannot fall, whatever the CLI has reckoned.
        let dollars = tokens.cost_usd.max(0.0);
        ledger.add_up(catalog::CLAUDE_COST, [&spent.model, &spent.workspace], dollars);
    }

    /// The task's lane, also of one that was removed in the same round as it ended.
    fn lane(&self, key: TaskKey) -> Lane {
        let removed = || self.removed.iter().find(|removed| removed.key == key);
        let lane = self
            .scheduler
            .lane(key)
            .or_else(|| removed().map(|removed| &removed.lane));
        lane.cloned().unwrap_or_else(|| Lane {
            workspace: "other".into(),
            worker: "other".into(),
        })
    }
}
