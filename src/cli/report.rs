//! `report`: a worker, or its hook, says how it stands.
//!
//! A hook runs in every session of an agent, inside of the queue and outside. With `--hook` it therefore does nothing
//! where there is nothing to report to, and never fails: a hook that fails gets in the agent's way.

use std::io::{IsTerminal as _, Read as _};

use serde::Deserialize;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::protocol::{Message, StatusUpdate, REPORTS};

/// What a shim sets for its worker: the id of the task or process.
const OWN_ID: &str = "WEZTERM_PARALLEL_TASK";
/// More than any hook is told.
const HOOK_BYTES_MAX: u64 = 1 << 20;
/// The daemon takes no more.
const NOTE_CHARS_MAX: usize = 200;

/// Say from inside a task how it stands
#[derive(Debug, clap::Args)]
#[command(
    after_help = "`waiting` marks the task for whoever looks: in `status`, in its tab, in the status \
                  bar. `working` takes the mark away. How the task ends is not changed by it.\n\n\
                  Examples:\n  \
                  wezterm-parallel report waiting --note 'needs a decision'\n  \
                  wezterm-parallel report working --note 'step 3 of 5'\n  \
                  wezterm-parallel report waiting --hook      # in a hook of Claude Code"
)]
pub(crate) struct ReportArgs {
    /// waiting or working
    #[arg(value_name = "STATUS", hide_possible_values = true, value_parser = clap::builder::PossibleValuesParser::new(REPORTS))]
    status: String,
    /// What to say about it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,
    /// The task or process [default: the one that this runs in]
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// As a hook of Claude Code: the note is the message in the JSON on stdin. Does nothing outside of a
    /// task, and never fails
    #[arg(long)]
    hook: bool,
}

impl ReportArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let own = self.task.clone().or_else(|| std::env::var(OWN_ID).ok());
        let own = own.filter(|id| !id.is_empty());
        if self.hook {
            let note = self.note.or_else(message_on_stdin);
            if let Some(id) = own {
                // Whoever asked for it cannot use an error.
                let _ = context.ask_running(&report(id, self.status, note));
            }
            return Ok(Exit::Ok);
        }
        let Some(id) = own else {
            return Err(Failure::usage("this is not inside of a task")
                .hint("`--task ID` names one; a worker finds its own in WEZTERM_PARALLEL_TASK"));
        };
        context.ask_running(&report(id, self.status, self.note))?;
        Ok(Exit::Ok)
    }
}

fn report(process_id: String, status: String, note: Option<String>) -> Message {
    Message::StatusUpdate(StatusUpdate {
        process_id,
        status,
        note,
    })
}

/// What a hook is told, as far as it matters here.
#[derive(Deserialize)]
struct HookInput {
    message: Option<String>,
}

/// The message that the agent gives to its hook, shortened to one line of reasonable length.
fn message_on_stdin() -> Option<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return None;
    }
    let mut bytes = Vec::new();
    stdin.lock().take(HOOK_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    note_of(&bytes)
}

fn note_of(bytes: &[u8]) -> Option<String> {
    let input: HookInput = serde_json::from_slice(bytes).ok()?;
    let words: Vec<String> = input.message?.split_whitespace().map(str::to_owned).collect();
    let line: String = words.join(" ").replace('\0', "");
    let note = match line.char_indices().nth(NOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    };
    Some(note).filter(|note| !note.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_told_what_to_note() {
        let note = |text: &str| note_of(text.as_bytes());
        let input = r#"{"session_id":"s","hook_event_name":"Notification","message":"Claude needs\n your permission"}"#;
        assert_eq!(note(input).as_deref(), Some("Claude needs your permission"));
        assert_eq!(note(r#"{"hook_event_name":"Stop"}"#), None);
        assert_eq!(note(r#"{"message":" "}"#), None);
        assert_eq!(note("no JSON"), None);
        let long = format!(r#"{{"message":"{}"}}"#, "ü".repeat(900));
        assert_eq!(
            note(&long).map(|note| note.chars().count()),
            Some(NOTE_CHARS_MAX + 1)
        );
    }
}
