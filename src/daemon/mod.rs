//! The daemon: wiring, lock, listener, connections.

use std::path::PathBuf;

use crate::config::Paths;

/// What the command line says about the daemon.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// Where everything is.
    pub paths: Paths,
    /// The config file that was named.
    pub config: Option<PathBuf>,
    /// Become a session of its own, and log to the log file.
    pub detach: bool,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The daemon is not part of this build.
    #[error("the daemon is not part of this build")]
    Missing,
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// If it cannot begin.
pub fn run(options: DaemonOptions) -> Result<(), DaemonError> {
    drop(options);
    Err(DaemonError::Missing)
}
