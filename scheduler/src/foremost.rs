//! The tasks of most interest, without looking at all others more than once: what a screen shows of a long queue.
//!
//! A bounded selection: one comparison for most tasks, nothing built, nothing sorted but what is taken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::order::Place;
use crate::{Scheduler, State, TaskKey};

impl Scheduler {
    /// The queued tasks that come first, in the order of starting; at most `limit`.
    #[must_use]
    pub fn first_queued(&self, limit: usize) -> Vec<TaskKey> {
        let queues = self.lanes.iter().flat_map(|lane| lane.queue.iter());
        smallest(queues.map(|(_, Reverse(place))| *place), limit)
    }

    /// The delayed, blocked and held tasks that would come first if they were queued; at most `limit`.
    #[must_use]
    pub fn first_set_aside(&self, limit: usize) -> Vec<TaskKey> {
        let is_aside = |state: State| state.is_pending() && state != State::Queued;
        let aside = State::ALL.into_iter().filter(|state| is_aside(*state));
        let count: usize = aside.map(|state| self.count(state)).sum();
        if count == 0 {
            return Vec::new();
        }
        let step_ms = self.limits().aging_step_ms;
        let entries = self.store.iter().filter(|(_, entry)| is_aside(entry.state));
        // Behind the last of them there may be a million that have ended.
        smallest(
            entries
                .take(count)
                .map(|(key, entry)| Place::new(key, entry, step_ms)),
            limit,
        )
    }
}

/// The smallest of them in their order.
fn smallest(places: impl Iterator<Item = Place>, limit: usize) -> Vec<TaskKey> {
    if limit == 0 {
        return Vec::new();
    }
    let mut best: BinaryHeap<Place> = BinaryHeap::new();
    for place in places {
        if best.len() < limit {
            best.push(place);
        } else if let Some(mut worst) = best.peek_mut().filter(|worst| place < **worst) {
            *worst = place;
        }
    }
    best.into_sorted_vec().into_iter().map(Place::key).collect()
}
