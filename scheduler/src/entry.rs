//! The compact form in which a task is kept: a million of them have to fit.
//!
//! What few tasks have (dependencies) stands elsewhere, what many share (the lane) is a number.

use std::num::NonZeroU64;

use crate::{Backoff, Reason, State, Submission, TaskKey, Tick};

/// `Option<Tick>` in eight bytes: the moment plus one. The very last millisecond of the range
/// comes back as the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(Option<NonZeroU64>);

impl From<Option<Tick>> for Moment {
    fn from(tick: Option<Tick>) -> Self {
        Self(tick.and_then(|tick| NonZeroU64::new(tick.0.saturating_add(1))))
    }
}

impl From<Moment> for Option<Tick> {
    fn from(moment: Moment) -> Self {
        moment.0.map(|plus_one| Tick(plus_one.get() - 1))
    }
}

/// One task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) submitted_at: Tick,
    pub(crate) not_before: Moment,
    pub(crate) start_by: Moment,
    pub(crate) base_ms: u64,
    pub(crate) max_ms: u64,
    pub(crate) reason: Option<Reason>,
    pub(crate) max_retries: u32,
    /// The number of its lane in `Lanes`.
    pub(crate) lane: u32,
    /// Means something only while the task is active.
    pub(crate) slot: u32,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    pub(crate) priority: u8,
    pub(crate) state: State,
    pub(crate) held: bool,
    pub(crate) stopping: bool,
}

// The goal of 200 bytes for a queued task, heaps and maps included, rests on this.
const _: () = assert!(size_of::<Option<Entry>>() == 80);

impl Entry {
    /// A task that was just submitted. Its state is preliminary, until its facts are looked at.
    pub(crate) fn new(submission: &Submission, lane: u32) -> Self {
        Self {
            submitted_at: submission.submitted_at,
            not_before: submission.not_before.into(),
            start_by: submission.start_by.into(),
            base_ms: submission.backoff.base_ms,
            max_ms: submission.backoff.max_ms,
            reason: None,
            max_retries: submission.backoff.max_retries,
            lane,
            slot: 0,
            attempts: 0,
            retries: 0,
            priority: submission.priority,
            state: State::Queued,
            held: submission.held,
            stopping: false,
        }
    }

    /// What happens after a failure.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            max_retries: self.max_retries,
            base_ms: self.base_ms,
            max_ms: self.max_ms,
        }
    }

    /// Until when it must have started, as long as that still matters.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        if self.state.is_pending() && self.attempts == 0 {
            self.start_by.into()
        } else {
            None
        }
    }

    /// The end of its delay, if that lies after `now`.
    pub(crate) fn delayed_until(&self, now: Tick) -> Option<Tick> {
        Option::<Tick>::from(self.not_before).filter(|tick| *tick > now)
    }

    /// Whether `attempt` is the one that runs.
    pub(crate) fn runs(&self, attempt: u32) -> bool {
        self.state.is_active() && self.attempts == attempt
    }
}

/// A task and its number.
pub(crate) type Numbered<'a> = (TaskKey, &'a Entry);
