//! The last minutes in numbers: how deep the queue was and how many tasks ended.
//!
//! Pure. Ended tasks are counted by their events; where too many came to be heard one by one, by what the
//! summaries differ in.

use std::collections::VecDeque;

use crate::protocol::Summary;

/// Ends that a summary counts.
const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "skipped", "lost"];
/// One bar of a sparkline, in milliseconds.
pub(super) const STEP_MS: u64 = 5_000;
/// Ten minutes.
const STEPS_MAX: usize = 120;

/// Five seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    queued: u64,
    events: u64,
    /// By how much the summary's count of ended tasks has grown.
    grown: u64,
}

impl Step {
    fn ended(self) -> u64 {
        self.events.max(self.grown)
    }
}

/// The steps, oldest first; the last one is now.
#[derive(Debug, Default)]
pub(super) struct History {
    steps: VecDeque<Step>,
    /// The number of the last step since the epoch.
    now: u64,
    ended_before: Option<u64>,
}

impl History {
    /// Lets time pass; whether there is a new step.
    pub(super) fn pass(&mut self, now_ms: u64) -> bool {
        let now = now_ms / STEP_MS;
        if self.steps.is_empty() {
            self.now = now;
            self.steps.push_back(Step::default());
            return true;
        }
        let passed = now.saturating_sub(self.now);
        for _ in 0..passed.min(STEPS_MAX as u64) {
            let queued = self.steps.back().map_or(0, |step| step.queued);
            self.steps.push_back(Step {
                queued,
                ..Step::default()
            });
        }
        let too_many = self.steps.len().saturating_sub(STEPS_MAX);
        self.steps.drain(..too_many);
        self.now = self.now.max(now);
        passed > 0
    }

    /// A task has ended.
    pub(super) fn ended(&mut self) {
        if let Some(step) = self.steps.back_mut() {
            step.events += 1;
        }
    }

    /// How the queue stands.
    pub(super) fn summary(&mut self, summary: &Summary) {
        let counts = ENDS.iter().filter_map(|name| summary.states.get(*name));
        let ended = counts.sum::<usize>() as u64;
        let before = self.ended_before.replace(ended);
        if let Some(step) = self.steps.back_mut() {
            step.queued = summary.queued as u64;
            // What was cleaned away meanwhile makes it less.
            step.grown += before.map_or(0, |before| ended.saturating_sub(before));
        }
    }

    /// Another daemon counts anew.
    pub(super) fn begin_anew(&mut self) {
        self.ended_before = None;
    }

    /// How deep the queue was, the last step last; `None` where nothing was known yet.
    pub(super) fn depth(&self) -> Vec<u64> {
        self.steps.iter().map(|step| step.queued).collect()
    }

    /// How many tasks ended in each step.
    pub(super) fn throughput(&self) -> Vec<u64> {
        self.steps.iter().map(|step| step.ended()).collect()
    }

    /// How many ended in the last minute.
    pub(super) fn ended_per_minute(&self) -> u64 {
        let steps = (60_000 / STEP_MS) as usize;
        self.steps.iter().rev().take(steps).map(|step| step.ended()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(queued: usize, succeeded: usize) -> Summary {
        Summary {
            queued,
            states: [("succeeded".to_owned(), succeeded)].into(),
            ..Summary::default()
        }
    }

    #[test]
    fn steps_pass_and_are_kept_for_minutes() {
        let mut history = History::default();
        assert!(history.pass(1_000_000));
        history.summary(&summary(7, 100));
        history.ended();
        assert!(!history.pass(1_004_999));
        assert!(history.pass(1_010_000));
        // Two were told, five are counted: the rest came too fast.
        history.ended();
        history.ended();
        history.summary(&summary(4, 105));
        // Cleaned away.
        history.summary(&summary(4, 0));
        assert_eq!(history.depth(), [7, 7, 4]);
        assert_eq!(history.throughput(), [1, 0, 5]);
        assert_eq!(history.ended_per_minute(), 6);
        history.pass(1_065_000);
        assert_eq!(history.ended_per_minute(), 5);
        history.pass(9_000_000);
        assert_eq!(history.depth().len(), STEPS_MAX);
        assert_eq!(history.ended_per_minute(), 0);
    }
}
