//! `wait`: returns when tasks have ended, and says by its exit code how.

use std::collections::HashSet;
use std::time::Duration;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::question_text::Teller;
use super::task_text::{end_words, has_ended, has_succeeded};
use super::watch::Watch;
use super::{screen, value, worktree_text};
use crate::protocol::TaskView;

/// How soon Ctrl-C is noticed while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Wait until tasks end; exit 0 if all succeeded, 1 if not
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without ids it waits for every task that has not ended when it begins.\n\
                        Ctrl-C ends the waiting, not the tasks."
)]
pub(crate) struct WaitArgs {
    /// The tasks
    #[arg(value_name = "ID", value_parser = value::task_id, conflicts_with = "all")]
    ids: Vec<String>,
    /// Every task that has not ended; the same as no ids
    #[arg(long)]
    all: bool,
}

impl WaitArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        if self.all || self.ids.is_empty() {
            return until_all_ended(Watch::start_unfinished(context)?);
        }
        wait_for(context, &self.ids)
    }
}

/// Waits for these tasks, which must exist.
pub(crate) fn wait_for(context: &Context, ids: &[String]) -> Result<Exit, Failure> {
    let watch = Watch::start(context, ids)?;
    if let Some(id) = ids.iter().find(|id| watch.task(id).is_none()) {
        return Err(unknown_task(id));
    }
    until_all_ended(watch)
}

/// There is no such task.
pub(crate) fn unknown_task(id: &str) -> Failure {
    Failure::refused(format!("there is no task {id}")).hint("`wezterm-parallel status` lists the tasks")
}

fn until_all_ended(mut watch: Watch<'_>) -> Result<Exit, Failure> {
    let interrupt = Interrupt::catch()?;
    let mut open: HashSet<String> = watch.ids().cloned().collect();
    let mut exit = Exit::Ok;
    let mut changed: Vec<String> = open.iter().cloned().collect();
    let mut teller = Teller::default();
    loop {
        for id in changed {
            let news = watch.task(&id).filter(|_| open.contains(&id));
            let news = news.map(|task| teller.news(task)).unwrap_or_default();
            news.iter().for_each(|words| screen::note(words));
            if open.contains(&id) && is_over(&watch, &id, &mut exit) {
                open.remove(&id);
            }
        }
        if open.is_empty() {
            return Ok(exit);
        }
        interrupt.check(|| goes_on(&open))?;
        changed = watch.step(LOOK_EVERY)?;
    }
}

/// Whether the task has ended; says so on stderr if it did not succeed.
fn is_over(watch: &Watch<'_>, id: &str, exit: &mut Exit) -> bool {
    match watch.task(id) {
        Some(task) if !has_ended(task) => return false,
        Some(task) if has_succeeded(task) => tell_worktree(task),
        Some(task) => {
            screen::note(&end_words(task));
            tell_worktree(task);
            *exit = Exit::NotSucceeded;
        }
        None => {
            screen::note(&format!("task {id}: removed before it could be seen to end"));
            *exit = Exit::NotSucceeded;
        }
    }
    true
}

/// What the task has left in its worktree.
pub(crate) fn tell_worktree(task: &TaskView) {
    if let Some(words) = worktree_text::left_behind(task) {
        screen::note(&words);
    }
}

/// What Ctrl-C leaves behind.
pub(crate) fn goes_on(open: &HashSet<String>) -> String {
    match open.iter().next() {
        Some(id) if open.len() == 1 => format!("interrupted; task {id} goes on"),
        _ => format!("interrupted; {} tasks go on", open.len()),
    }
}
