//! The daemon's news for a viewer that outlives the daemon.
//!
//! The daemon may be ended on purpose, so a viewer that sees it go never starts one: it waits for the next.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::client::{Client, ClientError, Events};
use crate::protocol::{ErrorCode, Event, StatusAnswer, Subscribe};

/// The pause before the first tries to reach the next daemon, and before all others.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);
/// A restart takes less than so many tries.
const SOON_TRIES: u32 = 50;
/// Events taken before the viewer gets a turn.
const EVENTS_AT_ONCE: usize = 256;

/// What the daemon says.
#[derive(Debug)]
pub(super) enum News {
    /// A task changed, or was removed.
    Event(Event),
    /// The tasks as they stand, in place of all that was heard before.
    Status(StatusAnswer),
    /// The daemon has gone away.
    Away,
}

/// A connection that comes back.
pub(super) struct Subscription<'a> {
    context: &'a Context,
    wanted: Subscribe,
    /// The task that is shown: its end must be heard even if it comes while the daemon is away.
    shown: Option<String>,
    events: Option<Events>,
    /// Some that were read from the socket were not taken yet.
    more: bool,
    tries: u32,
    next_try: Instant,
}

impl<'a> Subscription<'a> {
    /// Subscribes; starts the daemon if need be.
    pub(super) fn start(context: &'a Context, wanted: Subscribe) -> Result<(StatusAnswer, Self), Failure> {
        let (status, events) = context.connect()?.subscribe(wanted.clone())?;
        let subscription = Self {
            context,
            wanted,
            shown: None,
            events: Some(events),
            more: false,
            tries: 0,
            next_try: Instant::now(),
        };
        Ok((status, subscription))
    }

    /// The task that is shown from now on.
    pub(super) fn show(&mut self, id: &str) {
        self.shown = Some(id.to_owned());
    }

    /// Whether there is no daemon, as far as is known.
    pub(super) fn is_away(&self) -> bool {
        self.events.is_none()
    }

    /// Readable when there is news.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(Events::as_fd)
    }

    /// How long nothing needs to be done without news.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.is_away()
            .then(|| self.next_try.saturating_duration_since(Instant::now()))
            .or(self.more.then_some(Duration::ZERO))
    }

    /// The news that have come, without waiting for more.
    pub(super) fn take(&mut self) -> Result<Vec<News>, Failure> {
        let mut news = Vec::new();
        let ready = std::mem::take(&mut self.more) || self.is_readable();
        for _ in 0..EVENTS_AT_ONCE {
            let Some(events) = self.events.as_mut().filter(|_| ready) else {
                break;
            };
            match events.next_timeout(Duration::ZERO) {
                Ok(None) => return Ok(news),
                // Which events are missing is not known: ask for everything.
                Ok(Some(Event::Lagged { .. })) => self.events = None,
                Ok(Some(event)) => news.push(News::Event(event)),
                Err(ClientError::Broken { .. } | ClientError::Refused(_)) => {
                    self.events = None;
                    self.tries = 0;
                    self.next_try = Instant::now() + SOON;
                    news.push(News::Away);
                    return Ok(news);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.more = ready && !self.is_away();
        if self.is_away() && self.next_try <= Instant::now() {
            news.extend(self.try_again()?.map(News::Status));
        }
        Ok(news)
    }

    /// Whether a read would find something; it waits a little if not.
    fn is_readable(&self) -> bool {
        self.descriptor().is_some_and(|events| {
            let mut waiting = [PollFd::from_borrowed_fd(events, PollFlags::IN)];
            !matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(0))
        })
    }

    /// Subscribes again, if there is a daemon.
    fn try_again(&mut self) -> Result<Option<StatusAnswer>, Failure> {
        self.tries += 1;
        self.next_try = Instant::now() + if self.tries < SOON_TRIES { SOON } else { LATER };
        let mut wanted = self.wanted.clone();
        wanted.ids.extend(self.shown.clone());
        wanted.ids.dedup();
        match self.subscribe(wanted) {
            Ok((status, events)) => {
                self.events = Some(events);
                self.tries = 0;
                Ok(Some(status))
            }
            // The task that was shown has been removed.
            Err(ClientError::Refused(refusal)) if refusal.code == ErrorCode::UnknownTask => {
                if self.shown.take().is_none() {
                    return Err(ClientError::Refused(refusal).into());
                }
                self.next_try = Instant::now();
                Ok(None)
            }
            Err(ClientError::Protocol { detail }) => Err(ClientError::Protocol { detail }.into()),
            Err(_) => Ok(None),
        }
    }

    fn subscribe(&self, wanted: Subscribe) -> Result<(StatusAnswer, Events), ClientError> {
        Client::connect(&self.context.paths().map_err(gone)?.socket)?.subscribe(wanted)
    }
}

/// The paths were there a moment ago.
fn gone(failure: Failure) -> ClientError {
    ClientError::Broken {
        detail: failure.message,
    }
}
