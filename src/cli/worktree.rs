//! `worktree`: what tasks have left in their git worktrees, and what becomes of it.
//!
//! All of it is between this command, git and the files beside the worktrees; the daemon is asked only whether a task may
//! run again.

use std::collections::BTreeMap;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, task_text, value, worktree_text};
use crate::protocol::{Answer, Filter, Message, TaskView};
use crate::worktree::{self, Cleaned, Hold, Record};

/// List, compare, merge and remove the git worktrees of tasks
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A task that is queued with --worktree works in a worktree of its own, on the branch \
                  wezterm-parallel/ID. It stays as long as it holds anything that is nowhere else.\n\n\
                  Examples:\n  \
                  wezterm-parallel queue --worktree 'fix the flaky test'\n  \
                  wezterm-parallel worktree diff 12\n  \
                  wezterm-parallel worktree merge 12\n  \
                  wezterm-parallel worktree clean"
)]
pub(crate) struct WorktreeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List all worktrees, and what is in them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a task has changed, uncommitted and new files included
    Diff {
        /// The task
        #[arg(value_parser = value::task_id)]
        id: String,
        /// Only count
        #[arg(long)]
        stat: bool,
        /// Only names of files
        #[arg(long, conflicts_with = "stat")]
        name_only: bool,
    },
    Merge(MergeArgs),
    Clean(CleanArgs),
}

/// Merge a task's branch; one that conflicts changes nothing, and exits with 1
#[derive(Debug, clap::Args)]
struct MergeArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// Into this branch [default: what is checked out where the task was queued]
    #[arg(long, value_name = "BRANCH")]
    into: Option<String>,
    /// Merge what is committed, and leave uncommitted files where they are
    #[arg(long)]
    committed: bool,
    /// Keep the worktree and its branch
    #[arg(long)]
    keep: bool,
}

/// Remove worktrees that hold nothing that is not elsewhere, and say why others stay
#[derive(Debug, clap::Args)]
struct CleanArgs {
    /// Only those of these tasks [default: all]
    #[arg(value_name = "ID", value_parser = value::task_id)]
    ids: Vec<String>,
    /// Also those with commits that were amended or reset away, which only their log still knows
    #[arg(long)]
    rewritten: bool,
}

impl WorktreeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::List { json } => list(context, json),
            What::Diff { id, stat, name_only } => {
                let options = [("--stat", stat), ("--name-only", name_only)];
                let options = options.into_iter().filter(|(_, wanted)| *wanted);
                let options: Vec<String> = options.map(|(option, _)| option.to_owned()).collect();
                let status = worktree::diff(&of_task(context, &id)?, &options)?;
                // A pager that was left early is no failure.
                match status.code() {
                    Some(0) | None => Ok(Exit::Ok),
                    Some(_) => Err(Failure::refused("")),
                }
            }
            What::Merge(args) => args.run(context),
            What::Clean(args) => args.run(context),
        }
    }
}

/// The worktree of a task, which must have one.
fn of_task(context: &Context, id: &str) -> Result<Record, Failure> {
    let all = worktree::find(&worktree::folder_of(&context.paths()?.data), id);
    all.into_iter().next().ok_or_else(|| {
        Failure::refused(format!("task {id} has no worktree"))
            .hint("`wezterm-parallel worktree list` lists them; one with nothing in it is removed when its task ends")
    })
}

fn list(context: &Context, json: bool) -> Result<Exit, Failure> {
    let folder = worktree::folder_of(&context.paths()?.data);
    let (records, damaged) = worktree::records(&folder);
    let looked = records.into_iter().map(|record| {
        let look = worktree::look(&record);
        (record, look)
    });
    let looked: Vec<_> = looked.collect();
    if json {
        screen::print_json(&worktree_text::json(&looked))?;
    } else if looked.is_empty() {
        screen::note("there are no worktrees: `wezterm-parallel queue --worktree` makes one");
    } else {
        screen::print(&worktree_text::table(&looked, screen::width()))?;
    }
    for (record, look) in &looked {
        if let Err(error) = look {
            Context::warn(&format!(
                "task {}: {}",
                record.task,
                super::text::visible(&error.to_string())
            ));
        }
    }
    for error in damaged {
        Context::warn(&super::text::visible(&error.to_string()));
    }
    for aside in worktree::asides(&folder) {
        let aside = aside.display().to_string();
        Context::warn(&format!(
            "a worktree that was never completed lies in {}: no task worked there; delete it if you did not either",
            super::text::visible(&aside)
        ));
    }
    Ok(Exit::Ok)
}

impl MergeArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let record = of_task(context, &self.id)?;
        let merged = worktree::merge(&record, self.into.as_deref(), self.committed)?;
        let (id, target) = (&self.id, &merged.target);
        screen::note(&match merged.commits {
            0 => format!("{target} has all commits of task {id} already"),
            1 => format!("merged 1 commit of task {id} into {target}"),
            n => format!("merged {n} commits of task {id} into {target}"),
        });
        if !self.keep {
            let states = states(context, std::slice::from_ref(&record))?;
            let cleaned = cleaned(&record, &states, false)?;
            screen::note(&worktree_text::cleaned(&record, &cleaned));
        }
        Ok(Exit::Ok)
    }
}

impl CleanArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let folder = worktree::folder_of(&context.paths()?.data);
        let (mut records, _) = worktree::records(&folder);
        if let Some(id) = self
            .ids
            .iter()
            .find(|id| !records.iter().any(|record| record.task == **id))
        {
            return of_task(context, id).map(|_| Exit::Ok);
        }
        if !self.ids.is_empty() {
            records.retain(|record| self.ids.contains(&record.task));
        }
        let states = states(context, &records)?;
        let mut exit = Exit::Ok;
        for record in records {
            match cleaned(&record, &states, self.rewritten) {
                Ok(cleaned) => screen::note(&worktree_text::cleaned(&record, &cleaned)),
                // The others are not held up by one.
                Err(error) => {
                    Failure::from(error).report();
                    exit = Exit::Refused;
                }
            }
        }
        Ok(exit)
    }
}

/// Removes a worktree, unless its task may run again.
fn cleaned(
    record: &Record,
    states: &BTreeMap<(String, u64), String>,
    with_rewritten: bool,
) -> Result<Cleaned, worktree::WorktreeError> {
    match states.get(&(record.task.clone(), record.queued_at_ms)) {
        Some(state) => Ok(Cleaned::Kept(vec![Hold::Unfinished(state.clone())])),
        None => worktree::clean(record, with_rewritten),
    }
}

/// The states of those tasks that have not ended.
fn states(context: &Context, records: &[Record]) -> Result<BTreeMap<(String, u64), String>, Failure> {
    if records.is_empty() {
        return Ok(BTreeMap::new());
    }
    let open = |task: &TaskView| !task_text::has_ended(task);
    let tasks = match context.ask(&Message::Status(Filter::default()))? {
        Answer::Status(status) => status.tasks,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    let open = tasks.into_iter().filter(open);
    Ok(open
        .map(|task| {
            // A task that goes on in another one's worktree keeps that.
            let owner = task.worktree.as_ref().and_then(|worktree| worktree.task.clone());
            match owner.and_then(|owner| records.iter().find(|record| record.task == owner)) {
                Some(record) => ((record.task.clone(), record.queued_at_ms), task.state),
                None => ((task.id, task.submitted_at_ms), task.state),
            }
        })
        .collect())
}
