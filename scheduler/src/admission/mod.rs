//! Admission: which task the machine can carry by now, by what is measured.
//!
//! The host's readings and the workers' memory come in as inputs, like all else. Between two
//! readings nothing is known but what was started: each worker therefore holds a reservation from
//! its start on, less what it has been seen to use. Nothing here is journaled but what was done to
//! relieve memory (`relief.rs`); reservations follow from the active tasks.

mod companions;
mod holds;
mod latch;
mod learning;
mod obstacles;
mod peaks;
mod rate;
mod readings;
mod refusals;
mod relief;
mod report;
mod rules;
mod start;
mod wording;
pub(crate) mod words;

use std::collections::BTreeMap;

pub use self::companions::{Companion, CompanionReport};
pub use self::holds::Source;
pub use self::peaks::LanePeak;
pub use self::readings::{HostCpu, HostMemory, HostReading, Measured, TreeMemory};
pub use self::relief::Relief;
pub use self::report::{AdmissionReport, GateNotice, GateVerdict, ReservationReport};
pub use self::rules::{AdmissionRules, ProfileRules, Rate, RateScope, ReliefRules};

use self::companions::Companions;
use self::holds::{Expected, Hold, Holds};
use self::latch::{Latch, Level};
use self::learning::Raised;
use self::peaks::Peaks;
use self::rate::Rates;
use self::refusals::Refusals;
use self::relief::Reliefs;
use self::report::Told;
use crate::{Lane, Needs, TaskKey, Tick};

pub(crate) use self::obstacles::{About, Obstacle, Wants};

/// Everything that admission knows.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pub(crate) rules: AdmissionRules,
    /// The moment of the input that is being taken in; 0 in replay.
    pub(crate) clock: Tick,
    reading: Option<HostReading>,
    /// Tasks that were started since the newest reading.
    starts_since_reading: u32,
    memory: Latch,
    cpu: Latch,
    stall: Latch,
    /// What tasks declare; few do.
    needs: BTreeMap<TaskKey, Needs>,
    raised: BTreeMap<TaskKey, Raised>,
    peaks: Peaks,
    pub(crate) holds: Holds,
    pub(crate) companions: Companions,
    pub(crate) rates: Rates,
    pub(crate) refusals: Refusals,
    pub(crate) reliefs: Reliefs,
    /// Since when a task that comes first did not fit, and none that came first has started.
    held_up_since: Option<Tick>,
    told: Told,
}

impl Admission {
    pub(crate) fn set_rules(&mut self, rules: AdmissionRules) {
        self.rates.set(rules.rates.clone());
        self.rules = rules;
        self.expect_anew(|_| true);
    }

    /// What is declared for the task; 0 for what is not.
    pub(crate) fn needs(&self, key: TaskKey) -> Needs {
        self.needs.get(&key).copied().unwrap_or_default()
    }

    /// Sets what the task declares, whether it is active or not.
    pub(crate) fn set_needs(&mut self, key: TaskKey, needs: Needs) {
        if needs == Needs::default() {
            self.needs.remove(&key);
        } else {
            self.needs.insert(key, needs);
        }
        let of_active = self.holds.get(key).map(|hold| self.wants_of(key, hold));
        if let Some(wants) = of_active {
            self.holds.change(key, |hold| {
                hold.expected = wants.expected;
                hold.cpus_declared_milli = wants.cpus_declared_milli;
                hold.cpus_expected_milli = wants.cpus_expected_milli;
            });
        }
    }

    /// A lane was given this number.
    pub(crate) fn number(&mut self, number: u32, lane: &Lane) {
        self.peaks.number(number, lane);
    }

    /// The host was read. One that is older than the last is ignored.
    pub(crate) fn see(&mut self, now: Tick, mut reading: HostReading) {
        reading.taken_at = reading.taken_at.min(now);
        let at = reading.taken_at;
        let before = self.reading.as_ref();
        if before.is_some_and(|before| before.taken_at > at) {
            return;
        }
        let window_start = before.map_or(Tick(0), |before| before.taken_at);
        let total_before = self.total_bytes();
        self.see_memory(at, &reading);
        self.see_cpu(at, &reading);
        self.reading = Some(reading);
        self.starts_since_reading = 0;
        self.holds.show(&self.rules, at, window_start);
        self.companions.show(at);
        if total_before != self.total_bytes() {
            self.expect_anew(|_| true);
        }
    }

    fn see_memory(&mut self, at: Tick, reading: &HostReading) {
        let reopen_after_ms = self.rules.reopen_after_ms;
        let room = reading.memory.known().map(|memory| {
            let available = memory.available_bytes;
            if available < self.rules.floor_of(memory.total_bytes) {
                Level::High
            } else if available >= self.rules.ease_of(memory.total_bytes) {
                Level::Low
            } else {
                Level::Middle
            }
        });
        see(&mut self.memory, at, room, &reading.memory, reopen_after_ms);
        let stall = reading.stall_permille.known().map(|stalled| {
            let marks = (self.rules.stall_high_permille, self.rules.stall_low_permille);
            if reading.oom_kills > 0 {
                Level::High
            } else {
                level(*stalled, marks)
            }
        });
        see(
            &mut self.stall,
            at,
            stall,
            &reading.stall_permille,
            reopen_after_ms,
        );
        let is_short = [room, stall].contains(&Some(Level::High));
        self.reliefs.see(at, is_short);
    }

    fn see_cpu(&mut self, at: Tick, reading: &HostReading) {
        let marks = (self.rules.cpu_high_permille, self.rules.cpu_low_permille);
        let used = reading.cpu.known().map(|cpu| level(cpu.used_permille(), marks));
        let reopen_after_ms = self.rules.reopen_after_ms;
        see(&mut self.cpu, at, used, &reading.cpu, reopen_after_ms);
    }

    /// Workers were measured.
    pub(crate) fn measure(&mut self, now: Tick, taken_at: Tick, trees: &[TreeMemory]) {
        let taken_at = taken_at.min(now);
        let host_at = self.reading.as_ref().map(|reading| reading.taken_at);
        let mut rose = Vec::new();
        for tree in trees {
            if self.companions.measure(tree.key, taken_at, tree.bytes, host_at) {
                continue;
            }
            let Some(hold) = self
                .holds
                .get(tree.key)
                .filter(|hold| hold.attempt == tree.attempt)
            else {
                continue;
            };
            let number = hold.lane_number;
            let lane = hold.lane.clone();
            self.holds.change(tree.key, |hold| {
                hold.measured = Some((taken_at, tree.bytes));
                hold.peak_bytes = hold.peak_bytes.max(tree.bytes);
                if host_at.is_some_and(|host_at| taken_at <= host_at) {
                    hold.shown_bytes = tree.bytes;
                }
            });
            if self.rules.enabled && self.peaks.measure(number, &lane, tree.bytes, now) {
                rose.push(number);
            }
        }
        if !rose.is_empty() {
            self.expect_anew(|number| rose.contains(&number));
        }
    }

    /// An attempt is active from now on.
    pub(crate) fn hold(&mut self, now: Tick, (key, attempt): (TaskKey, u32), lane_number: u32, lane: &Lane) {
        let wants = self.wants(key, lane_number, lane);
        self.holds.insert(
            key,
            Hold {
                attempt,
                lane_number,
                lane: lane.clone(),
                started_at: now,
                expected: wants.expected,
                cpus_declared_milli: wants.cpus_declared_milli,
                cpus_expected_milli: wants.cpus_expected_milli,
                measured: None,
                shown_bytes: 0,
                peak_bytes: 0,
                // In replay nobody knows the time, and what ran before a restart shows already.
                is_young: now > Tick(0),
                is_proven: now == Tick(0),
                is_spared: false,
            },
        );
    }

    /// The task is gone.
    pub(crate) fn forget(&mut self, key: TaskKey) {
        self.needs.remove(&key);
        self.raised.remove(&key);
        self.holds.remove(key);
        self.reliefs.set(key, None);
    }

    /// A task starts; `is_first` if none came before it.
    pub(crate) fn start(&mut self, now: Tick, lane: &Lane, is_first: bool) {
        self.rates.start(lane, now);
        self.starts_since_reading = self.starts_since_reading.saturating_add(1);
        if is_first {
            self.held_up_since = None;
        }
    }

    /// The user wants it to go on.
    pub(crate) fn spare(&mut self, key: TaskKey) {
        if self.reliefs.of(key).is_some() {
            self.holds.change(key, |hold| hold.is_spared = true);
        }
    }

    pub(crate) fn import_peaks(&mut self, peaks: Vec<LanePeak>, number_of: impl Fn(&Lane) -> Option<u32>) {
        self.peaks.import(peaks, number_of);
        self.expect_anew(|_| true);
    }

    pub(crate) fn export_peaks(&self) -> Vec<LanePeak> {
        self.peaks.export()
    }

    fn total_bytes(&self) -> Option<u64> {
        let memory = self.reading.as_ref()?.memory.known()?;
        Some(memory.total_bytes)
    }

    /// The newest reading, if it still says something.
    fn fresh_reading(&self, now: Tick) -> Option<&HostReading> {
        let reading = self.reading.as_ref()?;
        (now.ms_since(reading.taken_at) <= self.rules.stale_after_ms).then_some(reading)
    }

    /// Works out anew what the active tasks of these lanes are expected to need.
    fn expect_anew(&mut self, is_meant: impl Fn(u32) -> bool) {
        let mut holds = std::mem::take(&mut self.holds);
        holds.expect_anew(|key, hold| {
            if is_meant(hold.lane_number) {
                self.wants_of(key, hold).expected
            } else {
                hold.expected
            }
        });
        self.holds = holds;
    }

    fn wants_of(&self, key: TaskKey, hold: &Hold) -> Wants {
        self.wants(key, hold.lane_number, &hold.lane)
    }

    /// What the task asks of the machine.
    pub(crate) fn wants(&self, key: TaskKey, lane_number: u32, lane: &Lane) -> Wants {
        let needs = self.needs(key);
        let cpus_default = self.rules.cpus_default(&lane.worker);
        let run_ms = self.peaks.of(lane_number).and_then(|peak| peak.run_ms);
        Wants {
            is_brief: run_ms.is_some_and(|run_ms| run_ms < self.rules.brief_ms),
            expected: self.expected(key, needs, lane_number, lane),
            cpus_declared_milli: needs.cpus_milli,
            cpus_expected_milli: match needs.cpus_milli {
                0 => cpus_default,
                declared => declared,
            },
        }
    }

    fn expected(&self, key: TaskKey, needs: Needs, lane_number: u32, lane: &Lane) -> Expected {
        let usual = match (needs.memory_bytes, self.peaks.of(lane_number)) {
            (0, Some(peak)) if peak.is_learned => Expected {
                bytes: peak.bytes,
                source: Source::Learned,
            },
            (0, peak) => {
                let seen = peak.map_or(0, |peak| peak.bytes);
                let default = self.rules.memory_default(&lane.worker, self.total_bytes());
                Expected {
                    bytes: default.max(seen),
                    source: Source::Default,
                }
            }
            (declared, _) => Expected {
                bytes: declared,
                source: Source::Declared,
            },
        };
        match self.raised.get(&key) {
            Some(raised) if raised.bytes > usual.bytes => Expected {
                bytes: raised.bytes,
                source: Source::Raised,
            },
            Some(_) | None => usual,
        }
    }

    /// Panics if the parts contradict each other, for `check_invariants`.
    pub(crate) fn check<'a>(
        &self,
        active: impl Iterator<Item = (TaskKey, u32)>,
        lanes: impl Iterator<Item = (u32, &'a Lane)>,
        is_known: impl Fn(TaskKey) -> bool,
    ) {
        self.holds.check(active);
        self.peaks.check_numbers(lanes);
        for (key, hold) in self.holds.iter() {
            assert_eq!(
                hold.expected,
                self.wants_of(key, hold).expected,
                "reservation of {key:?}"
            );
        }
        let known = self.needs.keys().chain(self.raised.keys());
        let strays: Vec<&TaskKey> = known.filter(|key| !is_known(**key)).collect();
        assert!(strays.is_empty(), "needs of removed tasks: {strays:?}");
    }
}

fn see<T>(latch: &mut Latch, at: Tick, level: Option<Level>, part: &Measured<T>, reopen_after_ms: u64) {
    match level {
        Some(level) => latch.see(at, level, reopen_after_ms),
        None if part.is_absent() => *latch = Latch::default(),
        // Nobody knows: it has not been below its low mark all the time.
        None => latch.see(at, Level::Middle, reopen_after_ms),
    }
}

fn level(value: u32, (high, low): (u32, u32)) -> Level {
    if high >= words::ALL_PERMILLE {
        // Whoever sets the mark at all that there is wants nothing to wait for it.
        Level::Low
    } else if value >= high {
        Level::High
    } else if value < low {
        Level::Low
    } else {
        Level::Middle
    }
}
