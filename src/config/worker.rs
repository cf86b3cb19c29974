//! Worker profiles: how a command is run, and with which options.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::admission::StartRate;
use super::room::WorkerLimits;
use super::units::optional_duration;
use super::ByteSize;
use crate::protocol::{Denied, Permissions, Sandbox};

/// How a command is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerKind {
    /// The command is a shell line.
    #[default]
    Shell,
    /// The argv is run as it is.
    Exec,
    /// The command is a prompt for Claude Code.
    Claude,
}

/// A worker profile. What is `None` falls back to the methods' figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// How the command is run.
    pub kind: WorkerKind,
    /// The most tasks of this profile that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How fast tasks of this profile may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<StartRate>,
    /// The memory that a worker is expected to need as long as nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The CPUs that a worker is expected to use until its use shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// The longest run of one attempt.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Retries after a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The wait before the first retry.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<Duration>,
    /// The longest wait before a retry.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub retry_max_delay: Option<Duration>,
    /// The signals that ask the command to end, by name or number: one, or two separated by a space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long after it the rest is killed.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub stop_grace: Option<Duration>,
    /// How much nicer than the daemon it is, 0 to 19.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// How much sooner than the daemon the kernel ends it for want of memory, 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score: Option<u16>,
    /// Limits of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<WorkerLimits>,
    /// What it may write and reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// Environment variables for every task of this profile.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// For `Shell`: the program that is given the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// For `Claude`: the CLI, by name or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// For `Claude`: profiles of the same account share its usage limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// For `Claude`: `--model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For `Claude`: `--fallback-model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// For `Claude`: `--permission-mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// For `Claude`: `--allowed-tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// For `Claude`: `--disallowed-tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// For `Claude`: `--max-turns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// For `Claude`: the most that one task may cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// For `Claude`: `--effort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// For `Claude`: `--append-system-prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<String>,
    /// For `Claude`: `--mcp-config`, files or JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_config: Option<Vec<String>>,
    /// For `Claude`: further arguments, as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_args: Option<Vec<String>>,
    /// For `Claude`: `--include-partial-messages`, so that text shows while it is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_messages: Option<bool>,
    /// For `Claude`: what happens when a tool needs permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// For `Claude`: what a run with a denied tool is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denied>,
    /// For `Claude`: without any output for so long, it is stopped and resumed.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<Duration>,
    /// For `Claude`: how long trouble of the API is waited out before the task counts as failed.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub patience: Option<Duration>,
}

impl WorkerConfig {
    /// A profile as if only its kind had been written.
    #[must_use]
    pub fn of_kind(kind: WorkerKind) -> Self {
        let common = Self {
            kind,
            retry_delay: Some(Duration::from_secs(1)),
            retry_max_delay: Some(Duration::from_secs(300)),
            stop_signal: Some("TERM".to_owned()),
            stop_grace: Some(Duration::from_secs(10)),
            shell: (kind == WorkerKind::Shell).then(|| "sh".to_owned()),
            ..Self::default()
        };
        match kind {
            WorkerKind::Shell | WorkerKind::Exec => common,
            WorkerKind::Claude => Self {
                // Trouble of the API is not over in a second.
                retry_delay: Some(Duration::from_secs(10)),
                retry_max_delay: Some(Duration::from_secs(600)),
                // Its own tools end by INT alone; TERM leaves them running.
                stop_signal: Some("INT TERM".to_owned()),
                stop_grace: Some(Duration::from_secs(2)),
                binary: Some("claude".to_owned()),
                account: Some("default".to_owned()),
                partial_messages: Some(false),
                permissions: Some(Permissions::Deny),
                denied: Some(Denied::Fail),
                stall_timeout: Some(Duration::from_secs(15 * 60)),
                patience: Some(Duration::from_secs(6 * 3600)),
                ..common
            },
        }
    }
}
