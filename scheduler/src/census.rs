//! How many tasks of a lane have not ended, by state and class of priority: for those who draw it.

use crate::{Lane, Scheduler, State};

/// The states of tasks that have not ended come first among all states.
const OPEN_STATES: usize = State::Waiting as usize + 1;

/// A range of priorities, since nobody can tell 256 lines apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityClass {
    /// 0 to 99.
    Low,
    /// 100 to 149.
    Normal,
    /// 150 to 199.
    High,
    /// 200 to 255.
    Urgent,
}

impl PriorityClass {
    /// Every class, in the order of the variants.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// The class of a priority.
    #[must_use]
    pub fn of(priority: u8) -> Self {
        match priority {
            0..=99 => Self::Low,
            100..=149 => Self::Normal,
            150..=199 => Self::High,
            200..=255 => Self::Urgent,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

/// The tasks of one lane that have not ended, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census([[u32; PriorityClass::ALL.len()]; OPEN_STATES]);

impl Census {
    /// The states and classes that have tasks, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (State, PriorityClass, u32)> + '_ {
        let states = State::ALL.iter().zip(&self.0);
        let counts = states.flat_map(|(state, classes)| {
            let classes = PriorityClass::ALL.iter().zip(classes);
            classes.map(|(class, count)| (*state, *class, *count))
        });
        counts.filter(|(_, _, count)| *count > 0)
    }

    /// One more, unless it has ended.
    pub(crate) fn add(&mut self, state: State, priority: u8) {
        if let Some(classes) = self.0.get_mut(state as usize) {
            classes[PriorityClass::of(priority) as usize] += 1;
        }
    }

    /// One less, unless it has ended.
    pub(crate) fn remove(&mut self, state: State, priority: u8) {
        if let Some(classes) = self.0.get_mut(state as usize) {
            classes[PriorityClass::of(priority) as usize] -= 1;
        }
    }
}

impl Scheduler {
    /// The tasks that have not ended, counted in each lane.
    pub fn census(&self) -> impl Iterator<Item = (&Lane, &Census)> {
        self.lanes.iter().map(|lane| (&lane.lane, &lane.census))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_not_ended_is_counted() {
        let mut census = Census::default();
        for state in State::ALL {
            census.add(state, 100);
        }
        census.add(State::Queued, 255);
        let open: Vec<State> = census.iter().map(|(state, _, _)| state).collect();
        assert!(open.iter().all(|state| !state.is_end()));
        assert_eq!(
            open.len(),
            State::ALL.iter().filter(|state| !state.is_end()).count() + 1
        );
        census.remove(State::Queued, 255);
        census.remove(State::Failed, 100);
        assert!(census
            .iter()
            .all(|(_, class, count)| (class, count) == (PriorityClass::Normal, 1)));
    }

    #[test]
    fn every_priority_has_its_class() {
        let classes: Vec<PriorityClass> = [0, 99, 100, 149, 150, 199, 200, 255]
            .map(PriorityClass::of)
            .into();
        use PriorityClass::{High, Low, Normal, Urgent};
        assert_eq!(classes, [Low, Low, Normal, Normal, High, High, Urgent, Urgent]);
    }
}
