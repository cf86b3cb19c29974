//! What the history lacks, and when the next batch of it is to go out.

use std::collections::{BTreeSet, VecDeque};

use wezterm_parallel_scheduler::{TaskKey, Tick};

use crate::history::Kept;

/// Tasks in one batch: as for a chunk of a snapshot, rounds must stay short.
pub(super) const TASKS_MAX: usize = 256;
/// From one batch to the next, unless there is enough for a whole one: a brief task is written once.
const GATHER_MS: u64 = 50;
/// What is no task is written at most this often, as a whole …
const STATE_EVERY_MS: u64 = 1_000;
/// … or this often, if nothing but costs has changed: they are many rows.
const COSTS_EVERY_MS: u64 = 30_000;

/// What the file does not have yet.
#[derive(Default)]
pub(super) struct Missing {
    pub(super) changed: BTreeSet<TaskKey>,
    pub(super) leaving: Vec<Kept>,
    pub(super) removed: Vec<TaskKey>,
    pub(super) used_ids: Vec<u64>,
    /// Something that is neither a task nor a cost has changed.
    pub(super) state: bool,
    /// What Claude workers have cost has changed.
    pub(super) costs: bool,
    /// Where a comparison of everything goes on.
    pub(super) compare: Option<TaskKey>,
    /// Everything is to be compared once the file can be written.
    pub(super) compare_again: bool,
    /// There are records after the one that the file is known to have.
    pub(super) records: bool,
    /// Since when something is missing that was not handed over.
    pub(super) since: Option<Tick>,
    /// When all was handed over, while that is not written, and since when the oldest of it had been missing.
    pub(super) handed_over: VecDeque<(Tick, Tick)>,
    pub(super) sent_at: Option<Tick>,
    pub(super) state_sent_at: Option<Tick>,
}

impl Missing {
    pub(super) fn is_nothing(&self) -> bool {
        self.changed.is_empty()
            && self.leaving.is_empty()
            && self.removed.is_empty()
            && self.used_ids.is_empty()
            && !self.state
            && !self.costs
            && self.compare.is_none()
            && !self.compare_again
    }

    /// When the next batch is to go out.
    pub(super) fn due_at(&self) -> Option<Tick> {
        let after = |since: Option<Tick>, ms| since.map_or(Tick(0), |at| at.plus_ms(ms));
        let is_much = self.changed.len() + self.leaving.len() >= TASKS_MAX;
        let all = is_much || self.compare.is_some() || self.compare_again;
        let some = !self.changed.is_empty()
            || !self.leaving.is_empty()
            || !self.removed.is_empty()
            || !self.used_ids.is_empty();
        let dues = [
            all.then_some(Tick(0)),
            some.then(|| after(self.sent_at, GATHER_MS)),
            self.state_due_at(),
            // Nothing to say but that nothing is missing.
            (self.records && self.is_nothing()).then(|| after(self.sent_at, STATE_EVERY_MS)),
        ];
        dues.into_iter().flatten().min()
    }

    pub(super) fn state_due_at(&self) -> Option<Tick> {
        let after = |ms| self.state_sent_at.map_or(Tick(0), |at| at.plus_ms(ms));
        let state = self.state.then(|| after(STATE_EVERY_MS));
        let costs = self.costs.then(|| after(COSTS_EVERY_MS));
        state.into_iter().chain(costs).min()
    }
}
