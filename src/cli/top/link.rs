//! The two connections to the daemon: one that tells what happens, one that is asked.
//!
//! Neither is ever waited for, and both come back after a restart of the daemon. News are taken up to a number at a
//! time: of a queue that moves faster than anybody reads, a new picture twice a second tells as much.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::model::{Input, Model};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::client::{Client, ClientError, Events};
use crate::protocol::{Answer, Event, Filter, Message, OneTask, ProcessFilter, StatusAnswer};

/// The pause before the first tries to reach the next daemon, and before all others.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);
/// A restart takes less than so many tries.
const SOON_TRIES: u32 = 50;
/// So many events within so long are worth reading one by one.
const EVENTS_MAX: u32 = 150;
const EVENTS_WITHIN: Duration = Duration::from_millis(250);
/// Else there is a picture this often.
const PICTURE_EVERY: Duration = Duration::from_millis(500);
/// What was done is not known if the connection breaks first.
const BROKEN: &str = "the daemon has gone away: whether it was done is not known";

/// What an answer belongs to.
#[derive(Debug)]
enum Asked {
    Status {
        with_tasks: bool,
    },
    Admission,
    Processes,
    Explanation,
    /// A change, and what to say when it is done.
    Change(String),
}

/// Both of them.
pub(super) struct Link<'a> {
    context: &'a Context,
    events: Option<Events>,
    client: Option<Client>,
    asked: VecDeque<Asked>,
    /// The daemon is gone, as against: it says more than is read.
    is_away: bool,
    tries: u32,
    next_try: Instant,
    /// Events since then.
    count: u32,
    counted_from: Instant,
    /// Some that were read from the socket were not taken yet.
    more: bool,
}

impl<'a> Link<'a> {
    /// Connects; starts the daemon if need be.
    pub(super) fn start(context: &'a Context) -> Result<(StatusAnswer, Self), Failure> {
        let (status, events) = context.connect()?.subscribe(Model::subscribe())?;
        let now = Instant::now();
        let link = Self {
            context,
            events: Some(events),
            client: None,
            asked: VecDeque::new(),
            is_away: false,
            tries: 0,
            next_try: now,
            count: 0,
            counted_from: now,
            more: false,
        };
        Ok((status, link))
    }

    /// Readable when there is news or an answer.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let events = self.events.as_ref().map(Events::as_fd);
        let client = self.client.as_ref().map(Client::as_fd);
        events.into_iter().chain(client)
    }

    /// How long nothing needs to be done without news.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        match self.events {
            None => Some(self.next_try.saturating_duration_since(now)),
            Some(_) => self.more.then_some(Duration::ZERO),
        }
    }

    /// Whether answers are still to come.
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Asks how everything stands; also which tasks there are, if that is not known well enough, and which processes.
    pub(super) fn look(&mut self, with_tasks: bool, with_processes: bool) -> Vec<Input> {
        let filter = Filter {
            limit: with_tasks.then(|| Model::subscribe().limit).flatten(),
            summary_only: !with_tasks,
            ..Filter::default()
        };
        let mut inputs = self.ask(&Message::Status(filter), Asked::Status { with_tasks });
        inputs.extend(self.ask(&Message::Admission {}, Asked::Admission));
        if with_processes {
            let all = ProcessFilter::default();
            inputs.extend(self.ask(&Message::ProcessList(all), Asked::Processes));
        }
        inputs
    }

    /// Asks why a task waits.
    pub(super) fn explain(&mut self, id: String) -> Vec<Input> {
        self.ask(&Message::Explain(OneTask { id }), Asked::Explanation)
    }

    /// Asks for a change.
    pub(super) fn change(&mut self, message: &Message, done: String) -> Vec<Input> {
        self.ask(message, Asked::Change(done))
    }

    fn ask(&mut self, message: &Message, asked: Asked) -> Vec<Input> {
        self.asked.push_back(asked);
        if self.client.is_none() {
            // A daemon that has been ended on purpose is not started by a look at it.
            let socket = self.context.paths().map(|paths| paths.socket);
            self.client = socket.ok().and_then(|socket| Client::connect(&socket).ok());
        }
        let sent = self.client.as_mut().map(|client| client.send(message));
        match sent {
            Some(Ok(())) => Vec::new(),
            Some(Err(_)) => self.lose(BROKEN),
            None => self.lose("no daemon listens: nothing was done"),
        }
    }

    /// What was asked gets no answer.
    fn lose(&mut self, words: &str) -> Vec<Input> {
        self.client = None;
        let lost = std::mem::take(&mut self.asked);
        let is_change = |asked: &Asked| matches!(asked, Asked::Change(_));
        let changes = lost.iter().filter(|asked| is_change(asked));
        changes.map(|_| Input::Refused(words.to_owned())).collect()
    }

    /// All that has come, without waiting for more.
    pub(super) fn take(&mut self, now: Instant) -> Result<Vec<Input>, Failure> {
        let mut inputs = self.take_answers();
        inputs.extend(self.take_events(now)?);
        if self.events.is_none() && self.next_try <= now {
            inputs.extend(self.try_again(now)?);
        }
        Ok(inputs)
    }

    fn take_answers(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut ready = self
            .client
            .as_ref()
            .is_some_and(|client| is_readable(client.as_fd()));
        // One read may bring several answers: what is left in the buffer makes no descriptor readable.
        while let Some(client) = self.client.as_mut().filter(|_| ready) {
            match client.next_timeout(Duration::ZERO) {
                Ok(Some(answer)) => {
                    if let Some(asked) = self.asked.pop_front() {
                        inputs.extend(input(asked, answer));
                    }
                    ready = self.is_waiting();
                }
                Ok(None) => ready = false,
                Err(_) => inputs.extend(self.lose(BROKEN)),
            }
        }
        inputs
    }

    fn take_events(&mut self, now: Instant) -> Result<Vec<Input>, Failure> {
        let mut inputs = Vec::new();
        let ready = |events: &Events| is_readable(events.as_fd());
        if !std::mem::take(&mut self.more) && !self.events.as_ref().is_some_and(ready) {
            return Ok(inputs);
        }
        if now.saturating_duration_since(self.counted_from) >= EVENTS_WITHIN {
            self.count = 0;
            self.counted_from = now;
        }
        while let Some(events) = &mut self.events {
            if self.count >= EVENTS_MAX {
                self.pause(now);
                break;
            }
            match events.next_timeout(Duration::ZERO) {
                Ok(None) => break,
                // Which events are missing is not known.
                Ok(Some(Event::Lagged { .. })) => self.pause(now),
                Ok(Some(event)) => {
                    self.count += 1;
                    inputs.push(Input::Event(event));
                }
                Err(ClientError::Protocol { detail }) => {
                    return Err(ClientError::Protocol { detail }.into());
                }
                Err(_) => {
                    self.events = None;
                    self.is_away = true;
                    self.tries = 0;
                    self.next_try = now + SOON;
                    inputs.push(Input::Away);
                }
            }
        }
        Ok(inputs)
    }

    /// Too much happens to read all of it: a new picture tells as much.
    fn pause(&mut self, now: Instant) {
        self.events = None;
        self.next_try = now + PICTURE_EVERY;
    }

    fn try_again(&mut self, now: Instant) -> Result<Vec<Input>, Failure> {
        self.tries += 1;
        self.next_try = now + if self.tries < SOON_TRIES { SOON } else { LATER };
        let socket = self.context.paths()?.socket;
        let subscribed = Client::connect(&socket).and_then(|client| client.subscribe(Model::subscribe()));
        match subscribed {
            Ok((status, events)) => {
                self.events = Some(events);
                self.is_away = false;
                self.tries = 0;
                self.count = 0;
                self.counted_from = now;
                Ok(vec![Input::Picture(status)])
            }
            Err(ClientError::Protocol { detail }) => Err(ClientError::Protocol { detail }.into()),
            Err(_) if self.is_away => Ok(Vec::new()),
            Err(_) => {
                self.is_away = true;
                Ok(vec![Input::Away])
            }
        }
    }
}

/// What an answer means.
fn input(asked: Asked, answer: Answer) -> Option<Input> {
    match (asked, answer) {
        (Asked::Status { with_tasks: true }, Answer::Status(status)) => Some(Input::Picture(status)),
        (Asked::Status { with_tasks: false }, Answer::Status(status)) => Some(Input::Summary(status.summary)),
        (Asked::Admission, Answer::Admission(answer)) => Some(Input::Admission(answer)),
        (Asked::Processes, Answer::Processes(answer)) => Some(Input::Processes(answer.processes)),
        (Asked::Explanation, Answer::Explanation(view)) => Some(Input::Explanation(view)),
        (Asked::Change(_), Answer::Error(refusal)) => Some(Input::Refused(refused(refusal.into()))),
        (Asked::Change(done), _) => Some(Input::Done(done)),
        // A task that is gone needs no explanation.
        _ => None,
    }
}

/// A refusal and what to do about it, in one line.
fn refused(failure: Failure) -> String {
    if failure.hint.is_empty() {
        failure.message
    } else {
        format!("{} ({})", failure.message, failure.hint)
    }
}

/// Whether a read would find something; it waits a little if not.
fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    !matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(0))
}
