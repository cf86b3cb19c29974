//! `explain`: why a task waits.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, task_text, value, worktree_text};
use crate::protocol::{Answer, Message, OneTask};

/// Say why a task waits, and what comes before it
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// Print the explanation as one JSON object
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let id = self.id.clone();
        let explanation = match context.ask(&Message::Explain(OneTask { id: self.id }))? {
            Answer::Explanation(explanation) => explanation,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        if self.json {
            screen::print_json(&explanation)?;
        } else {
            screen::print(&task_text::explanation(&explanation, value::now_ms()))?;
            let mut task = context.task(id)?;
            worktree_text::fill_in(&mut task);
            screen::print(&worktree_text::sentence(&task))?;
        }
        Ok(Exit::Ok)
    }
}
