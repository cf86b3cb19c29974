//! Counters that only grow, and how fast they grow between two samples.

use std::time::Duration;

use crate::host::GAP_MAX;

/// Two samples that are closer than this say little: the earlier answer stands. It is what sysinfo asks for.
const GAP_MIN: Duration = Duration::from_millis(200);

/// The speed of one counter.
#[derive(Debug, Default)]
pub(super) struct Meter {
    before: Option<(Duration, u64)>,
    per_second: Option<f64>,
}

impl Meter {
    /// How much the counter has grown per second since the previous sample; `None` at the first one, after a
    /// long pause, and when the counter was set back.
    pub(super) fn per_second(&mut self, now: Duration, count: u64) -> Option<f64> {
        let (then, before) = *self.before.get_or_insert((now, count));
        let gap = now.saturating_sub(then);
        if gap < GAP_MIN && count >= before {
            return self.per_second;
        }
        self.before = Some((now, count));
        let grown = count.checked_sub(before).filter(|_| gap <= GAP_MAX);
        self.per_second = grown.map(|grown| grown as f64 / gap.as_secs_f64());
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_takes_two_samples_that_are_neither_too_close_nor_too_far_apart() {
        let mut meter = Meter::default();
        assert_eq!(meter.per_second(at(1_000), 500), None);
        assert_eq!(meter.per_second(at(1_100), 600), None);
        assert_eq!(meter.per_second(at(1_500), 700), Some(400.0));
        assert_eq!(meter.per_second(at(1_600), 900), Some(400.0));
        assert_eq!(meter.per_second(at(2_500), 1_000), Some(300.0));
        assert_eq!(meter.per_second(at(12_501), 1_000), None);
        assert_eq!(meter.per_second(at(13_501), 1_000), Some(0.0));
    }

    #[test]
    fn a_counter_or_a_clock_that_goes_back_starts_anew() {
        let mut meter = Meter::default();
        meter.per_second(at(1_000), 500);
        meter.per_second(at(2_000), 600);
        assert_eq!(meter.per_second(at(3_000), 10), None);
        assert_eq!(meter.per_second(at(4_000), 20), Some(10.0));
        assert_eq!(meter.per_second(at(3_500), 30), Some(10.0));
        assert_eq!(meter.per_second(at(3_500), 5), None);
    }
}
