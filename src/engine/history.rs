//! What the engine hands to the history: keys of what has changed, and their tasks as they stand when there is room.
//!
//! Like the counters it goes by records that were committed. A task that changes ten times while the file is slow is
//! written once. Nothing but keys is remembered meanwhile, so that a file which nobody can write for a day costs some
//! bytes for each task. Retention waits, for as long as that is bearable, for tasks that the history lacks.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::history_missing::{Missing, TASKS_MAX};
use super::Engine;
use crate::config::Config;
use crate::history::{Batch, Kept, Range, Writer};
use crate::journal::{EnvHash, Lsn, Record};

/// As long as this many tasks or fewer are missing, retention leaves out only these.
const BEHIND_USUALLY: usize = 4 * TASKS_MAX;
/// Retention waits for the history until this many tasks are one too many.
const HELD_BACK_MAX: usize = 100_000;
/// Tasks that are removed all the same, by a user or since there are too many, are kept for it up to this number.
const LEAVING_MAX: usize = 10_000;
/// Keys of removed tasks that are remembered; if there are more, all is compared instead.
const REMOVED_MAX: usize = 100_000;
/// How soon a writer that was full is looked at again.
const FULL_RETRY: Duration = Duration::from_millis(20);
/// The same while it cannot write.
const FAILING_RETRY: Duration = Duration::from_secs(1);
/// A daemon that ends waits no longer than this for it.
const FINISH_AT_MOST: Duration = Duration::from_secs(2);

/// The engine's side of the history.
pub(super) struct History {
    pub(super) file: PathBuf,
    pub(super) writer: Option<Writer>,
    missing: Missing,
    /// Tasks that it will never have.
    pub(super) missed: u64,
    /// Errors and ends of writers that were switched off.
    pub(super) before: (u64, u64),
}

impl History {
    pub(super) fn new(file: PathBuf, config: &Config, newest: Lsn) -> Self {
        let mut history = Self {
            file,
            writer: None,
            missing: Missing::default(),
            missed: 0,
            before: (0, 0),
        };
        history.configure(config, newest);
        history
    }

    /// Begins to write it, or ends, as the config says.
    pub(super) fn configure(&mut self, config: &Config, newest: Lsn) {
        match (&self.writer, config.state.sqlite) {
            (None, true) => match Writer::start(self.file.clone(), newest.0) {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => tracing::error!(%error, "the history has no thread to write it"),
            },
            (Some(_), false) => self.finish(FINISH_AT_MOST),
            (None, false) | (Some(_), true) => {}
        }
    }

    fn finish(&mut self, at_most: Duration) {
        if let Some(writer) = self.writer.take() {
            let (errors, written) = self.before;
            let health = writer.health();
            self.before = (errors + health.errors(), written + health.written());
            writer.finish(at_most);
        }
        self.missing = Missing::default();
    }

    /// Notes what records are about that were committed.
    pub(super) fn note(&mut self, records: &[Record]) {
        if self.writer.is_none() {
            return;
        }
        let missing = &mut self.missing;
        missing.records = true;
        for record in records {
            match record {
                Record::Submitted { submission, .. } => {
                    missing.changed.insert(submission.key);
                }
                Record::Changed { key, .. }
                | Record::Exited { key, .. }
                | Record::Respecified { key, .. } => {
                    missing.changed.insert(*key);
                }
                Record::Removed { keys, spent } => {
                    for key in keys {
                        missing.changed.remove(key);
                    }
                    missing.removed.extend(keys);
                    missing.used_ids.extend(spent);
                }
                Record::Workspace { .. } | Record::Paused { .. } | Record::Account { .. } => {
                    missing.state = true;
                }
                Record::Spent(_) => missing.costs = true,
                Record::Process { .. } => missing.state = true,
                // What workers report is not kept. Numbers that were set aside are not taken up again by `history restore`.
                Record::Reported { .. }
                | Record::Environment { .. }
                | Record::Reserved { .. }
                | Record::Image(_)
                | Record::State { .. } => {}
            }
        }
        if missing.removed.len() > REMOVED_MAX {
            missing.removed.clear();
            missing.used_ids.clear();
            missing.compare_again = true;
        }
    }

    /// Whether the history has not got this task as it stands.
    pub(super) fn lacks(&self, key: TaskKey) -> bool {
        self.writer.is_some() && self.missing.changed.contains(&key)
    }

    /// Whether retention should wait with these many that are too many.
    pub(super) fn holds_back(&self, surplus: usize) -> bool {
        let Some(writer) = &self.writer else { return false };
        let is_behind = self.missing.changed.len() > BEHIND_USUALLY
            || self.missing.compare.is_some()
            || writer.health().is_failing();
        is_behind && surplus <= HELD_BACK_MAX
    }

    /// When there is something to do for it.
    pub(super) fn due_in(&self, now: Tick) -> Option<Duration> {
        let writer = self.writer.as_ref()?;
        if self.missing.is_nothing() && !self.missing.records && writer.is_idle() {
            return None;
        }
        if writer.health().is_failing() {
            return Some(FAILING_RETRY);
        }
        if !writer.has_room() {
            return Some(FULL_RETRY);
        }
        let due = self.missing.due_at()?;
        Some(Duration::from_millis(due.ms_since(now)))
    }

    /// Tasks whose changes it has not got.
    pub(super) fn behind(&self) -> usize {
        self.missing.changed.len() + self.missing.leaving.len()
    }

    /// Since when something is missing.
    pub(super) fn behind_since(&self) -> Option<Tick> {
        let waiting = self.missing.handed_over.front().map(|(_, since)| *since);
        waiting.or(self.missing.since)
    }
}

impl Engine {
    /// The task is about to be removed. If the history does not have it yet, this is its last chance.
    pub(super) fn keep_for_history(&mut self, key: TaskKey) {
        if !self.history.lacks(key) {
            return;
        }
        if self.history.missing.leaving.len() >= LEAVING_MAX {
            self.history.missed += 1;
            if self.history.missed == 1 {
                tracing::warn!("tasks are removed that the history could not be told of");
            }
            return;
        }
        let kept = self.kept(key);
        self.history.missing.leaving.extend(kept.map(|kept| Kept {
            is_leaving: true,
            ..kept
        }));
    }

    fn kept(&self, key: TaskKey) -> Option<Kept> {
        let image = self.image(key)?;
        let variables = self.store.environments.get(image.spec.env);
        Some(Kept {
            image,
            variables,
            is_leaving: false,
        })
    }

    /// Hands over one batch, if there is something and the writer has room.
    pub(super) fn feed_history(&mut self, now: Tick) {
        // What is in memory is not all in the journal now, and the history must not be ahead of it.
        if self.journal_failing.is_some() {
            return;
        }
        let Some(writer) = &self.history.writer else {
            return;
        };
        let missing = &mut self.history.missing;
        if missing.records || missing.compare.is_some() {
            missing.since.get_or_insert(now);
        }
        let complete_at = writer.health().complete_at();
        while missing
            .handed_over
            .front()
            .is_some_and(|(at, _)| at.0 <= complete_at)
        {
            missing.handed_over.pop_front();
        }
        if !writer.has_room() {
            return;
        }
        if writer.take_comparison() || std::mem::take(&mut missing.compare_again) {
            missing.compare = Some(TaskKey(0));
            missing.used_ids = self.store.spent().collect();
            (missing.state, missing.state_sent_at) = (true, None);
        }
        if missing.due_at().is_none_or(|due| due > now) {
            return;
        }
        let batch = self.next_history_batch(now);
        if let Some(writer) = self.history.writer.as_ref().filter(|_| !batch.is_empty()) {
            if !writer.hand_over(batch) {
                tracing::error!("the history's thread is gone");
                self.history.writer = None;
            }
        }
    }

    fn next_history_batch(&mut self, now: Tick) -> Batch {
        let missing = &mut self.history.missing;
        let mut batch = Batch {
            now_ms: now.0,
            removed: std::mem::take(&mut missing.removed),
            used_ids: std::mem::take(&mut missing.used_ids),
            ..Batch::default()
        };
        let leaving = missing.leaving.len().min(TASKS_MAX);
        batch.kept.extend(missing.leaving.drain(..leaving));
        let room = TASKS_MAX - leaving;
        let keys: Vec<TaskKey> = std::iter::from_fn(|| missing.changed.pop_first())
            .take(room)
            .collect();
        if let (true, Some(first)) = (keys.len() + leaving == 0, missing.compare) {
            batch.range = Some(self.compare_from(first, &mut batch.kept));
        }
        batch
            .kept
            .extend(keys.into_iter().filter_map(|key| self.kept(key)));
        let state_due = self.history.missing.state_due_at();
        if state_due.is_some_and(|due| due <= now) {
            batch.state = Some(self.state_for_history(now));
            let missing = &mut self.history.missing;
            (missing.state, missing.costs, missing.state_sent_at) = (false, false, Some(now));
        }
        let missing = &mut self.history.missing;
        if missing.is_nothing() {
            batch.caught_up = Some(self.journal.last_lsn().0);
            missing.records = false;
            if let Some(since) = missing.since.take() {
                missing.handed_over.push_back((now, since));
            }
        }
        missing.sent_at = Some(now);
        batch
    }

    /// The next tasks of all, in the order of their keys.
    fn compare_from(&mut self, first: TaskKey, kept: &mut Vec<Kept>) -> Range {
        let keys: Vec<TaskKey> = self
            .store
            .from(first)
            .map(|(key, _)| key)
            .take(TASKS_MAX)
            .collect();
        kept.extend(keys.iter().filter_map(|key| self.kept(*key)));
        let last = match keys.last() {
            Some(last) if keys.len() == TASKS_MAX => *last,
            _ => TaskKey(u64::MAX),
        };
        self.history.missing.compare = last.0.checked_add(1).map(TaskKey);
        Range { first, last }
    }

    /// Everything that is no task. Environments of tasks go with their tasks, and used ids by themselves.
    fn state_for_history(&mut self, now: Tick) -> Vec<Record> {
        let processes = self.store.processes.iter();
        let of_processes: HashSet<EnvHash> = processes.map(|(_, image)| image.spec.env).collect();
        let records = self.snapshot_state(now).into_iter();
        let kept = records.filter_map(|record| match record {
            Record::Environment { hash, .. } if !of_processes.contains(&hash) => None,
            Record::State {
                next_key,
                at,
                next_process,
                ..
            } => Some(Record::State {
                next_key,
                at,
                next_process,
                reserved: Vec::new(),
                spent: Vec::new(),
            }),
            record => Some(record),
        });
        kept.collect()
    }

    /// The daemon ends: what is missing is written if that takes no time to speak of.
    pub(super) fn finish_history(&mut self) {
        let deadline = Instant::now() + FINISH_AT_MOST;
        loop {
            let Some(writer) = &self.history.writer else {
                return;
            };
            let missing = &self.history.missing;
            let is_done = missing.is_nothing() && !missing.records;
            if is_done || writer.health().is_failing() || Instant::now() >= deadline {
                break;
            }
            if writer.has_room() {
                // Nothing waits for its time any more.
                let missing = &mut self.history.missing;
                (missing.sent_at, missing.state_sent_at) = (None, None);
                self.feed_history(self.clock.now());
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
            if self.journal_failing.is_some() {
                break;
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.history.finish(left.max(Duration::from_millis(100)));
    }
}
