//! Housekeeping: retention of ended tasks, snapshots in small chunks, the status file.

use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::Arc;
use std::time::Duration;

use wezterm_parallel_scheduler::{Input, TaskKey, Tick};

use super::batch::{Batch, Removed};
use super::worktrees::Gardener;
use super::Engine;
use crate::config::Config;
use crate::journal::{Record, TaskImage, WorkspaceImage};

/// Tasks in one chunk of a snapshot: about two milliseconds of work between two rounds.
const CHUNK: usize = 512;
/// Tasks that retention removes in one round at most, so that a round stays short.
const REMOVE_MAX: usize = 256;
/// The pause between two such rounds: file systems get slow when much is deleted at once.
const REMOVE_EVERY: Duration = Duration::from_millis(100);
/// Folders waiting to be deleted; what does not fit stays, with a line in the log that names it.
const JANITOR_MAX: usize = 65_536;

/// What housekeeping remembers between rounds.
pub(super) struct Upkeep {
    age_ms: u64,
    tasks: usize,
    tasks_folder: PathBuf,
    janitor: Option<SyncSender<PathBuf>>,
    pub(super) gardener: Gardener,
    /// Where the running snapshot goes on, and the last key that it will hold.
    snapshot: Option<(TaskKey, TaskKey)>,
    /// The last round removed as many tasks as one may, so that more are likely to be due.
    more_to_remove: bool,
}

impl Upkeep {
    /// Whether chunks of a snapshot are still to be made.
    pub(super) fn makes_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// When retention has more to do.
    pub(super) fn removal_due_in(&self) -> Option<Duration> {
        self.more_to_remove.then_some(REMOVE_EVERY)
    }

    pub(super) fn new(config: &Config, tasks_folder: PathBuf) -> Self {
        let mut upkeep = Self {
            age_ms: 0,
            tasks: 0,
            tasks_folder,
            janitor: None,
            gardener: Gardener::default(),
            snapshot: None,
            more_to_remove: false,
        };
        upkeep.configure(config);
        upkeep
    }

    /// Takes the retention from a config.
    pub(super) fn configure(&mut self, config: &Config) {
        self.age_ms = u64::try_from(config.retention.age.as_millis()).unwrap_or(u64::MAX);
        self.tasks = usize::try_from(config.retention.tasks).unwrap_or(usize::MAX);
    }

    /// Has the folders of removed tasks deleted, off the engine's thread.
    pub(super) fn remove_folders(&mut self, ids: impl Iterator<Item = String>) {
        for id in ids {
            let folder = self.tasks_folder.join(&id);
            self.remove_paths(std::iter::once(folder));
        }
    }

    /// The same for folders anywhere.
    pub(super) fn remove_paths(&mut self, folders: impl Iterator<Item = PathBuf>) {
        for folder in folders {
            let janitor = self.janitor.get_or_insert_with(start_janitor);
            let shown = folder.display().to_string();
            if janitor.try_send(folder).is_err() {
                tracing::warn!(
                    folder = shown,
                    "a folder that is not needed any more stays: too many are being deleted"
                );
            }
        }
    }
}

/// The thread that deletes folders, started when the first one is to go.
fn start_janitor() -> SyncSender<PathBuf> {
    let (tx, rx) = sync_channel::<PathBuf>(JANITOR_MAX);
    let work = move || {
        for folder in rx {
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(folder = %folder.display(), %error, "the folder of a removed task could not be deleted");
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("janitor".to_owned()).spawn(work) {
        tracing::warn!(%error, "folders of removed tasks are left for later");
    }
    tx
}

impl Engine {
    /// Removes what has ended too long ago, or is one too many.
    pub(super) fn retain(&mut self, now: Tick, batch: &mut Batch) {
        // A snapshot in progress must not miss a task whose earlier records it already skips.
        if self.journal_failing.is_some() || self.upkeep.makes_snapshot() {
            return;
        }
        let surplus = self.store.ended_len().saturating_sub(self.upkeep.tasks);
        if self.history.holds_back(surplus) {
            return;
        }
        let old = |at: Tick| now.ms_since(at) > self.upkeep.age_ms;
        let due = self
            .store
            .ended()
            .enumerate()
            .take_while(|(index, (at, _))| *index < surplus || old(*at));
        let free = due
            .map(|(_, (_, key))| key)
            .filter(|key| !self.scheduler.is_waited_for(*key) && !self.history.lacks(*key));
        let keys: Vec<TaskKey> = free.take(REMOVE_MAX).collect();
        self.upkeep.more_to_remove = keys.len() == REMOVE_MAX;
        self.remove(now, &keys, batch);
    }

    /// Removes ended tasks, except those that others still wait for. The ids of those removed.
    pub(super) fn remove(&mut self, now: Tick, keys: &[TaskKey], batch: &mut Batch) -> Vec<String> {
        let mut ids = Vec::new();
        let (mut removed, mut spent) = (Vec::new(), Vec::new());
        for key in keys {
            if self.scheduler.is_waited_for(*key) {
                continue;
            }
            let Some(lane) = self.scheduler.lane(*key).cloned() else {
                continue;
            };
            self.keep_for_history(*key);
            match self.scheduler.apply(now, Input::Forget(*key)) {
                Ok(actions) => self.absorb(now, actions, batch),
                Err(_) => continue,
            }
            let (key, id) = (*key, self.store.id(*key));
            batch.removed.push(Removed {
                key,
                id: id.clone(),
                lane,
            });
            spent.extend(self.store.remove(key));
            removed.push(key);
            ids.push(id);
        }
        if !removed.is_empty() {
            batch.records.push(Record::Removed { keys: removed, spent });
        }
        ids
    }

    /// What is due after each round.
    pub(super) fn keep_house(&mut self, now: Tick) {
        if let Err(error) = self.snapshot_step(now) {
            self.upkeep.snapshot = None;
            tracing::warn!(%error, "a snapshot could not be written; the journal goes on without it");
        }
        if let Some(error) = self.journal.take_snapshot_error() {
            self.upkeep.snapshot = None;
            tracing::warn!(%error, "a snapshot could not be written; the journal goes on without it");
        }
        self.pace_gauge(now);
        self.feed_history(now);
        self.save_peaks(now, false);
        self.show_summary(now);
    }

    /// Begins a snapshot when it is time, or makes its next chunk.
    fn snapshot_step(&mut self, now: Tick) -> std::io::Result<()> {
        if self.journal_failing.is_some() {
            // What is in memory is not all in the journal now, and an image must not be ahead of it.
            return Ok(());
        }
        let Some((from, last)) = self.upkeep.snapshot else {
            if self.journal.wants_snapshot() {
                self.store.clean_up();
                let state = self.snapshot_state(now);
                self.journal.begin_snapshot(state)?;
                let last = TaskKey(self.store.numbers.next());
                self.upkeep.snapshot = Some((TaskKey(0), last));
            }
            return Ok(());
        };
        let keys: Vec<TaskKey> = self
            .store
            .from(from)
            .map(|(key, _)| key)
            .take_while(|key| *key <= last)
            .take(CHUNK)
            .collect();
        let images = keys
            .iter()
            .filter_map(|key| self.image(*key).map(Record::Image))
            .collect();
        match keys.last() {
            Some(upto) if keys.len() == CHUNK => {
                self.upkeep.snapshot = Some((TaskKey(upto.0 + 1), last));
                self.journal.snapshot_chunk(*upto, images)
            }
            _ => {
                self.upkeep.snapshot = None;
                self.journal.snapshot_chunk(last, images)?;
                self.journal.finish_snapshot()
            }
        }
    }

    /// Everything that is not a task.
    pub(super) fn snapshot_state(&mut self, now: Tick) -> Vec<Record> {
        let numbers = &self.store.numbers;
        let state = Record::State {
            next_key: numbers.next(),
            reserved: numbers.reserved(),
            spent: self.store.spent().collect(),
            at: now,
            next_process: self.store.processes.next(),
        };
        let environments = self.store.environments.iter();
        let environments = environments.map(|(hash, variables)| Record::Environment {
            hash,
            variables: variables.clone(),
        });
        let paused = self.scheduler.paused().map(|workspace| Record::Paused {
            workspace,
            paused: true,
        });
        let workspaces = self.store.workspaces.iter();
        let workspaces = workspaces.map(|(name, image)| Record::Workspace {
            name: Arc::clone(name),
            image: Some(Box::new(WorkspaceImage::clone(image))),
        });
        let processes = self.store.processes.iter();
        let processes = processes.map(|(number, image)| Record::Process {
            number,
            image: Some(Box::new(image.clone())),
        });
        let accounts = self.accounts.images();
        let accounts = accounts.map(|(name, image)| Record::Account { name, image });
        let mut records: Vec<Record> = std::iter::once(state)
            .chain(environments)
            .chain(paused)
            .chain(workspaces)
            .chain(processes)
            .chain(accounts)
            .collect();
        let costs = self.store.costs.snapshot(now).into_iter();
        records.extend(costs.map(|spent| Record::Spent(Box::new(spent))));
        records
    }

    /// A task as a snapshot has it.
    pub(super) fn image(&self, key: TaskKey) -> Option<Box<TaskImage>> {
        let entry = self.store.get(key)?;
        let task = self.scheduler.task(key)?;
        let (spec, attempts) = (entry.spec.clone(), entry.attempts.clone());
        Some(Box::new(TaskImage {
            task,
            spec,
            attempts,
            ended_at: entry.ended_at(),
            revived_after: entry.revived_after,
            report: self.store.reports.get(&key).cloned(),
        }))
    }
}
