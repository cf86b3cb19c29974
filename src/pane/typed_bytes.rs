//! Tells keys from all else that a terminal sends: what is pasted, and sequences of its own.
//!
//! Pure: bytes and the time go in. A paste is told by the marks that a terminal puts around it once it was asked
//! to (bracketed paste), and where it does not know them, by its size.

use std::time::{Duration, Instant};

use super::Key;

/// Asks the terminal to put marks around what is pasted.
pub const PASTE_MARKS_ON: &str = "\x1b[?2004h";
/// Asks it to leave them out again.
pub const PASTE_MARKS_OFF: &str = "\x1b[?2004l";

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";
/// More bytes at once were pasted, or sent by the terminal itself.
const BYTES_AT_ONCE_MAX: usize = 4;
/// What comes so soon after something that is no key belongs to it.
const QUIET: Duration = Duration::from_millis(100);
const ESCAPE: u8 = 0x1b;
const END_OF_TEXT: u8 = 0x04;

/// All that came at once, judged when it is whole.
#[derive(Debug, Default)]
pub(super) struct TypedBytes {
    /// Between the marks of a paste.
    in_paste: bool,
    /// The newest bytes, in which a mark may have begun.
    tail: Vec<u8>,
    /// When something came last that is no key.
    noise_at: Option<Instant>,
    burst: Burst,
}

#[derive(Debug, Default)]
struct Burst {
    /// As far as they can be keys.
    bytes: Vec<u8>,
    is_noise: bool,
}

impl TypedBytes {
    /// Takes in a piece of what comes at once.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            self.burst.is_noise |= self.in_paste || *byte == ESCAPE;
            if self.tail.len() == PASTE_BEGINS.len() {
                self.tail.remove(0);
            }
            self.tail.push(*byte);
            if self.tail == PASTE_BEGINS {
                self.in_paste = true;
            } else if self.tail == PASTE_ENDS {
                self.in_paste = false;
            }
            if self.burst.bytes.len() <= BYTES_AT_ONCE_MAX {
                self.burst.bytes.push(*byte);
            }
        }
    }

    /// The keys in all that came since the last call.
    pub(super) fn end_burst(&mut self, now: Instant) -> Vec<Key> {
        let burst = std::mem::take(&mut self.burst);
        if burst.bytes.is_empty() {
            return Vec::new();
        }
        // An arrow key is a sequence with letters in it, and so is what a terminal answers.
        if burst.is_noise || burst.bytes.len() > BYTES_AT_ONCE_MAX {
            self.noise_at = Some(now);
            return Vec::new();
        }
        if self.noise_at.is_some_and(|noise| now - noise < QUIET) {
            return Vec::new();
        }
        let key = |byte: &u8| match byte {
            b'\n' | b'\r' => Some(Key::Enter),
            b'r' => Some(Key::Retry),
            b'c' => Some(Key::Cancel),
            b'q' | &END_OF_TEXT => Some(Key::Quit),
            _ => None,
        };
        burst.bytes.iter().filter_map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts, each of several reads and some ms after the one before: all keys.
    fn keys(bursts: &[(u64, &[&[u8]])]) -> Vec<Key> {
        let mut typed = TypedBytes::default();
        let mut now = Instant::now();
        let mut keys = Vec::new();
        for (after_ms, pieces) in bursts {
            now += Duration::from_millis(*after_ms);
            for piece in *pieces {
                typed.feed(piece);
            }
            keys.extend(typed.end_burst(now));
        }
        keys
    }

    fn at_once(bytes: &[u8]) -> Vec<Key> {
        let keys_at_once = keys(&[(0, &[bytes])]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(keys(&[(0, &single)]), keys_at_once, "{bytes:?}");
        keys_at_once
    }

    #[test]
    fn keys_are_single_bytes() {
        assert_eq!(at_once(b"\n"), [Key::Enter]);
        assert_eq!(at_once(b"\r"), [Key::Enter]);
        assert_eq!(at_once(b"rxc"), [Key::Retry, Key::Cancel]);
        assert_eq!(at_once(b"q"), [Key::Quit]);
        assert_eq!(at_once(b"\x04"), [Key::Quit]);
    }

    #[test]
    fn what_a_terminal_or_a_paste_says_is_no_key() {
        for bytes in [
            &b"\x1b[c"[..],
            b"\x1bOq",
            b"quick brown",
            b"\x1b[200~c\x1b[201~",
            b"\x1b[200~q\x1b[201~q",
            &[b'c'; 258],
        ] {
            assert_eq!(at_once(bytes), [], "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_in_pieces_is_one_paste() {
        assert_eq!(
            keys(&[
                (0, &[b"\x1b[200~c"]),
                (9_000, &[b"c"]),
                (9_000, &[b"\x04"]),
                (9_000, &[b"\x1b[20"]),
                (9_000, &[b"1~"]),
                (9_000, &[b"q"])
            ]),
            [Key::Quit]
        );
        // A terminal without marks.
        let text = [b'x'; 256];
        let bursts: &[(u64, &[&[u8]])] = &[(0, &[&text]), (99, &[b"cc"]), (1, &[b"r"])];
        assert_eq!(keys(bursts), [Key::Retry]);
    }

    #[test]
    fn a_lone_escape_holds_up_no_key() {
        assert_eq!(keys(&[(0, &[b"\x1b"]), (100, &[b"q"])]), [Key::Quit]);
    }
}
