//! One watched attempt: what the daemon wants of it, and how its shim is told.

use std::io::{self, ErrorKind};

use crate::executor::folder::{AttemptFolder, Control, State};
use crate::executor::{input, StopPlan};
use crate::platform::{self, Process};

/// A change that a caller wants of a running attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Stop(StopPlan),
    Pause(bool),
    CloseInput,
}

/// An attempt whose end has not been reported.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) folder: AttemptFolder,
    control: Control,
    stdin_open: bool,
    unsaid: Unsaid,
    /// When its shim was last seen alive, in the platform's ticks.
    pub(super) alive_at: Option<u64>,
}

/// What the shim has not been told, as a rule because it was not there yet.
#[derive(Clone, Debug, Default)]
struct Unsaid {
    /// That `control.json` is to be what the daemon wants now.
    control: bool,
    /// That `stdin` may have grown.
    input: bool,
    /// What is to be appended to `stdin`. It waits for the milliseconds until the shim has made that.
    lines: Vec<u8>,
}

/// How far a word came.
enum Reached {
    /// There is no shim yet.
    Nobody,
    /// There is none any more, and it needs nothing.
    Gone,
    /// It heard all but the lines, if those could not be appended.
    Shim { appended: io::Result<()> },
}

enum Shim {
    NotYet,
    Gone,
    Alive(Process),
}

impl Watched {
    /// An attempt that is being launched.
    pub(super) fn launched(folder: AttemptFolder, stdin_open: bool) -> Self {
        Self {
            folder,
            control: Control::default(),
            stdin_open,
            unsaid: Unsaid::default(),
            alive_at: None,
        }
    }

    /// An attempt of an earlier daemon. What that one asked for still stands, and is said again: it
    /// may have died between writing it down and telling the shim.
    pub(super) fn adopted(folder: AttemptFolder) -> Self {
        let control = folder.read_control().unwrap_or_default();
        // A shim that has not written itself down is asked for its input as if it had one.
        let stdin_open = match folder.look() {
            Ok(State::Alive(Some(record))) => record.stdin_open,
            _ => true,
        };
        let unsaid = Unsaid {
            control: folder.file("control.json").exists(),
            input: stdin_open && folder.file("stdin").exists(),
            lines: Vec::new(),
        };
        Self {
            control,
            unsaid,
            ..Self::launched(folder, stdin_open)
        }
    }

    /// Whether it was asked to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.control.stop.is_some()
    }

    /// Whether the shim has still to be told something.
    pub(super) fn is_undelivered(&self) -> bool {
        self.unsaid.control || self.unsaid.input || !self.unsaid.lines.is_empty()
    }

    /// Notes a change and tells the shim.
    pub(super) fn change(&mut self, change: Change) -> io::Result<()> {
        let (closed_before, unsaid_before) = (self.control.input_closed, self.unsaid.control);
        match change {
            Change::Pause(false) if !self.control.paused => return Ok(()),
            Change::CloseInput if self.control.input_closed => return Ok(()),
            Change::Stop(plan) => self.control.stop = Some(plan),
            Change::Pause(paused) => self.control.paused = paused,
            Change::CloseInput => {
                self.check_input_open()?;
                self.control.input_closed = true;
            }
        }
        self.unsaid.control = true;
        self.deliver().inspect_err(|_| {
            self.control.input_closed = closed_before;
            self.unsaid.control = unsaid_before;
        })
    }

    /// Gives the command further lines.
    pub(super) fn feed(&mut self, lines: &[u8]) -> io::Result<()> {
        self.check_input_open()?;
        input::check_lines(lines)?;
        let waiting = self.unsaid.lines.len();
        self.unsaid.lines.extend_from_slice(lines);
        let error = match self.reach() {
            Ok(Reached::Nobody | Reached::Shim { appended: Ok(()) }) => return Ok(()),
            Ok(Reached::Gone) => io::Error::new(ErrorKind::NotFound, "the attempt is over"),
            Ok(Reached::Shim { appended: Err(error) }) => error,
            // They are in the file, so they are given; the shim is told later.
            Err(_) if self.unsaid.lines.is_empty() => return Ok(()),
            Err(error) => error,
        };
        self.unsaid.lines.truncate(waiting);
        Err(error)
    }

    fn check_input_open(&self) -> io::Result<()> {
        let (kind, text) = match (self.stdin_open, self.control.input_closed) {
            (true, false) => return Ok(()),
            (true, true) => (ErrorKind::BrokenPipe, "its standard input has been closed"),
            (false, _) => (ErrorKind::InvalidInput, "its standard input does not stay open"),
        };
        Err(io::Error::new(kind, text))
    }

    /// Tells the shim what it has not been told. With no shim there yet all of it stays unsaid.
    pub(super) fn deliver(&mut self) -> io::Result<()> {
        self.reach().map(|_| ())
    }

    fn reach(&mut self) -> io::Result<Reached> {
        let shim = match find(&self.folder)? {
            Shim::NotYet => return Ok(Reached::Nobody),
            Shim::Gone => {
                self.unsaid = Unsaid::default();
                return Ok(Reached::Gone);
            }
            Shim::Alive(shim) => shim,
        };
        let appended = self.append();
        // What cannot be appended must not keep a stop from being heard.
        if self.unsaid.control || self.unsaid.input {
            self.say(&shim)?;
        }
        Ok(Reached::Shim { appended })
    }

    fn append(&mut self) -> io::Result<()> {
        if !self.unsaid.lines.is_empty() {
            input::append(&self.folder.file("stdin"), &self.unsaid.lines)?;
            self.unsaid.lines = Vec::new();
            self.unsaid.input = true;
        }
        Ok(())
    }

    fn say(&mut self, shim: &Process) -> io::Result<()> {
        let mut control = self.control;
        // An input that still lacks something cannot be closed.
        control.input_closed &= self.unsaid.lines.is_empty();
        let left = match self.unsaid.control {
            true => self.folder.leave_control(control),
            false => Ok(()),
        };
        // A shim may have gone on to another attempt by now, so the signal only makes it read.
        match left {
            Ok(()) => tell(shim, libc::SIGUSR1)?,
            // A full disk must not keep a command running: by SIGTERM it is stopped as it was launched.
            Err(_) if control.stop.is_some() => tell(shim, libc::SIGTERM)?,
            Err(error) => return Err(error),
        }
        // Somebody may have stopped the shim itself, which would never hear of anything.
        tell(shim, libc::SIGCONT)?;
        self.unsaid.control = control != self.control;
        self.unsaid.input = false;
        Ok(())
    }
}

/// The shim, if it is there; one that is gone needs nothing.
fn find(folder: &AttemptFolder) -> io::Result<Shim> {
    let record = match folder.look()? {
        State::Unprepared | State::Alive(None) => return Ok(Shim::NotYet),
        State::Alive(Some(record)) => record,
        State::Blank | State::Ended(_) | State::Gone(..) => return Ok(Shim::Gone),
    };
    let shim = match Process::open(record.pid) {
        Ok(shim) => shim,
        // It may well be there.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => return Err(error),
        Err(_) => return Ok(Shim::Gone),
    };
    // The lock, held after the process was opened, proves that it is the shim and no stranger
    // with a reused pid; the start time proves that the record is the lock holder's.
    let still_alive = matches!(folder.look()?, State::Alive(_));
    let started = platform::status(record.pid).map(|status| status.started);
    if !still_alive || started != Some(record.started) {
        return Ok(Shim::Gone);
    }
    Ok(Shim::Alive(shim))
}

fn tell(shim: &Process, signal: i32) -> io::Result<()> {
    match shim.signal(signal) {
        // It has just ended, and its report is on the way.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}
