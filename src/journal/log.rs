//! The journal as the engine holds it: commits, and the steps of a snapshot.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use wezterm_parallel_scheduler::TaskKey;

use super::frame::{encode, Mark};
use super::listing::segment_path;
use super::marker::{Marker, MarkerFile};
use super::segment::{Header, Kind, Segment};
use super::snapshot::SnapshotWriter;
use super::storage::Storage;
use super::Record;

/// A buffer that one huge commit has grown is given back beyond this.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How the journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A snapshot is wanted after so many bytes since the last one.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The number of a record, from 1; 0 before the first. A number whose record counts is never
/// given to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// What the journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that were committed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots that were completed.
    pub snapshots: u64,
    /// How long the disk took to sync the last commit.
    pub last_sync: Duration,
}

/// An open journal. Everything is synchronous; one thread owns it.
#[derive(Debug)]
pub struct Journal {
    pub(super) folder: PathBuf,
    pub(super) options: Options,
    pub(super) storage: Storage,
    pub(super) segment: Segment,
    pub(super) marker: MarkerFile,
    pub(super) last_lsn: u64,
    /// Number and length of the segments since the newest snapshot, without the current one.
    pub(super) closed: Vec<(u32, u64)>,
    /// The size of the newest snapshot.
    pub(super) snapshot_bytes: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) writer: Option<SnapshotWriter>,
    pub(super) snapshot_error: Option<io::Error>,
    /// After a failed snapshot: not again before the log has this size.
    pub(super) retry_bytes: u64,
    pub(super) stats: Stats,
}

impl Journal {
    /// Writes all records and syncs them: all or nothing.
    ///
    /// Costs one write, one `fdatasync` and one small unsynced write, however many records.
    /// No records is no work.
    ///
    /// # Errors
    ///
    /// If writing or syncing fails. Then nothing of it counts: the file is cut back to the last
    /// synced length; after a failed sync or cut, the next commit goes to a fresh segment. The
    /// caller keeps its records and may try again.
    pub fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        self.commit_with(records, || {})
    }

    /// As [`Journal::commit`], and calls `written` once the records are written but not synced
    /// yet: from there on the death of this process cannot undo them, only a power loss can.
    ///
    /// # Errors
    ///
    /// As [`Journal::commit`]. After a failed write, `written` was not called; after a failed
    /// sync it was.
    pub fn commit_with(&mut self, records: &[Record], written: impl FnOnce()) -> io::Result<()> {
        self.collect_snapshot();
        if records.is_empty() {
            return Ok(());
        }
        self.encode(records)?;
        if self.segment.spoiled {
            self.rotate()?;
        }
        self.stats.last_sync = self.segment.append(&self.storage, &self.buffer, written)?;
        self.stats.records += records.len() as u64;
        self.stats.bytes += self.buffer.len() as u64;
        self.last_lsn += records.len() as u64;
        self.move_marker();
        Ok(())
    }

    fn encode(&mut self, records: &[Record]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        let mut mark = Mark::First;
        for (lsn, record) in (self.last_lsn + 1..).zip(records) {
            encode(&mut self.buffer, lsn, mark, record)?;
            mark = Mark::More;
        }
        Ok(())
    }

    /// Lets a new segment begin after the last record that counts.
    fn rotate(&mut self) -> io::Result<()> {
        let number = self.segment.number + 1;
        let header = Header::new(Kind::Segment, number, self.last_lsn + 1);
        let segment = match Segment::create(&self.storage, &self.folder, &header) {
            Ok(segment) => segment,
            Err(error) => {
                // If it came into force but was not synced, loading would take it as the end
                // of the old one: nothing may be appended there any more.
                let path = segment_path(&self.folder, number);
                self.segment.spoiled |= !is_absent(&path);
                return Err(error);
            }
        };
        let old = std::mem::replace(&mut self.segment, segment);
        self.closed.push((old.number, old.synced_bytes));
        self.move_marker();
        Ok(())
    }

    pub(super) fn move_marker(&self) {
        let marker = Marker {
            segment: self.segment.number,
            bytes: self.segment.synced_bytes,
        };
        self.marker.write(&self.storage, marker);
    }

    /// The number of the newest record that counts.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.last_lsn)
    }

    /// Bytes on disk: the newest snapshot and the segments since.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.snapshot_bytes + self.log_bytes()
    }

    /// What it has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes of the segments since the newest snapshot.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|(_, bytes)| bytes).sum();
        closed + self.segment.synced_bytes
    }

    /// Whether the log has grown enough since the last snapshot, also compared with that
    /// snapshot's size, and none is in progress.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        let enough = self.options.segment_bytes.max(self.snapshot_bytes / 2);
        self.writer.is_none() && self.log_bytes() >= enough.max(self.retry_bytes)
    }

    /// Rotates to a new segment and begins a fuzzy snapshot, which a background thread writes.
    ///
    /// `state` is everything that is no task: [`Record::State`], all environments, all pauses, as
    /// of now. Nothing may be applied yet that is not committed; the same holds for each chunk.
    ///
    /// # Errors
    ///
    /// If one is in progress, or the new segment cannot be made. Commits may go on.
    pub fn begin_snapshot(&mut self, state: Vec<Record>) -> io::Result<()> {
        self.collect_snapshot();
        if self.writer.is_some() {
            return Err(io::Error::other("a snapshot is in progress"));
        }
        let begun = self.rotate().and_then(|()| {
            let number = self.segment.number;
            SnapshotWriter::begin(&self.storage, &self.folder, number, self.last_lsn, state)
        });
        match begun {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => {
                self.postpone_snapshot();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Hands over the next chunk: images of all tasks with keys above the last chunk's `upto`
    /// and up to this one, in the order of keys, as of now. Waits if the disk is far behind.
    ///
    /// # Errors
    ///
    /// If none is in progress, or it has failed: this is that error, and the snapshot is over.
    pub fn snapshot_chunk(&mut self, upto: TaskKey, images: Vec<Record>) -> io::Result<()> {
        let lsn = self.last_lsn;
        self.with_writer(|writer| writer.chunk(lsn, upto, images))
    }

    /// No more chunks: each task that existed at the beginning was in one, or was removed. The
    /// thread completes the snapshot and deletes the files that it replaces.
    ///
    /// # Errors
    ///
    /// See [`snapshot_chunk`](Self::snapshot_chunk).
    pub fn finish_snapshot(&mut self) -> io::Result<()> {
        self.with_writer(SnapshotWriter::finish)
    }

    fn with_writer(&mut self, step: impl FnOnce(&mut SnapshotWriter) -> io::Result<()>) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(io::Error::other("no snapshot is in progress"));
        };
        let done = step(writer);
        if done.is_err() {
            self.writer = None;
            self.postpone_snapshot();
        }
        done
    }

    /// Whether a snapshot was begun and is neither complete nor failed.
    #[must_use]
    pub fn snapshot_in_progress(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.is_over())
    }

    /// The error of a snapshot that failed in the background, once. The journal itself goes on,
    /// and will want a snapshot again after it has grown a little.
    pub fn take_snapshot_error(&mut self) -> Option<io::Error> {
        self.collect_snapshot();
        self.snapshot_error.take()
    }

    /// Takes note of a snapshot that has ended.
    fn collect_snapshot(&mut self) {
        let Some(mut writer) = self.writer.take_if(|writer| writer.is_over()) else {
            return;
        };
        match writer.join() {
            Ok(bytes) => {
                self.stats.snapshots += 1;
                self.snapshot_bytes = bytes;
                self.closed.retain(|(number, _)| *number >= writer.number);
                self.retry_bytes = 0;
            }
            Err(error) => {
                self.snapshot_error = Some(error);
                self.postpone_snapshot();
            }
        }
    }

    fn postpone_snapshot(&mut self) {
        self.retry_bytes = self.log_bytes() + self.options.segment_bytes / 8;
    }
}

#[cfg(test)]
impl Journal {
    /// For tests of the engine: from now on each such call fails, or all work again.
    pub(crate) fn break_for_test(&self, broken: Option<Broken>) {
        use super::storage::{faults::Plan, Call};
        let plans = match broken {
            Some(Broken::Write) => &[Plan::Fail(Call::Write)][..],
            Some(Broken::Sync) => &[Plan::Fail(Call::Sync)][..],
            None => &[],
        };
        self.storage.faults.set(plans);
    }
}

/// Which call fails in a test.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    Write,
    Sync,
}

/// Only a clear "not found" counts.
fn is_absent(path: &std::path::Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
