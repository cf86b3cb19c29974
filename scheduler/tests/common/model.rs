//! The rules once more, as naively as they can be written: one list, and everything is worked
//! out anew from it each time. What the scheduler decides must be what this decides.
#![allow(missing_docs, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wezterm_parallel_scheduler::{
    Action, Budget, BudgetScope, Change, Condition, Dependency, Edit, Gate, GateScope, Input, Lane,
    LimitScope, Limits, Reason, Refusal, Requeue, State, Submission, Task, TaskKey, Tick,
};

type Outcome = Result<(), Refusal>;

#[derive(Clone)]
pub struct Model {
    pub tasks: Vec<Task>,
    now: Tick,
    limits: Limits,
    all_paused: bool,
    paused: BTreeSet<Arc<str>>,
    gates: BTreeMap<Arc<str>, Gate>,
    budgets: Vec<Budget>,
    actions: Vec<Action>,
}

impl Model {
    pub fn new(limits: Limits) -> Self {
        Self {
            tasks: Vec::new(),
            now: Tick(0),
            limits,
            all_paused: false,
            paused: BTreeSet::new(),
            gates: BTreeMap::new(),
            budgets: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// `actual` is what the scheduler did: the length of a retry's jitter is taken from there,
    /// after a check that it is within its limits.
    pub fn apply(&mut self, now: Tick, input: Input, actual: &[Action]) -> Result<Vec<Action>, Refusal> {
        let before = self.clone();
        let outcome = self.absorb(now, input, actual);
        if let Err(refusal) = outcome {
            *self = before;
            return Err(refusal);
        }
        self.now = now;
        self.gates
            .retain(|_, gate| gate.opens_at.is_none_or(|end| end > now));
        self.skip_late();
        self.derive();
        while let Some(key) = self.first_in_vain() {
            let other = self.in_vain(self.get(key)).expect("it was just found");
            self.end(key, State::Skipped, Reason::Dependency(other));
            self.derive();
        }
        self.start_all();
        Ok(std::mem::take(&mut self.actions))
    }

    fn absorb(&mut self, now: Tick, input: Input, actual: &[Action]) -> Outcome {
        match input {
            Input::Tick => {}
            Input::Submit(submission) => self.submit(*submission)?,
            Input::Cancel(key) => self.cancel(key)?,
            Input::Hold(key) => self.hold(key)?,
            Input::Release(key) => {
                self.allowed(key, &[State::Held])?.submission.held = false;
                self.record(key, Change::Released);
            }
            Input::Edit(key, edit) => self.edit(key, edit)?,
            Input::Suspend(key) => {
                let task = self.allowed(key, &[State::Running, State::Waiting])?;
                if task.stopping {
                    return Err(Refusal::WrongState(key, task.state));
                }
                task.state = State::Paused;
                let attempt = task.attempts;
                self.record(key, Change::Suspended);
                self.actions.push(Action::Suspend(key, attempt));
            }
            Input::Continue(key) => {
                let task = self.allowed(key, &[State::Paused])?;
                task.state = State::Running;
                let attempt = task.attempts;
                self.record(key, Change::Continued);
                self.actions.push(Action::Continue(key, attempt));
            }
            Input::Revive(key) => self.revive(key)?,
            Input::Exited {
                key,
                attempt,
                state,
                reason,
            } => {
                self.exited(now, (key, attempt), (state, reason), actual);
            }
            Input::PutBack {
                key,
                attempt,
                reason,
                not_before,
            } => self.put_back(key, attempt, reason, not_before),
            Input::Asked(key, attempt) => self.asked(key, attempt)?,
            Input::Answered(key, attempt) => self.answered(key, attempt)?,
            Input::Claim(key, session) => {
                self.allowed(key, &State::ALL)?
                    .submission
                    .session
                    .clone_from(&session);
                self.record(key, Change::Claimed(session));
            }
            Input::Forget(key) => self.forget(key)?,
            Input::Pause(None) => self.all_paused = true,
            Input::Resume(None) => self.all_paused = false,
            Input::Pause(Some(workspace)) => drop(self.paused.insert(workspace)),
            Input::Resume(Some(workspace)) => drop(self.paused.remove(&workspace)),
            Input::CloseGate(id, gate) => drop(self.gates.insert(id, gate)),
            Input::OpenGate(id) => drop(self.gates.remove(&id)),
            Input::SetBudgets(budgets) => self.budgets = budgets,
            Input::SetLimits(limits) => self.limits = limits,
            // What the machine can carry is simulated in admission_sim.rs; shares have their own lives in shares.rs.
            Input::SetAdmission(_)
            | Input::Reading(_)
            | Input::WorkerMemory { .. }
            | Input::SetPeaks(_)
            | Input::SetCompanions(_)
            | Input::SetShares(_) => unreachable!("no life has these"),
        }
        self.derive();
        Ok(())
    }

    fn hold(&mut self, key: TaskKey) -> Outcome {
        let allowed = [State::Delayed, State::Blocked, State::Queued];
        self.allowed(key, &allowed)?.submission.held = true;
        self.record(key, Change::Held);
        Ok(())
    }

    fn find(&self, key: TaskKey) -> Option<&Task> {
        self.tasks.iter().find(|task| task.submission.key == key)
    }

    fn get(&self, key: TaskKey) -> &Task {
        self.find(key).expect("the task is there")
    }

    fn get_mut(&mut self, key: TaskKey) -> &mut Task {
        let mut tasks = self.tasks.iter_mut();
        tasks
            .find(|task| task.submission.key == key)
            .expect("the task is there")
    }

    fn allowed(&mut self, key: TaskKey, states: &[State]) -> Result<&mut Task, Refusal> {
        let state = self.find(key).ok_or(Refusal::Unknown(key))?.state;
        if states.contains(&state) {
            Ok(self.get_mut(key))
        } else {
            Err(Refusal::WrongState(key, state))
        }
    }

    fn record(&mut self, key: TaskKey, change: Change) {
        self.actions.push(Action::Record(key, change));
    }

    fn end(&mut self, key: TaskKey, state: State, reason: Reason) {
        let task = self.get_mut(key);
        task.state = state;
        task.reason = Some(reason);
        task.slot = None;
        task.stopping = false;
        self.record(key, Change::Ended { state, reason });
    }

    fn submit(&mut self, submission: Submission) -> Outcome {
        let key = submission.key;
        if self.find(key).is_some() {
            return Err(Refusal::Exists(key));
        }
        if submission.after.iter().any(|on| on.key == key) {
            return Err(Refusal::Cycle(vec![key]));
        }
        self.known(key, &submission.after)?;
        self.tasks.push(Task {
            submission,
            state: State::Queued,
            reason: None,
            attempts: 0,
            retries: 0,
            slot: None,
            stopping: false,
            relief: None,
        });
        self.tasks.sort_by_key(|task| task.submission.key);
        Ok(())
    }

    fn known(&self, key: TaskKey, after: &[Dependency]) -> Outcome {
        match after.iter().find(|on| self.find(on.key).is_none()) {
            Some(on) => Err(Refusal::UnknownDependency(key, on.key)),
            None => Ok(()),
        }
    }

    fn cancel(&mut self, key: TaskKey) -> Outcome {
        let task = self.find(key).ok_or(Refusal::Unknown(key))?.clone();
        if task.state.is_end() {
            return Err(Refusal::WrongState(key, task.state));
        }
        if task.state.is_pending() {
            self.end(key, State::Cancelled, Reason::Cancelled);
            return Ok(());
        }
        if !task.stopping {
            self.get_mut(key).stopping = true;
            self.record(key, Change::StopRequested);
        }
        self.actions.push(Action::Stop(key, task.attempts));
        Ok(())
    }

    fn edit(&mut self, key: TaskKey, edit: Edit) -> Outcome {
        let state = self.find(key).ok_or(Refusal::Unknown(key))?.state;
        if let Some(after) = &edit.after {
            self.known(key, after)?;
            if after.iter().any(|on| on.key == key || self.leads_to(on.key, key)) {
                // The test does not compare which of several circles is found.
                return Err(Refusal::Cycle(Vec::new()));
            }
        }
        let late = edit.after.is_some() || edit.not_before.is_some();
        if state.is_end() || (state.is_active() && late) {
            return Err(Refusal::WrongState(key, state));
        }
        let task = self.get_mut(key);
        let submission = &mut task.submission;
        submission.priority = edit.priority.unwrap_or(submission.priority);
        submission.backoff.max_retries = edit.max_retries.unwrap_or(submission.backoff.max_retries);
        submission.not_before = edit.not_before.or(submission.not_before);
        if let Some(after) = &edit.after {
            submission.after.clone_from(after);
        }
        self.record(key, Change::Edited(edit));
        Ok(())
    }

    /// Whether `from` waits for `to`, be it through others.
    fn leads_to(&self, from: TaskKey, to: TaskKey) -> bool {
        let mut reached = BTreeSet::from([from]);
        loop {
            let known = reached.iter().filter_map(|key| self.find(*key));
            let next = known.flat_map(|task| task.submission.after.iter().map(|on| on.key));
            let wider: BTreeSet<TaskKey> = next.chain(reached.iter().copied()).collect();
            if wider.len() == reached.len() {
                return reached.contains(&to);
            }
            reached = wider;
        }
    }

    fn revive(&mut self, key: TaskKey) -> Outcome {
        let present: Vec<TaskKey> = self.tasks.iter().map(|task| task.submission.key).collect();
        let ends: Vec<State> = State::ALL.into_iter().filter(|state| state.is_end()).collect();
        let task = self.allowed(key, &ends)?;
        task.state = State::Queued;
        task.retries = 0;
        task.reason = None;
        task.submission.held = false;
        task.submission.start_by = None;
        task.submission.after.retain(|on| present.contains(&on.key));
        self.record(key, Change::Revived);
        Ok(())
    }

    fn runs(&self, key: TaskKey, attempt: u32) -> bool {
        let task = self.find(key);
        task.is_some_and(|task| task.state.is_active() && task.attempts == attempt)
    }

    fn exited(
        &mut self,
        now: Tick,
        (key, attempt): (TaskKey, u32),
        (state, reason): (State, Reason),
        actual: &[Action],
    ) {
        if reason == Reason::NotStarted {
            return self.put_back(key, attempt, reason, None);
        }
        if !self.runs(key, attempt) {
            return;
        }
        let task = self.get(key);
        let backoff = task.submission.backoff;
        let may_go_away = [
            Reason::ExitCode,
            Reason::Signal,
            Reason::Timeout,
            Reason::Lost,
            Reason::Overloaded,
            Reason::Crashed,
        ];
        let failed = [State::Failed, State::Lost].contains(&state) && may_go_away.contains(&reason);
        if !failed || task.stopping || task.retries >= backoff.max_retries {
            return self.end(key, state, reason);
        }
        let wait_ms = (backoff.base_ms * 2_u64.pow(task.retries)).min(backoff.max_ms);
        let Some(Action::Record(
            _,
            Change::Requeued {
                not_before: Some(again),
                ..
            },
        )) = actual.first()
        else {
            panic!("a retry comes first in {actual:?}");
        };
        let jitter_ms = again
            .ms_since(now)
            .checked_sub(wait_ms)
            .expect("at least the backoff");
        assert!(
            jitter_ms * 4 <= wait_ms,
            "{jitter_ms} is too much jitter for {wait_ms}"
        );
        self.get_mut(key).retries += 1;
        self.requeue(key, Requeue::Retry, reason, Some(*again));
    }

    fn put_back(&mut self, key: TaskKey, attempt: u32, reason: Reason, not_before: Option<Tick>) {
        if !self.runs(key, attempt) {
        } else if self.get(key).stopping {
            self.end(key, State::Cancelled, Reason::Cancelled);
        } else {
            self.requeue(key, Requeue::Free, reason, not_before);
        }
    }

    fn asked(&mut self, key: TaskKey, attempt: u32) -> Outcome {
        if self.find(key).ok_or(Refusal::Unknown(key))?.attempts == attempt {
            self.allowed(key, &[State::Running])?.state = State::Waiting;
            self.record(key, Change::Asked);
        }
        Ok(())
    }

    fn answered(&mut self, key: TaskKey, attempt: u32) -> Outcome {
        if self.find(key).ok_or(Refusal::Unknown(key))?.attempts == attempt {
            self.allowed(key, &[State::Waiting])?.state = State::Running;
            self.record(key, Change::Answered);
        }
        Ok(())
    }

    fn requeue(&mut self, key: TaskKey, cause: Requeue, reason: Reason, not_before: Option<Tick>) {
        let task = self.get_mut(key);
        task.state = State::Queued;
        task.slot = None;
        task.stopping = false;
        task.reason = Some(reason);
        task.submission.not_before = not_before;
        self.record(
            key,
            Change::Requeued {
                cause,
                reason,
                not_before,
            },
        );
    }

    fn forget(&mut self, key: TaskKey) -> Outcome {
        let state = self.find(key).ok_or(Refusal::Unknown(key))?.state;
        if state.is_active() {
            return Err(Refusal::WrongState(key, state));
        }
        let waits =
            |task: &&Task| !task.state.is_end() && task.submission.after.iter().any(|on| on.key == key);
        if let Some(task) = self.tasks.iter().find(waits) {
            return Err(Refusal::WaitedFor(key, task.submission.key));
        }
        self.tasks.retain(|task| task.submission.key != key);
        Ok(())
    }

    /// Works out anew where each pending task stands.
    fn derive(&mut self) {
        let states: Vec<State> = self.tasks.iter().map(|task| self.derived(task)).collect();
        for (task, state) in self.tasks.iter_mut().zip(states) {
            task.state = state;
        }
    }

    fn derived(&self, task: &Task) -> State {
        let submission = &task.submission;
        if !task.state.is_pending() {
            task.state
        } else if submission.held {
            State::Held
        } else if submission.after.iter().any(|on| !self.is_met(on)) || self.session_is_in_use(task) {
            State::Blocked
        } else if submission.not_before.is_some_and(|moment| moment > self.now) {
            State::Delayed
        } else {
            State::Queued
        }
    }

    fn session_is_in_use(&self, task: &Task) -> bool {
        let session = &task.submission.session;
        let mut active = self.tasks.iter().filter(|other| other.state.is_active());
        session.is_some()
            && active.any(|other| {
                other.submission.session == *session && other.submission.key != task.submission.key
            })
    }

    fn is_met(&self, on: &Dependency) -> bool {
        let state = self.get(on.key).state;
        match on.on {
            Condition::Success => state == State::Succeeded,
            Condition::Failure => state == State::Failed || state == State::Lost,
            Condition::Any => state.is_end(),
        }
    }

    fn in_vain(&self, task: &Task) -> Option<TaskKey> {
        let never = |on: &&Dependency| self.get(on.key).state.is_end() && !self.is_met(on);
        task.submission.after.iter().find(never).map(|on| on.key)
    }

    fn first_in_vain(&self) -> Option<TaskKey> {
        let mut pending = self.tasks.iter().filter(|task| task.state.is_pending());
        pending
            .find(|task| self.in_vain(task).is_some())
            .map(|task| task.submission.key)
    }

    fn skip_late(&mut self) {
        let late = |task: &&Task| {
            let deadline = task.submission.start_by;
            task.state.is_pending() && task.attempts == 0 && deadline.is_some_and(|by| by <= self.now)
        };
        let mut keys: Vec<(Option<Tick>, TaskKey)> = self
            .tasks
            .iter()
            .filter(late)
            .map(|task| (task.submission.start_by, task.submission.key))
            .collect();
        keys.sort();
        for (_, key) in keys {
            self.end(key, State::Skipped, Reason::QueueTime);
        }
    }

    fn start_all(&mut self) {
        loop {
            let taken: BTreeSet<u32> = self.tasks.iter().filter_map(|task| task.slot).collect();
            let asking = self.tasks.iter().filter(|task| task.state == State::Waiting);
            let lent = asking.count().min(self.limits.lend as usize);
            let closed = self.all_paused || taken.len() - lent >= self.limits.slots as usize;
            let Some(key) = self.best().filter(|_| !closed) else {
                return;
            };
            let slot = (0..)
                .find(|slot| !taken.contains(slot))
                .expect("there are more numbers than slots");
            let task = self.get_mut(key);
            task.attempts += 1;
            task.state = State::Running;
            task.slot = Some(slot);
            let attempt = task.attempts;
            self.record(key, Change::Started { attempt, slot });
            self.actions.push(Action::Start { key, attempt, slot });
            self.derive();
        }
    }

    fn best(&self) -> Option<TaskKey> {
        let queued = self
            .tasks
            .iter()
            .filter(|task| task.state == State::Queued && self.is_open(task));
        queued
            .min_by_key(|task| self.place(task))
            .map(|task| task.submission.key)
    }

    fn place(&self, task: &Task) -> (i128, TaskKey) {
        let head_start_ms = i128::from(task.submission.priority) * i128::from(self.limits.aging_step_ms);
        (
            i128::from(task.submission.submitted_at.0) - head_start_ms,
            task.submission.key,
        )
    }

    fn active_where<'a>(&'a self, covered: impl Fn(&Lane) -> bool + 'a) -> impl Iterator<Item = &'a Task> {
        let active = self.tasks.iter().filter(|task| task.slot.is_some());
        active.filter(move |task| covered(&task.submission.lane))
    }

    /// Whether a gate stands before the tasks of this lane.
    fn is_shut(&self, lane: &Lane) -> bool {
        self.gates.values().any(|gate| {
            let covers = |lane: &Lane| match &gate.scope {
                GateScope::All => true,
                GateScope::Workers(workers) => workers.contains(&lane.worker),
            };
            covers(lane) && self.active_where(covers).count() >= gate.at_most as usize
        })
    }

    /// Whether the first task of this lane costs more than there is.
    fn is_too_dear(&self, lane: &Lane) -> bool {
        let queued = self.tasks.iter().filter(|task| task.state == State::Queued);
        let first = queued
            .filter(|task| task.submission.lane == *lane)
            .min_by_key(|task| self.place(task));
        let cost = first.map_or(0, |task| task.submission.cost);
        self.budgets.iter().any(|budget| {
            let covers = |lane: &Lane| match &budget.scope {
                BudgetScope::Workers(workers) => workers.contains(&lane.worker),
                BudgetScope::WorkspaceWorkers(workspace, workers) => {
                    lane.workspace == *workspace && workers.contains(&lane.worker)
                }
            };
            let set_aside: u64 = self.active_where(covers).map(|task| task.submission.cost).sum();
            let taken = budget.spent + set_aside;
            covers(lane) && (taken + cost.min(budget.limit) > budget.limit || taken >= budget.limit)
        })
    }

    fn is_open(&self, task: &Task) -> bool {
        let lane = &task.submission.lane;
        let counts = |scope: &LimitScope, task: &Task| match scope {
            LimitScope::Workspace(workspace) => task.submission.lane.workspace == *workspace,
            LimitScope::Worker(worker) => task.submission.lane.worker == *worker,
            LimitScope::Lane(lane) => task.submission.lane == *lane,
        };
        let full = self.limits.lanes.iter().any(|limit| {
            let active = self
                .tasks
                .iter()
                .filter(|task| task.slot.is_some() && counts(&limit.scope, task));
            counts(&limit.scope, task) && active.count() >= limit.max_parallel as usize
        });
        !full && !self.paused.contains(&lane.workspace) && !self.is_shut(lane) && !self.is_too_dear(lane)
    }
}
