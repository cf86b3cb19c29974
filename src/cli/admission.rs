//! `admission`: what the machine carries, what is reserved, and which gates are closed.

use std::time::Duration;

use super::admission_text;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use crate::protocol::{AdmissionAnswer, Answer, Message};

/// The machine is read twice a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Clears the screen, and what the terminal keeps of it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show what the machine carries, what is reserved, and which gates are closed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                  wezterm-parallel admission\n  \
                  wezterm-parallel admission --watch")]
pub(crate) struct AdmissionArgs {
    /// Print one JSON object; with --watch, one a second
    #[arg(long)]
    json: bool,
    /// Show it anew each second, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

impl AdmissionArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        loop {
            let answer = match context.ask(&Message::Admission {})? {
                Answer::Admission(answer) => answer,
                other => return Err(Failure::unexpected_answer(&other)),
            };
            self.show(&answer)?;
            if !self.watch {
                return Ok(Exit::Ok);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn show(&self, answer: &AdmissionAnswer) -> std::io::Result<()> {
        if self.json {
            return screen::print_json(answer);
        }
        let text = admission_text::admission(answer, super::value::now_ms(), screen::width());
        if self.watch && screen::stdout_is_terminal() {
            return screen::print(&format!("{CLEAR}{text}"));
        }
        screen::print(&text)
    }
}
