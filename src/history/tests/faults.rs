//! Files that are locked, damaged, taken away or in the way.

use rusqlite::Connection;
use wezterm_parallel_scheduler::State;

use super::writing::{all, batch, finish, give, kept, until};
use super::*;

#[test]
fn a_lock_is_waited_for_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    import(&path, &[]);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writer = Writer::start(path.clone(), 0).unwrap();
    give(&writer, all(vec![kept(1, State::Succeeded)], 5));
    until("the error is told", || writer.health().is_failing());
    let error = writer.health().trouble().error.unwrap();
    assert!(error.ends_with("is locked by another program"), "{error}");
    other.execute_batch("COMMIT").unwrap();
    finish(writer);
    assert_eq!(ids(&Reader::open(&path).unwrap(), &HistoryFilter::default()), [1]);
}

#[test]
fn a_damaged_file_is_moved_aside_and_all_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    std::fs::write(&path, "this is no database, ".repeat(1000)).unwrap();
    assert!(matches!(Reader::open(&path), Err(HistoryError::Damaged { .. })));
    let writer = Writer::start(path.clone(), 0).unwrap();
    until("it is open", || writer.has_room());
    assert!(writer.take_comparison());
    let aside = folder.path().join("h.damaged-1");
    assert_eq!(writer.health().trouble().moved, std::slice::from_ref(&aside));
    assert!(std::fs::read(&aside).unwrap().starts_with(b"this is no database"));
    // Until the comparison is over, nobody may believe that nothing is missing.
    give(
        &writer,
        Batch {
            caught_up: Some(5),
            ..batch(Vec::new())
        },
    );
    finish(writer);
    let writer = Writer::start(path.clone(), 5).unwrap();
    until("it is open", || writer.has_room());
    assert!(writer.take_comparison());
    give(&writer, all(vec![kept(1, State::Succeeded)], 5));
    finish(writer);
    assert_eq!(ids(&Reader::open(&path).unwrap(), &HistoryFilter::default()), [1]);
}

#[test]
fn a_file_that_is_taken_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let writer = Writer::start(path.clone(), 0).unwrap();
    give(&writer, all(vec![kept(1, State::Succeeded)], 5));
    until("it is written", || writer.is_idle());
    assert!(writer.take_comparison(), "it was a new one");
    std::fs::remove_file(&path).unwrap();
    give(&writer, batch(vec![kept(2, State::Succeeded)]));
    until("it is written", || writer.is_idle());
    assert!(writer.take_comparison());
    let both = vec![kept(1, State::Succeeded), kept(2, State::Succeeded)];
    give(&writer, all(both, 6));
    finish(writer);
    assert_eq!(
        ids(&Reader::open(&path).unwrap(), &HistoryFilter::default()),
        [2, 1]
    );
}

#[test]
fn what_is_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let said = || {
        Reader::open(&path)
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(said(), "there is no history: FILE does not exist");
    std::fs::create_dir(&path).unwrap();
    assert_eq!(said(), "FILE cannot be used: it is a folder");
    std::fs::remove_dir(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE shop (item)").unwrap();
    assert_eq!(said(), "FILE is a database, but no history of this program");
    drop(other);
    std::fs::remove_file(&path).unwrap();
    import(&path, &[]);
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(said(), "FILE has format 99; this version knows up to 1");
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
