//! `clean`: removes ended tasks and what they wrote.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, value};
use crate::protocol::{Answer, Clean, Message};

/// Remove ended tasks and their output
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wezterm-parallel clean --succeeded --older-than 1day")]
pub(crate) struct CleanArgs {
    /// Only these tasks [default: every ended one]
    #[arg(value_name = "ID", value_parser = value::task_id)]
    ids: Vec<String>,
    /// Only those that succeeded
    #[arg(long)]
    succeeded: bool,
    /// Only those that ended at least this long ago
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms)]
    older_than: Option<u64>,
}

impl CleanArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let message = Message::Clean(Clean {
            ids: self.ids,
            succeeded_only: self.succeeded,
            older_than_ms: self.older_than,
        });
        match context.ask(&message)? {
            Answer::Changed(changed) => match changed.ids.len() {
                1 => screen::note("removed 1 task"),
                count => screen::note(&format!("removed {count} tasks")),
            },
            other => return Err(Failure::unexpected_answer(&other)),
        }
        Ok(Exit::Ok)
    }
}
