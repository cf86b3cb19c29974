//! One attempt's output, read as far as it goes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Ending, Judged};
use crate::claude::{answered_requests, Conclusion, End, News, Transcript};
use crate::executor::{dropped_range, StopCause};

const CHUNK: usize = 64 << 10;
/// A longer line is passed over: no event that matters is that long.
const LINE_MAX: usize = 16 << 20;
/// A buffer that has held a long line gives its memory back.
const LINE_KEPT: usize = 256 << 10;
/// What the CLI says last on stderr, when it says nothing else.
const STDERR_TAIL: u64 = 4 << 10;

/// How far one attempt has been heard.
pub(super) struct Follower {
    folder: PathBuf,
    output: Option<File>,
    position: u64,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Inside a line that is too long.
    skipping: bool,
    transcript: Transcript,
    /// Questions that were answered before, under another daemon.
    answered: BTreeSet<String>,
    /// Part of the output was not kept.
    dropped: bool,
    stall_timeout: Duration,
    quiet_since: Instant,
    looked: bool,
    /// What it amounted to when a silence began in which only its background tasks were left.
    rest: Option<Conclusion>,
}

impl Follower {
    pub(super) fn new(folder: PathBuf, stall_timeout: Duration, now: Instant) -> Self {
        let input = std::fs::read(folder.join("stdin")).unwrap_or_default();
        Self {
            answered: answered_requests(&input),
            folder,
            output: None,
            position: 0,
            line: Vec::new(),
            skipping: false,
            transcript: Transcript::new(),
            dropped: false,
            stall_timeout,
            quiet_since: now,
            looked: false,
            rest: None,
        }
    }

    /// Reads what is there and tells the news in it.
    pub(super) fn read(&mut self, now: Instant, mut tell: impl FnMut(News)) {
        let mut chunk = [0; CHUNK];
        loop {
            match self.read_chunk(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    self.quiet_since = now;
                    self.take(&chunk[..count], &mut tell);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "a worker's output cannot be read");
                    return;
                }
            }
        }
    }

    fn read_chunk(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        if self.output.is_none() {
            self.output = Some(File::open(self.folder.join("output"))?);
        }
        let Some(output) = &self.output else { return Ok(0) };
        if output.metadata()?.len() <= self.position {
            return Ok(0);
        }
        // What lies behind the hole's beginning and was not read yet is gone.
        if let Some(hole) = dropped_range(output)?.filter(|hole| hole.contains(&self.position)) {
            self.position = hole.end;
            self.dropped = true;
            self.line.clear();
            self.skipping = true;
        }
        let count = output.read_at(chunk, self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(News)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            rest = tail;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let news = if self.line.is_empty() {
                self.transcript.line(head)
            } else {
                self.line.extend_from_slice(head);
                self.transcript.line(&self.line)
            };
            self.line.clear();
            self.line.shrink_to(LINE_KEPT);
            if let Some(news) = news.filter(|news| self.is_new(news)) {
                tell(news);
            }
        }
        if !self.skipping {
            self.line.extend_from_slice(rest);
            if self.line.len() > LINE_MAX {
                self.line = Vec::new();
                self.skipping = true;
            }
        }
    }

    fn is_new(&self, news: &News) -> bool {
        !matches!(news, News::Asked(question) if self.answered.contains(&question.request_id))
    }

    /// True once, after the first look.
    pub(super) fn has_caught_up(&mut self) -> bool {
        !std::mem::replace(&mut self.looked, true)
    }

    /// Whether nothing has come for the stall timeout; counts anew after that.
    pub(super) fn is_silent(&mut self, now: Instant) -> bool {
        let silent = now.duration_since(self.quiet_since) >= self.stall_timeout;
        if silent {
            self.quiet_since = now;
            self.rest = self.transcript.rests().then(|| {
                self.transcript.conclude(&End {
                    exit_code: Some(0),
                    output_dropped: self.dropped,
                    at_rest: true,
                    ..End::default()
                })
            });
        }
        silent
    }

    /// A silence counts from now on.
    pub(super) fn awake(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// What became of it, once everything has been read.
    pub(super) fn conclude(&mut self, end: &Ending) -> Judged {
        let stopped = matches!(end, Ending::Exited(exit) if exit.stopped == Some(StopCause::Request));
        match self.rest.take().filter(|_| stopped) {
            Some(conclusion) => Judged {
                conclusion,
                rested: true,
            },
            None => Judged {
                conclusion: self.judge(end),
                rested: false,
            },
        }
    }

    fn judge(&self, end: &Ending) -> Conclusion {
        let stderr = stderr_tail(&self.folder).unwrap_or_default();
        let (exit_code, signal) = match end {
            Ending::Exited(exit) => (exit.exit_code, exit.signal),
            Ending::Lost(_) => (None, None),
        };
        self.transcript.conclude(&End {
            exit_code,
            signal,
            partial_line: !self.line.is_empty() || self.skipping,
            stderr_tail: &stderr,
            output_dropped: self.dropped,
            at_rest: false,
        })
    }
}

/// The last words on stderr.
fn stderr_tail(folder: &std::path::Path) -> io::Result<String> {
    let file = File::open(folder.join("stderr"))?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(STDERR_TAIL);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    let count = file.read_at(&mut bytes, start)?;
    bytes.truncate(count);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
