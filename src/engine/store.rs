//! What the engine knows of each task beside its place in the queue: spec, attempts, ids.
//!
//! Live use and replay fill it through the same functions, so that what was journaled and what
//! is in memory cannot differ.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::costs::Costs;
use super::environments::Environments;
use super::hash::StableHash;
use super::numbers::Numbers;
use super::workspaces::Workspaces;
use crate::journal::{AttemptImage, Spec};

/// One task's spec and attempts.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What was submitted.
    pub spec: Spec,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptImage>,
    /// When it ended, plus one; `None` while it has not. A million of these have to fit.
    ended_at_plus_one: Option<NonZeroU64>,
    /// The last attempt before the user wanted it again.
    pub revived_after: u32,
}

impl Entry {
    /// When it ended; `None` while it has not.
    pub(super) fn ended_at(&self) -> Option<Tick> {
        self.ended_at_plus_one.map(|plus_one| Tick(plus_one.get() - 1))
    }
}

// The goal of 500 bytes for a queued task rests on this.
const _: () = assert!(size_of::<Entry>() <= 176);

/// Every task that has not been removed, and every id that was ever used.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: BTreeMap<TaskKey, Box<Entry>>,
    names: HashMap<Box<str>, TaskKey>,
    /// Hashes of ids whose tasks were removed. Eight bytes each, kept for good: an id is never reused.
    spent: HashSet<u64>,
    strings: HashSet<Arc<str>>,
    /// Ended tasks by the moment of their end, for retention.
    ended: BTreeSet<(Tick, TaskKey)>,
    /// The numbers given and set aside.
    pub numbers: Numbers,
    /// The environments that specs refer to.
    pub environments: Environments,
    /// What Claude workers have cost.
    pub costs: Costs,
    /// The workspaces that were created.
    pub workspaces: Workspaces,
}

/// What an id that a client chose stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdUse {
    /// A task that exists.
    Task(TaskKey),
    /// A number set aside for a client: free to use.
    Reserved(TaskKey),
    /// A name that was never used.
    Free,
    /// It was used by a task that has since been removed, or passed over.
    Spent,
}

impl Store {
    /// The task with this id.
    #[must_use]
    pub(super) fn find(&self, id: &str) -> Option<TaskKey> {
        if let Some(key) = self.names.get(id) {
            return Some(*key);
        }
        let key = canonical_number(id)?;
        self.entries
            .get(&key)
            .filter(|entry| entry.spec.name.is_none())
            .map(|_| key)
    }

    /// What a client's own id stands for.
    #[must_use]
    pub(super) fn id_use(&self, id: &str) -> IdUse {
        if let Some(key) = self.find(id) {
            return IdUse::Task(key);
        }
        if self.spent.contains(&StableHash::of(id.as_bytes())) {
            return IdUse::Spent;
        }
        match canonical_number(id) {
            Some(key) if self.numbers.is_reserved(key.0) => IdUse::Reserved(key),
            Some(key) if key.0 < self.numbers.next() => IdUse::Spent,
            _ => IdUse::Free,
        }
    }

    /// The next number that no client has taken as a name.
    pub(super) fn next_key(&mut self) -> TaskKey {
        loop {
            let number = self.numbers.take_next();
            let name = number.to_string();
            if !self.names.contains_key(name.as_str())
                && !self.spent.contains(&StableHash::of(name.as_bytes()))
            {
                return TaskKey(number);
            }
        }
    }

    /// Adds a task. Strings that many tasks share are kept once.
    pub(super) fn insert(&mut self, key: TaskKey, mut spec: Spec, attempts: Vec<AttemptImage>) {
        self.numbers.used(key.0);
        spec.cwd = self.intern(&spec.cwd);
        spec.label = spec.label.take().map(|label| self.intern(&label));
        self.environments.retain(spec.env);
        if let Some(name) = &spec.name {
            self.names.insert(name.clone(), key);
        }
        self.entries.insert(
            key,
            Box::new(Entry {
                spec,
                attempts,
                ended_at_plus_one: None,
                revived_after: 0,
            }),
        );
    }

    /// Replaces a task's spec.
    pub(super) fn respecify(&mut self, key: TaskKey, mut spec: Spec) {
        spec.cwd = self.intern(&spec.cwd);
        spec.label = spec.label.take().map(|label| self.intern(&label));
        if let Some(entry) = self.entries.get_mut(&key) {
            self.environments.retain(spec.env);
            self.environments.release(entry.spec.env);
            entry.spec = spec;
        }
    }

    /// Forgets environments and strings that no task has any more; a snapshot follows.
    pub(super) fn clean_up(&mut self) {
        self.environments.clean_up();
        self.strings.retain(|string| Arc::strong_count(string) > 1);
    }

    /// A string that is kept once, however many tasks carry it.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.strings.insert(Arc::clone(&new));
        new
    }

    /// One task.
    #[must_use]
    pub(super) fn get(&self, key: TaskKey) -> Option<&Entry> {
        self.entries.get(&key).map(Box::as_ref)
    }

    /// One task, to change.
    pub(super) fn get_mut(&mut self, key: TaskKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key).map(Box::as_mut)
    }

    /// All tasks in the order of their keys, from `from` on.
    pub(super) fn from(&self, from: TaskKey) -> impl Iterator<Item = (TaskKey, &Entry)> {
        self.entries
            .range(from..)
            .map(|(key, entry)| (*key, entry.as_ref()))
    }

    /// How many tasks there are.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The id of a task, as a person knows it.
    #[must_use]
    pub(super) fn id(&self, key: TaskKey) -> String {
        match self
            .entries
            .get(&key)
            .and_then(|entry| entry.spec.name.as_deref())
        {
            Some(name) => name.to_owned(),
            None => key.0.to_string(),
        }
    }

    /// Removes a task; its id stays used. The id's hash, if a client had chosen it.
    pub(super) fn remove(&mut self, key: TaskKey) -> Option<u64> {
        let name = self.take(key)?.spec.name?;
        let hash = StableHash::of(name.as_bytes());
        self.spent.insert(hash);
        Some(hash)
    }

    /// Takes back a task that was never acknowledged; its id is free again.
    pub(super) fn withdraw(&mut self, key: TaskKey) {
        let Some(entry) = self.take(key) else { return };
        if entry.spec.name.is_none() {
            self.numbers.reserve(key.0, key.0);
        }
    }

    fn take(&mut self, key: TaskKey) -> Option<Box<Entry>> {
        self.mark_active(key);
        let entry = self.entries.remove(&key)?;
        if let Some(name) = &entry.spec.name {
            self.names.remove(name);
        }
        self.environments.release(entry.spec.env);
        Some(entry)
    }

    /// The task ended at this moment: retention counts from here.
    pub(super) fn mark_ended(&mut self, key: TaskKey, at: Tick) {
        self.mark_active(key);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.ended_at_plus_one = NonZeroU64::new(at.0.saturating_add(1));
            self.ended.insert((at, key));
        }
    }

    /// The task has not ended, or no longer.
    pub(super) fn mark_active(&mut self, key: TaskKey) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if let Some(at) = entry.ended_at() {
            entry.ended_at_plus_one = None;
            self.ended.remove(&(at, key));
        }
    }

    /// Ended tasks, the longest ended first.
    pub(super) fn ended(&self) -> impl DoubleEndedIterator<Item = (Tick, TaskKey)> + '_ {
        self.ended.iter().copied()
    }

    /// How many tasks have ended.
    #[must_use]
    pub(super) fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// Hashes of ids that must never be used again, for a snapshot.
    pub(super) fn spent(&self) -> impl Iterator<Item = u64> + '_ {
        self.spent.iter().copied()
    }

    /// Takes them from the journal.
    pub(super) fn restore_spent(&mut self, hashes: Vec<u64>) {
        self.spent.extend(hashes);
    }
}

/// A whole number without sign or leading zeros: the form in which the daemon gives ids.
fn canonical_number(id: &str) -> Option<TaskKey> {
    let number: u64 = id.parse().ok()?;
    (number > 0 && number.to_string() == id).then_some(TaskKey(number))
}
