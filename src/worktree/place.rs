//! Where worktrees are: `worktrees/<repository>-<hash>/<task>` in the data folder, each with a record and a lock of its
//! own in `.records/` beside it.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::WorktreeError;
use super::lock::Lock;
use super::record::{self, Order, Record};
use super::repository::{branch_tip, Repository};
use super::slug::{folder_name, slug};
use super::BRANCHES;

/// Records and locks of a place; no task's folder begins with a dot.
const RECORDS: &str = ".records";
/// Half-made worktrees that a killed git left behind.
const ASIDE: &str = ".aside";
/// As many tasks of the same id, from as many journals, may have left their branches behind.
const NAMESAKES_MAX: u32 = 1_000;

/// How many others may have a worktree in hand, one after the other, before it counts as in use.
const PATIENCE: u32 = 10;

/// The folder of all worktrees, below the data folder.
#[must_use]
pub fn folder_of(data: &Path) -> PathBuf {
    data.join("worktrees")
}

/// The folder of one repository's worktrees.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
}

/// One name in it, whether there is a worktree or not.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    place: Place,
    slug: String,
}

impl Place {
    /// That of a repository; made if it is not there.
    pub(super) fn of(worktrees: &Path, repository: &Repository) -> Result<Self, WorktreeError> {
        let bytes = repository.common_dir.as_os_str().as_encoded_bytes();
        let hash = crc32fast::hash(bytes);
        let name = format!("{}-{hash:08x}", folder_name(&repository.name()));
        let folder = worktrees.join(name);
        let made = make_folder(&folder.join(RECORDS)).and_then(|()| folder.canonicalize());
        let folder = made.map_err(|error| WorktreeError::file(&folder, error))?;
        Ok(Self { folder })
    }

    fn records(&self) -> PathBuf {
        self.folder.join(RECORDS)
    }

    /// The task's spot: the one that it has already, else one that nobody has.
    pub(super) fn spot(&self, order: &Order, repository: &Repository) -> Result<Spot, WorktreeError> {
        let wanted = slug(&order.task);
        for n in 1..=NAMESAKES_MAX {
            let spot = Spot {
                place: self.clone(),
                slug: if n == 1 {
                    wanted.clone()
                } else {
                    format!("{wanted}-{n}")
                },
            };
            match spot.record() {
                Ok(Some(record))
                    if record.is_of(&order.task, order.queued_at_ms)
                        && record.repository == repository.common_dir =>
                {
                    return Ok(spot);
                }
                // Of another task, perhaps one of an earlier journal, or unreadable: nothing of it is touched.
                Ok(Some(_)) | Err(_) => {}
                Ok(None) if self.has_record_of(order) => {}
                Ok(None) => {
                    let branch = branch_tip(&repository.common_dir, &spot.branch())?;
                    if branch.is_none() && !is_taken(&spot.path()) {
                        return Ok(spot);
                    }
                }
            }
        }
        Err(WorktreeError::refused(
            format!("{NAMESAKES_MAX} branches are named after tasks '{}'", order.task),
            "delete those that are no longer needed, and retry the task",
        ))
    }

    /// Whether a later spot is the task's own: the first one was freed since.
    fn has_record_of(&self, order: &Order) -> bool {
        let all = records_in(&self.records());
        let mut records = all.into_iter().filter_map(|(_, record)| record.ok());
        records.any(|record| record.is_of(&order.task, order.queued_at_ms))
    }
}

impl Spot {
    /// Where a record says that its worktree is.
    pub(super) fn of_record(record: &Record) -> Option<Self> {
        Some(Self {
            place: Place {
                folder: record.path.parent()?.to_owned(),
            },
            slug: record.slug().to_owned(),
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.place.folder.join(&self.slug)
    }

    pub(super) fn branch(&self) -> String {
        format!("{BRANCHES}{}", self.slug)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.place.records().join(format!("{}.{extension}", self.slug))
    }

    pub(super) fn record(&self) -> Result<Option<Record>, WorktreeError> {
        record::read(&self.file("json"))
    }

    pub(super) fn save(&self, record: &Record) -> Result<(), WorktreeError> {
        record::write(&self.file("json"), record)
    }

    /// A file that is of use for a moment.
    pub(super) fn scratch(&self, extension: &str) -> PathBuf {
        self.file(extension)
    }

    pub(super) fn lock_shared(&self) -> Result<Lock, WorktreeError> {
        let path = self.file("lock");
        Lock::shared(&path).map_err(|error| WorktreeError::file(&path, error))
    }

    pub(super) fn lock_alone(&self) -> Result<Option<Lock>, WorktreeError> {
        let path = self.file("lock");
        Lock::alone(&path).map_err(|error| WorktreeError::file(&path, error))
    }

    /// The same, once whoever makes or removes it now has done so; `None` if a worker is in it.
    pub(super) fn lock_patiently(&self) -> Result<Option<Lock>, WorktreeError> {
        for _ in 0..PATIENCE {
            if let Some(lock) = self.lock_alone()? {
                return Ok(Some(lock));
            }
            drop(self.lock_shared()?);
        }
        Ok(None)
    }

    /// Whether a worker is in it.
    pub(super) fn is_in_use(&self) -> Result<bool, WorktreeError> {
        let path = self.file("lock");
        // What is looked at is not made by looking.
        if !path.exists() {
            return Ok(false);
        }
        Lock::is_shared(&path).map_err(|error| WorktreeError::file(&path, error))
    }

    /// There is no worktree any more.
    pub(super) fn drop_record(&self) -> Result<(), WorktreeError> {
        let path = self.file("json");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WorktreeError::file(&path, error)),
            _ => Ok(()),
        }
    }

    /// The same, and the lock goes too.
    pub(super) fn forget(&self, lock: Lock) -> Result<(), WorktreeError> {
        self.drop_record()?;
        lock.delete()
            .map_err(|error| WorktreeError::file(&self.file("lock"), error))
    }

    /// Moves what is there out of the way; what nobody could miss is deleted. Returns where it is now.
    pub(super) fn set_aside(&self) -> Result<Option<PathBuf>, WorktreeError> {
        let path = self.path();
        let failed = |error| WorktreeError::file(&path, error);
        if !is_taken(&path) {
            let _ = std::fs::remove_dir(&path);
            return Ok(None);
        }
        let folder = self.place.folder.join(ASIDE);
        make_folder(&folder).map_err(failed)?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = folder.join(format!("{}-{}", self.slug, since_epoch.as_millis()));
        std::fs::rename(&path, &aside).map_err(failed)?;
        if holds_git_file_only(&aside) {
            std::fs::remove_dir_all(&aside).map_err(failed)?;
            return Ok(None);
        }
        Ok(Some(aside))
    }
}

/// Whether there is anything but an empty folder.
pub(super) fn is_taken(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn holds_git_file_only(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.all(|name| name == ".git") && folder.join(".git").is_file()
}

fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

type Read = (PathBuf, Result<Record, WorktreeError>);

fn records_in(folder: &Path) -> Vec<Read> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = files.map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .filter_map(|path| match record::read(&path) {
            Ok(None) => None,
            Ok(Some(record)) => Some((path, Ok(record))),
            Err(error) => Some((path, Err(error))),
        })
        .collect()
}

/// All worktrees, those of one repository together, in the order of their tasks; and files that cannot be read.
#[must_use]
pub fn records(worktrees: &Path) -> (Vec<Record>, Vec<WorktreeError>) {
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    for place in places(worktrees) {
        for (_, read) in records_in(&place.join(RECORDS)) {
            match read {
                Ok(record) => records.push(record),
                Err(error) => damaged.push(error),
            }
        }
    }
    records.sort_by_key(|record| {
        (
            record.repository.clone(),
            record.queued_at_ms,
            record.task.clone(),
        )
    });
    (records, damaged)
}

/// The worktrees of a task: usually one. Others are of tasks of the same id from an earlier journal.
#[must_use]
pub fn find(worktrees: &Path, task: &str) -> Vec<Record> {
    let (mut records, _) = records(worktrees);
    records.retain(|record| record.task == task);
    records.sort_by_key(|record| std::cmp::Reverse(record.queued_at_ms));
    records
}

/// Half-made worktrees that were moved out of the way.
#[must_use]
pub fn asides(worktrees: &Path) -> Vec<PathBuf> {
    let folders = places(worktrees).into_iter().map(|place| place.join(ASIDE));
    let entries = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn places(worktrees: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(worktrees).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
