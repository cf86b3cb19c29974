//! Reads the host for the engine, on a thread of its own: a kernel that answers slowly must not hold up the queue.
//!
//! While tasks run or wait for their turn, and admission is enabled, the machine is read twice a second, else once in
//! five seconds: that is next to nothing, and whoever comes after a rest finds a reading to compare with. How long ago
//! something was read goes along with it; a thread that hangs shows as a reading that gets old.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::executor::{shim_of, AttemptId};
use crate::host::{Host, OomKills, Reading, TreeMemory, Unreadable};
use crate::platform::since_boot;

/// From one sample to the next while something runs or waits.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// The same while nothing does.
const REST_EVERY: Duration = Duration::from_secs(5);
/// From the first sample to the second one. Use of the processors is the change from one to the other: the first by itself
/// says nothing of them, and whoever started tasks by it would start as many as there are slots.
const SECOND_AFTER: Duration = Duration::from_millis(200);
/// A request and the next one; what does not fit is asked again half a second later.
const REQUESTS_MAX: usize = 4;
/// Samples that the engine has not taken yet. An engine that is this far behind has older ones to read first.
pub const GAUGED_MAX: usize = 8;

/// What the engine wants to know.
enum Request {
    /// Something runs or waits from now on, or nothing any more.
    Busy(bool),
    /// The memory of these attempts' trees, by their folders.
    Trees(Vec<(AttemptId, PathBuf)>),
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Gauged {
    /// The machine, and how many processes the kernel has ended for want of memory.
    Host(Box<Reading>, Result<OomKills, Unreadable>),
    /// The trees of attempts that could be read, at this time since boot.
    Trees(Duration, Vec<(AttemptId, TreeMemory)>),
}

/// The host, read by the thread and, at a worker's end, by the engine.
type SharedHost = Arc<Mutex<Box<dyn Host>>>;

/// The engine's end.
pub struct Gauge {
    requests: SyncSender<Request>,
    host: SharedHost,
    is_busy: bool,
}

impl Gauge {
    /// Starts the thread; what it reads goes to `gauged`, from the second sample on, which follows soon. It ends when the gauge is
    /// dropped.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(host: Box<dyn Host>, gauged: mpsc::Sender<Gauged>) -> std::io::Result<Self> {
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        let host: SharedHost = Arc::new(Mutex::new(host));
        let thread = Thread {
            inbox,
            gauged,
            host: Arc::clone(&host),
            wanted: None,
            shims: HashMap::new(),
        };
        let work = move || thread.run();
        std::thread::Builder::new().name("gauge".to_owned()).spawn(work)?;
        Ok(Self {
            requests,
            host,
            is_busy: false,
        })
    }

    /// Says whether something runs or waits.
    pub fn set_busy(&mut self, is_busy: bool) {
        if self.is_busy != is_busy && self.requests.try_send(Request::Busy(is_busy)).is_ok() {
            self.is_busy = is_busy;
        }
    }

    /// Asks for the memory of these attempts, measured just before the next sample: then it is known how much of what
    /// is available they have taken already.
    pub fn measure(&self, attempts: Vec<(AttemptId, PathBuf)>) {
        // Whoever is asked too much has not answered the last time either.
        let _ = self.requests.try_send(Request::Trees(attempts));
    }

    /// How many processes the kernel has ended for want of memory by now. It counts before it ends one, so this is
    /// asked when a worker was killed. Waits for a sample that is being taken.
    ///
    /// # Errors
    /// If a counter is there but cannot be read.
    pub fn oom_kills(&self) -> Result<OomKills, Unreadable> {
        lock(&self.host).oom_kills()
    }
}

/// A reader that panicked has changed nothing that the next one could not use.
fn lock(host: &SharedHost) -> MutexGuard<'_, Box<dyn Host>> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Thread {
    inbox: Receiver<Request>,
    gauged: mpsc::Sender<Gauged>,
    host: SharedHost,
    /// What is to be measured before the next sample.
    wanted: Option<Vec<(AttemptId, PathBuf)>>,
    /// The shims of attempts that were measured before.
    shims: HashMap<AttemptId, i32>,
}

/// The last sample.
struct Sampled {
    at: Duration,
    /// There was an earlier one to compare it with.
    is_whole: bool,
}

impl Thread {
    fn run(mut self) {
        let mut is_busy = false;
        let mut sampled = self.sample();
        loop {
            let every = match (sampled.is_whole, is_busy) {
                (false, _) => SECOND_AFTER,
                (true, true) => SAMPLE_EVERY,
                (true, false) => REST_EVERY,
            };
            let due = sampled.at + every;
            match self.inbox.recv_timeout(due.saturating_sub(since_boot())) {
                Ok(Request::Busy(busy)) => {
                    // What was read during a rest may be seconds old.
                    if busy && !is_busy && sampled.is_whole {
                        sampled = self.sample();
                    }
                    is_busy = busy;
                }
                Ok(Request::Trees(attempts)) => self.wanted = Some(attempts),
                Err(RecvTimeoutError::Timeout) => sampled = self.sample(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the machine, and tells what it has read unless it lacks the use of the processors.
    fn sample(&mut self) -> Sampled {
        if let Some(attempts) = self.wanted.take() {
            self.measure(&attempts);
        }
        let now = since_boot();
        let (reading, kills) = {
            let mut host = lock(&self.host);
            (host.sample(now), host.oom_kills())
        };
        let is_first = reading.cpu.as_ref().is_ok_and(|cpu| cpu.used_share.is_none());
        if !is_first {
            self.tell(Gauged::Host(Box::new(reading), kills));
        }
        Sampled {
            at: now,
            is_whole: !is_first,
        }
    }

    fn measure(&mut self, attempts: &[(AttemptId, PathBuf)]) {
        self.shims
            .retain(|id, _| attempts.iter().any(|(known, _)| known == id));
        let found = attempts
            .iter()
            .filter_map(|(id, folder)| Some((*id, self.shim(*id, folder)?)));
        let found: Vec<(AttemptId, i32)> = found.collect();
        let pids: Vec<i32> = found.iter().map(|(_, pid)| *pid).collect();
        let now = since_boot();
        let trees = lock(&self.host).trees(now, &pids);
        let measured = found.iter().zip(trees);
        // One whose shim is gone has ended, and is reported elsewhere.
        let known = measured.filter_map(|((id, _), tree)| Some((*id, tree.ok()?)));
        self.tell(Gauged::Trees(now, known.collect()));
    }

    fn shim(&mut self, id: AttemptId, folder: &Path) -> Option<i32> {
        if let Some(pid) = self.shims.get(&id) {
            return Some(*pid);
        }
        let pid = shim_of(folder)?;
        self.shims.insert(id, pid);
        Some(pid)
    }

    fn tell(&self, gauged: Gauged) {
        // What finds no room would be old by the time it is read.
        let _ = self.gauged.try_send(gauged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::FakeHost;

    /// So many samples within this time, which is shorter than a rest.
    async fn samples_within(inbox: &mut mpsc::Receiver<Gauged>, time: Duration) -> usize {
        let mut samples = 0;
        let count = async {
            while inbox.recv().await.is_some() {
                samples += 1;
            }
        };
        let _ = tokio::time::timeout(time, count).await;
        samples
    }

    #[tokio::test]
    async fn the_host_is_read_twice_a_second_only_while_that_is_of_use() {
        let (gauged, mut inbox) = mpsc::channel(GAUGED_MAX);
        let (host, _) = FakeHost::new();
        let mut gauge = Gauge::start(Box::new(host), gauged).expect("a thread");
        inbox.recv().await.expect("the first sample");
        let rest = REST_EVERY / 3;
        assert_eq!(samples_within(&mut inbox, rest).await, 0);
        gauge.set_busy(true);
        for _ in 0..4 {
            let sample = tokio::time::timeout(REST_EVERY / 2, inbox.recv()).await;
            sample.expect("it comes sooner").expect("a sample");
        }
        gauge.set_busy(false);
        // One may be on its way.
        assert!(samples_within(&mut inbox, rest).await <= 1);
    }

    #[tokio::test]
    async fn what_says_nothing_of_the_processors_is_not_told() {
        let (gauged, mut inbox) = mpsc::channel(GAUGED_MAX);
        let (host, handle) = FakeHost::new();
        let use_of_processors = |share| {
            handle.change(|reading| {
                if let Ok(cpu) = &mut reading.cpu {
                    cpu.used_share = share;
                }
            });
        };
        use_of_processors(None);
        let mut gauge = Gauge::start(Box::new(host), gauged).expect("a thread");
        gauge.set_busy(true);
        assert_eq!(samples_within(&mut inbox, SECOND_AFTER * 3).await, 0);
        use_of_processors(Some(0.5));
        let sample = tokio::time::timeout(REST_EVERY / 2, inbox.recv()).await;
        sample.expect("it comes soon").expect("a sample");
    }
}
