//! `daemon`: runs the daemon in the foreground.

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::daemon::{self, DaemonError, DaemonOptions};

/// Run the daemon in the foreground
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Not needed by hand: the first command that needs the daemon starts it in the\n\
                  background. SIGHUP reads the config again. SIGTERM ends the daemon; running\n\
                  tasks go on."
)]
pub(crate) struct DaemonArgs {
    /// Started by a command, in the background: log to the log file
    #[arg(long, hide = true)]
    detach: bool,
}

impl DaemonArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let options = DaemonOptions {
            paths: context.paths()?,
            config: context.config_file().map(ToOwned::to_owned),
            detach: self.detach,
        };
        match daemon::run(&options) {
            Ok(()) => Ok(Exit::Ok),
            // Several commands may start a daemon at once: one comes up, and the others are not needed.
            Err(DaemonError::AlreadyRunning { .. }) if self.detach => Ok(Exit::Ok),
            Err(DaemonError::Config(error)) => Err(error.into()),
            Err(error) => Err(Failure::refused(error.to_string()).hint(error.hint())),
        }
    }
}
