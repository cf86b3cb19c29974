//! Lines over a Unix socket: a buffer that keeps half a line across timeouts.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::error::{broken, ended};
use super::ClientError;
use crate::protocol::{decode_answer, Answer};

/// One read; as much as a socket's buffer usually holds.
const READ_BYTES: usize = 64 * 1024;

/// A stream cut into lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) stream: UnixStream,
    buffer: Vec<u8>,
    begin: usize,
    searched: usize,
}

impl Lines {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            begin: 0,
            searched: 0,
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(bytes).map_err(|error| broken(&error))
    }

    /// The next answer; `None` if the time is over. Without a timeout it waits for ever.
    pub(super) fn next_answer(&mut self, timeout: Option<Duration>) -> Result<Option<Answer>, ClientError> {
        let deadline = timeout.map(|timeout| std::time::Instant::now() + timeout);
        loop {
            if let Some(answer) = self.buffered()? {
                return Ok(Some(answer));
            }
            let left = deadline.map(|at| at.saturating_duration_since(std::time::Instant::now()));
            if left == Some(Duration::ZERO) && timeout != Some(Duration::ZERO) {
                return Ok(None);
            }
            // The system takes no timeout of zero; what is there already is read within a blink.
            let left = left.map(|left| left.max(Duration::from_millis(1)));
            self.stream
                .set_read_timeout(left)
                .map_err(|error| broken(&error))?;
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// An answer whose line is complete.
    pub(super) fn buffered(&mut self) -> Result<Option<Answer>, ClientError> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(newline) = found.map(|offset| self.searched + offset) else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let line = &self.buffer[self.begin..newline];
        let answer = decode_answer(line).map_err(|error| ClientError::Protocol {
            detail: error.to_string(),
        });
        self.begin = newline + 1;
        self.searched = self.begin;
        answer.map(Some)
    }

    /// Reads once; false if nothing has come in time.
    pub(super) fn fill(&mut self) -> Result<bool, ClientError> {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + READ_BYTES, 0);
        let result = self.stream.read(&mut self.buffer[kept..]);
        self.buffer.truncate(kept + result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(0) => Err(ended()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) if is_timeout(&error) => Ok(false),
            Err(error) => Err(broken(&error)),
        }
    }
}

/// Systems differ in how they say that the time is over.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
