//! What the tree used: CPU time when it is over, memory sampled while it runs.

use std::time::{Duration, Instant};

use super::tree::Tree;
use crate::platform;

const SAMPLE_FIRST: Duration = Duration::from_millis(50);
const SAMPLE_AT_MOST: Duration = Duration::from_secs(2);

/// The largest memory of the tree seen so far.
#[derive(Debug)]
pub(super) struct Memory {
    tree: Tree,
    peak_bytes: u64,
    interval: Duration,
    /// When to look next.
    pub(super) next_at: Instant,
}

impl Memory {
    pub(super) fn new(tree: Tree, now: Instant) -> Self {
        Self {
            tree,
            peak_bytes: 0,
            interval: SAMPLE_FIRST,
            next_at: now + SAMPLE_FIRST,
        }
    }

    /// Takes a sample if its time has come: often at first, then every two seconds.
    pub(super) fn sample(&mut self, now: Instant) {
        if now < self.next_at {
            return;
        }
        self.peak_bytes = self.peak_bytes.max(resident(self.tree));
        self.next_at = now + self.interval;
        self.interval = (self.interval * 2).min(SAMPLE_AT_MOST);
    }

    /// The larger of what was sampled of the tree and what the kernel saw of any single process.
    pub(super) fn peak_bytes(&self, single: u64) -> u64 {
        self.peak_bytes.max(single)
    }
}

fn resident(tree: Tree) -> u64 {
    let members = tree.members();
    match members.as_slice() {
        // Proportional figures cost a walk of the page tables, and one process shares with none.
        [(pid, _)] => platform::resident_bytes(*pid),
        many => many
            .iter()
            .map(|(pid, _)| {
                platform::proportional_bytes(*pid).unwrap_or_else(|| platform::resident_bytes(*pid))
            })
            .sum(),
    }
}
