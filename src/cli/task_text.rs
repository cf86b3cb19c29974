//! How tasks read: the status table, the summary line, one task in full, an explanation.
//!
//! Pure: views in, text with styles out; the moment and the width come in as arguments.

use std::fmt::Write as _;

use super::text::{self, Cell, Table, BOLD, CYAN, DIM, GREEN, RED, YELLOW};
use super::value::{local_time, short_bytes, short_dollars, short_duration};
use super::{claude_text, process_text, question_text, room_text, worktree_text};
use crate::protocol::{AttemptView, ExplanationView, GateView, StatusAnswer, Summary, TaskView};

/// States that a task does not leave by itself.
const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "skipped", "lost"];
/// The part of the screen's columns that a state may take: the command is of interest too.
const STATE_PART: (usize, usize) = (2, 5);
/// Ends that someone should look at.
const BAD_ENDS: [&str; 2] = ["failed", "lost"];

/// Whether the task is over.
pub(crate) fn has_ended(task: &TaskView) -> bool {
    ENDS.contains(&task.state.as_str())
}

/// Whether the task is over and did what it should.
pub(crate) fn has_succeeded(task: &TaskView) -> bool {
    task.state == "succeeded"
}

/// The command as one line to read.
pub(crate) fn command_line(task: &TaskView) -> String {
    match (&task.command, &task.argv) {
        (Some(command), _) => command.clone(),
        (None, Some(argv)) => text::quoted(argv),
        (None, None) => String::new(),
    }
}

/// The summary, the table, and how many tasks were left out.
pub(crate) fn status(answer: &StatusAnswer, now_ms: u64, width: Option<usize>) -> String {
    let mut shown = summary_line(&answer.summary, now_ms);
    shown.push('\n');
    if !answer.tasks.is_empty() {
        let mut table = Table::new(
            &["ID", "STATE", "PRI", "WORKER/LABEL", "TIME", "COMMAND"],
            &[2, 4],
        );
        for task in &answer.tasks {
            table.row(status_row(task, now_ms, width));
        }
        shown.push_str(&table.render(width));
    }
    shown
}

fn status_row(task: &TaskView, now_ms: u64, width: Option<usize>) -> Vec<Cell> {
    let state_columns = width.map_or(usize::MAX, |width| width * STATE_PART.0 / STATE_PART.1);
    let worker = match task.label.as_deref() {
        Some(label) => format!("{}/{label}", task.worker),
        None => task.worker.clone(),
    };
    vec![
        Cell::new(&task.id, BOLD),
        Cell::new(
            text::truncated(&state_words(task), state_columns),
            text::state_style(&task.state),
        ),
        Cell::plain(task.priority.to_string()),
        Cell::plain(text::truncated(&worker, 24)),
        Cell::new(time_words(task, now_ms), DIM),
        Cell::plain(command_line(task)),
    ]
}

/// The state; for an end that is no success also the reason, `failed (exit 3)`, and for a task that asks what it asks.
pub(crate) fn state_words(task: &TaskView) -> String {
    if task.stopping && !has_ended(task) {
        return format!("{} (stopping)", task.state);
    }
    let last = task.attempts.last();
    let reason = match (task.state.as_str(), task.reason.as_deref()) {
        ("failed", Some("exit_code")) => last
            .and_then(|attempt| attempt.exit_code)
            .map(|code| format!("exit {code}")),
        ("failed", Some("signal")) => last
            .and_then(|attempt| attempt.signal)
            .map(|signal| format!("signal {signal}")),
        ("failed" | "skipped", Some(reason)) => Some(crate::claude::outcome_words(reason)),
        ("waiting", _) => question_text::waiting_words(&task.questions),
        ("running", _) => process_text::reported(task),
        _ => None,
    };
    match reason {
        Some(reason) => format!("{} ({reason})", task.state),
        None => task.state.clone(),
    }
}

/// How long it ran, runs, or waits; for a delayed one, until when.
pub(crate) fn time_words(task: &TaskView, now_ms: u64) -> String {
    match (task.state.as_str(), task.not_before_ms) {
        ("delayed", Some(start)) => format!("in {}", short_duration(start.saturating_sub(now_ms))),
        _ => task.attempts.last().map_or_else(
            || waited(task, now_ms),
            |last| match (last.ended_at_ms, has_ended(task)) {
                (Some(_), false) => waited(task, now_ms),
                _ => run_time(last, now_ms),
            },
        ),
    }
}

fn waited(task: &TaskView, now_ms: u64) -> String {
    if has_ended(task) {
        return "-".to_owned();
    }
    short_duration(now_ms.saturating_sub(task.submitted_at_ms))
}

fn run_time(attempt: &AttemptView, now_ms: u64) -> String {
    let end = attempt.ended_at_ms.unwrap_or(now_ms);
    short_duration(end.saturating_sub(attempt.started_at_ms))
}

/// The queue in one line: `2/2 running, 12 queued, 1 failed · paused · blocked by slots: 2 of 2`.
pub(crate) fn summary_line(summary: &Summary, now_ms: u64) -> String {
    let running = summary.running;
    let mut line = format!("{CYAN}{running}/{} running{CYAN:#}", summary.slots);
    let order = [
        "queued",
        "paused",
        "waiting",
        "delayed",
        "blocked",
        "held",
        "succeeded",
        "failed",
        "lost",
        "cancelled",
        "skipped",
    ];
    for state in order {
        let count = summary.states.get(state).copied().unwrap_or(0);
        if count > 0 || state == "queued" {
            let style = text::state_style(state);
            let _ = write!(line, ", {style}{count} {state}{style:#}");
        }
    }
    if summary.paused {
        let _ = write!(line, " · {YELLOW}paused{YELLOW:#}");
    }
    for workspace in &summary.paused_workspaces {
        let name = text::visible(workspace);
        let _ = write!(line, " · {YELLOW}workspace {name} paused{YELLOW:#}");
    }
    line.push_str(&process_text::summary_words(summary.processes));
    if summary.queued > 0 && !summary.blocked_by.is_empty() {
        let gates: Vec<_> = summary
            .blocked_by
            .iter()
            .map(|gate| gate_words(gate, now_ms))
            .collect();
        let _ = write!(line, " · blocked by {}", gates.join(", "));
    }
    line
}

/// A closed gate: `slots: 2 of 2 are taken, opens in 5m00s`.
pub(crate) fn gate_words(gate: &GateView, now_ms: u64) -> String {
    if let ("delay", Some(opens)) = (gate.gate.as_str(), gate.opens_at_ms) {
        let left = short_duration(opens.saturating_sub(now_ms));
        return format!("delay: it may start in {left}");
    }
    let mut words = text::visible(&gate.gate);
    if !gate.message.is_empty() {
        let _ = write!(words, ": {}", text::visible(&gate.message));
    }
    if let Some(opens) = gate.opens_at_ms {
        let _ = write!(
            words,
            ", opens in {}",
            short_duration(opens.saturating_sub(now_ms))
        );
    }
    words
}

/// One task in full.
pub(crate) fn task(task: &TaskView, now_ms: u64) -> String {
    let mut shown = String::new();
    let style = text::state_style(&task.state);
    fact(&mut shown, "id", &task.id);
    let _ = writeln!(
        shown,
        "{BOLD}{:<10}{BOLD:#}  {style}{}{style:#}",
        "state",
        state_words(task)
    );
    optional_fact(&mut shown, "reason", task.reason.as_deref());
    optional_fact(&mut shown, "reports", process_text::reported(task).as_deref());
    fact(&mut shown, "command", &command_line(task));
    fact(&mut shown, "worker", &task.worker);
    optional_fact(&mut shown, "label", task.label.as_deref());
    let workspace = Some(task.workspace.as_str()).filter(|name| !name.is_empty());
    optional_fact(&mut shown, "workspace", workspace);
    fact(&mut shown, "priority", &task.priority.to_string());
    fact(&mut shown, "cwd", &task.cwd);
    if let Some(parent) = &task.parent {
        fact(&mut shown, "queued by", &format!("task {parent}"));
    }
    fact(&mut shown, "queued", &local_time(task.submitted_at_ms));
    let start = task.not_before_ms.map(local_time);
    optional_fact(&mut shown, "not before", start.as_deref());
    let after = (!task.after.is_empty()).then(|| task.after.join(", "));
    optional_fact(&mut shown, "after", after.as_deref());
    optional_fact(
        &mut shown,
        "timeout",
        task.timeout_ms.map(short_duration).as_deref(),
    );
    if task.retries > 0 {
        fact(
            &mut shown,
            "retries",
            &format!("{} of {} used", task.retries_used, task.retries),
        );
    }
    let facts = [worktree_text::facts, room_text::facts, claude_text::facts];
    for (name, words) in facts.iter().flat_map(|of| of(task)) {
        fact(&mut shown, name, &words);
    }
    if let Some(last) = task.attempts.last() {
        // A column of its own would be too wide for most screens.
        fact(&mut shown, "folder", &last.folder);
    }
    shown.push_str(&question_text::in_full(&task.id, &task.questions, now_ms));
    if !task.attempts.is_empty() {
        shown.push('\n');
        shown.push_str(&attempts("attempt", &task.attempts, now_ms));
    }
    shown
}

pub(crate) fn fact(shown: &mut String, name: &str, value: &str) {
    let _ = writeln!(shown, "{BOLD}{name:<10}{BOLD:#}  {}", text::visible(value));
}

pub(crate) fn optional_fact(shown: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        fact(shown, name, value);
    }
}

/// Attempts of a task, or runs of a process, one a line.
pub(crate) fn attempts(noun: &str, attempts: &[AttemptView], now_ms: u64) -> String {
    let heading = noun.to_uppercase();
    let mut headings = vec![&*heading, "OUTCOME", "STARTED", "TIME", "CPU", "MEMORY"];
    let with_cost = claude_text::any_cost(attempts);
    if with_cost {
        headings.push("COST");
    }
    let right_aligned: &[usize] = if with_cost {
        &[0, 3, 4, 5, 6]
    } else {
        &[0, 3, 4, 5]
    };
    let mut table = Table::new(&headings, right_aligned);
    for attempt in attempts {
        let mut row = attempt_row(attempt, now_ms);
        if with_cost {
            let cost = attempt.cost_usd.map_or_else(|| "-".to_owned(), short_dollars);
            row.push(Cell::plain(cost));
        }
        table.row(row);
    }
    let mut shown = table.render(None);
    shown.push_str(&messages(noun, attempts));
    shown
}

/// What attempts say, a line for those in a row that say the same.
fn messages(noun: &str, attempts: &[AttemptView]) -> String {
    let mut shown = String::new();
    for group in attempts.chunk_by(|one, next| one.message == next.message && one.outcome == next.outcome) {
        let (first, last) = (&group[0], &group[group.len() - 1]);
        let Some(words) = claude_text::message_words(first) else {
            continue;
        };
        let _ = match group.len() {
            1 => writeln!(shown, "{noun} {}: {words}", first.n),
            _ => writeln!(shown, "{noun}s {} to {}: {words}", first.n, last.n),
        };
    }
    shown
}

fn attempt_row(attempt: &AttemptView, now_ms: u64) -> Vec<Cell> {
    let or_dash = |value: Option<String>| Cell::plain(value.unwrap_or_else(|| "-".to_owned()));
    let style = match attempt.outcome.as_deref() {
        None => CYAN,
        Some("ok") => GREEN,
        Some(_) => RED,
    };
    let cpu = attempt.cpu_seconds.map(|seconds| format!("{seconds:.2}s"));
    vec![
        Cell::plain(attempt.n.to_string()),
        Cell::new(outcome_words(attempt), style),
        Cell::plain(local_time(attempt.started_at_ms)),
        Cell::plain(run_time(attempt, now_ms)),
        or_dash(cpu),
        or_dash(attempt.peak_memory_bytes.map(short_bytes)),
    ]
}

/// How an attempt ended: `ok`, `exit 3`, `signal 9`, `timeout`, or `running`.
pub(crate) fn outcome_words(attempt: &AttemptView) -> String {
    match (attempt.outcome.as_deref(), attempt.exit_code, attempt.signal) {
        (None, _, _) => "running".to_owned(),
        (Some("exit_code"), Some(code), _) => format!("exit {code}"),
        (Some("signal"), _, Some(signal)) => format!("signal {signal}"),
        (Some(other), _, _) => crate::claude::outcome_words(other),
    }
}

/// Why a task waits, a line for each gate.
pub(crate) fn explanation(view: &ExplanationView, now_ms: u64) -> String {
    let mut shown = String::new();
    let style = text::state_style(&view.state);
    let id = text::visible(&view.id);
    let stands = process_text::stands(&view.state);
    let _ = write!(shown, "Task {BOLD}{id}{BOLD:#} {style}{stands}{style:#}");
    // An end that says itself why needs no reason.
    let says_more = |reason: &&String| view.state != "succeeded" && **reason != view.state;
    match view.reason.as_ref().filter(says_more) {
        Some(reason) => {
            let words = crate::claude::outcome_words(reason);
            let _ = writeln!(shown, ": {}.", text::visible(&words));
        }
        None => shown.push_str(".\n"),
    }
    for gate in &view.gates {
        let _ = writeln!(shown, "It waits for {}.", gate_words(gate, now_ms));
    }
    let runs = matches!(view.state.as_str(), "running" | "paused" | "waiting");
    if view.state == "waiting" {
        let _ = writeln!(
            shown,
            "It asks something: `wezterm-parallel show {id}` says what."
        );
    }
    if ENDS.contains(&view.state.as_str()) || runs {
        return shown;
    }
    shown.push_str(&match view.ahead {
        0 => "Nothing that is queued comes before it.\n".to_owned(),
        1 => "1 queued task comes before it.\n".to_owned(),
        ahead => format!("{ahead} queued tasks come before it.\n"),
    });
    if let Some(moment) = view.not_overtaken_after_ms {
        let _ = writeln!(
            shown,
            "No task queued after {} can overtake it.",
            local_time(moment)
        );
    }
    shown
}

/// What to say of a task that waits for an attempt, for stderr; `None` while it does not.
pub(crate) fn pause_words(task: &TaskView, now_ms: u64) -> Option<String> {
    let id = &task.id;
    match (task.state.as_str(), task.not_before_ms) {
        ("delayed", Some(start)) => {
            let left = short_duration(start.saturating_sub(now_ms));
            let which = if task.attempts.is_empty() { "first" } else { "next" };
            let noun = process_text::noun(id);
            Some(format!("{noun} {id}: the {which} attempt begins in {left}"))
        }
        ("queued" | "blocked" | "held" | "paused", _) => Some(format!(
            "task {id}: {} (wezterm-parallel explain {id})",
            task.state
        )),
        _ => None,
    }
}

/// What to say of a task that ended without success, for stderr.
pub(crate) fn end_words(task: &TaskView) -> String {
    let style = text::state_style(&task.state);
    let hint = if BAD_ENDS.contains(&task.state.as_str()) && !task.attempts.is_empty() {
        format!(" (wezterm-parallel log {})", task.id)
    } else {
        String::new()
    };
    let (noun, words) = (process_text::noun(&task.id), state_words(task));
    format!("{noun} {}: {style}{words}{style:#}{hint}", task.id)
}

#[cfg(test)]
#[path = "task_text_tests.rs"]
mod tests;
