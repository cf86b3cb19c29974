//! Ctrl-C while waiting: the command ends, the tasks go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::exit::Failure;

/// Whether SIGINT or SIGTERM has come since this was made.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on a first Ctrl-C is only noted; a second one ends the process at once.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the second signal must find the flag set by the first.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .map_err(|error| Failure::bug(format!("cannot watch for Ctrl-C: {error}")))?;
        }
        Ok(Self(flag))
    }

    /// An error once Ctrl-C has come; `going_on` says what is left running.
    pub(crate) fn check(&self, going_on: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Failure::interrupted(going_on()));
        }
        Ok(())
    }
}
