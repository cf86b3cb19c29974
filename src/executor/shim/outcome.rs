//! What the tree used: CPU time when it is over, memory sampled while it runs.

use std::time::{Duration, Instant};

use super::tree::Tree;
use crate::platform;

const SAMPLE_FIRST: Duration = Duration::from_millis(50);
/// The daemon looks at long runs, too, and more often.
const SAMPLE_AT_MOST: Duration = Duration::from_secs(8);
/// Growth by less than this part is no new peak worth its price.
const GROWTH_DIVISOR: u64 = 20;

/// The largest memory of the tree seen so far.
#[derive(Debug)]
pub(super) struct Memory {
    tree: Tree,
    peak_bytes: u64,
    /// What the processes had in RAM together, shared pages counted for each of them, when their proportional
    /// figures were last read.
    resident_bytes: u64,
    interval: Duration,
    /// When to look next.
    pub(super) next_at: Instant,
}

impl Memory {
    pub(super) fn new(tree: Tree, now: Instant) -> Self {
        Self {
            tree,
            peak_bytes: 0,
            resident_bytes: 0,
            interval: SAMPLE_FIRST,
            next_at: now + SAMPLE_FIRST,
        }
    }

    /// Takes a sample if its time has come: often at first, then every eight seconds.
    pub(super) fn sample(&mut self, now: Instant) {
        if now < self.next_at {
            return;
        }
        self.look();
        self.next_at = now + self.interval;
        self.interval = (self.interval * 2).min(SAMPLE_AT_MOST);
    }

    /// Proportional figures cost a walk of the page tables of each process, twenty times what the resident size does.
    /// There is no new peak in them as long as that has not grown.
    fn look(&mut self) {
        let members = self.tree.members();
        let resident: u64 = members
            .iter()
            .map(|(pid, _)| platform::resident_bytes(*pid))
            .sum();
        if let [_] = members.as_slice() {
            // One process shares with none.
            self.peak_bytes = self.peak_bytes.max(resident);
            return;
        }
        if resident <= self.resident_bytes + self.resident_bytes / GROWTH_DIVISOR {
            return;
        }
        self.resident_bytes = resident;
        let proportional = members.iter().map(|(pid, _)| {
            platform::proportional_bytes(*pid).unwrap_or_else(|| platform::resident_bytes(*pid))
        });
        self.peak_bytes = self.peak_bytes.max(proportional.sum());
    }

    /// The larger of what was sampled of the tree and what the kernel saw of any single process.
    pub(super) fn peak_bytes(&self, single: u64) -> u64 {
        self.peak_bytes.max(single)
    }
}
