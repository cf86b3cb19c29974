//! `show`: one task in full.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, task_text, value, worktree_text};

/// Show one task in full, with its attempts
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wezterm-parallel show 7 --json | jq '.attempts[-1].exit_code'")]
pub(crate) struct ShowArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// Print the task as one JSON object
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut task = context.task(self.id)?;
        worktree_text::fill_in(&mut task);
        if self.json {
            screen::print_json(&task)?;
        } else {
            screen::print(&task_text::task(&task, value::now_ms()))?;
            if let Some(words) = worktree_text::left_behind(&task).filter(|_| task_text::has_ended(&task)) {
                screen::note(&words);
            }
        }
        Ok(Exit::Ok)
    }
}
