//! Requests that change tasks: cancel, retry, hold, pause, edit, clean.

use std::num::NonZeroU64;

use wezterm_parallel_scheduler::{Condition, Dependency, Edit, Input, Refusal, State, TaskKey, Tick};

use super::accept::dependencies;
use super::batch::Batch;
use super::requests::Answered;
use super::{errors, Engine};
use crate::config::parse_signal;
use crate::executor::StopPlan;
use crate::journal::Record;
use crate::protocol::{
    check_edit, Answer, Cancel, Changed, Clean, EditTask, ErrorAnswer, ErrorCode, Event, Ids, Retry,
};

impl Engine {
    /// The same input for several tasks: all are checked before the first is changed.
    pub(super) fn each(
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
                    code: ErrorCode::WrongState,
                    message,
                    hint: "nothing was changed".to_owned(),
                }
            };
            inputs.push(input(state, key).map_err(wrong)?);
        }
        for input in inputs {
            // A refusal here comes from an earlier one of the same request: a task that was named
            // twice, or one that was skipped because the task before it was cancelled.
            match self.scheduler.apply(now, input) {
                Ok(actions) => self.absorb(now, actions, batch),
                Err(refusal) => tracing::debug!(%refusal, "an id of a request needed no change any more"),
            }
        }
        Ok(Answer::Changed(Changed { ids: ids.to_vec() }))
    }

    /// Puts waiting tasks on hold, or releases them.
    pub(super) fn hold_or_release(
        &mut self,
        now: Tick,
        ids: &[String],
        hold: bool,
        batch: &mut Batch,
    ) -> Answered {
        self.each(now, ids, batch, |state, key| match (hold, state) {
            (true, State::Held) => Err("waiting and not on hold yet"),
            (true, state) if state.is_pending() => Ok(Input::Hold(key)),
            (true, _) => Err("waiting"),
            (false, State::Held) => Ok(Input::Release(key)),
            (false, _) => Err("on hold"),
        })
    }

    pub(super) fn cancel(&mut self, now: Tick, cancel: &Cancel, batch: &mut Batch) -> Answered {
        let signal = match &cancel.signal {
            Some(name) => Some(parse_signal(name).ok_or_else(|| errors::unknown_signal(name))?),
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
            then: usual.then,
        };
        self.stop_plans.insert(key, plan);
    }

    pub(super) fn retry(&mut self, now: Tick, retry: &Retry, batch: &mut Batch) -> Answered {
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
        if retry.fresh {
            self.begin_anew(now, &ids, batch)?;
        }
        self.each(now, &ids, batch, |state, key| {
            if state.is_end() {
                Ok(Input::Revive(key))
            } else {
                Err("over")
            }
        })
    }

    /// Tasks that are over, all of them, give up the sessions of their last attempts.
    fn begin_anew(&mut self, now: Tick, ids: &[String], batch: &mut Batch) -> Result<(), ErrorAnswer> {
        let keys = self.find_all(ids)?;
        let over = |key: &TaskKey| self.scheduler.state(*key).is_some_and(State::is_end);
        if keys.iter().all(over) {
            for key in keys {
                let origin = self.origin(key);
                self.feed(now, Input::Claim(key, origin), batch);
            }
        }
        Ok(())
    }

    /// Lets a profile go on that a refused login or a usage limit keeps.
    pub(super) fn resume_worker(&mut self, now: Tick, worker: &str, batch: &mut Batch) -> Answered {
        if self.profiles.get(worker).is_none() {
            return Err(errors::unknown_worker(worker, self.profiles.names()));
        }
        let account = self.accounts.of(worker).map(str::to_owned);
        let released = account.filter(|account| self.accounts.release(account));
        let Some(account) = released else {
            return Err(ErrorAnswer {
                code: ErrorCode::WrongState,
                message: format!("nothing keeps worker '{worker}'"),
hint: "a usage limit or a refused login keeps a worker; `wezterm-parallel explain ID` says why a task waits".to_owned(),
            });
        };
        self.journal_account(&account, batch);
        self.set_gates(now, &account, batch);
        self.tell_of_queue(batch);
        Ok(Answer::Changed(Changed::default()))
    }

    pub(super) fn pause_or_resume(
        &mut self,
        now: Tick,
        ids: Ids,
        pause: bool,
        batch: &mut Batch,
    ) -> Answered {
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
        self.tell_of_queue(batch);
        Ok(Answer::Changed(Changed::default()))
    }

    /// What holds for the whole queue has changed, and no task's event says so.
    pub(super) fn tell_of_queue(&self, batch: &mut Batch) {
        batch.gates.push(Event::Queue {
            slots: self.scheduler.limits().slots,
            paused: self.scheduler.paused().any(|scope| scope.is_none()),
            paused_workspaces: self.views().paused_workspaces(),
        });
    }

    pub(super) fn edit(&mut self, now: Tick, edit: EditTask, batch: &mut Batch) -> Answered {
        check_edit(&edit)?;
        let key = self.find(&edit.id)?;
        let state = self
            .scheduler
            .state(key)
            .ok_or_else(|| errors::unknown_task(&edit.id))?;
        if state.is_end() || (edit.command.is_some() && state.is_active()) {
            let refusal = Refusal::WrongState(key, state);
            return Err(errors::refusal(&refusal, |key| self.store.id(key)));
        }
        if edit.command.is_some() && self.store.get(key).is_some_and(|entry| entry.spec.argv.is_some()) {
            return Err(errors::invalid(
                format!("task '{}' runs an argv, which has no command to edit", edit.id),
                "cancel it and queue another",
            ));
        }
        if edit.command.is_some() && self.has_said_its_prompt(key) {
            return Err(errors::said_already(&edit.id));
        }
        let after = edit.after.as_deref();
        let mut after = after.map(|after| dependencies(&self.store, after)).transpose()?;
        if let (Some(after), Some(other)) = (&mut after, self.continued_by(key)) {
            // Whatever else it waits for: it cannot continue what goes on.
            let on = Condition::Any;
            after.push(Dependency { key: other, on });
        }
        let changes = Edit {
            priority: edit.priority,
            after,
            not_before: edit
                .delay_ms
                .map(|ms| now.plus_ms(ms))
                .or(edit.not_before_ms.map(Tick)),
            max_retries: edit.retries,
            memory_bytes: edit.memory_bytes,
            cpus_milli: edit.cpus.map(super::admission_rules::milli),
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
            spec.timeout_ms = NonZeroU64::new(timeout);
        }
        if let Some(command) = &edit.command {
            spec.command = Some(command.as_str().into());
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

    pub(super) fn clean(&mut self, now: Tick, clean: &Clean, batch: &mut Batch) -> Answered {
        if self.upkeep.makes_snapshot() {
            // An image must be made of every task that was there when the snapshot began.
            return Err(errors::busy("a snapshot of the journal is being made"));
        }
        let wanted = self.find_all(&clean.ids)?;
        let running = wanted
            .iter()
            .find(|key| self.scheduler.state(**key).is_some_and(|state| !state.is_end()));
        if let Some((key, state)) = running.and_then(|key| Some((*key, self.scheduler.state(*key)?))) {
            let refusal = Refusal::WrongState(key, state);
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
}
