//! What can be wrong with a journal, precisely enough to name the file and the byte.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The journal could not be opened or repaired. Nothing was deleted.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that was acknowledged cannot be read.
    #[error("{} is damaged at byte {offset}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the unreadable part begins, in bytes.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// A file that others refer to is not there.
    #[error("{} is missing: {detail}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// How that is known.
        detail: String,
    },
    /// A newer version of this program wrote the file.
    #[error("{} has journal format {format}; this version reads up to {supported}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
}

impl JournalError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the folder's permissions and the free space, then try again",
            Self::Damaged { .. } | Self::Missing { .. } => {
                "`wezterm-parallel doctor --repair` keeps every record that can be read and moves \
                 the damaged files aside"
            }
            Self::NewerFormat { .. } => "use the version that wrote it, or a newer one",
        }
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn damaged(path: &Path, offset: u64, detail: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            offset,
            detail: detail.into(),
        }
    }

    pub(super) fn missing(path: &Path, detail: impl Into<String>) -> Self {
        Self::Missing {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }

    /// Whether other files of the same folder may still be whole.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Missing { .. })
    }
}
