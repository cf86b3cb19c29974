//! The lanes: one heap each, what limits and pauses them, and which of their heads runs next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::census::Census;
use crate::order::{Place, Queue};
use crate::{Lane, LimitScope, Limits, State, TaskKey};

/// A heap that once held more than this gives its memory back when it runs empty.
const KEPT_WHEN_EMPTY: usize = 1024;

/// One lane.
#[derive(Debug)]
pub(crate) struct LaneQueue {
    pub(crate) lane: Lane,
    /// Its queued tasks.
    pub(crate) queue: Queue,
    /// Its tasks that hold a slot.
    pub(crate) active: u32,
    /// All its tasks, ended ones too: with the last one the lane goes.
    pub(crate) tasks: u32,
    /// Its tasks that have not ended.
    pub(crate) census: Census,
    /// Whether its workspace is paused.
    pub(crate) paused: bool,
    /// The limits that count it, as positions in `Limits::lanes`.
    pub(crate) limits: Vec<usize>,
}

/// All lanes by number.
#[derive(Debug)]
pub(crate) struct Lanes {
    numbers: BTreeMap<Lane, u32>,
    lanes: Vec<Option<LaneQueue>>,
    free: Vec<u32>,
    limits: Limits,
    /// How many active tasks each of the limits counts.
    used: Vec<u32>,
    paused: BTreeSet<Arc<str>>,
}

impl Lanes {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            numbers: BTreeMap::new(),
            lanes: Vec::new(),
            free: Vec::new(),
            used: vec![0; limits.lanes.len()],
            limits,
            paused: BTreeSet::new(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn get(&self, number: u32) -> &LaneQueue {
        self.lanes[number as usize]
            .as_ref()
            .expect("a task's lane lives as long as the task")
    }

    fn get_mut(&mut self, number: u32) -> &mut LaneQueue {
        self.lanes[number as usize]
            .as_mut()
            .expect("a task's lane lives as long as the task")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LaneQueue> {
        self.lanes.iter().flatten()
    }

    /// Counts one more task in this lane, and says the lane's number.
    pub(crate) fn join(&mut self, lane: Lane) -> u32 {
        let number = match self.numbers.get(&lane) {
            Some(number) => *number,
            None => self.add(lane),
        };
        self.get_mut(number).tasks += 1;
        number
    }

    /// The number of a lane that has tasks.
    pub(crate) fn number_of(&self, lane: &Lane) -> Option<u32> {
        self.numbers.get(lane).copied()
    }

    fn add(&mut self, lane: Lane) -> u32 {
        let queue = LaneQueue {
            queue: Queue::with_default_hasher(),
            active: 0,
            tasks: 0,
            census: Census::default(),
            paused: self.paused.contains(&lane.workspace),
            limits: matching(&self.limits, &lane),
            lane: lane.clone(),
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(None);
            u32::try_from(self.lanes.len() - 1).expect("there are fewer lanes than tasks")
        });
        self.lanes[number as usize] = Some(queue);
        self.numbers.insert(lane, number);
        number
    }

    /// Counts one task less.
    pub(crate) fn part(&mut self, number: u32) {
        let lane = self.get_mut(number);
        lane.tasks -= 1;
        if lane.tasks == 0 {
            let gone = self.lanes[number as usize].take();
            if let Some(gone) = gone {
                self.numbers.remove(&gone.lane);
            }
            self.free.push(number);
        }
    }

    pub(crate) fn enqueue(&mut self, number: u32, place: Place) {
        self.get_mut(number).queue.push(place.key(), Reverse(place));
    }

    pub(crate) fn dequeue(&mut self, number: u32, key: TaskKey) {
        let queue = &mut self.get_mut(number).queue;
        queue.remove(&key);
        if queue.is_empty() && queue.capacity() > KEPT_WHEN_EMPTY {
            queue.shrink_to_fit();
        }
    }

    /// A task of this lane is in this state from now on.
    pub(crate) fn enter(&mut self, number: u32, state: State, priority: u8) {
        self.get_mut(number).census.add(state, priority);
    }

    /// It no longer is.
    pub(crate) fn leave(&mut self, number: u32, state: State, priority: u8) {
        self.get_mut(number).census.remove(state, priority);
    }

    /// A task of this lane has taken a slot.
    pub(crate) fn activate(&mut self, number: u32) {
        self.get_mut(number).active += 1;
        self.count(number, |used| used + 1);
    }

    /// A task of this lane has given its slot back.
    pub(crate) fn deactivate(&mut self, number: u32) {
        self.get_mut(number).active -= 1;
        self.count(number, |used| used - 1);
    }

    fn count(&mut self, number: u32, change: impl Fn(u32) -> u32) {
        let lane = self.lanes[number as usize].as_ref();
        for position in lane.into_iter().flat_map(|lane| &lane.limits) {
            self.used[*position] = change(self.used[*position]);
        }
    }

    /// The best of the heads of all open lanes. A closed lane holds no other one up. `is_let_in`
    /// is asked about the head of each lane that is open by its own facts, unless a better one has
    /// been let in already.
    pub(crate) fn best_open(&self, is_let_in: impl Fn(&Lane, TaskKey) -> bool) -> Option<TaskKey> {
        self.best_by(|_, _| Some(()), is_let_in)
    }

    /// The same, where the rank of a head counts before its place; a head without one is left out.
    pub(crate) fn best_by<R: Ord>(
        &self,
        rank_of: impl Fn(&Lane, TaskKey) -> Option<R>,
        is_let_in: impl Fn(&Lane, TaskKey) -> bool,
    ) -> Option<TaskKey> {
        let mut best: Option<(R, Place)> = None;
        for lane in self.iter() {
            let Some((key, Reverse(place))) = lane.queue.peek() else {
                continue;
            };
            let Some(rank) = rank_of(&lane.lane, *key) else {
                continue;
            };
            let rank = (rank, *place);
            let is_better = best.as_ref().is_none_or(|best| rank < *best);
            if is_better && self.is_open(lane) && is_let_in(&lane.lane, *key) {
                best = Some(rank);
            }
        }
        best.map(|(_, place)| place.key())
    }

    /// The workspace of each lane, and how many of the lane's tasks are queued or hold a slot.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (Arc<str>, usize)> + '_ {
        self.iter().map(|lane| {
            let load = lane.queue.len() + lane.active as usize;
            (Arc::clone(&lane.lane.workspace), load)
        })
    }

    fn is_open(&self, lane: &LaneQueue) -> bool {
        !lane.paused && self.full_limits(lane).next().is_none()
    }

    /// The limits of this lane that are reached, as positions.
    pub(crate) fn full_limits<'a>(&'a self, lane: &'a LaneQueue) -> impl Iterator<Item = usize> + 'a {
        let positions = lane.limits.iter().copied();
        positions.filter(|position| self.used[*position] >= self.limits.lanes[*position].max_parallel)
    }

    /// How many active tasks this limit counts.
    pub(crate) fn used(&self, position: usize) -> u32 {
        self.used[position]
    }

    /// How many queued tasks come before this place.
    pub(crate) fn ahead_of(&self, place: Place) -> usize {
        let queued = self.iter().flat_map(|lane| lane.queue.iter());
        queued.filter(|(_, other)| other.0 < place).count()
    }

    /// Puts new limits into force. `place_of` is asked for the places of all queued tasks anew
    /// if they age differently now.
    pub(crate) fn set_limits(&mut self, limits: Limits, place_of: impl Fn(TaskKey) -> Place) {
        let ages_differently = limits.aging_step_ms != self.limits.aging_step_ms;
        self.limits = limits;
        self.used = vec![0; self.limits.lanes.len()];
        for lane in self.lanes.iter_mut().flatten() {
            lane.limits = matching(&self.limits, &lane.lane);
            for position in &lane.limits {
                self.used[*position] += lane.active;
            }
            if ages_differently {
                let keys = std::mem::take(&mut lane.queue).into_vec();
                let places = keys.into_iter().map(&place_of);
                // Built in one go, which is O(n).
                lane.queue = places.map(|place| (place.key(), Reverse(place))).collect();
            }
        }
    }

    pub(crate) fn set_paused(&mut self, workspace: &Arc<str>, paused: bool) {
        if paused {
            self.paused.insert(Arc::clone(workspace));
        } else {
            self.paused.remove(workspace);
        }
        for lane in self.lanes.iter_mut().flatten() {
            if lane.lane.workspace == *workspace {
                lane.paused = paused;
            }
        }
    }

    pub(crate) fn paused(&self) -> &BTreeSet<Arc<str>> {
        &self.paused
    }

    /// Panics if numbers and lanes do not fit together, for `check_invariants`.
    pub(crate) fn check_numbers(&self) {
        assert_eq!(
            self.numbers.len(),
            self.iter().count(),
            "one number for each lane"
        );
        assert_eq!(
            self.lanes.len(),
            self.numbers.len() + self.free.len(),
            "the rest is free"
        );
        for (lane, number) in &self.numbers {
            let queue = self.get(*number);
            assert_eq!(queue.lane, *lane);
            assert_eq!(
                queue.paused,
                self.paused.contains(&lane.workspace),
                "{lane:?} paused"
            );
            assert_eq!(queue.limits, matching(&self.limits, lane), "limits of {lane:?}");
        }
        assert_eq!(self.used.len(), self.limits.lanes.len());
        for (position, used) in self.used.iter().enumerate() {
            let counted = self.iter().filter(|lane| lane.limits.contains(&position));
            let active: u32 = counted.map(|lane| lane.active).sum();
            assert_eq!(*used, active, "active tasks of {:?}", self.limits.lanes[position]);
        }
    }
}

/// The positions of the limits that count this lane.
fn matching(limits: &Limits, lane: &Lane) -> Vec<usize> {
    let numbered = limits.lanes.iter().enumerate();
    let of_this_lane = numbered.filter(|(_, limit)| match &limit.scope {
        LimitScope::Workspace(workspace) => *workspace == lane.workspace,
        LimitScope::Worker(worker) => *worker == lane.worker,
        LimitScope::Lane(one) => one == lane,
    });
    of_this_lane.map(|(position, _)| position).collect()
}
