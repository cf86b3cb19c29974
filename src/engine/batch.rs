//! What a round of inputs has led to: records to write, then effects to perform.
//!
//! Nothing in here has happened in the outside world yet. That is what makes group commit safe:
//! answers and events leave only after the records are on disk. Starts leave no sooner than their
//! records are written (see `perform.rs`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use wezterm_parallel_scheduler::{Lane, TaskKey};

use crate::executor::AttemptId;
use crate::journal::{Record, WorkspaceImage};
use crate::protocol::{Answer, ErrorAnswer, ErrorCode, Event};

/// The records and effects of one round.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// For the journal, in order.
    pub(super) records: Vec<Record>,
    /// Tasks that were submitted in this round: taken back if it cannot be written.
    pub(super) submitted: Vec<TaskKey>,
    /// Workspaces that were changed in this round, and how they stood before: taken back likewise.
    pub(super) workspaces: Vec<(Arc<str>, Option<Arc<WorkspaceImage>>)>,
    /// Processes that were spawned in this round: taken back likewise.
    pub(super) spawned: Vec<u64>,
    /// Runs of processes to start, once they are written down.
    pub(super) runs: Vec<AttemptId>,
    /// Processes that were removed: watchers are told.
    pub(super) gone: Vec<u64>,
    /// Folders of processes that can go.
    pub(super) folders: Vec<PathBuf>,
    /// Attempts to start.
    pub(super) starts: Vec<Start>,
    /// Signals to running attempts.
    pub(super) controls: Vec<Control>,
    /// Answers to send.
    pub(super) replies: Vec<Reply>,
    /// Tasks that changed: watchers are told.
    pub(super) touched: Vec<TaskKey>,
    /// Tasks that were removed: watchers are told, and their folders can go.
    pub(super) removed: Vec<Removed>,
    /// Gates that closed or opened, and starts that were paused or resumed: watchers are told.
    pub(super) gates: Vec<Event>,
    /// Answers to subscriptions: the tasks as they stand after this round.
    pub(super) subscribed: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Batch {
    /// Whether the round has changed nothing that anybody could see.
    pub(super) fn is_quiet(&self) -> bool {
        self.records.is_empty()
            && self.touched.is_empty()
            && self.removed.is_empty()
            && self.gates.is_empty()
            && self.starts.is_empty()
            && self.controls.is_empty()
    }
}

/// An attempt to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// Which.
    pub(super) id: AttemptId,
    /// When that was decided.
    pub(super) decided_at: Instant,
}

/// A task that was removed, and what of it is needed once more.
#[derive(Debug)]
pub(super) struct Removed {
    /// Its key.
    pub(super) key: TaskKey,
    /// Its id, which is the name of its folder.
    pub(super) id: String,
    /// Its lane.
    pub(super) lane: Lane,
}

/// A signal to a running attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Stop its tree.
    Stop(AttemptId),
    /// Pause its tree.
    Suspend(AttemptId),
    /// Let it go on.
    Resume(AttemptId),
}

/// The answers to the lines that one connection sent together.
#[derive(Debug)]
pub(super) struct Reply {
    /// Where they go.
    pub(super) to: oneshot::Sender<Vec<Answer>>,
    /// When the lines were read.
    pub(super) read_at: Instant,
    /// One for each line, in order.
    pub(super) answers: Vec<Answer>,
    /// Which of them stand for changes that must be durable.
    pub(super) durable: Vec<usize>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub(super) fn is_clean(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes over the effects of another round whose records are on disk.
    pub(super) fn absorb(&mut self, other: Self) {
        self.submitted.extend(other.submitted);
        self.workspaces.extend(other.workspaces);
        self.spawned.extend(other.spawned);
        self.runs.extend(other.runs);
        self.gone.extend(other.gone);
        self.folders.extend(other.folders);
        self.starts.extend(other.starts);
        self.controls.extend(other.controls);
        self.replies.extend(other.replies);
        self.touched.extend(other.touched);
        self.removed.extend(other.removed);
        self.gates.extend(other.gates);
        self.subscribed.extend(other.subscribed);
    }

    /// The round could not be written: whoever asked for a change is told so. Submissions and changes
    /// of workspaces have been taken back; other changes stand, but only in memory.
    pub(super) fn refuse_changes(&mut self, why: &str) {
        for reply in &mut self.replies {
            for index in std::mem::take(&mut reply.durable) {
                let taken_back = matches!(
                    reply.answers[index],
                    Answer::StatusUpdate(_) | Answer::Workspace(_) | Answer::WorkspaceRemoved(_)
                );
                let error = if taken_back {
                    journal_failed(why)
                } else {
                    kept_in_memory(why)
                };
                reply.answers[index] = Answer::Error(error);
            }
        }
    }
}

/// The answer to a change that was made and could not be written.
fn kept_in_memory(why: &str) -> ErrorAnswer {
    ErrorAnswer {
        code: ErrorCode::JournalFailed,
        message: format!("done, but the journal cannot be written: {why}"),
        hint: "it is written as soon as the disk allows, and lost if the daemon ends before".to_owned(),
    }
}

/// The answer while the journal cannot be written.
pub(super) fn journal_failed(why: &str) -> ErrorAnswer {
    ErrorAnswer {
        code: ErrorCode::JournalFailed,
        message: format!("the journal cannot be written: {why}"),
        hint: "nothing was queued and running tasks go on; make room on the disk and try again".to_owned(),
    }
}
