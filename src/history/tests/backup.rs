//! The backup follows the journal's tasks, and keeps those that it has lost.

use wezterm_parallel_scheduler::{State, TaskKey, Tick};

use super::writing::{all, backed_up, batch, finish, give, kept, until};
use super::*;

#[test]
fn the_backup_follows_the_tasks_and_the_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let writer = Writer::start(path.clone(), 0).unwrap();
    until("it is open", || writer.has_room());
    assert!(writer.take_comparison(), "a new file has nothing");
    give(
        &writer,
        all(vec![kept(1, State::Queued), kept(2, State::Succeeded)], 5),
    );
    give(&writer, batch(vec![kept(1, State::Running)]));
    finish(writer);
    let expected = [
        (1, "running".to_owned(), false),
        (2, "succeeded".to_owned(), false),
    ];
    assert_eq!(backed_up(&path), expected);
    // The last batch had left something open, so that both are compared.
    let writer = Writer::start(path.clone(), 5).unwrap();
    until("it is open", || writer.has_room());
    assert!(writer.take_comparison());
    let mut leaving = kept(3, State::Failed);
    leaving.is_leaving = true;
    let mut last = all(vec![kept(1, State::Failed), kept(2, State::Succeeded)], 9);
    last.kept.push(leaving);
    give(&writer, last);
    give(
        &writer,
        Batch {
            removed: vec![TaskKey(2)],
            caught_up: Some(10),
            ..batch(Vec::new())
        },
    );
    assert_eq!(writer.health().errors(), 0);
    finish(writer);
    assert_eq!(backed_up(&path), [(1, "failed".to_owned(), false)]);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(ids(&reader, &HistoryFilter::default()), [3, 2, 1]);
    let backup = reader.backup().unwrap();
    assert_eq!((backup.last_key, backup.environments.len()), (3, 1));
    // Nothing was left open.
    let writer = Writer::start(path, 10).unwrap();
    until("it is open", || writer.has_room());
    assert!(!writer.take_comparison());
}

#[test]
fn tasks_that_the_journal_has_lost_are_kept_until_somebody_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let writer = Writer::start(path.clone(), 0).unwrap();
    let tasks = [State::Queued, State::Succeeded, State::Held];
    let tasks = (1..).zip(tasks).map(|(key, state)| kept(key, state));
    give(&writer, all(tasks.collect(), 5));
    give(&writer, all(vec![kept(3, State::Held)], 5));
    // A number that is used once more, by another task.
    let mut other = kept(1, State::Queued);
    other.image.task.submission.submitted_at = Tick(77_777);
    give(&writer, batch(vec![other]));
    finish(writer);
    let expected = [
        (1, "queued".to_owned(), true),
        (1, "queued".to_owned(), false),
        (3, "held".to_owned(), false),
    ];
    assert_eq!(backed_up(&path), expected);
    assert_eq!(
        Reader::open(&path).unwrap().contents().unwrap(),
        Contents { tasks: 1, strays: 1 }
    );
}
