//! How admission stands, as the daemon tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the machine carries, what is reserved, and which gates are closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdmissionAnswer {
    /// Whether tasks wait for what is measured.
    pub enabled: bool,
    /// Whether that is only told, and nothing waits.
    pub dry_run: bool,
    /// The newest reading; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReadingView>,
    /// From where on gates close, and below what they open.
    pub marks: MarksView,
    /// Reserved for running workers and not in use yet, in bytes.
    pub reserved_bytes: u64,
    /// The processors that running tasks declare.
    pub cpus_declared: f64,
    /// The gates `memory`, `cpu` and `pressure`, as far as this machine has them.
    pub gates: Vec<GateState>,
    /// Each running worker.
    pub reservations: Vec<ReservationView>,
    /// What was learned of the tasks of each workspace and worker profile.
    pub learned: Vec<LearnedView>,
    /// How far the usage limits of Claude accounts are used up, as their newest runs told this daemon; the fullest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaView>,
}

/// One reading of the machine; what is absent could not be read, or does not exist there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReadingView {
    /// How old it is, in milliseconds.
    pub age_ms: u64,
    /// Whether it is too old to go by.
    pub is_stale: bool,
    /// All memory, in bytes: the machine's, or less if the daemon's control group is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// What can be taken of it without swapping, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_available_bytes: Option<u64>,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// How many of them are in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus_used: Option<f64>,
    /// The share of time in which some task waited for memory, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_share: Option<f64>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// The marks in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MarksView {
    /// Memory that stays available, in bytes; absent before the first reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_floor_bytes: Option<u64>,
    /// Shares of the processors, 0 to 1.
    pub cpu_high: f64,
    /// See `cpu_high`.
    pub cpu_low: f64,
    /// Shares of time, 0 to 1.
    pub stall_high: f64,
    /// See `stall_high`.
    pub stall_low: f64,
}

/// One gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateState {
    /// `memory`, `cpu` or `pressure`.
    pub gate: String,
    /// Whether it lets the next task start; in a dry run, whether it would.
    pub is_open: bool,
    /// Since when, in milliseconds since the Unix epoch; absent if it was never otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Why it is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// One usage limit of a Claude account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaView {
    /// The account, as the profiles name it.
    pub account: String,
    /// The CLI's word for what it limits: `five_hour`, `seven_day` …
    pub window: String,
    /// The part that is used, 1 for all of it; 0 once it was reset.
    pub used_share: f64,
    /// When it resets, in milliseconds since the Unix epoch; absent if that was not told, or is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at_ms: Option<u64>,
}

/// What is reserved for one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationView {
    /// The task.
    pub id: String,
    /// Its attempt.
    pub attempt: u32,
    /// What it is expected to need at its peak, in bytes.
    pub reserved_bytes: u64,
    /// Where that comes from: `declared`, `learned`, `default`, or `raised` after it was too little.
    pub source: String,
    /// What its processes were last seen with, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// How long ago, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_age_ms: Option<u64>,
    /// What they were seen with at most, in bytes.
    pub peak_bytes: u64,
    /// The processors that it declares; 0 for none.
    pub cpus: f64,
    /// What is done to it because memory is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relief: Option<String>,
}

/// What was learned of the tasks of one workspace and worker profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedView {
    /// The workspace; empty for none.
    pub workspace: String,
    /// The worker profile.
    pub worker: String,
    /// What one of them is expected to need, in bytes.
    pub bytes: u64,
    /// When that was learned, in milliseconds since the Unix epoch.
    pub learned_at_ms: u64,
}
