//! An executor without processes, for tests: it records what it is told, and the test says what
//! becomes of each attempt.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::input;
use super::{AttemptId, Executor, Exit, Found, Launch, Report, StopPlan};

/// The engine's end of the fake.
pub struct FakeExecutor {
    inner: Arc<Mutex<Inner>>,
}

/// The test's end of the fake. It must end empty: [`FakeHandle::assert_empty`].
#[derive(Clone)]
pub struct FakeHandle {
    inner: Arc<Mutex<Inner>>,
    reports: mpsc::Sender<Report>,
}

#[derive(Default)]
struct Inner {
    running: BTreeMap<AttemptId, Running>,
    launches: Vec<Launch>,
    stops: Vec<(AttemptId, StopPlan)>,
    feeds: Vec<(AttemptId, Vec<u8>)>,
    closed_inputs: Vec<AttemptId>,
    adopted: Vec<(AttemptId, PathBuf)>,
    found: HashMap<AttemptId, Found>,
    refusal: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    is_suspended: bool,
    input: Input,
}

/// What a command's standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// It does not stay open.
    Fixed,
    /// It takes further lines. So does that of an adopted attempt, since nobody said otherwise.
    Open,
    Closed,
}

impl Running {
    fn new(input: Input) -> Self {
        Self {
            is_suspended: false,
            input,
        }
    }
}

impl FakeExecutor {
    /// Both ends. Reports are sent without waiting, so the channel must have room for them.
    pub fn new(reports: mpsc::Sender<Report>) -> (Self, FakeHandle) {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let handle = FakeHandle {
            inner: Arc::clone(&inner),
            reports,
        };
        (Self { inner }, handle)
    }

    fn set_suspended(&mut self, id: AttemptId, suspended: bool) -> io::Result<()> {
        running(&mut lock(&self.inner), id)?.is_suspended = suspended;
        Ok(())
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn running(inner: &mut Inner, id: AttemptId) -> io::Result<&mut Running> {
    let missing = || io::Error::new(ErrorKind::NotFound, format!("{id:?} is not running"));
    inner.running.get_mut(&id).ok_or_else(missing)
}

/// The input of a running attempt that is to be fed or closed, or why it cannot be.
fn open_input(inner: &mut Inner, id: AttemptId) -> io::Result<&mut Input> {
    let input = &mut running(inner, id)?.input;
    let (kind, text) = match input {
        Input::Open => return Ok(input),
        Input::Closed => (ErrorKind::BrokenPipe, "has been closed"),
        Input::Fixed => (ErrorKind::InvalidInput, "does not stay open"),
    };
    Err(io::Error::new(kind, format!("the input of {id:?} {text}")))
}

impl Executor for FakeExecutor {
    fn launch(&mut self, launch: Launch) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        if let Some(reason) = &inner.refusal {
            return Err(io::Error::other(reason.clone()));
        }
        let input = if launch.stdin_open {
            Input::Open
        } else {
            Input::Fixed
        };
        if inner.running.insert(launch.id, Running::new(input)).is_some() {
            let text = format!("{:?} is running already", launch.id);
            return Err(io::Error::new(ErrorKind::AlreadyExists, text));
        }
        inner.launches.push(launch);
        Ok(())
    }

    fn stop(&mut self, id: AttemptId, plan: StopPlan) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        running(&mut inner, id)?;
        inner.stops.push((id, plan));
        Ok(())
    }

    fn suspend(&mut self, id: AttemptId) -> io::Result<()> {
        self.set_suspended(id, true)
    }

    fn resume(&mut self, id: AttemptId) -> io::Result<()> {
        self.set_suspended(id, false)
    }

    fn feed(&mut self, id: AttemptId, lines: &[u8]) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        open_input(&mut inner, id)?;
        input::check_lines(lines)?;
        inner.feeds.push((id, lines.to_vec()));
        Ok(())
    }

    fn close_input(&mut self, id: AttemptId) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        if running(&mut inner, id)?.input != Input::Closed {
            *open_input(&mut inner, id)? = Input::Closed;
            inner.closed_inputs.push(id);
        }
        Ok(())
    }

    fn adopt(&mut self, id: AttemptId, folder: PathBuf) -> io::Result<Found> {
        let mut inner = lock(&self.inner);
        inner.adopted.push((id, folder));
        let found = inner.found.remove(&id).unwrap_or(Found::NeverStarted);
        if matches!(found, Found::Running | Found::Stopping) {
            inner.running.insert(id, Running::new(Input::Open));
        }
        Ok(found)
    }
}

impl FakeHandle {
    /// What was launched, in order, since the last call.
    pub fn take_launches(&self) -> Vec<Launch> {
        std::mem::take(&mut lock(&self.inner).launches)
    }

    /// What was stopped, in order, since the last call.
    pub fn take_stops(&self) -> Vec<(AttemptId, StopPlan)> {
        std::mem::take(&mut lock(&self.inner).stops)
    }

    /// What was fed, in order, since the last call.
    pub fn take_feeds(&self) -> Vec<(AttemptId, Vec<u8>)> {
        std::mem::take(&mut lock(&self.inner).feeds)
    }

    /// Whose input was closed, in order, since the last call.
    pub fn take_closed_inputs(&self) -> Vec<AttemptId> {
        std::mem::take(&mut lock(&self.inner).closed_inputs)
    }

    /// What was adopted, in order, since the last call.
    pub fn take_adopted(&self) -> Vec<(AttemptId, PathBuf)> {
        std::mem::take(&mut lock(&self.inner).adopted)
    }

    /// Who runs now.
    pub fn running(&self) -> Vec<AttemptId> {
        lock(&self.inner).running.keys().copied().collect()
    }

    /// Whether it runs and is suspended.
    pub fn is_suspended(&self, id: AttemptId) -> bool {
        lock(&self.inner)
            .running
            .get(&id)
            .is_some_and(|running| running.is_suspended)
    }

    /// What the next adoption of this attempt finds; without it, that it never started.
    pub fn will_find(&self, id: AttemptId, found: Found) {
        lock(&self.inner).found.insert(id, found);
    }

    /// From now on launches fail with this text, or with `None` they work again.
    pub fn refuse_launches(&self, reason: Option<&str>) {
        lock(&self.inner).refusal = reason.map(str::to_owned);
    }

    /// Ends a running attempt.
    pub fn end(&self, id: AttemptId, exit: Exit) {
        self.report(id, Report::Ended(id, exit));
    }

    /// Ends a running attempt with this exit code.
    pub fn end_with_code(&self, id: AttemptId, exit_code: i32) {
        let exit_code = Some(exit_code);
        self.end(
            id,
            Exit {
                exit_code,
                ..Exit::default()
            },
        );
    }

    /// A launch comes to nothing.
    pub fn not_started(&self, id: AttemptId, reason: &str) {
        self.report(id, Report::NotStarted(id, reason.to_owned()));
    }

    /// A running attempt loses its shim.
    pub fn lose(&self, id: AttemptId, reason: &str) {
        self.report(id, Report::Lost(id, reason.to_owned()));
    }

    fn report(&self, id: AttemptId, report: Report) {
        let removed = lock(&self.inner).running.remove(&id);
        assert!(removed.is_some(), "{id:?} is not running");
        let sent = self.reports.try_send(report);
        assert!(sent.is_ok(), "no room for the report, or nobody hears it");
    }

    /// Panics if something still runs, or something recorded was not looked at.
    pub fn assert_empty(&self) {
        let inner = lock(&self.inner);
        assert!(inner.running.is_empty(), "running: {:?}", inner.running);
        assert!(inner.launches.is_empty(), "launches: {:?}", inner.launches);
        assert!(inner.stops.is_empty(), "stops: {:?}", inner.stops);
        assert!(inner.feeds.is_empty(), "feeds: {:?}", inner.feeds);
        let closed = &inner.closed_inputs;
        assert!(closed.is_empty(), "closed inputs: {closed:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wezterm_parallel_scheduler::TaskKey;

    #[test]
    fn what_was_fed_is_recorded_until_the_input_is_closed() {
        let (reports, _received) = mpsc::channel(1);
        let (mut executor, handle) = FakeExecutor::new(reports);
        let id = AttemptId {
            key: TaskKey(1),
            attempt: 1,
        };
        let missing = executor.feed(id, b"line\n").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        handle.will_find(id, Found::Running);
        executor.adopt(id, PathBuf::new()).unwrap();
        executor.feed(id, b"line\n").unwrap();
        let half = executor.feed(id, b"half").unwrap_err();
        assert_eq!(half.kind(), ErrorKind::InvalidInput);
        executor.close_input(id).unwrap();
        executor.close_input(id).unwrap();
        let closed = executor.feed(id, b"line\n").unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
        assert_eq!(handle.take_feeds(), [(id, b"line\n".to_vec())]);
        assert_eq!(handle.take_closed_inputs(), [id]);
        handle.lose(id, "the test is over");
        handle.assert_empty();
    }
}
