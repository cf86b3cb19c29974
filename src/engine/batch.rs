//! What a round of inputs has led to: records to write, then effects to perform.
//!
//! Nothing in here has happened in the outside world yet. That is what makes group commit safe:
//! answers, starts and events leave only after the records are on disk.

use tokio::sync::oneshot;
use wezterm_parallel_scheduler::TaskKey;

use crate::executor::AttemptId;
use crate::journal::Record;
use crate::protocol::{Answer, ErrorAnswer, ErrorCode};

/// The records and effects of one round.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// For the journal, in order.
    pub(super) records: Vec<Record>,
    /// Tasks that were submitted in this round: taken back if it cannot be written.
    pub(super) submitted: Vec<TaskKey>,
    /// Attempts to start, with their slots.
    pub(super) starts: Vec<AttemptId>,
    /// Signals to running attempts.
    pub(super) controls: Vec<Control>,
    /// Answers to send.
    pub(super) replies: Vec<Reply>,
    /// Tasks that changed: watchers are told.
    pub(super) touched: Vec<TaskKey>,
    /// Ids of tasks that were removed, and whose folders can go.
    pub(super) removed: Vec<String>,
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
        self.starts.extend(other.starts);
        self.controls.extend(other.controls);
        self.replies.extend(other.replies);
        self.touched.extend(other.touched);
        self.removed.extend(other.removed);
    }

    /// The round could not be written: whoever asked for a change is told so.
    pub(super) fn refuse_changes(&mut self, why: &str) {
        for reply in &mut self.replies {
            for index in std::mem::take(&mut reply.durable) {
                reply.answers[index] = Answer::Error(journal_failed(why));
            }
        }
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
