//! How an obstacle reads: with the number, the threshold and the age of the reading.

use super::holds::Expected;
use super::obstacles::{About, Obstacle, Wants, CPU, MEMORY};
use super::readings::{HostMemory, Measured};
use super::words;
use super::Admission;
use crate::Tick;

impl Admission {
    pub(crate) fn in_words(&self, now: Tick, obstacle: Obstacle, about: About) -> String {
        let reopen = words::duration(self.rules.reopen_after_ms);
        let told = match obstacle {
            Obstacle::Unknown(gate) => return self.unknown_in_words(now, gate),
            Obstacle::Short => self.short_in_words(&reopen),
            Obstacle::Relieving => return self.relieving_in_words(),
            Obstacle::Busy => {
                let low = words::share(self.rules.cpu_low_permille);
                format!(
                    "{}; it opens when it was below {low} for {reopen}",
                    self.cpu_in_words()
                )
            }
            Obstacle::Filling => format!(
                "{}, and workers that have just been started will use {} more",
                self.cpu_in_words(),
                words::cpus(self.holds.totals().cpus_young_milli)
            ),
            Obstacle::Stalled => self.stalled_in_words(&reopen),
            Obstacle::NoRoom(wants) => self.no_room_in_words(wants, about),
            Obstacle::Unproven => format!(
                "{} tasks run of whose memory nothing is known yet; no more than {} at once",
                self.holds.totals().unproven,
                self.unproven_at_most()
            ),
            Obstacle::OneAtATime(gate) => {
                let state = if gate == CPU {
                    self.cpu_in_words()
                } else {
                    self.available_in_words()
                };
                format!("{state}; so near to the limit, one task starts with each reading")
            }
            Obstacle::CpusTaken(wants) => self.cpus_taken_in_words(wants, about),
            Obstacle::KeptFree(key) => {
                return format!(
                    "the machine is kept free for task {}, which comes first and did not fit for {}",
                    key.0,
                    words::duration(self.rules.pass_at_most_ms)
                )
            }
        };
        let never = match obstacle {
            Obstacle::NoRoom(wants) | Obstacle::CpusTaken(wants) if !self.ever_fits(wants) => {
                "; that is more than this machine has: it starts when nothing else runs"
            }
            _ => "",
        };
        format!("{told}{never}; {}", self.age_in_words(now))
    }

    fn age_in_words(&self, now: Tick) -> String {
        let taken_at = self.reading.as_ref().map_or(now, |reading| reading.taken_at);
        format!("read {} ago", words::age(now.ms_since(taken_at)))
    }

    fn unknown_in_words(&self, now: Tick, gate: &str) -> String {
        let Some(reading) = &self.reading else {
            return "the host was not read yet".to_owned();
        };
        if self.fresh_reading(now).is_none() {
            let age = words::age(now.ms_since(reading.taken_at));
            let most = words::age(self.rules.stale_after_ms);
            return format!("the newest reading is {age} old, more than {most}");
        }
        let why = match gate {
            MEMORY => why_unreadable(&reading.memory),
            CPU => why_unreadable(&reading.cpu),
            _ => why_unreadable(&reading.stall_permille),
        };
        format!("it cannot be read: {why}")
    }

    fn memory_read(&self) -> HostMemory {
        let read = self.reading.as_ref().and_then(|reading| reading.memory.known());
        read.copied().unwrap_or(HostMemory {
            total_bytes: 0,
            available_bytes: 0,
        })
    }

    /// Why there is relief.
    pub(crate) fn short_memory_in_words(&self, now: Tick) -> String {
        format!("{}; {}", self.floor_in_words(), self.age_in_words(now))
    }

    fn floor_in_words(&self) -> String {
        let memory = self.memory_read();
        let available = words::bytes(memory.available_bytes);
        let floor = words::bytes(self.rules.floor_of(memory.total_bytes));
        format!("{available} available, with a floor of {floor}")
    }

    fn short_in_words(&self, reopen: &str) -> String {
        let ease = words::bytes(self.rules.ease_of(self.memory_read().total_bytes));
        let floor = self.floor_in_words();
        format!("{floor}; it opens when it was {ease} or more for {reopen}")
    }

    fn relieving_in_words(&self) -> String {
        match self.reliefs.len() {
            1 => "memory is short: a running task is paused or put back".to_owned(),
            tasks => format!("memory is short: {tasks} running tasks are paused or put back"),
        }
    }

    fn cpu_in_words(&self) -> String {
        let read = self.reading.as_ref().and_then(|reading| reading.cpu.known());
        let (used, cpus) = read.map_or((0, 0), |cpu| (cpu.used_permille(), cpu.cpus_milli));
        format!(
            "{} of {} CPUs in use, high mark {}",
            words::share(used),
            words::cpus(cpus.into()),
            words::share(self.rules.cpu_high_permille)
        )
    }

    fn stalled_in_words(&self, reopen: &str) -> String {
        let read = self
            .reading
            .as_ref()
            .and_then(|reading| reading.stall_permille.known());
        format!(
            "tasks were stalled for memory {} of the time, high mark {}; it opens when it was below {} for {reopen}",
            words::share(read.copied().unwrap_or(0)),
            words::share(self.rules.stall_high_permille),
            words::share(self.rules.stall_low_permille),
        )
    }

    fn available_in_words(&self) -> String {
        let available = words::bytes(self.memory_read().available_bytes);
        let (outstanding, beside) = (
            self.holds.totals().outstanding_bytes,
            self.companions.outstanding_bytes(),
        );
        let tasks = self.holds.iter().filter(|(_, hold)| hold.outstanding_bytes() > 0);
        let for_tasks = match (outstanding, tasks.count()) {
            (0, _) => None,
            (_, 1) => Some(format!("{} are reserved for a running task", wide(outstanding))),
            (_, tasks) => Some(format!(
                "{} are reserved for {tasks} running tasks",
                wide(outstanding)
            )),
        };
        let for_processes = (beside > 0).then(|| format!("{} are reserved for processes", wide(beside)));
        let reserved: Vec<String> = for_tasks.into_iter().chain(for_processes).collect();
        if reserved.is_empty() {
            return format!("{available} available");
        }
        format!("{available} available, of which {}", reserved.join(" and "))
    }

    fn no_room_in_words(&self, wants: Wants, about: About) -> String {
        let state = self.available_in_words();
        let floor = words::bytes(self.rules.floor_of(self.memory_read().total_bytes));
        let Expected { bytes, source } = wants.expected;
        match who(about) {
            Some(who) => format!(
                "{state}; {who} needs {} ({}) above the floor of {floor}",
                words::bytes(bytes),
                source.name()
            ),
            None => format!("{state}; the next task needs more above the floor of {floor}"),
        }
    }

    fn cpus_taken_in_words(&self, wants: Wants, about: About) -> String {
        let read = self.reading.as_ref().and_then(|reading| reading.cpu.known());
        let cpus = read.map_or(0, |cpu| cpu.cpus_milli);
        let taken = words::cpus(self.holds.totals().cpus_declared_milli);
        let state = format!(
            "{taken} of {} CPUs are declared by what runs",
            words::cpus(cpus.into())
        );
        match who(about) {
            Some(who) => format!(
                "{state}; {who} declares {}",
                words::cpus(wants.cpus_declared_milli.into())
            ),
            None => format!("{state}; the next task declares more than what is left"),
        }
    }
}

fn who(about: About) -> Option<String> {
    match about {
        About::Itself => Some("the task".to_owned()),
        About::Next(key) => Some(format!("task {}, which is next,", key.0)),
        About::Whichever => None,
    }
}

fn why_unreadable<T>(part: &Measured<T>) -> &str {
    match part {
        Measured::Unreadable(why) => why,
        Measured::Known(_) | Measured::Absent => "",
    }
}

fn wide(bytes: u128) -> String {
    words::bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}
