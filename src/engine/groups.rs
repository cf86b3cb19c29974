//! Control groups of workers: which limits do not hold, and what an attempt ran into in its own.

use wezterm_parallel_scheduler::{Reason, State};

use super::Engine;
use crate::executor::{AttemptId, Exit};
use crate::protocol::GroupReport;
use crate::worker::Verdict;

impl Engine {
    /// Says in the log which limits of which profile do not hold here.
    pub(super) fn log_lacking_limits(&self) {
        for (worker, config) in &self.config.workers {
            let limits = config.limits.unwrap_or_default().of_tree();
            if let Some(lack) = self.groups.lack(&limits) {
                tracing::warn!(worker, "in [workers.{worker}.limits], {lack}");
            }
        }
    }

    /// The verdict on a worker that was killed, if its own control group says that memory was why: no counter of the
    /// machine has to be guessed from.
    pub(super) fn ended_in_group(&self, id: AttemptId, exit: Option<&Exit>) -> Option<Verdict> {
        let exit = exit?;
        let report = exit.group.as_deref().filter(|report| report.oom_kills > 0)?;
        let seen = exit.peak_memory_bytes >> 20;
        let message = if report.at_memory_max {
            let task = self
                .scheduler
                .task(id.key)
                .map(|task| task.submission.lane.worker);
            let of_process = || self.worker_of_process(id.key).map(Into::into);
            let worker: std::sync::Arc<str> = task.or_else(of_process)?;
            let held = &report.held;
            format!("the kernel ended it at its `memory_max` (see [workers.{worker}.limits]: {held})")
        } else {
            format!("the kernel ended it for want of memory; it was seen with {seen} MiB")
        };
        Some(Verdict {
            state: State::Failed,
            reason: Reason::Oom,
            outcome: "oom",
            message: Some(message),
        })
    }
}

/// What a worker that failed ran into beside what ended it.
pub(super) fn trouble(report: &GroupReport, worker: &str, outcome: &str) -> Option<String> {
    let mut parts = Vec::new();
    if report.oom_kills > 0 && outcome != "oom" {
        let (kills, at) = (
            report.oom_kills,
            if report.at_memory_max {
                "at `memory_max`"
            } else {
                "for want of memory"
            },
        );
        let processes = if kills == 1 { "process" } else { "processes" };
        parts.push(format!("the kernel ended {kills} {processes} of it {at}"));
    }
    if report.forks_refused > 0 {
        let times = report.forks_refused;
        let times = if times == 1 {
            "once".to_owned()
        } else {
            format!("{times} times")
        };
        // An older kernel counts here what a group further up has refused, too.
        let whose = if report.held.contains("pids_max") {
            "at `pids_max`"
        } else {
            "at the limit of a group above its own"
        };
        parts.push(format!("{times} it could start no process {whose}"));
    }
    (!parts.is_empty()).then(|| format!("{} (see [workers.{worker}.limits])", parts.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_ran_into_is_named_once() {
        let mut report = GroupReport {
            oom_kills: 1,
            at_memory_max: true,
            ..GroupReport::default()
        };
        let words = |report: &GroupReport, outcome| trouble(report, "shell", outcome).unwrap_or_default();
        insta::assert_snapshot!(words(&report, "exit_code"), @"the kernel ended 1 process of it at `memory_max` (see [workers.shell.limits])");
        assert_eq!(words(&report, "oom"), "");
        (report.oom_kills, report.at_memory_max, report.forks_refused) = (2, false, 7);
        assert!(words(&report, "exit_code").contains("a group above its own"));
        report.held = "pids_max 50".to_owned();
        insta::assert_snapshot!(words(&report, "exit_code"), @"the kernel ended 2 processes of it for want of memory, and 7 times it could start no process at `pids_max` (see [workers.shell.limits])");
    }
}
