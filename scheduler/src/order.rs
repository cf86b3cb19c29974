//! Which of two queued tasks comes first, and the heap that keeps them so.
//!
//! Aging is a head start in time: a task stands in the order as if it had been submitted
//! `priority × aging_step` earlier. All tasks age alike, so that no place ever changes by waiting,
//! nothing is sorted again, and the longest possible wait can be computed.

use std::cmp::Reverse;
use std::hash::{BuildHasherDefault, Hasher};

use priority_queue::PriorityQueue;

use crate::entry::Entry;
use crate::{TaskKey, Tick};

/// The longest step counted with, half a million years: 255 of them still fit below
/// [`LATEST_MS`], so that a "practically infinite" step means strict priorities, not an overflow.
const LONGEST_STEP_MS: u64 = 1 << 54;

/// The latest moment counted with.
const LATEST_MS: u64 = 1 << 62;

/// A place in the order: smaller runs first. Equal ranks go by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    rank: i64,
    key: TaskKey,
}

impl Place {
    pub(crate) fn new(key: TaskKey, entry: &Entry, aging_step_ms: u64) -> Self {
        let submitted_ms = signed(entry.submitted_at.0.min(LATEST_MS));
        let head_start_ms = u64::from(entry.priority) * aging_step_ms.min(LONGEST_STEP_MS);
        Self {
            rank: submitted_ms - signed(head_start_ms),
            key,
        }
    }

    pub(crate) fn key(self) -> TaskKey {
        self.key
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).expect("both operands are capped at 2^62")
}

/// The moment after which no submission, of whatever priority, comes before this task: even
/// the largest head start does not reach back to it.
pub(crate) fn not_overtaken_after(entry: &Entry, aging_step_ms: u64) -> Tick {
    let levels_above = u64::from(u8::MAX - entry.priority);
    let step_ms = aging_step_ms.min(LONGEST_STEP_MS);
    entry.submitted_at.plus_ms(levels_above * step_ms)
}

/// The heap of one lane: first the smallest place. Removing from the middle is O(log n).
pub(crate) type Queue = PriorityQueue<TaskKey, Reverse<Place>, BuildHasherDefault<KeyHasher>>;

/// Spreads task numbers with one multiplication. The standard hasher would draw its seed from
/// the operating system, and nobody can choose numbers that the daemon gives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: consecutive numbers land far apart.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
