//! Tasks as the outside sees them, put together from the scheduler's part and the store's.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;

use wezterm_parallel_scheduler::{Condition, GateReport, Reason, Scheduler, State, Task, TaskKey, Tick};

use super::processes::{id_of, number_of, report_view};
use super::questions::Questions;
use super::store::{Entry, Store};
use super::{worktrees, Engine};
use crate::journal::AttemptImage;
use crate::protocol::{AttemptView, ExplanationView, Filter, GateView, Summary, TaskView};
use crate::worker::attempt_folder;

/// Looks at the scheduler and the store together.
#[derive(Clone, Copy)]
pub(super) struct Views<'a> {
    pub(super) scheduler: &'a Scheduler,
    pub(super) store: &'a Store,
    pub(super) tasks_folder: &'a Path,
    pub(super) questions: &'a Questions,
}

impl Engine {
    pub(super) fn views(&self) -> Views<'_> {
        Views {
            scheduler: &self.scheduler,
            store: &self.store,
            tasks_folder: &self.tasks_folder,
            questions: &self.questions,
        }
    }
}

impl Views<'_> {
    /// One task, or a process as if it were one.
    pub(super) fn task(&self, key: TaskKey) -> Option<TaskView> {
        match number_of(key) {
            Some(number) => self.process_as_task(number),
            None => Some(self.view(&self.scheduler.task(key)?, self.store.get(key)?)),
        }
    }

    fn view(&self, task: &Task, entry: &Entry) -> TaskView {
        let submission = &task.submission;
        let id = self.store.id(submission.key);
        let attempts = entry
            .attempts
            .iter()
            .map(|attempt| self.attempt(&id, attempt))
            .collect();
        TaskView {
            state: task.state.name().to_owned(),
            reason: task.reason.map(|reason| self.reason(reason)),
            priority: submission.priority,
            worker: submission.lane.worker.to_string(),
            workspace: submission.lane.workspace.to_string(),
            label: entry.spec.label.as_deref().map(str::to_owned),
            command: entry.spec.command.as_deref().map(str::to_owned),
            argv: entry.spec.argv.as_deref().map(<[String]>::to_vec),
            cwd: entry.spec.cwd.to_string(),
            parent: entry.spec.parent.map(|parent| {
                let parent = TaskKey(parent.get());
                number_of(parent).map_or_else(|| self.store.id(parent), id_of)
            }),
            submitted_at_ms: submission.submitted_at.0,
            after: submission
                .after
                .iter()
                .map(|on| format!("{}:{}", self.store.id(on.key), condition_name(on.on)))
                .collect(),
            not_before_ms: submission.not_before.map(|tick| tick.0),
            timeout_ms: entry.spec.timeout_ms.map(NonZeroU64::get),
            retries: submission.backoff.max_retries,
            retries_used: task.retries,
            slot: task.slot,
            stopping: task.stopping,
            claude: entry.spec.claude.clone(),
            worktree: entry.spec.worktree().map(worktrees::view),
            questions: Engine::questions_of(self.questions, submission.key),
            report: self
                .store
                .reports
                .get(&submission.key)
                .map(|report| report_view(report)),
            limits: None,
            sandbox: None,
            attempts,
            id,
        }
    }

    fn attempt(&self, id: &str, attempt: &AttemptImage) -> AttemptView {
        self.attempt_in(self.tasks_folder, id, attempt)
    }

    /// An attempt whose folder is below this one.
    pub(super) fn attempt_in(&self, folder: &Path, id: &str, attempt: &AttemptImage) -> AttemptView {
        let exit = attempt.exit.as_deref();
        let claude = attempt.claude.as_deref();
        AttemptView {
            n: attempt.attempt,
            outcome: attempt.outcome.as_deref().map(str::to_owned),
            exit_code: exit.and_then(|exit| exit.exit_code),
            signal: exit.and_then(|exit| exit.signal),
            started_at_ms: exit
                .map(|exit| exit.started_at_ms)
                .filter(|ms| *ms > 0)
                .unwrap_or(attempt.started_at.0),
            ended_at_ms: exit
                .map(|exit| exit.ended_at_ms)
                .filter(|ms| *ms > 0)
                .or(attempt.ended_at.map(|at| at.0)),
            cpu_seconds: exit.map(|exit| exit.cpu_seconds),
            peak_memory_bytes: exit.map(|exit| exit.peak_memory_bytes),
            message: attempt.message.as_deref().map(str::to_owned),
            session_id: attempt.session.as_deref().map(str::to_owned),
            cost_usd: claude.and_then(|facts| facts.cost_usd),
            tokens: claude.map(|facts| facts.tokens.clone()).unwrap_or_default(),
            turns: claude.and_then(|facts| facts.turns),
            sandbox: exit.and_then(|exit| exit.sandbox.as_deref().cloned()),
            group: exit.and_then(|exit| exit.group.as_deref().cloned()),
            folder: attempt_folder(folder, id, attempt.attempt).display().to_string(),
        }
    }

    fn reason(&self, reason: Reason) -> String {
        match reason {
            Reason::Dependency(key) => format!("{} {}", reason.name(), self.store.id(key)),
            other => other.name().to_owned(),
        }
    }

    /// The tasks that a filter lets through. With a limit: those that matter most come first.
    pub(super) fn filtered(&self, filter: &Filter, keys: Option<Vec<TaskKey>>) -> Vec<TaskView> {
        if filter.summary_only {
            return Vec::new();
        }
        if let (Some(limit), None, true) = (filter.limit, &keys, lets_all_through(filter)) {
            return self.foremost(limit);
        }
        let all: Box<dyn Iterator<Item = Task> + '_> = match keys {
            Some(keys) => Box::new(keys.into_iter().filter_map(|key| self.scheduler.task(key))),
            None => self.scheduler.tasks_from(TaskKey(0)),
        };
        let mut tasks: Vec<Task> = all.filter(|task| self.passes(filter, task)).collect();
        if let Some(limit) = filter.limit {
            let aging = self.scheduler.limits().aging_step_ms;
            tasks.sort_by_key(|task| self.rank(task, aging));
            tasks.truncate(limit);
        }
        tasks
            .iter()
            .filter_map(|task| Some(self.view(task, self.store.get(task.submission.key)?)))
            .collect()
    }

    /// The first tasks of all, in the order of [`Views::rank`], without building or sorting all others.
    fn foremost(&self, limit: usize) -> Vec<TaskView> {
        let mut active: Vec<TaskKey> = self.scheduler.active().map(|task| task.submission.key).collect();
        active.sort_unstable();
        let mut keys = active;
        keys.truncate(limit);
        keys.extend(self.scheduler.first_queued(limit - keys.len()));
        if keys.len() < limit {
            keys.extend(self.scheduler.first_set_aside(limit - keys.len()));
        }
        let newest_ended = self.store.ended().rev().map(|(_, key)| key);
        keys.extend(newest_ended.take(limit - keys.len()));
        keys.into_iter().filter_map(|key| self.task(key)).collect()
    }

    /// Active tasks first, then waiting ones in the order of starting, then the newest ended.
    fn rank(&self, task: &Task, aging_step_ms: u64) -> (u8, i128, i128) {
        let submission = &task.submission;
        let key = submission.key;
        let number = i128::from(key.0);
        let turn = i128::from(submission.submitted_at.0)
            - i128::from(submission.priority) * i128::from(aging_step_ms);
        let ended_at = || self.store.get(key).and_then(Entry::ended_at).unwrap_or_default();
        match task.state {
            state if state.is_active() => (0, 0, number),
            State::Queued => (1, turn, number),
            state if state.is_end() => (3, -i128::from(ended_at().0), -number),
            _ => (2, turn, number),
        }
    }

    fn passes(&self, filter: &Filter, task: &Task) -> bool {
        let label = || {
            self.store
                .get(task.submission.key)
                .and_then(|entry| entry.spec.label.as_deref())
        };
        (filter.states.is_empty() || filter.states.iter().any(|state| state == task.state.name()))
            && filter
                .workspace
                .as_deref()
                .is_none_or(|name| *task.submission.lane.workspace == *name)
            && (filter.label.is_none() || label() == filter.label.as_deref())
    }

    /// The queue in numbers.
    pub(super) fn summary(&self, now: Tick) -> Summary {
        let states: BTreeMap<String, usize> = State::ALL
            .iter()
            .map(|state| (state.name().to_owned(), self.scheduler.count(*state)))
            .collect();
        Summary {
            queued: self.scheduler.count(State::Queued),
            running: self.scheduler.count(State::Running),
            slots: self.scheduler.limits().slots,
            paused: self.scheduler.paused().any(|scope| scope.is_none()),
            paused_workspaces: self.paused_workspaces(),
            attention: self.attention(),
            processes: self.store.processes.counts(),
            blocked_by: self
                .scheduler
                .blocked_by(now)
                .into_iter()
                .map(|report| self.gate(report))
                .collect(),
            states,
        }
    }

    /// What waits for somebody: tasks that ask, and whatever reports so.
    fn attention(&self) -> usize {
        let asks = |key: &TaskKey| self.scheduler.state(*key) == Some(State::Waiting);
        let reports = self.store.reports.iter();
        let reported = reports
            .filter(|(key, report)| report.waiting && !asks(key))
            .count();
        self.scheduler.count(State::Waiting) + reported + self.store.processes.waiting()
    }

    /// Workspaces whose starts are paused, by name.
    pub(super) fn paused_workspaces(&self) -> Vec<String> {
        let paused = self.scheduler.paused().flatten();
        let mut names: Vec<String> = paused.map(|name| name.to_string()).collect();
        names.sort();
        names
    }

    /// A gate in the words of ids.
    fn gate(&self, report: GateReport) -> GateView {
        let message = match report.task {
            Some(key) => {
                let number = format!("task {}", key.0);
                report
                    .message
                    .replacen(&number, &format!("task {}", self.store.id(key)), 1)
            }
            None => report.message,
        };
        GateView {
            gate: report.gate,
            message,
            opens_at_ms: report.opens_at.map(|tick| tick.0),
        }
    }

    /// Why a task waits.
    pub(super) fn explanation(&self, now: Tick, key: TaskKey) -> Option<ExplanationView> {
        let explanation = self.scheduler.explain(now, key)?;
        let reason = self.scheduler.task(key)?.reason;
        let relief = self.scheduler.relief_in_words(now, key).map(|message| GateView {
            gate: "memory".to_owned(),
            message,
            opens_at_ms: None,
        });
        Some(ExplanationView {
            id: self.store.id(key),
            state: explanation.state.name().to_owned(),
            reason: reason
                .filter(|_| explanation.state.is_end())
                .map(|reason| self.reason(reason)),
            gates: explanation
                .gates
                .into_iter()
                .map(|report| self.gate(report))
                .chain(relief)
                .collect(),
            ahead: explanation.ahead,
            not_overtaken_after_ms: explanation.not_overtaken_after.map(|tick| tick.0),
        })
    }
}

/// Whether a filter asks for no tasks in particular.
fn lets_all_through(filter: &Filter) -> bool {
    filter.states.is_empty() && filter.workspace.is_none() && filter.label.is_none()
}

fn condition_name(condition: Condition) -> &'static str {
    match condition {
        Condition::Success => "success",
        Condition::Failure => "failure",
        Condition::Any => "any",
    }
}
