//! What a round of inputs has led to: records to write, then effects to perform.
//!
//! Nothing in here has happened in the outside world yet. That is what makes group commit safe:
//! answers and events leave only after the records are on disk. Starts leave no sooner than their
//! records are written (see `perform.rs`).

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
    /// Tasks that were removed, with their ids: watchers are told, and their folders can go.
    pub(super) removed: Vec<(TaskKey, String)>,
    /// Answers to subscriptions: the tasks as they stand after this round.
    pub(super) subscribed: Vec<(oneshot::Sender<Answer>, Answer)>,
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
        self.subscribed.extend(other.subscribed);
    }

    /// The round could not be written: whoever asked for a change is told so. Submissions have been
    /// taken back; other changes stand, but only in memory.
    pub(super) fn refuse_changes(&mut self, why: &str) {
        for reply in &mut self.replies {
            for index in std::mem::take(&mut reply.durable) {
                let submission = matches!(reply.answers[index], Answer::StatusUpdate(_));
                let error = if submission {
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
