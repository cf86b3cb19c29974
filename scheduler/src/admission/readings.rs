//! What is measured of the host and of the workers, as it is handed in.

use serde::{Deserialize, Serialize};

use crate::{TaskKey, Tick};

/// One part of a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured<T> {
    /// It says so.
    Known(T),
    /// It should be there and could not be read: why. Its gate closes.
    Unreadable(String),
    /// This host has no such thing (no PSI, say): there is no gate for it.
    Absent,
}

impl<T> Measured<T> {
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unreadable(_) | Self::Absent => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// One sample of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReading {
    /// When.
    pub taken_at: Tick,
    /// Memory: the cgroup's where that is narrower than the host's.
    pub memory: Measured<HostMemory>,
    /// CPU use since the reading before.
    pub cpu: Measured<HostCpu>,
    /// The share of the time since the reading before in which some task was stalled for memory,
    /// in parts per thousand (PSI, the change of `total`).
    pub stall_permille: Measured<u32>,
    /// How many processes the kernel has killed for want of memory since the reading before; 0
    /// where that is not known.
    pub oom_kills: u64,
}

/// The host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMemory {
    /// What there is.
    pub total_bytes: u64,
    /// What could be given out without swapping.
    pub available_bytes: u64,
}

/// The host's CPUs, in thousandths of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCpu {
    /// What may be used: the cgroup's quota where that is narrower.
    pub cpus_milli: u32,
    /// What was used.
    pub used_milli: u32,
}

impl HostCpu {
    /// The share in use, in parts per thousand.
    #[must_use]
    pub fn used_permille(self) -> u32 {
        permille(self.used_milli.into(), self.cpus_milli)
    }
}

/// So much of so many CPUs, in parts per thousand.
pub(crate) fn permille(used_milli: u64, cpus_milli: u32) -> u32 {
    let share = used_milli.saturating_mul(1_000) / u64::from(cpus_milli.max(1));
    u32::try_from(share).unwrap_or(u32::MAX)
}

/// The memory of one worker's whole process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeMemory {
    /// The task.
    pub key: TaskKey,
    /// Its attempt. What comes late, of another attempt than the newest, is ignored.
    pub attempt: u32,
    /// What its processes use together.
    pub bytes: u64,
}
