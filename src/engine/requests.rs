//! What clients ask, message by message. Each answer goes out after the round is durable.

use wezterm_parallel_scheduler::{Gate, Input, State, TaskKey, Tick};

use super::accept::{Accepted, Acceptor, Checked};
use super::agents::Agent;
use super::batch::{journal_failed, Batch, Reply};
use super::processes::{key_of, number_of};
use super::watchers::Scope;
use super::{errors, Command, Ending, Engine, SHUTDOWN_GATE};
use crate::journal::Record;
use crate::protocol::{
    is_process_id, Answer, Changed, ErrorAnswer, Event, Filter, Ids, Message, Reserved, StatusAnswer,
    StatusUpdate, Subscribe, TaskQueue, TaskView,
};

/// Numbers that one request may set aside.
const RESERVE_MAX: u64 = 10_000_000;

/// What a request came to.
pub(super) type Answered = Result<Answer, ErrorAnswer>;

impl Engine {
    /// Does what the server or a signal asks.
    pub(super) fn obey(&mut self, now: Tick, command: Command, checked: &mut Checked, batch: &mut Batch) {
        match command {
            Command::Ask {
                messages,
                from,
                read_at,
                reply,
            } => {
                let agent = self.agent(&from);
                let mut answers = Reply {
                    to: reply,
                    read_at,
                    answers: Vec::with_capacity(messages.len()),
                    durable: Vec::new(),
                };
                for message in messages {
                    self.answer(now, (message, agent.as_ref()), checked, &mut answers, batch);
                }
                batch.replies.push(answers);
            }
            Command::Subscribe {
                wanted,
                events,
                reply,
            } => {
                let answer = self.subscribe(now, &wanted, events);
                batch.subscribed.push((reply, answer));
            }
            // What is not written yet may be in it: the next one puts that right.
            Command::Drafts {
                shown,
                trouble,
                reply,
            } => {
                self.remembering.trouble = trouble;
                // Whoever asked may be gone.
                let _ = reply.send(self.drafts(&shown));
            }
            Command::Reload(reloaded) => self.reload(now, *reloaded, batch),
            Command::ReloadFailed(why) => {
                tracing::warn!(%why, "the config could not be read again: the old one stays in force");
                self.warn(vec![why]);
            }
            Command::End => self.ending = Some(Ending::Now),
        }
    }

    /// Answers one line.
    pub(super) fn answer(
        &mut self,
        now: Tick,
        (message, agent): (Result<Message, ErrorAnswer>, Option<&Agent>),
        checked: &mut Checked,
        reply: &mut Reply,
        batch: &mut Batch,
    ) {
        let written = batch.records.len();
        let stops = message.as_ref().is_ok_and(|message| self.only_stops(message));
        let answered = message.and_then(|message| {
            agent.map_or(Ok(()), |agent| self.permit(agent, &message))?;
            self.allow(&message)?;
            self.dispatch(now, (message, agent), checked, batch)
        });
        if batch.records.len() > written && !stops {
            reply.durable.push(reply.answers.len());
        }
        reply.answers.push(answered.unwrap_or_else(Answer::Error));
    }

    /// Whether a message asks for nothing but stops of running attempts. These take effect even if
    /// they cannot be written, so they are never answered with a refusal.
    fn only_stops(&self, message: &Message) -> bool {
        let runs = |id: &String| {
            let state = self.store.find(id).and_then(|key| self.scheduler.state(key));
            state.is_some_and(State::is_active)
        };
        match message {
            Message::Cancel(cancel) => cancel.ids.iter().all(runs),
            Message::ProcessStop(stop) => !stop.remove && self.are_up(&stop.ids),
            _ => false,
        }
    }

    /// What changes the queue is refused while it could not be kept.
    fn allow(&self, message: &Message) -> Result<(), ErrorAnswer> {
        let reads = matches!(
            message,
            Message::Status(_)
                | Message::Show(_)
                | Message::WorkspaceList {}
                | Message::WorkspaceShow(_)
                | Message::ProcessList(_)
                | Message::Explain(_)
                | Message::Info {}
                | Message::Cost(_)
                | Message::Metrics {}
                | Message::Admission {}
                | Message::Shutdown(_)
                | Message::Reload {}
        );
        if reads || self.only_stops(message) {
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
        (message, agent): (Message, Option<&Agent>),
        checked: &mut Checked,
        batch: &mut Batch,
    ) -> Answered {
        match message {
            Message::TaskQueue(task) => self.queue(now, (*task, agent), checked, batch),
            Message::Environment(environment) => {
                Ok(self.store_environment(environment.variables, agent, batch))
            }
            Message::Check(task) => {
                self.acceptor(now, agent, checked).check_alone(*task)?;
                Ok(Answer::Changed(Changed::default()))
            }
            Message::WorkspaceCreate(create) => self.create_workspace(now, &create, checked, batch),
            Message::WorkspaceList {} => Ok(self.list_workspaces(now)),
            Message::WorkspaceShow(one) => self.show_workspace(now, &one.name),
            Message::WorkspaceEdit(edit) => self.edit_workspace(now, &edit, batch),
            Message::WorkspaceRemove(remove) => self.remove_workspace(now, &remove, batch),
            Message::ProcessSpawn(spawn) => self.spawn_process(now, &spawn, batch),
            Message::ProcessList(filter) => self.list_processes(now, &filter),
            Message::ProcessStop(stop) => self.stop_by_request(now, &stop, batch),
            Message::ProcessRestart(ids) => self.restart_processes(now, &ids, batch),
            Message::StatusUpdate(update) => self.take_status(now, &update, batch),
            Message::Status(filter) => self.status(now, &filter),
            Message::Show(one) => self.show(&one.id),
            Message::Explain(one) => self.explain(now, &one.id),
            Message::Cancel(cancel) => self.cancel(now, &cancel, batch),
            Message::Retry(retry) => self.retry(now, &retry, batch),
            Message::Edit(edit) => self.edit(now, *edit, batch),
            Message::Hold(ids) => self.hold_or_release(now, &ids.ids, true, batch),
            Message::Release(ids) => self.hold_or_release(now, &ids.ids, false, batch),
            Message::Pause(ids) => self.pause_or_resume(now, ids, true, batch),
            Message::Resume(Ids {
                worker: Some(worker), ..
            }) => self.resume_worker(now, &worker, batch),
            Message::Resume(ids) => self.pause_or_resume(now, ids, false, batch),
            Message::Clean(clean) => self.clean(now, &clean, batch),
            Message::Answer(answer) => self.answer_question(now, &answer, batch),
            Message::Admission {} => Ok(self.admission(now)),
            Message::Cost(query) => Ok(Answer::Cost(self.costs(now, &query))),
            Message::ReserveIds(reserve) => self.reserve(reserve.count, batch),
            Message::Subscribe(_) => Err(errors::invalid(
                "Subscribe must be the only message that is under way on its connection".to_owned(),
                "wait for all answers first, or use a connection of its own",
            )),
            // The server has answered those.
            Message::Metrics {} => Err(ErrorAnswer::new(
                crate::protocol::ErrorCode::Internal,
                "the queue does not have the metrics",
                "",
            )),
            Message::Info {} | Message::Reload {} => Ok(Answer::Daemon(self.who_we_are())),
            Message::Shutdown(shutdown) => Ok(self.shut_down(now, shutdown.kill, batch)),
        }
    }

    pub(super) fn find(&self, id: &str) -> Result<TaskKey, ErrorAnswer> {
        self.store.find(id).ok_or_else(|| errors::unknown_task(id))
    }

    /// A task, or a process.
    fn find_any(&self, id: &str) -> Result<TaskKey, ErrorAnswer> {
        if is_process_id(id) {
            return self.find_process(id).map(key_of);
        }
        self.find(id)
    }

    pub(super) fn find_all(&self, ids: &[String]) -> Result<Vec<TaskKey>, ErrorAnswer> {
        ids.iter().map(|id| self.find(id)).collect()
    }

    pub(super) fn queue(
        &mut self,
        now: Tick,
        (task, agent): (TaskQueue, Option<&Agent>),
        checked: &mut Checked,
        batch: &mut Batch,
    ) -> Answered {
        self.take_over_logins(agent, task.env.as_ref());
        let (submission, spec, environment) = match self.acceptor(now, agent, checked).accept(task)? {
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
            submission: submission.clone(),
            spec: spec.clone(),
        };
        self.store.insert(key, *spec, Vec::new());
        match self.scheduler.apply(now, Input::Submit(submission)) {
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

    pub(super) fn acceptor<'a>(
        &'a mut self,
        now: Tick,
        agent: Option<&'a Agent>,
        checked: &'a mut Checked,
    ) -> Acceptor<'a> {
        Acceptor {
            store: &mut self.store,
            config: &self.config,
            profiles: &self.profiles,
            scheduler: &self.scheduler,
            own_environment: &self.environment,
            agent,
            checked,
            now,
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
            note: None,
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
        let view = self.views().task(self.find_any(id)?);
        let mut view = view.ok_or_else(|| errors::unknown_task(id))?;
        self.tell_room(&mut view);
        Ok(Answer::Task(Box::new(view)))
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
        match self.subscription(now, wanted) {
            Ok((status, scope)) => {
                self.watchers.add(events, scope);
                Answer::Status(status)
            }
            Err(error) => Answer::Error(error),
        }
    }

    /// The tasks that a subscriber asks for as they stand, and which it will hear of.
    fn subscription(&self, now: Tick, wanted: &Subscribe) -> Result<(StatusAnswer, Scope), ErrorAnswer> {
        let mut keys = wanted
            .ids
            .iter()
            .map(|id| self.find_any(id))
            .collect::<Result<Vec<TaskKey>, _>>()?;
        let mut scope = Scope::new(wanted, keys.iter().copied());
        let views = self.views();
        let everything = !scope.is_by_slot() && keys.is_empty();
        if scope.is_by_slot() {
            let active = self.scheduler.active().map(|task| task.submission.key);
            keys = keys
                .iter()
                .copied()
                .chain(active.filter(|key| !keys.contains(key)))
                .filter(|key| views.task(*key).is_some_and(|view| scope.has(*key, &view)))
                .collect();
        }
        let filter = Filter {
            limit: wanted.limit,
            ..Filter::default()
        };
        let processes = keys.iter().filter(|key| number_of(**key).is_some());
        let processes: Vec<TaskView> = processes.filter_map(|key| views.task(*key)).collect();
        let mut tasks = views.filtered(&filter, (!everything).then_some(keys));
        tasks.extend(processes);
        let summary = views.summary(now);
        Ok((StatusAnswer { tasks, summary }, scope))
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
            Input::CloseGate(
                SHUTDOWN_GATE.into(),
                Gate::closed(SHUTDOWN_GATE, "the daemon is ending"),
            ),
            batch,
        );
        if kill {
            let active: Vec<TaskKey> = self.scheduler.active().map(|task| task.submission.key).collect();
            for key in active {
                self.feed(now, Input::Cancel(key), batch);
            }
            self.stop_processes(now, batch);
        }
        self.ending = Some(if kill { Ending::WhenIdle } else { Ending::Now });
        Answer::Daemon(self.info.clone())
    }
}
