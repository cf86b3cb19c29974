//! `hold` and its inverse `release`.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{Ids, Message};

/// Keep waiting tasks from starting until they are released
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArgs {
    /// The tasks; all are checked before the first is touched
    #[arg(value_name = "ID", required = true, value_parser = value::task_id)]
    ids: Vec<String>,
}

/// Let held tasks start again
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The tasks; all are checked before the first is touched
    #[arg(value_name = "ID", required = true, value_parser = value::task_id)]
    ids: Vec<String>,
}

impl HoldArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Hold(only(self.ids)))
    }
}

impl ReleaseArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Release(only(self.ids)))
    }
}

fn only(ids: Vec<String>) -> Ids {
    Ids {
        ids,
        ..Ids::default()
    }
}
