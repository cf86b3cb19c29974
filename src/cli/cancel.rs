//! `cancel`: takes tasks back, stopping them if they run.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{Cancel, Message};

/// Take tasks back; running ones are asked to end, then forced
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        wezterm-parallel cancel 7 8\n  \
                        wezterm-parallel cancel 7 --signal INT --grace 30s\n  \
                        wezterm-parallel cancel 7 --signal KILL")]
pub(crate) struct CancelArgs {
    /// The tasks; all are checked before the first is touched
    #[arg(value_name = "ID", required = true, value_parser = value::task_id)]
    ids: Vec<String>,
    /// The first signal for a running task, by name or number [default: TERM]
    #[arg(long)]
    signal: Option<String>,
    /// Time between that signal and SIGKILL for the whole tree
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms)]
    grace: Option<u64>,
}

impl CancelArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Cancel(Cancel {
            ids: self.ids,
            signal: self.signal,
            grace_ms: self.grace,
        }))
    }
}
