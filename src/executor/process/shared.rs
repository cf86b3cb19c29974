//! What the executor's callers and its thread share: who is watched, and what is still to be sent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::watched::{Change, Watched};
use crate::executor::folder::AttemptFolder;
use crate::executor::frame::{self, Request};
use crate::executor::{AttemptId, Launch};

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
        let watched = Watched::launched(AttemptFolder::new(launch.folder.clone()), launch.stdin_open);
        let bytes = frame::encode(&Request::Launch(Box::new(launch)))?;
        let mut inner = self.lock();
        inner.watch(id, watched)?;
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
        let watched = Watched::adopted(folder.clone());
        let is_stopping = watched.is_stopping();
        let mut inner = self.lock();
        inner.watch(id, watched)?;
        inner.asleep = false;
        drop(inner);
        self.wake();
        Ok(is_stopping)
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

    /// An attempt that is over needs no change.
    pub(super) fn change(&self, id: AttemptId, change: Change) -> io::Result<()> {
        self.tell(id, |watched| watched.change(change)).unwrap_or(Ok(()))
    }

    /// Gives a command further lines.
    pub(super) fn feed(&self, id: AttemptId, lines: &[u8]) -> io::Result<()> {
        let over = || {
            let text = format!("attempt {} of task {} is not running", id.attempt, id.key.0);
            Err(io::Error::new(ErrorKind::NotFound, text))
        };
        self.tell(id, |watched| watched.feed(lines)).unwrap_or_else(over)
    }

    /// Wakes the thread for what could not be said; `None` if nobody watches the attempt.
    fn tell<Done>(&self, id: AttemptId, what: impl FnOnce(&mut Watched) -> Done) -> Option<Done> {
        let mut inner = self.lock();
        let watched = inner.watched.get_mut(&id)?;
        let done = what(watched);
        if watched.is_undelivered() {
            inner.asleep = false;
            drop(inner);
            self.wake();
        }
        Some(done)
    }

    /// Tries again what could not be delivered, since the shim had not been started.
    pub(super) fn deliver_again(&self) {
        for watched in self.lock().watched.values_mut() {
            if watched.is_undelivered() {
                // An error is as likely to pass as the reason for the first failure.
                let _ = watched.deliver();
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
            undelivered: inner.watched.values().any(Watched::is_undelivered),
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
    fn watch(&mut self, id: AttemptId, watched: Watched) -> io::Result<()> {
        if self.closed || self.watched.contains_key(&id) {
            let text = format!("attempt {} of task {} is running", id.attempt, id.key.0);
            return Err(io::Error::new(ErrorKind::AlreadyExists, text));
        }
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
