//! `status`: the queue at a glance.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, task_text, value};
use crate::protocol::{Answer, Filter, Message};

/// What a terminal shows unless `--limit` says otherwise.
const TERMINAL_LIMIT: usize = 50;

/// The states that a task can be in.
const STATES: [&str; 12] = [
    "delayed",
    "blocked",
    "held",
    "queued",
    "running",
    "paused",
    "waiting",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
    "lost",
];

/// Show the queue
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: delayed blocked held queued running paused waiting\n        \
                        succeeded failed cancelled skipped lost\n\n\
                        Examples:\n  \
                        wezterm-parallel status --state running,queued\n  \
                        wezterm-parallel status --json | jq '.summary.states'"
)]
pub(crate) struct StatusArgs {
    /// Print one JSON object with `tasks` and `summary`
    #[arg(long)]
    json: bool,
    /// Only tasks in this state; may be repeated
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(STATES),
        hide_possible_values = true
    )]
    state: Vec<String>,
    /// Only tasks with this label
    #[arg(long)]
    label: Option<String>,
    /// Only tasks of this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// At most this many tasks [default: 50 on a terminal, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl StatusArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let short = !self.json && screen::stdout_is_terminal();
        // One more than is shown tells whether there are more.
        let limit = self.limit.or(short.then_some(TERMINAL_LIMIT + 1));
        let unfiltered = self.state.is_empty() && self.label.is_none() && self.workspace.is_none();
        let filter = Filter {
            states: self.state,
            label: self.label,
            workspace: self.workspace,
            limit,
            ..Filter::default()
        };
        let mut answer = match context.ask(&Message::Status(filter))? {
            Answer::Status(answer) => answer,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        if self.json {
            screen::print_json(&answer)?;
            return Ok(Exit::Ok);
        }
        let cut = self.limit.is_none() && short && answer.tasks.len() > TERMINAL_LIMIT;
        if cut {
            answer.tasks.truncate(TERMINAL_LIMIT);
        }
        let mut text = task_text::status(&answer, value::now_ms(), screen::width());
        if cut {
            let all: usize = answer.summary.states.values().sum();
            let more = if unfiltered {
                format!("{} more", all.saturating_sub(TERMINAL_LIMIT))
            } else {
                "more".to_owned()
            };
            text.push_str(&format!("… and {more} (--limit N shows them)\n"));
        }
        screen::print(&text)?;
        Ok(Exit::Ok)
    }
}
