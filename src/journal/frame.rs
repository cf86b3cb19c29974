//! The frame: one line that carries its own length, checksum and number. It exists so that every
//! single flipped bit and every cut is noticed, and so that a person can read the file.
//!
//! ```text
//! 0000002c 9ae0daaf 0000000000000007 {"changed":…}
//! length   crc32    lsn             ^mark
//! ```
//!
//! `length` counts the JSON alone. The checksum covers everything but itself and the two spaces,
//! which are fixed; digits are lower-case only, so that a flipped bit cannot turn one spelling
//! of a number into another. JSON has no raw newline or NUL in it: both only ever mean an end or
//! a hole.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{JournalError, Record};

/// Bytes before the JSON: length, space, checksum, space, number, mark.
const HEAD_BYTES: usize = 8 + 1 + 8 + 1 + 16 + 1;
const NUMBER_START: usize = 18;
const MARK_AT: usize = HEAD_BYTES - 1;

/// No record comes near this; it keeps a damaged length from looking plausible.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// How much is read at once. Larger gains nothing: the decoder is slower than the page cache.
const READ_BYTES: usize = 256 * 1024;

/// What a frame is to its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// ` `: the first record of a commit. If it can be read, all commits before it were synced.
    First,
    /// `+`: a further record of the same commit.
    More,
    /// `#`: no record, but something about the file itself.
    Control,
}

impl Mark {
    fn byte(self) -> u8 {
        match self {
            Self::First => b' ',
            Self::More => b'+',
            Self::Control => b'#',
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b' ' => Some(Self::First),
            b'+' => Some(Self::More),
            b'#' => Some(Self::Control),
            _ => None,
        }
    }
}

/// A frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The record's number; in a snapshot, the newest record that its image contains.
    pub lsn: u64,
    /// What it is to its neighbours.
    pub mark: Mark,
    /// The JSON.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The record in it.
    ///
    /// # Errors
    ///
    /// If the JSON is no record that this version knows.
    pub fn record(&self) -> serde_json::Result<Record> {
        serde_json::from_slice(self.payload)
    }
}

/// A place at which there is no whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame {
    /// Where it begins, in bytes from the start.
    pub offset: u64,
    /// What is wrong.
    pub detail: &'static str,
}

/// Appends one frame to `buffer`, which stays as it was on an error.
pub(super) fn encode<T: Serialize>(buffer: &mut Vec<u8>, lsn: u64, mark: Mark, value: &T) -> io::Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[b' '; HEAD_BYTES]);
    let written = serde_json::to_writer(&mut *buffer, value).map_err(io::Error::from);
    let length = buffer.len() - start - HEAD_BYTES;
    let fits = if length > PAYLOAD_BYTES_MAX {
        let message = format!("a record of {length} bytes is too large for the journal");
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    } else {
        written
    };
    if let Err(error) = fits {
        buffer.truncate(start);
        return Err(error);
    }
    buffer.push(b'\n');
    let line = &mut buffer[start..];
    write_hex(&mut line[..8], length as u64);
    write_hex(&mut line[NUMBER_START..MARK_AT], lsn);
    line[MARK_AT] = mark.byte();
    let checksum = checksum(line);
    write_hex(&mut line[9..17], u64::from(checksum));
    Ok(())
}

fn checksum(line: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&line[..8]);
    hasher.update(&line[NUMBER_START..]);
    hasher.finalize()
}

/// Fills `target` with the lowest digits of `value`.
pub(super) fn write_hex(target: &mut [u8], mut value: u64) {
    for digit in target.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// Reads up to 16 lower-case digits.
pub(super) fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value: u64, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

enum Check {
    Whole { bytes: usize },
    Incomplete { needed: usize },
    Bad(&'static str),
}

/// Looks for a frame at the start of `bytes`.
fn check(bytes: &[u8]) -> Check {
    if bytes.len() < HEAD_BYTES {
        return Check::Incomplete { needed: HEAD_BYTES };
    }
    let Some(length) = plausible_length(bytes) else {
        return Check::Bad("this is not the beginning of a record");
    };
    let size = HEAD_BYTES + length + 1;
    if bytes.len() < size {
        return Check::Incomplete { needed: size };
    }
    if bytes[size - 1] != b'\n' {
        return Check::Bad("the record does not end where its length says");
    }
    if read_hex(&bytes[9..17]) != Some(u64::from(checksum(&bytes[..size]))) {
        return Check::Bad("the record's checksum is wrong");
    }
    Check::Whole { bytes: size }
}

fn plausible_length(head: &[u8]) -> Option<usize> {
    let spaced = head[8] == b' ' && head[17] == b' ';
    let length = usize::try_from(read_hex(&head[..8])?).ok()?;
    read_hex(&head[NUMBER_START..MARK_AT])?;
    Mark::from_byte(head[MARK_AT])?;
    (spaced && length <= PAYLOAD_BYTES_MAX).then_some(length)
}

/// Takes apart a line that `check` found whole.
fn view(line: &[u8]) -> Frame<'_> {
    Frame {
        lsn: read_hex(&line[NUMBER_START..MARK_AT]).expect("checked: only digits"),
        mark: Mark::from_byte(line[MARK_AT]).expect("checked: a known mark"),
        payload: &line[HEAD_BYTES..line.len() - 1],
    }
}

/// The frames of `bytes` from its start, up to the end or the first bad one.
#[must_use]
pub fn scan(bytes: &[u8]) -> Scan<'_> {
    Scan {
        bytes,
        offset: 0,
        over: false,
    }
}

/// See [`scan`].
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    offset: usize,
    over: bool,
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<Frame<'a>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.offset..];
        if self.over || rest.is_empty() {
            return None;
        }
        let detail = match check(rest) {
            Check::Whole { bytes } => {
                self.offset += bytes;
                return Some(Ok(view(&rest[..bytes])));
            }
            Check::Incomplete { .. } => "the record is incomplete",
            Check::Bad(detail) => detail,
        };
        self.over = true;
        Some(Err(BadFrame {
            offset: self.offset as u64,
            detail,
        }))
    }
}

/// The first whole frame at or after `from`, wherever it begins, with its offset. Every position
/// is tried, as the newline before it may be the byte that was damaged.
pub(super) fn find(bytes: &[u8], from: usize) -> Option<(usize, Frame<'_>)> {
    let last = bytes.len().checked_sub(HEAD_BYTES)?;
    (from..=last).find_map(|offset| match check(&bytes[offset..]) {
        Check::Whole { bytes: size } => Some((offset, view(&bytes[offset..offset + size]))),
        Check::Incomplete { .. } | Check::Bad(_) => None,
    })
}

/// What a [`FrameReader`] comes upon.
pub(super) enum Next<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// No whole frame.
    Bad(BadFrame),
    /// Nothing: the file ends after a whole frame.
    End,
}

/// Reads a file's frames through one buffer, however large the file is.
pub(super) struct FrameReader {
    file: File,
    path: PathBuf,
    file_bytes: u64,
    buffer: Vec<u8>,
    start: usize,
    /// Where the next frame begins.
    offset: u64,
}

impl FrameReader {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        let metadata = file.metadata().map_err(JournalError::io("read", path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            file_bytes: metadata.len(),
            buffer: Vec::new(),
            start: 0,
            offset: 0,
        })
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn next(&mut self) -> Result<Next<'_>, JournalError> {
        let left = self.file_bytes - self.offset;
        if left == 0 {
            return Ok(Next::End);
        }
        let size = loop {
            let bad = match check(&self.buffer[self.start..]) {
                Check::Whole { bytes } => break bytes,
                Check::Incomplete { needed } if needed as u64 <= left => {
                    if self.fill(needed)? {
                        continue;
                    }
                    "the file has become shorter"
                }
                Check::Incomplete { .. } => "the record is incomplete",
                Check::Bad(detail) => detail,
            };
            return Ok(Next::Bad(BadFrame {
                offset: self.offset,
                detail: bad,
            }));
        };
        let start = self.start;
        self.start += size;
        self.offset += size as u64;
        Ok(Next::Frame(view(&self.buffer[start..start + size])))
    }

    /// Makes at least `needed` bytes available; `false` if the file has not that many.
    fn fill(&mut self, needed: usize) -> Result<bool, JournalError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let have = self.buffer.len();
        let wanted = needed.max(READ_BYTES) - have;
        let read = (&mut self.file)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(JournalError::io("read", &self.path))?;
        Ok(have + read >= needed)
    }
}
