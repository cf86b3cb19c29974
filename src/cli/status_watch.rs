//! `status --watch`: the queue anew on each change, on a screen, in a pipe, or in one line for a bar.
//!
//! The daemon says when something has changed; then it is asked how everything stands, a few times a second at
//! most. It may be restarted meanwhile. The line for bars comes from the status file and needs no daemon at all.

use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use super::status::{line, Shown};
use super::status_format::{Format, STALE_MS};
use super::task_text::has_ended;
use crate::client::{Client, Events};
use crate::pane::Growth;
use crate::protocol::{Answer, Message, StatusAnswer, Subscribe};

/// As often as the status file at most.
const EVERY: Duration = Duration::from_millis(250);
/// On a screen durations go on.
const TICK: Duration = Duration::from_secs(1);
/// More events than this at a time need not be read to know that something happens.
const EVENTS_MAX: usize = 100;
/// A daemon that is restarted is back within this time.
const RECONNECT_WITHIN: Duration = Duration::from_secs(15);
const RECONNECT_EVERY: Duration = Duration::from_millis(100);
/// Where no system tells of a file, or the folder is not there yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Prints a line of this form on each change, until nobody reads it any more.
pub(crate) fn lines(context: &Context, format: &Format, off: &str) -> Result<Exit, Failure> {
    let watching = |error| Failure::bug(format!("cannot watch files: {error}"));
    let mut growth = Growth::new().map_err(watching)?;
    let folder = context.paths()?.runtime;
    let stdout = screen::raw_stdout()?;
    let mut printed = None;
    loop {
        growth.follow(&folder);
        growth.heard();
        let now = line(context, format, off)?;
        if printed.as_ref() != Some(&now) {
            screen::print_line(&now)?;
            printed = Some(now);
        }
        // A daemon that was killed removes no file: that it has grown old is seen without a change.
        let wait = growth
            .look_within()
            .map_or(LOOK_EVERY, |wait| wait.max(LOOK_EVERY));
        let wait = wait.min(Duration::from_millis(STALE_MS));
        let timeout = Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(1),
            tv_nsec: 0,
        };
        let mut waiting = [
            PollFd::new(&growth, PollFlags::IN),
            PollFd::new(&stdout, PollFlags::empty()),
        ];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::bug(format!("cannot wait for a change: {error}"))),
        }
        if !waiting[1].revents().is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

/// Prints the summary and the table on each change.
pub(crate) fn blocks(context: &Context, shown: &Shown) -> Result<Exit, Failure> {
    let mut watch = Watched::start(context, shown)?;
    loop {
        let rows = shown.is_on_screen().then(screen::size).flatten();
        let rows = rows.map(|(_, rows)| rows);
        let asked = Instant::now();
        let answer = watch.ask(rows)?;
        watch.print(answer, rows)?;
        while !watch.wait(asked)? {
            if let Some(answer) = watch.moving() {
                watch.print_again(answer, rows)?;
            }
        }
    }
}

/// Two connections: one that says that something has changed, one that is asked what.
struct Watched<'a> {
    context: &'a Context,
    shown: &'a Shown,
    events: Option<Events>,
    client: Option<Client>,
    printed: Option<StatusAnswer>,
}

impl<'a> Watched<'a> {
    fn start(context: &'a Context, shown: &'a Shown) -> Result<Self, Failure> {
        let (_, events) = context.connect()?.subscribe(all())?;
        Ok(Self {
            context,
            shown,
            events: Some(events),
            client: None,
            printed: None,
        })
    }

    /// How everything stands, across a restart of the daemon.
    fn ask(&mut self, rows: Option<usize>) -> Result<StatusAnswer, Failure> {
        let deadline = Instant::now() + RECONNECT_WITHIN;
        loop {
            match self.try_ask(rows) {
                Err(failure) if failure.exit == Exit::NoDaemon && Instant::now() < deadline => {
                    self.client = None;
                    self.events = None;
                    std::thread::sleep(RECONNECT_EVERY);
                }
                answer => return answer,
            }
        }
    }

    fn try_ask(&mut self, rows: Option<usize>) -> Result<StatusAnswer, Failure> {
        let socket = self.context.paths()?.socket;
        if self.events.is_none() {
            // Before the question: what changes after its answer is heard of.
            let (_, events) = Client::connect(&socket)?.subscribe(all())?;
            self.events = Some(events);
        }
        if self.client.is_none() {
            self.client = Some(Client::connect(&socket)?);
        }
        let message = Message::Status(self.shown.filter(rows));
        let answer = self.client.as_mut().map(|client| client.ask(&message));
        match answer.transpose()? {
            Some(Answer::Status(answer)) => Ok(answer),
            Some(other) => Err(Failure::unexpected_answer(&other)),
            None => Err(Failure::no_daemon("the daemon has gone away")),
        }
    }

    fn print(&mut self, answer: StatusAnswer, rows: Option<usize>) -> Result<(), Failure> {
        if self.printed.as_ref() != Some(&answer) {
            self.printed = Some(answer.clone());
            self.print_again(answer, rows)?;
        }
        Ok(())
    }

    fn print_again(&self, answer: StatusAnswer, rows: Option<usize>) -> Result<(), Failure> {
        if self.shown.is_json() {
            return Ok(screen::print_json(&answer)?);
        }
        let text = self.shown.text(answer, rows);
        if self.shown.is_on_screen() {
            return Ok(screen::print_in_place(&text)?);
        }
        Ok(screen::print(&format!("{text}\n"))?)
    }

    /// What is on the screen, if the durations in it go on.
    fn moving(&self) -> Option<StatusAnswer> {
        let is_moving = |answer: &&StatusAnswer| answer.tasks.iter().any(|task| !has_ended(task));
        self.printed
            .as_ref()
            .filter(|_| self.shown.is_on_screen())
            .filter(is_moving)
            .cloned()
    }

    /// Waits for a change, and after the last question long enough; false if a second has passed without one.
    fn wait(&mut self, asked: Instant) -> Result<bool, Failure> {
        let Some(events) = &mut self.events else {
            return Ok(true);
        };
        match events.next_timeout(TICK) {
            Ok(None) => return Ok(false),
            Ok(Some(_)) => {}
            Err(error) => {
                self.events = None;
                let failure = Failure::from(error);
                return if failure.exit == Exit::NoDaemon {
                    Ok(true)
                } else {
                    Err(failure)
                };
            }
        }
        std::thread::sleep(EVERY.saturating_sub(asked.elapsed()));
        for _ in 0..EVENTS_MAX {
            match events.next_timeout(Duration::ZERO) {
                Ok(None) => return Ok(true),
                Ok(Some(_)) => {}
                Err(_) => break,
            }
        }
        // More than is worth reading, or the daemon has gone: subscribed anew before the next question.
        self.events = None;
        Ok(true)
    }
}

fn all() -> Subscribe {
    Subscribe {
        limit: Some(0),
        ..Subscribe::default()
    }
}
