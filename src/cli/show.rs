//! `show`: one task in full.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{process, process_text, screen, task_text, value, worktree_text};
use crate::protocol::is_process_id;

/// Show one task in full, with its attempts
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wezterm-parallel show 7 --json | jq '.attempts[-1].exit_code'")]
pub(crate) struct ShowArgs {
    /// The task, or a process
    #[arg(value_parser = value::task_or_process)]
    id: String,
    /// Print the task as one JSON object
    #[arg(long)]
    json: bool,
}

impl ShowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        if is_process_id(&self.id) && !self.json {
            let process = process::one(context, self.id)?;
            screen::print(&process_text::process(&process, value::now_ms()))?;
            return Ok(Exit::Ok);
        }
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
