//! The scheduler checks itself: every index is worked out again from the tasks and compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::order::Place;
use crate::timers::Timers;
use crate::{Census, Lane, Relief, Scheduler, State, TaskKey};

impl Scheduler {
    /// Panics, saying what is wrong, if the parts of the state contradict each other. For tests.
    pub fn check_invariants(&self) {
        self.check_counts();
        self.check_slots();
        self.check_timers();
        self.check_lanes();
        self.check_dependencies_linked();
        self.check_pending_states();
        self.check_outside_counts();
        self.check_admission();
        self.shares.check(self.lanes.loads());
    }

    fn check_counts(&self) {
        let mut counts = [0; State::ALL.len()];
        for (key, entry) in self.store.iter() {
            counts[entry.state as usize] += 1;
            assert!(
                !entry.stopping || entry.state.is_active(),
                "{key:?} cannot be stopping"
            );
            assert!(
                !entry.state.is_active() || entry.attempts > 0,
                "{key:?} runs attempt 0"
            );
        }
        assert_eq!(self.counts, counts, "tasks in each state");
    }

    fn check_slots(&self) {
        let active = self.store.iter().filter(|(_, entry)| entry.state.is_active());
        let mut slots = BTreeMap::new();
        for (key, entry) in active {
            let other = slots.insert(entry.slot, key);
            assert_eq!(other, None, "slot {} has two tasks", entry.slot);
        }
        assert_eq!(self.slots, slots, "slots that are taken");
    }

    fn check_timers(&self) {
        let mut timers = Timers::default();
        for (key, entry) in self.store.iter() {
            if let Some(deadline) = entry.deadline() {
                timers.deadlines.insert(deadline, key);
            }
            if entry.state == State::Delayed {
                let until = entry.delayed_until(self.now);
                timers
                    .delays
                    .insert(until.expect("a delayed task's delay is not over"), key);
            }
        }
        assert_eq!(self.timers, timers, "timers");
    }

    fn check_lanes(&self) {
        self.lanes.check_numbers();
        let aging_step_ms = self.limits().aging_step_ms;
        let mut sizes: BTreeMap<_, (u32, u32, usize, Census)> = BTreeMap::new();
        for (key, entry) in self.store.iter() {
            let lane = self.lanes.get(entry.lane);
            let (tasks, active, queued, census) = sizes.entry(&lane.lane).or_default();
            *tasks += 1;
            census.add(entry.state, entry.priority);
            *active += u32::from(entry.state.is_active());
            if entry.state == State::Queued {
                *queued += 1;
                let place = lane.queue.get_priority(&key).map(|place| place.0);
                assert_eq!(
                    place,
                    Some(Place::new(key, entry, aging_step_ms)),
                    "place of {key:?}"
                );
            }
        }
        let actual = self.lanes.iter().map(|lane| {
            (
                &lane.lane,
                (lane.tasks, lane.active, lane.queue.len(), lane.census),
            )
        });
        assert_eq!(
            sizes,
            actual.collect(),
            "tasks, active and queued in each lane, and by state"
        );
    }

    fn check_dependencies_linked(&self) {
        let mut edges = BTreeSet::new();
        for (key, entry) in self.store.iter() {
            if !entry.state.is_end() {
                edges.extend(
                    self.dependencies
                        .of(key)
                        .iter()
                        .map(|dependency| (dependency.key, key)),
                );
            }
            if entry.state.is_pending() && self.dependencies.hopeless(key, &self.store).is_some() {
                assert!(self.doomed.contains(&key), "{key:?} waits in vain");
            }
        }
        assert_eq!(*self.dependencies.edges(), edges, "who waits for whom");
        let strays: Vec<TaskKey> = self
            .dependencies
            .dependent_keys()
            .filter(|key| !self.store.contains(*key))
            .collect();
        assert_eq!(strays, [], "dependencies of removed tasks");
    }

    fn check_outside_counts(&self) {
        let states = self.store.iter().map(|(key, entry)| (key, entry.state));
        self.sessions.check_members(states);
        self.gates.check_counts(&self.lanes);
        let active = self.store.iter().filter(|(_, entry)| entry.state.is_active());
        let in_lanes: Vec<(TaskKey, &Lane)> = active
            .map(|(key, entry)| (key, &self.lanes.get(entry.lane).lane))
            .collect();
        self.budgets.check_sums(&in_lanes, |key| self.store.contains(key));
    }

    fn check_admission(&self) {
        let active = self.store.iter().filter(|(_, entry)| entry.state.is_active());
        let lanes = self
            .store
            .iter()
            .map(|(_, entry)| (entry.lane, &self.lanes.get(entry.lane).lane));
        self.admission
            .check(active.map(|(key, entry)| (key, entry.attempts)), lanes, |key| {
                self.store.contains(key)
            });
        for (key, relief) in self.admission.reliefs.iter() {
            let entry = self.store.get(key).expect("only a task can be relieved");
            let fits = match relief {
                Relief::PausedUntil(_) => entry.state == State::Paused && !entry.stopping,
                Relief::PuttingBack => entry.state.is_active() && entry.stopping,
            };
            assert!(fits, "{key:?} is {relief:?} and {}", entry.state);
        }
    }

    /// Worked out from the tasks alone.
    fn session_is_in_use(&self, key: TaskKey) -> bool {
        let session = self.sessions.of(key);
        let mut others = self.store.iter().filter(|(other, _)| *other != key);
        session.is_some()
            && others.any(|(other, entry)| entry.state.is_active() && self.sessions.of(other) == session)
    }

    fn check_pending_states(&self) {
        for (key, entry) in self.store.iter().filter(|(_, entry)| entry.state.is_pending()) {
            let blocked = self.dependencies.blocks(key, &self.store) || self.session_is_in_use(key);
            let delayed = entry.delayed_until(self.now).is_some();
            let state = match (entry.held, blocked, delayed) {
                (true, _, _) => State::Held,
                (false, true, _) => State::Blocked,
                (false, false, true) => State::Delayed,
                (false, false, false) => State::Queued,
            };
            assert_eq!(entry.state, state, "{key:?} by its facts");
        }
    }
}
