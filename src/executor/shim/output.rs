//! Keeps an output file below its cap: the head and the tail stay, the middle is given back.
//!
//! The command writes into the file itself, so nothing can be held back. Instead the shim looks at
//! the size now and then, sooner the faster it grows, and punches a hole that follows the tail. The
//! file keeps its size and offsets; the hole reads as zeroes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::executor::folder::AttemptFolder;
use crate::executor::Launch;
use crate::platform;

const LOOK_AT_LEAST: Duration = Duration::from_millis(10);
const LOOK_AT_MOST: Duration = Duration::from_secs(1);
/// A hole is moved on when this part of the cap can be given back.
const STEP_OF_CAP: u64 = 8;

/// One output file.
pub(super) struct Output {
    file: File,
    cap: u64,
    size: u64,
    looked_at: Instant,
    /// The hole's start and, once there is one, its end.
    hole_start: u64,
    hole_end: u64,
    block: u64,
    failure: Option<io::Error>,
}

impl Output {
    /// Makes the file. Whoever writes, writes at its end.
    pub(super) fn create(folder: &AttemptFolder, name: &str, launch: &Launch) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        Ok(Self {
            file: options.open(folder.file(name))?,
            cap: launch.output_cap_bytes,
            size: 0,
            looked_at: Instant::now(),
            hole_start: 0,
            hole_end: 0,
            block: 0,
            failure: None,
        })
    }

    /// The command's end of it.
    pub(super) fn for_command(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }

    /// Looks at the size, gives back what is over the cap, and says when to look again.
    pub(super) fn look(&mut self, now: Instant) -> Duration {
        let before = self.size;
        self.trim(self.cap / STEP_OF_CAP);
        let grown = self.size.saturating_sub(before);
        let elapsed = now.duration_since(self.looked_at);
        self.looked_at = now;
        if grown == 0 {
            return LOOK_AT_MOST;
        }
        // The time in which it may grow by a quarter of the cap at this speed.
        let factor = (self.cap / 4) as f64 / grown as f64;
        let wait = elapsed.as_secs_f64() * factor;
        Duration::from_secs_f64(wait.min(LOOK_AT_MOST.as_secs_f64())).max(LOOK_AT_LEAST)
    }

    /// The last look, when nobody writes any more: bytes written, bytes given back.
    pub(super) fn finish(&mut self) -> (u64, u64) {
        self.trim(1);
        (self.size, self.hole_end - self.hole_start)
    }

    /// Why the cap could not be kept, if so.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Gives back the middle if that gains at least `step` bytes.
    fn trim(&mut self, step: u64) {
        let Ok(metadata) = self.file.metadata() else {
            return;
        };
        self.size = metadata.len();
        if self.size <= self.cap || self.failure.is_some() {
            return;
        }
        if self.block == 0 {
            self.block = metadata.blksize().max(1);
            self.hole_start = (self.cap / 2).next_multiple_of(self.block);
            self.hole_end = self.hole_start;
        }
        // Down to a whole block: the tail may be larger by a part of one, never smaller.
        let tail_start = self.size - self.cap / 2;
        let hole_end = tail_start - tail_start % self.block;
        if hole_end < self.hole_end.saturating_add(step) {
            return;
        }
        match platform::punch_hole(&self.file, self.hole_end..hole_end) {
            Ok(()) => self.hole_end = hole_end,
            Err(error) => self.failure = Some(error),
        }
    }
}
