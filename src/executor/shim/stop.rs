//! The stop sequence: the first signal to the whole tree, a grace time, then force until it is empty.

use std::time::{Duration, Instant};

use super::tree::Tree;
use crate::executor::StopPlan;

const FORCE_AGAIN_FIRST: Duration = Duration::from_millis(20);
const FORCE_AGAIN_MOST: Duration = Duration::from_secs(1);
/// After this many rounds in which every survivor was out of reach, the shim gives up.
const ROUNDS_REFUSED_MAX: u32 = 8;

/// A stop under way.
#[derive(Debug)]
pub(super) struct Stop {
    tree: Tree,
    signal: i32,
    /// When force is used, or used again.
    pub(super) next_at: Instant,
    again: Duration,
    forced: bool,
    rounds_refused: u32,
}

impl Stop {
    /// Sends the first signal.
    pub(super) fn begin(tree: Tree, plan: StopPlan, now: Instant) -> Self {
        let mut stop = Self {
            tree,
            signal: plan.signal,
            next_at: deadline(now, plan),
            again: FORCE_AGAIN_FIRST,
            forced: false,
            rounds_refused: 0,
        };
        stop.send_first(now);
        stop
    }

    /// A further request: it can bring the end nearer, never put it off.
    pub(super) fn hurry(&mut self, plan: StopPlan, now: Instant) {
        if self.forced {
            return;
        }
        self.next_at = self.next_at.min(deadline(now, plan));
        if plan.signal != self.signal {
            self.signal = plan.signal;
            self.send_first(now);
        }
    }

    fn send_first(&mut self, now: Instant) {
        if self.signal == libc::SIGKILL {
            self.next_at = now;
        } else {
            self.tree.signal(self.signal);
        }
    }

    /// Uses force if the time has come.
    pub(super) fn proceed(&mut self, now: Instant) {
        if now < self.next_at {
            return;
        }
        self.forced = true;
        let killed = self.tree.kill();
        if killed.found > 0 && killed.found == killed.refused {
            self.rounds_refused += 1;
        } else {
            self.rounds_refused = 0;
        }
        self.next_at = now + self.again;
        self.again = (self.again * 2).min(FORCE_AGAIN_MOST);
    }

    /// What is left belongs to someone whom this user may not signal.
    pub(super) fn is_hopeless(&self) -> bool {
        self.rounds_refused >= ROUNDS_REFUSED_MAX
    }
}

fn deadline(now: Instant, plan: StopPlan) -> Instant {
    // A grace time beyond what the clock can express is as good as a year.
    let year = Duration::from_secs(365 * 24 * 3600);
    now + Duration::from_millis(plan.grace_ms).min(year)
}
