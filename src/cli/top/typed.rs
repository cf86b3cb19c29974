//! What a terminal sends while it is in raw mode: keys, clicks and pastes out of bytes.
//!
//! Pure. A sequence may come in pieces, and a lone Escape is one once nothing has followed it for a moment; what
//! is not understood is passed over whole, so that no half of it is taken for keys.

use std::ops::ControlFlow;

/// What begins a sequence.
const ESCAPE: u8 = 0x1b;
const PASTE_ENDS: &[u8] = b"\x1b[201~";
/// More of a paste than fits any prompt is left out.
const PASTE_MAX: usize = 4096;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Key(Key),
    Paste(String),
    Click { column: u16, row: u16 },
    Wheel { up: bool, column: u16, row: u16 },
}

/// Bytes that are not understood yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    in_paste: bool,
}

impl Decoder {
    /// Takes in what has come, and says what of it is whole.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Typed> {
        self.bytes.extend_from_slice(bytes);
        let mut typed = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            if self.in_paste {
                match paste(&self.bytes[at..]) {
                    Some((text, length)) => {
                        typed.push(Typed::Paste(text));
                        at += length;
                        self.in_paste = false;
                    }
                    None => break,
                }
                continue;
            }
            match one(&self.bytes[at..]) {
                ControlFlow::Continue((length, what)) => {
                    at += length;
                    match what {
                        What::Typed(what) => typed.push(what),
                        What::Nothing => {}
                        What::PasteBegins => self.in_paste = true,
                    }
                }
                ControlFlow::Break(()) => break,
            }
        }
        self.bytes.drain(..at);
        typed
    }

    /// Whether there is an Escape of which nobody knows yet what it is.
    pub(super) fn is_pending(&self) -> bool {
        !self.bytes.is_empty() && !self.in_paste
    }

    /// Nothing has followed: a lone Escape is the key, and half a sequence is nothing.
    pub(super) fn settle(&mut self) -> Vec<Typed> {
        if !self.is_pending() {
            return Vec::new();
        }
        let bytes = std::mem::take(&mut self.bytes);
        match bytes[..] {
            [ESCAPE] => vec![Typed::Key(Key::Escape)],
            _ => Vec::new(),
        }
    }
}

enum What {
    Typed(Typed),
    Nothing,
    PasteBegins,
}

type One = ControlFlow<(), (usize, What)>;

fn key(length: usize, key: Key) -> One {
    ControlFlow::Continue((length, What::Typed(Typed::Key(key))))
}

/// The first thing in these bytes and its length; a break if the rest of it has not come.
fn one(bytes: &[u8]) -> One {
    match bytes {
        [ESCAPE] => ControlFlow::Break(()),
        [ESCAPE, b'[', rest @ ..] => control_sequence(rest),
        [ESCAPE, b'O', rest @ ..] => match rest.first() {
            None => ControlFlow::Break(()),
            Some(last) => named(3, *last, &[]),
        },
        // Alt and a key, which nothing here is bound to; an Escape before another one stands for itself.
        [ESCAPE, ESCAPE, ..] => key(1, Key::Escape),
        [ESCAPE, ..] => ControlFlow::Continue((2, What::Nothing)),
        [b'\r' | b'\n', ..] => key(1, Key::Enter),
        [b'\t', ..] => key(1, Key::Tab),
        [0x7f | 0x08, ..] => key(1, Key::Backspace),
        [control @ 1..=26, ..] => key(1, Key::Ctrl(char::from(control + b'a' - 1))),
        [0..=31, ..] => ControlFlow::Continue((1, What::Nothing)),
        _ => character(bytes),
    }
}

fn character(bytes: &[u8]) -> One {
    let length = match bytes[0] {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return ControlFlow::Continue((1, What::Nothing)),
    };
    if bytes.len() < length {
        return ControlFlow::Break(());
    }
    let text = std::str::from_utf8(&bytes[..length]).ok();
    match text.and_then(|text| text.chars().next()) {
        Some(character) => key(length, Key::Char(character)),
        None => ControlFlow::Continue((1, What::Nothing)),
    }
}

/// What follows `ESC [`.
fn control_sequence(rest: &[u8]) -> One {
    let is_last = |byte: &u8| (0x40..=0x7e).contains(byte);
    let Some(end) = rest.iter().position(is_last) else {
        return ControlFlow::Break(());
    };
    let (length, parameters, last) = (2 + end + 1, &rest[..end], rest[end]);
    if let Some(parameters) = parameters.strip_prefix(b"<") {
        return ControlFlow::Continue((length, mouse(parameters, last)));
    }
    if parameters == b"200" && last == b'~' {
        return ControlFlow::Continue((length, What::PasteBegins));
    }
    named(length, last, parameters)
}

fn named(length: usize, last: u8, parameters: &[u8]) -> One {
    let found = match (last, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => return ControlFlow::Continue((length, What::Nothing)),
    };
    key(length, found)
}

/// A report of the mouse: `button;column;row`, counted from 1, and whether it was pressed.
fn mouse(parameters: &[u8], last: u8) -> What {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let mut numbers = text.split(';').map(str::parse::<u16>);
    let (Some(Ok(button)), Some(Ok(column)), Some(Ok(row))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return What::Nothing;
    };
    let (column, row) = (column.saturating_sub(1), row.saturating_sub(1));
    match (button, last) {
        (0, b'M') => What::Typed(Typed::Click { column, row }),
        (64 | 65, b'M') => What::Typed(Typed::Wheel {
            up: button == 64,
            column,
            row,
        }),
        _ => What::Nothing,
    }
}

/// The text of a paste whose end has come, and the length of all of it.
fn paste(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes
        .windows(PASTE_ENDS.len())
        .position(|window| window == PASTE_ENDS)?;
    let kept = &bytes[..end.min(PASTE_MAX)];
    let text = String::from_utf8_lossy(kept);
    let printable = |character: &char| !character.is_control();
    let line = text.replace(['\r', '\n', '\t'], " ");
    Some((line.chars().filter(printable).collect(), end + PASTE_ENDS.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same comes out wherever the bytes are cut.
    fn typed(bytes: &[u8]) -> Vec<Typed> {
        let whole = Decoder::default().feed(bytes);
        for at in 0..bytes.len() {
            let mut decoder = Decoder::default();
            let mut typed = decoder.feed(&bytes[..at]);
            typed.extend(decoder.feed(&bytes[at..]));
            assert_eq!(typed, whole, "cut at {at}");
        }
        whole
    }

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let key = |typed| match typed {
            Typed::Key(key) => key,
            other => panic!("{other:?}"),
        };
        typed(bytes).into_iter().map(key).collect()
    }

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(
            keys("q\r\tä漢\x7f\x03".as_bytes()),
            [
                Key::Char('q'),
                Key::Enter,
                Key::Tab,
                Key::Char('ä'),
                Key::Char('漢'),
                Key::Backspace,
                Key::Ctrl('c')
            ]
        );
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1b[4~\x1b[1;5A"),
            [
                Key::Up,
                Key::Down,
                Key::PageUp,
                Key::PageDown,
                Key::Home,
                Key::End,
                Key::Up
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over_whole() {
        assert_eq!(
            keys(b"\x1b[?1;2cq\x1bc\x1b[3~\x1b[Iq\xff\x00"),
            [Key::Char('q'); 2]
        );
        assert_eq!(keys(b"\x1b[1;1;1"), []);
    }

    #[test]
    fn a_lone_escape_is_one_after_a_moment() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert!(decoder.is_pending());
        assert_eq!(decoder.settle(), [Typed::Key(Key::Escape)]);
        assert_eq!(decoder.feed(b"\x1b["), []);
        assert_eq!(decoder.settle(), []);
        assert_eq!(decoder.feed(b"q"), [Typed::Key(Key::Char('q'))]);
    }

    #[test]
    fn the_mouse_clicks_and_scrolls() {
        assert_eq!(
            typed(b"\x1b[<0;3;7M\x1b[<0;3;7m\x1b[<64;1;1M\x1b[<65;1;1M\x1b[<2;1;1M\x1b[<0;;1M"),
            [
                Typed::Click { column: 2, row: 6 },
                Typed::Wheel {
                    up: true,
                    column: 0,
                    row: 0
                },
                Typed::Wheel {
                    up: false,
                    column: 0,
                    row: 0
                },
            ]
        );
    }

    #[test]
    fn a_paste_is_no_keys() {
        assert_eq!(
            typed(b"\x1b[200~q\x1b[A\nc\x1b[201~q"),
            [Typed::Paste("q[A c".to_owned()), Typed::Key(Key::Char('q'))]
        );
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b[200~c"), []);
        assert!(!decoder.is_pending());
    }
}
