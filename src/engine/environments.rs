//! Environments, each kept once however many tasks share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hash::StableHash;
use crate::journal::EnvHash;

/// The variables of one environment.
pub(super) type Variables = BTreeMap<String, String>;

/// Environments by the hash of their content, with the number of tasks that refer to each.
#[derive(Debug, Default)]
pub(super) struct Environments {
    known: HashMap<EnvHash, Shared>,
}

#[derive(Debug)]
struct Shared {
    variables: Arc<Variables>,
    tasks: u64,
    /// Survives the next clean-up though no task refers to it: a client has just stored it.
    fresh: bool,
}

impl Environments {
    /// The hash under which these variables stand, and whether they are new (and must be journaled).
    pub(super) fn add(&mut self, variables: Variables) -> (EnvHash, bool) {
        let mut hash = EnvHash(StableHash::of_json(&variables));
        // Two contents under one hash are as good as impossible, but would run a task in a wrong environment.
        while let Some(known) = self.known.get(&hash) {
            if *known.variables == variables {
                return (hash, false);
            }
            hash = EnvHash(hash.0.wrapping_add(1));
        }
        self.restore(hash, variables);
        (hash, true)
    }

    /// From the journal.
    pub(super) fn restore(&mut self, hash: EnvHash, variables: Variables) {
        let shared = Shared {
            variables: Arc::new(variables),
            tasks: 0,
            fresh: true,
        };
        self.known.entry(hash).or_insert(shared);
    }

    /// The variables under a hash.
    #[must_use]
    pub(super) fn get(&self, hash: EnvHash) -> Option<Arc<Variables>> {
        self.known.get(&hash).map(|shared| Arc::clone(&shared.variables))
    }

    /// One more task refers to it.
    pub(super) fn retain(&mut self, hash: EnvHash) {
        if let Some(shared) = self.known.get_mut(&hash) {
            shared.tasks += 1;
        }
    }

    /// One task fewer does.
    pub(super) fn release(&mut self, hash: EnvHash) {
        if let Some(shared) = self.known.get_mut(&hash) {
            shared.tasks = shared.tasks.saturating_sub(1);
        }
    }

    /// Forgets those that no task has referred to since the last clean-up; a snapshot follows.
    pub(super) fn clean_up(&mut self) {
        self.known
            .retain(|_, shared| shared.tasks > 0 || std::mem::take(&mut shared.fresh));
    }

    /// All of them, for a snapshot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EnvHash, &Variables)> {
        self.known
            .iter()
            .map(|(hash, shared)| (*hash, shared.variables.as_ref()))
    }
}
