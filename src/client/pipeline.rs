//! Many messages on one connection: written and read in turns by one thread, so that neither side
//! can wait for the other with full buffers.

use std::io::{self, Write};

use rustix::event::{poll, PollFd, PollFlags};

use super::error::broken;
use super::lines::{is_timeout, Lines};
use super::ClientError;
use crate::protocol::{encode_message, Answer, Message};

/// Messages under way at most: enough to fill the daemon's batches, few enough to bound what is
/// unknown after a broken connection.
const WINDOW: usize = 8192;

/// Encoded ahead of the socket at most, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn run(
    lines: &mut Lines,
    messages: impl Iterator<Item = Message>,
    on_answer: impl FnMut(usize, Answer),
) -> Result<(), ClientError> {
    set_nonblocking(lines, true)?;
    let result = Pipeline {
        lines: &mut *lines,
        messages: messages.fuse(),
        on_answer,
        outgoing: Vec::new(),
        written: 0,
        sent: 0,
        answered: 0,
        exhausted: false,
    }
    .run();
    set_nonblocking(lines, false)?;
    result
}

fn set_nonblocking(lines: &Lines, nonblocking: bool) -> Result<(), ClientError> {
    lines
        .stream
        .set_nonblocking(nonblocking)
        .map_err(|error| broken(&error))
}

struct Pipeline<'l, M, F> {
    lines: &'l mut Lines,
    messages: M,
    on_answer: F,
    outgoing: Vec<u8>,
    /// How much of `outgoing` the socket has taken.
    written: usize,
    sent: usize,
    answered: usize,
    exhausted: bool,
}

impl<M: Iterator<Item = Message>, F: FnMut(usize, Answer)> Pipeline<'_, M, F> {
    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            self.encode_more();
            if self.exhausted && self.answered == self.sent {
                return Ok(());
            }
            let ready = self.wait()?;
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read()?;
            }
            if ready.contains(PollFlags::OUT) {
                self.write()?;
            }
        }
    }

    fn encode_more(&mut self) {
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
        while !self.exhausted && self.outgoing.len() < CHUNK_BYTES && self.sent - self.answered < WINDOW {
            match self.messages.next() {
                Some(message) => {
                    encode_message(&message, &mut self.outgoing);
                    self.sent += 1;
                }
                None => self.exhausted = true,
            }
        }
    }

    fn wait(&self) -> Result<PollFlags, ClientError> {
        let mut wanted = PollFlags::IN;
        if self.written < self.outgoing.len() {
            wanted |= PollFlags::OUT;
        }
        let mut descriptors = [PollFd::new(&self.lines.stream, wanted)];
        match poll(&mut descriptors, None) {
            Ok(_) => Ok(descriptors[0].revents()),
            Err(rustix::io::Errno::INTR) => Ok(PollFlags::empty()),
            Err(error) => Err(broken(&error.into())),
        }
    }

    fn write(&mut self) -> Result<(), ClientError> {
        match self.lines.stream.write(&self.outgoing[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(&error)),
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), ClientError> {
        self.lines.fill()?;
        while let Some(answer) = self.lines.buffered()? {
            if self.answered == self.sent {
                return Err(ClientError::Protocol {
                    detail: "more answers than messages".to_owned(),
                });
            }
            (self.on_answer)(self.answered, answer);
            self.answered += 1;
        }
        Ok(())
    }
}
