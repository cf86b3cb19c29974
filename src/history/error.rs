//! What can be wrong with the history, in words that name the file and what to do.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// The history cannot be read or written. The queue does not need it.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// There is no file.
    #[error("there is no history: {} does not exist", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// Another program has locked it.
    #[error("{} is locked by another program", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// What is in it is not what SQLite or this program has written.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In the words of SQLite.
        detail: String,
    },
    /// Somebody else's database.
    #[error("{} is a database, but no history of this program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("{} has format {format}; this version knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// The disk takes nothing, or gives nothing.
    #[error("{} cannot be used: {detail}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Anything else that SQLite says.
    #[error("{}: {detail}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// In the words of SQLite.
        detail: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl HistoryError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "`sqlite = true` below `[state]` in the config lets the daemon write one, from its next start on or at \
                 SIGHUP; `history import` makes one from a file"
            }
            Self::Locked { .. } => "end the program that has it open, or try again",
            Self::Damaged { .. } => {
                "a daemon with `state.sqlite = true` moves it aside and begins a new one; `sqlite3 FILE .recover` may \
                 get out what is left"
            }
            Self::Foreign { .. } => "move it away",
            Self::Newer { .. } => "use the version that wrote it, or a newer one",
            Self::Unusable { .. } | Self::Sql { .. } | Self::Io { .. } => {
                "check the permissions and the free space, then try again"
            }
        }
    }

    /// Whether a new file is better than this one.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// An error of SQLite, on this file.
    pub(super) fn of(path: &Path) -> impl Fn(rusqlite::Error) -> Self + '_ {
        move |error| {
            let path = path.to_owned();
            let detail = words(&error);
            match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, detail },
                Some(
                    ErrorCode::ReadOnly
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::SystemIoFailure,
                ) => Self::Unusable { path, detail },
                _ => Self::Sql { path, detail },
            }
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// What SQLite says, without the path that we say ourselves.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => match message {
            Some(message) if !message.contains("unable to open database file") => message.clone(),
            _ => code.to_string(),
        },
        other => other.to_string(),
    }
}
