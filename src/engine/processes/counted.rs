//! What is counted of processes, from records that were committed: runs that were begun again, and ends for good.
//!
//! A record has the whole of a process rather than what became of it, so each is compared with the one before.

use std::collections::HashMap;

use wezterm_parallel_scheduler::Tick;

use super::Processes;
use crate::journal::{ProcessImage, ProcessState};
use crate::metrics::{catalog, Ledger};

/// How each process stood when it was counted last.
#[derive(Debug, Default)]
pub(in crate::engine) struct Counted(HashMap<u64, Stood>);

#[derive(Clone, Copy, Debug)]
struct Stood {
    state: ProcessState,
    /// The next run is one that the policy wants, after another one that began.
    restarts: bool,
}

impl Stood {
    fn of(image: &ProcessImage) -> Self {
        let ProcessImage { standing, .. } = image;
        let last = standing.runs.last().and_then(|run| run.outcome.as_deref());
        let has_begun = last != Some("not_started");
        let restarts = standing.state == ProcessState::Backoff && standing.restarts > 0 && has_begun;
        Self {
            state: standing.state,
            restarts,
        }
    }
}

impl Counted {
    /// From the journal: what an earlier daemon has counted is not counted again.
    pub(in crate::engine) fn found(&mut self, processes: &Processes, ledger: &mut Ledger) {
        for (number, image) in processes.iter() {
            self.0.insert(number, Stood::of(image));
            begin(ledger, image);
        }
    }

    /// A record of a process was committed.
    pub(in crate::engine) fn count(
        &mut self,
        now: Tick,
        number: u64,
        image: Option<&ProcessImage>,
        ledger: &mut Ledger,
    ) {
        let Some(image) = image else {
            self.0.remove(&number);
            return;
        };
        let stands = Stood::of(image);
        let Some(before) = self.0.insert(number, stands) else {
            return begin(ledger, image);
        };
        let workspace = [&*image.spec.workspace];
        if before.restarts && stands.state.is_up() {
            ledger.add(catalog::PROCESS_RESTARTS, workspace, 1);
        }
        if before.state == stands.state {
            return;
        }
        match stands.state {
            ProcessState::Failed => ledger.add(catalog::PROCESS_FAILURES, workspace, 1),
            ProcessState::Ready => {
                if let Some(run) = image.standing.runs.last() {
                    let seconds = now.ms_since(run.started_at) as f64 / 1e3;
                    ledger.observe(catalog::PROCESS_READY, workspace, seconds, 1);
                }
            }
            ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Stopped => {}
        }
    }
}

/// The counters of a workspace with processes are there from the first of them on, so that their first rise can be seen.
fn begin(ledger: &mut Ledger, image: &ProcessImage) {
    let workspace = [&*image.spec.workspace];
    ledger.add(catalog::PROCESS_RESTARTS, workspace, 0);
    ledger.add(catalog::PROCESS_FAILURES, workspace, 0);
}
