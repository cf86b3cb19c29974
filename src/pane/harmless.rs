//! What of a worker's output is harmless at a glance: text and colours, by far the most of it.
//!
//! The filter copies such stretches as they are. This decides nothing that the filter would decide otherwise; it
//! only looks at many bytes at once, since a worker may write hundreds of megabytes a second.

use super::escape_filter::{DELETE, ESCAPE, PARAMETERS_MAX};

/// As many as a processor compares at once, more or less.
const BLOCK_BYTES: usize = 32;

/// How many bytes from the start are let through as they are, and whether a colour is among them. What this does
/// not see at a glance (pieces of sequences, all that is dropped) goes the long way, byte by byte.
pub(super) fn kept_length(bytes: &[u8]) -> (usize, bool) {
    let (mut at, mut styled) = (0, false);
    loop {
        at += plain_length(&bytes[at..]);
        let rest = &bytes[at..];
        let more = match rest.first() {
            Some(&ESCAPE) => {
                let length = color_length(rest);
                styled |= length > 0;
                length
            }
            Some(_) => character_length(rest),
            None => 0,
        };
        if more == 0 {
            return (at, styled);
        }
        at += more;
    }
}

/// The length of the colour sequence that `bytes` begin with; 0 if they begin with something else.
fn color_length(bytes: &[u8]) -> usize {
    let [ESCAPE, b'[', parameters @ ..] = bytes else {
        return 0;
    };
    let is_parameter = |byte: &u8| matches!(byte, b'0'..=b'9' | b':' | b';');
    let end = parameters
        .iter()
        .take(PARAMETERS_MAX)
        .position(|byte| !is_parameter(byte));
    match end {
        Some(end) if parameters[end] == b'm' => 2 + end + 1,
        _ => 0,
    }
}

/// The length of the character beyond ASCII that `bytes` begin with; 0 if they begin with none, with a control, or
/// with one of the few whose second byte is restricted.
fn character_length(bytes: &[u8]) -> usize {
    let goes_on = |byte: u8| matches!(byte, 0x80..=0xbf);
    match *bytes {
        [0xc3..=0xdf, second, ..] if goes_on(second) => 2,
        [0xe1..=0xec | 0xee | 0xef, second, third, ..] if goes_on(second) && goes_on(third) => 3,
        [0xf0, 0x90..=0xbf, third, fourth, ..] if goes_on(third) && goes_on(fourth) => 4,
        _ => 0,
    }
}

/// How many bytes from the start are plain. Between colours there are few, which are looked at word by word; in a
/// long text whole blocks without a branch for each byte, which compilers make into a few instructions.
fn plain_length(bytes: &[u8]) -> usize {
    let near = &bytes[..bytes.len().min(BLOCK_BYTES)];
    let mut at = plain_by_words(near);
    if at < BLOCK_BYTES {
        return at;
    }
    let blocks = bytes[at..]
        .chunks_exact(BLOCK_BYTES)
        .take_while(|block| block.iter().fold(true, |plain, byte| plain & is_plain(*byte)))
        .count();
    at += blocks * BLOCK_BYTES;
    at + plain_by_words(&bytes[at..])
}

fn plain_by_words(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk() {
        let suspects = suspects(u64::from_le_bytes(*word));
        if suspects == 0 {
            at += word.len();
            continue;
        }
        at += suspects.trailing_zeros() as usize / 8;
        if !is_plain(bytes[at]) {
            return at;
        }
        at += 1;
    }
    let rest = bytes[at..].iter().position(|byte| !is_plain(*byte));
    rest.map_or(bytes.len(), |found| at + found)
}

/// The highest bit of each byte that is a control or beyond ASCII; those above the first one mean nothing.
fn suspects(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    let below_space = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let from_delete = word | word.wrapping_add(ONES);
    (below_space | from_delete) & HIGHEST_BITS
}

/// What text consists of; most outputs consist of nothing else.
fn is_plain(byte: u8) -> bool {
    // No short circuits, so that it can be done for many bytes at once.
    (b' '..DELETE).contains(&byte) | (byte == b'\n') | (byte == b'\r') | (byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_where_something_else_begins() {
        for (bytes, kept) in [
            (&b""[..], 0),
            (b"\x1b[", 0),
            (b"a\x1b[1", 1),
            (b"a\x1b[1mb\x1b]0;x", 6),
            (b"a\x1b[2J", 1),
            (b"a\x1b[?25lb", 1),
            (b"\x08", 0),
            (b"a\nb\tc\r\x7f", 6),
            ("gr\u{fc}n \u{2713} \u{1f600}.".as_bytes(), 15),
            ("a\u{9b}31m".as_bytes(), 1),
            (b"a\xe2\x9c", 1),
            (b"a\xed\xa0\x80", 1),
        ] {
            let styled = bytes[..kept].contains(&ESCAPE);
            assert_eq!(
                kept_length(bytes),
                (kept, styled),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for length in 0..100 {
            for at in 0..length {
                for byte in [0, 0x1f, b'\x7f', 0x80, 0xff, ESCAPE] {
                    let mut bytes = vec![b'~'; length];
                    bytes[at] = byte;
                    assert_eq!(plain_length(&bytes), at, "{byte} in {length}");
                }
            }
            assert_eq!(plain_length(&vec![b' '; length]), length);
            assert_eq!(plain_length(&vec![b'\n'; length]), length);
        }
    }
}
