//! Which tasks work in one session: two of them never run at once.
//!
//! Whether a session is in use is never stored: it follows from the states of its tasks, as with
//! dependencies. Few tasks have a session, so that it stands here and not with each task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{State, TaskKey};

/// The tasks of one session; ended ones concern nobody.
#[derive(Debug, Default, PartialEq, Eq)]
struct Members {
    pending: BTreeSet<TaskKey>,
    active: BTreeSet<TaskKey>,
}

impl Members {
    fn standing(&mut self, state: State) -> Option<&mut BTreeSet<TaskKey>> {
        if state.is_pending() {
            Some(&mut self.pending)
        } else if state.is_active() {
            Some(&mut self.active)
        } else {
            None
        }
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    of: BTreeMap<TaskKey, Arc<str>>,
    members: BTreeMap<Arc<str>, Members>,
}

impl Sessions {
    /// The session of this task.
    pub(crate) fn of(&self, key: TaskKey) -> Option<&Arc<str>> {
        self.of.get(&key)
    }

    /// Sets the session of a task that is taken out.
    pub(crate) fn set(&mut self, key: TaskKey, session: Option<Arc<str>>) {
        match session {
            Some(session) => drop(self.of.insert(key, session)),
            None => drop(self.of.remove(&key)),
        }
    }

    /// The task stands in this state now.
    pub(crate) fn put_in(&mut self, key: TaskKey, state: State) {
        let Some(session) = self.of.get(&key).filter(|_| !state.is_end()) else {
            return;
        };
        let members = self.members.entry(Arc::clone(session)).or_default();
        if let Some(tasks) = members.standing(state) {
            tasks.insert(key);
        }
    }

    /// The opposite of `put_in`.
    pub(crate) fn take_out(&mut self, key: TaskKey, state: State) {
        let Some(session) = self.of.get(&key) else {
            return;
        };
        let Some(members) = self.members.get_mut(session) else {
            return;
        };
        if let Some(tasks) = members.standing(state) {
            tasks.remove(&key);
        }
        if *members == Members::default() {
            self.members.remove(session);
        }
    }

    /// Whether the task has to wait for another one of its session.
    pub(crate) fn blocks(&self, key: TaskKey) -> bool {
        self.used_by(key).next().is_some()
    }

    /// The other tasks that are active in this one's session.
    pub(crate) fn used_by(&self, key: TaskKey) -> impl Iterator<Item = TaskKey> + '_ {
        let members = self.of(key).and_then(|session| self.members.get(session));
        let active = members.into_iter().flat_map(|members| &members.active);
        active.copied().filter(move |other| *other != key)
    }

    /// The tasks that may have to wait while this session is in use.
    pub(crate) fn pending(&self, session: &str) -> Vec<TaskKey> {
        let members = self.members.get(session);
        members
            .into_iter()
            .flat_map(|members| members.pending.iter().copied())
            .collect()
    }

    /// Panics if the sessions are not those of these tasks, for `check_invariants`.
    pub(crate) fn check_members(&self, tasks: impl Iterator<Item = (TaskKey, State)>) {
        let mut known = BTreeSet::new();
        let mut again = Self::default();
        for (key, state) in tasks {
            known.insert(key);
            again.set(key, self.of(key).cloned());
            again.put_in(key, state);
        }
        assert_eq!(self.members, again.members, "who works in each session");
        let strays: Vec<&TaskKey> = self.of.keys().filter(|key| !known.contains(key)).collect();
        assert!(strays.is_empty(), "sessions of removed tasks: {strays:?}");
    }
}
