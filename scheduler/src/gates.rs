//! The gates that are closed from outside: a journal that fails, a reading of the host, a quota.
//!
//! They are not journaled. Whoever closed one knows whether its cause is still there, and closes
//! it again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lanes::Lanes;
use crate::{Lane, Tick};

/// Which tasks a gate stands before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateScope {
    /// All tasks.
    All,
    /// The tasks of these worker profiles.
    Workers(BTreeSet<Arc<str>>),
}

impl GateScope {
    fn covers(&self, lane: &Lane) -> bool {
        match self {
            Self::All => true,
            Self::Workers(workers) => workers.contains(&lane.worker),
        }
    }
}

/// A reason to wait that comes from outside of the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// What reports call it (`journal`, `quota`); several gates may share a name.
    pub name: Arc<str>,
    /// Whom it concerns. All other lanes go on.
    pub scope: GateScope,
    /// No task of the scope starts while this many of them are active; 0 closes the gate.
    pub at_most: u32,
    /// Why it is there, in words.
    pub message: String,
    /// When it goes away by itself; `None` if it stays until it is opened.
    pub opens_at: Option<Tick>,
}

impl Gate {
    /// A gate that is closed to all tasks until it is opened.
    #[must_use]
    pub fn closed(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scope: GateScope::All,
            at_most: 0,
            message: message.into(),
            opens_at: None,
        }
    }
}

/// A gate, and what it counts.
#[derive(Debug)]
pub(crate) struct CountedGate {
    pub(crate) gate: Gate,
    /// Active tasks of its scope.
    pub(crate) active: u32,
}

impl CountedGate {
    fn is_full(&self) -> bool {
        self.active >= self.gate.at_most
    }
}

/// All gates by the name that their owner gave them.
#[derive(Debug, Default)]
pub(crate) struct Gates(BTreeMap<Arc<str>, CountedGate>);

impl Gates {
    /// Sets up a gate, in place of the former one of this name.
    pub(crate) fn close(&mut self, id: Arc<str>, gate: Gate, lanes: &Lanes) {
        let active = active_in(&gate.scope, lanes);
        self.0.insert(id, CountedGate { gate, active });
    }

    pub(crate) fn open(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Drops the gates whose end has come.
    pub(crate) fn expire(&mut self, now: Tick) {
        self.0
            .retain(|_, counted| counted.gate.opens_at.is_none_or(|end| end > now));
    }

    /// When the next one goes away by itself.
    pub(crate) fn next_end(&self) -> Option<Tick> {
        self.0.values().filter_map(|counted| counted.gate.opens_at).min()
    }

    /// A task of this lane has taken a slot.
    pub(crate) fn activate(&mut self, lane: &Lane) {
        for counted in self.counting(lane) {
            counted.active += 1;
        }
    }

    /// A task of this lane has given its slot back.
    pub(crate) fn deactivate(&mut self, lane: &Lane) {
        for counted in self.counting(lane) {
            counted.active -= 1;
        }
    }

    fn counting<'a>(&'a mut self, lane: &'a Lane) -> impl Iterator<Item = &'a mut CountedGate> + 'a {
        let counted = self.0.values_mut();
        counted.filter(|counted| counted.gate.scope.covers(lane))
    }

    /// Whether nothing at all may start: then no lane needs to be looked at.
    pub(crate) fn close_everything(&self) -> bool {
        self.full_for_all().next().is_some()
    }

    /// Whether no task of this lane may start.
    pub(crate) fn close_lane(&self, lane: &Lane) -> bool {
        let mut full = self.0.values().filter(|counted| counted.is_full());
        full.any(|counted| counted.gate.scope.covers(lane))
    }

    /// The full gates that concern all tasks.
    pub(crate) fn full_for_all(&self) -> impl Iterator<Item = &CountedGate> {
        let full = self.0.values().filter(|counted| counted.is_full());
        full.filter(|counted| counted.gate.scope == GateScope::All)
    }

    /// The full gates that concern this lane and not all of them.
    pub(crate) fn full_for<'a>(&'a self, lane: &'a Lane) -> impl Iterator<Item = &'a CountedGate> + 'a {
        let full = self.0.values().filter(|counted| counted.is_full());
        full.filter(|counted| counted.gate.scope != GateScope::All && counted.gate.scope.covers(lane))
    }

    /// Panics if a count is wrong, for `check_invariants`.
    pub(crate) fn check_counts(&self, lanes: &Lanes) {
        for (id, counted) in &self.0 {
            let active = active_in(&counted.gate.scope, lanes);
            assert_eq!(counted.active, active, "active tasks of gate {id}");
        }
    }
}

fn active_in(scope: &GateScope, lanes: &Lanes) -> u32 {
    let covered = lanes.iter().filter(|lane| scope.covers(&lane.lane));
    covered.map(|lane| lane.active).sum()
}
