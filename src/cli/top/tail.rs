//! The files of the attempt that is shown in full, read as they grow.
//!
//! What a worker writes passes the escape filter, and what Claude's CLI prints is rendered as `follow` does it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::attempt_output::{self, AttemptOutput, Shown};
use crate::cli::exit::Failure;
use crate::cli::output_file::OutputFile;
use crate::pane::EscapeFilter;
use crate::protocol::AttemptView;

/// As many of the last lines as fit any screen, several times.
const LINES: usize = 500;
/// They are looked for in so many bytes: read and rendered within some milliseconds.
const BYTES: u64 = 1 << 20;
/// Pieces that are read before keys and news get a turn.
const PIECES_PER_TURN: usize = 8;

/// One attempt's output.
pub(super) struct Tail {
    /// Of what is shown in full.
    serial: u64,
    attempt: AttemptView,
    output: Option<AttemptOutput>,
    errors: Option<OutputFile>,
    /// What is written on the output and, if that is kept apart, as errors.
    filters: [EscapeFilter; 2],
    width: usize,
    /// All of it was read, and nothing more can come.
    is_over: bool,
}

impl Tail {
    pub(super) fn new(serial: u64, attempt: &AttemptView, width: usize) -> Self {
        Self {
            serial,
            attempt: attempt.clone(),
            output: None,
            errors: None,
            filters: [EscapeFilter::new(), EscapeFilter::new()],
            width,
            is_over: false,
        }
    }

    /// Whether this is that attempt's.
    pub(super) fn is_of(&self, serial: u64, attempt: &AttemptView) -> bool {
        self.serial == serial && self.attempt.n == attempt.n
    }

    /// Where its files are, as long as they may grow.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        (!self.is_over).then(|| PathBuf::from(&self.attempt.folder))
    }

    /// From now on lines fit this width.
    pub(super) fn set_width(&mut self, width: usize) {
        if std::mem::replace(&mut self.width, width) != width {
            if let Some(output) = &mut self.output {
                output.set_width(Some(width));
            }
        }
    }

    /// What there is, and whether there may be more at once. `has_ended` must have been known before the call.
    pub(super) fn read(&mut self, has_ended: bool) -> Result<(String, bool), Failure> {
        if self.is_over {
            return Ok((String::new(), false));
        }
        self.open()?;
        let (mut raw, mut text) = (Vec::new(), Vec::new());
        if let Some(errors) = &mut self.errors {
            while errors.copy_piece(&mut raw)? {}
            self.filters[1].feed(&raw, &mut text);
            raw.clear();
        }
        let mut more = false;
        if let Some(output) = &mut self.output {
            more = true;
            for _ in 0..PIECES_PER_TURN {
                more = output.copy_piece(&mut raw)?;
                if !more {
                    break;
                }
            }
            if !more && has_ended {
                output.finish(true, &mut raw)?;
            }
        }
        self.filters[0].feed(&raw, &mut text);
        if !more && has_ended {
            self.is_over = true;
            self.filters[0].finish(&mut text);
            self.filters[1].finish(&mut text);
        }
        text.flush()?;
        Ok((String::from_utf8_lossy(&text).into_owned(), more))
    }

    fn open(&mut self) -> Result<(), Failure> {
        if self.errors.is_none() {
            self.errors = attempt_output::open(&Path::new(&self.attempt.folder).join("stderr"))?;
            if let Some(errors) = &mut self.errors {
                errors.seek_to_last_lines(LINES, BYTES)?;
            }
        }
        if self.output.is_none() {
            let shown = Shown {
                raw: false,
                tail: Some(LINES),
                tail_bytes_max: Some(BYTES),
            };
            self.output = AttemptOutput::open(&self.attempt, shown)?;
            if let Some(output) = &mut self.output {
                output.set_width(Some(self.width));
            }
        }
        Ok(())
    }
}
