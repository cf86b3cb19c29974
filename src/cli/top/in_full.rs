//! The task that is shown in full: opened, and kept up to date with its task.
//!
//! Pure.

use super::model::{Detail, Dialog, Intent, Model};
use super::pager::Pager;
use crate::cli::task_text::has_ended;
use crate::protocol::ExplanationView;

impl Model {
    pub(super) fn open_detail(&mut self) {
        let Some(task) = self.list.selected().and_then(|id| self.tasks.get(id)).cloned() else {
            return;
        };
        if self.detail.as_ref().is_some_and(|detail| detail.id == task.id) {
            return;
        }
        self.opened += 1;
        self.detail = Some(Detail {
            id: task.id.clone(),
            serial: self.opened,
            shows_facts: task.attempts.is_empty(),
            attempt: task.attempts.last().map(|last| last.n),
            task,
            ..Detail::default()
        });
    }

    /// What is shown in full changes with its task; why it waits is asked for when it may wait otherwise.
    pub(super) fn mind_detail(&mut self, mut intents: Vec<Intent>) -> Vec<Intent> {
        let Some(detail) = &mut self.detail else {
            return intents;
        };
        let is_new = detail.explanation.is_none() && !has_ended(&detail.task);
        let known = self.tasks.get(&detail.id).filter(|known| **known != detail.task);
        let changed = known.is_some();
        if let Some(known) = known {
            detail.task = known.clone();
            let last = known.attempts.last().map(|last| last.n);
            if last != detail.attempt {
                detail.attempt = last;
                detail.output = Pager::default();
                detail.shows_facts = false;
            }
        }
        if is_new || changed {
            let id = detail.id.clone();
            // Until it comes, the task is not asked for again.
            detail.explanation.get_or_insert_with(ExplanationView::default);
            intents.push(Intent::Explain(id));
        }
        intents
    }

    /// A question that was answered elsewhere needs no answer any more.
    pub(super) fn mind_answer(&mut self) {
        let Some(Dialog::Answer(answering)) = &self.dialog else {
            return;
        };
        let request = &answering.question.request_id;
        let is_open = self.tasks.get(&answering.id).is_some_and(|task| {
            let mut questions = task.questions.iter();
            questions.any(|question| question.request_id == *request)
        });
        if !is_open {
            let words = format!("task {} asks this no more", answering.id);
            self.dialog = None;
            self.notice(words, false);
        }
    }
}
