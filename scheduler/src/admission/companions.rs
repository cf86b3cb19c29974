//! Memory that is held outside of the queue: long-lived processes beside the tasks.
//!
//! They take no slot, are admitted by nobody and are never paused to relieve memory. What they use shows in the host's
//! readings by itself; what they declare and do not use yet is kept free for them here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{TaskKey, Tick};

/// One process beside the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// What measurements call it; no task has this key.
    pub key: TaskKey,
    /// What it declares to need at its peak; 0 for nothing.
    pub reserved_bytes: u64,
}

/// What is known of one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionReport {
    /// Which.
    pub key: TaskKey,
    /// What it declares; 0 for nothing.
    pub reserved_bytes: u64,
    /// What it was last measured at, and when.
    pub used: Option<(Tick, u64)>,
    /// What it was measured at most.
    pub peak_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    reserved_bytes: u64,
    measured: Option<(Tick, u64)>,
    /// The newest measurement that the host's reading shows, too.
    shown_bytes: u64,
    peak_bytes: u64,
}

/// All that run.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    by_key: BTreeMap<TaskKey, Held>,
    outstanding_bytes: u128,
}

impl Companions {
    /// These run from now on, and no others. What was measured of one that goes on stays.
    pub(crate) fn set(&mut self, companions: Vec<Companion>) {
        let before = std::mem::take(&mut self.by_key);
        self.by_key = companions
            .into_iter()
            .map(|companion| {
                let known = before.get(&companion.key).copied().unwrap_or_default();
                let reserved_bytes = companion.reserved_bytes;
                let held = Held {
                    reserved_bytes,
                    ..known
                };
                (companion.key, held)
            })
            .collect();
        self.add_up();
    }

    /// One was measured; whether it is one of these. `host_at` is the moment of the host's reading.
    pub(crate) fn measure(
        &mut self,
        key: TaskKey,
        taken_at: Tick,
        bytes: u64,
        host_at: Option<Tick>,
    ) -> bool {
        let Some(held) = self.by_key.get_mut(&key) else {
            return false;
        };
        held.measured = Some((taken_at, bytes));
        held.peak_bytes = held.peak_bytes.max(bytes);
        if host_at.is_some_and(|host_at| taken_at <= host_at) {
            held.shown_bytes = bytes;
            self.add_up();
        }
        true
    }

    /// The host was read.
    pub(crate) fn show(&mut self, host_at: Tick) {
        for held in self.by_key.values_mut() {
            if let Some((_, bytes)) = held.measured.filter(|(at, _)| *at <= host_at) {
                held.shown_bytes = bytes;
            }
        }
        self.add_up();
    }

    /// What is declared and not in use yet.
    pub(crate) fn outstanding_bytes(&self) -> u128 {
        self.outstanding_bytes
    }

    pub(crate) fn reports(&self) -> Vec<CompanionReport> {
        let report = |(key, held): (&TaskKey, &Held)| CompanionReport {
            key: *key,
            reserved_bytes: held.reserved_bytes,
            used: held.measured,
            peak_bytes: held.peak_bytes,
        };
        self.by_key.iter().map(report).collect()
    }

    fn add_up(&mut self) {
        let outstanding = |held: &Held| u128::from(held.reserved_bytes.saturating_sub(held.shown_bytes));
        self.outstanding_bytes = self.by_key.values().map(outstanding).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TaskKey = TaskKey(7);

    fn one(reserved_bytes: u64) -> Vec<Companion> {
        vec![Companion {
            key: KEY,
            reserved_bytes,
        }]
    }

    #[test]
    fn what_is_in_use_and_read_is_not_held_back_twice() {
        let mut companions = Companions::default();
        companions.set(one(100));
        assert_eq!(companions.outstanding_bytes(), 100);
        // The reading is older: what it has taken is still in there as available.
        assert!(companions.measure(KEY, Tick(20), 60, Some(Tick(10))));
        assert_eq!(companions.outstanding_bytes(), 100);
        companions.show(Tick(30));
        assert_eq!(companions.outstanding_bytes(), 40);
        assert!(companions.measure(KEY, Tick(30), 300, Some(Tick(30))));
        assert_eq!(companions.outstanding_bytes(), 0);
        assert!(!companions.measure(TaskKey(8), Tick(30), 300, Some(Tick(30))));
    }

    #[test]
    fn one_that_goes_on_keeps_what_was_measured() {
        let mut companions = Companions::default();
        companions.set(one(100));
        companions.measure(KEY, Tick(5), 60, Some(Tick(5)));
        companions.set(one(80));
        assert_eq!(companions.outstanding_bytes(), 20);
        assert_eq!(companions.reports()[0].used, Some((Tick(5), 60)));
        companions.set(Vec::new());
        assert_eq!(companions.outstanding_bytes(), 0);
        companions.set(one(80));
        assert_eq!(companions.outstanding_bytes(), 80);
    }
}
