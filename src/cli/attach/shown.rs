//! One attempt whose files are shown while they grow.

use std::io;
use std::path::{Path, PathBuf};

use super::page::{Page, Stream};
use crate::cli::attempt_output::{self, AttemptOutput, Shown};
use crate::cli::exit::Failure;
use crate::cli::output_file::OutputFile;
use crate::protocol::AttemptView;

/// Pieces that are passed on before keys and news get a turn.
const PIECES_PER_TURN: usize = 16;

/// How far it was shown.
pub(super) struct ShownAttempt {
    view: AttemptView,
    folder: PathBuf,
    shown: Shown,
    output: Option<AttemptOutput>,
    errors: Option<OutputFile>,
}

impl ShownAttempt {
    pub(super) fn new(view: AttemptView, shown: Shown) -> Self {
        Self {
            folder: PathBuf::from(&view.folder),
            view,
            shown,
            output: None,
            errors: None,
        }
    }

    /// Its number.
    pub(super) fn n(&self) -> u32 {
        self.view.n
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// From now on it fits a pane of this width.
    pub(super) fn set_width(&mut self, width: Option<usize>) {
        if let Some(output) = &mut self.output {
            output.set_width(width);
        }
    }

    /// Shows what is there, up to a turn's worth; whether there may be more.
    pub(super) fn copy(&mut self, page: &mut Page) -> Result<bool, Failure> {
        self.open()?;
        if let Some(errors) = &mut self.errors {
            while errors.copy_piece(&mut page.stream(Stream::Errors))? {}
        }
        let Some(output) = &mut self.output else {
            return Ok(false);
        };
        for _ in 0..PIECES_PER_TURN {
            if !output.copy_piece(&mut page.stream(Stream::Output))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Shows what is left of an attempt that has ended.
    pub(super) fn finish(&mut self, page: &mut Page) -> io::Result<()> {
        match &mut self.output {
            Some(output) => output.finish(true, &mut page.stream(Stream::Output)),
            None => Ok(()),
        }
    }

    /// Opens what is there by now.
    fn open(&mut self) -> Result<(), Failure> {
        if self.errors.is_none() {
            self.errors = attempt_output::open(&self.folder.join("stderr"))?;
            if let (Some(errors), Some(lines)) = (&mut self.errors, self.shown.tail) {
                errors.seek_to_last_lines(lines, self.shown.tail_bytes_max.unwrap_or(u64::MAX))?;
            }
        }
        if self.output.is_none() {
            self.output = AttemptOutput::open(&self.view, self.shown)?;
        }
        Ok(())
    }
}
