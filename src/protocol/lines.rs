//! Cuts a byte stream into lines and decodes them, within a bound on memory.
//!
//! Lines that have arrived together are handed out together, so that the engine can journal them
//! with one sync. A line that is too long costs one error and is skipped without being stored; one
//! that does not end at all is reported, for the server to cut the connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{decode, ErrorAnswer, ErrorCode, Message};

/// The longest line, in bytes without its newline, unless configured otherwise.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line that goes on past this many times the limit is endless.
const ENDLESS_FACTOR: usize = 8;

/// The room made for a read: small at first, since most of thousands of connections are idle …
const READ_BYTES_MIN: usize = 8 * 1024;

/// … and doubled up to this while reads fill it, since a batch wants few system calls.
const READ_BYTES_MAX: usize = 256 * 1024;

/// What arrived.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// One entry per complete line, in their order.
    pub messages: Vec<Result<Message, ErrorAnswer>>,
    /// Set once nothing more will come.
    pub end: Option<End>,
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed its side. A line without a newline was discarded: it may be half a message.
    Closed,
    /// A line went on past eight times the limit: cut the connection.
    Endless,
}

/// Reads messages from any stream.
#[derive(Debug)]
pub struct LineReader<R> {
    stream: R,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    begin: usize,
    /// Up to where `buffer` is known to hold no newline of that line.
    searched: usize,
    /// How many bytes of a line that is too long have been thrown away; 0 outside of one.
    skipped: usize,
    read_bytes: usize,
    end: Option<End>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// A reader with the default limit.
    pub fn new(stream: R) -> Self {
        Self::with_limit(stream, LINE_BYTES_MAX)
    }

    /// A reader that refuses lines of more than `limit` bytes.
    pub fn with_limit(stream: R, limit: usize) -> Self {
        Self {
            stream,
            limit,
            buffer: Vec::new(),
            begin: 0,
            searched: 0,
            skipped: 0,
            read_bytes: READ_BYTES_MIN,
            end: None,
        }
    }

    /// The next lines, at most `max`: all that are buffered already, else at least one, unless the
    /// stream ended. Cancel-safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn next_batch(&mut self, max: usize) -> io::Result<Batch> {
        loop {
            let messages = self.buffered(max.max(1));
            if !messages.is_empty() || self.end.is_some() {
                let end = if messages.is_empty() { self.end } else { None };
                return Ok(Batch { messages, end });
            }
            self.fill().await?;
        }
    }

    /// The stream, for a server that cuts the connection.
    pub fn into_inner(self) -> R {
        self.stream
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.make_room();
        let room = self.buffer.capacity() - self.buffer.len();
        let count = self.stream.read_buf(&mut self.buffer).await?;
        if count == 0 {
            self.end = Some(End::Closed);
        }
        if count == room {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Ok(())
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > READ_BYTES_MAX {
            self.buffer.shrink_to(READ_BYTES_MIN);
            self.read_bytes = READ_BYTES_MIN;
        }
        self.buffer.reserve(self.read_bytes);
    }

    fn buffered(&mut self, max: usize) -> Vec<Result<Message, ErrorAnswer>> {
        let mut messages = Vec::new();
        while messages.len() < max {
            match self.next_line() {
                Some(message) => messages.extend(message),
                None => break,
            }
        }
        messages
    }

    /// `None`: no complete line is buffered. `Some(None)`: there was one that says nothing.
    fn next_line(&mut self) -> Option<Option<Result<Message, ErrorAnswer>>> {
        let newline = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(newline) = newline.map(|offset| self.searched + offset) else {
            return self.unfinished_line();
        };
        let line = &self.buffer[self.begin..newline];
        let result = if self.skipped > 0 {
            None
        } else if line.len() > self.limit {
            Some(Err(too_long(self.limit)))
        } else if line.iter().all(u8::is_ascii_whitespace) {
            None
        } else {
            Some(decode(line))
        };
        self.skipped = 0;
        self.begin = newline + 1;
        self.searched = self.begin;
        Some(result)
    }

    fn unfinished_line(&mut self) -> Option<Option<Result<Message, ErrorAnswer>>> {
        self.searched = self.buffer.len();
        let length = self.searched - self.begin;
        if self.skipped == 0 && length <= self.limit {
            return None;
        }
        let was_known = self.skipped > 0;
        self.skipped += length;
        self.begin = self.searched;
        if self.skipped > self.limit.saturating_mul(ENDLESS_FACTOR) {
            self.end = Some(End::Endless);
        }
        (!was_known).then(|| Some(Err(too_long(self.limit))))
    }
}

fn too_long(limit: usize) -> ErrorAnswer {
    ErrorAnswer::new(
        ErrorCode::LineTooLong,
        format!("the line is longer than {limit} bytes"),
        "put long texts into a file, or raise `limits.line_bytes` in the config",
    )
}
