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
use crate::config::WorkerKind;
use crate::executor::AttemptId;
use crate::journal::AttemptImage;
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
        let worker = self.scheduler.task(other).map(|task| task.submission.lane.worker);
        let config = worker.and_then(|worker| self.profiles.config(&worker));
        if config.is_none_or(|config| config.kind != WorkerKind::Claude) && last_session(entry).is_none() {
            return Err(errors::no_session(id));
        }
        if entry.ended_at().is_none() {
            // What it will have come to by then is what is continued.
            return Ok(Origin {
                session: current_session(entry),
                after: Some(Dependency {
                    key: other,
                    on: Condition::Any,
                }),
            });
        }
        match last_session(entry) {
            Some(session) => Ok(Origin {
                session: Some(session),
                after: None,
            }),
            None => Err(errors::no_session(id)),
        }
    }
}

impl Engine {
    /// An attempt is about to start: its session is chosen, and stands in the journal before it does.
    /// False if another task has the session, and the start must not be made.
    pub(super) fn choose_session(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) -> bool {
        let Some(task) = self.scheduler.task(id.key) else {
            return true;
        };
        if !self.is_claude(&task.submission.lane.worker) {
            return true;
        }
        // Without one, the launch says so.
        let Some(session) = self.session_of(&task) else {
            return true;
        };
        let wanted: Arc<str> = match &session {
            Session::Fork { from, .. } => from.as_str().into(),
            other => other.id().into(),
        };
        if self.is_in_use(id.key, &wanted) {
            self.refuse_start(now, id, wanted, batch);
            return false;
        }
        let claim: Arc<str> = session.id().into();
        self.sessions.insert(id, session);
        self.feed(now, Input::Claim(id.key, Some(claim)), batch);
        true
    }

    /// The session that the task has claimed, or a new one; `None` if the task that it continues has none.
    fn session_of(&self, task: &Task) -> Option<Session> {
        let new = || uuid::Uuid::new_v4().to_string();
        let entry = self.store.get(task.submission.key)?;
        let options = entry.spec.claude.as_deref();
        let continued = options.and_then(|options| options.continue_from.as_deref());
        let claimed = match (&task.submission.session, continued) {
            (Some(claimed), _) => Arc::clone(claimed),
            (None, None) => return Some(Session::New { id: new() }),
            (None, Some(other)) => last_session(self.store.get(self.store.find(other)?)?)?,
        };
        let told = knows_prompt(entry, &claimed);
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

    fn is_in_use(&self, key: TaskKey, session: &str) -> bool {
        let mut others = self.scheduler.active().filter(|task| task.submission.key != key);
        others.any(|task| task.submission.session.as_deref() == Some(session))
    }

    /// Two tasks that waited for the same one start together: the second waits for the first.
    fn refuse_start(&mut self, now: Tick, id: AttemptId, session: Arc<str>, batch: &mut Batch) {
        let verdict = Verdict::not_started("another task has its session".to_owned());
        self.record_outcome(now, id, None, &verdict, None, batch);
        self.feed(now, Input::Claim(id.key, Some(session)), batch);
        let AttemptId { key, attempt } = id;
        let put_back = Input::PutBack {
            key,
            attempt,
            reason: Reason::NotStarted,
            not_before: None,
        };
        self.feed(now, put_back, batch);
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

    /// Whether the attempt went on with a session in which the task had done a part of its work before.
    pub(super) fn resumed_its_own(&self, id: AttemptId) -> bool {
        let entry = self.store.get(id.key);
        let session = self.attempt(id).and_then(|attempt| attempt.session.as_ref());
        entry.zip(session).is_some_and(|(entry, session)| {
            let earlier = entry
                .attempts
                .iter()
                .filter(|attempt| attempt.attempt < id.attempt);
            earlier.clone().any(|attempt| is_told(attempt, session))
        })
    }

    /// Whether a session that the task goes on with has heard its prompt.
    pub(super) fn has_said_its_prompt(&self, key: TaskKey) -> bool {
        let claimed = self.scheduler.task(key).and_then(|task| task.submission.session);
        let entry = self.store.get(key);
        entry
            .zip(claimed)
            .is_some_and(|(entry, claimed)| knows_prompt(entry, &claimed))
    }

    /// An attempt never began: the next one goes on where this one would have.
    pub(super) fn unclaim(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        self.sessions.remove(&id);
        let session = self.attempt(id).and_then(|attempt| attempt.session.clone());
        let Some(session) = session else { return };
        let claim = if self.resumed_its_own(id) {
            Some(session)
        } else {
            self.origin(id.key)
        };
        self.feed(now, Input::Claim(id.key, claim), batch);
    }

    /// Tasks that continue this one learn which session that will be. They still wait for its end.
    pub(super) fn tell_continuing(&mut self, now: Tick, key: TaskKey, batch: &mut Batch) {
        let session = self.store.get(key).and_then(last_session);
        let dependents: Vec<TaskKey> = self.scheduler.dependents(key).collect();
        for dependent in dependents {
            if self.continued_by(dependent) == Some(key) {
                self.feed(now, Input::Claim(dependent, session.clone()), batch);
            }
        }
    }

    /// The task whose session this one will continue, as long as that one has not ended.
    pub(super) fn continued_by(&self, key: TaskKey) -> Option<TaskKey> {
        let options = self.store.get(key)?.spec.claude.as_deref()?;
        let other = self.store.find(options.continue_from.as_deref()?)?;
        let open = options.resume.is_none() && self.store.get(other)?.ended_at().is_none();
        open.then_some(other)
    }
}

/// The newest session of a task that began and heard the task's prompt.
fn last_session(entry: &Entry) -> Option<Arc<str>> {
    let told = entry.attempts.iter().rev().filter(|attempt| {
        let facts = attempt.claude.as_ref();
        facts.is_some_and(|facts| facts.told)
    });
    told.filter_map(|attempt| attempt.session.clone()).next()
}

/// The session that a task runs now, or else its newest.
pub(super) fn current_session(entry: &Entry) -> Option<Arc<str>> {
    let running = entry.attempts.last().filter(|attempt| attempt.outcome.is_none());
    running
        .and_then(|attempt| attempt.session.clone())
        .or_else(|| last_session(entry))
}

/// Whether the session has heard the task's prompt.
fn knows_prompt(entry: &Entry, session: &Arc<str>) -> bool {
    entry.attempts.iter().any(|attempt| is_told(attempt, session))
}

fn is_told(attempt: &AttemptImage, session: &Arc<str>) -> bool {
    attempt.session.as_ref() == Some(session) && attempt.claude.as_ref().is_some_and(|facts| facts.told)
}

/// The options with the session that `continue_from` stands for, if that is certain.
pub(super) fn resolved(mut options: Box<ClaudeOptions>, origin: &Origin) -> Box<ClaudeOptions> {
    if origin.after.is_none() {
        options.resume = origin.session.as_deref().map(str::to_owned);
    }
    options
}
