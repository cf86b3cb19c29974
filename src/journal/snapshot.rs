//! Snapshots: written by a thread of their own while commits go on, and only believed when whole.
//!
//! A snapshot is a header, the records of everything that is no task, then for each chunk a
//! control frame with the highest key that it covers and the images, and at last a control frame
//! with the count. The number of each frame is that of the newest record which it contains.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use wezterm_parallel_scheduler::TaskKey;

use super::frame::{encode, FrameReader, Mark, Next};
use super::listing::{snapshot_path, unfinished, Listing};
use super::segment::{Header, Kind};
use super::storage::Storage;
use super::{JournalError, Record};

/// Chunks that wait for the disk. More would only hold more images in memory; when the disk is
/// slower than the engine, the engine waits here, between two chunks.
const CHUNKS_MAX: usize = 4;

/// Bytes handed to the kernel at once.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes between two syncs: one big sync at the end would hold up the commits' own syncs.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// What stands in a snapshot beside records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Control {
    /// Images of the tasks up to this key follow.
    Chunk { upto: TaskKey },
    /// The snapshot is whole, and has so many records.
    End { records: u64 },
}

enum Part {
    State {
        lsn: u64,
        records: Vec<Record>,
    },
    Chunk {
        lsn: u64,
        upto: TaskKey,
        images: Vec<Record>,
    },
    Finish,
}

/// A snapshot that is being written.
#[derive(Debug)]
pub(super) struct SnapshotWriter {
    pub(super) number: u32,
    sender: Option<SyncSender<Part>>,
    thread: Option<JoinHandle<io::Result<u64>>>,
}

impl SnapshotWriter {
    /// Starts the thread. `state` is as of record `lsn`, the last one before the segment of the
    /// same number.
    pub(super) fn begin(
        storage: &Storage,
        folder: &Path,
        number: u32,
        lsn: u64,
        state: Vec<Record>,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(CHUNKS_MAX);
        let target = Target {
            storage: storage.clone(),
            folder: folder.to_owned(),
            header: Header::new(Kind::Snapshot, number, lsn + 1),
        };
        let thread = std::thread::Builder::new()
            .name("journal-snapshot".into())
            .spawn(move || target.write(&receiver))?;
        let mut writer = Self {
            number,
            sender: Some(sender),
            thread: Some(thread),
        };
        writer.send(Part::State { lsn, records: state })?;
        Ok(writer)
    }

    pub(super) fn chunk(&mut self, lsn: u64, upto: TaskKey, images: Vec<Record>) -> io::Result<()> {
        self.send(Part::Chunk { lsn, upto, images })
    }

    /// Lets the thread complete the snapshot by itself.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.send(Part::Finish)?;
        self.sender = None;
        Ok(())
    }

    /// An error is the one that ended the thread.
    fn send(&mut self, part: Part) -> io::Result<()> {
        let sender = self.sender.as_ref();
        let sent = sender.is_some_and(|sender| sender.send(part).is_ok());
        if sent {
            return Ok(());
        }
        let ended = self.join().err();
        Err(ended.unwrap_or_else(|| io::Error::other("the snapshot is complete already")))
    }

    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the thread; the size of the snapshot in bytes. One that was not told to finish
    /// ends without a snapshot.
    pub(super) fn join(&mut self) -> io::Result<u64> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the snapshot's thread panicked")),
            None => Err(io::Error::other("the snapshot is over")),
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// What the thread works on.
struct Target {
    storage: Storage,
    folder: PathBuf,
    header: Header,
}

impl Target {
    fn write(&self, parts: &Receiver<Part>) -> io::Result<u64> {
        let path = snapshot_path(&self.folder, self.header.number);
        let unfinished = unfinished(&path);
        let written = self.write_file(&unfinished, &path, parts);
        match &written {
            Ok(_) => remove_obsolete(&self.storage, &self.folder, self.header.number),
            Err(_) => drop(self.storage.remove(&unfinished)),
        }
        written
    }

    fn write_file(&self, from: &Path, to: &Path, parts: &Receiver<Part>) -> io::Result<u64> {
        let mut output = Output {
            storage: &self.storage,
            file: self.storage.create(from)?,
            buffer: Vec::new(),
            written_bytes: 0,
            unsynced_bytes: 0,
            records: 0,
        };
        encode(&mut output.buffer, 0, Mark::Control, &self.header)?;
        loop {
            let aborted = |_| io::Error::other("the snapshot was given up");
            match parts.recv().map_err(aborted)? {
                Part::State { lsn, records } => output.records(lsn, &records)?,
                Part::Chunk { lsn, upto, images } => {
                    let control = Control::Chunk { upto };
                    encode(&mut output.buffer, lsn, Mark::Control, &control)?;
                    output.records(lsn, &images)?;
                }
                Part::Finish => break,
            }
        }
        let end = Control::End {
            records: output.records,
        };
        encode(&mut output.buffer, 0, Mark::Control, &end)?;
        output.flush()?;
        self.storage.sync(&output.file)?;
        self.storage.rename(from, to)?;
        self.storage.sync_folder(&self.folder)?;
        Ok(output.written_bytes)
    }
}

/// The file that is being written.
struct Output<'a> {
    storage: &'a Storage,
    file: File,
    buffer: Vec<u8>,
    written_bytes: u64,
    unsynced_bytes: u64,
    records: u64,
}

impl Output<'_> {
    fn records(&mut self, lsn: u64, records: &[Record]) -> io::Result<()> {
        for record in records {
            encode(&mut self.buffer, lsn, Mark::First, record)?;
            if self.buffer.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        self.records += records.len() as u64;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let (file, bytes) = (&self.file, self.buffer.len() as u64);
        self.storage
            .write_all_at(file, &self.buffer, self.written_bytes)?;
        self.buffer.clear();
        self.written_bytes += bytes;
        self.unsynced_bytes += bytes;
        if self.unsynced_bytes >= SYNC_BYTES {
            self.storage.sync(file)?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }
}

/// Deletes what snapshot `number` stands for. What cannot be deleted now is deleted after the
/// next snapshot or at the next opening; it does no harm.
pub(super) fn remove_obsolete(storage: &Storage, folder: &Path, number: u32) {
    let Ok(listing) = Listing::read(folder) else {
        return;
    };
    let segments = listing.segments.range(..number);
    let snapshots = listing.snapshots.range(..number);
    for (_, path) in segments.chain(snapshots) {
        let _ = storage.remove(path);
    }
}

/// A snapshot that was read once and found whole.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) bytes: u64,
    /// The highest key and the number of each chunk, in the order of the keys.
    chunks: Vec<(TaskKey, u64)>,
    /// The newest record that any frame contains.
    pub(super) newest_lsn: u64,
}

impl Snapshot {
    /// Reads all of it once, so that not a single record of an incomplete one is handed on.
    pub(super) fn verify(path: &Path, number: u32) -> Result<Self, JournalError> {
        let mut reader = FrameReader::open(path)?;
        let header = Header::read(&mut reader, path, Kind::Snapshot, number)?;
        let mut snapshot = Self {
            path: path.to_owned(),
            newest_lsn: header.first_lsn.saturating_sub(1),
            header,
            bytes: reader.file_bytes(),
            chunks: Vec::new(),
        };
        let mut records = 0;
        loop {
            let offset = reader.offset();
            let damaged = |detail: &str| Err(JournalError::damaged(path, offset, detail));
            let frame = match reader.next()? {
                Next::Frame(frame) => frame,
                Next::Bad(bad) => return damaged(bad.detail),
                Next::End => return damaged("the snapshot is incomplete"),
            };
            snapshot.newest_lsn = snapshot.newest_lsn.max(frame.lsn);
            if frame.mark != Mark::Control {
                records += 1;
                continue;
            }
            match serde_json::from_slice(frame.payload) {
                Ok(Control::Chunk { upto }) => {
                    let newest = snapshot.chunks.last();
                    if newest.is_some_and(|(last, _)| *last >= upto) {
                        return damaged("the snapshot's chunks are out of order");
                    }
                    snapshot.chunks.push((upto, frame.lsn));
                }
                Ok(Control::End { records: count }) if count == records => break,
                Ok(Control::End { .. }) => return damaged("the snapshot's count is wrong"),
                Err(error) => return damaged(&error.to_string()),
            }
        }
        match reader.next()? {
            Next::End => Ok(snapshot),
            Next::Frame(_) | Next::Bad(_) => {
                let detail = "something follows the snapshot's end";
                Err(JournalError::damaged(path, snapshot.bytes, detail))
            }
        }
    }

    /// The newest record in the images of the chunk that covers this task; `None` if its key is
    /// above all chunks.
    pub(super) fn covered_until(&self, key: TaskKey) -> Option<u64> {
        let chunk = self.chunks.partition_point(|(upto, _)| *upto < key);
        self.chunks.get(chunk).map(|(_, lsn)| *lsn)
    }

    /// Hands on its records with their numbers.
    pub(super) fn read(&self, sink: &mut dyn FnMut(u64, Record)) -> Result<(), JournalError> {
        let mut reader = FrameReader::open(&self.path)?;
        loop {
            let offset = reader.offset();
            match reader.next()? {
                Next::Frame(frame) if frame.mark == Mark::Control => {}
                Next::Frame(frame) => {
                    let record = frame
                        .record()
                        .map_err(|error| JournalError::damaged(&self.path, offset, error.to_string()))?;
                    sink(frame.lsn, record);
                }
                Next::Bad(bad) => {
                    return Err(JournalError::damaged(&self.path, offset, bad.detail));
                }
                Next::End => return Ok(()),
            }
        }
    }
}
