//! Questions that workers ask, and their answers.
//!
//! An answer is a line in the attempt's input file, from where its shim hands it on: once written, it
//! needs no daemon any more. Which questions are open is read from the output, after a restart, too.

use std::collections::HashMap;

use wezterm_parallel_scheduler::{Input, State, TaskKey, Tick};

use super::batch::Batch;
use super::requests::Answered;
use super::{errors, Engine};
use crate::claude::{allow_line, deny_line, Question};
use crate::executor::AttemptId;
use crate::protocol::{Answer, AnswerQuestion, Changed, ErrorAnswer, ErrorCode, QuestionView};

/// What the model is told that may not use a tool, if the user has no words for it.
const NO: &str = "The user does not allow this.";

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Open {
    id: AttemptId,
    question: Question,
    asked_at: Tick,
}

/// The open questions of each task, oldest first.
pub(super) type Questions = HashMap<TaskKey, Vec<Open>>;

impl Open {
    /// When it was asked.
    pub(super) fn asked_at(&self) -> Tick {
        self.asked_at
    }

    /// As the outside sees it.
    pub(super) fn view(&self) -> QuestionView {
        QuestionView {
            request_id: self.question.request_id.clone(),
            tool: self.question.tool.clone(),
            input: self.question.input.clone(),
            description: self.question.description.clone(),
            wants_choice: self.question.wants_choice,
            asked_at_ms: self.asked_at.0,
        }
    }
}

impl Engine {
    /// A worker asks.
    pub(super) fn ask(&mut self, now: Tick, id: AttemptId, question: Question, batch: &mut Batch) {
        let open = self.questions.entry(id.key).or_default();
        if open
            .iter()
            .any(|open| open.question.request_id == question.request_id)
        {
            return;
        }
        open.push(Open {
            id,
            question,
            asked_at: now,
        });
        batch.touched.push(id.key);
        if self.scheduler.state(id.key) == Some(State::Running) {
            self.feed(now, Input::Asked(id.key, id.attempt), batch);
            self.refresh_account_of(now, id.key, batch);
        }
    }

    /// A question needs no answer any more.
    pub(super) fn withdraw_question(
        &mut self,
        now: Tick,
        id: AttemptId,
        request_id: &str,
        batch: &mut Batch,
    ) {
        if let Some(open) = self.questions.get_mut(&id.key) {
            open.retain(|open| open.question.request_id != request_id);
        }
        self.go_on(now, id, batch);
    }

    /// After a restart: an answer may have been handed on whose record was lost with the last daemon.
    pub(super) fn catch_up(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        self.go_on(now, id, batch);
    }

    /// With the last answer, the task runs again.
    fn go_on(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        batch.touched.push(id.key);
        if self.questions.get(&id.key).is_some_and(|open| !open.is_empty()) {
            return;
        }
        self.questions.remove(&id.key);
        if self.scheduler.state(id.key) == Some(State::Waiting) {
            self.listener.awake(id);
            self.feed(now, Input::Answered(id.key, id.attempt), batch);
            // A hook that has told of the question does not tell of the answer.
            self.take_mark_away(id.key, batch);
            self.refresh_account_of(now, id.key, batch);
        }
    }

    fn refresh_account_of(&mut self, now: Tick, key: TaskKey, batch: &mut Batch) {
        if let Some(task) = self.scheduler.task(key) {
            self.refresh_account(now, &task.submission.lane.worker, batch);
        }
    }

    /// A paused task goes on. If it had asked, it waits again; if not, its silence begins now.
    pub(super) fn ask_again(&mut self, now: Tick, key: TaskKey, batch: &mut Batch) {
        if let Some(task) = self.scheduler.task(key) {
            let attempt = task.attempts;
            self.listener.awake(AttemptId { key, attempt });
        }
        let asked = self
            .questions
            .get(&key)
            .and_then(|open| open.first())
            .map(|open| open.id);
        if let Some(id) = asked {
            self.feed(now, Input::Asked(key, id.attempt), batch);
        }
    }

    /// The attempt is over, and with it its questions.
    pub(super) fn forget_questions(&mut self, key: TaskKey) {
        self.questions.remove(&key);
    }

    /// What a task asks, oldest first.
    pub(super) fn questions_of(questions: &Questions, key: TaskKey) -> Vec<QuestionView> {
        let open = questions.get(&key).map_or(&[][..], Vec::as_slice);
        open.iter().map(Open::view).collect()
    }

    /// Hands an answer to the worker. It is in the attempt's folder before the client hears of it.
    pub(super) fn answer_question(
        &mut self,
        now: Tick,
        answer: &AnswerQuestion,
        batch: &mut Batch,
    ) -> Answered {
        let key = self.find(&answer.id)?;
        let open = self.questions.get(&key).map_or(&[][..], Vec::as_slice);
        let wanted = answer.request_id.as_deref();
        let found = open
            .iter()
            .find(|open| wanted.is_none_or(|id| open.question.request_id == id));
        let Some(Open { id, question, .. }) = found else {
            return Err(self.nothing_asked(key, answer));
        };
        let line = match answer.allow {
            true if question.wants_choice && answer.answers.is_empty() => {
                return Err(errors::invalid(
                    format!(
                        "task '{}' asks for a choice, not for a permission alone",
                        answer.id
                    ),
                    "give the answers: `wezterm-parallel answer ID allow --choose 'ANSWER'`, or deny it",
                ));
            }
            true => allow_line(question, (!answer.answers.is_empty()).then_some(&answer.answers)),
            false => deny_line(&question.request_id, answer.message.as_deref().unwrap_or(NO)),
        };
        let (id, request_id) = (*id, question.request_id.clone());
        self.executor
            .feed(id, line.as_bytes())
            .map_err(|error| ErrorAnswer {
                code: ErrorCode::Internal,
                message: format!("the answer could not be handed to task '{}': {error}", answer.id),
                hint: "the question is still open: make room on the disk if it is full, and answer again"
                    .to_owned(),
            })?;
        self.withdraw_question(now, id, &request_id, batch);
        Ok(Answer::Changed(Changed {
            ids: vec![answer.id.clone()],
        }))
    }

    fn nothing_asked(&self, key: TaskKey, answer: &AnswerQuestion) -> ErrorAnswer {
        let state = self.scheduler.state(key).map_or("gone", State::name);
        let message = match &answer.request_id {
            Some(request) if self.questions.contains_key(&key) => {
                format!("task '{}' does not ask '{request}'", answer.id)
            }
            _ => format!("task '{}' asks nothing: it is {state}", answer.id),
        };
        ErrorAnswer {
            code: ErrorCode::WrongState,
            message,
            hint: "`wezterm-parallel status --state waiting` lists the tasks that ask".to_owned(),
        }
    }

    /// The last turn is over: the worker ends when it has read all of its input.
    pub(super) fn close_input(&mut self, id: AttemptId) {
        if self.questions.contains_key(&id.key) {
            return;
        }
        if let Err(error) = self.executor.close_input(id) {
            tracing::debug!(task = id.key.0, attempt = id.attempt, %error, "an input that could not be closed");
        }
    }
}
