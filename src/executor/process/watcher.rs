//! The executor's thread: hears pokes and refusals, looks at folders, replaces a dead launcher.

use std::io::{ErrorKind, Read};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc;

use super::explain_lost;
use super::launching::LauncherOptions;
use super::shared::{Chores, Shared};
use crate::executor::folder::{AttemptFolder, State};
use crate::executor::frame::{Decoder, NotStarted, Poke};
use crate::executor::{survivors, AttemptId, Report};
use crate::platform;

const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);
/// A shim that is just being started is there within this time or a few of it.
const BETWEEN_DELIVERIES: Duration = Duration::from_millis(10);
/// A launcher that dies again and again is restarted ever more slowly.
const RESTART_FIRST: Duration = Duration::from_millis(50);
const RESTART_AT_MOST: Duration = Duration::from_secs(5);
const LIVED_WELL: Duration = Duration::from_secs(10);

/// The launcher as the thread knows it.
struct Running {
    child: Child,
    socket: UnixStream,
    decoder: Decoder,
    since: Instant,
}

pub(super) struct Watcher {
    shared: Arc<Shared>,
    options: LauncherOptions,
    reports: mpsc::Sender<Report>,
    launcher: Option<Running>,
    restart_at: Instant,
    restart_delay: Duration,
    sweep_at: Instant,
}

/// What woke the thread.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    by_caller: bool,
    by_poke: bool,
    by_launcher: bool,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: LauncherOptions,
        launcher: (Child, UnixStream),
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            options,
            reports,
            launcher: Some(Running::new(launcher)),
            restart_at: now,
            restart_delay: RESTART_FIRST,
            sweep_at: now + BETWEEN_SWEEPS,
        }
    }

    /// Until the executor is dropped.
    pub(super) fn run(mut self, pokes: &UnixDatagram, woken: &UnixStream) {
        loop {
            let chores = self.shared.chores();
            if chores.closed {
                return self.retire();
            }
            let reason = self.wait(chores, pokes, woken);
            if reason.by_caller {
                drain(woken);
            }
            if reason.by_poke {
                self.hear(pokes);
            }
            if reason.by_launcher {
                self.hear_launcher();
            }
            self.shared.flush();
            if chores.undelivered {
                self.shared.deliver_again();
            }
            let now = Instant::now();
            if self.launcher.is_none() && now >= self.restart_at {
                self.restart();
            }
            if now >= self.sweep_at {
                self.sweep();
                self.sweep_at = Instant::now() + BETWEEN_SWEEPS;
            }
        }
    }

    fn wait(&self, chores: Chores, pokes: &UnixDatagram, woken: &UnixStream) -> Woken {
        let mut descriptors = vec![
            PollFd::new(woken, PollFlags::IN),
            PollFd::new(pokes, PollFlags::IN),
        ];
        if let Some(launcher) = &self.launcher {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, chores.sending);
            descriptors.push(PollFd::new(&launcher.socket, events));
        }
        let timeout = self.time_to_wait(chores).map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        if rustix::event::poll(&mut descriptors, timeout.as_ref()).is_err() {
            return Woken::default();
        }
        let is_ready = |index: usize| {
            let events = descriptors.get(index).map(PollFd::revents);
            events.is_some_and(|events| !(events - PollFlags::OUT).is_empty())
        };
        Woken {
            by_caller: is_ready(0),
            by_poke: is_ready(1),
            by_launcher: is_ready(2),
        }
    }

    fn time_to_wait(&self, chores: Chores) -> Option<Duration> {
        let now = Instant::now();
        let sweep = chores.watching.then_some(self.sweep_at);
        let delivery = chores.undelivered.then(|| now + BETWEEN_DELIVERIES);
        let restart = self.launcher.is_none().then_some(self.restart_at);
        let first = [sweep, delivery, restart].into_iter().flatten().min();
        first.map(|at| at.saturating_duration_since(now))
    }

    fn report(&self, report: Report) {
        // A closed channel means that the engine is gone; the next daemon finds the folder.
        let _ = self.reports.blocking_send(report);
    }

    /// Whoever says that an attempt is over is not believed: the folder is.
    fn hear(&self, pokes: &UnixDatagram) {
        let mut buffer = [0; 256];
        while let Ok(size) = pokes.recv(&mut buffer) {
            let Ok(poke) = serde_json::from_slice::<Poke>(&buffer[..size]) else {
                continue;
            };
            let Some(folder) = self.shared.folder(poke.id) else {
                continue;
            };
            match folder.read_exit() {
                Ok(exit) if self.shared.take(poke.id).is_some() => {
                    self.report(Report::Ended(poke.id, exit));
                }
                Ok(_) => {}
                Err(_) => self.judge(poke.id, &folder),
            }
        }
    }

    fn sweep(&self) {
        for (id, folder) in self.shared.launched() {
            self.judge(id, &folder);
        }
    }

    /// Reports an attempt's end if its folder shows one.
    fn judge(&self, id: AttemptId, folder: &AttemptFolder) {
        let seen_at = platform::ticks_since_boot();
        match folder.look() {
            Ok(State::Unprepared) => {}
            Ok(State::Alive(_)) => self.shared.note_alive(id, seen_at),
            Ok(State::Blank) => self.report_unstarted(id, folder, "its shim died too early"),
            Ok(State::Ended(exit)) => {
                if self.shared.take(id).is_some() {
                    self.report(Report::Ended(id, exit));
                }
            }
            Ok(State::Gone(record, reason)) => {
                if let Some(watched) = self.shared.take(id) {
                    let left = survivors::end(folder, record.as_ref(), watched.alive_at);
                    self.report(Report::Lost(id, explain_lost(reason, left)));
                }
            }
            Err(error) => {
                let path = folder.path().display();
                tracing::warn!(%path, %error, "an attempt's folder cannot be read");
            }
        }
    }

    fn report_unstarted(&self, id: AttemptId, folder: &AttemptFolder, reason: &str) {
        if self.shared.take(id).is_some() {
            folder.remove_unstarted();
            self.report(Report::NotStarted(id, reason.to_owned()));
        }
    }

    fn hear_launcher(&mut self) {
        let Some(launcher) = &mut self.launcher else {
            return;
        };
        let alive = match launcher.decoder.read_from(&mut launcher.socket) {
            Ok(alive) => alive,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        let mut refusals = Vec::new();
        while let Ok(Some(refusal)) = launcher.decoder.next::<NotStarted>() {
            refusals.push(refusal);
        }
        for NotStarted { id, reason } in refusals {
            // Its folder is not touched: it may be somebody else's.
            if self.shared.take(id).is_some() {
                self.report(Report::NotStarted(id, reason));
            }
        }
        if !alive {
            self.bury_launcher();
        }
    }

    fn bury_launcher(&mut self) {
        let Some(mut launcher) = self.launcher.take() else {
            return;
        };
        self.shared.lose_launcher();
        // It has closed its socket, so it is dead or of no use.
        let _ = launcher.child.kill();
        let status = launcher.child.wait();
        tracing::warn!(?status, "the launcher has died");
        if launcher.since.elapsed() > LIVED_WELL {
            self.restart_delay = RESTART_FIRST;
        }
        self.restart_at = Instant::now() + self.restart_delay;
        self.restart_delay = (self.restart_delay * 2).min(RESTART_AT_MOST);
    }

    /// Judges what the dead launcher left undone, and starts a new one.
    fn restart(&mut self) {
        let started = self.options.lock().and_then(|lock| {
            // Behind the lock nothing more is started, so a missing shim will never come.
            for (id, folder) in self.shared.launched() {
                if matches!(folder.look()?, State::Unprepared | State::Blank) {
                    self.report_unstarted(id, &folder, "the launcher died before it started it");
                }
            }
            self.options.spawn(lock)
        });
        let socket = started.and_then(|launcher| {
            let socket = launcher.1.try_clone()?;
            self.launcher = Some(Running::new(launcher));
            Ok(socket)
        });
        match socket {
            Ok(socket) => self.shared.use_launcher(socket),
            Err(error) => {
                tracing::error!(%error, "the launcher cannot be started");
                for id in self.shared.give_up_outgoing() {
                    if self.shared.take(id).is_some() {
                        let reason = format!("the launcher cannot be started: {error}");
                        self.report(Report::NotStarted(id, reason));
                    }
                }
                self.restart_at = Instant::now() + self.restart_delay;
                self.restart_delay = (self.restart_delay * 2).min(RESTART_AT_MOST);
            }
        }
    }

    /// Lets the launcher end and leaves no zombie of it.
    fn retire(self) {
        if let Some(Running {
            mut child, socket, ..
        }) = self.launcher
        {
            drop(socket);
            let _ = child.wait();
        }
    }
}

impl Running {
    fn new((child, socket): (Child, UnixStream)) -> Self {
        Self {
            child,
            socket,
            decoder: Decoder::default(),
            since: Instant::now(),
        }
    }
}

fn drain(mut woken: &UnixStream) {
    let mut buffer = [0; 64];
    while matches!(woken.read(&mut buffer), Ok(size) if size == buffer.len()) {}
}
