//! `batch`: hands many prompts or commands to the daemon at once.
//!
//! Every line is checked before the first is sent ([`lines`], [`order`], [`ask`]), ids are fixed before sending so that
//! a repeat doubles nothing ([`send`]), and what becomes of them is shown in [`progress`].

mod ask;
mod lines;
mod order;
mod progress;
mod send;

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{current_workspace, queue, screen};
use lines::{Line, LineError};

/// More errors than this help nobody.
const ERRORS_SHOWN: usize = 10;

/// Queue many prompts or commands at once
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A line that begins with { is a task in JSON, with the fields of TaskQueue in\n\
                  docs/protocol.md; any other line is a prompt. All lines are checked first: if\n\
                  one is wrong, nothing is queued. Repeating after a broken connection doubles\n\
                  nothing.\n\n\
                  Examples:\n  \
                  wezterm-parallel batch --wait jobs.jsonl\n  \
                  printf '%s\\n' 'make a' 'make b' | wezterm-parallel batch --shell -\n\n\
                  jobs.jsonl:\n  \
                  {\"id\":\"fix\",\"command\":\"fix the flaky test\",\"claude\":{\"model\":\"opus\"}}\n  \
                  {\"argv\":[\"cargo\",\"test\"],\"after\":[\"fix:success\"],\"priority\":150}"
)]
pub(crate) struct BatchArgs {
    /// The file; `-` for stdin
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: String,
    /// Wait until all have ended; exit 1 if one did not succeed
    #[arg(long)]
    wait: bool,
    /// Wait, and show their output with `[ID]` before each line
    #[arg(long)]
    follow: bool,
    /// Print no ids and no progress
    #[arg(long, short)]
    quiet: bool,
    /// Every line is a prompt or command, even one that begins with {
    #[arg(long)]
    lines: bool,
    /// The worker profile of commands that name none
    #[arg(long, value_name = "PROFILE")]
    worker: Option<String>,
    /// Commands that name no worker are shell lines: the same as --worker shell
    #[arg(short, long, conflicts_with = "worker")]
    shell: bool,
}

impl BatchArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let name = if self.file == "-" { "stdin" } else { &self.file };
        let bytes = read(&self.file)?;
        let folder = queue::working_folder(None)?;
        let mut tasks = lines::read(&bytes, self.lines, &folder).map_err(|errors| refused(name, &errors))?;
        drop(bytes);
        let worker = self
            .worker
            .clone()
            .or_else(|| self.shell.then(|| queue::SHELL.to_owned()));
        lines::fill_in_worker(&mut tasks, worker.as_deref());
        lines::fill_in_workspace(&mut tasks, current_workspace::read(context)?.as_deref());
        order::check(&tasks).map_err(|errors| refused(name, &errors))?;
        if tasks.is_empty() {
            screen::note(&format!("{name} holds no tasks: nothing queued"));
            return Ok(Exit::Ok);
        }
        ask::check_known(context, &tasks)
            .and_then(|()| ask::check_runnable(context, &tasks))
            .map_err(|error| match error {
                ask::CheckError::Lines(errors) => refused(name, &errors),
                ask::CheckError::Failure(failure) => failure,
            })?;
        order::sort(&mut tasks);
        let ids = send::send(context, name, tasks, self.quiet)?;
        self.announce(&ids)?;
        match (self.follow, self.wait) {
            (true, _) => progress::follow(context, &ids, self.quiet),
            (false, true) => progress::wait(context, &ids, self.quiet),
            (false, false) => Ok(Exit::Ok),
        }
    }

    /// The ids go to a program that reads them; a person gets one line.
    fn announce(&self, ids: &[String]) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        if !screen::stdout_is_terminal() && !self.follow {
            let mut text = ids.join("\n");
            text.push('\n');
            std::io::stdout().lock().write_all(text.as_bytes())?;
        }
        screen::note(&summary(ids));
        Ok(())
    }
}

/// `queued 50 tasks: 13-62`, or the ids if they are few.
fn summary(ids: &[String]) -> String {
    let numbers: Option<Vec<u64>> = ids.iter().map(|id| id.parse().ok()).collect();
    let is_range = numbers.is_some_and(|numbers| numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    match ids {
        [id] => format!("queued 1 task: {id}"),
        [first, .., last] if is_range => format!("queued {} tasks: {first}-{last}", ids.len()),
        ids if ids.len() <= 10 => format!("queued {} tasks: {}", ids.len(), ids.join(" ")),
        ids => format!("queued {} tasks", ids.len()),
    }
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::file("cannot read stdin", &error))?;
        return Ok(bytes);
    }
    std::fs::read(Path::new(file)).map_err(|error| Failure::file(format!("cannot read {file}"), &error))
}

/// One failure for all wrong lines: `jobs.jsonl:3:14: …`.
fn refused(name: &str, errors: &[LineError]) -> Failure {
    let mut text: Vec<String> = errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(|error| format!("{name}:{error}"))
        .collect();
    if errors.len() > ERRORS_SHOWN {
        text.push(format!("… and {} more", errors.len() - ERRORS_SHOWN));
    }
    let hints: Vec<&str> = errors
        .iter()
        .map(|error| error.hint.as_str())
        .filter(|hint| !hint.is_empty())
        .collect();
    let hint = match hints.first() {
        Some(first) if errors.len() == 1 => format!("{first}; nothing was queued"),
        _ => "nothing was queued".to_owned(),
    };
    Failure::usage(text.join("\n       ")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_a_range() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(summary(&ids(&["7"])), "queued 1 task: 7");
        assert_eq!(summary(&ids(&["7", "8", "9"])), "queued 3 tasks: 7-9");
        assert_eq!(summary(&ids(&["7", "9"])), "queued 2 tasks: 7 9");
        assert_eq!(summary(&ids(&["build", "9"])), "queued 2 tasks: build 9");
    }

    #[test]
    fn wrong_lines_are_named_together() {
        let error = |line| LineError {
            line,
            column: 3,
            message: "wrong".into(),
            hint: "right it".into(),
        };
        let one = refused("jobs", &[error(2)]);
        assert_eq!(
            (one.message.as_str(), one.hint.as_str()),
            ("jobs:2:3: wrong", "right it; nothing was queued")
        );
        let many: Vec<_> = (1..=12).map(error).collect();
        assert!(refused("jobs", &many).message.ends_with("… and 2 more"));
    }
}
