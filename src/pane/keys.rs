//! Single keys from a terminal, and its mode given back whatever happens.
//!
//! Only the waiting for Enter and the echo are switched off: output is still made into lines by the
//! terminal, and Ctrl-C is still a signal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::termios::{tcgetattr, tcsetattr, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// More bytes at once were pasted, or sent by the terminal itself.
const BYTES_AT_ONCE_MAX: usize = 4;
const ESCAPE: u8 = 0x1b;
const END_OF_TEXT: u8 = 0x04;

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
        Ok(Some(Self { saved }))
    }

    /// The keys that were pressed; waits for none.
    pub fn pressed(&mut self) -> Vec<Key> {
        let mut waiting = [PollFd::new(&self.saved.terminal, PollFlags::IN)];
        if !matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(1)) {
            return Vec::new();
        }
        let mut bytes = [0; 256];
        match (&self.saved.terminal).read(&mut bytes) {
            Ok(0) | Err(_) => vec![Key::Quit],
            Ok(count) => keys(&bytes[..count]),
        }
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
        next(panic);
    }));
}

fn keys(bytes: &[u8]) -> Vec<Key> {
    // An arrow key is a sequence with letters in it, and so is what a terminal answers.
    if bytes.len() > BYTES_AT_ONCE_MAX || bytes.contains(&ESCAPE) {
        return Vec::new();
    }
    let key = |byte: &u8| match byte {
        b'\n' | b'\r' => Some(Key::Enter),
        b'r' => Some(Key::Retry),
        b'c' => Some(Key::Cancel),
        b'q' | &END_OF_TEXT => Some(Key::Quit),
        _ => None,
    };
    bytes.iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_single_bytes() {
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r"), [Key::Enter]);
        assert_eq!(keys(b"rxc"), [Key::Retry, Key::Cancel]);
        assert_eq!(keys(b"q"), [Key::Quit]);
        assert_eq!(keys(b"\x04"), [Key::Quit]);
    }

    #[test]
    fn what_a_terminal_or_a_paste_says_is_no_key() {
        assert_eq!(keys(b"\x1b[c"), []);
        assert_eq!(keys(b"\x1bOq"), []);
        assert_eq!(keys(b"quick brown"), []);
    }
}
