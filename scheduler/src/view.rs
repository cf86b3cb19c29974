//! What can be asked of the scheduler without changing it.

use std::sync::Arc;

use crate::entry::Numbered;
use crate::{Lane, Limits, Scheduler, State, Submission, Task, TaskKey, Tick};

impl Scheduler {
    /// When `Input::Tick` is needed next: a delay, a start-by or a pause for memory's sake that runs
    /// out, a gate that goes away by itself, or a rate that lets the next start in.
    #[must_use]
    pub fn next_wake(&self) -> Option<Tick> {
        let soonest = [
            self.timers.next(),
            self.gates.next_end(),
            self.admission.rates.next_opening(self.now),
            self.admission.next_relief(),
        ];
        soonest.into_iter().flatten().min()
    }

    /// Where one task stands (cheap).
    #[must_use]
    pub fn state(&self, key: TaskKey) -> Option<State> {
        self.store.get(key).map(|entry| entry.state)
    }

    /// The lane of one task (cheap).
    #[must_use]
    pub fn lane(&self, key: TaskKey) -> Option<&Lane> {
        self.store.get(key).map(|entry| &self.lanes.get(entry.lane).lane)
    }

    /// How often a task at the head of a lane was not let in, by what kept it out: `memory`, `cpu`, `pressure`, `rate`.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.admission.refusals.iter()
    }

    /// One task, put together from the compact form it is kept in.
    #[must_use]
    pub fn task(&self, key: TaskKey) -> Option<Task> {
        self.store.get(key).map(|entry| self.view((key, entry)))
    }

    /// All tasks in the order of their numbers, from `from` on.
    #[must_use]
    pub fn tasks_from(&self, from: TaskKey) -> Box<dyn Iterator<Item = Task> + '_> {
        Box::new(self.store.range_from(from).map(|numbered| self.view(numbered)))
    }

    /// How many tasks stand in each state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// Running, paused or waiting tasks (those that hold a slot), in the order of their slots.
    #[must_use]
    pub fn active(&self) -> Box<dyn Iterator<Item = Task> + '_> {
        Box::new(self.slots.values().filter_map(|key| self.task(*key)))
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.lanes.limits()
    }

    /// Paused scopes: `None` is everything.
    #[must_use]
    pub fn paused(&self) -> Box<dyn Iterator<Item = Option<Arc<str>>> + '_> {
        let everything = self.all_paused.then_some(None);
        let workspaces = self.lanes.paused().iter().cloned().map(Some);
        Box::new(everything.into_iter().chain(workspaces))
    }

    /// The tasks that have not ended and wait for it.
    pub fn dependents(&self, key: TaskKey) -> impl Iterator<Item = TaskKey> + '_ {
        self.dependencies.dependents(key)
    }

    /// Whether some other task that has not ended waits for it.
    #[must_use]
    pub fn is_waited_for(&self, key: TaskKey) -> bool {
        self.dependencies.dependents(key).next().is_some()
    }

    fn view(&self, (key, entry): Numbered<'_>) -> Task {
        Task {
            submission: Submission {
                key,
                lane: self.lanes.get(entry.lane).lane.clone(),
                priority: entry.priority,
                submitted_at: entry.submitted_at,
                after: self.dependencies.of(key).to_vec(),
                not_before: entry.not_before.into(),
                start_by: entry.start_by.into(),
                held: entry.held,
                backoff: entry.backoff(),
                session: self.sessions.of(key).cloned(),
                cost: self.budgets.cost(key),
                needs: self.admission.needs(key),
            },
            state: entry.state,
            reason: entry.reason,
            attempts: entry.attempts,
            retries: entry.retries,
            slot: entry.state.is_active().then_some(entry.slot),
            stopping: entry.stopping,
            relief: self.admission.reliefs.of(key),
        }
    }
}
