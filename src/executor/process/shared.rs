//! What the executor's callers and its thread share: who is watched, and what is still to be sent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::executor::folder::{AttemptFolder, Control, State};
use crate::executor::frame::{self, Request};
use crate::executor::{AttemptId, Launch, StopPlan};
use crate::platform::{self, Process};

/// A change that a caller wants of a running attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Stop(StopPlan),
    Pause(bool),
}

/// An attempt whose end has not been reported.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) folder: AttemptFolder,
    control: Control,
    /// The shim was not there yet to be told.
    undelivered: bool,
    /// When its shim was last seen alive, in the platform's ticks.
    pub(super) alive_at: Option<u64>,
}

/// A launch on its way to the launcher.
struct Frame {
    id: AttemptId,
    bytes: Vec<u8>,
    written: usize,
}

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// A byte in here wakes the thread.
    wake: UnixStream,
}

struct Inner {
    watched: HashMap<AttemptId, Watched>,
    /// Bounded by the slots of the pool: each launch waits here at most once.
    outgoing: VecDeque<Frame>,
    launcher: Option<UnixStream>,
    /// The thread sleeps without a timeout.
    asleep: bool,
    closed: bool,
}

/// What the thread has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chores {
    pub(super) closed: bool,
    pub(super) watching: bool,
    pub(super) sending: bool,
    pub(super) undelivered: bool,
}

impl Shared {
    pub(super) fn new(launcher: UnixStream, wake: UnixStream) -> Self {
        let inner = Inner {
            watched: HashMap::new(),
            outgoing: VecDeque::new(),
            launcher: Some(launcher),
            asleep: false,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            wake,
        }
    }

    /// Every change below is complete before anything can panic, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // A full pipe wakes as well.
        let _ = (&self.wake).write(&[1]);
    }

    /// No more reports; the launcher ends when it has done what it has received.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.outgoing.clear();
        inner.launcher = None;
        drop(inner);
        self.wake();
    }

    pub(super) fn launch(&self, launch: Launch) -> io::Result<()> {
        let id = launch.id;
        let folder = AttemptFolder::new(launch.folder.clone());
        let bytes = frame::encode(&Request::Launch(Box::new(launch)))?;
        let mut inner = self.lock();
        inner.watch(id, folder, Control::default())?;
        let written = 0;
        inner.outgoing.push_back(Frame { id, bytes, written });
        inner.flush();
        if inner.asleep || !inner.outgoing.is_empty() {
            inner.asleep = false;
            drop(inner);
            self.wake();
        }
        Ok(())
    }

    /// Watches an attempt of an earlier daemon. Returns whether that one asked it to stop.
    pub(super) fn watch(&self, id: AttemptId, folder: &AttemptFolder) -> io::Result<bool> {
        // What the last daemon asked for still stands, and is said again: that one may have died
        // between writing it down and telling the shim.
        let control = folder.read_control().unwrap_or_default();
        let said = folder.file("control.json").exists();
        let mut inner = self.lock();
        inner.watch(id, folder.clone(), control)?;
        if let Some(watched) = inner.watched.get_mut(&id) {
            watched.undelivered = said;
        }
        inner.asleep = false;
        drop(inner);
        self.wake();
        Ok(control.stop.is_some())
    }

    /// Stops watching; `None` if somebody else has. Whoever takes an attempt reports its end.
    pub(super) fn take(&self, id: AttemptId) -> Option<Watched> {
        self.lock().watched.remove(&id)
    }

    pub(super) fn folder(&self, id: AttemptId) -> Option<AttemptFolder> {
        let inner = self.lock();
        inner.watched.get(&id).map(|watched| watched.folder.clone())
    }

    pub(super) fn note_alive(&self, id: AttemptId, at: u64) {
        if let Some(watched) = self.lock().watched.get_mut(&id) {
            watched.alive_at = Some(at);
        }
    }

    /// Everyone that the launcher has been told of.
    pub(super) fn launched(&self) -> Vec<(AttemptId, AttemptFolder)> {
        let inner = self.lock();
        let queued: HashSet<AttemptId> = inner.outgoing.iter().map(|frame| frame.id).collect();
        let launched = inner.watched.iter().filter(|(id, _)| !queued.contains(id));
        launched
            .map(|(id, watched)| (*id, watched.folder.clone()))
            .collect()
    }

    pub(super) fn change(&self, id: AttemptId, change: Change) -> io::Result<()> {
        let mut inner = self.lock();
        let Some(watched) = inner.watched.get_mut(&id) else {
            return Ok(());
        };
        match change {
            Change::Pause(false) if !watched.control.paused => return Ok(()),
            Change::Stop(plan) => watched.control.stop = Some(plan),
            Change::Pause(paused) => watched.control.paused = paused,
        }
        watched.undelivered = !deliver(&watched.folder, watched.control)?;
        if watched.undelivered {
            inner.asleep = false;
            drop(inner);
            self.wake();
        }
        Ok(())
    }

    /// Tries again what could not be delivered, since the shim had not been started.
    pub(super) fn deliver_again(&self) {
        for watched in self.lock().watched.values_mut() {
            if watched.undelivered {
                // An error is as likely to pass as the reason for the first failure.
                watched.undelivered = !deliver(&watched.folder, watched.control).unwrap_or(false);
            }
        }
    }

    /// Sends what the launcher takes without waiting.
    pub(super) fn flush(&self) {
        self.lock().flush();
    }

    /// Before the thread sleeps: what is there to do. If nothing is, callers will wake it.
    pub(super) fn chores(&self) -> Chores {
        let mut inner = self.lock();
        let chores = Chores {
            closed: inner.closed,
            watching: !inner.watched.is_empty(),
            sending: !inner.outgoing.is_empty(),
            undelivered: inner.watched.values().any(|watched| watched.undelivered),
        };
        inner.asleep = !chores.watching;
        chores
    }

    /// The launcher is gone. What it had not received in full can be sent to the next one.
    pub(super) fn lose_launcher(&self) {
        let mut inner = self.lock();
        inner.launcher = None;
        if let Some(frame) = inner.outgoing.front_mut() {
            frame.written = 0;
        }
    }

    /// There is a new launcher.
    pub(super) fn use_launcher(&self, launcher: UnixStream) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.launcher = Some(launcher);
            inner.flush();
        }
    }

    /// Gives up what was never sent: returns whose it was.
    pub(super) fn give_up_outgoing(&self) -> Vec<AttemptId> {
        self.lock().outgoing.drain(..).map(|frame| frame.id).collect()
    }
}

impl Inner {
    fn watch(&mut self, id: AttemptId, folder: AttemptFolder, control: Control) -> io::Result<()> {
        if self.closed || self.watched.contains_key(&id) {
            let text = format!("attempt {} of task {} is running", id.attempt, id.key.0);
            return Err(io::Error::new(ErrorKind::AlreadyExists, text));
        }
        let watched = Watched {
            folder,
            control,
            undelivered: false,
            alive_at: None,
        };
        self.watched.insert(id, watched);
        Ok(())
    }

    fn flush(&mut self) {
        let Some(launcher) = &mut self.launcher else {
            return;
        };
        while let Some(frame) = self.outgoing.front_mut() {
            match launcher.write(&frame.bytes[frame.written..]) {
                Ok(written) => frame.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Full, or dead: the thread sees which, and calls again.
                Err(_) => return,
            }
            if frame.written == frame.bytes.len() {
                self.outgoing.pop_front();
            }
        }
    }
}

/// Tells the shim. False if it is not there yet; one that is gone needs nothing.
fn deliver(folder: &AttemptFolder, control: Control) -> io::Result<bool> {
    let record = match folder.look()? {
        State::Unprepared | State::Alive(None) => return Ok(false),
        State::Alive(Some(record)) => record,
        State::Blank | State::Ended(_) | State::Gone(..) => return Ok(true),
    };
    let Ok(shim) = Process::open(record.pid) else {
        return Ok(true);
    };
    // The lock, held after the process was opened, proves that it is the shim and no stranger
    // with a reused pid; the start time proves that the record is the lock holder's.
    let still_alive = matches!(folder.look()?, State::Alive(_));
    let started = platform::status(record.pid).map(|status| status.started);
    if !still_alive || started != Some(record.started) {
        return Ok(true);
    }
    // A shim may have gone on to another attempt by now, so the signal only makes it read.
    match folder.leave_control(control) {
        Ok(()) => tell(&shim, libc::SIGUSR1)?,
        // A full disk must not keep a command running: by SIGTERM it is stopped as it was launched.
        Err(_) if control.stop.is_some() => tell(&shim, libc::SIGTERM)?,
        Err(error) => return Err(error),
    }
    // Somebody may have stopped the shim itself, which would never hear of anything.
    tell(&shim, libc::SIGCONT)?;
    Ok(true)
}

fn tell(shim: &Process, signal: i32) -> io::Result<()> {
    match shim.signal(signal) {
        // It has just ended, and its report is on the way.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}
