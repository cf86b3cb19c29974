//! `retry`: runs ended tasks again.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{Message, Retry};

/// Run ended tasks again, under the same ids
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// The tasks
    #[arg(
        value_name = "ID",
        required_unless_present = "all_failed",
        conflicts_with = "all_failed",
        value_parser = value::task_id
    )]
    ids: Vec<String>,
    /// Every task that failed or was lost
    #[arg(long)]
    all_failed: bool,
    /// Begin a new session, rather than go on with the last attempt's (Claude)
    #[arg(long)]
    fresh: bool,
}

impl RetryArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Retry(Retry {
            ids: self.ids,
            all_failed: self.all_failed,
            fresh: self.fresh,
        }))
    }
}
