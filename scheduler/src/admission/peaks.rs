//! What the tasks of each lane have been seen to need: a decayed maximum of measured memory.
//!
//! It rises at once, with whatever a running worker is measured at, and sinks slowly, with each
//! attempt that has run its course and needed less.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Lane, Tick};

/// With each attempt, the peak sinks by this part of the difference.
const DECAY_DIVISOR: u64 = 10;

/// Of the average duration, an attempt makes up this part.
const DURATION_DIVISOR: u64 = 4;

/// Clients can think of any number of workspaces; the peaks that were not touched for longest go.
const PEAKS_MAX: usize = 4_096;

/// What is known of one lane, to be kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePeak {
    /// The lane.
    pub lane: Lane,
    /// What one of its tasks is expected to need.
    pub bytes: u64,
    /// When that was learned.
    pub learned_at: Tick,
    /// How long its attempts last on average, in milliseconds; `None` if none has run its course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
}

/// What is known of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peak {
    pub(crate) bytes: u64,
    /// Whether an attempt has run its course. Until then, it is only what was seen so far.
    pub(crate) is_learned: bool,
    /// See [`LanePeak::run_ms`].
    pub(crate) run_ms: Option<u64>,
    touched_at: Tick,
}

/// What is known of all lanes.
#[derive(Debug, Default)]
pub(crate) struct Peaks {
    by_lane: BTreeMap<Lane, Peak>,
    /// The same by the numbers of the lanes that have tasks, since decisions look here.
    by_number: Vec<Option<Peak>>,
}

impl Peaks {
    /// A lane was given this number.
    pub(crate) fn number(&mut self, number: u32, lane: &Lane) {
        let peak = self.by_lane.get(lane).copied();
        let index = number as usize;
        if index >= self.by_number.len() {
            self.by_number.resize(index + 1, None);
        }
        self.by_number[index] = peak;
    }

    pub(crate) fn of(&self, number: u32) -> Option<Peak> {
        self.by_number.get(number as usize).copied().flatten()
    }

    /// A worker of this lane was measured. Whether that changes anything.
    pub(crate) fn measure(&mut self, number: u32, lane: &Lane, bytes: u64, now: Tick) -> bool {
        let before = self.of(number);
        if before.is_some_and(|peak| peak.bytes >= bytes) {
            return false;
        }
        let is_learned = before.is_some_and(|peak| peak.is_learned);
        self.set(number, lane, bytes, is_learned, now);
        true
    }

    /// An attempt of this lane has run its course, and was measured at this most.
    pub(crate) fn learn(&mut self, number: u32, lane: &Lane, bytes: u64, now: Tick) {
        let before = self.of(number).map_or(0, |peak| peak.bytes);
        // What was seen of others on the way counts from the beginning.
        let sunk = before - before.saturating_sub(bytes) / DECAY_DIVISOR;
        self.set(number, lane, bytes.max(sunk), true, now);
    }

    /// An attempt of this lane has lasted so long. Only of lanes whose memory is known.
    pub(crate) fn learn_duration(&mut self, number: u32, lane: &Lane, run_ms: u64) {
        let Some(peak) = self.by_number.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let mean = peak.run_ms.map_or(run_ms, |before| {
            before - before / DURATION_DIVISOR + run_ms / DURATION_DIVISOR
        });
        peak.run_ms = Some(mean);
        if let Some(known) = self.by_lane.get_mut(lane) {
            known.run_ms = Some(mean);
        }
    }

    fn set(&mut self, number: u32, lane: &Lane, bytes: u64, is_learned: bool, now: Tick) {
        let peak = Peak {
            bytes,
            is_learned,
            run_ms: self.of(number).and_then(|before| before.run_ms),
            touched_at: now,
        };
        self.by_number[number as usize] = Some(peak);
        if let Some(known) = self.by_lane.get_mut(lane) {
            *known = peak;
            return;
        }
        if self.by_lane.len() >= PEAKS_MAX {
            self.drop_oldest();
        }
        self.by_lane.insert(lane.clone(), peak);
    }

    fn drop_oldest(&mut self) {
        let oldest = self.by_lane.iter().min_by_key(|(_, peak)| peak.touched_at);
        if let Some(lane) = oldest.map(|(lane, _)| lane.clone()) {
            self.by_lane.remove(&lane);
        }
    }

    /// What was learned before a restart; `number_of` finds the lanes that have tasks.
    pub(crate) fn import(&mut self, peaks: Vec<LanePeak>, number_of: impl Fn(&Lane) -> Option<u32>) {
        for LanePeak {
            lane,
            bytes,
            learned_at,
            run_ms,
        } in peaks.into_iter().take(PEAKS_MAX)
        {
            let peak = Peak {
                bytes,
                is_learned: true,
                run_ms,
                touched_at: learned_at,
            };
            if let Some(number) = number_of(&lane) {
                self.by_number[number as usize] = Some(peak);
            }
            self.by_lane.insert(lane, peak);
        }
    }

    /// What was learned so far.
    pub(crate) fn export(&self) -> Vec<LanePeak> {
        let learned = self.by_lane.iter().filter(|(_, peak)| peak.is_learned);
        learned
            .map(|(lane, peak)| LanePeak {
                lane: lane.clone(),
                bytes: peak.bytes,
                learned_at: peak.touched_at,
                run_ms: peak.run_ms,
            })
            .collect()
    }

    /// Panics if numbers and lanes do not fit together, for `check_invariants`.
    pub(crate) fn check_numbers<'a>(&self, lanes: impl Iterator<Item = (u32, &'a Lane)>) {
        for (number, lane) in lanes {
            if let Some(known) = self.by_lane.get(lane) {
                assert_eq!(self.of(number), Some(*known), "peak of {lane:?}");
            }
        }
        assert!(self.by_lane.len() <= PEAKS_MAX, "{} peaks", self.by_lane.len());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{LanePeak, Peaks, PEAKS_MAX};
    use crate::{Lane, Tick};

    fn lane(workspace: &str) -> Lane {
        Lane {
            workspace: Arc::from(workspace),
            worker: Arc::from("shell"),
        }
    }

    #[test]
    fn it_rises_at_once_and_sinks_slowly() {
        let (mut peaks, api) = (Peaks::default(), lane("api"));
        peaks.number(0, &api);
        assert!(peaks.measure(0, &api, 400, Tick(1)));
        assert!(!peaks.measure(0, &api, 300, Tick(2)), "it is not more");
        assert_eq!(peaks.export(), [], "nothing has ended yet");
        peaks.learn(0, &api, 400, Tick(3));
        peaks.learn(0, &api, 300, Tick(4));
        assert_eq!(peaks.of(0).map(|peak| peak.bytes), Some(390));
        assert!(peaks.measure(0, &api, 1_000, Tick(5)));
        let exported = LanePeak {
            lane: api,
            bytes: 1_000,
            learned_at: Tick(5),
            run_ms: None,
        };
        assert_eq!(peaks.export(), [exported]);
    }

    #[test]
    fn durations_are_averaged() {
        let (mut peaks, api) = (Peaks::default(), lane("api"));
        peaks.number(0, &api);
        peaks.learn_duration(0, &api, 100);
        assert_eq!(peaks.of(0), None, "nothing is known of its memory");
        peaks.learn(0, &api, 400, Tick(1));
        for (run_ms, mean) in [(100, 100), (500, 200), (0, 150)] {
            peaks.learn_duration(0, &api, run_ms);
            assert_eq!(peaks.of(0).and_then(|peak| peak.run_ms), Some(mean));
        }
        peaks.learn(0, &api, 400, Tick(2));
        assert_eq!(peaks.export()[0].run_ms, Some(150));
    }

    #[test]
    fn a_lane_that_comes_back_is_known_again() {
        let (mut peaks, api) = (Peaks::default(), lane("api"));
        peaks.number(3, &api);
        peaks.learn(3, &api, 400, Tick(1));
        peaks.number(3, &lane("web"));
        assert_eq!(peaks.of(3), None);
        peaks.number(1, &api);
        assert_eq!(peaks.of(1).map(|peak| peak.bytes), Some(400));
        let mut again = Peaks::default();
        again.number(0, &api);
        again.import(peaks.export(), |other| (*other == api).then_some(0));
        assert_eq!(again.of(0).map(|peak| peak.bytes), Some(400));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut peaks = Peaks::default();
        for number in 0..=PEAKS_MAX {
            let lane = lane(&number.to_string());
            peaks.number(0, &lane);
            peaks.learn(0, &lane, 1, Tick(number as u64));
        }
        let known = peaks.export();
        assert_eq!(known.len(), PEAKS_MAX);
        assert!(known.iter().all(|peak| peak.learned_at > Tick(0)));
    }
}
