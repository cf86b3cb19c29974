//! `log`: what an attempt wrote, from its folder.

use std::io;
use std::path::Path;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output_file::OutputFile;
use super::{screen, value};
use crate::protocol::{AttemptView, TaskView};

/// Print what a task wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        wezterm-parallel log 7 --tail 20\n  \
                        wezterm-parallel log 7 --attempt 1 | less -R")]
pub(crate) struct LogArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// This attempt, counted from 1 [default: the last]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

impl LogArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let task = context.task(self.id)?;
        let attempt = chosen_attempt(&task, self.attempt)?;
        let folder = Path::new(&attempt.folder);
        if let Some(mut output) = open(&folder.join("output"))? {
            print(&mut output, self.tail, &mut screen::raw_stdout()?)?;
        }
        // A profile that keeps stderr apart has it printed to stderr.
        if let Some(mut errors) = open(&folder.join("stderr"))? {
            print(&mut errors, self.tail, &mut io::stderr().lock())?;
        }
        if let Some(message) = &attempt.message {
            screen::note(&format!(
                "attempt {}: {}",
                attempt.n,
                super::text::visible(message)
            ));
        }
        Ok(Exit::Ok)
    }
}

fn chosen_attempt(task: &TaskView, number: Option<u32>) -> Result<&AttemptView, Failure> {
    let id = &task.id;
    let Some(last) = task.attempts.last() else {
        return Err(
            Failure::refused(format!("task {id} has not started: it is {}", task.state))
                .hint(format!("`wezterm-parallel explain {id}` says why")),
        );
    };
    let Some(number) = number else {
        return Ok(last);
    };
    let found = task.attempts.iter().find(|attempt| attempt.n == number);
    found.ok_or_else(|| {
        Failure::refused(format!("task {id} has no attempt {number}"))
            .hint(format!("its last attempt is {}", last.n))
    })
}

/// Opens a file of an attempt folder.
pub(crate) fn open(path: &Path) -> Result<Option<OutputFile>, Failure> {
    OutputFile::open(path).map_err(|error| Failure::file(format!("cannot read {}", path.display()), &error))
}

fn print(output: &mut OutputFile, tail: Option<usize>, out: &mut impl io::Write) -> io::Result<()> {
    if let Some(lines) = tail {
        output.seek_to_last_lines(lines)?;
    }
    output.copy_all(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_attempt_is_the_default() {
        let mut task = TaskView {
            id: "7".into(),
            state: "queued".into(),
            ..TaskView::default()
        };
        let failure = chosen_attempt(&task, None).unwrap_err();
        assert_eq!(failure.message, "task 7 has not started: it is queued");
        for n in [1, 2] {
            task.attempts.push(AttemptView {
                n,
                ..AttemptView::default()
            });
        }
        assert_eq!(chosen_attempt(&task, None).unwrap().n, 2);
        assert_eq!(chosen_attempt(&task, Some(1)).unwrap().n, 1);
        let failure = chosen_attempt(&task, Some(3)).unwrap_err();
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::Refused, "task 7 has no attempt 3")
        );
    }
}
