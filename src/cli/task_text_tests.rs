//! What is printed of a task, state by state.

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
    let words = ["succeeded", "cancelled", "lost", "running"].map(process_text::stands);
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
        messages("attempt", &attempts),
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
