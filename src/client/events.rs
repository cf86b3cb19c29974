//! The events of a subscribed connection.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::error::unexpected;
use super::lines::Lines;
use super::ClientError;
use crate::protocol::{Answer, Event};

/// Events as they come. As an iterator it waits for each one; it ends after the first error.
#[derive(Debug)]
pub struct Events {
    lines: Lines,
    failed: bool,
}

impl Events {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, failed: false }
    }

    /// The next event; `None` if none has come within `timeout`. Nothing is lost by a timeout.
    ///
    /// # Errors
    /// `Broken` once the daemon has closed the connection.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, ClientError> {
        self.wait(Some(timeout))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, ClientError> {
        match self.lines.next_answer(timeout)? {
            Some(Answer::Event(event)) => Ok(Some(event)),
            Some(Answer::Error(refusal)) => Err(ClientError::Refused(refusal)),
            Some(other) => Err(unexpected(&other)),
            None => Ok(None),
        }
    }
}

/// Readable when something has come: for whoever waits for other things as well.
impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.stream.as_fd()
    }
}

impl Iterator for Events {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.wait(None).transpose()?;
        self.failed = item.is_err();
        Some(item)
    }
}
