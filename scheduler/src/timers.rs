//! The moments at which something becomes due by itself.

use std::collections::BTreeSet;

use crate::{TaskKey, Tick};

/// Moments with their tasks, the soonest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Agenda(BTreeSet<(Tick, TaskKey)>);

impl Agenda {
    pub(crate) fn insert(&mut self, due: Tick, key: TaskKey) {
        self.0.insert((due, key));
    }

    pub(crate) fn remove(&mut self, due: Tick, key: TaskKey) {
        self.0.remove(&(due, key));
    }

    /// The soonest moment.
    pub(crate) fn next(&self) -> Option<Tick> {
        self.0.first().map(|(due, _)| *due)
    }

    /// The task that has been due for longest, if one is due. It stays on the agenda.
    pub(crate) fn due(&self, now: Tick) -> Option<TaskKey> {
        let (due, key) = self.0.first()?;
        (*due <= now).then_some(*key)
    }
}

/// Delays and start-bys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    /// When each `delayed` task may start.
    pub(crate) delays: Agenda,
    /// When each pending task that was never started must have started, if it must.
    pub(crate) deadlines: Agenda,
}

impl Timers {
    pub(crate) fn next(&self) -> Option<Tick> {
        [self.delays.next(), self.deadlines.next()]
            .into_iter()
            .flatten()
            .min()
    }
}
