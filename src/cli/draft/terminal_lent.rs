//! Ctrl-C while an editor has the terminal is the editor's alone.
//!
//! The terminal sends it to everybody in the foreground. A handler that does nothing keeps this program alive, and
//! the editor, being another program, starts with the default action.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGQUIT};
use signal_hook::SigId;

/// Until this is dropped, the terminal can be lent.
#[derive(Debug)]
pub(super) struct TerminalLent {
    ends_us: Arc<AtomicBool>,
    handlers: Vec<SigId>,
}

impl TerminalLent {
    pub(super) fn new() -> io::Result<Self> {
        let mut lent = Self {
            ends_us: Arc::new(AtomicBool::new(true)),
            handlers: Vec::new(),
        };
        for signal in [SIGINT, SIGQUIT] {
            let handler = signal_hook::flag::register_conditional_default(signal, Arc::clone(&lent.ends_us));
            lent.handlers.push(handler?);
        }
        Ok(lent)
    }

    /// Somebody else has the terminal while `run` runs.
    pub(super) fn while_lent<T>(&self, run: impl FnOnce() -> T) -> T {
        self.ends_us.store(false, Ordering::Release);
        let result = run();
        self.ends_us.store(true, Ordering::Release);
        result
    }
}

impl Drop for TerminalLent {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}
