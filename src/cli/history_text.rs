//! How the history reads: one line for each task. Pure.

use super::text::{self, Cell, Table, BOLD, DIM};
use super::value::{local_time, short_duration};
use crate::history::HistoryTask;

/// The table; nothing at all without tasks.
pub(crate) fn table(tasks: &[HistoryTask], width: Option<usize>) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let mut table = Table::new(
        &[
            "ENDED",
            "ID",
            "STATE",
            "WORKSPACE",
            "WORKER/LABEL",
            "RUNS",
            "TIME",
            "COMMAND",
        ],
        &[5, 6],
    );
    for task in tasks {
        table.row(row(task));
    }
    table.render(width)
}

fn row(task: &HistoryTask) -> Vec<Cell> {
    let worker = match &task.label {
        Some(label) => format!("{}/{label}", task.worker),
        None => task.worker.clone(),
    };
    let workspace = if task.workspace.is_empty() {
        "-"
    } else {
        &task.workspace
    };
    vec![
        Cell::new(local_time(task.ended_at_ms), DIM),
        Cell::new(&task.id, BOLD),
        Cell::new(state_words(task), text::state_style(&task.state)),
        Cell::plain(text::truncated(workspace, 20)),
        Cell::plain(text::truncated(&worker, 24)),
        Cell::plain(task.attempts.len().to_string()),
        Cell::new(run_time(task), DIM),
        Cell::plain(command(task)),
    ]
}

/// The state, and of one that is no success why: `failed (exit 3)`.
fn state_words(task: &HistoryTask) -> String {
    let last = task.attempts.last();
    let reason = match (task.state.as_str(), task.reason.as_deref()) {
        ("failed", Some("exit_code")) => last
            .and_then(|attempt| attempt.exit_code)
            .map(|code| format!("exit {code}")),
        ("failed", Some("signal")) => last
            .and_then(|attempt| attempt.signal)
            .map(|signal| format!("signal {signal}")),
        ("failed" | "skipped", Some(reason)) => Some(crate::claude::outcome_words(reason)),
        _ => None,
    };
    match reason {
        Some(reason) => format!("{} ({reason})", task.state),
        None => task.state.clone(),
    }
}

/// How long its last attempt ran.
fn run_time(task: &HistoryTask) -> String {
    let last = task.attempts.last();
    last.and_then(|last| Some(last.ended_at_ms?.saturating_sub(last.started_at_ms)))
        .map_or_else(|| "-".to_owned(), short_duration)
}

fn command(task: &HistoryTask) -> String {
    match (&task.command, &task.argv) {
        (Some(command), _) => command.clone(),
        (None, Some(argv)) => text::quoted(argv),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryAttempt;

    #[test]
    fn a_line_says_what_became_of_a_task() {
        let attempt = HistoryAttempt {
            n: 1,
            exit_code: Some(3),
            started_at_ms: 1_000,
            ended_at_ms: Some(5_200),
            ..HistoryAttempt::default()
        };
        let task = |id: &str, state: &str, reason: &str| HistoryTask {
            id: id.into(),
            state: state.into(),
            reason: Some(reason.into()),
            worker: "shell".into(),
            command: Some("make\ttest".into()),
            ..HistoryTask::default()
        };
        let failed = HistoryTask {
            label: Some("nightly".into()),
            workspace: "api".into(),
            attempts: vec![attempt.clone(), attempt],
            ..task("7", "failed", "exit_code")
        };
        let shown = table(&[failed, task("build", "skipped", "queue_time")], None);
        let shown = anstream::adapter::strip_str(&shown).to_string();
        // The moment depends on where one is.
        let lines: Vec<&str> = shown.lines().map(|line| line[19..].trim_start()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        ID     STATE                 WORKSPACE  WORKER/LABEL   RUNS  TIME  COMMAND
        7      failed (exit 3)       api        shell/nightly     2  4.2s  make\ttest
        build  skipped (queue time)  -          shell             0     -  make\ttest
        ");
    }
}
