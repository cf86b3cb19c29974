//! Opening: load everything, cut off a torn tail, clear away what is no longer needed.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use super::chain::Chain;
use super::listing::{aside, Listing};
use super::marker::{Marker, MarkerFile};
use super::replay::{read_from, replay, Replayed};
use super::segment::{Header, Kind, Segment};
use super::snapshot::remove_obsolete;
use super::storage::Storage;
use super::{Journal, JournalError, Options, Record};

/// Records handed from the decoding thread to the applying one at once: enough to make the
/// hand-over cheap, few enough to stay in the cache.
const BATCH_RECORDS: usize = 256;

/// Batches that wait to be applied. Whichever side is slower sets the pace; a few even it out.
const BATCHES_MAX: usize = 4;

/// A journal that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Ready for commits.
    pub journal: Journal,
    /// What the user should know, a sentence each; nothing acknowledged was lost.
    pub warnings: Vec<String>,
    /// How many records were handed to `apply`.
    pub records: u64,
}

impl Journal {
    /// Loads everything in order and hands each record to `apply`.
    ///
    /// Creates the folder if nothing is there. A torn tail is cut off with a warning and kept in
    /// a `.torn-*` file. Records are decoded by a second thread; `apply` runs on the caller's.
    ///
    /// Of tasks that were removed while a snapshot was made, `apply` may see nothing but
    /// [`Record::Removed`].
    ///
    /// # Errors
    ///
    /// If something acknowledged cannot be read, or the file system refuses. Whatever `apply` was
    /// given until then must be thrown away. Nothing is changed on the disk then.
    pub fn open(folder: &Path, options: Options, apply: impl FnMut(Record)) -> Result<Opened, JournalError> {
        Self::open_with(Storage::default(), folder, options, apply)
    }

    pub(super) fn open_with(
        storage: Storage,
        folder: &Path,
        options: Options,
        apply: impl FnMut(Record),
    ) -> Result<Opened, JournalError> {
        create_folder(folder)?;
        let listing = Listing::read(folder)?;
        if listing.is_fresh() {
            return create(storage, folder, options);
        }
        let marker = Marker::read(folder);
        let chain = Chain::choose(&listing, marker)?;
        let loaded = load(&chain, marker, apply)?;
        Opening {
            storage,
            listing,
            chain,
            loaded,
        }
        .finish(options)
    }
}

/// Makes the folder and its parents, readable by their owner alone.
fn create_folder(folder: &Path) -> Result<(), JournalError> {
    let mut builder = std::fs::DirBuilder::new();
    let builder = builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(JournalError::io("create", folder))
}

fn create(storage: Storage, folder: &Path, options: Options) -> Result<Opened, JournalError> {
    let header = Header::new(Kind::Segment, 1, 1);
    let segment =
        Segment::create(&storage, folder, &header).map_err(JournalError::io("begin a journal in", folder))?;
    if let Some(parent) = folder.parent() {
        // The folder's own name must survive a power loss too.
        storage
            .sync_folder(parent)
            .map_err(JournalError::io("sync", parent))?;
    }
    let journal = assemble(storage, folder, options, segment)?;
    Ok(Opened {
        journal,
        warnings: Vec::new(),
        records: 0,
    })
}

fn assemble(
    storage: Storage,
    folder: &Path,
    options: Options,
    segment: Segment,
) -> Result<Journal, JournalError> {
    let marker = MarkerFile::open(folder).map_err(JournalError::io("open the marker in", folder))?;
    let journal = Journal {
        folder: folder.to_owned(),
        options,
        storage,
        segment,
        marker,
        last_lsn: 0,
        closed: Vec::new(),
        snapshot_bytes: 0,
        buffer: Vec::new(),
        writer: None,
        snapshot_error: None,
        retry_bytes: 0,
        stats: super::Stats::default(),
    };
    journal.move_marker();
    Ok(journal)
}

/// Decodes on a second thread while `apply` runs on this one.
fn load(
    chain: &Chain,
    marker: Option<Marker>,
    mut apply: impl FnMut(Record),
) -> Result<Replayed, JournalError> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BATCHES_MAX);
        let decoder = scope.spawn(move || {
            let mut batch = Vec::with_capacity(BATCH_RECORDS);
            let mut hand_on = |_, record| {
                batch.push(record);
                if batch.len() == BATCH_RECORDS {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_RECORDS));
                    // Nobody listens any more only if `apply` has panicked.
                    let _ = sender.send(full);
                }
            };
            let replayed = replay(chain, marker, &mut hand_on);
            let _ = sender.send(batch);
            replayed
        });
        for batch in receiver {
            batch.into_iter().for_each(&mut apply);
        }
        match decoder.join() {
            Ok(replayed) => replayed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// All has been read, nothing changed yet.
struct Opening {
    storage: Storage,
    listing: Listing,
    chain: Chain,
    loaded: Replayed,
}

impl Opening {
    fn finish(mut self, options: Options) -> Result<Opened, JournalError> {
        let segment = self.reopen_last()?;
        let folder = self.listing.folder.clone();
        self.clear_away()?;
        let mut journal = assemble(self.storage, &folder, options, segment)?;
        let (_, closed) = self.chain.segments.split_last().expect("never empty");
        journal.closed = closed
            .iter()
            .map(|link| (link.header.number, link.file_bytes))
            .collect();
        journal.snapshot_bytes = self.chain.snapshot.map_or(0, |snapshot| snapshot.bytes);
        journal.last_lsn = self.loaded.last_lsn;
        Ok(Opened {
            journal,
            warnings: self.loaded.warnings,
            records: self.loaded.records,
        })
    }

    /// Cuts the last segment's torn tail, and syncs: what was loaded may have been written
    /// without a sync, and from now on it counts.
    fn reopen_last(&mut self) -> Result<Segment, JournalError> {
        let link = self.chain.segments.last().expect("never empty");
        let (path, good_bytes) = (&link.path, self.loaded.good_bytes);
        let torn_bytes = link.file_bytes - good_bytes;
        if torn_bytes > 0 {
            let kept = self.keep_aside(path, good_bytes)?;
            self.loaded.warnings.push(format!(
                "{}: cut {torn_bytes} bytes at {good_bytes}, a write that was interrupted before \
                 it was acknowledged; they are kept in {}",
                path.display(),
                kept.display()
            ));
        }
        let segment =
            Segment::reopen(path, link.header.number, good_bytes).map_err(JournalError::io("open", path))?;
        if torn_bytes > 0 {
            segment
                .cut(&self.storage)
                .map_err(JournalError::io("cut", path))?;
        }
        segment
            .sync(&self.storage)
            .and_then(|()| self.storage.sync_folder(&self.listing.folder))
            .map_err(JournalError::io("sync", path))?;
        Ok(segment)
    }

    /// Copies the end of a file beside it.
    fn keep_aside(&self, path: &Path, offset: u64) -> Result<PathBuf, JournalError> {
        let bytes = read_from(path, offset)?;
        let kept = aside(path, "torn");
        let storage = &self.storage;
        storage
            .create(&kept)
            .and_then(|file| {
                storage.write_all_at(&file, &bytes, 0)?;
                storage.sync(&file)
            })
            .and_then(|()| storage.sync_folder(&self.listing.folder))
            .map_err(JournalError::io("write", &kept))?;
        Ok(kept)
    }

    /// Moves damaged snapshots aside and removes what a newer snapshot stands for and what never
    /// came into force. Only called when everything has been loaded.
    fn clear_away(&mut self) -> Result<(), JournalError> {
        for (path, error) in std::mem::take(&mut self.chain.damaged) {
            let kept = aside(&path, "damaged");
            self.storage
                .rename(&path, &kept)
                .map_err(JournalError::io("move aside", &path))?;
            self.loaded.warnings.push(format!(
                "{error}; older files hold the same, the snapshot is kept as {}",
                kept.display()
            ));
        }
        let unfinished = &self.listing.unfinished_snapshots;
        for path in unfinished.values().chain(&self.listing.unfinished_segments) {
            // It would only be found again.
            let _ = self.storage.remove(path);
        }
        if self.chain.snapshot.is_some() {
            remove_obsolete(&self.storage, &self.listing.folder, self.chain.base_number());
        }
        Ok(())
    }
}
