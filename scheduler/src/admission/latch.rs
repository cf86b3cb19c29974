//! A gate with two marks: it closes at once and opens late.
//!
//! With a single mark, a gate would open as soon as it has closed, since closing it is what makes
//! the reading fall.

use crate::Tick;

/// Closed or open, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latch {
    /// Since when it is closed.
    closed_since: Option<Tick>,
    /// Since when the readings of a closed one are below the low mark.
    low_since: Option<Tick>,
}

/// Where a reading lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// It reaches the high mark.
    High,
    /// Between the marks.
    Middle,
    /// Below the low mark.
    Low,
}

impl Latch {
    /// Takes in one reading.
    pub(crate) fn see(&mut self, at: Tick, level: Level, reopen_after_ms: u64) {
        match (level, self.closed_since) {
            (Level::High, _) => {
                self.closed_since.get_or_insert(at);
                self.low_since = None;
            }
            (Level::Middle, _) => self.low_since = None,
            (Level::Low, None) => {}
            (Level::Low, Some(_)) => {
                let low_since = *self.low_since.get_or_insert(at);
                if at.ms_since(low_since) >= reopen_after_ms {
                    *self = Self::default();
                }
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed_since.is_some()
    }

    /// When it opens if the readings stay below the low mark.
    pub(crate) fn opens_at(&self, reopen_after_ms: u64) -> Option<Tick> {
        self.low_since.map(|since| since.plus_ms(reopen_after_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::{Latch, Level};
    use crate::Tick;

    #[test]
    fn it_closes_at_once_and_opens_after_a_time_below_the_low_mark() {
        use Level::{High, Low, Middle};
        let readings = [
            (0, Low, false),
            (500, Middle, false),
            (1_000, High, true),
            (1_500, Middle, true),
            (2_000, Low, true),
            (3_500, Low, true),
            (3_600, Middle, true),
            (4_000, Low, true),
            (5_999, Low, true),
            (6_000, Low, false),
            (6_500, Middle, false),
        ];
        let mut latch = Latch::default();
        for (at, level, closed) in readings {
            latch.see(Tick(at), level, 2_000);
            assert_eq!(latch.is_closed(), closed, "at {at}");
        }
    }

    #[test]
    fn it_says_when_it_opens_as_soon_as_that_is_known() {
        let mut latch = Latch::default();
        latch.see(Tick(1_000), Level::High, 2_000);
        assert_eq!(latch.opens_at(2_000), None);
        latch.see(Tick(1_500), Level::Low, 2_000);
        assert_eq!(latch.opens_at(2_000), Some(Tick(3_500)));
    }
}
