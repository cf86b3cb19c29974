//! What keys, the mouse and the daemon's news do to the model.

use super::*;
use crate::cli::top::columns::Column;
use crate::cli::top::typed::Key;
use crate::protocol::{AttemptView, QuestionView};

const NOW: u64 = 1_800_000_000_000;

fn task(id: &str, state: &str) -> TaskView {
    TaskView {
        id: id.into(),
        state: state.into(),
        priority: 100,
        ..TaskView::default()
    }
}

fn status(tasks: Vec<TaskView>) -> StatusAnswer {
    let mut status = StatusAnswer {
        tasks,
        ..StatusAnswer::default()
    };
    status.summary.queued = status.tasks.iter().filter(|task| task.state == "queued").count();
    status
}

fn model(tasks: &[(&str, &str)]) -> Model {
    let mut model = Model::new((80, 24), NOW);
    let tasks = tasks.iter().map(|(id, state)| task(id, state)).collect();
    model.update(NOW, Input::Picture(status(tasks)));
    model.take_changed();
    model
}

fn key(model: &mut Model, key: Key) -> Vec<Intent> {
    let intents = model.update(NOW, Input::Typed(Typed::Key(key)));
    model.arrange();
    intents
}

fn press(model: &mut Model, keys: &str) -> Vec<Intent> {
    let mut intents = Vec::new();
    for character in keys.chars() {
        intents.extend(key(
            model,
            match character {
                '\n' => Key::Enter,
                '\x1b' => Key::Escape,
                other => Key::Char(other),
            },
        ));
    }
    intents
}

fn rows(model: &mut Model) -> String {
    model.arrange();
    let rows = model
        .list
        .on_screen()
        .map(|(id, selected)| format!("{}{id}", if selected { ">" } else { "" }));
    rows.collect::<Vec<_>>().join(" ")
}

/// The message that keys lead to, as it goes over the wire.
fn wire(intents: &[Intent]) -> String {
    let lines = intents.iter().map(|intent| match intent {
        Intent::Do(message, _) => serde_json::to_string(message).unwrap(),
        other => format!("{other:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

const MIXED: [(&str, &str); 5] = [
    ("1", "running"),
    ("2", "paused"),
    ("3", "queued"),
    ("4", "held"),
    ("5", "failed"),
];

#[test]
fn keys_change_the_selected_task() {
    let mut model = model(&MIXED);
    let mut at = |row: usize, keys: &str| {
        key(&mut model, Key::Home);
        (1..row).for_each(|_| drop(key(&mut model, Key::Down)));
        wire(&press(&mut model, keys))
    };
    assert_eq!(at(1, "c"), "");
    assert_eq!(at(1, "cy"), r#"{"Cancel":{"ids":["1"]}}"#);
    assert_eq!(at(1, "cn"), "");
    assert_eq!(at(3, "c"), r#"{"Cancel":{"ids":["3"]}}"#);
    assert_eq!(at(5, "r"), r#"{"Retry":{"ids":["5"]}}"#);
    assert_eq!(at(3, "+"), r#"{"Edit":{"id":"3","priority":110}}"#);
    assert_eq!(at(3, "+"), r#"{"Edit":{"id":"3","priority":120}}"#);
    assert_eq!(at(3, "-"), r#"{"Edit":{"id":"3","priority":110}}"#);
    assert_eq!(at(3, "h"), r#"{"Hold":{"ids":["3"]}}"#);
    assert_eq!(at(4, "h"), r#"{"Release":{"ids":["4"]}}"#);
    assert_eq!(at(1, "p"), r#"{"Pause":{"ids":["1"]}}"#);
    assert_eq!(at(2, "p"), r#"{"Resume":{"ids":["2"]}}"#);
    assert_eq!(at(1, "P"), "");
    assert_eq!(at(1, "Py"), r#"{"Pause":{"ids":[]}}"#);
    assert_eq!(at(1, "q"), "Quit");
    // What makes no sense is said and not asked.
    for (row, keys) in [(5, "c"), (1, "r"), (5, "+"), (1, "h"), (3, "p"), (1, "a")] {
        assert_eq!(at(row, keys), "", "{keys}");
    }
    assert!(model.notice.as_ref().unwrap().is_bad);
}

#[test]
fn a_pause_of_all_is_undone_without_a_question() {
    let mut model = model(&MIXED);
    let paused = Event::Queue {
        slots: 2,
        paused: true,
        paused_workspaces: Vec::new(),
    };
    model.update(NOW, Input::Event(paused));
    assert_eq!(wire(&press(&mut model, "P")), r#"{"Resume":{"ids":[]}}"#);
}

#[test]
fn a_question_is_answered() {
    let mut model = model(&[]);
    let mut asking = task("8", "waiting");
    asking.questions = vec![QuestionView {
        request_id: "r1".into(),
        tool: "Bash".into(),
        ..QuestionView::default()
    }];
    model.update(NOW, Input::Event(Event::Task(Box::new(asking.clone()))));
    model.arrange();
    press(&mut model, "j");
    assert_eq!(
        wire(&press(&mut model, "ay")),
        r#"{"Answer":{"id":"8","allow":true,"request_id":"r1"}}"#
    );
    // Somebody else was faster.
    press(&mut model, "a");
    asking.questions.clear();
    model.update(NOW, Input::Event(Event::Task(Box::new(asking))));
    assert!(model.dialog.is_none());
    assert_eq!(model.notice.as_ref().unwrap().words, "task 8 asks this no more");
}

#[test]
fn the_selection_stays_on_its_task_when_rows_move() {
    let mut model = model(&MIXED);
    assert_eq!(press(&mut model, "c"), []);
    assert!(model.notice.as_ref().unwrap().words.starts_with("choose a task"));
    press(&mut model, "jjj");
    assert_eq!(rows(&mut model), "1 2 >3 4 5");
    model.update(NOW, Input::Event(Event::Task(Box::new(task("1", "succeeded")))));
    model.update(NOW, Input::Event(Event::Task(Box::new(task("3", "running")))));
    assert_eq!(rows(&mut model), ">3 2 4 1 5");
    model.update(NOW, Input::Event(Event::Removed { id: "3".into() }));
    assert_eq!(rows(&mut model), ">2 4 1 5");
}

#[test]
fn filters_hold_while_typed_and_go_with_escape() {
    let mut model = model(&MIXED);
    press(&mut model, "/state:f");
    assert_eq!(rows(&mut model), "5");
    press(&mut model, "\x1b");
    assert_eq!(rows(&mut model), "1 2 3 4 5");
    press(&mut model, "/state:held\n");
    assert_eq!(rows(&mut model), "4");
    // Letters are no commands while one types.
    assert_eq!(press(&mut model, "/cq\n"), []);
    press(&mut model, "\x1b");
    press(&mut model, "/");
    key(&mut model, Key::Tab);
    press(&mut model, "state:failed\n");
    assert_eq!(rows(&mut model), "1 2 3 4 >5");
    model.update(NOW, Input::Typed(Typed::Paste("q".into())));
    assert_eq!(rows(&mut model), "1 2 3 4 >5");
    press(&mut model, "/");
    model.update(NOW, Input::Typed(Typed::Paste("state:held".into())));
    assert_eq!(rows(&mut model), ">4");
}

#[test]
fn clicks_select_sort_and_open() {
    let mut model = model(&MIXED);
    let table = Areas::of(&model).unwrap().table;
    let mut click = |column, row| {
        let typed = Typed::Click { column, row };
        model.update(NOW, Input::Typed(typed));
        (rows(&mut model), model.list.sorting(), model.detail.is_some())
    };
    let (unsorted, by_state) = ((None, false), (Some(Column::State), false));
    assert_eq!(click(2, table.y + 3), ("1 2 >3 4 5".into(), unsorted, false));
    assert_eq!(click(10, table.y), ("5 4 2 >3 1".into(), by_state, false));
    assert!(!click(2, table.y + 9).2);
    assert!(click(2, table.y + 4).2, "a second click opens it");
}

#[test]
fn a_task_in_full_follows_its_attempts() {
    let mut model = model(&MIXED);
    press(&mut model, "jjj");
    assert_eq!(press(&mut model, "\n"), [Intent::Explain("3".into())]);
    assert!(model.detail.as_ref().unwrap().shows_facts);
    let mut running = task("3", "running");
    running.attempts = vec![AttemptView {
        n: 1,
        ..AttemptView::default()
    }];
    let event = |task: &TaskView| Input::Event(Event::Task(Box::new(task.clone())));
    assert_eq!(model.update(NOW, event(&running)), [Intent::Explain("3".into())]);
    model.update(NOW, Input::Output("first\n".into()));
    let detail = model.detail.as_ref().unwrap();
    assert!(!detail.shows_facts && !detail.output.is_empty());
    running.attempts.push(AttemptView {
        n: 2,
        ..AttemptView::default()
    });
    model.update(NOW, event(&running));
    assert!(model.detail.as_ref().unwrap().output.is_empty());
    // It is removed, and what was known of it stays.
    model.update(NOW, Input::Event(Event::Removed { id: "3".into() }));
    assert_eq!(model.chosen().unwrap().id, "3");
    press(&mut model, "\x1b");
    assert!(model.detail.is_none());
}

#[test]
fn what_changes_nothing_is_not_drawn() {
    let mut model = model(&[("5", "failed")]);
    assert!(!model.take_changed());
    model.update(NOW + 1_000, Input::Tick);
    assert!(!model.take_changed());
    let summary = model.summary.clone();
    model.update(NOW + 1_000, Input::Summary(summary));
    assert!(!model.take_changed());
    model.update(
        NOW + 1_000,
        Input::Event(Event::Task(Box::new(task("6", "running")))),
    );
    assert!(model.take_changed() && model.is_stale());
    model.update(NOW + 2_000, Input::Tick);
    assert!(model.take_changed());
}

#[test]
fn a_queue_that_drains_is_filled_up() {
    let mut model = model(&MIXED);
    assert!(!model.is_misplaced());
    let mut summary = model.summary.clone();
    summary.queued = 100_000;
    model.update(NOW, Input::Summary(summary));
    assert!(model.is_misplaced());
    let tasks = (0..ASKED_FOR).map(|n| task(&n.to_string(), "queued")).collect();
    model.update(NOW, Input::Picture(status(tasks)));
    assert!(!model.is_misplaced());
    model.update(NOW, Input::Event(Event::Task(Box::new(task("new", "queued")))));
    assert!(model.is_misplaced());
}

#[test]
fn a_daemon_that_comes_back_brings_a_new_picture() {
    let mut model = model(&MIXED);
    model.update(NOW, Input::Away);
    assert!(model.is_away && model.take_changed());
    model.update(NOW, Input::Away);
    assert!(!model.take_changed());
    model.update(NOW, Input::Picture(status(vec![task("9", "queued")])));
    assert!(!model.is_away);
    assert_eq!(rows(&mut model), "9");
}
