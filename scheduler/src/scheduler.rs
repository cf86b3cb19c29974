//! The scheduler proper: absorbs inputs, lets time pass, fills slots.

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::Admission;
use crate::budgets::Budgets;
use crate::dependencies::Dependencies;
use crate::gates::Gates;
use crate::lanes::Lanes;
use crate::order::Place;
use crate::retry::retry_at;
use crate::sessions::Sessions;
use crate::shares::Shares;
use crate::store::Store;
use crate::timers::Timers;
use crate::{
    Action, Budget, Change, Dependency, Edit, Input, Lane, Limits, Reason, Refusal, Requeue, State,
    Submission, TaskKey, Tick,
};

/// Owns every task and decides which one runs next.
#[derive(Debug)]
pub struct Scheduler {
    /// The latest time it was told; 0 as long as only replay has taken place, so that delays
    /// count as not over yet.
    pub(crate) now: Tick,
    pub(crate) store: Store,
    pub(crate) lanes: Lanes,
    pub(crate) dependencies: Dependencies,
    pub(crate) sessions: Sessions,
    pub(crate) budgets: Budgets,
    pub(crate) shares: Shares,
    pub(crate) admission: Admission,
    pub(crate) timers: Timers,
    /// Which task holds each slot that is taken.
    pub(crate) slots: BTreeMap<u32, TaskKey>,
    pub(crate) all_paused: bool,
    /// Gates that are closed from outside.
    pub(crate) gates: Gates,
    /// How many tasks stand in each state, by `State as usize`.
    pub(crate) counts: [usize; State::ALL.len()],
    /// Pending tasks that may wait in vain; looked through at the end of each `apply`.
    pub(crate) doomed: BTreeSet<TaskKey>,
}

impl Scheduler {
    /// An empty scheduler.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            now: Tick(0),
            store: Store::default(),
            lanes: Lanes::new(limits),
            dependencies: Dependencies::default(),
            sessions: Sessions::default(),
            budgets: Budgets::default(),
            shares: Shares::default(),
            admission: Admission::default(),
            timers: Timers::default(),
            slots: BTreeMap::new(),
            all_paused: false,
            gates: Gates::default(),
            counts: [0; State::ALL.len()],
            doomed: BTreeSet::new(),
        }
    }

    /// Takes in one input, lets the time pass up to `now`, relieves memory if that is short, and fills
    /// the free slots. The input
    /// comes first: a task that is cancelled at the very moment its start-by runs out has been
    /// cancelled.
    ///
    /// # Errors
    /// The refusal says why the input cannot be taken in; nothing has changed then.
    pub fn apply(&mut self, now: Tick, input: Input) -> Result<Vec<Action>, Refusal> {
        let now = now.max(self.now);
        self.admission.clock = now;
        let mut actions = Vec::new();
        self.absorb(now, input, &mut actions)?;
        self.settle(now, &mut actions);
        self.relieve(&mut actions);
        self.fill_slots(&mut actions);
        Ok(actions)
    }

    /// Whether this submission would be accepted (dependencies known, number free).
    ///
    /// # Errors
    /// The refusal that `Input::Submit` would meet with.
    pub fn check(&self, submission: &Submission) -> Result<(), Refusal> {
        let key = submission.key;
        if self.store.contains(key) {
            return Err(Refusal::Exists(key));
        }
        // No other task can name a number that was never given, so that the only circle that a
        // new task can close is the one around itself. A walk through all that it waits for
        // would make a long chain take quadratic time.
        if submission.after.iter().any(|other| other.key == key) {
            return Err(Refusal::Cycle(vec![key]));
        }
        self.check_known(key, &submission.after)
    }

    /// Each input is checked in full before it changes anything.
    fn absorb(&mut self, now: Tick, input: Input, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        match input {
            Input::Tick => {}
            Input::Submit(submission) => {
                self.check(&submission)?;
                self.admit(*submission);
            }
            Input::Cancel(key) => self.cancel(key, actions)?,
            Input::Hold(key) => self.change(key, Change::Held, actions)?,
            Input::Release(key) => self.change(key, Change::Released, actions)?,
            Input::Edit(key, edit) => self.edit(key, edit, actions)?,
            Input::Suspend(key) => self.suspend(key, actions)?,
            Input::Continue(key) => self.go_on(key, actions)?,
            Input::Revive(key) => self.change(key, Change::Revived, actions)?,
            Input::Exited {
                key,
                attempt,
                state,
                reason,
            } => self.exited(now, (key, attempt), (state, reason), actions)?,
            Input::PutBack {
                key,
                attempt,
                reason,
                not_before,
            } => self.put_back((key, attempt), reason, not_before, actions)?,
            Input::Asked(key, attempt) => self.talk((key, attempt), Change::Asked, actions)?,
            Input::Answered(key, attempt) => self.talk((key, attempt), Change::Answered, actions)?,
            Input::Claim(key, session) => self.change(key, Change::Claimed(session), actions)?,
            Input::Forget(key) => self.forget(key)?,
            Input::Pause(workspace) => self.replay_pause(workspace, true),
            Input::Resume(workspace) => self.replay_pause(workspace, false),
            Input::CloseGate(id, gate) => self.gates.close(id, gate, &self.lanes),
            Input::OpenGate(id) => self.gates.open(&id),
            Input::SetBudgets(budgets) => self.set_budgets(budgets),
            Input::SetShares(shares) => self.shares.set(shares, self.lanes.loads()),
            Input::SetLimits(limits) => self.set_limits(limits),
            Input::SetAdmission(rules) => {
                self.admission.set_rules(*rules);
                self.let_all_go(actions);
            }
            Input::Reading(reading) => self.admission.see(now, *reading),
            Input::WorkerMemory { taken_at, trees } => self.admission.measure(now, taken_at, &trees),
            Input::SetCompanions(companions) => self.admission.companions.set(companions),
            Input::SetPeaks(peaks) => self
                .admission
                .import_peaks(peaks, |lane| self.lanes.number_of(lane)),
        }
        Ok(())
    }

    /// Takes the change in and records it, if the table allows it.
    pub(crate) fn change(
        &mut self,
        key: TaskKey,
        change: Change,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        match self.step(key, &change) {
            Ok(()) => {
                actions.push(Action::Record(key, change));
                Ok(())
            }
            Err(illegal) => Err(match illegal.from {
                Some(state) => Refusal::WrongState(key, state),
                None => Refusal::Unknown(key),
            }),
        }
    }

    /// The number of the newest attempt.
    pub(crate) fn attempt_of(&self, key: TaskKey) -> u32 {
        self.store.get(key).map_or(0, |entry| entry.attempts)
    }

    fn cancel(&mut self, key: TaskKey, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let entry = *self.store.get(key).ok_or(Refusal::Unknown(key))?;
        if !entry.state.is_active() {
            let state = State::Cancelled;
            let reason = Reason::Cancelled;
            return self.change(key, Change::Ended { state, reason }, actions);
        }
        // Asking again repeats the stop, in case the first one was lost, but not the record.
        // One that is being put back has been asked for by nobody.
        if !entry.stopping || self.admission.reliefs.is_putting_back(key) {
            self.change(key, Change::StopRequested, actions)?;
        }
        actions.push(Action::Stop(key, entry.attempts));
        Ok(())
    }

    fn suspend(&mut self, key: TaskKey, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let entry = *self.store.get(key).ok_or(Refusal::Unknown(key))?;
        if entry.stopping {
            // A stopped process could not act on the signal that asks it to end.
            return Err(Refusal::WrongState(key, entry.state));
        }
        self.change(key, Change::Suspended, actions)?;
        actions.push(Action::Suspend(key, entry.attempts));
        Ok(())
    }

    /// Whether it was paused by the user or to relieve memory: the user wants it to go on.
    fn go_on(&mut self, key: TaskKey, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        self.admission.spare(key);
        self.change(key, Change::Continued, actions)?;
        actions.push(Action::Continue(key, self.attempt_of(key)));
        Ok(())
    }

    fn edit(&mut self, key: TaskKey, edit: Edit, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if !self.store.contains(key) {
            return Err(Refusal::Unknown(key));
        }
        if let Some(after) = &edit.after {
            self.check_known(key, after)?;
            if let Some(path) = self.dependencies.cycle(key, after) {
                return Err(Refusal::Cycle(path));
            }
        }
        self.change(key, Change::Edited(edit), actions)
    }

    fn check_known(&self, key: TaskKey, after: &[Dependency]) -> Result<(), Refusal> {
        let unknown = after.iter().find(|other| !self.store.contains(other.key));
        match unknown {
            Some(other) => Err(Refusal::UnknownDependency(key, other.key)),
            None => Ok(()),
        }
    }

    fn exited(
        &mut self,
        now: Tick,
        (key, attempt): (TaskKey, u32),
        (state, reason): (State, Reason),
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if reason == Reason::NotStarted {
            return self.put_back((key, attempt), reason, None, actions);
        }
        let Some(entry) = self.store.get(key).filter(|entry| entry.runs(attempt)) else {
            return Ok(());
        };
        if self.admission.reliefs.is_putting_back(key) && state != State::Succeeded {
            // Whatever else ended it: it was being stopped through no fault of its own.
            return self.put_back((key, attempt), Reason::Memory, None, actions);
        }
        let seed = self.limits().jitter_seed;
        let change = match retry_at(now, key, entry, (state, reason), seed) {
            Some(again) => Change::Requeued {
                cause: Requeue::Retry,
                reason,
                not_before: Some(again),
            },
            None => Change::Ended { state, reason },
        };
        self.change(key, change, actions)
    }

    fn put_back(
        &mut self,
        (key, attempt): (TaskKey, u32),
        reason: Reason,
        not_before: Option<Tick>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let Some(entry) = self.store.get(key).filter(|entry| entry.runs(attempt)) else {
            return Ok(());
        };
        let change = if entry.stopping && !self.admission.reliefs.is_putting_back(key) {
            // The user took it back in the meantime.
            Change::Ended {
                state: State::Cancelled,
                reason: Reason::Cancelled,
            }
        } else {
            Change::Requeued {
                cause: Requeue::Free,
                reason,
                not_before,
            }
        };
        self.change(key, change, actions)
    }

    /// The attempt asks or was answered. What comes late, from an attempt that is not the newest,
    /// says nothing about the task.
    fn talk(
        &mut self,
        (key, attempt): (TaskKey, u32),
        change: Change,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let entry = self.store.get(key).ok_or(Refusal::Unknown(key))?;
        if entry.attempts != attempt {
            return Ok(());
        }
        self.change(key, change, actions)
    }

    fn forget(&mut self, key: TaskKey) -> Result<(), Refusal> {
        let entry = self.store.get(key).ok_or(Refusal::Unknown(key))?;
        if entry.state.is_active() {
            return Err(Refusal::WrongState(key, entry.state));
        }
        if let Some(dependent) = self.dependencies.dependents(key).next() {
            return Err(Refusal::WaitedFor(key, dependent));
        }
        self.remove(key);
        Ok(())
    }

    fn set_limits(&mut self, limits: Limits) {
        let aging_step_ms = limits.aging_step_ms;
        let store = &self.store;
        self.lanes.set_limits(limits, |key| {
            let entry = store.get(key).expect("a queued task is in the store");
            Place::new(key, entry, aging_step_ms)
        });
    }

    fn set_budgets(&mut self, budgets: Vec<Budget>) {
        let store = &self.store;
        let active = self.slots.values().map(|key| -> (TaskKey, &Lane) {
            let entry = store.get(*key).expect("an active task is in the store");
            (*key, &self.lanes.get(entry.lane).lane)
        });
        self.budgets.set(budgets, &active.collect::<Vec<_>>());
    }

    /// Lets the time pass: ends gates and delays, skips what can no longer run.
    fn settle(&mut self, now: Tick, actions: &mut Vec<Action>) {
        self.now = now;
        self.gates.expire(now);
        while let Some(key) = self.timers.delays.due(now) {
            self.reconsider(key);
        }
        while let Some(key) = self.timers.deadlines.due(now) {
            self.skip(key, Reason::QueueTime, actions);
        }
        // Skipping one task may doom the next one down the chain.
        while let Some(key) = self.doomed.pop_first() {
            let pending = self.state(key).is_some_and(State::is_pending);
            let hopeless = self.dependencies.hopeless(key, &self.store);
            if let (true, Some(other)) = (pending, hopeless) {
                self.skip(key, Reason::Dependency(other), actions);
            }
        }
    }

    fn skip(&mut self, key: TaskKey, reason: Reason, actions: &mut Vec<Action>) {
        let state = State::Skipped;
        self.change(key, Change::Ended { state, reason }, actions)
            .expect("a pending task can always be skipped");
    }

    /// How many of the slots that are taken may be taken again: their tasks wait for an answer.
    pub(crate) fn lent(&self) -> usize {
        self.counts[State::Waiting as usize].min(self.limits().lend as usize)
    }

    /// Also below the number of slots whenever fewer than that are taken; at or above it only
    /// while slots are lent.
    pub(crate) fn lowest_free_slot(&self) -> u32 {
        let taken = self.slots.keys().copied();
        let gap = (0..).zip(taken).find(|(expected, taken)| expected != taken);
        gap.map_or(self.slots.len() as u32, |(free, _)| free)
    }
}
