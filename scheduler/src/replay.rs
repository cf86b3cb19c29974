//! How a scheduler comes back after a restart: snapshots and journaled changes, no decisions.
//!
//! The time is not known here. Delays therefore count as not over, and what is due or can no
//! longer run is left alone, until the next [`Scheduler::apply`].

use std::sync::Arc;

use crate::entry::Entry;
use crate::{Change, IllegalChange, Refusal, Relief, Scheduler, State, Submission, Task, TaskKey};

impl Scheduler {
    /// Replay: a submission from the journal; decides nothing. A dependency that is not there
    /// (it was when the submission was accepted) is accepted too: the task is `blocked`, and the
    /// next `apply` skips it, visibly, rather than that it be lost.
    ///
    /// # Errors
    /// [`Refusal::Exists`].
    pub fn replay_submission(&mut self, submission: Submission) -> Result<(), Refusal> {
        let key = submission.key;
        if self.store.contains(key) {
            return Err(Refusal::Exists(key));
        }
        self.admit(submission);
        self.tell_dependents(key);
        Ok(())
    }

    /// Replay: a task from a snapshot. Dependencies may name tasks that come later or were removed.
    ///
    /// A task that others wait for is never removed, so that a dependency that is still missing
    /// at the next `apply` means lost data. Then the stored state is the evidence: a task that
    /// was `queued`, `delayed` or active had all its dependencies met, and they stay met. One
    /// that was `blocked` or `held` is skipped, since nobody knows whether its condition came
    /// true, and starting it could do harm.
    ///
    /// A task with the same number is replaced. A slot that another task holds already is
    /// replaced by the lowest free one.
    pub fn restore(&mut self, task: Task) {
        let key = task.submission.key;
        if self.store.contains(key) {
            self.remove(key);
        }
        let lane = self.join(&task.submission.lane);
        let mut entry = Entry::new(&task.submission, lane);
        entry.state = task.state;
        entry.reason = task.reason;
        entry.attempts = task.attempts;
        entry.retries = task.retries;
        entry.stopping = task.stopping && task.state.is_active();
        if task.state.is_active() {
            let free = task.slot.filter(|slot| !self.slots.contains_key(slot));
            entry.slot = free.unwrap_or_else(|| self.lowest_free_slot());
        }
        self.admission.reliefs.set(key, relief_of(&task));
        let missing_is_met = !matches!(task.state, State::Blocked | State::Held);
        self.insert(entry, task.submission, missing_is_met);
        self.tell_dependents(key);
    }

    /// Replay: a change from the journal, through the same table as live changes; decides nothing.
    ///
    /// # Errors
    /// The table has no such change, the attempt is not a new one, or its slot is taken.
    pub fn replay(&mut self, key: TaskKey, change: &Change) -> Result<(), IllegalChange> {
        self.step(key, change)
    }

    /// Replay: an ended task was removed (retention). An unknown one is ignored.
    pub fn replay_forget(&mut self, key: TaskKey) {
        if self.store.contains(key) {
            self.remove(key);
            self.tell_dependents(key);
        }
    }

    /// Replay: a pause (`true`) or resume of a workspace, or of all.
    pub fn replay_pause(&mut self, workspace: Option<Arc<str>>, paused: bool) {
        match workspace {
            Some(workspace) => self.lanes.set_paused(&workspace, paused),
            None => self.all_paused = paused,
        }
    }
}

/// What was done to the attempt, as far as it fits the rest of the task.
fn relief_of(task: &Task) -> Option<Relief> {
    task.relief.filter(|relief| match relief {
        Relief::PausedUntil(_) => task.state == State::Paused && !task.stopping,
        Relief::PuttingBack => task.state.is_active() && task.stopping,
    })
}
