//! The first moments of a pane, in which the ones beside it are made.
//!
//! A terminal that becomes narrower wraps the lines that it has, and some (WezTerm among them) leave the cursor
//! in the row where it was: what comes next is written over those lines. So nothing is written until the pane has
//! the size that it is to have.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

/// A size that has been the same for this long is the one that stays: `wezterm cli` splits a pane in 18 to 90 ms.
const SAME_FOR: Duration = Duration::from_millis(150);
/// Whoever makes the panes is given this long, which 30 of them take.
const MAKING_MAX: Duration = Duration::from_secs(4);
/// A window that a person is dragging has no size that stays.
const SIZING_MAX: Duration = Duration::from_secs(1);
/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Waits until nobody is making panes and the terminal's size has come to rest, or until `is_to_end`.
pub fn settle(terminal: BorrowedFd<'_>, is_making: impl Fn() -> bool, is_to_end: impl Fn() -> bool) {
    let mut rest = Rest::new(Instant::now());
    while !is_to_end() {
        // A terminal without a size is at rest, and one that is gone is noticed by others.
        let size = tcgetwinsize(terminal).map(|size| (size.ws_col, size.ws_row)).ok();
        if rest.look(Instant::now(), size, is_making()) {
            return;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// How long there has been rest.
struct Rest {
    begin: Instant,
    made: Instant,
    since: Instant,
    size: Option<(u16, u16)>,
}

impl Rest {
    fn new(now: Instant) -> Self {
        Self {
            begin: now,
            made: now,
            since: now,
            size: None,
        }
    }

    /// Takes in how things stand; whether that is enough.
    fn look(&mut self, now: Instant, size: Option<(u16, u16)>, is_making: bool) -> bool {
        if is_making && now - self.begin < MAKING_MAX {
            self.made = now;
        }
        if size != self.size {
            (self.size, self.since) = (size, now);
        }
        let quiet = now - self.since.max(self.made);
        quiet >= SAME_FOR || now - self.made >= SIZING_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first moment that is enough, in ms, where `look` tells the size and whether panes are being made.
    fn enough(look: impl Fn(u64) -> (u16, bool)) -> u64 {
        let begin = Instant::now();
        let mut rest = Rest::new(begin);
        let is_enough = |ms: &u64| {
            let (columns, is_making) = look(*ms);
            rest.look(begin + Duration::from_millis(*ms), Some((columns, 24)), is_making)
        };
        (0..20_000).step_by(10).find(is_enough).unwrap()
    }

    #[test]
    fn the_last_change_counts() {
        assert_eq!(enough(|_| (80, false)), 150);
        assert_eq!(enough(|ms| (if ms < 100 { 80 } else { 40 }, false)), 250);
        assert_eq!(enough(|ms| (80, ms < 700)), 690 + 150);
        assert_eq!(enough(|ms| (if ms < 700 { 80 } else { 40 }, ms < 650)), 850);
    }

    #[test]
    fn it_is_never_long() {
        assert_eq!(enough(|ms| ((ms / 10 % 80) as u16, false)), 1_000);
        assert_eq!(enough(|_| (80, true)), 3_990 + 150);
    }

    #[test]
    fn an_end_is_not_waited_for() {
        let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let begin = Instant::now();
        settle(std::os::fd::AsFd::as_fd(&reader), || true, || true);
        assert!(begin.elapsed() < SAME_FOR);
    }
}
