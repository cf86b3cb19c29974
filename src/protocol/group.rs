//! What the control group of an attempt has kept it to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits of an attempt's tree, and how often it ran into them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupReport {
    /// Which limits held, as `memory_max 2GiB`; empty if none did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub held: String,
    /// Which did not, why, and what to do; absent if all held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lack: Option<String>,
    /// Processes of it that the kernel ended for want of memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub oom_kills: u64,
    /// Memory ran out at its own `memory_max`, not on the whole machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_memory_max: bool,
    /// How often its processes were slowed down above `memory_high`.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled: u64,
    /// How often no process or thread could be started at `pids_max`.
    #[serde(skip_serializing_if = "is_zero")]
    pub forks_refused: u64,
    /// The most memory that it had, files that were read included, in bytes; only Linux 5.19 and later tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
