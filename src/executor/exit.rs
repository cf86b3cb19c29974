//! `exit.json`: what became of an attempt. The journal keeps it in this shape, too, so that it stands apart from all
//! that runs attempts: the fuzz targets build it without.

use serde::{Deserialize, Serialize};

use crate::protocol::{GroupReport, SandboxReport};

/// What became of an attempt: the content of `exit.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// The exit code, if the command ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The shim stopped it, because of the timeout or because it was asked to.
    pub stopped: Option<StopCause>,
    /// The command could not be started: why, with the path tried.
    pub spawn_error: Option<String>,
    /// When the command started and ended, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// See `started_at_ms`.
    pub ended_at_ms: u64,
    /// User and system time of the whole tree, in seconds.
    pub cpu_seconds: f64,
    /// The largest resident size seen of the whole tree, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes written to `output` (and `stderr`), before anything was given back.
    pub output_bytes: u64,
    /// Bytes of the middle of the output that were given back to the file system.
    pub dropped_bytes: u64,
    /// Processes that the command left behind and that were ended.
    pub leftovers: u32,
    /// What could not be done as promised: the output cap kept, a process ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The sandbox that the command was in, if it was in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Box<SandboxReport>>,
    /// What its control group has kept it to, if it was to have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<GroupReport>>,
}

/// Why the shim stopped the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// Its time was over.
    Timeout,
    /// The daemon asked for it.
    Request,
}
