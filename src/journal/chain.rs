//! Which files belong together: the newest base (a whole snapshot, a repaired segment, or the
//! first segment) and every segment since, without a gap.
//!
//! Files older than the base are left over from a crash between a snapshot's rename and the
//! deletion of what it replaced. If the newest snapshot is damaged, they are what is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::frame::FrameReader;
use super::listing::{segment_path, snapshot_path, Listing};
use super::marker::Marker;
use super::segment::{Header, Kind};
use super::snapshot::Snapshot;
use super::JournalError;

/// One segment of a chain.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) file_bytes: u64,
}

impl Link {
    fn read(folder: &Path, number: u32) -> Result<Self, JournalError> {
        let path = segment_path(folder, number);
        let mut reader = FrameReader::open(&path)?;
        let header = Header::read(&mut reader, &path, Kind::Segment, number)?;
        Ok(Self {
            path,
            header,
            file_bytes: reader.file_bytes(),
        })
    }
}

/// What is to be loaded, in this order.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) snapshot: Option<Snapshot>,
    /// Never empty.
    pub(super) segments: Vec<Link>,
    /// Newer snapshots that could not be read.
    pub(super) damaged: Vec<(PathBuf, JournalError)>,
}

impl Chain {
    /// Finds the newest chain that is whole as far as headers and snapshots tell.
    pub(super) fn choose(listing: &Listing, marker: Option<Marker>) -> Result<Self, JournalError> {
        let marked = marker.map_or(0, |marker| marker.segment);
        let last = listing.last_number().max(marked);
        let mut damaged = Vec::new();
        let mut first_error = None;
        let numbers: BTreeSet<u32> = listing
            .snapshots
            .keys()
            .chain(listing.segments.keys())
            .copied()
            .collect();
        for number in numbers.into_iter().rev() {
            if let Some(path) = listing.snapshots.get(&number) {
                match Self::from_snapshot(listing, path, number, last) {
                    Ok(chain) => return Ok(Self { damaged, ..chain }),
                    Err(error) if error.is_loss() => damaged.push((path.clone(), error)),
                    Err(error) => return Err(error),
                }
            } else if listing.segments.contains_key(&number) {
                match Self::from_segment(listing, number, last) {
                    Ok(None) => {}
                    Ok(Some(chain)) => return Ok(Self { damaged, ..chain }),
                    Err(error) if error.is_loss() => {
                        first_error.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let newest_snapshot = damaged.into_iter().next().map(|(_, error)| error);
        Err(newest_snapshot
            .or(first_error)
            .unwrap_or_else(|| no_beginning(listing, last)))
    }

    fn from_snapshot(listing: &Listing, path: &Path, number: u32, last: u32) -> Result<Self, JournalError> {
        let snapshot = Snapshot::verify(path, number)?;
        let segments = links(listing, number, last)?;
        if segments[0].header.first_lsn != snapshot.header.first_lsn {
            let detail = "the snapshot and its segment do not fit together";
            return Err(JournalError::damaged(path, 0, detail));
        }
        Ok(Self {
            snapshot: Some(snapshot),
            segments,
            damaged: Vec::new(),
        })
    }

    /// `None` if the segment is not one that a chain can begin with.
    fn from_segment(listing: &Listing, number: u32, last: u32) -> Result<Option<Self>, JournalError> {
        let first = Link::read(&listing.folder, number)?;
        if number != 1 && !first.header.repaired {
            return Ok(None);
        }
        Ok(Some(Self {
            snapshot: None,
            segments: links(listing, number, last)?,
            damaged: Vec::new(),
        }))
    }

    pub(super) fn base_number(&self) -> u32 {
        self.segments[0].header.number
    }
}

/// The segments `first..=last`, each of which must be there.
fn links(listing: &Listing, first: u32, last: u32) -> Result<Vec<Link>, JournalError> {
    let mut links: Vec<Link> = Vec::new();
    for number in first..=last {
        if !listing.segments.contains_key(&number) {
            let path = segment_path(&listing.folder, number);
            return Err(JournalError::missing(&path, "other files refer to it"));
        }
        let link = Link::read(&listing.folder, number)?;
        let before = links.last().map_or(1, |link| link.header.first_lsn);
        if link.header.first_lsn < before {
            let detail = "the segment begins with an older record than the one before";
            return Err(JournalError::damaged(&link.path, 0, detail));
        }
        links.push(link);
    }
    Ok(links)
}

/// Says what would have to be there for the newest segments to make sense.
fn no_beginning(listing: &Listing, last: u32) -> JournalError {
    let has = |number: &u32| listing.segments.contains_key(number);
    let Some(first) = (1..=last).rev().take_while(has).last() else {
        let path = segment_path(&listing.folder, last.max(1));
        return JournalError::missing(&path, "there are traces of a journal that it belonged to");
    };
    let snapshot = snapshot_path(&listing.folder, first);
    let path = segment_path(&listing.folder, first - 1);
    let detail = format!(
        "without it or {}, nothing leads up to the segments after it",
        snapshot.display()
    );
    JournalError::missing(&path, detail)
}

/// Whether this segment is one that a repair has made.
pub(super) fn is_repaired(path: &Path, number: u32) -> bool {
    FrameReader::open(path)
        .and_then(|mut reader| Header::read(&mut reader, path, Kind::Segment, number))
        .is_ok_and(|header| header.repaired)
}
