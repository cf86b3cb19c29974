//! The engine's clock: wall time that cannot be set back.
//!
//! Anchored to the wall once, at the start, then counted by the kernel's boot-time clock, which
//! goes on in suspend and which nobody can set. A wall clock that jumps back and forth therefore
//! neither fires a delay early nor stalls one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wezterm_parallel_scheduler::Tick;

/// A journal that lies further ahead of the wall than this was written under a wrong clock.
const AHEAD_MAX_MS: u64 = 60 * 60 * 1000;

/// Tells the time in [`Tick`]s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    anchor: Tick,
    anchored_at: Duration,
}

impl Clock {
    /// A clock that shows the wall's time now, or `newest` (the newest moment in the journal) if
    /// the wall is a little behind it.
    #[must_use]
    pub(super) fn start(newest: Tick) -> Self {
        Self::anchored(newest, wall(), crate::platform::since_boot())
    }

    /// From readings of both clocks.
    fn anchored(newest: Tick, wall: Tick, since_boot: Duration) -> Self {
        let ahead = newest.ms_since(wall);
        if ahead > AHEAD_MAX_MS {
            tracing::warn!(
                ahead_ms = ahead,
                "the journal's newest record lies in the future: the clock was wrong then, or is now"
            );
        }
        let anchor = if ahead > AHEAD_MAX_MS {
            wall
        } else {
            wall.max(newest)
        };
        Self {
            anchor,
            anchored_at: since_boot,
        }
    }

    /// Now.
    #[must_use]
    pub(super) fn now(&self) -> Tick {
        self.at(crate::platform::since_boot())
    }

    /// What it shows when the kernel has counted so far. The wall has no say in it.
    fn at(&self, since_boot: Duration) -> Tick {
        let elapsed = since_boot.saturating_sub(self.anchored_at);
        self.anchor
            .plus_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The wall's time.
fn wall() -> Tick {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Tick(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Tick = Tick(1_800_000_000_000);
    const HOUR_MS: u64 = 60 * 60 * 1000;

    #[test]
    fn once_started_only_the_kernels_count_moves_it() {
        let clock = Clock::anchored(Tick::default(), NOON, Duration::from_secs(500));
        assert_eq!(clock.at(Duration::from_secs(500)), NOON);
        assert_eq!(clock.at(Duration::from_secs(560)), NOON.plus_ms(60_000));
        // A count that went back, which a kernel never shows, is held and not believed.
        assert_eq!(clock.at(Duration::from_secs(400)), NOON);
    }

    #[test]
    fn a_wall_that_was_set_back_between_two_daemons_does_not_run_twice_through_the_same_minutes() {
        let newest = NOON.plus_ms(HOUR_MS / 2);
        let clock = Clock::anchored(newest, NOON, Duration::from_secs(9));
        assert_eq!(clock.at(Duration::from_secs(10)), newest.plus_ms(1_000));
    }

    #[test]
    fn a_wall_that_was_set_right_after_a_year_in_the_future_counts_again() {
        let newest = NOON.plus_ms(365 * 24 * HOUR_MS);
        let clock = Clock::anchored(newest, NOON, Duration::ZERO);
        assert_eq!(clock.at(Duration::from_secs(1)), NOON.plus_ms(1_000));
    }

    #[test]
    fn a_wall_that_was_set_forward_between_two_daemons_is_followed() {
        let clock = Clock::anchored(NOON, NOON.plus_ms(5 * HOUR_MS), Duration::ZERO);
        assert_eq!(clock.at(Duration::ZERO), NOON.plus_ms(5 * HOUR_MS));
    }

    #[test]
    fn a_journal_slightly_ahead_of_the_wall_wins() {
        let newest = wall().plus_ms(30_000);
        assert!(Clock::start(newest).now() >= newest);
    }

    #[test]
    fn a_journal_from_the_far_future_does_not() {
        let newest = wall().plus_ms(10 * AHEAD_MAX_MS);
        assert!(Clock::start(newest).now() < newest);
    }
}
