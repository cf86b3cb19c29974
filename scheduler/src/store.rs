//! Where the tasks lie: an ordered index over chunks of entries.
//!
//! A tree with the entries inside would leave almost half of each node empty, because numbers
//! only grow; a box for each entry would add the allocator's overhead. Chunks do neither, and
//! never move an entry when they grow.

use std::collections::BTreeMap;

use crate::entry::{Entry, Numbered};
use crate::TaskKey;

/// Entries of one chunk: 80 KiB, large enough to cost nothing, small enough not to matter.
const CHUNK_ENTRIES: usize = 1024;

/// All tasks by number.
#[derive(Debug, Default)]
pub(crate) struct Store {
    index: BTreeMap<TaskKey, u32>,
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<u32>,
}

impl Store {
    pub(crate) fn contains(&self, key: TaskKey) -> bool {
        self.index.contains_key(&key)
    }

    pub(crate) fn get(&self, key: TaskKey) -> Option<&Entry> {
        let place = *self.index.get(&key)? as usize;
        self.chunks[place / CHUNK_ENTRIES][place % CHUNK_ENTRIES].as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: TaskKey) -> Option<&mut Entry> {
        let place = *self.index.get(&key)? as usize;
        self.chunks[place / CHUNK_ENTRIES][place % CHUNK_ENTRIES].as_mut()
    }

    /// Adds a task; the caller has made sure that the number is free.
    pub(crate) fn insert(&mut self, key: TaskKey, entry: Entry) {
        let place = match self.free.pop() {
            Some(place) => {
                let index = place as usize;
                self.chunks[index / CHUNK_ENTRIES][index % CHUNK_ENTRIES] = Some(entry);
                place
            }
            None => self.append(entry),
        };
        let former = self.index.insert(key, place);
        debug_assert_eq!(former, None, "task {} is there already", key.0);
    }

    fn append(&mut self, entry: Entry) -> u32 {
        if self
            .chunks
            .last()
            .is_none_or(|chunk| chunk.len() == CHUNK_ENTRIES)
        {
            self.chunks.push(Vec::with_capacity(CHUNK_ENTRIES));
        }
        let before = (self.chunks.len() - 1) * CHUNK_ENTRIES;
        let chunk = self.chunks.last_mut().expect("a chunk was just ensured");
        chunk.push(Some(entry));
        u32::try_from(before + chunk.len() - 1).expect("four thousand million tasks do not fit in memory")
    }

    pub(crate) fn remove(&mut self, key: TaskKey) -> Option<Entry> {
        let place = self.index.remove(&key)?;
        self.free.push(place);
        let place = place as usize;
        let entry = self.chunks[place / CHUNK_ENTRIES][place % CHUNK_ENTRIES].take();
        if self.index.is_empty() {
            *self = Self::default();
        }
        entry
    }

    /// The tasks from this number on, in the order of their numbers.
    pub(crate) fn range_from(&self, from: TaskKey) -> impl Iterator<Item = Numbered<'_>> {
        self.index.range(from..).filter_map(|(key, place)| {
            let place = *place as usize;
            let entry = self.chunks[place / CHUNK_ENTRIES][place % CHUNK_ENTRIES].as_ref();
            entry.map(|entry| (*key, entry))
        })
    }

    /// All tasks, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Numbered<'_>> {
        self.range_from(TaskKey(0))
    }
}
