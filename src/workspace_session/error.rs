//! Why a session could not be read or written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a session.
#[derive(Debug, Error)]
pub enum SessionError {
    /// There is none.
    #[error("no session of workspace {workspace:?} was saved")]
    NotFound {
        /// The workspace.
        workspace: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A newer version has written it.
    #[error("{path} has the form {version}, and this program knows those up to {newest}", newest = super::VERSION)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        version: u32,
    },
    /// It is no session.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        why: String,
    },
    /// It is another workspace's: it was copied, or the file system does not tell small letters from capitals.
    #[error("{path} is the session of workspace {workspace:?}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        workspace: String,
    },
    /// The file system does not do its part.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl SessionError {
    /// What to do about it; may be empty.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { known, .. } if known.is_empty() => {
                "the daemon saves one for each workspace that was created".to_owned()
            }
            Self::NotFound { workspace, known } => {
                match crate::protocol::nearest(workspace, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "`wezterm-parallel session list` shows what there is".to_owned(),
                }
            }
            Self::Foreign { .. } => "move the file away; the daemon begins a new one".to_owned(),
            Self::Newer { .. } => "use the newer version of this program, or move the file away".to_owned(),
            Self::Damaged { .. } => {
                "`wezterm-parallel session forget NAME` removes it; the workspace itself is in the journal"
                    .to_owned()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on the disk; the session as it was saved before is still there".to_owned()
            }
            Self::File { .. } => "`wezterm-parallel doctor` looks for the cause".to_owned(),
        }
    }
}
