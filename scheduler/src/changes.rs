//! How a change of one task is carried out, live and in replay alike.
//!
//! Every index (heaps, timers, slots, counts) is a function of the tasks' facts. A change takes
//! the task out of all of them, sets its facts, and puts it back where these say.

use std::sync::Arc;

use crate::entry::Entry;
use crate::order::Place;
use crate::state::Next;
use crate::{Change, Edit, IllegalChange, Lane, Needs, Requeue, Scheduler, State, Submission, TaskKey};

impl Scheduler {
    /// One change through the table; nothing has changed if it is refused.
    pub(crate) fn step(&mut self, key: TaskKey, change: &Change) -> Result<(), IllegalChange> {
        let before = self.store.get(key).copied();
        let next = before.and_then(|entry| entry.state.after(change));
        let (Some(before), Some(next)) = (before, next) else {
            return Err(illegal(key, before, change));
        };
        if let Change::Started { attempt, slot } = change {
            if *attempt <= before.attempts || self.slots.contains_key(slot) {
                return Err(illegal(key, Some(before), change));
            }
        }
        let session_before = self.sessions.of(key).cloned();
        self.take_out(key);
        self.set_facts(key, change);
        self.admission.reliefs.take(key, change);
        let state = match next {
            Next::Is(state) => state,
            Next::Pending => self.pending_state(key),
        };
        self.put_in(key, state);
        if state.is_active() != before.state.is_active() {
            self.hold_or_release(key, change);
        }
        self.follow_up(key, before.state, state);
        // Only who works in a session matters to those who wait for it.
        let takes_over = matches!(change, Change::Claimed(_)) && state.is_active();
        if takes_over || before.state.is_active() != state.is_active() {
            self.tell_session(session_before);
        }
        if takes_over {
            self.tell_session(self.sessions.of(key).cloned());
        }
        Ok(())
    }

    /// An attempt takes its part of the machine, or gives it back.
    fn hold_or_release(&mut self, key: TaskKey, change: &Change) {
        let entry = *self.entry(key);
        if entry.state.is_active() {
            let lane = &self.lanes.get(entry.lane).lane;
            self.admission
                .hold(self.now, (key, entry.attempts), entry.lane, lane);
            return;
        }
        let reason = match change {
            Change::Requeued { reason, .. } | Change::Ended { reason, .. } => Some(*reason),
            _ => None,
        };
        self.shares.end(self.admission.clock, key);
        self.admission
            .release(self.admission.clock, key, reason, entry.state.is_end());
    }

    /// What a change of one task means for the others.
    fn follow_up(&mut self, key: TaskKey, before: State, after: State) {
        if before.is_end() != after.is_end() {
            if after.is_end() {
                self.dependencies.unlink(key);
            } else {
                self.dependencies.link(key);
            }
            self.tell_dependents(key);
        }
        self.suspect(key, after);
    }

    /// Marks a pending task that waits in vain, for the next `settle`.
    fn suspect(&mut self, key: TaskKey, state: State) {
        if state.is_pending() && self.dependencies.hopeless(key, &self.store).is_some() {
            self.doomed.insert(key);
        }
    }

    /// Adds a new task.
    pub(crate) fn admit(&mut self, submission: Submission) {
        let lane = self.join(&submission.lane);
        let entry = Entry::new(&submission, lane);
        self.insert(entry, submission, false);
    }

    /// Counts one more task in this lane, and says the lane's number.
    pub(crate) fn join(&mut self, lane: &Lane) -> u32 {
        let number = self.lanes.join(lane.clone());
        if self.lanes.get(number).tasks == 1 {
            self.admission.number(number, lane);
        }
        number
    }

    /// Adds a task with its facts; a pending one goes where these say.
    pub(crate) fn insert(&mut self, entry: Entry, submission: Submission, missing_is_met: bool) {
        let key = submission.key;
        self.store.insert(key, entry);
        self.dependencies.set(key, submission.after, missing_is_met);
        self.sessions.set(key, submission.session);
        self.budgets.set_cost(key, submission.cost);
        self.admission.set_needs(key, submission.needs);
        let state = if entry.state.is_pending() {
            self.pending_state(key)
        } else {
            entry.state
        };
        self.put_in(key, state);
        if state.is_active() {
            let lane = &self.lanes.get(entry.lane).lane;
            self.admission
                .hold(self.now, (key, entry.attempts), entry.lane, lane);
        }
        if !state.is_end() {
            self.dependencies.link(key);
        }
        self.suspect(key, state);
        if state.is_active() {
            self.tell_session(self.sessions.of(key).cloned());
        }
    }

    /// Removes a task and all that is known of it.
    pub(crate) fn remove(&mut self, key: TaskKey) {
        self.take_out(key);
        self.dependencies.forget(key);
        self.doomed.remove(&key);
        self.budgets.set_cost(key, 0);
        self.shares.end(self.now, key);
        self.admission.forget(key);
        let session = self.sessions.of(key).cloned();
        self.sessions.set(key, None);
        if let Some(entry) = self.store.remove(key) {
            self.lanes.part(entry.lane);
            if entry.state.is_active() {
                self.tell_session(session);
            }
        }
    }

    /// Each task that waits in this session looks again whether it still has to, or has to now.
    fn tell_session(&mut self, session: Option<Arc<str>>) {
        let Some(session) = session else {
            return;
        };
        for member in self.sessions.pending(&session) {
            self.reconsider(member);
        }
    }

    /// Each task that waits for this one looks again whether it still has to.
    pub(crate) fn tell_dependents(&mut self, key: TaskKey) {
        let dependents: Vec<TaskKey> = self.dependencies.dependents(key).collect();
        for dependent in dependents {
            self.reconsider(dependent);
            let pending = self.state(dependent).is_some_and(State::is_pending);
            if pending && self.dependencies.hopeless_on(dependent, key, &self.store) {
                self.doomed.insert(dependent);
            }
        }
    }

    /// Puts a pending task where its facts say by now. Nothing is recorded: it follows from
    /// other changes, or from the time.
    pub(crate) fn reconsider(&mut self, key: TaskKey) {
        let Some(before) = self.state(key).filter(|state| state.is_pending()) else {
            return;
        };
        let state = self.pending_state(key);
        if state != before {
            self.take_out(key);
            self.put_in(key, state);
        }
    }

    /// Which of the pending states the facts say.
    fn pending_state(&self, key: TaskKey) -> State {
        let entry = self.entry(key);
        if entry.held {
            State::Held
        } else if self.dependencies.blocks(key, &self.store) || self.sessions.blocks(key) {
            State::Blocked
        } else if entry.delayed_until(self.now).is_some() {
            State::Delayed
        } else {
            State::Queued
        }
    }

    /// Takes the task out of every index that depends on its state or its facts.
    fn take_out(&mut self, key: TaskKey) {
        let entry = *self.entry(key);
        self.counts[entry.state as usize] -= 1;
        self.lanes.leave(entry.lane, entry.state, entry.priority);
        if let Some(deadline) = entry.deadline() {
            self.timers.deadlines.remove(deadline, key);
        }
        self.sessions.take_out(key, entry.state);
        match entry.state {
            State::Queued => {
                self.lanes.dequeue(entry.lane, key);
                self.shares.leave(&self.lanes.get(entry.lane).lane.workspace);
            }
            State::Delayed => {
                if let Some(due) = entry.not_before.into() {
                    self.timers.delays.remove(due, key);
                }
            }
            State::Running | State::Paused | State::Waiting => {
                self.slots.remove(&entry.slot);
                self.lanes.deactivate(entry.lane);
                let lane = &self.lanes.get(entry.lane).lane;
                self.shares.leave(&lane.workspace);
                self.gates.deactivate(lane);
                self.budgets.deactivate(key, lane);
            }
            State::Blocked | State::Held => {}
            State::Succeeded | State::Failed | State::Cancelled | State::Skipped | State::Lost => {}
        }
    }

    /// The opposite of `take_out`, in this state.
    fn put_in(&mut self, key: TaskKey, state: State) {
        let aging_step_ms = self.limits().aging_step_ms;
        let entry = self.entry_mut(key);
        entry.state = state;
        let entry = *entry;
        self.counts[state as usize] += 1;
        self.lanes.enter(entry.lane, state, entry.priority);
        if let Some(deadline) = entry.deadline() {
            self.timers.deadlines.insert(deadline, key);
        }
        self.sessions.put_in(key, state);
        match state {
            State::Queued => {
                let place = Place::new(key, &entry, aging_step_ms);
                self.lanes.enqueue(entry.lane, place);
                self.shares.arrive(&self.lanes.get(entry.lane).lane.workspace);
            }
            State::Delayed => {
                if let Some(due) = entry.not_before.into() {
                    self.timers.delays.insert(due, key);
                }
            }
            State::Running | State::Paused | State::Waiting => {
                self.slots.insert(entry.slot, key);
                self.lanes.activate(entry.lane);
                let lane = &self.lanes.get(entry.lane).lane;
                self.shares.arrive(&lane.workspace);
                self.gates.activate(lane);
                self.budgets.activate(key, lane);
            }
            State::Blocked | State::Held => {}
            State::Succeeded | State::Failed | State::Cancelled | State::Skipped | State::Lost => {}
        }
    }

    /// What a change says about the task, its state aside.
    fn set_facts(&mut self, key: TaskKey, change: &Change) {
        let entry = self.entry_mut(key);
        match change {
            Change::Started { attempt, slot } => {
                entry.attempts = *attempt;
                entry.slot = *slot;
            }
            Change::StopRequested | Change::PutBackRequested => entry.stopping = true,
            Change::Suspended
            | Change::Relieved { .. }
            | Change::Continued
            | Change::Asked
            | Change::Answered => {}
            Change::Requeued {
                cause,
                reason,
                not_before,
            } => {
                entry.stopping = false;
                entry.reason = Some(*reason);
                entry.not_before = (*not_before).into();
                entry.retries += match cause {
                    Requeue::Retry => 1,
                    Requeue::Free => 0,
                };
            }
            Change::Ended { reason, .. } => {
                entry.stopping = false;
                entry.reason = Some(*reason);
            }
            Change::Held => entry.held = true,
            Change::Released => entry.held = false,
            Change::Edited(edit) => self.set_edited(key, edit),
            Change::Claimed(session) => self.sessions.set(key, session.clone()),
            Change::Revived => self.set_revived(key),
        }
    }

    fn set_edited(&mut self, key: TaskKey, edit: &Edit) {
        let entry = self.entry_mut(key);
        if let Some(priority) = edit.priority {
            entry.priority = priority;
        }
        if let Some(max_retries) = edit.max_retries {
            entry.max_retries = max_retries;
        }
        if let Some(not_before) = edit.not_before {
            entry.not_before = Some(not_before).into();
        }
        if edit.memory_bytes.is_some() || edit.cpus_milli.is_some() {
            let needs = self.admission.needs(key);
            let needs = Needs {
                memory_bytes: edit.memory_bytes.unwrap_or(needs.memory_bytes),
                cpus_milli: edit.cpus_milli.unwrap_or(needs.cpus_milli),
            };
            self.admission.set_needs(key, needs);
        }
        if let Some(after) = &edit.after {
            self.dependencies.set(key, after.clone(), false);
            self.dependencies.link(key);
        }
    }

    /// The user wants it to run again: a hold from before, or a start-by that is likely over,
    /// would undo that at once. An earliest start (`--at`) stays meant.
    fn set_revived(&mut self, key: TaskKey) {
        let entry = self.entry_mut(key);
        entry.retries = 0;
        entry.held = false;
        entry.start_by = None.into();
        entry.reason = None;
        self.dependencies.drop_missing(key, &self.store);
    }

    fn entry(&self, key: TaskKey) -> &Entry {
        let entry = self.store.get(key);
        entry.expect("every caller has looked the task up before")
    }

    fn entry_mut(&mut self, key: TaskKey) -> &mut Entry {
        let entry = self.store.get_mut(key);
        entry.expect("every caller has looked the task up before")
    }
}

fn illegal(key: TaskKey, before: Option<Entry>, change: &Change) -> IllegalChange {
    IllegalChange {
        key,
        from: before.map(|entry| entry.state),
        change: change.clone(),
    }
}
