//! Single keys from a terminal, and its mode given back whatever happens.
//!
//! Only the waiting for Enter and the echo are switched off: output is still made into lines by the
//! terminal, and Ctrl-C is still a signal.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::termios::{tcgetattr, tcsetattr, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use super::typed_bytes::{TypedBytes, PASTE_MARKS_OFF};

/// What is pasted comes in pieces, one close behind the other. A person notices no such wait.
const REST_COMES_WITHIN: Duration = Duration::from_millis(10);
/// A paste of more than a megabyte does not keep the viewer from its other work.
const READS_MAX: usize = 256;

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Close what has ended.
    Enter,
    /// Run it again.
    Retry,
    /// Take it back.
    Cancel,
    /// End the viewer; also Ctrl-D, and a terminal that is gone.
    Quit,
}

/// The keyboard; its mode ends with this value.
#[derive(Debug)]
pub struct Keys {
    saved: Arc<Saved>,
    typed: TypedBytes,
}

/// The terminal as it was.
#[derive(Debug)]
struct Saved {
    terminal: File,
    modes: Termios,
}

impl Saved {
    fn restore(&self) {
        // A terminal that is gone needs no mode. What was typed ahead is left to whoever comes next.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }

    /// Only if the terminal takes it at once.
    fn leave_out_paste_marks(&self) {
        let mut waiting = [PollFd::new(&self.terminal, PollFlags::OUT)];
        if matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(1)) {
            let _ = (&self.terminal).write(PASTE_MARKS_OFF.as_bytes());
        }
    }
}

impl Keys {
    /// Listens to standard input; `None` if that is no terminal.
    ///
    /// # Errors
    /// If the terminal does not let its mode be changed.
    pub fn listen() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let terminal = File::from(stdin.as_fd().try_clone_to_owned()?);
        let modes = tcgetattr(&terminal)?;
        let mut single = modes.clone();
        single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        single.special_codes[SpecialCodeIndex::VMIN] = 1;
        single.special_codes[SpecialCodeIndex::VTIME] = 0;
        // A viewer that is stopped would leave its mode to the shell.
        single.special_codes[SpecialCodeIndex::VSUSP] = 0;
        let saved = Arc::new(Saved { terminal, modes });
        restore_on_panic(Arc::clone(&saved));
        tcsetattr(&saved.terminal, OptionalActions::Now, &single)?;
        Ok(Some(Self {
            saved,
            typed: TypedBytes::default(),
        }))
    }

    /// The keys that were pressed; waits for none, but for the rest of what comes at once.
    pub fn pressed(&mut self) -> Vec<Key> {
        let mut wait = Duration::ZERO;
        let mut bytes = [0; 4096];
        for _ in 0..READS_MAX {
            if !self.is_ready(wait) {
                break;
            }
            match (&self.saved.terminal).read(&mut bytes) {
                Ok(0) => return vec![Key::Quit],
                Ok(count) => self.typed.feed(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return vec![Key::Quit],
            }
            wait = REST_COMES_WITHIN;
        }
        self.typed.end_burst(Instant::now())
    }

    fn is_ready(&self, wait: Duration) -> bool {
        let mut waiting = [PollFd::new(&self.saved.terminal, PollFlags::IN)];
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        matches!(poll(&mut waiting, Some(&wait)), Ok(1))
    }
}

impl AsFd for Keys {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.saved.terminal.as_fd()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.saved.restore();
    }
}

/// The hook that ends the process runs no destructors.
fn restore_on_panic(saved: Arc<Saved>) {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        saved.restore();
        saved.leave_out_paste_marks();
        next(panic);
    }));
}
