//! `status`: the queue at a glance.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::status_format::{Format, StatusNow};
use super::{screen, status_watch, task_text, value};
use crate::protocol::{Answer, Filter, Message, StatusAnswer};

/// What a terminal shows unless `--limit` says otherwise.
const TERMINAL_LIMIT: usize = 50;
/// On a screen that is kept up to date: the summary (which may take two), the headings, what was left out, and
/// the line of the cursor.
const OTHER_LINES: usize = 5;

/// The states that a task can be in.
const STATES: [&str; 12] = [
    "delayed",
    "blocked",
    "held",
    "queued",
    "running",
    "paused",
    "waiting",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
    "lost",
];

/// Show the queue
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: delayed blocked held queued running paused waiting\n        \
                        succeeded failed cancelled skipped lost\n\n\
                        Examples:\n  \
                        wezterm-parallel status --state running,queued\n  \
                        wezterm-parallel status --json | jq '.summary.states'\n  \
                        wezterm-parallel status --format '{running}/{slots}[ {queued} queued]'\n\n\
                        --format reads a small file that the daemon keeps, and never starts one.\n\
                        Fields: running slots queued waiting attention failed processes\n        \
                        failed_processes paused blocked blocked_by state error daemon\n        \
                        pid age_s. What stands in brackets is\n        \
                        left out while its fields are empty or 0; {{ }} [[ ]] are the signs."
)]
pub(crate) struct StatusArgs {
    /// Print one JSON object with `tasks` and `summary`
    #[arg(long)]
    json: bool,
    /// Only tasks in this state; may be repeated
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(STATES),
        hide_possible_values = true
    )]
    state: Vec<String>,
    /// Only tasks with this label
    #[arg(long)]
    label: Option<String>,
    /// Only tasks of this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// At most this many tasks [default: 50 on a terminal, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show it anew on each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// Print one line of this form, for other bars; with --watch one on each change
    #[arg(
        long,
        value_parser = Format::parse,
        conflicts_with_all = ["json", "state", "label", "workspace", "limit"]
    )]
    format: Option<Format>,
    /// With --format: what is printed while no daemon runs [default: off]
    #[arg(long, value_name = "TEXT", requires = "format")]
    off: Option<String>,
}

impl StatusArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        if let Some(format) = &self.format {
            let off = self.off.as_deref().unwrap_or("off");
            if self.watch {
                return status_watch::lines(context, format, off);
            }
            screen::print_line(&line(context, format, off)?)?;
            return Ok(Exit::Ok);
        }
        let shown = Shown::new(self);
        if shown.args.watch {
            return status_watch::blocks(context, &shown);
        }
        match context.ask(&Message::Status(shown.filter(None)))? {
            Answer::Status(answer) if shown.args.json => screen::print_json(&answer)?,
            Answer::Status(answer) => screen::print(&shown.text(answer, None))?,
            other => return Err(Failure::unexpected_answer(&other)),
        }
        Ok(Exit::Ok)
    }
}

/// The queue in a line, or what stands for a daemon that does not run.
pub(crate) fn line(context: &Context, format: &Format, off: &str) -> Result<String, Failure> {
    let (path, now_ms) = (context.paths()?.status_file, value::now_ms());
    let status = StatusNow::read(&path, now_ms)
        .map_err(|error| Failure::file(format!("cannot read {}", path.display()), &error))?;
    Ok(status.map_or_else(|| off.to_owned(), |status| format.render(&status, now_ms)))
}

/// What of the queue is shown, and how.
#[derive(Debug)]
pub(crate) struct Shown {
    args: StatusArgs,
    /// A person looks at a screen of so many columns.
    short: bool,
}

impl Shown {
    fn new(args: StatusArgs) -> Self {
        Self {
            short: !args.json && screen::stdout_is_terminal(),
            args,
        }
    }

    /// Whether each answer is a line of JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.args.json
    }

    /// Whether it is shown on a screen, in place of what was there.
    pub(crate) fn is_on_screen(&self) -> bool {
        self.short
    }

    /// How many tasks are shown on a screen of this height, if it has one.
    fn most(&self, rows: Option<usize>) -> Option<usize> {
        let usual = rows.map_or(TERMINAL_LIMIT, |rows| rows.saturating_sub(OTHER_LINES).max(1));
        self.short.then_some(usual).filter(|_| self.args.limit.is_none())
    }

    /// What is asked for.
    pub(crate) fn filter(&self, rows: Option<usize>) -> Filter {
        Filter {
            states: self.args.state.clone(),
            label: self.args.label.clone(),
            workspace: self.args.workspace.clone(),
            // One more than is shown tells whether there are more.
            limit: self.args.limit.or(self.most(rows).map(|most| most + 1)),
            ..Filter::default()
        }
    }

    /// The summary and the table.
    pub(crate) fn text(&self, mut answer: StatusAnswer, rows: Option<usize>) -> String {
        let args = &self.args;
        let cut = self.most(rows).filter(|most| answer.tasks.len() > *most);
        if let Some(most) = cut {
            answer.tasks.truncate(most);
        }
        let mut text = task_text::status(&answer, value::now_ms(), screen::width());
        if let Some(most) = cut {
            let all: usize = answer.summary.states.values().sum();
            let unfiltered = args.state.is_empty() && args.label.is_none() && args.workspace.is_none();
            let more = if unfiltered {
                format!("{} more", all.saturating_sub(most))
            } else {
                "more".to_owned()
            };
            text.push_str(&format!("… and {more} (--limit N shows them)\n"));
        }
        text
    }
}
