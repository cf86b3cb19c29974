//! Which session of Claude Code an attempt runs.
//!
//! The scheduler knows the session that a task has claimed, so that no two run in one at once. Here it
//! is decided which one that is: a new one, the one that the user named, or the one in which the last
//! attempt has already done a part of the work.

use std::sync::Arc;

use wezterm_parallel_scheduler::{Condition, Dependency, Input, Reason, Task, TaskKey, Tick};

use super::accept::Acceptor;
use super::batch::Batch;
use super::store::Entry;
use super::{errors, Engine};
use crate::claude::Conclusion;
use crate::executor::AttemptId;
use crate::protocol::{ClaudeOptions, ErrorAnswer, TaskQueue};
use crate::worker::{Session, Verdict};

/// Which session a Claude task goes on with.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The session, if it is known already.
    pub(super) session: Option<Arc<str>>,
    /// The task whose session it will be, once it has ended.
    pub(super) after: Option<Dependency>,
}

impl Acceptor<'_> {
    /// The session to go on with: its id, or the task that will have one.
    pub(super) fn origin(&self, task: &TaskQueue) -> Result<Origin, ErrorAnswer> {
        let Some(options) = task.claude.as_deref() else {
            return Ok(Origin::default());
        };
        if let Some(session) = &options.resume {
            return Ok(Origin {
                session: Some(session.as_str().into()),
                after: None,
            });
        }
        let Some(id) = &options.continue_from else {
            return Ok(Origin::default());
        };
        let other = self.store.find(id).ok_or_else(|| errors::unknown_task(id))?;
        let entry = self.store.get(other).ok_or_else(|| errors::unknown_task(id))?;
        match (last_session(entry), entry.ended_at) {
            (Some(session), _) => Ok(Origin {
                session: Some(session),
                after: None,
            }),
            (None, Some(_)) => Err(errors::no_session(id)),
            (None, None) => Ok(Origin {
                session: None,
                after: Some(Dependency {
                    key: other,
                    on: Condition::Any,
                }),
            }),
        }
    }
}

impl Engine {
    /// An attempt is about to start: its session is chosen, and stands in the journal before it does.
    pub(super) fn choose_session(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        let Some(task) = self.scheduler.task(id.key) else {
            return;
        };
        if !self.is_claude(&task.submission.lane.worker) {
            return;
        }
        let Some(session) = self.session_of(&task, id) else {
            return;
        };
        let claim: Arc<str> = session.id().into();
        self.sessions.insert(id, session);
        self.feed(now, Input::Claim(id.key, Some(claim)), batch);
    }

    /// The session that the task has claimed, or a new one; `None` if the task that it continues has none.
    fn session_of(&self, task: &Task, id: AttemptId) -> Option<Session> {
        let new = || uuid::Uuid::new_v4().to_string();
        let entry = self.store.get(id.key)?;
        let attempts = &entry.attempts;
        let options = entry.spec.claude.as_deref();
        let claimed = match (
            &task.submission.session,
            options.and_then(|options| options.continue_from.as_deref()),
        ) {
            (Some(claimed), _) => Arc::clone(claimed),
            (None, None) => return Some(Session::New { id: new() }),
            // It had not begun when this one was queued.
            (None, Some(other)) => last_session(self.store.get(self.store.find(other)?)?)?,
        };
        let before = attempts.iter().rfind(|attempt| attempt.attempt < id.attempt);
        let told = before.is_some_and(|before| {
            before.session.as_ref() == Some(&claimed)
                && before.claude.as_ref().is_some_and(|facts| facts.told)
        });
        if !told && options.is_some_and(|options| options.fork) {
            return Some(Session::Fork {
                from: claimed.to_string(),
                id: new(),
            });
        }
        Some(Session::Resume {
            id: claimed.to_string(),
            told,
        })
    }

    /// The session that the next attempt goes on with. What was done stays done in one that began;
    /// what went well, or cannot go better in the same conversation, would begin anew.
    pub(super) fn next_session(
        &self,
        id: AttemptId,
        verdict: &Verdict,
        conclusion: &Conclusion,
    ) -> Option<Arc<str>> {
        let anew = matches!(
            verdict.reason,
            Reason::Ok | Reason::NoOp | Reason::PromptTooLong | Reason::Refusal | Reason::NoSession
        );
        let attempt = self.attempt(id)?;
        if conclusion.begun && !anew {
            return attempt.session.clone();
        }
        self.origin(id.key)
    }

    /// The session that the user wants the task to begin with.
    pub(super) fn origin(&self, key: TaskKey) -> Option<Arc<str>> {
        let options = self.store.get(key)?.spec.claude.as_deref()?;
        options.resume.as_deref().map(Into::into)
    }

    /// An attempt that never began leaves no session behind: the next one begins where it did.
    pub(super) fn unclaim(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        self.sessions.remove(&id);
        if self.runs_claude(id) {
            let origin = self.origin(id.key);
            self.feed(now, Input::Claim(id.key, origin), batch);
        }
    }
}

/// The session of a task's newest attempt that had one.
fn last_session(entry: &Entry) -> Option<Arc<str>> {
    let sessions = entry.attempts.iter().rev();
    sessions.filter_map(|attempt| attempt.session.clone()).next()
}

/// The options with the session that `continue_from` stands for.
pub(super) fn resolved(mut options: Box<ClaudeOptions>, session: Option<&str>) -> Box<ClaudeOptions> {
    options.resume = session.map(str::to_owned);
    options
}
