//! What a run used: tokens by model, dollars, turns.
//!
//! Newer versions count earlier processes of a resumed session into their totals, and give this process's part
//! since its last result beside them; the parts are added up. Older ones give only totals of this process.

use std::collections::BTreeMap;

use super::turn_result::{TurnResult, Usage};
use super::values::Tokens;

/// What all results so far used together.
#[derive(Clone, Debug, Default)]
pub(super) struct Spending {
    parts: Option<BTreeMap<String, Tokens>>,
    totals: BTreeMap<String, Tokens>,
    total_cost_usd: Option<f64>,
    pub(super) turns: Option<u64>,
}

impl Spending {
    pub(super) fn add(&mut self, result: &TurnResult<'_>) {
        if let Some(part) = &result.model_usage_since_last_result {
            add_usage(self.parts.get_or_insert_default(), part);
        }
        self.totals.clear();
        add_usage(&mut self.totals, &result.model_usage);
        self.total_cost_usd = result.total_cost_usd.0;
        if let Some(turns) = result.num_turns.count() {
            self.turns = Some(self.turns.unwrap_or(0).saturating_add(turns));
        }
    }

    pub(super) fn tokens(&self) -> &BTreeMap<String, Tokens> {
        self.parts.as_ref().unwrap_or(&self.totals)
    }

    pub(super) fn cost_usd(&self) -> Option<f64> {
        match &self.parts {
            // A sum of nothing would be -0.
            Some(parts) => Some(parts.values().fold(0.0, |sum, tokens| sum + tokens.cost_usd)),
            None => self.total_cost_usd,
        }
    }
}

fn add_usage(sum: &mut BTreeMap<String, Tokens>, usage: &Usage) {
    for (model, used) in &usage.0 {
        sum.entry(model.clone()).or_default().add(used.0.tokens());
    }
}
