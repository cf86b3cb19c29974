//! Tasks that come from elsewhere: each once, all or none, and those that cannot be are named.

use super::*;

#[test]
fn importing_twice_changes_nothing_and_newer_ends_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let tasks = [ended(1, 10), ended(2, 20)];
    assert_eq!(import(&path, &tasks), Import { added: 2, known: 0 });
    assert_eq!(import(&path, &tasks), Import { added: 0, known: 2 });
    let again = HistoryTask {
        state: "failed".into(),
        command: Some("something else".into()),
        ..ended(1, 30)
    };
    assert_eq!(
        import(&path, &[again, ended(2, 15)]),
        Import { added: 1, known: 1 }
    );
    let reader = Reader::open(&path).unwrap();
    assert_eq!(ids(&reader, &HistoryFilter::default()), [1, 2]);
    // The index has forgotten what is no longer so.
    let search = |text: &str| HistoryFilter {
        search: Some(text.into()),
        ..HistoryFilter::default()
    };
    assert_eq!(ids(&reader, &search("true")), [2]);
    assert_eq!(ids(&reader, &search("ELSE")), [1]);
    // The same number in another life of the journal is another task.
    let other = HistoryTask {
        submitted_at_ms: 2,
        ..ended(1, 40)
    };
    import(&path, &[other]);
    assert_eq!(ids(&reader, &HistoryFilter::default()), [1, 1, 2]);
}

#[test]
fn an_error_among_the_tasks_takes_back_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    let missing = HistoryError::Missing { path: path.clone() };
    let tasks: Tasks = vec![Ok(ended(1, 10)), Err(missing)];
    assert!(Import::all(&path, tasks.into_iter()).is_err());
    let reader = Reader::open(&path).unwrap();
    assert!(ids(&reader, &HistoryFilter::default()).is_empty());
}

#[test]
fn tasks_that_cannot_be_are_named() {
    let with = |change: fn(&mut HistoryTask)| {
        let mut task = ended(1, 10);
        task.attempts = vec![HistoryAttempt {
            n: 1,
            ..HistoryAttempt::default()
        }];
        change(&mut task);
        task.check().err().unwrap_or_default()
    };
    assert_eq!(with(|_| {}), "");
    assert_eq!(
        with(|task| task.version = 2),
        "`version` is 2; this program knows 1"
    );
    assert_eq!(
        with(|task| task.state = "running".into()),
        "`state` is \"running\", but must be one of succeeded failed cancelled skipped lost"
    );
    assert_eq!(
        with(|task| task.ended_at_ms = u64::MAX),
        "`ended_at_ms` is too large"
    );
    assert_eq!(
        with(|task| task.attempts.push(HistoryAttempt::default())),
        "attempt 0 comes after attempt 1: their numbers must rise from 1"
    );
    assert_eq!(
        with(|task| task.attempts[0].outcome = Some("no word".into())),
        "the `outcome` of attempt 1 is no word"
    );
}
