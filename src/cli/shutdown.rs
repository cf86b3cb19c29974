//! `shutdown`: ends the daemon.

use std::time::{Duration, Instant};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use crate::protocol::{Answer, Message, Shutdown};

/// Stopping workers takes their grace time; the daemon itself ends at once.
const END_WITHIN: Duration = Duration::from_secs(60);
/// How often the socket is looked at while the daemon ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// End the daemon; running tasks go on under the next one
#[derive(Debug, clap::Args)]
pub(crate) struct ShutdownArgs {
    /// Stop the running tasks first; they end as cancelled
    #[arg(long)]
    kill: bool,
}

impl ShutdownArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let message = Message::Shutdown(Shutdown { kill: self.kill });
        if !context.is_daemon_running()? {
            return Err(Failure::no_daemon("no daemon is running"));
        }
        let daemon = match context.ask_running(&message)? {
            Answer::Daemon(daemon) => daemon,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        let deadline = Instant::now() + END_WITHIN;
        while context.is_daemon_running()? {
            if Instant::now() > deadline {
                return Err(
                    Failure::refused(format!("the daemon (pid {}) has not ended yet", daemon.pid))
                        .hint("its log file says what it waits for"),
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
        screen::note(&format!("the daemon (pid {}) has ended", daemon.pid));
        Ok(Exit::Ok)
    }
}
