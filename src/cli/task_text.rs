//! How tasks read: the status table, the summary line, one task in full, an explanation.
//!
//! Pure: views in, text with styles out; the moment and the width come in as arguments.

use std::fmt::Write as _;

use super::text::{self, Cell, Table, BOLD, CYAN, DIM, GREEN, RED, YELLOW};
use super::value::{local_time, short_bytes, short_dollars, short_duration};
use super::{claude_text, question_text};
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
fn gate_words(gate: &GateView, now_ms: u64) -> String {
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
    fact(&mut shown, "command", &command_line(task));
    fact(&mut shown, "worker", &task.worker);
    optional_fact(&mut shown, "label", task.label.as_deref());
    let workspace = Some(task.workspace.as_str()).filter(|name| !name.is_empty());
    optional_fact(&mut shown, "workspace", workspace);
    fact(&mut shown, "priority", &task.priority.to_string());
    fact(&mut shown, "cwd", &task.cwd);
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
    for (name, words) in claude_text::facts(task) {
        fact(&mut shown, name, &words);
    }
    if let Some(last) = task.attempts.last() {
        // A column of its own would be too wide for most screens.
        fact(&mut shown, "folder", &last.folder);
    }
    shown.push_str(&question_text::in_full(&task.id, &task.questions, now_ms));
    if !task.attempts.is_empty() {
        shown.push('\n');
        shown.push_str(&attempts(&task.attempts, now_ms));
    }
    shown
}

fn fact(shown: &mut String, name: &str, value: &str) {
    let _ = writeln!(shown, "{BOLD}{name:<10}{BOLD:#}  {}", text::visible(value));
}

fn optional_fact(shown: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        fact(shown, name, value);
    }
}

fn attempts(attempts: &[AttemptView], now_ms: u64) -> String {
    let mut headings = vec!["ATTEMPT", "OUTCOME", "STARTED", "TIME", "CPU", "MEMORY"];
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
    shown.push_str(&messages(attempts));
    shown
}

/// What attempts say, a line for those in a row that say the same.
fn messages(attempts: &[AttemptView]) -> String {
    let mut shown = String::new();
    for group in attempts.chunk_by(|one, next| one.message == next.message && one.outcome == next.outcome) {
        let (first, last) = (&group[0], &group[group.len() - 1]);
        let Some(words) = claude_text::message_words(first) else {
            continue;
        };
        let _ = match group.len() {
            1 => writeln!(shown, "attempt {}: {words}", first.n),
            _ => writeln!(shown, "attempts {} to {}: {words}", first.n, last.n),
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

/// A state as the rest of a sentence: `has succeeded`.
pub(crate) fn stands(state: &str) -> String {
    match state {
        "succeeded" | "failed" => format!("has {state}"),
        "cancelled" | "skipped" => format!("was {state}"),
        _ => format!("is {state}"),
    }
}

/// Why a task waits, a line for each gate.
pub(crate) fn explanation(view: &ExplanationView, now_ms: u64) -> String {
    let mut shown = String::new();
    let style = text::state_style(&view.state);
    let id = text::visible(&view.id);
    let stands = stands(&view.state);
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
            Some(format!("task {id}: the {which} attempt begins in {left}"))
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
    format!("task {}: {style}{}{style:#}{hint}", task.id, state_words(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::QuestionView;

    const NOW: u64 = 1_800_000_000_000;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn sample(id: &str, state: &str, command: &str) -> TaskView {
        TaskView {
            id: id.into(),
            state: state.into(),
            priority: 100,
            worker: "shell".into(),
            command: Some(command.into()),
            cwd: "/home/me".into(),
            submitted_at_ms: NOW - 65_000,
            ..TaskView::default()
        }
    }

    fn attempt(n: u32, outcome: Option<&str>, ran_ms: u64) -> AttemptView {
        AttemptView {
            n,
            outcome: outcome.map(Into::into),
            started_at_ms: NOW - ran_ms,
            ended_at_ms: outcome.map(|_| NOW),
            folder: format!("/data/tasks/1/{n}"),
            ..AttemptView::default()
        }
    }

    fn answer() -> StatusAnswer {
        let mut failed = sample("nightly", "failed", "make \x1b[2J all\nthen more");
        failed.reason = Some("exit_code".into());
        failed.label = Some("ci".into());
        failed.attempts.push(AttemptView {
            exit_code: Some(3),
            ..attempt(1, Some("exit_code"), 4_200)
        });
        let mut running = sample(
            "2",
            "running",
            "echo a very long command that does not fit the screen",
        );
        running.attempts.push(attempt(1, None, 61_000));
        let mut delayed = sample("3", "delayed", "date");
        delayed.not_before_ms = Some(NOW + 7_500_000);
        let mut summary = Summary {
            queued: 12,
            running: 2,
            slots: 2,
            paused: true,
            ..Summary::default()
        };
        summary.states = [("queued", 12), ("running", 2), ("failed", 1), ("held", 0)]
            .map(|(state, count)| (state.to_owned(), count))
            .into();
        summary.blocked_by.push(GateView {
            gate: "slots".into(),
            message: "2 of 2 taken".into(),
            opens_at_ms: None,
        });
        StatusAnswer {
            tasks: vec![running, delayed, failed],
            summary,
        }
    }

    #[test]
    fn the_table_fits_and_shows_no_raw_escapes() {
        insta::assert_snapshot!(plain(&status(&answer(), NOW, Some(80))), @r"
        2/2 running, 12 queued, 1 failed · paused · blocked by slots: 2 of 2 taken
        ID       STATE            PRI  WORKER/LABEL      TIME  COMMAND
        2        running          100  shell            1m01s  echo a very long command…
        3        delayed          100  shell         in 2h05m  date
        nightly  failed (exit 3)  100  shell/ci          4.2s  make \x1b[2J all\nthen m…
        ");
    }

    fn waiting() -> TaskView {
        let question = QuestionView {
            request_id: "r1".into(),
            tool: "Bash".into(),
            input: serde_json::json!({"command": "rm -rf target/debug/incremental \u{1b}[2J"}),
            asked_at_ms: NOW - 5_000,
            ..QuestionView::default()
        };
        let mut view = sample("12", "waiting", "tidy up");
        view.worker = "claude".into();
        view.questions = vec![question];
        view.attempts.push(AttemptView {
            session_id: Some("5e55-10".into()),
            ..attempt(1, None, 61_000)
        });
        view
    }

    #[test]
    fn a_task_that_asks_says_what() {
        assert_eq!(
            state_words(&waiting()),
            "waiting (Bash: rm -rf target/debug/incremental \\x1b[2J)"
        );
        let answer = StatusAnswer {
            tasks: vec![waiting()],
            summary: Summary::default(),
        };
        insta::assert_snapshot!(plain(&status(&answer, NOW, Some(80))), @r"
        0/0 running, 0 queued
        ID  STATE                             PRI  WORKER/LABEL   TIME  COMMAND
        12  waiting (Bash: rm -rf target/de…  100  claude        1m01s  tidy up
        ");
        let shown = plain(&task(&waiting(), NOW));
        let shown = shown.replace(&local_time(NOW - 65_000), "[queued]");
        let shown = shown.replace(&local_time(NOW - 61_000), "[start            ]");
        insta::assert_snapshot!(shown, @r"
        id          12
        state       waiting (Bash: rm -rf target/debug/incremental \x1b[2J)
        command     tidy up
        worker      claude
        priority    100
        cwd         /home/me
        queued      [queued]
        session     5e55-10
        open it     cd /home/me && claude --resume 5e55-10
        folder      /data/tasks/1/1

        ? Bash asked 5.0s ago
          command: rm -rf target/debug/incremental \x1b[2J
          wezterm-parallel answer 12 allow
          wezterm-parallel answer 12 deny --message 'rather …'

        ATTEMPT  OUTCOME  STARTED               TIME  CPU  MEMORY
              1  running  [start            ]  1m01s    -       -
        ");
    }

    #[test]
    fn one_task_in_full() {
        let mut view = sample("7", "succeeded", "cargo test");
        view.reason = Some("ok".into());
        view.after = vec!["build:success".into()];
        view.timeout_ms = Some(3_600_000);
        view.retries = 2;
        view.retries_used = 1;
        view.attempts = vec![
            AttemptView {
                message: Some("no such file: /bin/nope".into()),
                ..attempt(1, Some("spawn_error"), 10)
            },
            AttemptView {
                exit_code: Some(0),
                cpu_seconds: Some(1.5),
                peak_memory_bytes: Some(20 << 20),
                ..attempt(2, Some("ok"), 2_500)
            },
        ];
        let shown = plain(&task(&view, NOW));
        // Local times depend on the machine's time zone.
        let shown = shown.replace(&local_time(NOW - 65_000), "[queued]");
        let shown = shown.replace(&local_time(NOW - 10), "[first start       ]");
        let shown = shown.replace(&local_time(NOW - 2_500), "[second start      ]");
        insta::assert_snapshot!(shown, @r"
        id          7
        state       succeeded
        reason      ok
        command     cargo test
        worker      shell
        priority    100
        cwd         /home/me
        queued      [queued]
        after       build:success
        timeout     1h00m
        retries     1 of 2 used
        folder      /data/tasks/1/2

        ATTEMPT  OUTCOME      STARTED              TIME    CPU    MEMORY
              1  spawn error  [first start       ]  10ms      -         -
              2  ok           [second start      ]  2.5s  1.50s  20.0 MiB
        attempt 1: no such file: /bin/nope
        ");
    }

    #[test]
    fn an_explanation_is_sentences() {
        let view = ExplanationView {
            id: "9".into(),
            state: "queued".into(),
            gates: vec![
                GateView {
                    gate: "slots".into(),
                    message: "2 of 2 taken".into(),
                    opens_at_ms: None,
                },
                GateView {
                    gate: "delay".into(),
                    message: String::new(),
                    opens_at_ms: Some(NOW + 90_000),
                },
            ],
            ahead: 4,
            ..ExplanationView::default()
        };
        insta::assert_snapshot!(plain(&explanation(&view, NOW)), @r"
        Task 9 is queued.
        It waits for slots: 2 of 2 taken.
        It waits for delay: it may start in 1m30s.
        4 queued tasks come before it.
        ");
    }

    #[test]
    fn a_state_is_part_of_a_sentence() {
        let words = ["succeeded", "cancelled", "lost", "running"].map(stands);
        assert_eq!(words, ["has succeeded", "was cancelled", "is lost", "is running"]);
    }

    #[test]
    fn attempts_that_say_the_same_say_it_once() {
        let says = |n, outcome, message: &str| AttemptView {
            message: Some(message.into()),
            ..attempt(n, Some(outcome), 5)
        };
        let attempts = [
            says(1, "overloaded", "529"),
            says(2, "overloaded", "529"),
            attempt(3, Some("stalled"), 5),
            says(4, "denied", "Bash(make)"),
        ];
        assert_eq!(
            messages(&attempts),
            "attempts 1 to 2: 529\nattempt 4: denied: Bash(make)\n"
        );
    }

    #[test]
    fn between_attempts_it_is_said_what_comes() {
        let mut view = sample("5", "delayed", "x");
        view.not_before_ms = Some(NOW + 10_000);
        let words = |view: &TaskView| pause_words(view, NOW);
        assert_eq!(
            words(&view).as_deref(),
            Some("task 5: the first attempt begins in 10s")
        );
        view.attempts.push(attempt(1, Some("overloaded"), 5));
        assert_eq!(
            words(&view).as_deref(),
            Some("task 5: the next attempt begins in 10s")
        );
        view.state = "queued".into();
        assert_eq!(
            words(&view).as_deref(),
            Some("task 5: queued (wezterm-parallel explain 5)")
        );
        for state in ["running", "failed"] {
            view.state = state.into();
            assert_eq!(words(&view), None);
        }
    }

    #[test]
    fn states_say_how_they_ended() {
        let mut view = sample("1", "failed", "x");
        view.reason = Some("signal".into());
        view.attempts.push(AttemptView {
            signal: Some(9),
            ..attempt(1, Some("signal"), 5)
        });
        assert_eq!(state_words(&view), "failed (signal 9)");
        view.reason = Some("spawn_error".into());
        assert_eq!(state_words(&view), "failed (spawn error)");
        view.reason = Some("limited".into());
        assert_eq!(state_words(&view), "failed (usage limit)");
        view.state = "running".into();
        view.stopping = true;
        assert_eq!(state_words(&view), "running (stopping)");
    }
}
