//! The client's side of the socket: connect, ask, follow; starts the daemon if need be.
//!
//! Synchronous and without a runtime, since a `queue` call should cost little more than its exec.

mod error;
mod events;
mod lines;
mod pipeline;
mod start;

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use error::ClientError;
pub use events::Events;
pub use start::ensure_daemon;

use crate::protocol::{encode_message, Answer, Message, StatusAnswer, Subscribe};
use lines::Lines;

/// A connection to the daemon. After an error other than `Refused`, it is of no more use.
#[derive(Debug)]
pub struct Client {
    lines: Lines,
}

impl Client {
    /// Connects to the daemon that listens on `socket`.
    ///
    /// # Errors
    /// `NotRunning` if none does.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket).map_err(|error| error::cannot_connect(socket, error))?;
        Ok(Self {
            lines: Lines::new(stream),
        })
    }

    /// Asks for one thing and waits for its answer.
    ///
    /// # Errors
    /// `Refused` if the daemon says no; else the connection broke.
    pub fn ask(&mut self, message: &Message) -> Result<Answer, ClientError> {
        let mut line = Vec::new();
        encode_message(message, &mut line);
        let sent = self.lines.write_all(&line);
        // A daemon that turns a caller away says why before it closes: hear it first.
        match (self.lines.next_answer(None), sent) {
            (Ok(Some(Answer::Error(refusal))), _) => Err(ClientError::Refused(refusal)),
            (_, Err(error)) => Err(error),
            (Ok(Some(answer)), Ok(())) => Ok(answer),
            (Ok(None), Ok(())) => Err(error::ended()),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// Asks without waiting: the answers come from [`Client::next_timeout`], in the order of the questions.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn send(&mut self, message: &Message) -> Result<(), ClientError> {
        let mut line = Vec::new();
        encode_message(message, &mut line);
        self.lines.write_all(&line)
    }

    /// The next answer, a refusal included; `None` if none has come within `timeout`.
    ///
    /// # Errors
    /// `Broken` once the daemon has closed the connection.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Answer>, ClientError> {
        self.lines.next_answer(Some(timeout))
    }

    /// Asks for many things without waiting in between, and hands out each answer, refusals
    /// included, with the number of its message from 0. A bounded number is under way at once.
    ///
    /// # Errors
    /// If the connection breaks: what was not answered by then may or may not have been done.
    pub fn ask_all(
        &mut self,
        messages: impl Iterator<Item = Message>,
        on_answer: impl FnMut(usize, Answer),
    ) -> Result<(), ClientError> {
        pipeline::run(&mut self.lines, messages, on_answer)
    }

    /// Turns the connection into a stream of events, after one status of the tasks asked for.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn subscribe(mut self, subscribe: Subscribe) -> Result<(StatusAnswer, Events), ClientError> {
        match self.ask(&Message::Subscribe(subscribe))? {
            Answer::Status(status) => Ok((status, Events::new(self.lines))),
            other => Err(error::unexpected(&other)),
        }
    }
}

/// Readable when an answer has come: for whoever waits for other things as well.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.stream.as_fd()
    }
}

#[cfg(test)]
mod tests;
