//! What can go wrong between a client and the daemon.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::ConfigError;
use crate::protocol::{Answer, ErrorAnswer};

/// Why a request was not done, or may not have been.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon is listening on {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is there, and this user may not use it, or the system refuses.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon said no; nothing has changed.
    #[error("{0}")]
    Refused(ErrorAnswer),
    /// The connection ended early.
    #[error("the connection to the daemon broke: {detail}; whether the request was done is unknown")]
    Broken {
        /// How.
        detail: String,
    },
    /// The daemon said something that this client does not understand.
    #[error("the daemon gave an answer that was not expected: {detail}")]
    Protocol {
        /// What.
        detail: String,
    },
    /// The daemon was to be started, and did not come up.
    #[error("the daemon could not be started: {detail}")]
    NotStarted {
        /// What its log says.
        detail: String,
    },
    /// The folders for the daemon cannot be made.
    #[error(transparent)]
    Places(#[from] ConfigError),
}

impl ClientError {
    /// What to do about it; may be empty.
    pub fn hint(&self) -> String {
        match self {
            Self::NotRunning { .. } => "start one: wezterm-parallel daemon".to_owned(),
            Self::Connect { .. } => "the socket must be your own".to_owned(),
            Self::Refused(answer) => answer.hint.clone(),
            Self::Broken { .. } => {
                "look with `wezterm-parallel status`; repeating with the same id doubles nothing".to_owned()
            }
            Self::Protocol { .. } => {
                "client and daemon may differ in version: wezterm-parallel shutdown, then try again"
                    .to_owned()
            }
            Self::NotStarted { .. } => "to see all it says: wezterm-parallel daemon".to_owned(),
            Self::Places(error) => error.hint(),
        }
    }
}

pub(super) fn cannot_connect(socket: &Path, source: io::Error) -> ClientError {
    let path = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning { path },
        _ => ClientError::Connect { path, source },
    }
}

pub(super) fn broken(error: &io::Error) -> ClientError {
    ClientError::Broken {
        detail: error.to_string(),
    }
}

pub(super) fn ended() -> ClientError {
    ClientError::Broken {
        detail: "it was closed before the answer came".to_owned(),
    }
}

pub(super) fn unexpected(answer: &Answer) -> ClientError {
    let name = match answer {
        Answer::StatusUpdate(_) => "StatusUpdate",
        Answer::Error(_) => "Error",
        Answer::Status(_) => "Status",
        Answer::Task(_) => "Task",
        Answer::Explanation(_) => "Explanation",
        Answer::Changed(_) => "Changed",
        Answer::Reserved(_) => "Reserved",
        Answer::Environment(_) => "Environment",
        Answer::Workspace(_) => "Workspace",
        Answer::Workspaces(_) => "Workspaces",
        Answer::WorkspaceRemoved(_) => "WorkspaceRemoved",
        Answer::Processes(_) => "Processes",
        Answer::Admission(_) => "Admission",
        Answer::Cost(_) => "Cost",
        Answer::Metrics(_) => "Metrics",
        Answer::Daemon(_) => "Daemon",
        Answer::Event(_) => "Event",
    };
    ClientError::Protocol {
        detail: format!("`{name}`"),
    }
}
