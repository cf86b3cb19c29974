//! Which tasks work in one session: two of them never run at once.
//!
//! Whether a session is in use is never stored: it follows from the states of its tasks, as with
//! dependencies. Few tasks have a session, so that it stands here and not with each task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{State, TaskKey};

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    of: BTreeMap<TaskKey, Arc<str>>,
    /// Who waits in each session, and who runs in it; ended tasks concern nobody. One flat set
    /// each, since most sessions have a single task, and a set for each would cost far more.
    pending: BTreeSet<Member>,
    active: BTreeSet<Member>,
}

type Member = (Arc<str>, TaskKey);

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
        if let Some(session) = self.of.get(&key).cloned() {
            if let Some(members) = self.members(state) {
                members.insert((session, key));
            }
        }
    }

    /// The opposite of `put_in`.
    pub(crate) fn take_out(&mut self, key: TaskKey, state: State) {
        if let Some(session) = self.of.get(&key).cloned() {
            if let Some(members) = self.members(state) {
                members.remove(&(session, key));
            }
        }
    }

    fn members(&mut self, state: State) -> Option<&mut BTreeSet<Member>> {
        if state.is_pending() {
            Some(&mut self.pending)
        } else if state.is_active() {
            Some(&mut self.active)
        } else {
            None
        }
    }

    /// Whether the task has to wait for another one of its session.
    pub(crate) fn blocks(&self, key: TaskKey) -> bool {
        self.used_by(key).next().is_some()
    }

    /// The other tasks that are active in this one's session.
    pub(crate) fn used_by(&self, key: TaskKey) -> impl Iterator<Item = TaskKey> + '_ {
        let session = self.of(key).into_iter();
        let active = session.flat_map(|session| in_session(&self.active, session));
        active.filter(move |other| *other != key)
    }

    /// The tasks that may have to wait while this session is in use.
    pub(crate) fn pending(&self, session: &Arc<str>) -> Vec<TaskKey> {
        in_session(&self.pending, session).collect()
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
        assert_eq!(self.pending, again.pending, "who waits in each session");
        assert_eq!(self.active, again.active, "who runs in each session");
        let strays: Vec<&TaskKey> = self.of.keys().filter(|key| !known.contains(key)).collect();
        assert!(strays.is_empty(), "sessions of removed tasks: {strays:?}");
    }
}

fn in_session<'a>(members: &'a BTreeSet<Member>, session: &Arc<str>) -> impl Iterator<Item = TaskKey> + 'a {
    let first = (Arc::clone(session), TaskKey(0));
    let last = (Arc::clone(session), TaskKey(u64::MAX));
    members.range(first..=last).map(|(_, key)| *key)
}
