//! What the end of an attempt teaches about those that follow.

use super::holds::Hold;
use super::Admission;
use crate::{Reason, TaskKey, Tick};

/// After an OOM kill, half as much again is expected.
const RAISE_AFTER_OOM: (u64, u64) = (3, 2);
/// After an attempt was put back, a quarter more than it had come to.
const RAISE_AFTER_RELIEF: (u64, u64) = (5, 4);

/// A task whose attempts were ended for want of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raised {
    /// What it is expected to need at least.
    pub(crate) bytes: u64,
    times_put_back: u32,
}

impl Admission {
    /// It is over, for this reason; what it has come to says something of those that follow.
    pub(crate) fn release(&mut self, now: Tick, key: TaskKey, reason: Option<Reason>, is_end: bool) {
        let Some(hold) = self.holds.remove(key) else {
            return;
        };
        match reason {
            Some(Reason::Oom) => self.learn_from_kill(now, key, &hold),
            Some(Reason::Memory) => {
                let raised = self.raised.entry(key).or_default();
                raised.times_put_back += 1;
                raised.bytes = raised.bytes.max(times(hold.peak_bytes, RAISE_AFTER_RELIEF));
            }
            Some(reason) if ran_its_course(reason) => {
                self.learn(now, &hold, hold.peak_bytes);
                self.learn_duration(now, &hold);
            }
            Some(_) | None => {}
        }
        if is_end {
            self.raised.remove(&key);
        }
    }

    /// Half as much again as it was last seen to use, or was expected to.
    fn learn_from_kill(&mut self, now: Tick, key: TaskKey, hold: &Hold) {
        let seen = if hold.peak_bytes == 0 {
            hold.expected.bytes
        } else {
            hold.peak_bytes
        };
        let bytes = times(seen, RAISE_AFTER_OOM);
        self.learn(now, hold, bytes);
        if self.rules.enabled {
            let raised = self.raised.entry(key).or_default();
            raised.bytes = raised.bytes.max(bytes);
        }
    }

    fn learn(&mut self, now: Tick, hold: &Hold, bytes: u64) {
        if self.rules.enabled && bytes > 0 {
            self.peaks.learn(hold.lane_number, &hold.lane, bytes, now);
            self.expect_anew(|number| number == hold.lane_number);
        }
    }

    /// One that ran before a restart has been longer than anybody knows.
    fn learn_duration(&mut self, now: Tick, hold: &Hold) {
        if self.rules.enabled && hold.started_at > Tick(0) {
            let run_ms = now.ms_since(hold.started_at);
            self.peaks.learn_duration(hold.lane_number, &hold.lane, run_ms);
        }
    }

    pub(crate) fn times_put_back(&self, key: TaskKey) -> u32 {
        self.raised.get(&key).map_or(0, |raised| raised.times_put_back)
    }
}

/// Whether an attempt that ended for this reason has run as far as others of its lane will.
fn ran_its_course(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Ok | Reason::ExitCode | Reason::Timeout | Reason::NoOp | Reason::MaxTurns | Reason::Denied
    )
}

fn times(bytes: u64, (factor, divisor): (u64, u64)) -> u64 {
    bytes.saturating_mul(factor) / divisor
}
