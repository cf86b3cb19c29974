//! Repair, for `doctor --repair`: puts every record that can be read into one new segment, and
//! moves all older files into a folder of their own. It deletes nothing, and a crash at any moment
//! leaves either the old files or the new segment in force.

use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::listing::{segment_path, unfinished, Listing};
use super::marker::{self, Marker};
use super::replay::replay;
use super::salvage::Salvage;
use super::storage::Storage;
use super::JournalError;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Records in the new segment.
    pub records: u64,
    /// Where the old files are now; empty if nothing was wrong and nothing was done.
    pub moved: Vec<PathBuf>,
    /// What could not be kept, a sentence each.
    pub lost: Vec<String>,
}

/// Makes a damaged journal loadable again. If nothing is wrong, nothing is done.
///
/// The daemon must not be running. Tasks of which the submission was lost are dropped with all
/// that is known of them; of the others, single changes may be missing, so that a later change
/// may not fit the state that an earlier one left.
///
/// # Errors
///
/// If the file system refuses, or a newer version wrote the files. Nothing is lost then.
pub fn repair(folder: &Path) -> Result<RepairReport, JournalError> {
    let listing = Listing::read(folder)?;
    let marker = Marker::read(folder);
    if listing.is_fresh() || is_whole(&listing, marker)? {
        return Ok(RepairReport::default());
    }
    let marked = marker.map_or(0, |marker| marker.segment);
    let number = listing.last_number().max(marked) + 1;
    let salvaged = Salvage::read(&listing)?
        .into_segment(number)
        .map_err(JournalError::io("put together what is left of", folder))?;
    let moved = put_in_force(&listing, number, &salvaged.bytes)?;
    Ok(RepairReport {
        records: salvaged.records,
        moved,
        lost: salvaged.lost,
    })
}

fn is_whole(listing: &Listing, marker: Option<Marker>) -> Result<bool, JournalError> {
    let loaded = Chain::choose(listing, marker).and_then(|chain| replay(&chain, marker, &mut |_, _| {}));
    match loaded {
        Ok(_) => Ok(true),
        Err(error) if error.is_loss() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives all old files a second name, brings the new segment into force, and only then takes
/// the old names away.
fn put_in_force(listing: &Listing, number: u32, bytes: &[u8]) -> Result<Vec<PathBuf>, JournalError> {
    let storage = Storage::default();
    let folder = &listing.folder;
    let refuge = new_refuge(folder)?;
    let marker = marker::path(folder);
    let old_files: Vec<PathBuf> = listing
        .segments
        .values()
        .chain(listing.snapshots.values())
        .chain(listing.unfinished_snapshots.values())
        .cloned()
        .chain(marker.exists().then_some(marker))
        .collect();
    let mut moved = Vec::new();
    for path in &old_files {
        let kept = refuge.join(path.file_name().expect("it was found in the folder"));
        std::fs::hard_link(path, &kept)
            // Some file systems have no second names.
            .or_else(|_| std::fs::copy(path, &kept).map(drop))
            .map_err(JournalError::io("keep a copy of", path))?;
        moved.push(kept);
    }
    let path = segment_path(folder, number);
    let unfinished = unfinished(&path);
    storage
        .sync_folder(&refuge)
        .and_then(|()| storage.create(&unfinished))
        .and_then(|file| {
            storage.write_all_at(&file, bytes, 0)?;
            storage.sync(&file)
        })
        .and_then(|()| storage.rename(&unfinished, &path))
        .and_then(|()| storage.sync_folder(folder))
        .map_err(JournalError::io("write", &path))?;
    for path in &old_files {
        storage
            .remove(path)
            .map_err(JournalError::io("move aside", path))?;
    }
    Ok(moved)
}

/// A new folder `damaged-1`, `damaged-2`, …
fn new_refuge(folder: &Path) -> Result<PathBuf, JournalError> {
    use std::os::unix::fs::DirBuilderExt;
    let refuge = (1_u32..)
        .map(|n| folder.join(format!("damaged-{n}")))
        .find(|candidate| candidate.symlink_metadata().is_err())
        .expect("a folder does not hold four billion folders");
    let created = std::fs::DirBuilder::new().mode(0o700).create(&refuge);
    created.map_err(JournalError::io("create", &refuge))?;
    Ok(refuge)
}
