//! How often a task that came first was not let in, by what kept it out.

use super::obstacles::{Obstacle, CPU, MEMORY, PRESSURE};

const RATE: &str = "rate";
const GATES: [&str; 4] = [MEMORY, CPU, PRESSURE, RATE];

/// Decisions in which a task at the head of a lane was not let in.
#[derive(Debug, Default)]
pub(crate) struct Refusals([u64; GATES.len()]);

impl Refusals {
    /// The machine did not carry it: each gate counts once.
    pub(crate) fn by_machine(&mut self, obstacles: &[Obstacle]) {
        for (gate, count) in GATES.iter().zip(&mut self.0) {
            *count += u64::from(obstacles.iter().any(|obstacle| obstacle.gate() == *gate));
        }
    }

    /// Its rate was used up.
    pub(crate) fn by_rate(&mut self) {
        let [.., rate] = &mut self.0;
        *rate += 1;
    }

    /// The gates and how often each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        GATES.into_iter().zip(self.0)
    }
}
