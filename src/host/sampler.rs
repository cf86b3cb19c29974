//! The real host: reads when it is asked, and keeps nothing but the counters of the previous sample.

use std::time::Duration;

use super::reading::{OomKills, Reading, TreeMemory, Unreadable};
use super::surroundings::Surroundings;
use super::system::System;
use super::trees::{Kernel, Trees};
use super::Host;

/// Reads the machine that this program runs on.
pub struct Sampler {
    system: System,
    surroundings: Surroundings,
    trees: Trees<Kernel>,
}

impl Sampler {
    /// One that has no sample to compare with yet.
    pub fn new() -> Self {
        Self::within(Surroundings::new())
    }

    pub(super) fn within(surroundings: Surroundings) -> Self {
        Self {
            system: System::new(),
            surroundings,
            trees: Trees::new(Kernel::default()),
        }
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Sampler {
    fn sample(&mut self, now: Duration) -> Reading {
        let Self {
            system, surroundings, ..
        } = self;
        let place = surroundings.find(now);
        let machine = surroundings.try_memory().and_then(|()| system.memory());
        let swap = machine.as_ref().map(|(_, swap)| *swap).map_err(Clone::clone);
        let memory = place.clone().and(machine);
        let memory = memory.and_then(|(mut memory, _)| {
            let available = memory.available_bytes + surroundings.parked(memory.total_bytes);
            memory.available_bytes = available.min(memory.total_bytes);
            surroundings.limit_memory(memory)
        });
        let cpu = surroundings.try_cpu().and_then(|()| system.cpu(now));
        let cpu = place.clone().and(cpu);
        let cpu = cpu.and_then(|cpu| surroundings.limit_cpu(now, cpu));
        let stall = place.and_then(|()| surroundings.stall(now));
        Reading {
            at: now,
            memory,
            swap,
            cpu,
            stall,
        }
    }

    fn trees(&mut self, now: Duration, shims: &[i32]) -> Vec<Result<TreeMemory, Unreadable>> {
        self.trees.sample(now, shims)
    }

    fn oom_kills(&mut self) -> Result<OomKills, Unreadable> {
        self.surroundings.oom_kills()
    }
}
