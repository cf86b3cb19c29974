//! The line at the end of a turn as it stands on the wire. Its fields come in any order, its type late among them.

use serde::Deserialize;

use super::loose::{Entries, Flag, List, Number, Object, Presence, Text};
use super::subject::Subject;
use super::values::Tokens;

/// The end of a turn.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TurnResult<'a> {
    #[serde(borrow)]
    pub(super) subtype: Text<'a>,
    pub(super) is_error: Flag,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) terminal_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) result: Text<'a>,
    #[serde(borrow)]
    pub(super) errors: List<Text<'a>>,
    pub(super) structured_output: Presence,
    #[serde(borrow)]
    pub(super) session_id: Text<'a>,
    pub(super) api_error_status: Number,
    #[serde(borrow)]
    pub(super) api_error: Text<'a>,
    #[serde(borrow)]
    pub(super) api_error_type: Text<'a>,
    pub(super) num_turns: Number,
    pub(super) duration_ms: Number,
    pub(super) total_cost_usd: Number,
    #[serde(rename = "modelUsage")]
    pub(super) model_usage: Usage,
    pub(super) model_usage_since_last_result: Option<Usage>,
    #[serde(borrow)]
    pub(super) permission_denials: List<Object<DeniedCall<'a>>>,
}

/// What each model used.
pub(super) type Usage = Entries<Object<ModelUsage>>;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModelUsage {
    input_tokens: Number,
    output_tokens: Number,
    cache_read_input_tokens: Number,
    cache_creation_input_tokens: Number,
    #[serde(rename = "costUSD")]
    cost_usd: Number,
}

impl ModelUsage {
    pub(super) fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input_tokens.count().unwrap_or(0),
            output: self.output_tokens.count().unwrap_or(0),
            cache_read: self.cache_read_input_tokens.count().unwrap_or(0),
            cache_write: self.cache_creation_input_tokens.count().unwrap_or(0),
            cost_usd: self.cost_usd.0.unwrap_or(0.0),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DeniedCall<'a> {
    #[serde(borrow)]
    pub(super) tool_name: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Text<'a>,
    pub(super) tool_input: Subject,
}
