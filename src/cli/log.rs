//! `log`: what an attempt wrote, from its folder.

use std::io::{self, Write as _};
use std::path::Path;

use super::attempt_output::{open, AttemptOutput, Shown};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::line_splitter::LineSplitter;
use super::output_file::{OutputFile, Piece};
use super::{claude_text, process_text, screen, value};
use crate::claude::Transcript;
use crate::protocol::{AttemptView, TaskView};

/// Print what a task wrote
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What Claude did is shown to be read by people; --raw has the CLI's own lines.\n\n\
                  Examples:\n  \
                  wezterm-parallel log 7 --tail 20\n  \
                  wezterm-parallel log 7 --result > answer.md\n  \
                  wezterm-parallel log 7 --attempt 1 | less -R"
)]
pub(crate) struct LogArgs {
    /// The task
    #[arg(value_parser = value::task_or_process)]
    id: String,
    /// This attempt, counted from 1 [default: the last]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// The bytes as they were written
    #[arg(long)]
    raw: bool,
    /// Only the answer that Claude gave in the end
    #[arg(long, conflicts_with_all = ["raw", "tail"])]
    result: bool,
}

impl LogArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let task = context.task(self.id)?;
        let attempt = chosen_attempt(&task, self.attempt)?;
        if self.result {
            print_result(&task.id, attempt)?;
            return Ok(Exit::Ok);
        }
        let shown = Shown {
            raw: self.raw,
            tail: self.tail,
            ..Shown::default()
        };
        print_output(attempt, shown)?;
        Ok(Exit::Ok)
    }
}

/// Prints what one attempt wrote, the last one if none is named.
pub(crate) fn print_attempt(
    task: &TaskView,
    number: Option<u32>,
    tail: Option<usize>,
) -> Result<(), Failure> {
    let shown = Shown {
        tail,
        ..Shown::default()
    };
    print_output(chosen_attempt(task, number)?, shown)
}

fn print_output(attempt: &AttemptView, shown: Shown) -> Result<(), Failure> {
    if let Some(mut output) = AttemptOutput::open(attempt, shown)? {
        output.finish(attempt.outcome.is_some(), &mut screen::raw_stdout()?)?;
    }
    // A profile that keeps stderr apart has it printed to stderr.
    if let Some(mut errors) = open(&Path::new(&attempt.folder).join("stderr"))? {
        print(&mut errors, shown.tail, &mut io::stderr().lock())?;
    }
    if let Some(message) = claude_text::message_words(attempt) {
        screen::note(&format!("attempt {}: {message}", attempt.n));
    }
    Ok(())
}

/// The final answer alone, with a newline at its end.
fn print_result(id: &str, attempt: &AttemptView) -> Result<(), Failure> {
    let output = open(&Path::new(&attempt.folder).join("output"))?;
    let answer = output.map(final_answer).transpose()?.flatten();
    let Some(answer) = answer else {
        let hint = match attempt.outcome {
            None => format!("it still runs: `wezterm-parallel follow {id}`"),
            Some(_) => format!("`wezterm-parallel log {id}` shows what there is"),
        };
        let message = format!("attempt {} of task {id} gave no final answer", attempt.n);
        return Err(Failure::refused(message).hint(hint));
    };
    let mut stdout = screen::raw_stdout()?;
    stdout.write_all(answer.as_bytes())?;
    if !answer.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(())
}

/// The text of the last result among the events of an output.
fn final_answer(mut output: OutputFile) -> io::Result<Option<String>> {
    let mut lines = LineSplitter::default();
    let mut transcript = Transcript::new();
    while let Some(piece) = output.next_piece()? {
        match piece {
            Piece::Bytes(bytes) => lines.feed(bytes, |line| {
                transcript.line(line);
            }),
            Piece::Missing(_) => lines.skip(),
        }
    }
    Ok(transcript.final_text().map(str::to_owned))
}

fn chosen_attempt(task: &TaskView, number: Option<u32>) -> Result<&AttemptView, Failure> {
    let (id, noun) = (&task.id, process_text::noun(&task.id));
    let unit = if noun == "task" { "attempt" } else { "run" };
    let Some(last) = task.attempts.last() else {
        return Err(
            Failure::refused(format!("{noun} {id} has not started: it is {}", task.state))
                .hint(format!("`wezterm-parallel explain {id}` says why")),
        );
    };
    let Some(number) = number else {
        return Ok(last);
    };
    let found = task.attempts.iter().find(|attempt| attempt.n == number);
    found.ok_or_else(|| {
        Failure::refused(format!("{noun} {id} has no {unit} {number}"))
            .hint(format!("its last {unit} is {}", last.n))
    })
}

fn print(output: &mut OutputFile, tail: Option<usize>, out: &mut impl io::Write) -> io::Result<()> {
    if let Some(lines) = tail {
        output.seek_to_last_lines(lines, u64::MAX)?;
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
