//! Loads the journal into an empty scheduler and store.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use wezterm_parallel_scheduler::{Limits, Scheduler, Submission, TaskKey, Tick};

use super::accounts::Accounts;
use super::facts::{self, Outcome};
use super::store::Store;
use crate::journal::{Journal, JournalError, Options, Record, Spec, TaskImage, WorkspaceImage};

/// What the journal told.
pub struct Recovered {
    pub(super) scheduler: Scheduler,
    pub(super) store: Store,
    pub(super) newest: Tick,
    pub(super) accounts: Accounts,
    /// Tasks that records speak of though nothing introduced them; harmless if they were removed later.
    strangers: BTreeSet<TaskKey>,
    warnings: Vec<String>,
}

/// Opens the journal and replays it. The warnings are for the user: a torn tail that was cut, say.
pub fn recover(folder: &Path, options: Options) -> Result<(Journal, Recovered, Vec<String>), JournalError> {
    let mut recovered = Recovered::empty();
    let opened = Journal::open(folder, options, |record| recovered.take(record))?;
    let mut warnings = opened.warnings;
    warnings.append(&mut recovered.warnings);
    if !recovered.strangers.is_empty() {
        let numbers: Vec<String> = recovered
            .strangers
            .iter()
            .take(10)
            .map(|key| key.0.to_string())
            .collect();
        warnings.push(format!(
            "the journal speaks of tasks that it never introduced: {}",
            numbers.join(", ")
        ));
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        records = opened.records,
        tasks = recovered.store.len(),
        "the journal is loaded"
    );
    Ok((opened.journal, recovered, warnings))
}

impl Recovered {
    fn empty() -> Self {
        // No slot: nothing starts before the config's limits are set.
        let limits = Limits {
            slots: 0,
            aging_step_ms: 0,
            lanes: Vec::new(),
            jitter_seed: 0,
            lend: 0,
        };
        Self {
            scheduler: Scheduler::new(limits),
            store: Store::default(),
            newest: Tick::default(),
            accounts: Accounts::default(),
            strangers: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Submitted { submission, spec } => {
                self.newest = self.newest.max(submission.submitted_at);
                self.submit(*submission, *spec);
            }
            Record::Changed { at, key, change } => {
                self.newest = self.newest.max(at);
                match self.scheduler.replay(key, &change) {
                    Ok(()) => facts::change(&mut self.store, at, key, &change),
                    Err(illegal) if illegal.from.is_none() => {
                        self.strangers.insert(key);
                    }
                    Err(illegal) => self
                        .warnings
                        .push(format!("a record of the journal was not taken: {illegal}")),
                }
            }
            Record::Exited {
                key,
                attempt,
                exit,
                outcome,
                message,
                claude,
                at,
            } => {
                let outcome = Outcome {
                    attempt,
                    exit,
                    outcome,
                    message,
                    claude,
                    at,
                };
                facts::outcome(&mut self.store, key, outcome);
            }
            Record::Respecified { key, spec } => self.store.respecify(key, *spec),
            Record::Environment { hash, variables } => self.store.environments.restore(hash, variables),
            Record::Reserved { first, last } => self.store.numbers.reserve(first, last),
            Record::Workspace { name, image } => self.restore_workspace(name, image),
            Record::Process { number, image } => {
                self.store.set_process(number, image.map(|image| *image));
            }
            Record::Reported { key, report } => self.store.report(key, report),
            Record::Paused { workspace, paused } => self.scheduler.replay_pause(workspace, paused),
            Record::Spent(spent) => self.store.costs.add(*spent),
            Record::Account { name, image } => self.accounts.restore(name, image),
            Record::Removed { keys, spent } => {
                self.forget(&keys);
                self.store.restore_spent(spent);
            }
            Record::Image(image) => self.restore(*image),
            Record::State {
                next_key,
                reserved,
                spent,
                at,
                next_process,
            } => {
                self.newest = self.newest.max(at);
                self.store.processes.restore_next(next_process);
                self.store.numbers.restore(next_key, &reserved);
                self.store.restore_spent(spent);
            }
        }
    }

    fn submit(&mut self, submission: Submission, spec: Spec) {
        let key = submission.key;
        match self.scheduler.replay_submission(submission) {
            Ok(()) => self.store.insert(key, spec, Vec::new()),
            Err(refusal) => self
                .warnings
                .push(format!("task {} of the journal was not taken: {refusal}", key.0)),
        }
    }

    fn restore_workspace(&mut self, name: Arc<str>, image: Option<Box<WorkspaceImage>>) {
        let image = image.map(|image| Arc::new(*image));
        self.store.workspaces.set(name, image);
    }

    fn forget(&mut self, keys: &[TaskKey]) {
        for key in keys {
            self.strangers.remove(key);
            self.store.numbers.used(key.0);
            self.scheduler.replay_forget(*key);
            self.store.remove(*key);
        }
    }

    fn restore(&mut self, image: TaskImage) {
        let key = image.task.submission.key;
        self.store.insert(key, image.spec, image.attempts);
        if let Some(entry) = self.store.get_mut(key) {
            entry.revived_after = image.revived_after;
        }
        self.store.report(key, image.report);
        if let Some(at) = image.ended_at {
            self.store.mark_ended(key, at);
        }
        self.scheduler.restore(image.task);
    }
}
