//! What keeps a task from starting for the machine's sake.
//!
//! Deciding and explaining ask the same questions, so that what is said is what was decided.

use super::holds::{Expected, Source};
use super::readings::{permille, HostCpu, HostMemory, Measured};
use super::words::ALL_PERMILLE;
use super::Admission;
use crate::{GateReport, TaskKey, Tick};

pub(crate) const MEMORY: &str = "memory";
pub(crate) const CPU: &str = "cpu";
pub(crate) const PRESSURE: &str = "pressure";

/// What a task asks of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) expected: Expected,
    /// 0 if it declares none.
    pub(crate) cpus_declared_milli: u32,
    pub(crate) cpus_expected_milli: u32,
    /// Tasks of its lane are over before a reading shows them: readings cannot pace them.
    pub(crate) is_brief: bool,
}

/// One reason why a task does not start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Obstacle {
    /// Nothing is known of what this gate goes by.
    Unknown(&'static str),
    /// Memory has been below its floor.
    Short,
    /// Somebody is paused, or being put back, to relieve memory.
    Relieving,
    /// The CPUs have been in use up to the high mark.
    Busy,
    /// They will be as soon as what was just started shows.
    Filling,
    /// Tasks have been stalled for memory.
    Stalled,
    /// Too little memory for this one.
    NoRoom(Wants),
    /// Too many run of whose memory nothing is known.
    Unproven,
    /// Near this gate's limit, one start waits for the next reading.
    OneAtATime(&'static str),
    /// Those that run have declared the CPUs for themselves.
    CpusTaken(Wants),
    /// The machine is kept free for this task, which has waited for long.
    KeptFree(TaskKey),
}

/// Whom the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The task that the report is for.
    Itself,
    /// Another one, which comes first in its lane.
    Next(TaskKey),
    /// Whatever comes first; reports on several lanes at once must read alike.
    Whichever,
}

impl Obstacle {
    pub(crate) fn gate(self) -> &'static str {
        match self {
            Self::Unknown(gate) | Self::OneAtATime(gate) => gate,
            Self::Short | Self::Relieving | Self::NoRoom(_) | Self::Unproven | Self::KeptFree(_) => MEMORY,
            Self::Busy | Self::Filling | Self::CpusTaken(_) => CPU,
            Self::Stalled => PRESSURE,
        }
    }

    /// Whether it stands for longer than until the next reading or two.
    pub(crate) fn lasts(self) -> bool {
        !matches!(self, Self::OneAtATime(_) | Self::Filling)
    }
}

impl Admission {
    /// What keeps all tasks from starting.
    pub(crate) fn in_everybodys_way(&self, now: Tick) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !self.rules.enabled {
            return found;
        }
        if self.reliefs.len() > 0 {
            found.push(Obstacle::Relieving);
        }
        let Some(reading) = self.fresh_reading(now) else {
            let is_absent =
                |is_absent: fn(&super::HostReading) -> bool| self.reading.as_ref().is_some_and(is_absent);
            if !is_absent(|reading| reading.memory.is_absent()) {
                found.push(Obstacle::Unknown(MEMORY));
            }
            if !is_absent(|reading| reading.cpu.is_absent()) {
                found.push(Obstacle::Unknown(CPU));
            }
            return found;
        };
        match reading.memory {
            Measured::Unreadable(_) => found.push(Obstacle::Unknown(MEMORY)),
            Measured::Known(_) if self.memory.is_closed() => found.push(Obstacle::Short),
            Measured::Known(_) | Measured::Absent => {}
        }
        match reading.cpu {
            Measured::Unreadable(_) => found.push(Obstacle::Unknown(CPU)),
            // Brief tasks do not wait for it.
            Measured::Known(_) | Measured::Absent => {}
        }
        match reading.stall_permille {
            Measured::Unreadable(_) => found.push(Obstacle::Unknown(PRESSURE)),
            Measured::Known(_) if self.stall.is_closed() => found.push(Obstacle::Stalled),
            Measured::Known(_) | Measured::Absent => {}
        }
        found
    }

    /// What keeps all from starting but tasks that are over in a moment.
    pub(crate) fn in_the_way_of_long_ones(&self, now: Tick) -> Option<Obstacle> {
        let cpu = *self.fresh_reading(now)?.cpu.known()?;
        if !self.rules.enabled {
            None
        } else if self.cpu.is_closed() {
            Some(Obstacle::Busy)
        } else {
            self.passes_cpu_mark(cpu, 0).then_some(Obstacle::Filling)
        }
    }

    /// What else keeps this one from starting.
    pub(crate) fn in_the_way_of(&self, now: Tick, wants: Wants) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !self.rules.enabled {
            return found;
        }
        let Some(reading) = self.fresh_reading(now) else {
            return found;
        };
        if !wants.is_brief {
            found.extend(self.in_the_way_of_long_ones(now));
        }
        if let Some(memory) = reading.memory.known() {
            self.memory_in_the_way(*memory, wants, &mut found);
        }
        if let Some(cpu) = reading.cpu.known() {
            self.cpu_in_the_way(*cpu, wants, &mut found);
        }
        found
    }

    fn memory_in_the_way(&self, memory: HostMemory, wants: Wants, found: &mut Vec<Obstacle>) {
        let need = u128::from(wants.expected.bytes);
        let room = self.room_bytes(memory);
        if room <= need {
            found.push(Obstacle::NoRoom(wants));
        } else if wants.expected.source == Source::Default && !self.may_go_unproven(room, need) {
            found.push(Obstacle::Unproven);
        } else if room - need < need && self.starts_since_reading > 0 {
            found.push(Obstacle::OneAtATime(MEMORY));
        }
    }

    fn cpu_in_the_way(&self, cpu: HostCpu, wants: Wants, found: &mut Vec<Obstacle>) {
        let declared = u64::from(wants.cpus_declared_milli);
        let taken = self.holds.totals().cpus_declared_milli;
        let passes = self.passes_cpu_mark(cpu, wants.cpus_expected_milli.into());
        if declared > 0 && taken + declared > u64::from(cpu.cpus_milli) {
            found.push(Obstacle::CpusTaken(wants));
        } else if passes && self.starts_since_reading > 0 && !wants.is_brief {
            found.push(Obstacle::OneAtATime(CPU));
        }
    }

    /// Whether one more may start without knowing what it needs: as long as there are few, or if all of them could
    /// need several times what is expected.
    fn may_go_unproven(&self, room: u128, need: u128) -> bool {
        let unproven = self.holds.totals().unproven;
        let surprise = u128::from(self.rules.unproven_factor.saturating_sub(1)) * u128::from(unproven);
        let at_worst = need * (surprise + u128::from(self.rules.unproven_factor));
        unproven < self.unproven_at_most() || at_worst < room
    }

    pub(crate) fn unproven_at_most(&self) -> u32 {
        let proven = self.holds.totals().proven;
        proven.max(self.rules.unproven_at_most)
    }

    /// What is reserved and not in use yet, for tasks and for what runs beside them.
    pub(crate) fn outstanding_bytes(&self) -> u128 {
        self.holds.totals().outstanding_bytes + self.companions.outstanding_bytes()
    }

    /// What is available above the floor and reserved for nobody.
    fn room_bytes(&self, memory: HostMemory) -> u128 {
        let floor = u128::from(self.rules.floor_of(memory.total_bytes));
        let outstanding = self.outstanding_bytes();
        u128::from(memory.available_bytes).saturating_sub(floor + outstanding)
    }

    /// Whether the CPUs are in use up to the high mark once young workers show, and so much more.
    fn passes_cpu_mark(&self, cpu: HostCpu, more_milli: u64) -> bool {
        let young_milli = self.holds.totals().cpus_young_milli;
        let used_milli = u64::from(cpu.used_milli) + young_milli + more_milli;
        let high = self.rules.cpu_high_permille;
        high < ALL_PERMILLE && permille(used_milli, cpu.cpus_milli) >= high
    }

    /// Whether the newest reading says that memory is below its floor.
    pub(crate) fn is_below_floor(&self, now: Tick) -> bool {
        let reading = self.fresh_reading(now);
        let memory = reading.and_then(|reading| reading.memory.known());
        memory.is_some_and(|memory| memory.available_bytes < self.rules.floor_of(memory.total_bytes))
    }

    /// Whether memory is well above its floor again, for as long as is asked for.
    pub(crate) fn has_eased(&self, now: Tick) -> bool {
        let reading = self.fresh_reading(now);
        let is_known = reading.is_some_and(|reading| reading.memory.known().is_some());
        is_known && !self.memory.is_closed() && !self.stall.is_closed()
    }

    /// Whether the machine could carry it beside nobody else, by the rules.
    pub(crate) fn ever_fits(&self, wants: Wants) -> bool {
        let Some(reading) = &self.reading else {
            return true;
        };
        let memory = reading.memory.known().is_none_or(|memory| {
            let floor = self.rules.floor_of(memory.total_bytes);
            wants.expected.bytes < memory.total_bytes.saturating_sub(floor)
        });
        let cpus = reading
            .cpu
            .known()
            .is_none_or(|cpu| wants.cpus_declared_milli <= cpu.cpus_milli);
        memory && cpus
    }

    /// Whether smaller tasks may still go past the one that comes first.
    pub(crate) fn lets_pass(&mut self, now: Tick) -> bool {
        let since = *self.held_up_since.get_or_insert(now);
        now.ms_since(since) < self.rules.pass_at_most_ms
    }

    /// Whether the machine is kept free for the one that comes first.
    pub(crate) fn keeps_free(&self, now: Tick) -> bool {
        let since = self.held_up_since;
        since.is_some_and(|since| now.ms_since(since) >= self.rules.pass_at_most_ms)
    }

    pub(crate) fn forget_held_up(&mut self) {
        self.held_up_since = None;
    }

    /// The obstacle as a report.
    pub(crate) fn report_of(&self, now: Tick, obstacle: Obstacle, about: About) -> GateReport {
        let task = match (obstacle, about) {
            (Obstacle::KeptFree(key), _) | (_, About::Next(key)) => Some(key),
            (_, About::Itself | About::Whichever) => None,
        };
        GateReport {
            gate: obstacle.gate().to_owned(),
            message: self.in_words(now, obstacle, about),
            opens_at: self.opens_at(obstacle).filter(|at| *at > now),
            task,
        }
    }

    fn opens_at(&self, obstacle: Obstacle) -> Option<Tick> {
        let reopen_after_ms = self.rules.reopen_after_ms;
        match obstacle {
            Obstacle::Short => self.memory.opens_at(reopen_after_ms),
            Obstacle::Busy => self.cpu.opens_at(reopen_after_ms),
            Obstacle::Stalled => self.stall.opens_at(reopen_after_ms),
            Obstacle::Unknown(_)
            | Obstacle::Relieving
            | Obstacle::Filling
            | Obstacle::NoRoom(_)
            | Obstacle::Unproven
            | Obstacle::OneAtATime(_)
            | Obstacle::CpusTaken(_)
            | Obstacle::KeptFree(_) => None,
        }
    }
}
