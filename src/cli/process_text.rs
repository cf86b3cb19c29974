//! Processes for people to read. Pure: views in, text with styles out.

use std::fmt::Write as _;

use anstyle::Style;

use super::task_text::{self, fact, optional_fact};
use super::text::{self, Cell, Table, BOLD, CYAN, DIM, GREEN, RED, YELLOW};
use super::value::{local_time, short_bytes, short_duration};
use crate::protocol::{
    is_process_id, AttemptView, ProcessCounts, ProcessView, ReadyCheck, ReadyWay, ReportView, RestartPolicy,
    TaskView,
};

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

/// One in full.
pub(crate) fn process(view: &ProcessView, now_ms: u64) -> String {
    let mut shown = String::new();
    let style = style(&view.state);
    fact(&mut shown, "id", &view.id);
    optional_fact(&mut shown, "name", view.name.as_deref());
    let state = state_words(view, now_ms);
    let _ = writeln!(shown, "{BOLD}{:<10}{BOLD:#}  {style}{state}{style:#}", "state");
    optional_fact(&mut shown, "reason", view.message.as_deref());
    optional_fact(
        &mut shown,
        "reports",
        view.report.as_ref().map(report_words).as_deref(),
    );
    fact(&mut shown, "command", &command_line(view));
    fact(&mut shown, "workspace", &view.workspace);
    fact(&mut shown, "cwd", &view.cwd);
    fact(&mut shown, "spawned", &local_time(view.created_at_ms));
    let (restarts, most) = (view.restarts, view.max_restarts);
    let restart = match view.restart {
        RestartPolicy::Never => "never".to_owned(),
        policy => format!("{}, {restarts} of {most} in a row", policy.name()),
    };
    fact(&mut shown, "restart", &restart);
    let ready = view.ready.as_ref().and_then(ReadyCheck::way).map(ready_words);
    optional_fact(&mut shown, "ready when", ready.as_deref());
    let memory = match (view.used_bytes, view.memory_bytes) {
        (None, None) => None,
        (Some(used), None) => Some(short_bytes(used)),
        (None, Some(kept)) => Some(format!("{} are kept for it", short_bytes(kept))),
        (Some(used), Some(kept)) => Some(format!("{} of {}", short_bytes(used), short_bytes(kept))),
    };
    optional_fact(&mut shown, "memory", memory.as_deref());
    if let Some(last) = view.runs.last() {
        fact(&mut shown, "folder", &last.folder);
        shown.push('\n');
        shown.push_str(&task_text::attempts("run", &view.runs, now_ms));
    }
    shown
}

fn ready_words(way: ReadyWay) -> String {
    match way {
        ReadyWay::Port(port) => format!("port {port} is listened on"),
        ReadyWay::Line(text) => format!("a line has {text:?} in it"),
        ReadyWay::Pattern(pattern) => format!("a line matches {pattern}"),
        ReadyWay::Command(command) => format!("this succeeds: {command}"),
    }
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

/// All of them in a few words behind the summary of the tasks; nothing while there are none to speak of.
pub(crate) fn summary_words(counts: ProcessCounts) -> String {
    let parts = [
        (counts.up, "up", CYAN),
        (counts.backoff, "in backoff", YELLOW),
        (counts.failed, "failed", RED),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, words, style)| format!("{style}{count} {words}{style:#}"))
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(" · processes: {}", parts.join(", ")),
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
    fn a_few_words_for_all_of_them() {
        let words = |up, backoff, failed, stopped| {
            let counts = ProcessCounts {
                up,
                backoff,
                failed,
                stopped,
            };
            anstream::adapter::strip_str(&summary_words(counts)).to_string()
        };
        assert_eq!(words(2, 0, 0, 1), " · processes: 2 up");
        assert_eq!(words(0, 1, 3, 0), " · processes: 1 in backoff, 3 failed");
        assert_eq!(words(0, 0, 0, 4), "");
    }

    #[test]
    fn one_reads_well_in_full() {
        let view = ProcessView {
            id: "@1".into(),
            name: Some("dev".into()),
            workspace: "api".into(),
            state: "failed".into(),
            message: Some("it ended with exit code 1, also after 2 restarts in a row".into()),
            command: Some("npm run dev".into()),
            cwd: "/home/me/api".into(),
            max_restarts: 2,
            restarts: 2,
            ready: Some(ReadyCheck {
                pattern: Some(r"http://localhost:\d+".into()),
                ..ReadyCheck::default()
            }),
            memory_bytes: Some(400 << 20),
            runs: vec![AttemptView {
                n: 3,
                outcome: Some("exit_code".into()),
                exit_code: Some(1),
                ended_at_ms: Some(2_000),
                folder: "/data/processes/@1/3".into(),
                ..AttemptView::default()
            }],
            ..ProcessView::default()
        };
        let plain = anstream::adapter::strip_str(&process(&view, 61_000)).to_string();
        let epoch = local_time(0);
        insta::assert_snapshot!(plain.replace(&epoch, "THEN"), @r"
        id          @1
        name        dev
        state       failed
        reason      it ended with exit code 1, also after 2 restarts in a row
        command     npm run dev
        workspace   api
        cwd         /home/me/api
        spawned     THEN
        restart     on-failure, 2 of 2 in a row
        ready when  a line matches http://localhost:\d+
        memory      400.0 MiB are kept for it
        folder      /data/processes/@1/3

        RUN  OUTCOME  STARTED              TIME  CPU  MEMORY
          3  exit 1   THEN  2.0s    -       -
        ");
    }

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
