//! What admission goes by: marks, times and defaults, as the config sets them.
//!
//! The defaults hold for a laptop of 4 GiB and a server of 256 GiB alike: what should grow with
//! the machine is worked out from what the reading says that there is.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::Lane;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// How tasks are let in by what is measured. Shares are parts per thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionRules {
    /// Whether readings matter at all. Rates hold in any case.
    pub enabled: bool,
    /// The gates are worked out and reported, but hold up nothing, and nothing is paused.
    pub dry_run: bool,
    /// Available memory that must stay free; `None` for [`AdmissionRules::floor_bytes`].
    pub floor_bytes: Option<u64>,
    /// From this share of the CPUs in use on, nothing starts (at 1000, nothing waits for it) …
    pub cpu_high_permille: u32,
    /// … until it was below this one for a while.
    pub cpu_low_permille: u32,
    /// The same for the share of time in which tasks were stalled for memory.
    pub stall_high_permille: u32,
    /// Its low mark.
    pub stall_low_permille: u32,
    /// A gate that has closed opens when its reading was below the low mark for so long.
    pub reopen_after_ms: u64,
    /// A reading that is older says nothing any more.
    pub stale_after_ms: u64,
    /// So long after its start, a worker's CPU use shows in the readings.
    pub settle_ms: u64,
    /// So many workers may run at once of whose memory nothing is known, or as many as have shown
    /// theirs by now: doubled again and again, an unknown kind of task fills a server soon, and
    /// does not overrun a laptop.
    pub unproven_at_most: u32,
    /// More of them run where memory would do even if each needed so many times what is expected.
    pub unproven_factor: u32,
    /// Tasks of a lane whose attempts last less than this on average do not wait for CPUs: what is over before it
    /// shows in a reading cannot be paced by readings. Slots and memory bound them.
    pub brief_ms: u64,
    /// A worker has shown what it needs, as far as can be told, when it has run for so long.
    pub proven_after_ms: u64,
    /// When the next task does not fit, smaller ones go past it for at most so long.
    pub pass_at_most_ms: u64,
    /// What a worker is expected to need of which nothing is known; `None` for a sixteenth of the
    /// memory, from 256 MiB to 1 GiB.
    pub memory_default_bytes: Option<u64>,
    /// The CPUs that a worker is expected to use until its use shows in the readings.
    pub cpus_default_milli: u32,
    /// What is otherwise for single worker profiles.
    pub profiles: BTreeMap<Arc<str>, ProfileRules>,
    /// How fast tasks may be started.
    pub rates: Vec<Rate>,
    /// What is done when memory is short.
    pub relief: ReliefRules,
}

/// Expectations of one worker profile, in place of the general ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileRules {
    /// See [`AdmissionRules::memory_default_bytes`].
    pub memory_default_bytes: Option<u64>,
    /// See [`AdmissionRules::cpus_default_milli`].
    pub cpus_default_milli: Option<u32>,
}

/// At most `starts` in `per_ms`, spread evenly, after a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whose starts are counted together.
    pub scope: RateScope,
    /// So many starts …
    pub starts: NonZeroU32,
    /// … in so many milliseconds.
    pub per_ms: u64,
    /// So many may follow each other at once, after a time of rest.
    pub burst: NonZeroU32,
}

/// Whose starts a rate counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateScope {
    /// Those of this worker profile.
    Worker(Arc<str>),
    /// Those in this workspace.
    Workspace(Arc<str>),
}

impl RateScope {
    pub(crate) fn covers(&self, lane: &Lane) -> bool {
        match self {
            Self::Worker(worker) => lane.worker == *worker,
            Self::Workspace(workspace) => lane.workspace == *workspace,
        }
    }
}

/// What is done when memory stays short: the youngest worker is paused, and if that was not
/// enough, stopped and put back. One step at a time, and never the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReliefRules {
    /// Whether anything is done.
    pub enabled: bool,
    /// Memory must have been short for so long.
    pub after_ms: u64,
    /// From one step to the next.
    pub interval_ms: u64,
    /// A worker is paused for at most so long.
    pub pause_at_most_ms: u64,
}

impl AdmissionRules {
    /// The memory that must stay available on a machine with so much: by default the larger of a
    /// tenth and 1 GiB, but no more than a quarter, so that a small container has room for work.
    #[must_use]
    pub fn floor_of(&self, total_bytes: u64) -> u64 {
        let usual = (total_bytes / 10).max(GIB.min(total_bytes / 4));
        self.floor_bytes.unwrap_or(usual)
    }

    /// Memory that was short is not short any more from here on: a quarter above the floor, but no more than half a
    /// GiB, and no more than halfway to all that there is.
    #[must_use]
    pub fn ease_of(&self, total_bytes: u64) -> u64 {
        let floor = self.floor_of(total_bytes);
        let more = (floor / 4).min(GIB / 2);
        floor.saturating_add(more.min(total_bytes.saturating_sub(floor) / 2))
    }

    /// What a worker of this profile is expected to need when nothing is known.
    pub(crate) fn memory_default(&self, worker: &str, total_bytes: Option<u64>) -> u64 {
        let of_profile = self
            .profiles
            .get(worker)
            .and_then(|profile| profile.memory_default_bytes);
        let of_machine = total_bytes.map_or(GIB, |total| (total / 16).clamp(256 * MIB, GIB));
        of_profile.or(self.memory_default_bytes).unwrap_or(of_machine)
    }

    /// The CPUs that a young worker of this profile is expected to use.
    pub(crate) fn cpus_default(&self, worker: &str) -> u32 {
        let of_profile = self
            .profiles
            .get(worker)
            .and_then(|profile| profile.cpus_default_milli);
        of_profile.unwrap_or(self.cpus_default_milli)
    }

    /// Whether gates hold up tasks.
    pub(crate) fn bind(&self) -> bool {
        self.enabled && !self.dry_run
    }
}

/// Disabled. With `enabled` alone set, it is as described in the README.
impl Default for AdmissionRules {
    fn default() -> Self {
        Self {
            enabled: false,
            dry_run: false,
            floor_bytes: None,
            cpu_high_permille: 900,
            cpu_low_permille: 750,
            stall_high_permille: 100,
            stall_low_permille: 50,
            reopen_after_ms: 2_000,
            stale_after_ms: 5_000,
            settle_ms: 1_000,
            unproven_at_most: 2,
            unproven_factor: 6,
            brief_ms: 1_000,
            proven_after_ms: 5_000,
            pass_at_most_ms: 60_000,
            memory_default_bytes: None,
            cpus_default_milli: 1_000,
            profiles: BTreeMap::new(),
            rates: Vec::new(),
            relief: ReliefRules::default(),
        }
    }
}

impl Default for ReliefRules {
    fn default() -> Self {
        Self {
            enabled: true,
            after_ms: 2_000,
            interval_ms: 5_000,
            pause_at_most_ms: 30_000,
        }
    }
}
