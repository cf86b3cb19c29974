//! How much CPU time may go into measuring proportional sizes: a share of the time that passes, with a little saved
//! up. So the cost is bounded whatever the sizes of the processes and the speed of the machine; what is short of
//! time waits, and counts too much rather than too little until then.

use std::time::Duration;

/// Seconds of CPU time per second.
const SHARE: f64 = 0.0005;
/// What can be saved up: a small tree that has just been started is measured at once.
const SAVED_MAX: f64 = 0.005;

/// Time that is left, in seconds; below zero after a measurement that took longer than there was.
pub(super) struct Allowance {
    left: f64,
    earned_at: Option<Duration>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: SAVED_MAX,
            earned_at: None,
        }
    }
}

impl Allowance {
    /// What has been earned since the last call.
    pub(super) fn earn(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.earned_at.unwrap_or(now));
        self.earned_at = Some(now);
        self.left = (self.left + passed.as_secs_f64() * SHARE).min(SAVED_MAX);
    }

    /// Whether any is left.
    pub(super) fn lasts(&self) -> bool {
        self.left > 0.0
    }

    /// Time that was used.
    pub(super) fn spend(&mut self, used: Duration) {
        self.left -= used.as_secs_f64();
    }
}
