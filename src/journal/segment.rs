//! A segment: the file that commits are appended to, and the header that every file begins with.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::frame::{encode, FrameReader, Mark, Next};
use super::listing::{segment_path, unfinished};
use super::storage::Storage;
use super::JournalError;

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// No journal gets this far, and counting on from here cannot overflow.
pub(super) const LSN_MAX: u64 = u64::MAX / 2;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Records in the order of their numbers.
    Segment,
    /// Images of tasks.
    Snapshot,
}

/// The first frame of every file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// See [`FORMAT`].
    pub(super) format: u32,
    /// What the file is.
    pub(super) kind: Kind,
    /// The number in its name.
    pub(super) number: u32,
    /// The number of the first record of this segment, or of a snapshot's segment.
    pub(super) first_lsn: u64,
    /// A repair put everything that is known into this segment: nothing before it is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) repaired: bool,
}

/// Only this much of a header is read before its format is known to be one that we know.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Header {
    pub(super) fn new(kind: Kind, number: u32, first_lsn: u64) -> Self {
        Self {
            format: FORMAT,
            kind,
            number,
            first_lsn,
            repaired: false,
        }
    }

    /// Reads the header at the start of `reader` and checks that the file is what its name says.
    pub(super) fn read(
        reader: &mut FrameReader,
        path: &Path,
        kind: Kind,
        number: u32,
    ) -> Result<Self, JournalError> {
        let damaged = |detail: String| JournalError::damaged(path, 0, detail);
        let payload = match reader.next()? {
            Next::Frame(frame) if frame.mark == Mark::Control => frame.payload,
            Next::Frame(_) => return Err(damaged("the file does not begin with a header".into())),
            Next::Bad(bad) => return Err(damaged(format!("the header: {}", bad.detail))),
            Next::End => return Err(damaged("the file is empty".into())),
        };
        let unreadable = |error| damaged(format!("the header cannot be understood: {error}"));
        let Format { format } = serde_json::from_slice(payload).map_err(unreadable)?;
        if format > FORMAT {
            return Err(JournalError::NewerFormat {
                path: path.to_owned(),
                format,
                supported: FORMAT,
            });
        }
        let header: Self = serde_json::from_slice(payload).map_err(unreadable)?;
        if (header.kind, header.number) != (kind, number) {
            let found = (header.kind, header.number);
            return Err(damaged(format!("the header is that of another file: {found:?}")));
        }
        if header.first_lsn == 0 || header.first_lsn > LSN_MAX {
            return Err(damaged("the header's record number is impossible".into()));
        }
        Ok(header)
    }
}

/// The segment that commits go to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    file: File,
    /// What is safe; the next commit begins here.
    pub(super) synced_bytes: u64,
    /// Nothing may be appended any more: what the file holds beyond `synced_bytes` is unknown.
    pub(super) spoiled: bool,
}

impl Segment {
    /// A new segment with a header. It comes into force by the rename, header and all, so that
    /// a segment without a header is never the trace of a crash.
    pub(super) fn create(storage: &Storage, folder: &Path, header: &Header) -> io::Result<Self> {
        let mut bytes = Vec::new();
        encode(&mut bytes, 0, Mark::Control, header)?;
        let path = segment_path(folder, header.number);
        let unfinished = unfinished(&path);
        let file = storage.create(&unfinished)?;
        storage.write_all_at(&file, &bytes, 0)?;
        storage.sync(&file)?;
        storage.rename(&unfinished, &path)?;
        storage.sync_folder(folder)?;
        Ok(Self {
            number: header.number,
            file,
            synced_bytes: bytes.len() as u64,
            spoiled: false,
        })
    }

    /// An existing segment whose first `bytes` are good and whose rest has been cut.
    pub(super) fn reopen(path: &Path, number: u32, bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            number,
            file,
            synced_bytes: bytes,
            spoiled: false,
        })
    }

    pub(super) fn sync(&self, storage: &Storage) -> io::Result<()> {
        storage.sync(&self.file)
    }

    /// Cuts what lies beyond `synced_bytes`.
    pub(super) fn cut(&self, storage: &Storage) -> io::Result<()> {
        storage.truncate(&self.file, self.synced_bytes)
    }

    /// Appends, calls `written`, and syncs: how long the sync took. On an error the file is cut back to where it was. After a failed sync
    /// the kernel may have dropped the pages and forgotten the error, so this file is not
    /// trusted again; neither is one that cannot be cut.
    pub(super) fn append(
        &mut self,
        storage: &Storage,
        bytes: &[u8],
        written: impl FnOnce(),
    ) -> io::Result<Duration> {
        let appended = storage.write_all_at(&self.file, bytes, self.synced_bytes);
        let sync_tried = appended.is_ok();
        let done = appended.and_then(|()| {
            written();
            let begin = Instant::now();
            storage.sync(&self.file)?;
            Ok(begin.elapsed())
        });
        match done {
            Ok(_) => self.synced_bytes += bytes.len() as u64,
            Err(_) => self.spoiled = self.cut(storage).is_err() || sync_tried,
        }
        done
    }
}
