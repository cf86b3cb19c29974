//! Filling the free slots: which task starts next, and what is told of the gates.
//!
//! The task that comes first in the order is asked first. If the machine cannot carry it while it
//! could carry smaller ones, those go past it, but not for ever: after a time the machine is kept
//! free for it.

use std::cell::Cell;

use super::obstacles::Obstacle;
use super::rules::RateScope;
use crate::{Action, Change, Lane, Scheduler, State, TaskKey};

/// What comes of asking for the next task.
enum Next {
    /// This one starts; `is_first` if none comes before it.
    Start { key: TaskKey, is_first: bool },
    /// There is nothing to start.
    Nothing,
    /// The machine does not carry it.
    Refused,
}

impl Scheduler {
    pub(crate) fn fill_slots(&mut self, actions: &mut Vec<Action>) {
        let mut obstacles = self.admission.in_everybodys_way(self.now);
        obstacles.extend(self.admission.in_the_way_of_long_ones(self.now));
        // In a dry run, what would have waited is gone at once.
        let mut ignored = Vec::new();
        while self.may_start() {
            let next = self.next_start(&mut obstacles);
            self.count_refusal(&next, &obstacles);
            let Next::Start { key, is_first } = next else {
                break;
            };
            if self.admission.rules.dry_run {
                ignored.clone_from(&obstacles);
            }
            self.start(key, is_first, actions);
        }
        obstacles.extend(ignored);
        let notices = self.admission.tell(self.now, &obstacles);
        let lanes = &self.lanes;
        let waits = |scope: &RateScope| {
            let mut waiting = lanes.iter().filter(|lane| !lane.queue.is_empty());
            waiting.any(|lane| scope.covers(&lane.lane))
        };
        let of_rates = self.admission.rates.tell(self.now, waits);
        actions.extend(notices.into_iter().chain(of_rates).map(Action::Gate));
    }

    /// In a dry run, and when nothing waits, nobody is refused.
    fn count_refusal(&mut self, next: &Next, obstacles: &[Obstacle]) {
        let is_refused = match next {
            Next::Start { is_first, .. } => !is_first,
            Next::Refused => self.best_open(|_| true).is_some(),
            Next::Nothing => false,
        };
        if is_refused {
            self.admission.refusals.by_machine(obstacles);
        }
    }

    fn start(&mut self, key: TaskKey, is_first: bool, actions: &mut Vec<Action>) {
        let slot = self.lowest_free_slot();
        let attempt = self.attempt_of(key) + 1;
        let lane = self.lane_of(key).clone();
        self.change(key, Change::Started { attempt, slot }, actions)
            .expect("a queued task can be started in a free slot");
        self.shares.start(self.now, key, &lane.workspace);
        self.admission.start(self.now, &lane, is_first);
        actions.push(Action::Start { key, attempt, slot });
    }

    fn may_start(&self) -> bool {
        let free = self.slots.len() - self.lent() < self.limits().slots as usize;
        free && !self.all_paused && !self.gates.close_everything()
    }

    /// `obstacles` are left with what stands in the way of the task that comes first.
    fn next_start(&mut self, obstacles: &mut Vec<Obstacle>) -> Next {
        let binds = self.admission.rules.bind();
        let alone = self.may_go_alone();
        *obstacles = self.admission.in_everybodys_way(self.now);
        if binds && !alone && !obstacles.is_empty() {
            obstacles.extend(self.admission.in_the_way_of_long_ones(self.now));
            return Next::Refused;
        }
        let (first, is_rated) = self.first_open();
        if is_rated {
            self.admission.refusals.by_rate();
        }
        let Some(first) = first else {
            self.admission.forget_held_up();
            obstacles.extend(self.admission.in_the_way_of_long_ones(self.now));
            return Next::Nothing;
        };
        if alone || !self.admission.rules.enabled {
            let is_first = true;
            return Next::Start { key: first, is_first };
        }
        obstacles.extend(self.machine_refuses(first));
        if !binds || obstacles.is_empty() {
            let is_first = true;
            return Next::Start { key: first, is_first };
        }
        if !obstacles.iter().any(|obstacle| obstacle.lasts()) {
            // Its turn comes with the next reading.
            return Next::Refused;
        }
        // For what is larger than the machine, no time is long enough: it runs when nobody else does.
        let ever_fits = self
            .wants_of(first)
            .is_none_or(|wants| self.admission.ever_fits(wants));
        if ever_fits && !self.admission.lets_pass(self.now) {
            return Next::Refused;
        }
        match self.best_open(|key| self.machine_refuses(key).is_empty()) {
            Some(key) => Next::Start { key, is_first: false },
            None => Next::Refused,
        }
    }

    /// Nobody advances, so that waiting would not help: one task may start whatever the readings
    /// say. While others wait for an answer or are paused by the user, though, the floor holds:
    /// those can go on some day, and each start takes more memory.
    pub(crate) fn may_go_alone(&self) -> bool {
        let nobody_runs = self.count(State::Running) == 0 && self.admission.reliefs.len() == 0;
        nobody_runs && (self.slots.is_empty() || !self.admission.is_below_floor(self.now))
    }

    /// The best task of those that come first in lanes that are open.
    pub(crate) fn best_open(&self, is_let_in: impl Fn(TaskKey) -> bool) -> Option<TaskKey> {
        self.fairest(|lane, head| {
            self.is_open_but_for_rates(lane, head)
                && !self.admission.rates.close_lane(lane, self.now)
                && is_let_in(head)
        })
    }

    /// The task that comes first, and whether a rate kept one out that would have come before it.
    fn first_open(&self) -> (Option<TaskKey>, bool) {
        let is_rated = Cell::new(false);
        let first = self.fairest(|lane, head| {
            let is_open = self.is_open_but_for_rates(lane, head);
            let is_used_up = is_open && self.admission.rates.close_lane(lane, self.now);
            is_rated.set(is_rated.get() || is_used_up);
            is_open && !is_used_up
        });
        (first, is_rated.get())
    }

    /// The best of the heads that are let in; among those of its priority, the one whose workspace has had the least
    /// of its share.
    fn fairest(&self, is_let_in: impl Fn(&Lane, TaskKey) -> bool) -> Option<TaskKey> {
        let first = self.lanes.best_open(&is_let_in)?;
        if !self.shares.are_set() {
            return Some(first);
        }
        let priority_of = |key| self.store.get(key).map(|entry| entry.priority);
        let priority = priority_of(first);
        let pass = |lane: &Lane, head| {
            let is_equal = priority_of(head) == priority;
            is_equal.then(|| self.shares.pass(&lane.workspace))
        };
        self.lanes.best_by(pass, is_let_in)
    }

    fn is_open_but_for_rates(&self, lane: &Lane, head: TaskKey) -> bool {
        !self.gates.close_lane(lane) && !self.budgets.close_lane(lane, head)
    }

    /// What keeps this task from starting, apart from what keeps all from it.
    pub(crate) fn machine_refuses(&self, key: TaskKey) -> Vec<Obstacle> {
        self.wants_of(key)
            .map_or_else(Vec::new, |wants| self.admission.in_the_way_of(self.now, wants))
    }

    pub(crate) fn wants_of(&self, key: TaskKey) -> Option<super::Wants> {
        let number = self.store.get(key)?.lane;
        Some(self.admission.wants(key, number, self.lane_of(key)))
    }

    pub(crate) fn lane_of(&self, key: TaskKey) -> &Lane {
        let entry = self
            .store
            .get(key)
            .expect("every caller has looked the task up before");
        &self.lanes.get(entry.lane).lane
    }
}
