//! The screens as text, in the sizes and states that matter.

use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use ratatui::Terminal;
use serde_json::json;

use super::*;
use crate::cli::top::model::Input;
use crate::cli::top::typed::{Key, Typed};
use crate::protocol::{
    AdmissionAnswer, AttemptView, ExplanationView, GateState, GateView, MarksView, ProcessView, QuestionView,
    QuotaView, ReadingView, ReservationView, StatusAnswer, TaskView,
};

const NOW: u64 = 1_800_000_000_000;
const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 60);

fn task(id: &str, state: &str, command: &str) -> TaskView {
    TaskView {
        id: id.into(),
        state: state.into(),
        priority: 100,
        worker: "shell".into(),
        command: Some(command.into()),
        cwd: "/home/me/api".into(),
        submitted_at_ms: NOW - 600_000,
        ..TaskView::default()
    }
}

fn ran(task: TaskView, slot: Option<u32>, outcome: Option<(&str, i32)>) -> TaskView {
    let attempt = AttemptView {
        n: 1,
        outcome: outcome.map(|(outcome, _)| outcome.into()),
        exit_code: outcome.map(|(_, code)| code),
        started_at_ms: NOW - 75_000,
        ended_at_ms: outcome.map(|_| NOW - 5_000),
        peak_memory_bytes: outcome.map(|_| 48 << 20),
        folder: "/data/tasks/7/1".into(),
        ..AttemptView::default()
    };
    TaskView {
        slot,
        attempts: vec![attempt],
        ..task
    }
}

fn tasks() -> Vec<TaskView> {
    let mut build = ran(
        task(
            "7",
            "running",
            "cargo test --workspace --all-targets -- --nocapture",
        ),
        Some(0),
        None,
    );
    build.label = Some("nightly".into());
    build.workspace = "api".into();
    let mut claude = ran(
        task("8", "waiting", "write the changelog\nand tag the release"),
        Some(1),
        None,
    );
    claude.worker = "claude".into();
    claude.questions = vec![QuestionView {
        request_id: "r1".into(),
        tool: "Bash".into(),
        input: json!({"command": "git push --tags", "description": "Push"}),
        asked_at_ms: NOW - 130_000,
        ..QuestionView::default()
    }];
    let mut urgent = task("11", "queued", "printf '\u{1b}[31m漢字'");
    urgent.priority = 200;
    let mut failed = ran(task("5", "failed", "make check"), None, Some(("exit_code", 2)));
    failed.reason = Some("exit_code".into());
    vec![
        build,
        claude,
        urgent,
        task("9", "queued", "sleep 60"),
        task("10", "queued", "sleep 61"),
        task("12", "held", "rm -r build"),
        failed,
        ran(task("4", "succeeded", "true"), None, Some(("ok", 0))),
    ]
}

fn status(tasks: Vec<TaskView>) -> StatusAnswer {
    let mut summary = Summary {
        slots: 2,
        ..Summary::default()
    };
    for task in &tasks {
        *summary.states.entry(task.state.clone()).or_default() += 1;
    }
    let count = |state: &str| summary.states.get(state).copied().unwrap_or(0);
    (summary.queued, summary.running) = (count("queued"), count("running"));
    if summary.queued > 0 {
        summary.blocked_by = vec![GateView {
            gate: "slots".into(),
            message: "2 of 2 slots are taken".into(),
            ..GateView::default()
        }];
    }
    StatusAnswer { tasks, summary }
}

fn admission(cpus_used: f64) -> AdmissionAnswer {
    AdmissionAnswer {
        enabled: true,
        reading: Some(ReadingView {
            memory_total_bytes: Some(16 << 30),
            memory_available_bytes: Some(6 << 30),
            cpus: Some(8.0),
            cpus_used: Some(cpus_used),
            stall_share: Some(0.02),
            ..ReadingView::default()
        }),
        marks: MarksView {
            memory_floor_bytes: Some(2 << 30),
            cpu_high: 0.9,
            cpu_low: 0.75,
            stall_high: 0.1,
            stall_low: 0.05,
        },
        reserved_bytes: 2 << 30,
        reservations: vec![ReservationView {
            id: "7".into(),
            used_bytes: Some(324 << 20),
            ..ReservationView::default()
        }],
        ..AdmissionAnswer::default()
    }
}

fn model(size: (u16, u16), tasks: Vec<TaskView>) -> Model {
    let mut model = Model::new(size, NOW - 60_000);
    for (number, queued) in [0, 3, 9, 14, 12, 8, 7, 5, 4].into_iter().enumerate() {
        let mut status = status(tasks.clone());
        status.summary.queued = queued;
        status.summary.states.insert("succeeded".into(), 3 * number);
        let now_ms = NOW - 60_000 + 6_000 * number as u64;
        model.update(now_ms, Input::Picture(status));
    }
    model.update(NOW, Input::Picture(status(tasks)));
    model.update(NOW, Input::Admission(Box::new(admission(3.4))));
    model
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        let key = match key {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            '\x1b' => Key::Escape,
            '↓' => Key::Down,
            other => Key::Char(other),
        };
        model.arrange();
        model.update(NOW, Input::Typed(Typed::Key(key)));
    }
}

fn drawn(model: &mut Model, has_color: bool) -> Terminal<TestBackend> {
    model.arrange();
    let (width, height) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, has_color)).unwrap();
    terminal
}

/// The screen as a person reads it, without the blanks at the ends of its lines.
fn shown(model: &mut Model) -> String {
    let terminal = drawn(model, true);
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|row| {
        let mut line = String::new();
        let mut skip = 0;
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_queue() {
    insta::assert_snapshot!("empty_80x24", shown(&mut model(SMALL, Vec::new())));
}

#[test]
fn a_busy_queue() {
    insta::assert_snapshot!("busy_80x24", shown(&mut model(SMALL, tasks())));
    insta::assert_snapshot!("busy_200x60", shown(&mut model(LARGE, tasks())));
}

#[test]
fn a_selected_sorted_and_filtered_table() {
    let mut model = model(SMALL, tasks());
    press(&mut model, "/state:queued\n↓↓sss");
    insta::assert_snapshot!("filtered_80x24", shown(&mut model));
    press(&mut model, "/x");
    insta::assert_snapshot!("typing_80x24", shown(&mut model));
}

#[test]
fn a_question_of_a_worker() {
    let mut model = model(SMALL, tasks());
    press(&mut model, "↓↓a");
    insta::assert_snapshot!("permission_80x24", shown(&mut model));
    press(&mut model, "duse the staging remote");
    insta::assert_snapshot!("denial_80x24", shown(&mut model));
    let mut all = tasks();
    all[1].questions[0].input = json!({"questions": [{
        "question": "Which of the three ways to sign the release shall be taken, given that the key is on another machine?",
        "multiSelect": true,
        "options": [{"label": "Ask for the key", "description": "waits"}, {"label": "Leave it out"}],
    }]});
    let mut model = self::model(SMALL, all);
    press(&mut model, "↓↓a2");
    insta::assert_snapshot!("choice_80x24", shown(&mut model));
}

#[test]
fn processes_stand_above_the_tasks() {
    let process = |id: &str, name: Option<&str>, state: &str| ProcessView {
        id: id.into(),
        name: name.map(Into::into),
        state: state.into(),
        ..ProcessView::default()
    };
    let mut model = model(SMALL, tasks());
    let all = vec![
        process("@1", Some("dev"), "ready"),
        process("@2", None, "running"),
        process("@3", Some("tunnel"), "failed"),
    ];
    model.update(NOW, Input::Processes(all));
    insta::assert_snapshot!("processes_80x24", shown(&mut model));
    let well = vec![process("@1", Some("dev"), "ready")];
    model.update(NOW, Input::Resize(80, 14));
    assert!(shown(&mut model).contains("tunnel failed"));
    model.update(NOW, Input::Processes(well));
    assert!(
        !shown(&mut model).contains("processes:"),
        "there is no room for it"
    );
}

#[test]
fn closed_gates_and_a_daemon_that_is_away() {
    let mut model = model(SMALL, tasks());
    let mut answer = admission(7.8);
    let gate = |name: &str, message: &str| GateState {
        gate: name.into(),
        messages: vec![message.into()],
        ..GateState::default()
    };
    answer.gates = vec![
        gate(
            "cpu",
            "98 % of 8 CPUs in use, high mark 90 %; it opens when it was below 75 % for 2 s; read 0.3 s ago",
        ),
        gate("memory", "6.0 GiB available"),
        gate("pressure", "12 % of the time"),
    ];
    model.update(NOW, Input::Admission(Box::new(answer)));
    let mut picture = status(tasks());
    picture.summary.paused = true;
    model.update(NOW, Input::Picture(picture));
    model.update(NOW, Input::Away);
    insta::assert_snapshot!("gates_80x24", shown(&mut model));
}

#[test]
fn usage_limits_where_they_are_known() {
    let quota = |account: &str, window: &str, used_share, resets_at_ms| QuotaView {
        account: account.into(),
        window: window.into(),
        used_share,
        resets_at_ms,
    };
    let answer = AdmissionAnswer {
        quotas: vec![
            quota("work", "five_hour", 1.0, Some(NOW + 7_800_000)),
            quota("default", "seven_day", 0.62, None),
            quota("default", "five_hour", 0.1, None),
        ],
        ..admission(3.4)
    };
    for (size, name) in [(SMALL, "80x24"), (LARGE, "200x60")] {
        let mut model = model(size, tasks());
        model.update(NOW, Input::Admission(Box::new(answer.clone())));
        let text = shown(&mut model);
        let top: Vec<&str> = text.lines().take(6).collect();
        insta::assert_snapshot!(format!("quota_{name}"), top.join("\n"));
    }
}

#[test]
fn a_task_in_full() {
    for (size, name) in [(SMALL, "80x24"), (LARGE, "200x60")] {
        let mut model = model(size, tasks());
        press(&mut model, "↓\n");
        model.update(
            NOW,
            Input::Output("   Compiling api v0.1.0\n\x1b[32mtest\x1b[0m one ... ok\n".into()),
        );
        insta::assert_snapshot!(format!("output_{name}"), shown(&mut model));
        press(&mut model, "\x1b↓↓↓\n");
        let explanation = ExplanationView {
            id: "9".into(),
            state: "queued".into(),
            gates: status(tasks()).summary.blocked_by,
            ahead: 1,
            ..ExplanationView::default()
        };
        model.update(NOW, Input::Explanation(explanation));
        let text = shown(&mut model);
        // Moments are in the time of the machine that runs the test.
        let text: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains("queued      20"))
            .collect();
        insta::assert_snapshot!(format!("waits_{name}"), text.join("\n"));
    }
}

#[test]
fn dialogs_and_notices() {
    let mut model = model(SMALL, tasks());
    press(&mut model, "↓c");
    insta::assert_snapshot!("confirm_80x24", shown(&mut model));
    press(&mut model, "x?");
    insta::assert_snapshot!("help_80x24", shown(&mut model));
    press(&mut model, "xr");
    let text = shown(&mut model);
    let last = text.lines().last().unwrap_or_default();
    assert_eq!(last, "task 7 is running: it can run again after its end");
}

#[test]
fn small_screens_show_less_and_never_fail() {
    let mut smallest = model((40, 10), tasks());
    insta::assert_snapshot!("smallest_40x10", shown(&mut smallest));
    insta::assert_snapshot!("too_small_30x5", shown(&mut model((30, 5), tasks())));
    for width in [0, 1, 39, 40, 71, 72, 80, 119, 120, 200, 250] {
        for height in [0, 1, 9, 10, 15, 16, 24, 31, 32, 40, 70] {
            for keys in ["", "↓\n", "↓\n\t", "?", "↓c", "↓↓a", "/x"] {
                let mut model = model((width, height), tasks());
                press(&mut model, keys);
                drawn(&mut model, true);
            }
        }
    }
}

#[test]
fn without_colours_the_selection_is_still_seen() {
    let mut model = model(SMALL, tasks());
    press(&mut model, "↓");
    let terminal = drawn(&mut model, false);
    let cells = &terminal.backend().buffer().content;
    assert!(cells
        .iter()
        .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(cells
        .iter()
        .any(|cell| cell.modifier.contains(Modifier::REVERSED)));
    let terminal = drawn(&mut model, true);
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().any(|cell| cell.fg == Color::Cyan));
}
