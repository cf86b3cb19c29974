//! Lets through what a worker may do to a terminal, and drops the rest.
//!
//! Kept are text, colours, and moves within the line, as progress bars use them. A worker prints what
//! it found on the web and in files; none of that may reach the clipboard, the title, a user variable,
//! the screen above, or make the terminal answer as if somebody had typed.
//!
//! What opens a dropped sequence is dropped at once. So whatever its end turns out to be, the terminal
//! never stands in the middle of one, and a sequence may be given up early without harm.

use super::harmless::kept_length;

/// A longer control sequence is none that is kept; its bytes are not stored either.
pub(super) const PARAMETERS_MAX: usize = 128;

const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
pub(super) const ESCAPE: u8 = 0x1b;
pub(super) const DELETE: u8 = 0x7f;

/// Stands for bytes that are no text.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// A filter that stands somewhere in a stream of bytes.
#[derive(Clone, Debug, Default)]
pub struct EscapeFilter {
    state: State,
    /// The parameters of the control sequence that has begun.
    parameters: Vec<u8>,
    /// The beginning of a character whose other bytes have not come yet.
    character: Vec<u8>,
    /// What was let through last did not end its line.
    line_open: bool,
    /// A colour may be set.
    styled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: a charset, a line size.
    EscapeIntermediate,
    /// In a control sequence that may be kept.
    Control,
    /// In a control sequence that is dropped.
    ControlDropped,
    /// In OSC, DCS, APC, PM or SOS.
    String,
    /// After an ESC in one of these.
    StringEscape,
}

impl EscapeFilter {
    /// A filter at the beginning of an output.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what may be shown of the next bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.pass(bytes, out);
        if let Some(newline) = out[start..].iter().rposition(|byte| *byte == b'\n') {
            self.line_open = has_text(&out[start + newline + 1..]);
        } else {
            self.line_open = self.line_open || has_text(&out[start..]);
        }
    }

    /// Appends what makes room for words of others: the colour is reset, and the line ended, if need be.
    pub fn settle(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.styled) {
            out.extend_from_slice(b"\x1b[0m");
        }
        if std::mem::take(&mut self.line_open) {
            out.push(b'\n');
        }
    }

    /// Whether there is something to settle.
    pub fn is_unsettled(&self) -> bool {
        self.styled || self.line_open
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = self.complete_character(bytes, out);
        while let Some(first) = rest.first() {
            if self.state == State::Text {
                let (kept, styled) = kept_length(rest);
                self.styled |= styled;
                out.extend_from_slice(&rest[..kept]);
                rest = &rest[kept..];
                if kept > 0 {
                    continue;
                }
            }
            if first.is_ascii() {
                self.ascii(*first, out);
                rest = &rest[1..];
            } else {
                rest = self.beyond_ascii(rest, out);
            }
        }
    }

    /// Ends the output: what is half there is dropped. Its line and its colour may still be open.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.character).is_empty() && self.state == State::Text {
            out.extend_from_slice(REPLACEMENT);
            self.line_open = true;
        }
        self.state = State::Text;
    }

    /// Ends a character that an earlier piece began; what follows it.
    fn complete_character<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = bytes;
        while !self.character.is_empty() {
            let Some(next) = rest.first() else {
                return rest;
            };
            // A byte that cannot go on with it belongs to what comes after.
            if !matches!(next, 0x80..=0xbf) {
                self.character.clear();
                self.invalid(None, out);
                return rest;
            }
            self.character.push(*next);
            rest = &rest[1..];
            let begun = std::mem::take(&mut self.character);
            let mut left = begun.as_slice();
            while !left.is_empty() {
                left = self.beyond_ascii(left, out);
            }
        }
        rest
    }

    /// Takes the character that `bytes` begins with, and returns what follows it.
    fn beyond_ascii<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let length = match bytes[0] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => {
                self.invalid(Some(bytes[0]), out);
                return &bytes[1..];
            }
        };
        let whole = &bytes[..length.min(bytes.len())];
        match std::str::from_utf8(whole) {
            Ok(_) => {
                self.character(whole, out);
                &bytes[length..]
            }
            Err(error) if error.error_len().is_none() => {
                self.character = whole.to_vec();
                &[]
            }
            Err(error) => {
                self.invalid(None, out);
                &bytes[error.error_len().unwrap_or(1)..]
            }
        }
    }

    /// A whole character beyond ASCII.
    fn character(&mut self, character: &[u8], out: &mut Vec<u8>) {
        match character {
            [0xc2, control @ 0x80..=0x9f] => self.eight_bit_control(*control),
            _ => self.shown(character, out),
        }
    }

    /// Bytes that are no UTF-8. One alone may be a control of 8 bits, which some terminals obey.
    fn invalid(&mut self, byte: Option<u8>, out: &mut Vec<u8>) {
        match byte {
            Some(control @ 0x80..=0x9f) => self.eight_bit_control(control),
            _ => self.shown(REPLACEMENT, out),
        }
    }

    /// Something that is no control: it ends every sequence but a string.
    fn shown(&mut self, character: &[u8], out: &mut Vec<u8>) {
        match self.state {
            State::String => {}
            State::StringEscape => self.state = State::String,
            _ => {
                self.state = State::Text;
                out.extend_from_slice(character);
            }
        }
    }

    fn eight_bit_control(&mut self, control: u8) {
        match (control, self.state) {
            (0x90 | 0x98 | 0x9d..=0x9f, _) => self.state = State::String,
            (0x9b, _) => self.begin_control(),
            (0x9c, State::String | State::StringEscape) => self.state = State::Text,
            (_, State::String | State::StringEscape) => {}
            _ => self.state = State::Text,
        }
    }

    fn begin_control(&mut self) {
        self.parameters.clear();
        self.state = State::Control;
    }

    fn ascii(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte < b' ' || byte == DELETE {
            return self.control_character(byte, out);
        }
        match self.state {
            State::Text => out.push(byte),
            State::Escape => self.after_escape(byte),
            State::EscapeIntermediate if matches!(byte, b' '..=b'/') => {}
            State::EscapeIntermediate => self.state = State::Text,
            State::Control => self.in_control(byte, out),
            State::ControlDropped if matches!(byte, b'@'..=b'~') => self.state = State::Text,
            State::ControlDropped | State::String => {}
            State::StringEscape if byte == b'\\' => self.state = State::Text,
            // The string was left by a new sequence.
            State::StringEscape => self.after_escape(byte),
        }
    }

    fn control_character(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (byte, self.state) {
            (ESCAPE, State::String | State::StringEscape) => self.state = State::StringEscape,
            (ESCAPE, _) => self.state = State::Escape,
            (BELL | CANCEL | SUBSTITUTE, _) => self.state = State::Text,
            // A text must not be able to swallow all that comes after it: the end of a line ends everything.
            (b'\n', _) => {
                self.state = State::Text;
                out.push(b'\n');
            }
            (_, State::String | State::StringEscape) => {}
            (b'\t' | b'\r' | BACKSPACE, _) => {
                self.state = State::Text;
                out.push(byte);
            }
            _ => {}
        }
    }

    fn after_escape(&mut self, byte: u8) {
        match byte {
            b'[' => self.begin_control(),
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::String,
            b' '..=b'/' => self.state = State::EscapeIntermediate,
            _ => self.state = State::Text,
        }
    }

    fn in_control(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'0'..=b'9' | b':' | b';' if self.parameters.len() < PARAMETERS_MAX => {
                self.parameters.push(byte);
            }
            b'@'..=b'~' => {
                if is_kept(&self.parameters, byte) {
                    self.styled |= byte == b'm';
                    out.extend_from_slice(b"\x1b[");
                    out.extend_from_slice(&self.parameters);
                    out.push(byte);
                }
                self.state = State::Text;
            }
            // Private ones (`<=>?`), those with intermediate bytes, and endless ones.
            _ => self.state = State::ControlDropped,
        }
    }
}

/// Whether the end of a line, all of it let through, shows anything but colours.
fn has_text(mut line: &[u8]) -> bool {
    while let [ESCAPE, b'[', rest @ ..] = line {
        let end = rest.iter().position(|byte| matches!(byte, b'@'..=b'~'));
        line = end.map_or(&[], |end| &rest[end + 1..]);
    }
    !line.is_empty()
}

/// Colours, moves within the line, and erasing in the line.
fn is_kept(parameters: &[u8], end: u8) -> bool {
    match end {
        b'm' => true,
        // Right, left, to a column (two spellings), right again, and erase in line.
        b'C' | b'D' | b'G' | b'`' | b'a' | b'K' => parameters.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
#[path = "escape_filter_tests.rs"]
mod tests;
