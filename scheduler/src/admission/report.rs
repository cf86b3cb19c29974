//! What admission shows of itself: the reading, the marks, what is reserved, and each gate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::holds::Source;
use super::obstacles::{About, Obstacle, CPU, MEMORY, PRESSURE};
use super::{words, Admission, CompanionReport, HostReading, LanePeak, Relief};
use crate::{Lane, Scheduler, TaskKey, Tick};

/// A gate has closed or opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateNotice {
    /// `memory`, `cpu`, `pressure` or `rate`.
    pub gate: String,
    /// Which of the two.
    pub is_open: bool,
    /// It is a dry run: the gate only would have.
    pub dry_run: bool,
    /// Why it has closed. Of one that has opened it is empty, but for a rate: whose.
    pub message: String,
}

/// How one gate stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateVerdict {
    /// `memory`, `cpu` or `pressure`.
    pub gate: String,
    /// Whether it lets the next task start. In a dry run: whether it would.
    pub is_open: bool,
    /// Since when; `None` if it has never been otherwise.
    pub since: Option<Tick>,
    /// Why it is closed.
    pub messages: Vec<String>,
}

/// What is reserved for one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationReport {
    /// Its task.
    pub key: TaskKey,
    /// Its attempt.
    pub attempt: u32,
    /// Its lane.
    pub lane: Lane,
    /// When it was started; `None` if that was before a restart of the daemon.
    pub started_at: Option<Tick>,
    /// What it is expected to need at its peak.
    pub reserved_bytes: u64,
    /// Where that comes from.
    pub source: Source,
    /// What it was last measured at, and when.
    pub used_bytes: Option<u64>,
    /// When that was.
    pub used_at: Option<Tick>,
    /// What it was measured at most.
    pub peak_bytes: u64,
    /// What is reserved and not in use yet, by the host's reading.
    pub outstanding_bytes: u64,
    /// The CPUs that it declares; 0 for none.
    pub cpus_declared_milli: u32,
    /// What was done to it to relieve memory.
    pub relief: Option<Relief>,
}

/// How admission stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionReport {
    /// Whether readings matter at all.
    pub enabled: bool,
    /// Whether the gates are only worked out.
    pub dry_run: bool,
    /// The newest reading.
    pub reading: Option<HostReading>,
    /// How old it is.
    pub reading_age_ms: Option<u64>,
    /// Whether it is too old to go by.
    pub is_stale: bool,
    /// Memory that must stay available; `None` as long as it is not known how much there is.
    pub floor_bytes: Option<u64>,
    /// Short memory is short no more from here on.
    pub ease_bytes: Option<u64>,
    /// The marks for the CPUs: high and low, in parts per thousand.
    pub cpu_marks_permille: (u32, u32),
    /// The marks for stalls.
    pub stall_marks_permille: (u32, u32),
    /// What is reserved and not in use yet, of all workers and what runs beside them.
    pub outstanding_bytes: u64,
    /// The CPUs that active tasks declare.
    pub cpus_declared_milli: u64,
    /// The CPUs that workers are expected to use which do not show in the reading yet.
    pub cpus_young_milli: u64,
    /// Tasks that were started since the reading.
    pub starts_since_reading: u32,
    /// The gates that there are.
    pub gates: Vec<GateVerdict>,
    /// Each active worker.
    pub reservations: Vec<ReservationReport>,
    /// What runs beside the tasks.
    pub companions: Vec<CompanionReport>,
    /// What was learned of each lane.
    pub peaks: Vec<LanePeak>,
}

/// What was last told of each gate.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<&'static str, (bool, Tick)>);

impl Admission {
    /// Which gates have closed or opened since the last time, given what stands in the way now.
    pub(crate) fn tell(&mut self, now: Tick, obstacles: &[Obstacle]) -> Vec<GateNotice> {
        let mut notices = Vec::new();
        if !self.rules.enabled {
            self.told.0.clear();
            return notices;
        }
        // Before the first reading nothing is known, which is no news.
        let Some(read_at) = self.reading.as_ref().map(|reading| reading.taken_at) else {
            return notices;
        };
        for gate in [MEMORY, CPU, PRESSURE] {
            let mut standing = obstacles
                .iter()
                .filter(|obstacle| obstacle.gate() == gate && obstacle.lasts());
            let found = standing.next().copied();
            if self.rules.dry_run && found.is_none() && self.starts_since_reading == 0 {
                // Nothing has asked since.
                continue;
            }
            let told = self.told.0.get(gate).copied();
            if self.rules.dry_run && found.is_none() && told.is_some_and(|(_, at)| at >= read_at) {
                // What has started in spite of it is in no reading yet.
                continue;
            }
            let was_open = told.is_none_or(|(is_open, _)| is_open);
            if was_open == found.is_none() {
                continue;
            }
            self.told.0.insert(gate, (found.is_none(), now));
            notices.push(GateNotice {
                gate: gate.to_owned(),
                is_open: found.is_none(),
                dry_run: self.rules.dry_run,
                message: found.map_or_else(String::new, |obstacle| {
                    self.in_words(now, obstacle, About::Whichever)
                }),
            });
        }
        notices
    }

    fn verdicts(&self, now: Tick, obstacles: &[Obstacle]) -> Vec<GateVerdict> {
        let reading = self.reading.as_ref();
        let is_absent = |gate| {
            reading.is_some_and(|reading| match gate {
                MEMORY => reading.memory.is_absent(),
                CPU => reading.cpu.is_absent(),
                _ => reading.stall_permille.is_absent(),
            })
        };
        let gates = [MEMORY, CPU, PRESSURE].into_iter();
        let verdict = |gate: &'static str| {
            let standing = obstacles.iter().filter(|obstacle| obstacle.gate() == gate);
            let messages: Vec<String> = standing
                .map(|obstacle| self.in_words(now, *obstacle, About::Whichever))
                .collect();
            let since = self.told.0.get(gate).copied();
            GateVerdict {
                gate: gate.to_owned(),
                is_open: messages.is_empty(),
                since: since
                    .filter(|(was_open, _)| *was_open == messages.is_empty())
                    .map(|(_, at)| at),
                messages,
            }
        };
        gates.filter(|gate| !is_absent(*gate)).map(verdict).collect()
    }

    fn reservations(&self) -> Vec<ReservationReport> {
        let reports = self.holds.iter().map(|(key, hold)| ReservationReport {
            key,
            attempt: hold.attempt,
            lane: hold.lane.clone(),
            started_at: Some(hold.started_at).filter(|at| *at > Tick(0)),
            reserved_bytes: hold.expected.bytes,
            source: hold.expected.source,
            used_bytes: hold.measured.map(|(_, bytes)| bytes),
            used_at: hold.measured.map(|(at, _)| at),
            peak_bytes: hold.peak_bytes,
            outstanding_bytes: hold.outstanding_bytes(),
            cpus_declared_milli: hold.cpus_declared_milli,
            relief: self.reliefs.of(key),
        });
        reports.collect()
    }

    fn report(&self, now: Tick, obstacles: &[Obstacle]) -> AdmissionReport {
        let rules = &self.rules;
        let total = self.total_bytes();
        let totals = self.holds.totals();
        AdmissionReport {
            enabled: rules.enabled,
            dry_run: rules.dry_run,
            reading: self.reading.clone(),
            reading_age_ms: self
                .reading
                .as_ref()
                .map(|reading| now.ms_since(reading.taken_at)),
            is_stale: self.reading.is_some() && self.fresh_reading(now).is_none(),
            floor_bytes: total.map(|total| rules.floor_of(total)),
            ease_bytes: total.map(|total| rules.ease_of(total)),
            cpu_marks_permille: (rules.cpu_high_permille, rules.cpu_low_permille),
            stall_marks_permille: (rules.stall_high_permille, rules.stall_low_permille),
            outstanding_bytes: u64::try_from(self.outstanding_bytes()).unwrap_or(u64::MAX),
            cpus_declared_milli: totals.cpus_declared_milli,
            cpus_young_milli: totals.cpus_young_milli,
            starts_since_reading: self.starts_since_reading,
            gates: self.verdicts(now, obstacles),
            reservations: self.reservations(),
            companions: self.companions.reports(),
            peaks: self.export_peaks(),
        }
    }
}

impl Scheduler {
    /// How admission stands: for people, and for those that draw it.
    #[must_use]
    pub fn admission(&self, now: Tick) -> AdmissionReport {
        let mut obstacles = self.admission.in_everybodys_way(now);
        match self.best_open(|_| true).and_then(|key| self.wants_of(key)) {
            Some(wants) => obstacles.extend(self.admission.in_the_way_of(now, wants)),
            None => obstacles.extend(self.admission.in_the_way_of_long_ones(now)),
        }
        self.admission.report(now, &obstacles)
    }

    /// Why a task is paused or stopped, if that was done to relieve memory.
    #[must_use]
    pub fn relief_in_words(&self, now: Tick, key: TaskKey) -> Option<String> {
        let state = self.admission.short_memory_in_words(now);
        Some(match self.admission.reliefs.of(key)? {
            Relief::PausedUntil(until) => {
                let rest = words::duration(until.ms_since(now));
                format!("paused to relieve memory, for at most {rest} more: {state}")
            }
            Relief::PuttingBack => format!("stopped to relieve memory, to be put back: {state}"),
        })
    }

    /// What was learned of each lane, to be kept and handed in again by `Input::SetPeaks`.
    #[must_use]
    pub fn peaks(&self) -> Vec<LanePeak> {
        self.admission.export_peaks()
    }
}
