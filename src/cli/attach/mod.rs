//! `attach`: the program that a pane runs to show a worker, a slot or a workspace.
//!
//! Like `follow` it reads the attempt's own files, so a slow pane holds up no worker and a daemon that
//! restarts interrupts nothing. Unlike `follow` it stays after the end, goes on from task to task, and lets
//! nothing but text and colours through to the terminal. It writes lines and never takes the screen, so that
//! the terminal's own scrollback works.

mod page;
mod shown;
mod subscription;
mod viewer;
mod words;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{Subscribe, TaskView};

/// Show a task, a slot or a workspace in this pane, and stay
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("what").required(true).args(["slot", "task", "workspace"])),
    after_help = "On a terminal, keys: Enter closes after the end, r runs the task again, c twice\n\
                  cancels it, q quits. Closing a viewer never ends a task.\n\n\
                  Examples:\n  \
                  wezterm-parallel attach --task 7\n  \
                  wezterm cli split-pane -- wezterm-parallel attach --slot 0"
)]
pub(crate) struct AttachArgs {
    /// The tasks that hold this slot, one after the other, counted from 0
    #[arg(long, value_name = "N")]
    slot: Option<u32>,
    /// This task, through its retries
    #[arg(long, value_name = "ID", value_parser = value::task_id)]
    task: Option<String>,
    /// The tasks of this workspace, one after the other
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Begin with this many of the last lines that are there
    #[arg(long, value_name = "LINES", default_value_t = 200)]
    tail: usize,
    /// What Claude's CLI printed, rather than what Claude did as people read it
    #[arg(long)]
    raw: bool,
    /// Set neither the tab's title nor user variables
    #[arg(long)]
    no_title: bool,
}

impl AttachArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        viewer::watch(context, &self)
    }

    /// What is to be heard of.
    fn subscribe(&self) -> Subscribe {
        Subscribe {
            ids: self.task.iter().cloned().collect(),
            slot: self.slot,
            workspace: self.workspace.clone(),
        }
    }

    /// Whether a task holds another slot than the one that is shown: a retry takes whichever is free.
    fn is_elsewhere(&self, task: &TaskView) -> bool {
        let other = |wanted| task.slot.is_some_and(|slot| slot != wanted);
        self.slot.is_some_and(other)
    }

    /// Whether one task follows the other.
    fn goes_on(&self) -> bool {
        self.task.is_none()
    }
}
