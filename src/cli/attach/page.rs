//! Where a viewer writes: a pane, or whatever stdout is.
//!
//! Workers' bytes pass the filter, the viewer's own lines stand on lines of their own, and a pane that does
//! not take any more can still be left by a signal.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags};

use crate::cli::screen;
use crate::pane::{EscapeFilter, Signals, TabState, TabWords, PASTE_MARKS_OFF, PASTE_MARKS_ON};

/// So soon a terminal that has been attached to the pane anew hears why to look. A multiplexer of WezTerm does
/// not tell it what was said before.
const TAB_AGAIN: Duration = Duration::from_secs(20);

/// The pane.
#[derive(Debug)]
pub(super) struct Page {
    stdout: File,
    pub(super) signals: Signals,
    /// What the worker writes on its output and, if that is kept apart, as errors.
    streams: [EscapeFilter; 2],
    /// `None` if the tab is not to be told, or there is none.
    tab: Option<TabWords>,
    tab_told: Instant,
    filtered: Vec<u8>,
    marks_pastes: bool,
}

/// One of the two files of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Output = 0,
    Errors = 1,
}

impl Page {
    pub(super) fn new(signals: Signals, with_tab: bool) -> io::Result<Self> {
        Ok(Self {
            stdout: screen::raw_stdout()?,
            signals,
            streams: [EscapeFilter::new(), EscapeFilter::new()],
            tab: (with_tab && screen::stdout_is_terminal()).then(TabWords::default),
            tab_told: Instant::now(),
            filtered: Vec::new(),
            marks_pastes: false,
        })
    }

    /// A place for what a worker wrote.
    pub(super) fn stream(&mut self, stream: Stream) -> StreamWriter<'_> {
        StreamWriter { page: self, stream }
    }

    /// A line of the viewer's own. What the worker left open is closed first.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        for stream in &mut self.streams {
            stream.settle(&mut bytes);
        }
        if screen::stdout_has_color() {
            bytes.extend_from_slice(line.as_bytes());
        } else {
            bytes.extend_from_slice(anstream::adapter::strip_str(line).to_string().as_bytes());
        }
        bytes.push(b'\n');
        self.write_all(&bytes)
    }

    /// The worker has ended: nothing of what it left half written reaches into what comes next.
    pub(super) fn end_streams(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for stream in &mut self.streams {
            stream.finish(&mut bytes);
            stream.settle(&mut bytes);
        }
        self.write_all(&bytes)
    }

    /// Tells the tab how things stand, if that has changed, or if it is time to say again why to look.
    pub(super) fn tell_tab(&mut self, state: TabState) -> io::Result<()> {
        let Some(tab) = &mut self.tab else {
            return Ok(());
        };
        let mut words = tab.update(state);
        if words.is_empty() && tab.ask_for_attention() && self.tab_told.elapsed() >= TAB_AGAIN {
            words = tab.again();
        }
        if !words.is_empty() {
            self.tab_told = Instant::now();
        }
        self.write_all(words.as_bytes())
    }

    /// How long until the tab is to be told again.
    pub(super) fn tab_due_in(&self) -> Option<Duration> {
        let asks = self.tab.as_ref().is_some_and(TabWords::ask_for_attention);
        asks.then(|| TAB_AGAIN.saturating_sub(self.tab_told.elapsed()))
    }

    /// Has the terminal say what is pasted, where keys are listened to.
    pub(super) fn mark_pastes(&mut self) -> io::Result<()> {
        self.marks_pastes = true;
        self.write_all(PASTE_MARKS_ON.as_bytes())
    }

    /// Leaves the pane as it was found, as far as a line of text can.
    pub(super) fn leave(&mut self) {
        // A pane that is gone needs nothing.
        if std::mem::take(&mut self.marks_pastes) {
            let _ = self.write_all(PASTE_MARKS_OFF.as_bytes());
        }
        let _ = self
            .end_streams()
            .and_then(|()| self.tell_tab(TabState::default()));
    }

    /// Readable for nothing; ready when whoever reads has gone.
    pub(super) fn stdout(&self) -> &File {
        &self.stdout
    }

    /// Writes while the pane takes it. A stalled pane takes nothing, and a write to it could not be left.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.signals.have_ended() {
                return self.stdout.write_all_at_once(bytes);
            }
            let mut waiting = [
                PollFd::new(&self.stdout, PollFlags::OUT),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (ready, signalled) = (!waiting[0].revents().is_empty(), !waiting[1].revents().is_empty());
            if signalled {
                self.signals.heard();
            }
            if ready {
                match self.stdout.write(bytes) {
                    Ok(count) => bytes = &bytes[count..],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Writing for the last time.
trait WriteAtOnce {
    fn write_all_at_once(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl WriteAtOnce for File {
    /// Writes if there is room at once; what does not fit is given up, since the viewer is to end.
    fn write_all_at_once(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut waiting = [PollFd::new(&*self, PollFlags::OUT)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = poll(&mut waiting, Some(&now))? > 0;
        // A pane with room takes this much without a wait.
        if ready && bytes.len() <= LAST_WORDS_MAX {
            self.write_all(bytes)?;
        }
        Ok(())
    }
}

/// A terminal that says that it has room has room for this many bytes (Linux: 256).
const LAST_WORDS_MAX: usize = 256;

/// Writes what a worker wrote.
pub(super) struct StreamWriter<'a> {
    page: &'a mut Page,
    stream: Stream,
}

impl io::Write for StreamWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let page = &mut *self.page;
        let mut filtered = std::mem::take(&mut page.filtered);
        filtered.clear();
        // The other file's half line is not gone on with.
        page.streams[1 - self.stream as usize].settle(&mut filtered);
        page.streams[self.stream as usize].feed(bytes, &mut filtered);
        let written = page.write_all(&filtered);
        page.filtered = filtered;
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
