//! The scheduler proper: absorbs inputs, fills slots, replays changes.

use std::sync::Arc;

use crate::*;

/// Owns every task and decides which one runs next.
#[derive(Debug)]
pub struct Scheduler {}

impl Scheduler {
    /// An empty scheduler.
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }
    /// Takes in one input and fills the free slots (except when restoring). On refusal nothing has changed.
    pub fn apply(&mut self, _now: Tick, _input: Input) -> Result<Vec<Action>, Refusal> {
        todo!()
    }
    /// Whether this submission would be accepted (dependencies known, number free).
    pub fn check(&self, _submission: &Submission) -> Result<(), Refusal> {
        todo!()
    }
    /// Replay: a submission from the journal; decides nothing.
    pub fn replay_submission(&mut self, _submission: Submission) -> Result<(), Refusal> {
        todo!()
    }
    /// Replay: a task from a snapshot. Dependencies may name tasks that come later or were removed.
    pub fn restore(&mut self, _task: Task) {
        todo!()
    }
    /// Replay: a change from the journal, through the same table as live changes; decides nothing.
    pub fn replay(&mut self, _key: TaskKey, _change: &Change) -> Result<(), IllegalChange> {
        todo!()
    }
    /// Replay: an ended task was removed (retention).
    pub fn replay_forget(&mut self, _key: TaskKey) {
        todo!()
    }
    /// Replay: a pause (`true`) or resume of a workspace, or of all.
    pub fn replay_pause(&mut self, _workspace: Option<Arc<str>>, _paused: bool) {
        todo!()
    }
    /// When `Input::Tick` is needed next: a delay or a start-by that runs out.
    pub fn next_wake(&self) -> Option<Tick> {
        todo!()
    }
    /// Where one task stands (cheap).
    pub fn state(&self, _key: TaskKey) -> Option<State> {
        todo!()
    }
    /// One task, put together from the compact form it is kept in.
    pub fn task(&self, _key: TaskKey) -> Option<Task> {
        todo!()
    }
    /// All tasks in the order of their numbers, from `from` on.
    pub fn tasks_from(&self, _from: TaskKey) -> Box<dyn Iterator<Item = Task> + '_> {
        todo!()
    }
    /// How many tasks stand in each state.
    pub fn count(&self, _state: State) -> usize {
        todo!()
    }
    /// Running, paused or waiting tasks (those that hold a slot).
    pub fn active(&self) -> Box<dyn Iterator<Item = Task> + '_> {
        todo!()
    }
    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        todo!()
    }
    /// Paused scopes: `None` is everything.
    pub fn paused(&self) -> Box<dyn Iterator<Item = Option<Arc<str>>> + '_> {
        todo!()
    }
    /// Whether some other task that has not ended waits for it.
    pub fn is_waited_for(&self, _key: TaskKey) -> bool {
        todo!()
    }
    /// Why a task waits.
    pub fn explain(&self, _now: Tick, _key: TaskKey) -> Option<Explanation> {
        todo!()
    }
    /// Each closed gate that holds up every queued task, for `status`.
    pub fn blocked_by(&self, _now: Tick) -> Vec<GateReport> {
        todo!()
    }
    /// Panics, saying what is wrong, if the parts of the state contradict each other. For tests.
    pub fn check_invariants(&self) {
        todo!()
    }
}
