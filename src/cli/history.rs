//! `history`: what has ended, and how, as far back as the history goes.
//!
//! It reads the file itself: no daemon is needed, and none is started.

use std::io::{BufWriter, Write as _};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{history_files, history_restore, history_text, screen, value};
use crate::history::{Cursor, HistoryFilter, HistoryTask, Reader};

/// The states that an ended task can be in.
const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "skipped", "lost"];

/// Show ended tasks, newest first, also those that retention has removed
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The daemon writes the history if the config says `sqlite = true` below `[state]`.\n\
                  Options that take several values (--state failed,lost) pass any of them.\n\n\
                  Examples:\n  \
                  wezterm-parallel history --state failed --since 7d\n  \
                  wezterm-parallel history --workspace api --search 'flaky test' --json\n  \
                  wezterm-parallel history export old.jsonl"
)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Export(history_files::ExportArgs),
    Import(history_files::ImportArgs),
    Restore(history_restore::RestoreArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print one JSON object for each task
    #[arg(long)]
    json: bool,
    /// Only the task with this id
    #[arg(long, value_parser = value::task_id)]
    id: Option<String>,
    /// Only tasks in this state: succeeded, failed, cancelled, skipped, lost
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(ENDS),
        hide_possible_values = true
    )]
    state: Vec<String>,
    /// Only tasks that ended for this reason: exit_code, timeout, budget …
    #[arg(long, value_delimiter = ',')]
    reason: Vec<String>,
    /// Only tasks of which an attempt had this outcome, as `show` names them
    #[arg(long, value_delimiter = ',')]
    outcome: Vec<String>,
    /// Only tasks of this workspace; an empty name for those of none
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    workspace: Vec<String>,
    /// Only tasks of this worker profile
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    worker: Vec<String>,
    /// Only tasks with this label
    #[arg(long, value_delimiter = ',')]
    label: Vec<String>,
    /// Only tasks whose command or prompt has this text in it, in whatever case
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
    /// The same, also in what the last attempt had to say
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only what ended since then: today, 7d, 2026-11-01, "2026-11-01 18:30"
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    since: Option<u64>,
    /// Only what ended before then
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    until: Option<u64>,
    /// At most this many tasks
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on after the page that ends with this
    #[arg(long, value_name = "PAGE")]
    page: Option<Cursor>,
}

/// Reads a day or an age as `cost --since` does, or a moment as `queue --at` does.
fn moment(text: &str) -> Result<u64, String> {
    let days = value::since_ms(text);
    // A bare time of day means the next one there, which nothing has ended after.
    let exact = || text.contains('-').then(|| value::moment_ms(text).ok()).flatten();
    days.ok().or_else(exact).ok_or_else(|| {
        "a moment is today, an age like 7d, a date like 2026-11-01 or a local time like \"2026-11-01 18:30\"".to_owned()
    })
}

impl HistoryArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            None => self.list.run(context)?,
            Some(What::Export(args)) => args.run(context)?,
            Some(What::Import(args)) => args.run(context)?,
            Some(What::Restore(args)) => return args.run(context),
        }
        Ok(Exit::Ok)
    }
}

impl ListArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let reader = Reader::open(&context.paths()?.history())?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let json = self.json;
        let (tasks, is_more) = reader.page(&self.filter(), limit)?;
        if json {
            print_lines(&tasks)?;
        } else {
            screen::print(&history_text::table(&tasks, screen::width()))?;
            if tasks.is_empty() {
                screen::note("nothing in the history is like that");
            }
        }
        if let Some(last) = tasks
            .last()
            .and_then(|task| task.cursor.as_deref())
            .filter(|_| is_more)
        {
            screen::note(&format!("there are older ones: --page {last}"));
        }
        Ok(())
    }

    fn filter(self) -> HistoryFilter {
        HistoryFilter {
            id: self.id,
            workspaces: self.workspace,
            workers: self.worker,
            labels: self.label,
            states: self.state,
            reasons: self.reason,
            outcomes: self.outcome,
            since_ms: self.since,
            until_ms: self.until,
            command: self.command,
            search: self.search,
            after: self.page,
        }
    }
}

fn print_lines(tasks: &[HistoryTask]) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(screen::raw_stdout()?);
    for task in tasks {
        serde_json::to_writer(&mut stdout, task).map_err(std::io::Error::from)?;
        stdout.write_all(b"\n")?;
    }
    stdout.flush()?;
    Ok(())
}
