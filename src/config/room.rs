//! Limits of a worker profile: which values the system would take, and which are typing errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::optional_duration;
use super::validate::Fault;
use super::worker::WorkerConfig;
use super::ByteSize;
use crate::cgroup::GroupLimits;
use crate::protocol::check_sandbox;

/// 0 is the daemon's own; more than the system's 19 is not to be had, and less is for the superuser.
const NICE_MAX: i32 = 19;
/// At 1000 the kernel ends a worker first, whatever else takes memory.
const OOM_SCORE_MAX: u16 = 1_000;
/// With fewer, not even a shell could open its libraries.
const OPEN_FILES_MIN: u64 = 16;
/// With less, no program could be loaded.
const ADDRESS_SPACE_MIN: u64 = 16 << 20;
/// The output is such a file, too.
const FILE_SIZE_MIN: u64 = 4096;
/// With less, a shell alone would be ended.
const TREE_MEMORY_MIN: u64 = 4 << 20;

/// Limits of the system for each worker of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerLimits {
    /// Files open at once in one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads of this user, wherever they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The largest file that a process can write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<ByteSize>,
    /// The address space of one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space: Option<ByteSize>,
    /// The largest core file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<ByteSize>,
    /// CPU time of one process.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub cpu_time: Option<Duration>,
    /// Memory of all its processes together, above which they are slowed down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<ByteSize>,
    /// Memory of all its processes together, at which the largest of them is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<ByteSize>,
    /// Its processes and threads together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,
    /// Where the last three cannot be set, the worker is not started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

impl WorkerLimits {
    /// Those that need a control group.
    #[must_use]
    pub fn of_tree(&self) -> GroupLimits {
        GroupLimits {
            memory_high: self.memory_high.map(|size| size.0),
            memory_max: self.memory_max.map(|size| size.0),
            pids_max: self.pids_max,
        }
    }
}

/// The first thing that is wrong with what a profile's workers are kept in.
pub(super) fn check_room(key: &str, worker: &WorkerConfig) -> Result<(), Fault> {
    let fault = |name: &str, message: String, hint: &str| {
        let key = format!("{key}.{name}");
        let message = format!("`{key}`: {message}");
        Err(Fault {
            key,
            message,
            hint: hint.to_owned(),
        })
    };
    if let Some(nice) = worker.nice.filter(|nice| !(0..=NICE_MAX).contains(nice)) {
        let message = format!("{nice}; 0 to {NICE_MAX} are allowed");
        return fault(
            "nice",
            message,
            "it is added to the daemon's own; 19 gives way to everything",
        );
    }
    if let Some(score) = worker.oom_score.filter(|score| *score > OOM_SCORE_MAX) {
        let message = format!("{score}; 0 to {OOM_SCORE_MAX} are allowed");
        return fault("oom_score", message, "it is added to the daemon's own");
    }
    if let Some((name, message, hint)) = limits_fault(&worker.limits.unwrap_or_default()) {
        return fault(&format!("limits.{name}"), message, hint);
    }
    let Some(sandbox) = &worker.sandbox else {
        return Ok(());
    };
    check_sandbox(&format!("{key}.sandbox"), sandbox).map_err(|error| Fault {
        key: error.message.split('`').nth(1).unwrap_or(key).to_owned(),
        message: error.message,
        hint: error.hint,
    })
}

/// The key, what is wrong with its value, and what to do, of the first limit that nobody can mean.
fn limits_fault(limits: &WorkerLimits) -> Option<(&'static str, String, &'static str)> {
    let least = [
        ("open_files", limits.open_files, OPEN_FILES_MIN),
        ("processes", limits.processes, 1),
        ("file_size", limits.file_size.map(|size| size.0), FILE_SIZE_MIN),
        (
            "address_space",
            limits.address_space.map(|size| size.0),
            ADDRESS_SPACE_MIN,
        ),
        (
            "cpu_time",
            limits.cpu_time.map(|time| u64::from(!time.is_zero())),
            1,
        ),
        (
            "memory_high",
            limits.memory_high.map(|size| size.0),
            TREE_MEMORY_MIN,
        ),
        (
            "memory_max",
            limits.memory_max.map(|size| size.0),
            TREE_MEMORY_MIN,
        ),
        ("pids_max", limits.pids_max, 1),
    ];
    for (name, value, least) in least {
        if let Some(value) = value.filter(|value| *value < least) {
            let message = format!("{value} is too little for any program: at least {least}");
            return Some((name, message, "leave it out for no limit"));
        }
    }
    if let Some((high, max)) = limits.memory_high.zip(limits.memory_max) {
        if high.0 > max.0 {
            let message = format!("{high} is more than `memory_max`, {max}: it would never be reached");
            return Some(("memory_high", message, "leave one of the two out, or swap them"));
        }
    }
    if limits.required && limits.of_tree().is_none() {
        let message = "no limit that may be missing is set".to_owned();
        let hint = "it is about `memory_high`, `memory_max` and `pids_max`; the others always hold";
        return Some(("required", message, hint));
    }
    None
}
