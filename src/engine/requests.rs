//! What clients ask, message by message. Each answer goes out after the round is durable.

use wezterm_parallel_scheduler::{Edit, Input, State, TaskKey, Tick};

use super::accept::{dependencies, Accepted, Acceptor, Checked};
use super::batch::{journal_failed, Batch, Reply};
use super::{errors, Ending, Engine, SHUTDOWN_GATE};
use crate::config::parse_signal;
use crate::executor::StopPlan;
use crate::journal::Record;
use crate::protocol::{
    self, Answer, Cancel, Changed, Clean, EditTask, EnvironmentStored, ErrorAnswer, Event, Filter, Ids,
    Message, Reserved, Retry, StatusAnswer, StatusUpdate, Subscribe, TaskQueue,
};

/// Numbers that one request may set aside.
const RESERVE_MAX: u64 = 10_000_000;

/// What a request came to.
type Answered = Result<Answer, ErrorAnswer>;

impl Engine {
    /// Answers one line.
    pub(super) fn answer(
        &mut self,
        now: Tick,
        message: Result<Message, ErrorAnswer>,
        checked: &mut Checked,
        reply: &mut Reply,
        batch: &mut Batch,
    ) {
        let written = batch.records.len();
        let is_cancel = matches!(message, Ok(Message::Cancel(_)));
        let answered = message.and_then(|message| {
            self.allow(&message)?;
            self.dispatch(now, message, checked, batch)
        });
        // A cancel takes effect even if it cannot be written, so it is not answered with a refusal.
        if batch.records.len() > written && !is_cancel {
            reply.durable.push(reply.answers.len());
        }
        reply.answers.push(answered.unwrap_or_else(Answer::Error));
    }

    /// What changes the queue is refused while it could not be kept.
    fn allow(&self, message: &Message) -> Result<(), ErrorAnswer> {
        let reads = matches!(
            message,
            Message::Status(_)
                | Message::Show(_)
                | Message::Explain(_)
                | Message::Info {}
                | Message::Shutdown(_)
                | Message::Reload {}
        );
        if reads || matches!(message, Message::Cancel(_)) {
            return Ok(());
        }
        if self.ending.is_some() {
            return Err(ErrorAnswer::shutting_down());
        }
        match &self.journal_failing {
            Some(why) => Err(journal_failed(why)),
            None => Ok(()),
        }
    }

    fn dispatch(
        &mut self,
        now: Tick,
        message: Message,
        checked: &mut Checked,
        batch: &mut Batch,
    ) -> Answered {
        match message {
            Message::TaskQueue(task) => self.queue(now, *task, checked, batch),
            Message::Environment(environment) => Ok(self.store_environment(environment.variables, batch)),
            Message::WorkspaceCreate(_) => Err(errors::unsupported("workspaces")),
            Message::ProcessSpawn(_) => Err(errors::unsupported("processes")),
            Message::StatusUpdate(_) => Err(errors::unsupported("status reports by workers")),
            Message::Status(filter) => self.status(now, &filter),
            Message::Show(one) => self.show(&one.id),
            Message::Explain(one) => self.explain(now, &one.id),
            Message::Cancel(cancel) => self.cancel(now, &cancel, batch),
            Message::Retry(retry) => self.retry(now, &retry, batch),
            Message::Edit(edit) => self.edit(now, *edit, batch),
            Message::Hold(ids) => self.each(now, &ids.ids, batch, |_, key| Ok(Input::Hold(key))),
            Message::Release(ids) => self.each(now, &ids.ids, batch, |_, key| Ok(Input::Release(key))),
            Message::Pause(ids) => self.pause_or_resume(now, ids, true, batch),
            Message::Resume(ids) => self.pause_or_resume(now, ids, false, batch),
            Message::Clean(clean) => self.clean(now, &clean, batch),
            Message::ReserveIds(reserve) => self.reserve(reserve.count, batch),
            Message::Subscribe(_) => Err(errors::invalid(
                "Subscribe must be the only message that is under way on its connection".to_owned(),
                "wait for all answers first, or use a connection of its own",
            )),
            Message::Info {} | Message::Reload {} => Ok(Answer::Daemon(self.info.clone())),
            Message::Shutdown(shutdown) => Ok(self.shut_down(now, shutdown.kill, batch)),
        }
    }

    fn find(&self, id: &str) -> Result<TaskKey, ErrorAnswer> {
        self.store.find(id).ok_or_else(|| errors::unknown_task(id))
    }

    fn find_all(&self, ids: &[String]) -> Result<Vec<TaskKey>, ErrorAnswer> {
        ids.iter().map(|id| self.find(id)).collect()
    }

    fn queue(&mut self, now: Tick, task: TaskQueue, checked: &mut Checked, batch: &mut Batch) -> Answered {
        let mut acceptor = Acceptor {
            store: &mut self.store,
            config: &self.config,
            profiles: &self.profiles,
            own_environment: &self.environment,
            checked,
            now,
        };
        let (submission, spec, environment) = match acceptor.accept(task)? {
            Accepted::Repeat(key) => return Ok(self.queued(key)),
            Accepted::New {
                submission,
                spec,
                environment,
            } => (submission, spec, environment),
        };
        let key = submission.key;
        batch.records.extend(environment);
        let record = Record::Submitted {
            submission: Box::new(submission.clone()),
            spec: Box::new(spec.clone()),
        };
        self.store.insert(key, spec, Vec::new());
        match self.scheduler.apply(now, Input::Submit(Box::new(submission))) {
            Ok(actions) => {
                batch.records.push(record);
                batch.submitted.push(key);
                batch.touched.push(key);
                self.absorb(now, actions, batch);
                Ok(self.queued(key))
            }
            Err(refusal) => {
                let error = errors::refusal(&refusal, |key| self.store.id(key));
                self.store.withdraw(key);
                Err(error)
            }
        }
    }

    /// The answer to a submission: the same, whether it was sent once or again.
    fn queued(&self, key: TaskKey) -> Answer {
        let status = match self.scheduler.state(key) {
            Some(State::Delayed) => "Delayed",
            Some(State::Blocked) => "Blocked",
            Some(State::Held) => "Held",
            Some(State::Skipped) => "Skipped",
            _ => "Queued",
        };
        Answer::StatusUpdate(StatusUpdate {
            process_id: self.store.id(key),
            status: status.to_owned(),
        })
    }

    fn store_environment(&mut self, variables: super::environments::Variables, batch: &mut Batch) -> Answer {
        let (hash, new) = self.store.environments.add(variables.clone());
        if new {
            batch.records.push(Record::Environment { hash, variables });
        }
        Answer::Environment(EnvironmentStored {
            hash: format!("{:016x}", hash.0),
        })
    }

    fn status(&self, now: Tick, filter: &Filter) -> Answered {
        for state in &filter.states {
            if !State::ALL.iter().any(|known| known.name() == state) {
                let known: Vec<&str> = State::ALL.iter().map(|known| known.name()).collect();
                return Err(errors::invalid(
                    format!("there is no state '{state}'"),
                    &format!("states: {}", known.join(", ")),
                ));
            }
        }
        let keys = if filter.ids.is_empty() {
            None
        } else {
            Some(self.find_all(&filter.ids)?)
        };
        let views = self.views();
        Ok(Answer::Status(StatusAnswer {
            tasks: views.filtered(filter, keys),
            summary: views.summary(now),
        }))
    }

    fn show(&self, id: &str) -> Answered {
        let view = self.views().task(self.find(id)?);
        view.map(|view| Answer::Task(Box::new(view)))
            .ok_or_else(|| errors::unknown_task(id))
    }

    fn explain(&self, now: Tick, id: &str) -> Answered {
        let explanation = self.views().explanation(now, self.find(id)?);
        explanation
            .map(Answer::Explanation)
            .ok_or_else(|| errors::unknown_task(id))
    }

    /// A subscription: the tasks as they stand, and events from here on.
    pub(super) fn subscribe(
        &mut self,
        now: Tick,
        wanted: &Subscribe,
        events: tokio::sync::mpsc::Sender<Event>,
    ) -> Answer {
        let filter = Filter {
            ids: wanted.ids.clone(),
            summary_only: wanted.ids.is_empty(),
            ..Filter::default()
        };
        match self
            .status(now, &filter)
            .and_then(|status| Ok((status, self.find_all(&wanted.ids)?)))
        {
            Ok((status, keys)) => {
                self.watchers.add(events, keys);
                status
            }
            Err(error) => Answer::Error(error),
        }
    }

    /// The same input for several tasks: all are checked before the first is changed.
    fn each(
        &mut self,
        now: Tick,
        ids: &[String],
        batch: &mut Batch,
        input: impl Fn(State, TaskKey) -> Result<Input, &'static str>,
    ) -> Answered {
        if ids.is_empty() {
            return Err(errors::invalid(
                "no ids are given".to_owned(),
                "name at least one task",
            ));
        }
        let mut inputs = Vec::with_capacity(ids.len());
        for key in self.find_all(ids)? {
            let state = self
                .scheduler
                .state(key)
                .ok_or_else(|| errors::unknown_task(&self.store.id(key)))?;
            let wrong = |needs: &str| {
                let message = format!(
                    "task '{}' is {}, but must be {needs}",
                    self.store.id(key),
                    state.name()
                );
                ErrorAnswer {
                    code: crate::protocol::ErrorCode::WrongState,
                    message,
                    hint: "nothing was changed".to_owned(),
                }
            };
            inputs.push(input(state, key).map_err(wrong)?);
        }
        for input in inputs {
            let refused = self.scheduler.apply(now, input);
            let actions = refused.map_err(|refusal| errors::refusal(&refusal, |key| self.store.id(key)))?;
            self.absorb(now, actions, batch);
        }
        Ok(Answer::Changed(Changed { ids: ids.to_vec() }))
    }

    fn cancel(&mut self, now: Tick, cancel: &Cancel, batch: &mut Batch) -> Answered {
        let signal = match &cancel.signal {
            Some(name) => Some(parse_signal(name).ok_or_else(|| {
                errors::invalid(
                    format!("there is no signal '{name}'"),
                    "give a name such as INT, TERM, HUP, KILL, or a number",
                )
            })?),
            None => None,
        };
        let keys = self.find_all(&cancel.ids)?;
        let answer = self.each(now, &cancel.ids, batch, |state, key| {
            if state.is_end() {
                Err("waiting or running")
            } else {
                Ok(Input::Cancel(key))
            }
        })?;
        for key in keys {
            self.plan_stop(key, signal, cancel.grace_ms);
        }
        Ok(answer)
    }

    /// Notes how a task is stopped that is being cancelled. The newest wish counts, and only for
    /// this run: what does not run, or was refused, must leave no plan to a later one.
    fn plan_stop(&mut self, key: TaskKey, signal: Option<i32>, grace_ms: Option<u64>) {
        let runs = self.scheduler.state(key).is_some_and(State::is_active);
        if !runs || (signal.is_none() && grace_ms.is_none()) {
            self.stop_plans.remove(&key);
            return;
        }
        let usual = self.stop_plan(key);
        let plan = StopPlan {
            signal: signal.unwrap_or(usual.signal),
            grace_ms: grace_ms.unwrap_or(usual.grace_ms),
        };
        self.stop_plans.insert(key, plan);
    }

    fn retry(&mut self, now: Tick, retry: &Retry, batch: &mut Batch) -> Answered {
        let mut ids = retry.ids.clone();
        if retry.all_failed {
            let failed =
                |key: TaskKey| matches!(self.scheduler.state(key), Some(State::Failed | State::Lost));
            ids.extend(
                self.store
                    .ended()
                    .filter(|(_, key)| failed(*key))
                    .map(|(_, key)| self.store.id(key)),
            );
            if ids.is_empty() {
                return Ok(Answer::Changed(Changed::default()));
            }
        }
        self.each(now, &ids, batch, |state, key| {
            if state.is_end() {
                Ok(Input::Revive(key))
            } else {
                Err("over")
            }
        })
    }

    fn pause_or_resume(&mut self, now: Tick, ids: Ids, pause: bool, batch: &mut Batch) -> Answered {
        if !ids.ids.is_empty() {
            return self.each(now, &ids.ids, batch, |state, key| match (pause, state) {
                (true, State::Running) => Ok(Input::Suspend(key)),
                (true, state) if !state.is_active() && !state.is_end() => Ok(Input::Hold(key)),
                (false, State::Paused) => Ok(Input::Continue(key)),
                (false, State::Held) => Ok(Input::Release(key)),
                (true, _) => Err("running or waiting for its turn"),
                (false, _) => Err("paused or held"),
            });
        }
        let workspace = ids.workspace.map(|name| self.store.intern(&name));
        batch.records.push(Record::Paused {
            workspace: workspace.clone(),
            paused: pause,
        });
        let input = if pause {
            Input::Pause(workspace)
        } else {
            Input::Resume(workspace)
        };
        self.feed(now, input, batch);
        Ok(Answer::Changed(Changed::default()))
    }

    fn edit(&mut self, now: Tick, edit: EditTask, batch: &mut Batch) -> Answered {
        protocol::check_edit(&edit)?;
        let key = self.find(&edit.id)?;
        let state = self
            .scheduler
            .state(key)
            .ok_or_else(|| errors::unknown_task(&edit.id))?;
        if state.is_end() || (edit.command.is_some() && state.is_active()) {
            let refusal = wezterm_parallel_scheduler::Refusal::WrongState(key, state);
            return Err(errors::refusal(&refusal, |key| self.store.id(key)));
        }
        let changes = Edit {
            priority: edit.priority,
            after: edit
                .after
                .as_deref()
                .map(|after| dependencies(&self.store, after))
                .transpose()?,
            not_before: edit
                .delay_ms
                .map(|ms| now.plus_ms(ms))
                .or(edit.not_before_ms.map(Tick)),
            max_retries: edit.retries,
        };
        if changes != Edit::default() {
            let refused = self.scheduler.apply(now, Input::Edit(key, changes));
            let actions = refused.map_err(|refusal| errors::refusal(&refusal, |key| self.store.id(key)))?;
            self.absorb(now, actions, batch);
        }
        self.respecify(key, &edit, batch);
        Ok(Answer::Changed(Changed { ids: vec![edit.id] }))
    }

    /// The values that the scheduler does not know.
    fn respecify(&mut self, key: TaskKey, edit: &EditTask, batch: &mut Batch) {
        let Some(entry) = self.store.get(key) else { return };
        let mut spec = entry.spec.clone();
        if let Some(label) = &edit.label {
            spec.label = Some(label.as_str())
                .filter(|label| !label.is_empty())
                .map(Into::into);
        }
        if let Some(timeout) = edit.timeout_ms {
            spec.timeout_ms = Some(timeout).filter(|ms| *ms > 0);
        }
        if let Some(command) = &edit.command {
            spec.command = Some(command.as_str().into());
            spec.argv = None;
        }
        if spec != entry.spec {
            batch.records.push(Record::Respecified {
                key,
                spec: Box::new(spec.clone()),
            });
            batch.touched.push(key);
            self.store.respecify(key, spec);
        }
    }

    fn clean(&mut self, now: Tick, clean: &Clean, batch: &mut Batch) -> Answered {
        let wanted = self.find_all(&clean.ids)?;
        let running = wanted
            .iter()
            .find(|key| self.scheduler.state(**key).is_some_and(|state| !state.is_end()));
        if let Some((key, state)) = running.and_then(|key| Some((*key, self.scheduler.state(*key)?))) {
            let refusal = wezterm_parallel_scheduler::Refusal::WrongState(key, state);
            return Err(errors::refusal(&refusal, |key| self.store.id(key)));
        }
        let old_enough = |at: Tick| clean.older_than_ms.is_none_or(|ms| now.ms_since(at) >= ms);
        let right =
            |key: TaskKey| !clean.succeeded_only || self.scheduler.state(key) == Some(State::Succeeded);
        let keys: Vec<TaskKey> = self
            .store
            .ended()
            .filter(|(at, key)| old_enough(*at) && right(*key) && (wanted.is_empty() || wanted.contains(key)))
            .map(|(_, key)| key)
            .collect();
        let ids = self.remove(now, &keys, batch);
        Ok(Answer::Changed(Changed { ids }))
    }

    fn reserve(&mut self, count: u64, batch: &mut Batch) -> Answered {
        if count == 0 || count > RESERVE_MAX {
            let message = format!("`count` is {count}, but must be 1 to {RESERVE_MAX}");
            return Err(errors::invalid(message, "reserve in several steps"));
        }
        let (first, last) = self.store.numbers.peek(count);
        self.store.numbers.reserve(first, last);
        batch.records.push(Record::Reserved { first, last });
        Ok(Answer::Reserved(Reserved { first, last }))
    }

    /// Ends the daemon; with `kill`, its workers first.
    fn shut_down(&mut self, now: Tick, kill: bool, batch: &mut Batch) -> Answer {
        self.feed(
            now,
            Input::CloseGate(SHUTDOWN_GATE, "the daemon is ending".to_owned()),
            batch,
        );
        if kill {
            let active: Vec<TaskKey> = self.scheduler.active().map(|task| task.submission.key).collect();
            for key in active {
                self.feed(now, Input::Cancel(key), batch);
            }
        }
        self.ending = Some(if kill { Ending::WhenIdle } else { Ending::Now });
        Answer::Daemon(self.info.clone())
    }
}
