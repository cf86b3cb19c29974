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
        let wall = wall();
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
            anchored_at: crate::platform::since_boot(),
        }
    }

    /// Now.
    #[must_use]
    pub(super) fn now(&self) -> Tick {
        let elapsed = crate::platform::since_boot().saturating_sub(self.anchored_at);
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
