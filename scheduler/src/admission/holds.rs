//! What is reserved for each active worker, and how much of that it uses already.
//!
//! The sums are kept up to date with each change, so that a decision costs the same with one
//! worker as with a thousand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::AdmissionRules;
use crate::{Lane, TaskKey, Tick};

/// Where a reservation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The task declares it.
    Declared,
    /// Earlier tasks of its lane needed so much.
    Learned,
    /// Nothing is known; the profile says so, or workers of its lane use so much already.
    Default,
    /// An earlier attempt of this task was ended for want of memory.
    Raised,
}

impl Source {
    /// Its name in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Learned => "learned",
            Self::Default => "default",
            Self::Raised => "raised",
        }
    }
}

/// What a worker is expected to need at its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) bytes: u64,
    pub(crate) source: Source,
}

/// One active worker.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) attempt: u32,
    pub(crate) lane_number: u32,
    pub(crate) lane: Lane,
    /// When it was started; 0 if that was before a restart.
    pub(crate) started_at: Tick,
    pub(crate) expected: Expected,
    /// What it declares.
    pub(crate) cpus_declared_milli: u32,
    /// What it is expected to use.
    pub(crate) cpus_expected_milli: u32,
    /// The newest measurement.
    pub(crate) measured: Option<(Tick, u64)>,
    /// The newest measurement that is no newer than the host's reading, so that what it has grown
    /// by is missing in that reading's available memory.
    pub(crate) shown_bytes: u64,
    /// The largest measurement.
    pub(crate) peak_bytes: u64,
    /// Its CPU use does not show in the host's reading yet.
    pub(crate) is_young: bool,
    /// It has run for long enough to know something of it.
    pub(crate) is_proven: bool,
    /// The user let it go on after it was paused to relieve memory.
    pub(crate) is_spared: bool,
}

impl Hold {
    /// What is reserved for it and not in use yet.
    pub(crate) fn outstanding_bytes(&self) -> u64 {
        self.expected.bytes.saturating_sub(self.shown_bytes)
    }

    /// Whether it was started without knowing what it needs.
    fn is_blind(&self) -> bool {
        self.expected.source == Source::Default
    }

    /// The host's reading is this one now; its CPU use was measured from `window_start` on.
    fn show(&mut self, rules: &AdmissionRules, taken_at: Tick, window_start: Tick) {
        if let Some((measured_at, bytes)) = self.measured {
            if measured_at <= taken_at {
                self.shown_bytes = bytes;
            }
        }
        self.is_young &= window_start < self.started_at.plus_ms(rules.settle_ms);
        self.is_proven |= taken_at >= self.started_at.plus_ms(rules.proven_after_ms);
    }
}

/// Sums over all active workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Reserved and not in use yet; wide, so that no sum overflows.
    pub(crate) outstanding_bytes: u128,
    pub(crate) cpus_declared_milli: u64,
    /// What young workers are expected to use.
    pub(crate) cpus_young_milli: u64,
    /// Workers that were started without knowing what they need, …
    pub(crate) unproven: u32,
    /// … and those of them that have shown it since.
    pub(crate) proven: u32,
}

impl Totals {
    fn add(&mut self, hold: &Hold) {
        self.outstanding_bytes += u128::from(hold.outstanding_bytes());
        self.cpus_declared_milli += u64::from(hold.cpus_declared_milli);
        self.cpus_young_milli += young_milli(hold);
        self.unproven += u32::from(hold.is_blind() && !hold.is_proven);
        self.proven += u32::from(hold.is_blind() && hold.is_proven);
    }

    fn subtract(&mut self, hold: &Hold) {
        self.outstanding_bytes -= u128::from(hold.outstanding_bytes());
        self.cpus_declared_milli -= u64::from(hold.cpus_declared_milli);
        self.cpus_young_milli -= young_milli(hold);
        self.unproven -= u32::from(hold.is_blind() && !hold.is_proven);
        self.proven -= u32::from(hold.is_blind() && hold.is_proven);
    }
}

fn young_milli(hold: &Hold) -> u64 {
    if hold.is_young {
        hold.cpus_expected_milli.into()
    } else {
        0
    }
}

/// All active workers.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    by_key: BTreeMap<TaskKey, Hold>,
    totals: Totals,
}

impl Holds {
    pub(crate) fn get(&self, key: TaskKey) -> Option<&Hold> {
        self.by_key.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskKey, &Hold)> {
        self.by_key.iter().map(|(key, hold)| (*key, hold))
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn insert(&mut self, key: TaskKey, hold: Hold) {
        self.remove(key);
        self.totals.add(&hold);
        self.by_key.insert(key, hold);
    }

    pub(crate) fn remove(&mut self, key: TaskKey) -> Option<Hold> {
        let hold = self.by_key.remove(&key)?;
        self.totals.subtract(&hold);
        Some(hold)
    }

    /// Changes one, if it is there.
    pub(crate) fn change(&mut self, key: TaskKey, change: impl FnOnce(&mut Hold)) {
        if let Some(hold) = self.by_key.get_mut(&key) {
            self.totals.subtract(hold);
            change(hold);
            self.totals.add(hold);
        }
    }

    /// Works out anew what each worker is expected to need.
    pub(crate) fn expect_anew(&mut self, mut expected: impl FnMut(TaskKey, &Hold) -> Expected) {
        for (key, hold) in &mut self.by_key {
            self.totals.subtract(hold);
            hold.expected = expected(*key, hold);
            self.totals.add(hold);
        }
    }

    /// The host was read.
    pub(crate) fn show(&mut self, rules: &AdmissionRules, taken_at: Tick, window_start: Tick) {
        for hold in self.by_key.values_mut() {
            self.totals.subtract(hold);
            hold.show(rules, taken_at, window_start);
            self.totals.add(hold);
        }
    }

    /// Panics if a sum is wrong or these are not the active tasks, for `check_invariants`.
    pub(crate) fn check(&self, active: impl Iterator<Item = (TaskKey, u32)>) {
        let mut totals = Totals::default();
        self.by_key.values().for_each(|hold| totals.add(hold));
        assert_eq!(self.totals, totals, "sums of what is reserved");
        let held = self.iter().map(|(key, hold)| (key, hold.attempt));
        assert!(held.eq(active), "a reservation for each active attempt");
    }
}
