//! What can be wrong with the configuration and the folders, with what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Something is wrong with the configuration or the places where things are.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is a TOML and a YAML file.
    #[error("there are two config files: {} and {}", first.display(), second.display())]
    TwoFiles {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A config file cannot be read.
    #[error("cannot read the config {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could change what this user's tasks do.
    #[error("the config {} can be written by others (mode {mode:04o})", path.display())]
    OpenPermissions {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The config or a folder is somebody else's.
    #[error("{} belongs to user {owner}, not to you", path.display())]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
        /// The owner's number.
        owner: u32,
    },
    /// A key or value is wrong.
    #[error("{place}: {message}")]
    Invalid {
        /// The file with line and column, or the environment variable.
        place: String,
        /// The key, as `pool.slots`; empty if the text itself cannot be parsed.
        key: String,
        /// What is wrong.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// There is no home folder to put anything into.
    #[error("HOME is not set to an absolute path")]
    NoHome,
    /// The system takes no socket with so long a name.
    #[error("the socket's path has {bytes} bytes, {max} are possible: {}", path.display())]
    SocketTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// What the system takes.
        max: usize,
    },
    /// A folder cannot be made or its permissions cannot be set.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ConfigError {
    /// What to do about it; may be empty.
    pub fn hint(&self) -> String {
        match self {
            Self::TwoFiles { .. } => "keep one of them".to_owned(),
            Self::OpenPermissions { path, .. } => {
                format!("chmod go-w {}", path.display())
            }
            Self::ForeignOwner { .. } => "use a file or folder of your own".to_owned(),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::NoHome => "set HOME to your home folder".to_owned(),
            Self::SocketTooLong { .. } => {
                "choose a shorter one with --socket or WEZTERM_PARALLEL_SOCKET".to_owned()
            }
            Self::Unreadable { .. } | Self::Folder { .. } => String::new(),
        }
    }
}
