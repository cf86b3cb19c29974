//! The stop sequence: the first signal to the whole tree, a grace time, perhaps a second signal and the
//! grace time again, then force until the tree is empty.

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
    /// The second signal, until it is sent.
    second: Option<Second>,
    second_sent: Option<i32>,
    /// When force is used, or used again.
    force_at: Instant,
    again: Duration,
    forced: bool,
    rounds_refused: u32,
}

#[derive(Clone, Copy, Debug)]
struct Second {
    signal: i32,
    at: Instant,
}

impl Stop {
    /// Sends the first signal.
    pub(super) fn begin(tree: Tree, plan: StopPlan, now: Instant) -> Self {
        let mut stop = Self {
            tree,
            signal: plan.signal,
            second: Second::of(plan, now),
            second_sent: None,
            force_at: force_at(plan, now),
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
        self.force_at = self.force_at.min(force_at(plan, now));
        if let Some(mut second) = Second::of(plan, now) {
            if !self.was_sent(second.signal) {
                let before = self.second.map_or(second.at, |before| before.at);
                second.at = second.at.min(before);
                self.second = Some(second);
            }
        }
        if !self.was_sent(plan.signal) {
            self.signal = plan.signal;
            self.second = self.second.filter(|second| second.signal != plan.signal);
            self.send_first(now);
        }
    }

    fn was_sent(&self, signal: i32) -> bool {
        self.signal == signal || self.second_sent == Some(signal)
    }

    fn send_first(&mut self, now: Instant) {
        if self.signal == libc::SIGKILL {
            self.force_at = now;
        } else {
            self.tree.signal(self.signal);
        }
    }

    /// When there is something to do next.
    pub(super) fn next_at(&self) -> Instant {
        let second = self.second.filter(|_| !self.forced);
        second.map_or(self.force_at, |second| second.at.min(self.force_at))
    }

    /// Sends the second signal or uses force if the time has come.
    pub(super) fn proceed(&mut self, now: Instant) {
        let due = now.min(self.force_at);
        if let Some(second) = self.second.take_if(|second| second.at <= due) {
            // Its grace time is the command's, however late the shim came to it.
            self.force_at += now.duration_since(second.at);
            self.second_sent = Some(second.signal);
            self.tree.signal(second.signal);
        }
        if now < self.force_at {
            return;
        }
        self.forced = true;
        let killed = self.tree.kill();
        if killed.found > 0 && killed.found == killed.refused {
            self.rounds_refused += 1;
        } else {
            self.rounds_refused = 0;
        }
        self.force_at = now + self.again;
        self.again = (self.again * 2).min(FORCE_AGAIN_MOST);
    }

    /// What is left belongs to someone whom this user may not signal.
    pub(super) fn is_hopeless(&self) -> bool {
        self.rounds_refused >= ROUNDS_REFUSED_MAX
    }
}

impl Second {
    fn of(plan: StopPlan, now: Instant) -> Option<Self> {
        let at = now + grace(plan);
        plan.then
            // That one is no step before force: it is force.
            .filter(|signal| *signal != libc::SIGKILL)
            .map(|signal| Self { signal, at })
    }
}

fn force_at(plan: StopPlan, now: Instant) -> Instant {
    let second = Second::of(plan, now);
    second.map_or(now, |second| second.at) + grace(plan)
}

fn grace(plan: StopPlan) -> Duration {
    // A grace time beyond what the clock can express is as good as a year.
    let year = Duration::from_secs(365 * 24 * 3600);
    Duration::from_millis(plan.grace_ms).min(year)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(signal: i32, grace_s: u64, then: Option<i32>) -> StopPlan {
        StopPlan {
            signal,
            grace_ms: grace_s * 1000,
            then,
        }
    }

    /// A stop of a tree that is empty, since no process has that number.
    fn begin(plan: StopPlan) -> (Stop, Instant) {
        let now = Instant::now();
        (Stop::begin(Tree::below(i32::MAX), plan, now), now)
    }

    #[test]
    fn each_step_has_the_whole_grace_time() {
        let (mut stop, start) = begin(plan(libc::SIGINT, 10, Some(libc::SIGTERM)));
        assert_eq!(stop.next_at(), start + 10 * SECOND);
        stop.proceed(start + 9 * SECOND);
        assert_eq!(stop.second_sent, None);
        // The machine was busy, or slept.
        stop.proceed(start + 45 * SECOND);
        assert_eq!(stop.second_sent, Some(libc::SIGTERM));
        assert_eq!(stop.next_at(), start + 55 * SECOND);
        stop.proceed(start + 54 * SECOND);
        assert!(!stop.forced);
        stop.proceed(start + 55 * SECOND);
        assert!(stop.forced);
    }

    #[test]
    fn without_a_second_signal_or_with_force_for_one_there_are_two_steps() {
        for then in [None, Some(libc::SIGKILL)] {
            let (mut stop, start) = begin(plan(libc::SIGINT, 10, then));
            assert_eq!(stop.next_at(), start + 10 * SECOND);
            stop.proceed(start + 10 * SECOND);
            assert!(stop.forced);
        }
    }

    #[test]
    fn a_further_request_never_puts_the_end_off() {
        let (mut stop, start) = begin(plan(libc::SIGINT, 10, Some(libc::SIGTERM)));
        stop.hurry(plan(libc::SIGINT, 60, Some(libc::SIGTERM)), start);
        assert_eq!(stop.next_at(), start + 10 * SECOND);
        assert_eq!(stop.force_at, start + 20 * SECOND);
        // It is what the second step would have been.
        stop.hurry(plan(libc::SIGTERM, 60, None), start);
        assert_eq!(stop.next_at(), start + 20 * SECOND);
        stop.hurry(plan(libc::SIGTERM, 5, None), start + SECOND);
        assert_eq!(stop.next_at(), start + 6 * SECOND);
        stop.hurry(plan(libc::SIGKILL, 60, None), start + 2 * SECOND);
        assert_eq!(stop.next_at(), start + 2 * SECOND);
    }

    #[test]
    fn a_further_request_may_add_a_step_within_the_time() {
        let (mut stop, start) = begin(plan(libc::SIGINT, 10, None));
        stop.hurry(plan(libc::SIGINT, 4, Some(libc::SIGTERM)), start);
        assert_eq!(stop.next_at(), start + 4 * SECOND);
        stop.proceed(start + 4 * SECOND);
        assert_eq!(stop.next_at(), start + 8 * SECOND);
        // Said again, it is not done again.
        stop.hurry(plan(libc::SIGINT, 4, Some(libc::SIGTERM)), start + 5 * SECOND);
        assert_eq!(stop.next_at(), start + 8 * SECOND);
        assert!(stop.second.is_none());
    }
}
