//! Reads a chain from its base to its end, and judges what cannot be read: a torn tail, which is
//! reported with its place, or damage, which is refused.

use std::collections::HashSet;
use std::path::Path;

use wezterm_parallel_scheduler::TaskKey;

use super::chain::{Chain, Link};
use super::frame::{find, BadFrame, Frame, FrameReader, Mark, Next};
use super::marker::Marker;
use super::segment::{Header, Kind};
use super::snapshot::Snapshot;
use super::{JournalError, Record};

/// What a chain turned out to hold.
#[derive(Debug)]
pub(super) struct Replayed {
    /// The newest record's number; 0 if there was none.
    pub(super) last_lsn: u64,
    /// The good part of the last segment, in bytes.
    pub(super) good_bytes: u64,
    /// How many records were handed on.
    pub(super) records: u64,
    pub(super) warnings: Vec<String>,
}

/// Hands every record that counts to `sink`, in order, with its number.
pub(super) fn replay(
    chain: &Chain,
    marker: Option<Marker>,
    sink: &mut dyn FnMut(u64, Record),
) -> Result<Replayed, JournalError> {
    let mut state = Replayed {
        last_lsn: chain.segments[0].header.first_lsn - 1,
        good_bytes: 0,
        records: 0,
        warnings: Vec::new(),
    };
    if let Some(snapshot) = &chain.snapshot {
        snapshot.read(&mut |lsn, record| {
            state.records += 1;
            sink(lsn, record);
        })?;
    }
    let mut filter = Filter {
        snapshot: chain.snapshot.as_ref(),
        submitted: HashSet::new(),
    };
    for (index, link) in chain.segments.iter().enumerate() {
        let next = chain.segments.get(index + 1);
        let mut segment = SegmentReplay {
            link,
            filter: &mut filter,
            marked: marker.filter(|marker| marker.segment == link.header.number),
            state: &mut state,
        };
        segment.run(next.map(|link| link.header.first_lsn), sink)?;
    }
    check_snapshot_is_covered(chain, state.last_lsn)?;
    Ok(state)
}

/// The images may contain nothing that the segments have lost: each chunk was made after a sync.
fn check_snapshot_is_covered(chain: &Chain, last_lsn: u64) -> Result<(), JournalError> {
    let Some(snapshot) = &chain.snapshot else {
        return Ok(());
    };
    if snapshot.newest_lsn <= last_lsn {
        return Ok(());
    }
    let link = chain.segments.last().expect("a chain has a segment");
    let detail = format!(
        "it ends with record {last_lsn}, but {} contains record {}",
        snapshot.path.display(),
        snapshot.newest_lsn
    );
    Err(JournalError::damaged(&link.path, link.file_bytes, detail))
}

/// Holds back the records that an image contains already.
struct Filter<'a> {
    snapshot: Option<&'a Snapshot>,
    /// Tasks above all chunks that the segments themselves have introduced. Any other task up
    /// there was removed while the snapshot was made, before its chunk's turn: changes that it
    /// went through in between are about nothing.
    submitted: HashSet<TaskKey>,
}

impl Filter<'_> {
    fn lets_pass(&mut self, record: &Record, lsn: u64) -> bool {
        let Some((snapshot, key)) = self.snapshot.zip(task_of(record)) else {
            return true;
        };
        match snapshot.covered_until(key) {
            Some(newest) => lsn > newest,
            None if matches!(record, Record::Submitted { .. }) => self.submitted.insert(key),
            None => self.submitted.contains(&key),
        }
    }
}

struct SegmentReplay<'a, 'b> {
    link: &'a Link,
    filter: &'a mut Filter<'b>,
    /// The marker, if it speaks of this segment.
    marked: Option<Marker>,
    state: &'a mut Replayed,
}

impl SegmentReplay<'_, '_> {
    /// Reads the segment up to the record before `limit`, where the next segment begins.
    fn run(&mut self, limit: Option<u64>, sink: &mut dyn FnMut(u64, Record)) -> Result<(), JournalError> {
        let path = &self.link.path;
        if self.link.header.first_lsn != self.state.last_lsn + 1 {
            return Err(JournalError::damaged(path, 0, "records before it are missing"));
        }
        let synced_bytes = self.marked.map_or(0, |marker| marker.bytes);
        if self.link.file_bytes < synced_bytes {
            let detail = format!("the file ends here, but {synced_bytes} bytes of it were synced");
            return Err(JournalError::damaged(path, self.link.file_bytes, detail));
        }
        let mut reader = FrameReader::open(path)?;
        Header::read(&mut reader, path, Kind::Segment, self.link.header.number)?;
        let mut bad = None;
        while limit.is_none_or(|limit| self.state.last_lsn + 1 < limit) {
            let offset = reader.offset();
            match reader.next()? {
                Next::Frame(frame) => self.accept(frame, offset, sink)?,
                Next::End => break,
                Next::Bad(found) => {
                    bad = Some(found);
                    break;
                }
            }
        }
        self.state.good_bytes = reader.offset();
        match limit {
            Some(limit) => self.check_reached(limit, bad),
            None => bad.map_or(Ok(()), |bad| self.judge(bad)),
        }
    }

    fn accept(
        &mut self,
        frame: Frame<'_>,
        offset: u64,
        sink: &mut dyn FnMut(u64, Record),
    ) -> Result<(), JournalError> {
        let damaged = |detail: String| JournalError::damaged(&self.link.path, offset, detail);
        let expected = self.state.last_lsn + 1;
        if frame.mark == Mark::Control {
            return Err(damaged("a header stands between the records".into()));
        }
        if frame.lsn != expected {
            let found = frame.lsn;
            return Err(damaged(format!("record {found} stands where {expected} should")));
        }
        let record = frame
            .record()
            .map_err(|error| damaged(format!("record {expected} cannot be understood: {error}")))?;
        self.state.last_lsn = expected;
        if self.filter.lets_pass(&record, expected) {
            self.state.records += 1;
            sink(expected, record);
        }
        Ok(())
    }

    /// A later segment says which record this one must end with. What lies beyond that was
    /// refused to whoever had asked for it.
    fn check_reached(&mut self, limit: u64, bad: Option<BadFrame>) -> Result<(), JournalError> {
        let path = &self.link.path;
        let offset = self.state.good_bytes;
        if self.state.last_lsn + 1 < limit {
            let reason = bad.map_or("the file ends here", |bad| bad.detail);
            let (first, last) = (self.state.last_lsn + 1, limit - 1);
            let detail = format!("{reason}; records {first} to {last} should follow");
            return Err(JournalError::damaged(path, offset, detail));
        }
        let rest = self.link.file_bytes - offset;
        if rest > 0 {
            let path = path.display();
            self.state.warnings.push(format!(
                "{path}: ignored {rest} bytes at {offset}, left by a write that had failed"
            ));
        }
        Ok(())
    }

    /// Decides what a bad frame in the last segment is.
    fn judge(&self, bad: BadFrame) -> Result<(), JournalError> {
        let path = &self.link.path;
        let damaged = |why: &str| {
            let detail = format!("{}{why}", bad.detail);
            Err(JournalError::damaged(path, bad.offset, detail))
        };
        if self.marked.is_some_and(|marker| bad.offset < marker.bytes) {
            return damaged(", and it had been synced");
        }
        let rest = read_from(path, bad.offset)?;
        match tail(&rest, self.state.last_lsn + 1, self.marked.is_some()) {
            Tail::Torn => Ok(()),
            Tail::FollowedByCommits => damaged(", and later commits follow"),
            Tail::NoTrace => damaged(", and this is not how an interrupted write looks"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Torn,
    FollowedByCommits,
    NoTrace,
}

/// What `rest`, which does not begin with a whole frame, can have come from.
///
/// An interrupted write leaves a beginning of a line (no newline), or holes where pages did not
/// reach the disk (NULs), behind which later pages of the same commit may have. It leaves no later
/// commit. Where the marker is at hand and lies before `rest`, only that last rule is needed.
fn tail(rest: &[u8], next_lsn: u64, is_marked: bool) -> Tail {
    let mut from = 1;
    let mut first_found = None;
    while let Some((offset, frame)) = find(rest, from) {
        if frame.lsn >= next_lsn && frame.mark == Mark::First {
            return Tail::FollowedByCommits;
        }
        first_found.get_or_insert(offset);
        from = offset + 1;
    }
    let unreadable = &rest[..first_found.unwrap_or(rest.len())];
    let has_holes = unreadable.contains(&0);
    match first_found {
        _ if has_holes => Tail::Torn,
        None if is_marked || !unreadable.contains(&b'\n') => Tail::Torn,
        _ => Tail::NoTrace,
    }
}

/// A file's bytes from `offset` on.
pub(super) fn read_from(path: &Path, offset: u64) -> Result<Vec<u8>, JournalError> {
    use std::io::{Read, Seek, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(JournalError::io("read", path))
}

/// The task whose image would contain this record. `Removed` names several and is harmless to
/// repeat; everything else is about no task.
pub(super) fn task_of(record: &Record) -> Option<TaskKey> {
    match record {
        Record::Submitted { submission, .. } => Some(submission.key),
        Record::Changed { key, .. } | Record::Exited { key, .. } => Some(*key),
        Record::Respecified { key, .. } | Record::Reported { key, .. } => Some(*key),
        Record::Environment { .. }
        | Record::Reserved { .. }
        | Record::Paused { .. }
        | Record::Workspace { .. }
        | Record::Process { .. }
        | Record::Spent(_)
        | Record::Account { .. }
        | Record::Removed { .. }
        | Record::Image(_)
        | Record::State { .. } => None,
    }
}
