//! `show`: one task in full.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, task_text, value};

/// Show one task in full, with its attempts
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wezterm-parallel show 7 --json | jq '.attempts[-1].exit_code'")]
pub(crate) struct ShowArgs {
    /// The task
    #[arg(value_parser = value::task_or_process)]
    id: String,
    /// Print the task as one JSON object
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let task = context.task(self.id)?;
        if self.json {
            screen::print_json(&task)?;
        } else {
            screen::print(&task_text::task(&task, value::now_ms()))?;
        }
        Ok(Exit::Ok)
    }
}
