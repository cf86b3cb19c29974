//! Readings of a host, in short forms.
#![allow(dead_code, missing_docs, unreachable_pub)]

use wezterm_parallel_scheduler::{
    Action, AdmissionRules, GateNotice, HostCpu, HostMemory, HostReading, Input, Lane, LanePeak, Measured,
    Needs, Submission, TaskKey, Tick, TreeMemory,
};

use crate::common::{lane, limits, plain, Bench};

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// A machine of 16 GiB with 8 CPUs at rest: the floor is 1.6 GiB.
pub fn idle(at: u64) -> HostReading {
    HostReading {
        taken_at: Tick(at),
        memory: Measured::Known(HostMemory {
            total_bytes: 16 * GIB,
            available_bytes: 14 * GIB,
        }),
        cpu: Measured::Known(HostCpu {
            cpus_milli: 8_000,
            used_milli: 0,
        }),
        stall_permille: Measured::Known(0),
        oom_kills: 0,
    }
}

pub fn available(at: u64, bytes: u64) -> HostReading {
    HostReading {
        memory: Measured::Known(HostMemory {
            total_bytes: 16 * GIB,
            available_bytes: bytes,
        }),
        ..idle(at)
    }
}

pub fn busy(at: u64, used_milli: u32) -> HostReading {
    HostReading {
        cpu: Measured::Known(HostCpu {
            cpus_milli: 8_000,
            used_milli,
        }),
        ..idle(at)
    }
}

pub fn stalled(at: u64, permille: u32) -> HostReading {
    HostReading {
        stall_permille: Measured::Known(permille),
        ..idle(at)
    }
}

/// Workers need a GiB unless something else is known, and next to no CPU; any number of them may
/// start without that something is known.
pub fn rules() -> AdmissionRules {
    AdmissionRules {
        enabled: true,
        unproven_at_most: 99,
        cpus_default_milli: 10,
        ..AdmissionRules::default()
    }
}

/// A task that declares its memory.
pub fn declaring(key: u64, memory_bytes: u64) -> Submission {
    let needs = Needs {
        memory_bytes,
        ..Needs::default()
    };
    Submission { needs, ..plain(key) }
}

pub fn in_lane(key: u64, workspace: &str) -> Submission {
    Submission {
        lane: lane(workspace, "shell"),
        ..plain(key)
    }
}

pub fn peak(lane: Lane, bytes: u64) -> LanePeak {
    LanePeak {
        lane,
        bytes,
        run_ms: None,
        learned_at: Tick(0),
    }
}

/// A scheduler with these rules, at one second past midnight.
pub fn machine(rules: AdmissionRules) -> Bench {
    let mut bench = Bench::new(limits(99));
    bench.now = Tick(1_000);
    bench.apply(Input::SetAdmission(Box::new(rules)));
    bench
}

impl Bench {
    /// The reading is taken in at its own moment.
    #[track_caller]
    pub fn read(&mut self, reading: HostReading) -> Vec<Action> {
        self.now = reading.taken_at.max(self.now);
        self.apply(Input::Reading(Box::new(reading)))
    }

    /// Workers are measured now, at their newest attempts.
    #[track_caller]
    pub fn measure(&mut self, trees: &[(u64, u64)]) -> Vec<Action> {
        let tree = |(key, bytes): &(u64, u64)| TreeMemory {
            key: TaskKey(*key),
            attempt: self.task(*key).attempts,
            bytes: *bytes,
        };
        let trees = trees.iter().map(tree).collect();
        let taken_at = self.now;
        self.apply(Input::WorkerMemory { taken_at, trees })
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.scheduler.active().count()
    }
}

/// `+memory` for a gate that has opened, `-memory` for one that has closed.
pub fn notices(actions: &[Action]) -> Vec<String> {
    let notice = |action: &Action| match action {
        Action::Gate(GateNotice { gate, is_open, .. }) => {
            Some(format!("{}{gate}", if *is_open { '+' } else { '-' }))
        }
        _ => None,
    };
    actions.iter().filter_map(notice).collect()
}
