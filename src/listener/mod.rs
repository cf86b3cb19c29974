//! Listens to what Claude workers print while they run, and says what became of them when they end.
//!
//! A thread of its own reads the output files, so that a long one never holds up the engine. It
//! looks at each file a few times a second while it is followed, and sleeps while none is.

mod follower;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::follower::Follower;
use crate::claude::{Conclusion, News};
use crate::executor::{AttemptId, Exit};

/// How soon a question is noticed. Looking costs one system call for each worker.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Two for each attempt that can be running (the pool has 4096 slots at most), so that the engine
/// never waits for the thread.
const REQUESTS_MAX: usize = 16_384;
/// News that the engine has not taken yet; the thread waits when there are more.
pub const HEARD_MAX: usize = 1024;

/// What the engine wants to know.
enum Request {
    /// Listen to this attempt from its first line on.
    Follow {
        id: AttemptId,
        folder: PathBuf,
        stall_timeout: Duration,
    },
    /// It goes on after a wait that was not its own: its silence begins now.
    Awake(AttemptId),
    /// It is over: read the rest and judge.
    Conclude {
        id: AttemptId,
        folder: PathBuf,
        end: Ending,
    },
}

/// How an attempt ended, as the executor tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// With an outcome.
    Exited(Box<Exit>),
    /// Its shim is gone without one.
    Lost(String),
}

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// Something that matters while it runs.
    News(AttemptId, News),
    /// All that was there when listening began has been told.
    CaughtUp(AttemptId),
    /// Nothing at all for the stall timeout.
    Silent(AttemptId),
    /// What became of it.
    Concluded(AttemptId, Ending, Box<Judged>),
}

/// A judgement of the output.
#[derive(Debug)]
pub struct Judged {
    /// What the output says.
    pub conclusion: Conclusion,
    /// The silence that it was stopped for was a rest: the work was done, and only tasks in the
    /// background were left.
    pub rested: bool,
}

/// The engine's end.
pub struct Listener {
    requests: SyncSender<Request>,
}

impl Listener {
    /// Starts the thread; what it hears goes to `heard`. It ends when the listener is dropped.
    pub fn start(heard: mpsc::Sender<Heard>) -> std::io::Result<Self> {
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        let ears = Ears {
            inbox,
            heard,
            followers: BTreeMap::new(),
        };
        let work = move || ears.run();
        std::thread::Builder::new()
            .name("listener".to_owned())
            .spawn(work)?;
        Ok(Self { requests })
    }

    /// Listens to an attempt from its first line on.
    pub fn follow(&self, id: AttemptId, folder: PathBuf, stall_timeout: Duration) {
        self.send(Request::Follow {
            id,
            folder,
            stall_timeout,
        });
    }

    /// It was paused, or waited for an answer: a silence counts from now on.
    pub fn awake(&self, id: AttemptId) {
        self.send(Request::Awake(id));
    }

    /// Judges an attempt that is over; the answer is `Heard::Concluded`.
    pub fn conclude(&self, id: AttemptId, folder: PathBuf, end: Ending) {
        self.send(Request::Conclude { id, folder, end });
    }

    fn send(&self, request: Request) {
        match self.requests.try_send(request) {
            Ok(()) => {}
            // The thread never waits for the engine for long: what it sends is bounded and taken.
            Err(TrySendError::Full(request)) => {
                let _ = self.requests.send(request);
            }
            Err(TrySendError::Disconnected(_)) => tracing::error!("the listener has ended: a bug"),
        }
    }
}

/// The thread's own part.
struct Ears {
    inbox: Receiver<Request>,
    heard: mpsc::Sender<Heard>,
    followers: BTreeMap<AttemptId, Follower>,
}

impl Ears {
    fn run(mut self) {
        while let Some(request) = self.next_request() {
            match request {
                Some(Request::Follow {
                    id,
                    folder,
                    stall_timeout,
                }) => {
                    self.followers
                        .insert(id, Follower::new(folder, stall_timeout, Instant::now()));
                }
                Some(Request::Awake(id)) => {
                    if let Some(follower) = self.followers.get_mut(&id) {
                        follower.awake(Instant::now());
                    }
                }
                Some(Request::Conclude { id, folder, end }) => self.conclude(id, folder, end),
                None => {}
            }
            self.look();
        }
    }

    /// `None` when the engine is gone; nothing within the time between two looks.
    fn next_request(&self) -> Option<Option<Request>> {
        if self.followers.is_empty() {
            return self.inbox.recv().ok().map(Some);
        }
        match self.inbox.recv_timeout(LOOK_EVERY) {
            Ok(request) => Some(Some(request)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        for (id, follower) in &mut self.followers {
            let heard = &self.heard;
            follower.read(now, |news| tell(heard, Heard::News(*id, news)));
            if follower.has_caught_up() {
                tell(heard, Heard::CaughtUp(*id));
            }
            if follower.is_silent(now) {
                tell(heard, Heard::Silent(*id));
            }
        }
    }

    fn conclude(&mut self, id: AttemptId, folder: PathBuf, end: Ending) {
        let now = Instant::now();
        let follower = self.followers.remove(&id);
        let mut follower = follower.unwrap_or_else(|| Follower::new(folder, Duration::MAX, now));
        let heard = &self.heard;
        follower.read(now, |news| tell(heard, Heard::News(id, news)));
        let judged = Box::new(follower.conclude(&end));
        tell(heard, Heard::Concluded(id, end, judged));
    }
}

/// A closed channel means that the engine is gone; the next one listens from the first line on.
fn tell(heard: &mpsc::Sender<Heard>, what: Heard) {
    let _ = heard.blocking_send(what);
}

#[cfg(test)]
mod tests;
