//! What lies in the journal's folder, by name. Files of other names are none of our business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{marker, JournalError};

/// The folder's files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) folder: PathBuf,
    /// Segments by number.
    pub(super) segments: BTreeMap<u32, PathBuf>,
    /// Snapshots by number.
    pub(super) snapshots: BTreeMap<u32, PathBuf>,
    /// Snapshots that were never completed, by number.
    pub(super) unfinished_snapshots: BTreeMap<u32, PathBuf>,
    /// Segments that never came into force: a header at most.
    pub(super) unfinished_segments: Vec<PathBuf>,
    /// Something shows that this folder held a journal once, even if nothing above is left.
    pub(super) has_traces: bool,
}

impl Listing {
    pub(super) fn read(folder: &Path) -> Result<Self, JournalError> {
        let error = || JournalError::io("list", folder);
        let mut listing = Self {
            folder: folder.to_owned(),
            ..Self::default()
        };
        for entry in std::fs::read_dir(folder).map_err(error())? {
            let path = entry.map_err(error())?.path();
            listing.add(path);
        }
        Ok(listing)
    }

    fn add(&mut self, path: PathBuf) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return;
        };
        let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
        match (number(stem), kind) {
            (Some(number), "wal") => drop(self.segments.insert(number, path)),
            (Some(number), "snapshot") => drop(self.snapshots.insert(number, path)),
            (Some(number), "snapshot.tmp") => {
                self.unfinished_snapshots.insert(number, path);
            }
            (Some(_), "wal.tmp") => self.unfinished_segments.push(path),
            (Some(_), kind) if kind.contains(".torn-") || kind.contains(".damaged-") => {
                self.has_traces = true;
            }
            (None, "") if path == marker::path(&self.folder) || stem.starts_with("damaged-") => {
                self.has_traces = true;
            }
            _ => {}
        }
    }

    /// Whether no journal was ever here.
    pub(super) fn is_fresh(&self) -> bool {
        self.segments.is_empty()
            && self.snapshots.is_empty()
            && self.unfinished_snapshots.is_empty()
            && !self.has_traces
    }

    /// The highest number that any segment or snapshot has. A snapshot is begun only once the
    /// segment of its number is safe, so that one must be there too.
    pub(super) fn last_number(&self) -> u32 {
        let last = |files: &BTreeMap<u32, PathBuf>| files.keys().next_back().copied();
        last(&self.segments)
            .max(last(&self.snapshots))
            .max(last(&self.unfinished_snapshots))
            .unwrap_or(0)
    }
}

fn number(stem: &str) -> Option<u32> {
    let digits = stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| stem.parse().ok())?
}

/// The file of segment `number`.
pub(super) fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.wal"))
}

/// The file of snapshot `number`.
pub(super) fn snapshot_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.snapshot"))
}

/// The same file until it is complete.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    suffixed(path, ".tmp")
}

/// The first of `path.torn-1`, `path.torn-2`, … that is not taken.
pub(super) fn aside(path: &Path, what: &str) -> PathBuf {
    (1_u32..)
        .map(|n| suffixed(path, &format!(".{what}-{n}")))
        .find(|candidate| candidate.symlink_metadata().is_err())
        .expect("a folder does not hold four billion files")
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
