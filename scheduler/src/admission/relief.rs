//! What is done when memory is short: pausing the youngest worker, then putting it back.
//!
//! That a worker is paused for this reason, or being put back, is a fact of its task, journaled
//! and replayed. When the next step is due is not: it is found out anew after a restart.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Admission;
use crate::{Action, Change, Scheduler, State, TaskKey, Tick};

/// What was done to an attempt to relieve memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relief {
    /// It is paused, until this moment at most.
    PausedUntil(Tick),
    /// It is being stopped, and its task goes back to its place.
    PuttingBack,
}

/// All attempts that something was done to, and when the last step was taken.
#[derive(Debug, Default)]
pub(crate) struct Reliefs {
    by_key: BTreeMap<TaskKey, Relief>,
    /// Since when each reading says that memory is short.
    trouble_since: Option<Tick>,
    acted_at: Option<Tick>,
    /// In a dry run: it was told who would be paused this time.
    is_told: bool,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Continue(TaskKey),
    PutBack(TaskKey),
    Pause(TaskKey),
}

impl Reliefs {
    pub(crate) fn of(&self, key: TaskKey) -> Option<Relief> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn set(&mut self, key: TaskKey, relief: Option<Relief>) {
        match relief {
            Some(relief) => drop(self.by_key.insert(key, relief)),
            None => drop(self.by_key.remove(&key)),
        }
    }

    /// What a change of the task means for it.
    pub(crate) fn take(&mut self, key: TaskKey, change: &Change) {
        match change {
            Change::Relieved { until } => self.set(key, Some(Relief::PausedUntil(*until))),
            Change::PutBackRequested => self.set(key, Some(Relief::PuttingBack)),
            // The user's own wish takes the place of it.
            Change::StopRequested | Change::Requeued { .. } | Change::Ended { .. } => self.set(key, None),
            // Its stop is on the way all the same.
            Change::Continued if self.is_putting_back(key) => {}
            Change::Continued => self.set(key, None),
            Change::Started { .. }
            | Change::Suspended
            | Change::Asked
            | Change::Answered
            | Change::Held
            | Change::Released
            | Change::Edited(_)
            | Change::Claimed(_)
            | Change::Revived => {}
        }
    }

    pub(crate) fn is_putting_back(&self, key: TaskKey) -> bool {
        self.of(key) == Some(Relief::PuttingBack)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskKey, Relief)> + '_ {
        self.by_key.iter().map(|(key, relief)| (*key, *relief))
    }

    fn paused(&self) -> impl Iterator<Item = (TaskKey, Tick)> + '_ {
        self.iter().filter_map(|(key, relief)| match relief {
            Relief::PausedUntil(until) => Some((key, until)),
            Relief::PuttingBack => None,
        })
    }

    /// A reading says whether memory is short.
    pub(crate) fn see(&mut self, at: Tick, is_short: bool) {
        if is_short {
            self.trouble_since.get_or_insert(at);
        } else {
            self.trouble_since = None;
            self.is_told = false;
        }
    }
}

impl Admission {
    /// Whether steps may be taken at all.
    fn relieves(&self) -> bool {
        self.rules.bind() && self.rules.relief.enabled
    }

    fn rests_until(&self) -> Tick {
        let interval_ms = self.rules.relief.interval_ms.max(1);
        let acted_at = self.reliefs.acted_at;
        acted_at.map_or(Tick(0), |at| at.plus_ms(interval_ms))
    }

    /// For how long memory has been short, if the newest reading still says so.
    fn trouble_ms(&self, now: Tick) -> Option<u64> {
        let reading = self.fresh_reading(now)?;
        let since = self.reliefs.trouble_since?;
        Some(reading.taken_at.ms_since(since))
    }

    /// Whether it has been short for long enough to do something about it.
    fn trouble_lasts(&self, now: Tick) -> bool {
        let trouble_ms = self.trouble_ms(now);
        trouble_ms.is_some_and(|ms| ms >= self.rules.relief.after_ms)
    }

    /// When the next pause is over.
    pub(crate) fn next_relief(&self) -> Option<Tick> {
        let next = self.reliefs.paused().map(|(_, until)| until).min()?;
        Some(next.max(self.rests_until()))
    }

    /// The order in which workers were started.
    fn age(&self, key: TaskKey) -> (Tick, TaskKey) {
        let started_at = self.holds.get(key).map_or(Tick(0), |hold| hold.started_at);
        (started_at, key)
    }
}

impl Scheduler {
    /// Takes at most one step to relieve memory, or back from there.
    pub(crate) fn relieve(&mut self, actions: &mut Vec<Action>) {
        match self.next_relief_step() {
            Some(Step::Continue(key)) => self.let_go(key, actions),
            Some(Step::PutBack(key)) => {
                self.change(key, Change::PutBackRequested, actions)
                    .expect("a paused task can be put back");
                actions.push(Action::Stop(key, self.attempt_of(key)));
            }
            Some(Step::Pause(key)) => {
                let until = self.now.plus_ms(self.admission.rules.relief.pause_at_most_ms);
                self.change(key, Change::Relieved { until }, actions)
                    .expect("a running task can be paused");
                actions.push(Action::Suspend(key, self.attempt_of(key)));
            }
            None => return self.tell_whom_it_would_pause(actions),
        }
        self.admission.reliefs.acted_at = Some(self.now);
    }

    /// In a dry run, once each time that memory has been short for long enough.
    fn tell_whom_it_would_pause(&mut self, actions: &mut Vec<Action>) {
        let admission = &self.admission;
        let is_meant = admission.rules.enabled && admission.rules.dry_run && admission.rules.relief.enabled;
        if !is_meant || admission.reliefs.is_told || !admission.trouble_lasts(self.now) {
            return;
        }
        let Some(key) = self.to_pause() else {
            return;
        };
        let message = self.admission.short_memory_in_words(self.now);
        actions.push(Action::WouldPause { key, message });
        self.admission.reliefs.is_told = true;
    }

    /// Whoever was paused to relieve memory goes on: nothing is paused any more by these rules.
    pub(crate) fn let_all_go(&mut self, actions: &mut Vec<Action>) {
        if self.admission.relieves() {
            return;
        }
        let paused: Vec<TaskKey> = self.admission.reliefs.paused().map(|(key, _)| key).collect();
        for key in paused {
            self.let_go(key, actions);
        }
    }

    fn let_go(&mut self, key: TaskKey, actions: &mut Vec<Action>) {
        self.change(key, Change::Continued, actions)
            .expect("a paused task can go on");
        actions.push(Action::Continue(key, self.attempt_of(key)));
    }

    fn next_relief_step(&self) -> Option<Step> {
        let admission = &self.admission;
        let trouble_ms = admission.trouble_ms(self.now);
        if admission.reliefs.len() == 0 && trouble_ms.is_none() {
            return None;
        }
        let mut paused: Vec<(TaskKey, Tick)> = admission.reliefs.paused().collect();
        paused.sort_by_key(|(key, _)| admission.age(*key));
        if let (Some((oldest, _)), 0) = (paused.first(), self.count(State::Running)) {
            // Somebody has to advance.
            return Some(Step::Continue(*oldest));
        }
        if self.now < admission.rests_until() {
            return None;
        }
        if let Some((oldest, _)) = paused.first().filter(|(key, _)| self.is_oldest(*key)) {
            // Those before it have ended.
            return Some(Step::Continue(*oldest));
        }
        let is_over = |(_, until): &&(TaskKey, Tick)| *until <= self.now;
        if admission.relieves() && trouble_ms.is_some() {
            let youngest = paused.iter().rev().find(is_over);
            if let Some((key, _)) = youngest {
                return Some(Step::PutBack(*key));
            }
        } else if let Some((key, _)) = paused.iter().find(is_over) {
            return Some(Step::Continue(*key));
        }
        if let (Some((oldest, _)), true) = (paused.first(), admission.has_eased(self.now)) {
            return Some(Step::Continue(*oldest));
        }
        if admission.trouble_lasts(self.now) && admission.relieves() {
            return self.to_pause().map(Step::Pause);
        }
        None
    }

    /// The youngest worker: never the oldest, rather one that was not put back before, and none
    /// while another one's memory is still to come free.
    fn to_pause(&self) -> Option<TaskKey> {
        let admission = &self.admission;
        let mut all = admission.reliefs.iter();
        if all.any(|(_, relief)| relief == Relief::PuttingBack) {
            return None;
        }
        let running = || {
            let active = admission.holds.iter();
            active.filter(|(key, _)| self.state(*key) == Some(State::Running))
        };
        let may_be_paused = running().filter(|(key, hold)| {
            let is_stopping = self.store.get(*key).is_some_and(|entry| entry.stopping);
            !self.is_oldest(*key) && !hold.is_spared && !is_stopping
        });
        may_be_paused
            .map(|(key, _)| key)
            .min_by_key(|key| (admission.times_put_back(*key), Reverse(admission.age(*key))))
    }

    /// Whether no worker that runs was started before this one.
    fn is_oldest(&self, key: TaskKey) -> bool {
        let age = self.admission.age(key);
        let others = self.admission.holds.iter().map(|(other, _)| other);
        let mut running = others.filter(|other| self.state(*other) == Some(State::Running));
        running.all(|other| self.admission.age(other) >= age)
    }
}
