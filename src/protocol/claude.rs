//! What clients and daemon say about Claude workers: options of a task, questions, costs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claude::Tokens;

/// What happens when a Claude worker needs permission for a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// It is denied at once.
    #[default]
    Deny,
    /// The task waits for an answer.
    Ask,
}

/// What a run is worth in which a tool was denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// It failed.
    #[default]
    Fail,
    /// It succeeded, with a warning.
    Warn,
}

/// Options of one task for a worker of kind `claude`; what is absent is as the profile says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClaudeOptions {
    /// The CLI, by name or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// `--model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `--fallback-model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// `--permission-mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// `--allowed-tools`, in place of the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// `--disallowed-tools`, in place of the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// `--max-turns`; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// The most that the task may cost with all its attempts, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// `--effort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// `--append-system-prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<String>,
    /// `--mcp-config`, in place of the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_config: Option<Vec<String>>,
    /// Further arguments, after the profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_args: Option<Vec<String>>,
    /// What happens when a tool needs permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// What a run is worth in which a tool was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denied>,
    /// Go on with this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Go on with the session of this task; not together with `resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_from: Option<String>,
    /// With one of these: in a copy of the session, which itself stays as it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fork: bool,
}

/// The answer to a worker's question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerQuestion {
    /// The task that asks.
    pub id: String,
    /// Whether the tool may be used.
    pub allow: bool,
    /// With `allow: false`: what the model is told. Default: that the user said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Which of its questions, by `request_id`. Default: the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For a question that wants a choice: the answers by the questions' own words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
}

/// A worker's question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionView {
    /// What names it.
    pub request_id: String,
    /// The tool that needs permission.
    pub tool: String,
    /// The tool's input, as the model gave it.
    pub input: serde_json::Value,
    /// What the model says that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// It wants a choice (`answers`), not a permission alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_choice: bool,
    /// When the daemon heard of it, in milliseconds since the Unix epoch.
    pub asked_at_ms: u64,
}

/// Which costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CostQuery {
    /// From the day of this moment on, in milliseconds since the Unix epoch. Default: all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
}

/// What Claude workers have cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostAnswer {
    /// By day, workspace, worker, label and model; the oldest day first.
    pub rows: Vec<CostRow>,
    /// The budgets in force.
    pub budgets: Vec<BudgetView>,
}

/// Costs of one day, workspace, worker, label and model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostRow {
    /// The day by local time, as `2026-01-31`.
    pub day: String,
    /// The workspace; empty for none.
    pub workspace: String,
    /// The worker profile.
    pub worker: String,
    /// The label; empty for none.
    pub label: String,
    /// The model.
    pub model: String,
    /// Attempts that used it.
    pub attempts: u64,
    /// Tokens and cost.
    #[serde(flatten)]
    pub tokens: Tokens,
}

/// A budget and where it stands today.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// The workspace; empty for all together.
    pub workspace: String,
    /// The budget of one day, in US dollars.
    pub limit_usd: f64,
    /// Spent today.
    pub spent_usd: f64,
    /// Set aside for attempts that run, by their `max_budget_usd`.
    pub reserved_usd: f64,
}
