//! What a command ends with: the one place that knows exit codes, and how an error is worded.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::client::ClientError;
use crate::config::ConfigError;
use crate::history::HistoryError;
use crate::pane::wezterm::WeztermError;
use crate::protocol::{ErrorAnswer, ErrorCode};
use crate::workspace_session::SessionError;
use crate::worktree::WorktreeError;

/// What to do about a daemon that knows less than this program.
const OLD_DAEMON: &str = "the daemon is older than this program: end it with `wezterm-parallel shutdown`; \
                          what runs goes on, and the next command starts a new one";

/// The exit codes, as documented in docs/cli.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// A task did not succeed, or a check failed.
    NotSucceeded = 1,
    /// The command line, or a file that it named, is wrong.
    Usage = 2,
    /// No daemon answers.
    NoDaemon = 3,
    /// The daemon or WezTerm refused.
    Refused = 4,
    /// A bug, or a machine that does not do its part.
    Bug = 70,
    /// Ended by Ctrl-C; as shells report SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong, naming the thing; empty for an end that needs no words.
    pub(crate) message: String,
    /// What to do; may be empty.
    pub(crate) hint: String,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// The command line, or a file that it named, is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// No daemon answers.
    pub(crate) fn no_daemon(message: impl Into<String>) -> Self {
        Self::new(Exit::NoDaemon, message)
    }

    /// The daemon would refuse, or the state of things does not allow it.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Something that should not happen.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Exit::Bug, message)
    }

    /// Ctrl-C.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Exit::Interrupted, message)
    }

    /// A file could not be read or written; `doing` says which: `cannot read the list jobs.txt`.
    pub(crate) fn file(doing: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::new(Exit::Usage, format!("{doing}: {error}"))
    }

    /// The daemon answered with something that does not belong to the question.
    pub(crate) fn unexpected_answer(answer: &crate::protocol::Answer) -> Self {
        let text = serde_json::to_string(answer).unwrap_or_default();
        let start: String = text.chars().take(80).collect();
        Self::bug(format!("the daemon's answer does not fit the question: {start}"))
            .hint("the daemon may be of another version: compare with `wezterm-parallel doctor`")
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Prints the error and its hint, if there is anything to say.
    pub(crate) fn report(&self) -> Exit {
        if !self.message.is_empty() {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let bold = anstyle::Style::new().bold();
            let mut stderr = anstream::stderr().lock();
            // Nothing can be done if the terminal is gone.
            let _ = writeln!(stderr, "{red}error:{red:#} {}", self.message);
            if !self.hint.is_empty() {
                let _ = writeln!(stderr, "{bold}hint:{bold:#} {}", self.hint);
            }
        }
        self.exit
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = error.hint();
        let message = error.to_string();
        match error {
            // This program's own words are right: a daemon that does not know them was started before it came.
            ClientError::Refused(ErrorAnswer {
                code: ErrorCode::UnknownMessage | ErrorCode::UnknownField,
                message,
                ..
            }) => Self::refused(message).hint(OLD_DAEMON),
            ClientError::Refused(answer) => answer.into(),
            ClientError::Places(error) => error.into(),
            ClientError::NotRunning { .. }
            | ClientError::Connect { .. }
            | ClientError::Broken { .. }
            | ClientError::NotStarted { .. } => Self::no_daemon(message).hint(hint),
            ClientError::Protocol { .. } => Self::bug(message).hint(hint),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string()).hint(error.hint())
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        let message = super::text::visible(&error.to_string());
        Self::refused(message).hint(error.hint())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let message = super::text::visible(&error.to_string());
        let failure = match &error {
            SessionError::NotFound { .. } => Self::refused(message),
            SessionError::Newer { .. }
            | SessionError::Damaged { .. }
            | SessionError::Foreign { .. }
            | SessionError::File { .. } => Self::usage(message),
        };
        failure.hint(error.hint())
    }
}

impl From<WorktreeError> for Failure {
    fn from(error: WorktreeError) -> Self {
        let message = match &error {
            WorktreeError::Conflict { files, .. } => {
                let files = files.iter().map(|file| format!("\n  {file}"));
                format!("{error}{}", files.collect::<String>())
            }
            other => other.to_string(),
        };
        let exit = match &error {
            WorktreeError::Conflict { .. } => Exit::NotSucceeded,
            WorktreeError::File { .. } => Exit::Usage,
            _ => Exit::Refused,
        };
        // It quotes names of files and what git said.
        let lines: Vec<String> = message.lines().map(super::text::visible).collect();
        Self::new(exit, lines.join("\n")).hint(error.hint())
    }
}

impl From<WeztermError> for Failure {
    fn from(error: WeztermError) -> Self {
        // It quotes what WezTerm said, which may name titles and paths of others.
        let message = super::text::visible(&error.to_string());
        let failure = match &error {
            WeztermError::File { .. } | WeztermError::Version { .. } => Self::usage(message),
            _ => Self::refused(message),
        };
        failure.hint(error.hint())
    }
}

impl From<ErrorAnswer> for Failure {
    fn from(answer: ErrorAnswer) -> Self {
        let exit = match answer.code {
            ErrorCode::Internal => Exit::Bug,
            _ => Exit::Refused,
        };
        Self::new(exit, answer.message).hint(answer.hint)
    }
}

/// Errors while writing to stdout; everything else names its file through [`Failure::file`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The reader has seen enough, as in `status | head`: nothing is wrong.
            io::ErrorKind::BrokenPipe => Self::new(Exit::Ok, ""),
            _ => Self::new(Exit::Refused, format!("cannot write the output: {error}"))
                .hint("what was asked for may have been done; `wezterm-parallel status` tells"),
        }
    }
}

/// Makes a panic one line on stderr and exit code 70, in place of Rust's own words and 101.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let words = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let place = panic
            .location()
            .map(|at| format!(" ({}:{})", at.file(), at.line()))
            .unwrap_or_default();
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: this is a bug in wezterm-parallel: {words}{place}");
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            let _ = writeln!(stderr, "{}", std::backtrace::Backtrace::force_capture());
        }
        std::process::exit(i32::from(Exit::Bug as u8));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Ok, ""));
    }

    #[test]
    fn a_refusal_keeps_the_daemons_words() {
        let answer = ErrorAnswer {
            code: ErrorCode::UnknownTask,
            message: "there is no task 7".into(),
            hint: "look at `status`".into(),
        };
        let failure = Failure::from(answer);
        assert_eq!(failure.exit as u8, 4);
        assert_eq!(failure.message, "there is no task 7");
        assert_eq!(failure.hint, "look at `status`");
    }

    #[test]
    fn a_daemon_that_does_not_know_a_message_is_old() {
        let answer = ErrorAnswer {
            code: ErrorCode::UnknownMessage,
            message: "there is no message `Cost`".into(),
            hint: "known are: Status".into(),
        };
        let failure = Failure::from(ClientError::Refused(answer));
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.message, "there is no message `Cost`");
        assert_eq!(failure.hint, OLD_DAEMON);
    }
}
