//! `cost`: what Claude workers have cost, and how the budgets stand.

use super::context::Context;
use super::cost_text::{self, By};
use super::exit::{Exit, Failure};
use super::{screen, value};
use crate::protocol::{Answer, CostQuery, Message};

/// Show what Claude workers have cost, and how the budgets stand
#[derive(Debug, clap::Args)]
#[command(after_help = "Costs are what the CLI reckons by its own price list.\n\n\
                  Examples:\n  \
                  wezterm-parallel cost --since 7d\n  \
                  wezterm-parallel cost --since today --by label")]
pub(crate) struct CostArgs {
    /// Print one JSON object with `rows` and `budgets`
    #[arg(long, conflicts_with = "by")]
    json: bool,
    /// From this day on: today, 7d, 2026-11-01 [default: all that is known]
    #[arg(long, value_name = "DAY", value_parser = value::since_ms)]
    since: Option<u64>,
    /// A line for each day, label, worker, workspace or model
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    by: By,
}

impl CostArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let query = CostQuery { since_ms: self.since };
        let cost = match context.ask(&Message::Cost(query))? {
            Answer::Cost(cost) => cost,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        if self.json {
            screen::print_json(&cost)?;
        } else {
            screen::print(&cost_text::cost(
                &cost,
                self.by,
                self.since.is_some(),
                screen::width(),
            ))?;
        }
        Ok(Exit::Ok)
    }
}
