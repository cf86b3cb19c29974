//! What is left of a damaged journal, put into an order that can be replayed.
//!
//! The newest whole snapshot is the base, as in loading. If there is none, every image that can
//! be read is one: each carries the number of the newest record in it, so no order is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use wezterm_parallel_scheduler::TaskKey;

use super::frame::{encode, find, scan, Frame, Mark};
use super::listing::Listing;
use super::replay::{read_from, task_of};
use super::segment::{Header, Kind, FORMAT, LSN_MAX};
use super::snapshot::Snapshot;
use super::{JournalError, Record, TaskImage};

/// So many keys or numbers are named in a sentence.
const NAMED_MAX: usize = 10;

/// Everything that could be read.
#[derive(Default)]
pub(super) struct Salvage {
    /// The newest image of each task, with the number of the newest record in it.
    images: BTreeMap<TaskKey, (u64, Box<TaskImage>)>,
    /// The other records of snapshots.
    state: Vec<(u64, Record)>,
    /// The records of segments.
    log: BTreeMap<u64, Record>,
    lost: Vec<String>,
}

/// A segment that holds all of it.
pub(super) struct Salvaged {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    pub(super) lost: Vec<String>,
}

impl Salvage {
    pub(super) fn read(listing: &Listing) -> Result<Self, JournalError> {
        let mut salvage = Self::default();
        let base = newest_base(listing);
        let snapshots = match listing.snapshots.get(&base) {
            Some(_) => base..=base,
            None => base..=u32::MAX,
        };
        for (_, path) in listing.snapshots.range(snapshots) {
            salvage.read_snapshot(path)?;
        }
        for (_, path) in listing.segments.range(base..) {
            salvage.read_segment(path)?;
        }
        Ok(salvage)
    }

    fn read_snapshot(&mut self, path: &Path) -> Result<(), JournalError> {
        let mut state = Vec::new();
        self.readable(path, |salvage, item| match item {
            Item::Header(_) => {}
            Item::Record(lsn, Record::Image(image)) => {
                let key = image.task.submission.key;
                salvage.images.insert(key, (lsn, image));
            }
            Item::Record(lsn, other) => state.push((lsn, other)),
        })?;
        if state.iter().any(|(_, record)| is_state(record)) {
            self.state.retain(|(_, record)| is_environment(record));
        }
        self.state.extend(state);
        Ok(())
    }

    fn read_segment(&mut self, path: &Path) -> Result<(), JournalError> {
        self.readable(path, |salvage, item| match item {
            // What an older segment has beyond this had been refused.
            Item::Header(header) => drop(salvage.log.split_off(&header.first_lsn)),
            Item::Record(lsn, record) => drop(salvage.log.entry(lsn).or_insert(record)),
        })
    }

    /// Hands on whatever of a file can be read; notes what lies between.
    fn readable(&mut self, path: &Path, mut take: impl FnMut(&mut Self, Item)) -> Result<(), JournalError> {
        let bytes = read_from(path, 0)?;
        let mut offset = 0;
        while offset < bytes.len() {
            let mut bad = None;
            for (index, item) in scan(&bytes[offset..]).enumerate() {
                match item.map(|frame| (frame.lsn, Item::understand(&frame))) {
                    // A header anywhere else is no header.
                    Ok((_, Ok(Some(Item::Header(_))))) if offset + index > 0 => {}
                    Ok((_, Ok(item))) => item.into_iter().for_each(|item| take(self, item)),
                    Ok((lsn, Err(error))) => self.lost.push(format!(
                        "{}: record {lsn} cannot be understood: {error}",
                        path.display()
                    )),
                    Err(found) => bad = Some(found),
                }
            }
            let Some(bad) = bad else { break };
            let start = offset + usize::try_from(bad.offset).expect("it is an index in memory");
            offset = find(&bytes, start + 1).map_or(bytes.len(), |(next, _)| next);
            self.lost.push(format!(
                "{}: {} bytes at {start}: {}",
                path.display(),
                offset - start,
                bad.detail
            ));
        }
        Ok(())
    }

    /// Writes everything as segment `number`, with new record numbers above all old ones.
    pub(super) fn into_segment(mut self, number: u32) -> io::Result<Salvaged> {
        self.note_gaps();
        let newest_image = self.images.values().map(|(lsn, _)| *lsn).max();
        let newest_state = self.state.iter().map(|(lsn, _)| *lsn).max();
        let newest_record = self.log.keys().next_back().copied();
        let newest = newest_image.max(newest_state).max(newest_record);
        let first_lsn = newest.unwrap_or(0) + 1;

        let header = Header {
            format: FORMAT,
            kind: Kind::Segment,
            number,
            first_lsn,
            repaired: true,
        };
        let mut bytes = Vec::new();
        encode(&mut bytes, 0, Mark::Control, &header)?;
        let (records, lost) = self.into_records(newest_state.unwrap_or(0));
        for (lsn, record) in (first_lsn..).zip(&records) {
            encode(&mut bytes, lsn, Mark::First, record)?;
        }
        Ok(Salvaged {
            bytes,
            records: records.len() as u64,
            lost,
        })
    }

    fn note_gaps(&mut self) {
        let numbers: Vec<u64> = self.log.keys().copied().collect();
        for pair in numbers.windows(2).filter(|pair| pair[0] + 1 < pair[1]) {
            let (first, last) = (pair[0] + 1, pair[1] - 1);
            self.lost.push(format!("records {first} to {last}"));
        }
    }

    /// All records that make sense, in order.
    fn into_records(self, state_lsn: u64) -> (Vec<Record>, Vec<String>) {
        let Self {
            images,
            state,
            log,
            mut lost,
        } = self;
        let contained: BTreeMap<TaskKey, u64> = images.iter().map(|(key, (lsn, _))| (*key, *lsn)).collect();
        let mut known: BTreeSet<TaskKey> = images.keys().copied().collect();
        let mut orphans = BTreeSet::new();
        let mut records: Vec<Record> = state.into_iter().map(|(_, record)| record).collect();
        records.extend(images.into_values().map(|(_, image)| Record::Image(image)));
        for (lsn, record) in log {
            let key = task_of(&record);
            let newest_known = key.and_then(|key| contained.get(&key));
            if newest_known.is_some_and(|newest| lsn <= *newest) {
                continue;
            }
            match (&record, key) {
                (Record::Submitted { .. }, Some(key)) => drop(known.insert(key)),
                (Record::Image(image), _) => drop(known.insert(image.task.submission.key)),
                (_, Some(key)) if !known.contains(&key) => {
                    orphans.insert(key);
                    continue;
                }
                (
                    Record::Reserved { .. }
                    | Record::Paused { .. }
                    | Record::Workspace { .. }
                    | Record::Process { .. }
                    | Record::Spent(_)
                    | Record::Account { .. },
                    _,
                ) if lsn <= state_lsn => continue,
                _ => {}
            }
            records.push(record);
        }
        if !orphans.is_empty() {
            lost.push(name_orphans(&orphans));
        }
        (records, lost)
    }
}

/// What a frame holds that matters here.
enum Item {
    Header(Header),
    Record(u64, Record),
}

impl Item {
    fn understand(frame: &Frame<'_>) -> serde_json::Result<Option<Self>> {
        if frame.mark != Mark::Control {
            let record = Self::Record(frame.lsn, frame.record()?);
            // The numbers to come must not run over.
            return Ok((frame.lsn <= LSN_MAX).then_some(record));
        }
        // The other control frames only serve what a count of images serves here.
        let header = serde_json::from_slice(frame.payload).ok();
        Ok(header.map(Self::Header))
    }
}

/// The number of the newest whole snapshot or repaired segment; 0 if there is neither.
fn newest_base(listing: &Listing) -> u32 {
    let whole = listing.snapshots.iter().rev();
    let snapshot = whole
        .filter(|(number, path)| Snapshot::verify(path, **number).is_ok())
        .map(|(number, _)| *number)
        .next();
    let repaired = listing.segments.iter().rev();
    let segment = repaired
        .filter(|(number, path)| super::chain::is_repaired(path, **number))
        .map(|(number, _)| *number)
        .next();
    snapshot.max(segment).unwrap_or(0)
}

fn is_state(record: &Record) -> bool {
    matches!(record, Record::State { .. })
}

fn is_environment(record: &Record) -> bool {
    matches!(record, Record::Environment { .. })
}

fn name_orphans(orphans: &BTreeSet<TaskKey>) -> String {
    let mut names: Vec<String> = orphans
        .iter()
        .take(NAMED_MAX)
        .map(|key| key.0.to_string())
        .collect();
    if orphans.len() > NAMED_MAX {
        names.push("…".into());
    }
    format!(
        "{} tasks whose submission cannot be read: {}",
        orphans.len(),
        names.join(", ")
    )
}
