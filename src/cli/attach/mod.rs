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
use crate::pane::wezterm::{register, Registered, Shown, Surroundings};
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
    #[arg(long, value_name = "ID", value_parser = value::task_or_process)]
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
    /// The name that this program has given to the viewer in a pane that it has just made
    #[arg(long, hide = true, value_name = "NAME", value_parser = viewer_name)]
    viewer: Option<String>,
}

/// It becomes the name of a file.
fn viewer_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_name = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "write letters, digits and dashes".to_owned())
}

impl AttachArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        // First of all: whoever made this pane looks whether a viewer is in it.
        let _registered = self.register(context);
        viewer::watch(context, &self)
    }

    /// Says that this viewer runs. If that fails, it is not known as one, and shows what it shows all the same.
    fn register(&self, context: &Context) -> Option<Registered> {
        let shown = match (&self.slot, &self.task) {
            (Some(slot), _) => Shown::Slot(*slot),
            (None, Some(task)) => Shown::Task(task.clone()),
            (None, None) => return None,
        };
        let data = context.paths().ok()?.data;
        let surroundings = Surroundings::from_env();
        register(&data, self.viewer.as_deref(), &surroundings, shown).ok()?
    }

    /// What is to be heard of.
    fn subscribe(&self) -> Subscribe {
        Subscribe {
            ids: self.task.iter().cloned().collect(),
            slot: self.slot,
            workspace: self.workspace.clone(),
            limit: None,
            statuses: false,
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
