//! How the runs of processes end, and what follows.

use std::time::Duration;

use wezterm_parallel_scheduler::{Reason, State, Tick};

use super::policy::{self, Next, Rules, Run};
use crate::engine::batch::Batch;
use crate::engine::Engine;
use crate::executor::{Exit, Report};
use crate::journal::{AfterStop, ProcessImage, ProcessStanding, ProcessState};
use crate::worker::{judge_exit, Verdict};

impl Engine {
    /// What became of a run.
    pub(in crate::engine) fn take_run_report(
        &mut self,
        now: Tick,
        number: u64,
        report: Report,
        batch: &mut Batch,
    ) {
        let (id, exit, verdict) = match report {
            Report::Ended(id, exit) => {
                let verdict = judge_exit(&exit);
                (id, Some(Box::new(exit)), verdict)
            }
            Report::NotStarted(id, why) => (id, None, Verdict::not_started(why)),
            Report::Lost(id, why) => (id, None, Verdict::lost(why)),
        };
        let is_awaited = self.run_of(number) == Some(id)
            && self
                .store
                .processes
                .get(number)
                .is_some_and(|image| image.standing.state.is_up());
        if !is_awaited {
            tracing::debug!(
                process = number,
                run = id.attempt,
                "a report about a run that is over already"
            );
            return;
        }
        self.prober.forget(id);
        self.stop_plans.remove(&id.key);
        let verdict = self.with_memory(now, id, exit.as_deref(), verdict);
        self.end_run(now, number, exit, &verdict, batch);
    }

    fn end_run(
        &mut self,
        now: Tick,
        number: u64,
        exit: Option<Box<Exit>>,
        verdict: &Verdict,
        batch: &mut Batch,
    ) {
        let Some(image) = self.store.processes.get(number) else {
            return;
        };
        let rules = self.rules_of(image);
        let then = image.standing.then;
        let started_at = image.standing.runs.last().map_or(now, |run| run.started_at);
        let run = Run {
            lasted_ms: now.ms_since(started_at),
            is_good: verdict.state == State::Succeeded,
            restarts: image.standing.restarts,
        };
        let unstarted = unstarted(&image.standing);
        let why = end_in_words(verdict, exit.as_deref(), then);
        let note = |standing: &mut ProcessStanding| {
            standing.report = None;
            standing.then = None;
            if let Some(run) = standing.runs.last_mut() {
                run.ended_at = Some(now);
                run.outcome = Some(verdict.outcome.into());
                run.message = verdict.message.as_deref().map(Into::into);
                run.exit = exit;
            }
        };
        match then {
            Some(AfterStop::Stay) => self.change_process(now, number, batch, |standing| {
                note(standing);
                standing.state = ProcessState::Stopped;
                standing.restarts = 0;
            }),
            Some(AfterStop::Remove) => self.remove_process(now, number, batch),
            Some(AfterStop::Start) => {
                self.change_process(now, number, batch, |standing| {
                    note(standing);
                    standing.restarts = 0;
                });
                self.begin_run(now, number, batch);
            }
            None | Some(AfterStop::Unready) => {
                let next = match verdict.reason {
                    Reason::NotStarted => policy::after_no_start(rules, now, unstarted),
                    _ => policy::after(rules, now, run),
                };
                log_end(number, &why, next);
                self.change_process(now, number, batch, |standing| {
                    note(standing);
                    follow(standing, next, &why, rules.max_restarts);
                });
            }
        }
    }

    fn rules_of(&self, image: &ProcessImage) -> Rules {
        let config = &self.config.processes;
        Rules {
            restart: image.spec.restart,
            max_restarts: image.spec.max_restarts,
            backoff_ms: millis(config.backoff),
            backoff_max_ms: millis(config.backoff_max),
            good_after_ms: millis(config.good_after),
        }
    }
}

/// How many of the last runs in a row never began.
fn unstarted(standing: &ProcessStanding) -> u32 {
    let outcomes = standing
        .runs
        .iter()
        .rev()
        .skip(1)
        .map(|run| run.outcome.as_deref());
    outcomes
        .take_while(|outcome| *outcome == Some("not_started"))
        .map(|_| 1)
        .sum()
}

/// What comes next, with the reason for it.
fn follow(standing: &mut ProcessStanding, next: Next, why: &str, max_restarts: u32) {
    let (state, next_at, why) = match next {
        Next::Stop => (ProcessState::Stopped, None, why.to_owned()),
        Next::Fail => (
            ProcessState::Failed,
            None,
            format!("{why}; it is never restarted"),
        ),
        Next::GiveUp(0) => (
            ProcessState::Failed,
            None,
            format!("{why}; no restart is allowed"),
        ),
        Next::GiveUp(count) => {
            let why = format!("{why}, also after {count} restarts in a row");
            (ProcessState::Failed, None, why)
        }
        Next::Again { at, restarts } => {
            standing.restarts = restarts;
            let why = format!("{why}; restart {restarts} of {max_restarts}");
            (ProcessState::Backoff, Some(at), why)
        }
        Next::Try { at } => {
            let why = format!("it could not be started: {why}");
            (ProcessState::Backoff, Some(at), why)
        }
    };
    standing.state = state;
    standing.next_at = next_at;
    standing.why = Some(why.into());
}

fn log_end(number: u64, why: &str, next: Next) {
    match next {
        Next::Stop => tracing::info!(process = number, "{why}"),
        Next::Again { restarts, .. } => tracing::info!(process = number, restarts, "{why}: it starts again"),
        Next::Try { .. } => tracing::warn!(
            process = number,
            "it could not be started: {why}: it is tried again"
        ),
        Next::Fail | Next::GiveUp(_) => tracing::warn!(process = number, "{why}: it stays down"),
    }
}

/// How a run ended.
fn end_in_words(verdict: &Verdict, exit: Option<&Exit>, then: Option<AfterStop>) -> String {
    if then == Some(AfterStop::Unready) {
        return "it was not ready in time".to_owned();
    }
    let code = exit.and_then(|exit| exit.exit_code);
    let signal = exit.and_then(|exit| exit.signal);
    match (verdict.outcome, code, signal) {
        ("ok" | "exit_code", Some(code), _) => format!("it ended with exit code {code}"),
        ("signal", _, Some(signal)) => format!("it was ended by signal {signal}"),
        (outcome, ..) => verdict.message.clone().unwrap_or_else(|| outcome.to_owned()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
