//! Keeps the command's standard input open: copies the file `stdin` into a pipe, also what the daemon
//! appends to it while the command runs.
//!
//! The writing end is the shim's, so it outlives every daemon. The shim must never wait for a command
//! that does not read: what does not fit is copied when there is room, and with nothing to copy there
//! is nothing to wake up for.

use std::fs::File;
use std::io::{self, ErrorKind, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::fs::OFlags;

use crate::executor::folder::{self, AttemptFolder};
use crate::executor::input::end_of_lines;

/// What an empty pipe takes at once.
const STEP: usize = 64 << 10;
/// After these the shim looks at its signals, however fast the command reads.
const STEPS_AT_ONCE: u32 = 16;

/// The file, the pipe, and how far the one is in the other.
pub(super) struct Input {
    file: File,
    /// `None` once nothing more is to be read or nobody reads.
    pipe: Option<PipeWriter>,
    copied: u64,
    /// Where the last whole line ended when the file was last looked at.
    end: u64,
    is_last: bool,
    failure: Option<io::Error>,
}

impl Input {
    /// Makes file and pipe. The command's end is open nowhere else.
    pub(super) fn create(folder: &AttemptFolder, content: &str) -> io::Result<(Self, Stdio)> {
        let file = folder::create_new(&folder.file("stdin"))?;
        file.write_all_at(content.as_bytes(), 0)?;
        if !content.is_empty() && !content.ends_with('\n') {
            // Further lines are appended, and only whole ones are copied.
            file.write_all_at(b"\n", content.len() as u64)?;
        }
        let (theirs, pipe) = io::pipe()?;
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        let mut input = Self {
            file,
            pipe: Some(pipe),
            copied: 0,
            end: 0,
            is_last: false,
            failure: None,
        };
        input.look();
        Ok((input, Stdio::from(theirs)))
    }

    /// The daemon may have appended something.
    pub(super) fn look(&mut self) {
        match end_of_lines(&self.file, self.end) {
            Ok(end) => self.end = end,
            Err(error) => self.give_up(error),
        }
    }

    /// Nothing more is appended: what is there is copied, and then the pipe is closed.
    pub(super) fn close(&mut self) {
        self.is_last = true;
    }

    /// Copies what there is room for.
    pub(super) fn copy(&mut self) {
        let mut steps = 0;
        while self.copied < self.end && steps < STEPS_AT_ONCE {
            match self.copy_some() {
                Ok(()) => steps += 1,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return,
                    _ => return self.give_up(error),
                },
            }
        }
        if self.is_last && self.copied >= self.end {
            self.pipe = None;
        }
    }

    fn copy_some(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            // Nobody reads what is left.
            self.copied = self.end;
            return Ok(());
        };
        let rest = usize::try_from(self.end - self.copied).unwrap_or(STEP);
        let mut buffer = vec![0; rest.min(STEP)];
        self.file.read_exact_at(&mut buffer, self.copied)?;
        self.copied += pipe.write(&buffer)? as u64;
        Ok(())
    }

    fn give_up(&mut self, error: io::Error) {
        self.pipe = None;
        // That a command does not read all of its input is its own business.
        if error.kind() != ErrorKind::BrokenPipe {
            self.failure.get_or_insert(error);
        }
    }

    /// The pipe, as long as something waits for room in it.
    pub(super) fn awaited(&self) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipe.as_ref().filter(|_| self.copied < self.end);
        pipe.map(AsFd::as_fd)
    }

    /// Why not everything could be copied, if the command is not the reason.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }
}
