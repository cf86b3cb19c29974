//! What admission needs of the outside: rules from the config, readings of the host, and what was learned before.
//!
//! The scheduler decides; this hands it what the gauge has read, and asks for more while something runs or waits.

use std::path::PathBuf;
use std::time::Duration;

use wezterm_parallel_scheduler::{
    HostCpu, HostMemory, HostReading, Input, LanePeak, Measured, Reason, Relief, State, TaskKey, Tick,
    TreeMemory,
};

use super::admission_rules::{milli, rules};
use super::batch::Batch;
use super::Engine;
use crate::executor::{AttemptId, Exit, StopCause};
use crate::gauge::Gauged;
use crate::host::{self, Cpu, OomKills, Reading, Stall, Unreadable};
use crate::platform::since_boot;
use crate::worker::Verdict;

/// From one measurement of the workers to the next, in milliseconds: it reads some files of each process.
const TREES_EVERY_MS: u64 = 2_000;
/// As long as others wait and a worker is younger than this, it is measured with each reading: what it has taken already
/// must not be held back a second time.
const YOUNG_MS: u64 = 5_000;
/// A worker that was killed is reported within this time of the kernel's count, in milliseconds.
const KILL_CLAIMED_MS: u64 = 5_000;
/// After somebody has asked how admission stands the machine is read often for so long, in milliseconds.
const WATCHED_MS: u64 = 5_000;
/// What was learned is written this often at most, in milliseconds: to lose it costs a little speed.
const PEAKS_EVERY_MS: u64 = 60_000;
/// The signal by which the kernel ends a process for want of memory.
const SIGKILL: i32 = 9;
/// What a shell ends with whose command was ended by it.
const SHELL_KILLED: i32 = 128 + SIGKILL;
/// More than any machine has: a figure in the file that is larger is damage.
const PEAK_BYTES_MAX: u64 = 1 << 50;

/// What admission remembers between rounds.
#[derive(Debug, Default)]
pub(super) struct Gauging {
    /// When the workers were measured last.
    trees_asked_at: Option<Tick>,
    /// When somebody asked last how admission stands.
    watched_at: Option<Tick>,
    kills: Kills,
    peaks: SavedPeaks,
}

/// Processes that the kernel has ended for want of memory, and that no worker has been found to be yet.
#[derive(Debug, Default)]
struct Kills {
    counted: Option<OomKills>,
    unclaimed: u64,
    seen_at: Tick,
}

impl Kills {
    /// How many there were since the last look.
    fn see(&mut self, now: Tick, counted: OomKills) -> u64 {
        let rise = self
            .counted
            .replace(counted)
            .map_or(0, |before| counted.since(before));
        if now.ms_since(self.seen_at) > KILL_CLAIMED_MS {
            self.unclaimed = 0;
        }
        if rise > 0 {
            self.unclaimed += rise;
            self.seen_at = now;
        }
        rise
    }

    /// Whether a worker that was killed just now is one of them.
    fn claim(&mut self, now: Tick) -> bool {
        let is_one = self.unclaimed > 0 && now.ms_since(self.seen_at) <= KILL_CLAIMED_MS;
        self.unclaimed -= u64::from(is_one);
        is_one
    }
}

/// What was learned of each lane, in a file of its own: it may be lost, so it has no place in the journal.
#[derive(Debug, Default)]
struct SavedPeaks {
    written_at: Tick,
    written: Vec<LanePeak>,
}

impl Engine {
    /// The rules of the config, and once, at the start, what was learned before.
    pub(super) fn configure_admission(&mut self, now: Tick, batch: &mut Batch) {
        let rules = rules(&self.config);
        self.feed(now, Input::SetAdmission(Box::new(rules)), batch);
    }

    /// Before the pool opens: what earlier daemons have learned.
    pub(super) fn load_peaks(&mut self, now: Tick, batch: &mut Batch) {
        let path = &self.peaks_file;
        let mut peaks: Vec<LanePeak> = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "what was learned of memory cannot be read: it is learned anew");
                Vec::new()
            }),
            Err(_) => Vec::new(),
        };
        peaks.retain(|peak| peak.bytes <= PEAK_BYTES_MAX && peak.learned_at <= now);
        self.gauging.peaks.written.clone_from(&peaks);
        self.gauging.peaks.written_at = now;
        self.feed(now, Input::SetPeaks(peaks), batch);
    }

    /// Writes what was learned, if it has changed and `always` or for a while.
    pub(super) fn save_peaks(&mut self, now: Tick, always: bool) {
        let saved = &mut self.gauging.peaks;
        if !always && now.ms_since(saved.written_at) < PEAKS_EVERY_MS {
            return;
        }
        saved.written_at = now;
        let peaks = self.scheduler.peaks();
        if peaks == saved.written {
            return;
        }
        let fresh = self.peaks_file.with_extension("json.new");
        let written = serde_json::to_vec(&peaks)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&fresh, bytes))
            .and_then(|()| std::fs::rename(&fresh, &self.peaks_file));
        match written {
            Ok(()) => saved.written = peaks,
            Err(error) => {
                tracing::warn!(path = %fresh.display(), %error, "what was learned of memory could not be written");
            }
        }
    }

    /// Takes in what was read.
    pub(super) fn take_gauged(&mut self, now: Tick, gauged: Gauged, batch: &mut Batch) {
        match gauged {
            Gauged::Host(reading, kills) => {
                let oom_kills = kills.map_or(0, |kills| self.gauging.kills.see(now, kills));
                let reading = host_reading(ago(now, reading.at), *reading, oom_kills);
                self.feed(now, Input::Reading(Box::new(reading)), batch);
                self.ask_for_trees(now);
                // What is shown of a gate has a number in it.
                if self.scheduler.count(State::Queued) > 0 {
                    self.status_file.touch();
                }
                self.tally.touch();
            }
            Gauged::Trees(at, trees) => {
                for (id, tree) in &trees {
                    self.tally.used(*id, tree.cpu.as_secs_f64());
                }
                let memory = |(id, tree): (AttemptId, host::TreeMemory)| TreeMemory {
                    key: id.key,
                    attempt: id.attempt,
                    bytes: tree.bytes,
                };
                let trees = trees.into_iter().map(memory).collect();
                let taken_at = ago(now, at);
                self.feed(now, Input::WorkerMemory { taken_at, trees }, batch);
            }
        }
    }

    /// Somebody looks at the readings: they are to be fresh.
    pub(super) fn watch_admission(&mut self, now: Tick) {
        self.gauging.watched_at = Some(now);
    }

    /// The machine is read often as long as that can change something, or somebody looks.
    pub(super) fn pace_gauge(&mut self, now: Tick) {
        let counts = [State::Queued, State::Running, State::Paused, State::Waiting];
        let works = counts.iter().any(|state| self.scheduler.count(*state) > 0);
        let watched = self
            .gauging
            .watched_at
            .is_some_and(|at| now.ms_since(at) < WATCHED_MS);
        self.gauge
            .set_busy((works && self.config.admission.enabled) || watched);
    }

    fn ask_for_trees(&mut self, now: Tick) {
        if !self.config.admission.enabled {
            return;
        }
        let beside = self.store.processes.up();
        let beside = beside.filter_map(|(number, _)| self.run_of(number));
        let beside: Vec<(AttemptId, PathBuf)> = beside.map(|id| (id, self.folder_of_any(id))).collect();
        let running: Vec<AttemptId> = self
            .scheduler
            .active()
            .map(|task| AttemptId {
                key: task.submission.key,
                attempt: task.attempts,
            })
            .collect();
        let is_young = |id: &AttemptId| {
            let attempt = self.attempt(*id);
            attempt.is_some_and(|attempt| now.ms_since(attempt.started_at) < YOUNG_MS)
        };
        let others_wait = self.scheduler.count(State::Queued) > 0;
        let is_due = |at: Tick| now.ms_since(at) >= TREES_EVERY_MS;
        let is_time = self.gauging.trees_asked_at.is_none_or(is_due);
        let is_wanted = is_time || (others_wait && running.iter().any(is_young));
        if !is_wanted {
            return;
        }
        let with_folder = |id: AttemptId| -> (AttemptId, PathBuf) { (id, self.folder_of(id)) };
        let wanted: Vec<_> = running.into_iter().map(with_folder).chain(beside).collect();
        if !wanted.is_empty() {
            self.gauging.trees_asked_at = Some(now);
            self.gauge.measure(wanted);
        }
    }

    /// What the shim has seen of an attempt that is over: of a short one nothing else was measured.
    pub(super) fn learn_from_exit(
        &mut self,
        now: Tick,
        id: AttemptId,
        exit: Option<&Exit>,
        batch: &mut Batch,
    ) {
        let Some(exit) = exit.filter(|exit| exit.peak_memory_bytes > 0) else {
            return;
        };
        let tree = TreeMemory {
            key: id.key,
            attempt: id.attempt,
            bytes: exit.peak_memory_bytes,
        };
        let measured = Input::WorkerMemory {
            taken_at: now,
            trees: vec![tree],
        };
        self.feed(now, measured, batch);
    }

    /// The verdict with what only the machine knows: that the kernel ended the worker for want of memory, or that
    /// this daemon did.
    pub(super) fn with_memory(
        &mut self,
        now: Tick,
        id: AttemptId,
        exit: Option<&Exit>,
        verdict: Verdict,
    ) -> Verdict {
        let killed = exit.is_some_and(|exit| {
            let by_kernel = exit.signal == Some(SIGKILL) || exit.exit_code == Some(SHELL_KILLED);
            by_kernel && exit.stopped.is_none()
        });
        if killed && verdict.state == State::Failed {
            if let Some(verdict) = self.ended_in_group(id, exit) {
                return verdict;
            }
        }
        if killed && verdict.state == State::Failed && self.claims_kill(now) {
            let peak = exit.map_or(0, |exit| exit.peak_memory_bytes) >> 20;
            return Verdict {
                state: State::Failed,
                reason: Reason::Oom,
                outcome: "oom",
                message: Some(format!(
                    "the kernel ended it for want of memory; it was seen with {peak} MiB"
                )),
            };
        }
        let relief = self.relief_of(id.key);
        let timed_out = exit.is_some_and(|exit| exit.stopped == Some(StopCause::Timeout));
        if timed_out && matches!(relief, Some(Relief::PausedUntil(_))) {
            // The shim's clock goes on while its worker is stopped.
            return Verdict {
                state: State::Failed,
                reason: Reason::Memory,
                outcome: "memory",
                message: Some(
                    "its time ran out while it was paused to relieve memory; it goes back to its place"
                        .to_owned(),
                ),
            };
        }
        let put_back = relief == Some(Relief::PuttingBack);
        if put_back && verdict.state != State::Succeeded {
            return Verdict {
                outcome: "memory",
                message: Some("it was stopped to relieve memory, and goes back to its place".to_owned()),
                ..verdict
            };
        }
        verdict
    }

    fn claims_kill(&mut self, now: Tick) -> bool {
        if let Ok(counted) = self.gauge.oom_kills() {
            self.gauging.kills.see(now, counted);
        }
        self.gauging.kills.claim(now)
    }

    fn relief_of(&self, key: TaskKey) -> Option<Relief> {
        self.scheduler.task(key).and_then(|task| task.relief)
    }
}

/// The moment that lies as far back as this time since boot.
fn ago(now: Tick, at: Duration) -> Tick {
    let age = since_boot().saturating_sub(at);
    Tick(
        now.0
            .saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    )
}

/// The reading in the scheduler's words.
fn host_reading(taken_at: Tick, reading: Reading, oom_kills: u64) -> HostReading {
    let memory = reading.memory.map(|memory| HostMemory {
        total_bytes: memory.total_bytes,
        available_bytes: memory.available_bytes,
    });
    HostReading {
        taken_at,
        memory: known(memory),
        cpu: cpu(reading.cpu),
        stall_permille: stall(reading.stall),
        oom_kills,
    }
}

fn known<T>(part: Result<T, Unreadable>) -> Measured<T> {
    part.map_or_else(|why| Measured::Unreadable(why.to_string()), Measured::Known)
}

/// One without a share has nothing to compare with, and is not told by the gauge.
fn cpu(cpu: Result<Cpu, Unreadable>) -> Measured<HostCpu> {
    match cpu {
        Ok(Cpu {
            used_share: Some(share),
            count,
            ..
        }) => Measured::Known(HostCpu {
            cpus_milli: milli(count),
            used_milli: milli(count * share),
        }),
        Ok(_) => Measured::Absent,
        Err(why) => Measured::Unreadable(why.to_string()),
    }
}

fn stall(stall: Result<Option<Stall>, Unreadable>) -> Measured<u32> {
    match stall {
        Ok(Some(Stall {
            share: Some(share), ..
        })) => Measured::Known(milli(share)),
        Ok(_) => Measured::Absent,
        Err(why) => Measured::Unreadable(why.to_string()),
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
