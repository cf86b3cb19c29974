//! Claude workers, from the engine's side: which session an attempt runs, what is heard of it while
//! it runs, and what its end means for the task and the account.

use std::time::Duration;

use wezterm_parallel_scheduler::{Input, Reason, State, Task, TaskKey, Tick};

use super::accounts::Accounts;
use super::batch::Batch;
use super::Engine;
use crate::claude::{Conclusion, LimitStatus, News, Outcome, RateLimit};
use crate::config::WorkerKind;
use crate::executor::{AttemptId, Exit, StopCause};
use crate::journal::{AttemptImage, ClaudeFacts, Record};
use crate::listener::{Ending, Heard, Judged};
use crate::protocol::Denied;
use crate::worker::{attempt_folder, judge_claude, Silence, Verdict};

/// Pauses after trouble of the API double up to this many times before the profile's limit counts.
const DOUBLINGS_MAX: usize = 20;
/// Without a profile to say otherwise: how long a run may print nothing …
const STALL_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// … the first pause after trouble of the API …
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// … and the longest.
const RETRY_MAX_DELAY: Duration = Duration::from_secs(600);

impl Engine {
    /// Whether a task's worker is Claude Code.
    pub(super) fn is_claude(&self, worker: &str) -> bool {
        let config = self.profiles.config(worker);
        config.is_some_and(|config| config.kind == WorkerKind::Claude)
    }

    /// Whether an attempt was started as one of Claude Code, whatever the config says by now.
    pub(super) fn runs_claude(&self, id: AttemptId) -> bool {
        self.attempt(id).is_some_and(|attempt| attempt.session.is_some())
    }

    pub(super) fn attempt(&self, id: AttemptId) -> Option<&AttemptImage> {
        let attempts = &self.store.get(id.key)?.attempts;
        attempts.iter().rfind(|attempt| attempt.attempt == id.attempt)
    }

    /// Listens to an attempt that has been launched or adopted.
    pub(super) fn listen(&self, id: AttemptId) {
        let worker = self
            .scheduler
            .task(id.key)
            .map(|task| task.submission.lane.worker);
        let config = worker.and_then(|worker| self.profiles.config(&worker));
        let stall_timeout = config.and_then(|config| config.stall_timeout);
        self.listener
            .follow(id, self.folder_of(id), stall_timeout.unwrap_or(STALL_TIMEOUT));
    }

    /// An attempt that an earlier daemon has launched.
    pub(super) fn listen_again(&self, id: AttemptId) {
        if self.runs_claude(id) {
            self.listen(id);
        }
    }

    /// An attempt's folder.
    pub(super) fn folder_of(&self, id: AttemptId) -> std::path::PathBuf {
        attempt_folder(&self.tasks_folder, &self.store.id(id.key), id.attempt)
    }

    /// Takes in what the listener has heard.
    pub(super) fn take_heard(&mut self, now: Tick, heard: Heard, batch: &mut Batch) {
        match heard {
            Heard::News(id, news) if self.awaits(id) => self.take_news(now, id, news, batch),
            Heard::Silent(id) if self.awaits(id) => self.end_silence(id, batch),
            Heard::Concluded(id, ending, judged) if self.awaits(id) => {
                self.conclude(now, id, ending, &judged, batch);
            }
            Heard::CaughtUp(id) if self.awaits(id) => self.catch_up(now, id, batch),
            Heard::News(..) | Heard::CaughtUp(_) | Heard::Silent(_) | Heard::Concluded(..) => {}
        }
    }

    fn take_news(&mut self, now: Tick, id: AttemptId, news: News, batch: &mut Batch) {
        match news {
            News::Began { .. } => {}
            News::Working => self.hear_working(now, id, batch),
            News::Limit(limit) => self.hear_limit(now, id.key, &limit, batch),
            News::AuthTrouble(why) => self.with_account(now, id.key, batch, |accounts, name| {
                accounts.hold(name, why);
                false
            }),
            News::Asked(question) => self.ask(now, id, question, batch),
            News::Withdrawn { request_id } => self.withdraw_question(now, id, &request_id, batch),
            News::TurnOver { background } => {
                if !background {
                    self.close_input(id);
                }
            }
            // The CLI takes another turn to look at what came of it.
            News::BackgroundOver => {}
        }
    }

    fn hear_working(&mut self, now: Tick, id: AttemptId, batch: &mut Batch) {
        let started_at = self.attempt(id).map_or(now, |attempt| attempt.started_at);
        self.with_account(now, id.key, batch, |accounts, name| {
            accounts.hear_working(now, name, started_at)
        });
    }

    fn hear_limit(&mut self, now: Tick, key: TaskKey, limit: &RateLimit, batch: &mut Batch) {
        self.note_quota(key, limit);
        let random = uuid::Uuid::new_v4().as_u64_pair().0;
        self.with_account(now, key, batch, |accounts, name| {
            accounts.hear_limit(now, name, limit, random)
        });
    }

    /// Changes something about the account of a task, and sets its gates; `change` says whether the
    /// journal must know.
    fn with_account(
        &mut self,
        now: Tick,
        key: TaskKey,
        batch: &mut Batch,
        change: impl FnOnce(&mut Accounts, &str) -> bool,
    ) {
        let task = self.scheduler.task(key);
        let account = task.and_then(|task| self.accounts.of(&task.submission.lane.worker).map(str::to_owned));
        if let Some(name) = account {
            if change(&mut self.accounts, &name) {
                self.journal_account(&name, batch);
            }
            self.set_gates(now, &name, batch);
        }
    }

    pub(super) fn journal_account(&mut self, name: &str, batch: &mut Batch) {
        let image = self.accounts.image(name);
        tracing::info!(account = name, ?image, "the usage limit");
        batch.records.push(Record::Account {
            name: name.to_owned(),
            image,
        });
    }

    /// Puts an account's gates into force.
    pub(super) fn set_gates(&mut self, now: Tick, account: &str, batch: &mut Batch) {
        let exempt = self.exempt_from_ramp(account);
        for gate in self.accounts.gates(account, exempt) {
            self.feed(now, gate, batch);
        }
    }

    /// After a change in which tasks run, or wait: a ramp counts only some of them.
    pub(super) fn refresh_account(&mut self, now: Tick, worker: &str, batch: &mut Batch) {
        let account = self.accounts.of(worker).map(str::to_owned);
        if let Some(name) = account.filter(|name| self.accounts.ramp_since(name).is_some()) {
            self.set_gates(now, &name, batch);
        }
    }

    /// Tasks of an account that its ramp does not count: those that ran before, and those that wait
    /// for an answer.
    fn exempt_from_ramp(&self, account: &str) -> u32 {
        let Some(since) = self.accounts.ramp_since(account) else {
            return 0;
        };
        let of_account = |task: &Task| self.accounts.of(&task.submission.lane.worker) == Some(account);
        let exempt = |task: &Task| {
            let id = AttemptId {
                key: task.submission.key,
                attempt: task.attempts,
            };
            let started_at = self.attempt(id).map(|attempt| attempt.started_at);
            task.state == State::Waiting || started_at.is_some_and(|at| at < since)
        };
        let exempt = self
            .scheduler
            .active()
            .filter(|task| of_account(task) && exempt(task));
        u32::try_from(exempt.count()).unwrap_or(u32::MAX)
    }

    /// Accounts, their gates and the budgets, from the config.
    pub(super) fn configure_claude(&mut self, now: Tick, batch: &mut Batch) {
        self.accounts.configure(now, &self.config);
        for account in self.accounts.names() {
            self.set_gates(now, &account, batch);
        }
        self.set_budgets(now, batch);
    }

    /// What time alone changes: limits that are over, the next step of a ramp, a new day's budget.
    pub(super) fn pass_time(&mut self, now: Tick, batch: &mut Batch) {
        for account in self.accounts.due_accounts(now) {
            if self.accounts.pass_time(now, &account) {
                self.journal_account(&account, batch);
            }
            self.set_gates(now, &account, batch);
        }
        if self.next_day.is_some_and(|day| day <= now) {
            self.set_budgets(now, batch);
        }
    }

    /// Nothing was printed for too long: the attempt is stopped, and judged as stalled. One that
    /// waits for an answer, or is paused, has a reason to be silent.
    fn end_silence(&mut self, id: AttemptId, batch: &mut Batch) {
        if self.scheduler.state(id.key) == Some(State::Running) {
            tracing::warn!(
                task = id.key.0,
                attempt = id.attempt,
                "a worker is silent for too long: it is stopped"
            );
            batch.controls.push(super::batch::Control::Stop(id));
        }
    }

    /// An attempt is over and its output has been read.
    fn conclude(&mut self, now: Tick, id: AttemptId, ending: Ending, judged: &Judged, batch: &mut Batch) {
        let conclusion = &judged.conclusion;
        let task = self.scheduler.task(id.key);
        let Some(task) = task else { return };
        let stopping = task.stopping;
        let (exit, verdict) = self.judge_ending(&task, ending, judged);
        let verdict = self.with_memory(now, id, exit.as_deref(), verdict);
        let verdict = self.with_room(id, exit.as_deref(), verdict);
        self.learn_from_exit(now, id, exit.as_deref(), batch);
        self.forget_questions(id.key);
        self.stop_plans.remove(&id.key);
        let facts = ClaudeFacts {
            told: conclusion.begun,
            trouble: self.is_trouble(now, &task, &verdict, conclusion),
            cost_usd: conclusion.cost_usd,
            tokens: conclusion.tokens.clone(),
            turns: conclusion.turns,
        };
        self.record_outcome(now, id, exit, &verdict, Some(Box::new(facts)), batch);
        self.hear_end(now, id, &verdict, conclusion, batch);
        self.tell_continuing(now, id.key, batch);
        let costs = self.spend(now, &task, conclusion, batch);
        let claim = self.next_session(id, &verdict, conclusion);
        self.feed(now, Input::Claim(id.key, claim), batch);
        let input = if stopping && verdict.state != State::Succeeded {
            // Whatever it was that ended it, the user had taken it back.
            Input::Exited {
                key: id.key,
                attempt: id.attempt,
                state: State::Cancelled,
                reason: Reason::Cancelled,
            }
        } else if verdict.reason == Reason::Memory {
            self.verdict_input(now, id, &verdict)
        } else {
            self.next_step(now, id, &verdict)
        };
        self.feed(now, input, batch);
        batch.records.extend(costs);
        self.refresh_account(now, &task.submission.lane.worker, batch);
    }

    fn judge_ending(&self, task: &Task, ending: Ending, judged: &Judged) -> (Option<Box<Exit>>, Verdict) {
        let exit = match ending {
            Ending::Exited(exit) => exit,
            Ending::Lost(why) => return (None, Verdict::lost(why)),
        };
        let entry = self.store.get(task.submission.key);
        let own = entry.and_then(|entry| entry.spec.claude.as_deref());
        let options = self.profiles.claude_options(&task.submission.lane.worker, own);
        let denied = options.and_then(|options| options.denied).unwrap_or(Denied::Fail);
        // Nobody but the end of a silence stops an attempt without the task being cancelled.
        let silent = exit.stopped == Some(StopCause::Request) && !task.stopping;
        let silence = match (silent, judged.rested) {
            (false, _) => Silence::None,
            (true, false) => Silence::Stalled,
            (true, true) => Silence::Rested,
        };
        let verdict = judge_claude(&exit, &judged.conclusion, denied, silence);
        (Some(exit), verdict)
    }

    /// What the end says about the account.
    fn hear_end(
        &mut self,
        now: Tick,
        id: AttemptId,
        verdict: &Verdict,
        conclusion: &Conclusion,
        batch: &mut Batch,
    ) {
        let limit = conclusion.limit.as_ref();
        if let Some(limit) = limit.filter(|limit| limit.status == LimitStatus::Rejected) {
            self.hear_limit(now, id.key, limit, batch);
        }
        if verdict.state == State::Succeeded {
            // A login that was refused on the way was taken in the end.
            self.hear_working(now, id, batch);
        }
        if verdict.reason == Reason::Auth {
            let why = conclusion.message.clone().unwrap_or_default();
            self.with_account(now, id.key, batch, |accounts, name| {
                accounts.hold(name, why);
                false
            });
        }
    }

    /// Whether it ended by something that passes by itself, and is not known to end at some moment.
    fn is_trouble(&self, now: Tick, task: &Task, verdict: &Verdict, conclusion: &Conclusion) -> bool {
        let account = self.accounts.of(&task.submission.lane.worker);
        let limit = conclusion.limit.as_ref().and_then(|limit| limit.resets_at_s);
        let is_limited = account.is_some_and(|name| self.accounts.is_limited(now, name))
            || limit.is_some_and(|seconds| seconds.saturating_mul(1000) > now.0);
        match verdict.reason {
            Reason::Limited => !is_limited,
            Reason::Stalled => true,
            _ => conclusion.transient,
        }
    }

    /// Whether the task goes back to its place, and when it may start again; or ends.
    fn next_step(&self, now: Tick, id: AttemptId, verdict: &Verdict) -> Input {
        let AttemptId { key, attempt } = id;
        let put_back = |not_before| Input::PutBack {
            key,
            attempt,
            reason: verdict.reason,
            not_before,
        };
        if self.is_in_trouble(id) {
            return match self.wait_out(now, id) {
                Some(not_before) => put_back(Some(not_before)),
                None => self.verdict_input(now, id, verdict),
            };
        }
        match verdict.reason {
            Reason::Limited => put_back(None),
            // The same login, refused again after somebody has mended it: it is this task's own.
            Reason::Auth if !self.was_refused_before(id) => put_back(None),
            // A session of its own that is gone: the next attempt begins another.
            Reason::NoSession if self.resumed_its_own(id) => put_back(None),
            Reason::Budget if self.is_spent_today(key) => put_back(None),
            _ => self.verdict_input(now, id, verdict),
        }
    }

    fn is_in_trouble(&self, id: AttemptId) -> bool {
        let facts = self.attempt(id).and_then(|attempt| attempt.claude.as_ref());
        facts.is_some_and(|facts| facts.trouble)
    }

    fn was_refused_before(&self, id: AttemptId) -> bool {
        let attempts = self.store.get(id.key).map_or(&[][..], |entry| &entry.attempts);
        let before = attempts.iter().rfind(|attempt| attempt.attempt < id.attempt);
        before.is_some_and(|before| before.outcome.as_deref() == Some(Outcome::Auth.name()))
    }

    /// When to try again after trouble that passes by itself; `None` when patience is over.
    fn wait_out(&self, now: Tick, id: AttemptId) -> Option<Tick> {
        let task = self.scheduler.task(id.key)?;
        let config = self.profiles.config(&task.submission.lane.worker)?;
        let entry = self.store.get(id.key)?;
        let in_trouble = |attempt: &&AttemptImage| {
            let facts = attempt.claude.as_ref();
            attempt.attempt > entry.revived_after && facts.is_some_and(|facts| facts.trouble)
        };
        let attempts = entry.attempts.iter().rev();
        let streak: Vec<&AttemptImage> = attempts.take_while(in_trouble).collect();
        let since = streak.last().and_then(|first| first.ended_at).unwrap_or(now);
        let patience = config.patience.unwrap_or_default();
        if u128::from(now.ms_since(since)) > patience.as_millis() {
            return None;
        }
        let doublings = streak.len().saturating_sub(1).min(DOUBLINGS_MAX);
        let first = config.retry_delay.unwrap_or(RETRY_DELAY);
        let longest = config.retry_max_delay.unwrap_or(RETRY_MAX_DELAY);
        let wait = first.saturating_mul(1 << doublings).min(longest);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        // Up to a quarter more, so that what failed together does not come back together.
        let jitter_ms = uuid::Uuid::new_v4().as_u64_pair().0 % (wait_ms / 4 + 1);
        Some(now.plus_ms(wait_ms.saturating_add(jitter_ms)))
    }
}
