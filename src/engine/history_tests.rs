//! The engine with a history that cannot be written for a while: retention, removals, a failing journal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::tests::{config, Stage};
use crate::config::Config;
use crate::history::{HistoryFilter, Import, Reader};
use crate::protocol::{Clean, Message, TaskQueue};

fn with_history(retained: u64) -> Config {
    let mut config = config("2");
    config.state.sqlite = true;
    config.retention.tasks = retained;
    config
}

fn file(stage: &Stage) -> PathBuf {
    stage.folder.path().join("history.sqlite")
}

/// Lets the engine go on until this is so.
fn tick_until(stage: &mut Stage, what: &str, mut condition: impl FnMut(&mut Stage) -> bool) {
    let begin = Instant::now();
    while !condition(stage) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        stage.tick();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn keys(stage: &Stage) -> Vec<u64> {
    let reader = Reader::open(&file(stage));
    let page = reader.and_then(|reader| reader.page(&HistoryFilter::default(), 100));
    let mut keys: Vec<u64> = page.map_or_else(
        |_| Vec::new(),
        |(tasks, _)| tasks.iter().map(|task| task.key).collect(),
    );
    keys.sort_unstable();
    keys
}

/// Queues some that end at once: they have missed their time.
fn end_some(stage: &mut Stage, count: usize) {
    for _ in 0..count {
        let held = TaskQueue {
            command: Some("true".to_owned()),
            worker: Some("shell".to_owned()),
            hold: true,
            ..TaskQueue::default()
        };
        let answer = stage.ask_one(Message::TaskQueue(Box::new(held)));
        let crate::protocol::Answer::StatusUpdate(update) = answer else {
            panic!("{answer:?}");
        };
        let cancel = crate::protocol::Cancel {
            ids: vec![update.process_id],
            ..crate::protocol::Cancel::default()
        };
        stage.ask_one(Message::Cancel(cancel));
    }
}

#[test]
fn retention_waits_for_what_the_history_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.sqlite");
    Import::all::<crate::history::HistoryError>(&path, std::iter::empty()).expect("an empty one");
    let other = rusqlite::Connection::open(&path).expect("it is there");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let mut stage = Stage::open_with(folder, with_history(1), |_| {});
    let failing = |stage: &mut Stage| {
        stage
            .engine
            .who_we_are()
            .history
            .is_some_and(|history| history.error.is_some())
    };
    // The file is looked at before anything is written, which needs no lock.
    end_some(&mut stage, 4);
    tick_until(&mut stage, "trouble", failing);
    end_some(&mut stage, 2);
    stage.tick();
    assert_eq!(stage.engine.store.ended_len(), 6, "nothing was removed");
    // A user has his way, and the history is told all the same.
    stage.ask_one(Message::Clean(Clean {
        ids: vec!["5".to_owned()],
        ..Clean::default()
    }));
    assert_eq!(stage.engine.store.ended_len(), 5);
    other.execute_batch("ROLLBACK").expect("it is let go");
    tick_until(&mut stage, "all is written", |stage| {
        keys(stage) == [1, 2, 3, 4, 5, 6]
    });
    tick_until(&mut stage, "retention", |stage| {
        stage.engine.store.ended_len() == 1
    });
    assert_eq!(stage.engine.history.missed, 0);
    tick_until(&mut stage, "no lag", |stage| {
        stage.engine.history.behind_since().is_none()
    });
}

#[test]
fn the_history_is_never_ahead_of_the_journal() {
    let mut stage = Stage::open_with(tempfile::tempdir().expect("a folder"), with_history(100), |_| {});
    end_some(&mut stage, 1);
    tick_until(&mut stage, "the first", |stage| keys(stage) == [1]);
    let held = TaskQueue {
        command: Some("true".to_owned()),
        worker: Some("shell".to_owned()),
        hold: true,
        ..TaskQueue::default()
    };
    stage.ask_one(Message::TaskQueue(Box::new(held)));
    stage.break_journal(true);
    let cancel = crate::protocol::Cancel {
        ids: vec!["2".to_owned()],
        ..crate::protocol::Cancel::default()
    };
    // Done, but in memory alone.
    stage.ask_one(Message::Cancel(cancel));
    assert!(stage.engine.journal_failing.is_some());
    let before = stage.engine.history.behind_since();
    stage.tick();
    assert_eq!(stage.engine.history.behind_since(), before, "it is not told");
    stage.break_journal(false);
    tick_until(&mut stage, "the second", |stage| keys(stage) == [1, 2]);
}

#[test]
fn an_end_of_the_daemon_writes_what_is_left() {
    let mut stage = Stage::open_with(tempfile::tempdir().expect("a folder"), with_history(100), |_| {});
    end_some(&mut stage, 3);
    stage.engine.finish_history();
    assert_eq!(keys(&stage), [1, 2, 3]);
    let other = rusqlite::Connection::open(file(&stage)).expect("it is there");
    let caught_up: String = other
        .query_row("SELECT value FROM meta WHERE name = 'caught_up'", [], |row| {
            row.get(0)
        })
        .expect("nothing is missing");
    assert_eq!(caught_up, stage.engine.journal.last_lsn().0.to_string());
}
