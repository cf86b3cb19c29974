//! Limits of a worker profile: which values the system would take, and which are typing errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::optional_duration;
use super::validate::Fault;
use super::worker::WorkerConfig;
use super::ByteSize;
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
    let limits = worker.limits.unwrap_or_default();
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
    ];
    for (name, value, least) in least {
        if let Some(value) = value.filter(|value| *value < least) {
            let message = format!("{value} is too little for any program: at least {least}");
            return fault(&format!("limits.{name}"), message, "leave it out for no limit");
        }
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
