//! `pause` and its inverse `resume`, which also undoes the hold of a profile after a failed login.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{Ids, Message};

/// Pause tasks, or without ids all starts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A running task is stopped in place (SIGSTOP); a waiting one is not started.\n\
                        Without ids, what runs goes on and nothing new starts."
)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Undo a pause: of tasks, or without ids of all starts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --worker, a profile goes on whose login was refused (mend that first:\n\
                  `claude auth login`) or whose usage limit is waited out."
)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    which: Which,
    /// The starts of this profile, kept by a refused login or a usage limit
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["ids", "workspace"])]
    worker: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The tasks
    #[arg(value_name = "ID", value_parser = value::task_id, conflicts_with = "workspace")]
    ids: Vec<String>,
    /// All starts of this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
}

impl PauseArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Pause(self.which.into()))
    }
}

impl ResumeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.change(&Message::Resume(Ids {
            worker: self.worker,
            ..self.which.into()
        }))
    }
}

impl From<Which> for Ids {
    fn from(which: Which) -> Self {
        Self {
            ids: which.ids,
            workspace: which.workspace,
            worker: None,
        }
    }
}
