//! How the writer is: what the engine, the metrics and `doctor` may know without waiting for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Shared by the writer's thread and the engine.
#[derive(Debug, Default)]
pub struct Health {
    /// Batches that were handed over and are not written.
    pub(super) pending: AtomicUsize,
    /// The file and the journal may differ anywhere.
    pub(super) wants_comparison: AtomicBool,
    /// The file was looked at: whether it wants a comparison is known.
    pub(super) is_open: AtomicBool,
    /// The daemon ends: what cannot be written now stays.
    pub(super) is_ending: AtomicBool,
    /// When the newest batch was put together after which nothing was missing.
    complete_at_ms: AtomicU64,
    errors: AtomicU64,
    written: AtomicU64,
    trouble: Mutex<Trouble>,
}

/// What is wrong with the file, and was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Why nothing is written at the moment; `None` if all is well.
    pub error: Option<String>,
    /// Where damaged files are, moved aside by this daemon.
    pub moved: Vec<PathBuf>,
}

impl Health {
    /// How often something could not be written.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How many ended tasks were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// When it had everything last: the time of the batch, not that of its writing.
    #[must_use]
    pub fn complete_at(&self) -> u64 {
        self.complete_at_ms.load(Ordering::Relaxed)
    }

    pub(super) fn is_complete(&self, at_ms: u64) {
        self.complete_at_ms.store(at_ms, Ordering::Relaxed);
    }

    /// What is wrong.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.lock(|trouble| trouble.clone())
    }

    /// Whether nothing can be written.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.lock(|trouble| trouble.error.is_some())
    }

    /// True if this is news.
    pub(super) fn failed(&self, error: &str) -> bool {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.lock(|trouble| trouble.error.replace(error.to_owned()).as_deref() != Some(error))
    }

    /// True if something was wrong before.
    pub(super) fn works(&self, added: u64) -> bool {
        self.written.fetch_add(added, Ordering::Relaxed);
        self.lock(|trouble| trouble.error.take().is_some())
    }

    pub(super) fn moved(&self, path: PathBuf) {
        self.lock(|trouble| trouble.moved.push(path));
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Trouble) -> T) -> T {
        // Whoever panicked has only noted something.
        with(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
