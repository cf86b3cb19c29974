//! The thread that writes the history. The engine never waits for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{channel, sync_channel, Receiver, SyncSender};
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use rusqlite::Connection;

use super::backup::{self, Batch, Writing};
use super::error::HistoryError;
use super::health::Health;
use super::open;

/// Batches that wait for the disk. While it is slow, what changes once more meanwhile is better written once, later.
const BATCHES_MAX: usize = 4;
/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// The engine's end.
#[derive(Debug)]
pub struct Writer {
    batches: SyncSender<Batch>,
    health: Arc<Health>,
    thread: Thread,
    over: Receiver<()>,
}

impl Writer {
    /// Starts the thread. `last_record` is the number of the journal's newest record: if the file is not known to have
    /// everything up to it, a comparison is asked for. It ends when the writer is dropped.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(path: PathBuf, last_record: u64) -> std::io::Result<Self> {
        let (batches, inbox) = sync_channel(BATCHES_MAX);
        let (over_tx, over) = channel();
        let health = Arc::new(Health::default());
        let mut writing = Work {
            path,
            health: Arc::clone(&health),
            connection: None,
            inode: None,
            writing: Writing::default(),
            last_record: Some(last_record),
            is_complete: false,
        };
        let work = move || {
            writing.run(&inbox);
            // Nobody waits if the engine is gone.
            let _ = over_tx.send(());
        };
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(work)?;
        Ok(Self {
            batches,
            health,
            thread: thread.thread().clone(),
            over,
        })
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it takes another batch, and knows already whether it wants a comparison.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.health.is_open.load(Ordering::Acquire)
            && self.health.pending.load(Ordering::Acquire) < BATCHES_MAX
    }

    /// Whether all that it was given is written.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.health.is_open.load(Ordering::Acquire) && self.health.pending.load(Ordering::Acquire) == 0
    }

    /// Whether the file and the journal must be compared: once for each time that it is asked for.
    #[must_use]
    pub fn take_comparison(&self) -> bool {
        self.health.wants_comparison.swap(false, Ordering::AcqRel)
    }

    /// Hands a batch over; call it only while [`has_room`](Self::has_room). False if there was none, or the thread is gone.
    pub fn hand_over(&self, batch: Batch) -> bool {
        self.health.pending.fetch_add(1, Ordering::AcqRel);
        let is_taken = self.batches.try_send(batch).is_ok();
        if !is_taken {
            self.health.pending.fetch_sub(1, Ordering::AcqRel);
        }
        is_taken
    }

    /// Lets it finish what it has, for at most so long. What it could not write it finds by comparison, next time.
    pub fn finish(self, at_most: Duration) {
        let Self {
            batches,
            health,
            thread,
            over,
        } = self;
        health.is_ending.store(true, Ordering::Release);
        thread.unpark();
        drop(batches);
        if over.recv_timeout(at_most).is_err() {
            tracing::warn!("the history is left as it is; the next daemon completes it");
        }
    }
}

struct Work {
    path: PathBuf,
    health: Arc<Health>,
    connection: Option<Connection>,
    /// Which file it is that is open: its name may come to stand for another one, or for none.
    inode: Option<u64>,
    writing: Writing,
    /// Until the file was opened for the first time.
    last_record: Option<u64>,
    /// Nothing is missing in the file but what the engine knows to be missing.
    is_complete: bool,
}

impl Work {
    fn run(&mut self, inbox: &Receiver<Batch>) {
        self.insist(|thread| thread.open().map(|_| 0));
        for batch in inbox {
            self.insist(|thread| thread.write(&batch));
            self.health.pending.fetch_sub(1, Ordering::AcqRel);
        }
        if let Some(connection) = self.connection.take() {
            // The last one that closes it makes one file of it.
            if let Err((_, error)) = connection.close() {
                tracing::warn!(%error, "the history could not be closed");
            }
        }
    }

    /// Does it until it is done, or the daemon ends.
    fn insist(&mut self, mut work: impl FnMut(&mut Self) -> Result<u64, HistoryError>) {
        loop {
            let error = match work(self) {
                Ok(added) => {
                    if self.health.works(added) {
                        tracing::info!("the history can be written again");
                    }
                    return;
                }
                Err(error) => error,
            };
            self.connection = None;
            self.writing = Writing::default();
            if self.health.failed(&error.to_string()) {
                tracing::error!(%error, hint = error.hint(), "the history cannot be written; the queue goes on without it");
            }
            if error.is_damage() && self.move_aside() {
                continue;
            }
            if self.health.is_ending.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(RETRY);
        }
    }

    fn open(&mut self) -> Result<&mut Connection, HistoryError> {
        if self.connection.is_none() {
            let connection = open::for_writing(&self.path)?;
            let has = backup::caught_up(&connection).map_err(HistoryError::of(&self.path))?;
            if let Some(last) = self.last_record.take() {
                self.is_complete = has == Some(last);
                if !self.is_complete {
                    self.health.wants_comparison.store(true, Ordering::Release);
                }
                self.health.is_open.store(true, Ordering::Release);
            }
            self.connection = Some(connection);
            self.inode = inode(&self.path);
        }
        Ok(self.connection.as_mut().expect("it was just opened"))
    }

    fn write(&mut self, batch: &Batch) -> Result<u64, HistoryError> {
        if self.connection.is_some() && inode(&self.path) != self.inode {
            tracing::warn!(path = %self.path.display(), "the history was taken away: a new one is begun");
            self.connection = None;
            self.writing = Writing::default();
            self.is_complete = false;
            self.health.wants_comparison.store(true, Ordering::Release);
        }
        let mut writing = std::mem::take(&mut self.writing);
        let is_complete = self.is_complete || batch.ends_comparison();
        let path = self.path.clone();
        let connection = self.open()?;
        let written = writing.write(connection, batch, is_complete);
        self.writing = writing;
        let added = written.map_err(HistoryError::of(&path))?;
        self.is_complete = is_complete;
        if batch.caught_up.is_some() {
            self.health.is_complete(batch.now_ms);
        }
        Ok(added)
    }

    /// Makes room for a new file; everything that the journal has is written into it. False if that cannot be.
    fn move_aside(&mut self) -> bool {
        let kept = free_name(&self.path);
        for ending in ["-wal", "-shm", ""] {
            let (from, to) = (open::beside(&self.path, ending), open::beside(&kept, ending));
            match std::fs::rename(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(%error, from = %from.display(), "a damaged history could not be moved aside");
                    return false;
                }
            }
        }
        tracing::warn!(kept = %kept.display(), "the damaged history is moved aside, and a new one begun");
        self.health.moved(kept);
        self.is_complete = false;
        self.health.wants_comparison.store(true, Ordering::Release);
        true
    }
}

/// The number of the file that the name stands for.
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|metadata| metadata.ino())
}

/// `history.sqlite.damaged-1`, and so on.
fn free_name(path: &Path) -> PathBuf {
    (1_u32..)
        .map(|n| open::beside(path, &format!(".damaged-{n}")))
        .find(|candidate| candidate.symlink_metadata().is_err())
        .expect("a folder does not hold four billion files")
}
