//! Puts back into the journal what only the history has: after damage, or after a journal that is gone.
//!
//! What the journal itself still says is the truth. Of the history come tasks that it does not know, as they stood when
//! they were written last, with their environments. Whatever runs, or may have run since, is found out by the next
//! daemon as after any crash: the attempt folders tell.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::hash::StableHash;
use super::recover::{recover, Recovered};
use super::Engine;
use crate::history::{BackedUp, Backup, HistoryError, Reader};
use crate::journal::{EnvHash, JournalError, Options, Record, TaskImage};

/// Records of one commit.
const COMMIT_MAX: usize = 4096;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Tasks that the journal knew itself.
    pub known: usize,
    /// Tasks that wait again.
    pub waiting: usize,
    /// Tasks that ran: the next daemon looks for their attempts.
    pub running: usize,
    /// Ended tasks.
    pub ended: usize,
    /// Tasks that a daemon has missed before, and that were left out.
    pub strays: usize,
    /// Workspaces.
    pub workspaces: usize,
    /// Processes: the next daemon looks for their runs.
    pub processes: usize,
    /// Ids that no task has any more and that are known as used again.
    pub used_ids: usize,
    /// What could not be put back, a sentence each.
    pub left_out: Vec<String>,
    /// When the newest of it was queued or ended, in milliseconds since the Unix epoch.
    pub newest_ms: u64,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What was put together could not be written.
    #[error("the journal cannot be written: {0}")]
    Write(std::io::Error),
}

/// Adds what the journal in this folder does not know. No daemon may run; the journal must be readable. Strays are
/// tasks that a daemon has missed already when it compared.
///
/// # Errors
/// If one of the two cannot be read, or the journal not be written.
pub fn restore(folder: &Path, history: &Reader, with_strays: bool) -> Result<Restored, RestoreError> {
    let (mut journal, recovered, _) = recover(folder, Options::default())?;
    let backup = history.backup()?;
    let mut restoring = Restoring {
        runs: Engine::processes_folder(folder),
        is_empty: recovered.store.len() == 0 && journal.last_lsn().0 == 0,
        done: Restored {
            known: recovered.store.len(),
            newest_ms: backup.newest_ms,
            left_out: backup.unreadable.clone(),
            ..Restored::default()
        },
        recovered,
        backup,
        with_strays,
        records: Vec::new(),
        environments: BTreeSet::new(),
        taken: HashSet::new(),
        names: HashSet::new(),
        numbers: None,
    };
    let mut tasks = Vec::new();
    history.each_backed_up(|task| tasks.push(task))?;
    restoring.state();
    for task in tasks {
        restoring.task(task);
    }
    let first = restoring.numbers_and_ids(history)?;
    restoring.records.insert(0, first);
    for records in restoring.records.chunks(COMMIT_MAX) {
        journal.commit(records).map_err(RestoreError::Write)?;
    }
    Ok(restoring.done)
}

struct Restoring {
    /// The folder with the runs of processes.
    runs: PathBuf,
    recovered: Recovered,
    /// The journal holds nothing at all.
    is_empty: bool,
    backup: Backup,
    with_strays: bool,
    records: Vec<Record>,
    environments: BTreeSet<u64>,
    /// Keys of tasks that were put back.
    taken: HashSet<TaskKey>,
    /// Their ids.
    names: HashSet<String>,
    /// The next number to give, the newest moment, and the next number of a process, as the backup has them.
    numbers: Option<(u64, Tick, u64)>,
    done: Restored,
}

impl Restoring {
    /// Ids are never used again: neither those of the backup, nor of ended tasks that were removed long ago.
    fn numbers_and_ids(&mut self, history: &Reader) -> Result<Record, HistoryError> {
        let mut spent: BTreeSet<u64> = self.backup.used_ids.drain(..).collect();
        let (recovered, names) = (&self.recovered, &self.names);
        history.each_ended_id(|key, id| {
            let is_gone = || recovered.store.find(id).is_none() && !names.contains(id);
            if id != key.to_string() && is_gone() {
                spent.insert(StableHash::of(id.as_bytes()));
            }
        })?;
        let known: HashSet<u64> = self.recovered.store.spent().collect();
        spent.retain(|hash| !known.contains(hash));
        self.done.used_ids = spent.len();
        let (mut next_key, mut at) = (self.backup.last_key + 1, self.backup.newest_ms);
        let mut next_process = 0;
        if let Some((next, newest, process)) = self.numbers {
            (next_key, at) = (next_key.max(next), at.max(newest.0));
            next_process = process;
        }
        Ok(Record::State {
            next_key,
            reserved: Vec::new(),
            spent: spent.into_iter().collect(),
            at: Tick(at),
            next_process,
        })
    }

    /// Workspaces that are missing. What an empty journal lacks besides: pauses, accounts, costs. To a journal that has
    /// some of that, costs would be added twice.
    fn state(&mut self) {
        for record in std::mem::take(&mut self.backup.state) {
            let is_wanted = match &record {
                Record::Workspace { name, .. } => self.recovered.store.workspaces.get(name).is_none(),
                Record::Process { .. } | Record::Environment { .. } => {
                    self.process(record);
                    continue;
                }
                Record::Paused { .. } | Record::Account { .. } | Record::Spent(_) => self.is_empty,
                Record::State {
                    next_key,
                    at,
                    next_process,
                    ..
                } => {
                    self.numbers = Some((*next_key, *at, *next_process));
                    false
                }
                _ => false,
            };
            if is_wanted {
                self.done.workspaces += usize::from(matches!(record, Record::Workspace { .. }));
                self.records.push(record);
            }
        }
    }

    /// A process that the journal does not know, or the environment of one, which comes before it.
    fn process(&mut self, record: Record) {
        let processes = &self.recovered.store.processes;
        match record {
            Record::Process {
                number,
                image: Some(mut image),
            } => {
                let known = processes.iter().find(|(other, process)| {
                    let has_its_name = image.spec.name.is_some() && process.spec.name == image.spec.name;
                    *other == number || has_its_name && process.spec.workspace == image.spec.workspace
                });
                match known {
                    Some((other, process)) if process.spec.created_at != image.spec.created_at => {
                        let why = format!("process @{number}: there is another one by now, @{other}");
                        self.done.left_out.push(why);
                    }
                    Some(_) => {}
                    None => {
                        let newest = newest_run(&self.runs.join(format!("@{number}")));
                        image.catch_up(newest, super::clock::Clock::start(self.recovered.newest).now());
                        let image = Some(image);
                        self.done.processes += 1;
                        self.records.push(Record::Process { number, image });
                    }
                }
            }
            Record::Environment { hash, variables } => {
                let is_known = self.recovered.store.environments.get(hash).is_some();
                if !is_known && self.environments.insert(hash.0) {
                    self.records.push(Record::Environment { hash, variables });
                }
            }
            _ => {}
        }
    }

    fn task(&mut self, task: BackedUp) {
        let BackedUp {
            id,
            image,
            stray_since_ms,
        } = task;
        let image = match image {
            Ok(image) => image,
            Err(why) => {
                let left_out = format!("task {id} cannot be read: {why}");
                return self.done.left_out.push(left_out);
            }
        };
        let submission = &image.task.submission;
        let known = self.recovered.scheduler.task(submission.key);
        if known.is_some_and(|task| task.submission.submitted_at == submission.submitted_at) {
            return;
        }
        if stray_since_ms.is_some() && !self.with_strays {
            self.done.strays += 1;
            return;
        }
        if self.recovered.store.get(submission.key).is_some()
            || self.recovered.store.find(&id).is_some()
            || !self.taken.insert(submission.key)
        {
            let left_out = format!("task {id}: another task has its id by now");
            return self.done.left_out.push(left_out);
        }
        self.environment(&id, &image);
        self.names.insert(id);
        let state = image.task.state;
        match () {
            () if state.is_end() => self.done.ended += 1,
            () if state.is_active() => self.done.running += 1,
            () => self.done.waiting += 1,
        }
        self.records.push(Record::Image(image));
    }

    /// The task's environment comes before it, if the journal has not got it.
    fn environment(&mut self, id: &str, image: &TaskImage) {
        let EnvHash(hash) = image.spec.env;
        let is_known = self.recovered.store.environments.get(EnvHash(hash)).is_some();
        if is_known || !self.environments.insert(hash) {
            return;
        }
        match self.backup.environments.get(&hash) {
            Some(variables) => self.records.push(Record::Environment {
                hash: EnvHash(hash),
                variables: variables.clone(),
            }),
            None if image.task.state.is_end() => {}
            None => {
                let left_out = format!("the environment of task {id}: it will say so when it is to start");
                self.done.left_out.push(left_out);
            }
        }
    }
}

/// The number of the last run of a process that has left a folder.
fn newest_run(process: &Path) -> u32 {
    let entries = std::fs::read_dir(process).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(0)
}
