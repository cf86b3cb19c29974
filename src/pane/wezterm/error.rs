//! What can go wrong with WezTerm, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why something in WezTerm was not done.
#[derive(Debug, Error)]
pub enum WeztermError {
    /// No server answers at any of its sockets.
    #[error("WezTerm is not running")]
    NotRunning,
    /// A server runs, and there is no program to talk to it with.
    #[error("there is no program `wezterm` in PATH")]
    NoProgram,
    /// The program cannot be started.
    #[error("cannot run {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A call took too long and was ended.
    #[error("`wezterm cli {call}` gave no answer within {limit_seconds} s")]
    Timeout {
        /// The subcommand.
        call: String,
        /// How long it was given.
        limit_seconds: f32,
    },
    /// A call ended with an error of WezTerm's own.
    #[error("`wezterm cli {call}` failed: {message}")]
    Failed {
        /// The subcommand.
        call: String,
        /// The last line that it said.
        message: String,
    },
    /// A call answered with something else than was asked for.
    #[error("`wezterm cli {call}` gave an answer that was not expected: {detail}")]
    Unexpected {
        /// The subcommand.
        call: String,
        /// What.
        detail: String,
    },
    /// There is no such pane.
    #[error("WezTerm has no pane {pane}")]
    NoPane {
        /// The pane.
        pane: u64,
    },
    /// So many panes would be too small to read.
    #[error("{count} panes would be as small as {columns} x {rows} characters")]
    TooSmall {
        /// How many.
        count: usize,
        /// The width of the narrowest.
        columns: usize,
        /// The height of the lowest.
        rows: usize,
    },
    /// What runs in this pane runs on another machine, where this program need not be.
    #[error("pane {pane} is on another machine, {host}")]
    OtherMachine {
        /// The pane.
        pane: u64,
        /// The machine's name.
        host: String,
    },
    /// Nothing tells which pane is meant.
    #[error("it cannot be told which pane is the current one")]
    NoCurrentPane,
    /// Another call of this program is busy with panes for too long.
    #[error("another wezterm-parallel has been busy with panes for too long")]
    Busy,
    /// The file that says which pane shows what.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// read, write …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file was written by a newer version of this program.
    #[error("{} is of version {version}, which this program does not know", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

impl WeztermError {
    /// Whether a pane was too small to be split.
    #[must_use]
    pub fn is_for_lack_of_room(&self) -> bool {
        matches!(self, Self::Failed { message, .. } if message.to_lowercase().contains("no space for split"))
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotRunning => "start WezTerm, or run this in one of its panes",
            Self::NoProgram => "put the folder that holds `wezterm` into PATH",
            Self::Start { .. } => "look whether `wezterm --version` works",
            Self::Timeout { .. } => "WezTerm may hang: look whether `wezterm cli list` answers",
            Self::Failed { .. } if self.is_for_lack_of_room() => {
                "make the window larger, take fewer --slots, or use --layout tabs"
            }
            Self::Failed { .. } | Self::Unexpected { .. } => {
                "look whether `wezterm cli list` works; client and server may differ in version"
            }
            Self::NoPane { .. } => "`wezterm cli list` shows the panes",
            Self::TooSmall { .. } => "use --layout tabs or fewer --slots, or make the window larger",
            Self::OtherMachine { .. } => {
                "name a pane of this machine, or use `wezterm-parallel` in a shell over there"
            }
            Self::NoCurrentPane => "run this in a pane of WezTerm, or name one by its number",
            Self::Busy => "try again",
            Self::File { .. } => "the file says which pane shows what, and can be removed",
            Self::Version { .. } => "update wezterm-parallel, or remove the file: `panes open` makes it anew",
        }
    }
}
