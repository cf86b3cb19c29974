//! What a journaled fact does to the store: the same live and in replay.

use wezterm_parallel_scheduler::{Change, TaskKey, Tick};

use super::store::Store;
use crate::executor::Exit;
use crate::journal::{AttemptImage, ClaudeFacts};

/// A task's change, seen from the store.
pub(super) fn change(store: &mut Store, at: Tick, key: TaskKey, change: &Change) {
    match change {
        Change::Started { attempt, .. } => {
            store.report(key, None);
            store.mark_active(key);
            if let Some(entry) = store.get_mut(key) {
                entry.attempts.push(AttemptImage::started(*attempt, at));
            }
        }
        Change::Ended { .. } => {
            store.report(key, None);
            store.mark_ended(key, at);
        }
        Change::Requeued { .. } => store.report(key, None),
        Change::Revived => {
            store.mark_active(key);
            if let Some(entry) = store.get_mut(key) {
                entry.revived_after = entry.attempts.last().map_or(0, |attempt| attempt.attempt);
            }
        }
        // A claim of a running attempt is what it runs; one after its end is for the next.
        Change::Claimed(session) => {
            let attempt = store.get_mut(key).and_then(|entry| entry.attempts.last_mut());
            if let Some(attempt) = attempt.filter(|attempt| attempt.outcome.is_none()) {
                attempt.session.clone_from(session);
            }
        }
        Change::StopRequested
        | Change::Asked
        | Change::Answered
        | Change::Suspended
        | Change::Relieved { .. }
        | Change::PutBackRequested
        | Change::Continued
        | Change::Held
        | Change::Released
        | Change::Edited(_) => {}
    }
}

/// The outcome of an attempt.
pub(super) struct Outcome {
    pub(super) attempt: u32,
    pub(super) exit: Option<Box<Exit>>,
    pub(super) outcome: Box<str>,
    pub(super) message: Option<Box<str>>,
    pub(super) claude: Option<Box<ClaudeFacts>>,
    pub(super) at: Tick,
}

/// An attempt's outcome, seen from the store. Told twice, the first one stands.
pub(super) fn outcome(store: &mut Store, key: TaskKey, told: Outcome) {
    let entry = store.get_mut(key);
    let attempt = entry.and_then(|entry| {
        entry
            .attempts
            .iter_mut()
            .rfind(|attempt| attempt.attempt == told.attempt)
    });
    if let Some(attempt) = attempt.filter(|attempt| attempt.outcome.is_none()) {
        attempt.ended_at = Some(told.at);
        attempt.exit = told.exit;
        attempt.outcome = Some(told.outcome);
        attempt.message = told.message;
        attempt.claude = told.claude;
    }
}
