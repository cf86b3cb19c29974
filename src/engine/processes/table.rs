//! All processes, by number. Live use and replay fill it alike.

use std::collections::BTreeMap;

use super::id_of;
use crate::journal::{AfterStop, ProcessImage, ProcessState};
use crate::protocol::{ProcessCounts, PROCESS_MARK};

/// The processes that there are, and the next number to give.
#[derive(Debug)]
pub(in crate::engine) struct Processes {
    by_number: BTreeMap<u64, ProcessImage>,
    next: u64,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            by_number: BTreeMap::new(),
            next: 1,
        }
    }
}

/// Why a word names no process.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoProcess {
    /// There is none.
    Unknown,
    /// These have the same name, in different workspaces.
    Several(Vec<String>),
}

impl Processes {
    pub(in crate::engine) fn get(&self, number: u64) -> Option<&ProcessImage> {
        self.by_number.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut ProcessImage> {
        self.by_number.get_mut(&number)
    }

    /// Puts a process in its place, or takes it away: how it stood before. Its number is never given again.
    pub(in crate::engine) fn set(
        &mut self,
        number: u64,
        image: Option<ProcessImage>,
    ) -> Option<ProcessImage> {
        self.next = self.next.max(number + 1);
        match image {
            Some(image) => self.by_number.insert(number, image),
            None => self.by_number.remove(&number),
        }
    }

    /// All, in the order in which they were spawned.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (u64, &ProcessImage)> {
        self.by_number.iter().map(|(number, image)| (*number, image))
    }

    /// Those with a run under way.
    pub(in crate::engine) fn up(&self) -> impl Iterator<Item = (u64, &ProcessImage)> {
        self.iter().filter(|(_, image)| image.standing.state.is_up())
    }

    /// Those of a workspace.
    pub(in crate::engine) fn of(&self, workspace: &str) -> Vec<u64> {
        let own = self
            .iter()
            .filter(|(_, image)| *image.spec.workspace == *workspace);
        own.map(|(number, _)| number).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn take_next(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The number that will be given next, for a snapshot.
    pub(in crate::engine) fn next(&self) -> u64 {
        self.next
    }

    /// From a snapshot.
    pub(in crate::engine) fn restore_next(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The process of this name in this workspace, unless it is being removed.
    pub(in crate::engine) fn named(&self, workspace: &str, name: &str) -> Option<(u64, &ProcessImage)> {
        self.iter().find(|(_, image)| {
            let is_going = image.standing.then == Some(AfterStop::Remove);
            *image.spec.workspace == *workspace && image.spec.name.as_deref() == Some(name) && !is_going
        })
    }

    /// The process that a word names: `@7`, or a name.
    pub(super) fn find(&self, word: &str) -> Result<u64, NoProcess> {
        if let Some(digits) = word.strip_prefix(PROCESS_MARK) {
            let number = digits
                .parse()
                .ok()
                .filter(|number: &u64| number.to_string() == digits);
            let known = number.filter(|number| self.by_number.contains_key(number));
            return known.ok_or(NoProcess::Unknown);
        }
        let named = self
            .iter()
            .filter(|(_, image)| image.spec.name.as_deref() == Some(word));
        let numbers: Vec<u64> = named.map(|(number, _)| number).collect();
        match numbers.as_slice() {
            [] => Err(NoProcess::Unknown),
            [number] => Ok(*number),
            several => Err(NoProcess::Several(several.iter().copied().map(id_of).collect())),
        }
    }

    /// How many there are, by what is to be expected of them.
    pub(in crate::engine) fn counts(&self) -> ProcessCounts {
        let mut counts = ProcessCounts::default();
        for image in self.by_number.values() {
            let count = match image.standing.state {
                ProcessState::Starting
                | ProcessState::Running
                | ProcessState::Ready
                | ProcessState::Stopping => &mut counts.up,
                ProcessState::Backoff => &mut counts.backoff,
                ProcessState::Failed => &mut counts.failed,
                ProcessState::Stopped => &mut counts.stopped,
            };
            *count += 1;
        }
        counts
    }

    /// How many wait for somebody, as they report.
    pub(in crate::engine) fn waiting(&self) -> usize {
        let reports = self
            .by_number
            .values()
            .filter_map(|image| image.standing.report.as_ref());
        reports.filter(|report| report.waiting).count()
    }
}
