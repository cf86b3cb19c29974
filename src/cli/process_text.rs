//! Processes for people to read. Pure: views in, text with styles out.

use anstyle::Style;

use super::text::{self, Cell, Table, BOLD, CYAN, DIM, GREEN, RED, YELLOW};
use super::value::{short_bytes, short_duration};
use crate::protocol::{is_process_id, AttemptView, ProcessView, ReportView, TaskView};

/// What an id stands for.
pub(crate) fn noun(id: &str) -> &'static str {
    if is_process_id(id) {
        "process"
    } else {
        "task"
    }
}

/// A state as the rest of a sentence: `has succeeded`.
pub(crate) fn stands(state: &str) -> String {
    match state {
        "succeeded" | "failed" => format!("has {state}"),
        "cancelled" | "skipped" => format!("was {state}"),
        _ => format!("is {state}"),
    }
}

/// What the worker of a task reports, in one line.
pub(crate) fn reported(task: &TaskView) -> Option<String> {
    task.report.as_ref().map(report_words)
}

/// All of them, one a line.
pub(crate) fn table(processes: &[ProcessView], now_ms: u64, width: Option<usize>) -> String {
    let mut table = Table::new(
        &[
            "ID",
            "NAME",
            "WORKSPACE",
            "STATE",
            "RUNS",
            "TIME",
            "MEMORY",
            "COMMAND",
        ],
        &[4, 5, 6],
    );
    for view in processes {
        let memory = view.used_bytes.map_or_else(|| "–".to_owned(), short_bytes);
        table.row(vec![
            Cell::new(&view.id, BOLD),
            Cell::plain(view.name.as_deref().unwrap_or("–")),
            Cell::plain(&view.workspace),
            Cell::new(state_words(view, now_ms), style(&view.state)),
            Cell::plain(view.runs.last().map_or(0, |run| run.n).to_string()),
            Cell::new(time_words(view, now_ms), DIM),
            Cell::plain(memory),
            Cell::plain(command_line(view)),
        ]);
    }
    let mut shown = table.render(width);
    for view in processes {
        for words in remarks(view) {
            let id = &view.id;
            shown.push_str(&format!("{DIM}{id}: {}{DIM:#}\n", text::visible(&words)));
        }
    }
    shown
}

/// What the columns have no room for.
fn remarks(view: &ProcessView) -> Vec<String> {
    let message = view.message.clone();
    let report = view.report.as_ref().map(report_words);
    message.into_iter().chain(report).collect()
}

/// What a worker reports, in one line.
pub(crate) fn report_words(report: &ReportView) -> String {
    match (&report.note, report.is_waiting()) {
        (Some(note), true) => format!("waits for you: {note}"),
        (None, true) => "waits for you".to_owned(),
        (Some(note), false) => note.clone(),
        (None, false) => report.status.clone(),
    }
}

fn command_line(view: &ProcessView) -> String {
    match (&view.command, &view.argv) {
        (Some(command), _) => command.clone(),
        (None, Some(argv)) => text::quoted(argv),
        (None, None) => String::new(),
    }
}

fn state_words(view: &ProcessView, now_ms: u64) -> String {
    match view.next_start_ms {
        Some(at) if view.state == "backoff" => {
            format!("backoff ({})", short_duration(at.saturating_sub(now_ms)))
        }
        _ if view.report.as_ref().is_some_and(ReportView::is_waiting) => format!("{} (waiting)", view.state),
        _ => view.state.clone(),
    }
}

/// How long its run lasts or lasted.
fn time_words(view: &ProcessView, now_ms: u64) -> String {
    let time = |run: &AttemptView| {
        let end = run.ended_at_ms.unwrap_or(now_ms);
        short_duration(end.saturating_sub(run.started_at_ms))
    };
    view.runs.last().map_or_else(|| "–".to_owned(), time)
}

fn style(state: &str) -> Style {
    match state {
        "running" => CYAN,
        "ready" => GREEN,
        "failed" => RED,
        "starting" | "backoff" | "stopping" => YELLOW,
        _ => DIM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_read_well() {
        let run = |n, ended_at_ms| AttemptView {
            n,
            started_at_ms: 1_000,
            ended_at_ms,
            ..AttemptView::default()
        };
        let processes = [
            ProcessView {
                id: "@1".into(),
                name: Some("dev".into()),
                workspace: "api".into(),
                state: "ready".into(),
                command: Some("npm run dev\x1b".into()),
                used_bytes: Some(180 << 20),
                runs: vec![run(1, None)],
                report: Some(ReportView {
                    status: "waiting".into(),
                    note: Some("which port?".into()),
                    at_ms: 0,
                }),
                ..ProcessView::default()
            },
            ProcessView {
                id: "@2".into(),
                workspace: "api".into(),
                state: "backoff".into(),
                message: Some("it ended with exit code 1; restart 2 of 10".into()),
                argv: Some(vec!["cargo".into(), "watch".into()]),
                next_start_ms: Some(65_500),
                runs: vec![run(2, Some(4_000))],
                ..ProcessView::default()
            },
        ];
        let plain = anstream::adapter::strip_str(&table(&processes, 61_000, Some(100))).to_string();
        insta::assert_snapshot!(plain, @r"
        ID  NAME  WORKSPACE  STATE            RUNS   TIME     MEMORY  COMMAND
        @1  dev   api        ready (waiting)     1  1m00s  180.0 MiB  npm run dev\x1b
        @2  –     api        backoff (4.5s)      2   3.0s          –  cargo watch
        @1: waits for you: which port?
        @2: it ended with exit code 1; restart 2 of 10
        ");
    }
}
