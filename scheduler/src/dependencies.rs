//! Which task waits for which, and whether that can still come true.
//!
//! Whether a dependency is met is never stored: it follows from the state in which the other
//! task stands, so that a restored scheduler cannot disagree with the one that was saved. When a
//! task is revived, what waits for it is therefore blocked again; what was skipped stays skipped.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::Store;
use crate::{Condition, Dependency, State, TaskKey};

/// What one task waits for.
#[derive(Debug)]
struct Waits {
    after: Box<[Dependency]>,
    /// Whether a task that is not there counts as met (else: as never to be met).
    missing_is_met: bool,
}

/// How a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It lets its dependent run.
    Met,
    /// It may still come true.
    Open,
    /// It can no longer come true, short of reviving the other task.
    Never,
}

/// All dependencies.
#[derive(Debug, Default)]
pub(crate) struct Dependencies {
    /// Only tasks that wait, or waited, for others stand here.
    waits: BTreeMap<TaskKey, Waits>,
    /// (waited for, waits) for each dependent that has not ended.
    edges: BTreeSet<(TaskKey, TaskKey)>,
}

impl Dependencies {
    /// What the task waits for, or waited for.
    pub(crate) fn of(&self, key: TaskKey) -> &[Dependency] {
        self.waits.get(&key).map_or(&[], |waits| &waits.after)
    }

    /// Sets what the task waits for, in place of what it waited for. Call `link` afterwards.
    pub(crate) fn set(&mut self, key: TaskKey, after: Vec<Dependency>, missing_is_met: bool) {
        self.unlink(key);
        if after.is_empty() {
            self.waits.remove(&key);
        } else {
            let after = after.into_boxed_slice();
            let waits = Waits {
                after,
                missing_is_met,
            };
            self.waits.insert(key, waits);
        }
    }

    /// The task has not ended (any more): what it waits for must be kept.
    pub(crate) fn link(&mut self, key: TaskKey) {
        if let Some(waits) = self.waits.get(&key) {
            let edges = waits.after.iter().map(|dependency| (dependency.key, key));
            self.edges.extend(edges);
        }
    }

    /// The task has ended.
    pub(crate) fn unlink(&mut self, key: TaskKey) {
        if let Some(waits) = self.waits.get(&key) {
            for dependency in &waits.after {
                self.edges.remove(&(dependency.key, key));
            }
        }
    }

    /// The task is removed.
    pub(crate) fn forget(&mut self, key: TaskKey) {
        self.unlink(key);
        self.waits.remove(&key);
    }

    /// Drops dependencies on tasks that were removed: the user wants an ended task to run again,
    /// and how those had ended is no longer known.
    pub(crate) fn drop_missing(&mut self, key: TaskKey, store: &Store) {
        let missing = |dependency: &Dependency| !store.contains(dependency.key);
        if self.of(key).iter().any(missing) {
            let mut after = self.of(key).to_vec();
            after.retain(|dependency| !missing(dependency));
            self.set(key, after, false);
        }
    }

    /// The tasks that have not ended and wait for this one.
    pub(crate) fn dependents(&self, key: TaskKey) -> impl Iterator<Item = TaskKey> + '_ {
        let range = (key, TaskKey(0))..=(key, TaskKey(u64::MAX));
        self.edges.range(range).map(|(_, dependent)| *dependent)
    }

    pub(crate) fn verdict(&self, key: TaskKey, on: Dependency, store: &Store) -> Verdict {
        let Some(entry) = store.get(on.key) else {
            let waits = self.waits.get(&key);
            return if waits.is_some_and(|waits| waits.missing_is_met) {
                Verdict::Met
            } else {
                Verdict::Never
            };
        };
        verdict_on(on.on, entry.state)
    }

    /// Whether the task has to wait for another one (or waits in vain).
    pub(crate) fn blocks(&self, key: TaskKey, store: &Store) -> bool {
        // From the back: tasks mostly end in the order in which they are listed, and so a task
        // that waits for a thousand others is not checked a thousand times over.
        let mut from_the_back = self.of(key).iter().rev();
        from_the_back.any(|dependency| self.verdict(key, *dependency, store) != Verdict::Met)
    }

    /// The first dependency that can no longer come true.
    pub(crate) fn hopeless(&self, key: TaskKey, store: &Store) -> Option<TaskKey> {
        let mut in_order = self.of(key).iter();
        in_order
            .find(|dependency| self.verdict(key, **dependency, store) == Verdict::Never)
            .map(|dependency| dependency.key)
    }

    /// Whether what `key` expects of `on` can no longer come true.
    pub(crate) fn hopeless_on(&self, key: TaskKey, on: TaskKey, store: &Store) -> bool {
        let mut of_this_one = self.of(key).iter().filter(|dependency| dependency.key == on);
        of_this_one.any(|dependency| self.verdict(key, *dependency, store) == Verdict::Never)
    }

    /// If `key` waited for `after`: the tasks that would then wait in a circle, from `key` on.
    ///
    /// Ended tasks count: reviving one of them would close the circle.
    pub(crate) fn cycle(&self, key: TaskKey, after: &[Dependency]) -> Option<Vec<TaskKey>> {
        let mut reached_from = BTreeMap::from([(key, key)]);
        let mut to_visit = vec![key];
        while let Some(visited) = to_visit.pop() {
            let next = if visited == key { after } else { self.of(visited) };
            for dependency in next {
                if dependency.key == key {
                    return Some(path(&reached_from, key, visited));
                }
                reached_from.entry(dependency.key).or_insert_with(|| {
                    to_visit.push(dependency.key);
                    visited
                });
            }
        }
        None
    }

    /// The pairs (waited for, waits), for `check_invariants`.
    pub(crate) fn edges(&self) -> &BTreeSet<(TaskKey, TaskKey)> {
        &self.edges
    }

    /// Every task that has dependencies, for `check_invariants`.
    pub(crate) fn dependent_keys(&self) -> impl Iterator<Item = TaskKey> + '_ {
        self.waits.keys().copied()
    }
}

/// Walks back from `last` to `first`.
fn path(reached_from: &BTreeMap<TaskKey, TaskKey>, first: TaskKey, last: TaskKey) -> Vec<TaskKey> {
    let mut path = vec![last];
    let mut at = last;
    while at != first {
        at = reached_from[&at];
        path.push(at);
    }
    path.reverse();
    path
}

fn verdict_on(on: Condition, state: State) -> Verdict {
    let wanted = match on {
        Condition::Success => matches!(state, State::Succeeded),
        Condition::Failure => matches!(state, State::Failed | State::Lost),
        Condition::Any => state.is_end(),
    };
    match (wanted, state.is_end()) {
        (true, _) => Verdict::Met,
        (false, false) => Verdict::Open,
        (false, true) => Verdict::Never,
    }
}
