//! The history against a naive model, and its writer with files that are locked, damaged or in the way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rusqlite::Connection;
use wezterm_parallel_scheduler::{Backoff, Lane, Needs, Reason, State, Submission, Task, TaskKey, Tick};

use super::*;
use crate::journal::{AttemptImage, EnvHash, Spec, TaskImage};

type Tasks = Vec<Result<HistoryTask, HistoryError>>;

fn import(path: &Path, tasks: &[HistoryTask]) -> Import {
    let tasks: Tasks = tasks.iter().cloned().map(Ok).collect();
    Import::all(path, tasks.into_iter()).expect("it can be written")
}

fn ended(key: u64, ended_at_ms: u64) -> HistoryTask {
    HistoryTask {
        version: FORMAT,
        key,
        id: key.to_string(),
        state: "succeeded".into(),
        worker: "shell".into(),
        cwd: "/".into(),
        command: Some("true".into()),
        submitted_at_ms: 1,
        ended_at_ms,
        ..HistoryTask::default()
    }
}

fn ids(reader: &Reader, filter: &HistoryFilter) -> Vec<u64> {
    let (tasks, is_more) = reader.page(filter, 1000).expect("it can be read");
    assert!(!is_more);
    tasks.iter().map(|task| task.key).collect()
}

#[test]
fn pages_follow_each_other_from_the_newest_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    // In no order, and many in one moment.
    let mut tasks: Vec<HistoryTask> = (1..=3000).map(|key| ended(key, 5_000)).collect();
    tasks.extend([ended(3001, 4_999), ended(3002, 5_001), ended(3003, 5_002)]);
    import(&path, &tasks);
    let reader = Reader::open(&path).unwrap();
    let mut filter = HistoryFilter::default();
    let mut seen = Vec::new();
    loop {
        let (page, is_more) = reader.page(&filter, 700).unwrap();
        seen.extend(page.iter().map(|task| (task.ended_at_ms, task.key)));
        filter.after = page
            .last()
            .map(|task| task.cursor.as_deref().unwrap().parse().unwrap());
        if !is_more {
            break;
        }
    }
    assert_eq!(seen.len(), tasks.len());
    assert_eq!(seen.last(), Some(&(4_999, 3001)));
    let mut keys: Vec<u64> = seen.iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    assert!(keys.iter().copied().eq(1..=3003), "each once");
    // What was pushed into later milliseconds is still found by its own.
    let filter = HistoryFilter {
        until_ms: Some(5_001),
        since_ms: Some(5_000),
        ..HistoryFilter::default()
    };
    assert_eq!(reader.page(&filter, 5000).unwrap().0.len(), 3000);
}

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

/// Tasks of a small world, in which much is alike.
fn any_task(key: u64) -> impl Strategy<Value = HistoryTask> {
    let word = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    (
        word(&["succeeded", "failed", "lost"]),
        word(&["", "api", "web", "apiweb"]),
        prop::option::of(word(&["nightly", "x"])),
        prop::option::of(word(&["ok", "exit_code", "timeout"])),
        prop::collection::vec(prop::option::of(word(&["ok", "exit_code", "limited"])), 0..3),
        prop::collection::vec(
            word(&["make", "Test", "ÄRGER", "äb", "a\"b", "''", "%_", "日本語"]),
            0..4,
        ),
        prop::option::of(word(&["no such file", "Make it so"])),
        (0_u64..40, any::<bool>()),
    )
        .prop_map(
            move |(state, workspace, label, reason, outcomes, words, message, (at, is_argv))| {
                let attempts = (1_u32..).zip(outcomes).map(|(n, outcome)| HistoryAttempt {
                    n,
                    outcome,
                    message: message.clone(),
                    started_at_ms: at,
                    ..HistoryAttempt::default()
                });
                HistoryTask {
                    state,
                    workspace,
                    label,
                    reason,
                    command: (!is_argv).then(|| words.join(" ")),
                    argv: is_argv.then_some(words),
                    attempts: attempts.collect(),
                    ..ended(key, at)
                }
            },
        )
}

fn any_filter() -> impl Strategy<Value = HistoryFilter> {
    let some = |words: &'static [&'static str]| {
        let word = prop::sample::select(words).prop_map(str::to_owned);
        prop::collection::vec(word, 0..3)
    };
    let texts: &[&str] = &[
        "make",
        "e t",
        "test",
        "Ärg",
        "äb",
        "\"",
        "''",
        "%",
        "本語",
        "so",
        "make test make",
        "nowhere",
    ];
    let text = || prop::option::of(prop::sample::select(texts).prop_map(str::to_owned));
    (
        some(&["succeeded", "failed", "lost"]),
        some(&["", "api", "web"]),
        some(&["nightly", "x"]),
        some(&["ok", "timeout"]),
        some(&["ok", "limited"]),
        text(),
        text(),
        (prop::option::of(0_u64..40), prop::option::of(0_u64..40)),
    )
        .prop_map(
            |(states, workspaces, labels, reasons, outcomes, command, search, (since_ms, until_ms))| {
                HistoryFilter {
                    states,
                    workspaces,
                    labels,
                    reasons,
                    outcomes,
                    command,
                    search,
                    since_ms,
                    until_ms,
                    ..HistoryFilter::default()
                }
            },
        )
}

/// What the filter means, said the long way.
fn passes(filter: &HistoryFilter, task: &HistoryTask) -> bool {
    let among = |values: &[String], value: Option<&String>| {
        values.is_empty() || value.is_some_and(|value| values.contains(value))
    };
    let holds = |text: &str, wanted: &str| text.to_lowercase().contains(&wanted.to_lowercase());
    let outcomes = task
        .attempts
        .iter()
        .filter_map(|attempt| attempt.outcome.as_ref());
    among(&filter.states, Some(&task.state))
        && among(&filter.workspaces, Some(&task.workspace))
        && among(&filter.labels, task.label.as_ref())
        && among(&filter.reasons, task.reason.as_ref())
        && (filter.outcomes.is_empty() || outcomes.into_iter().any(|one| filter.outcomes.contains(one)))
        && filter
            .command
            .as_ref()
            .is_none_or(|text| holds(&task.text(), text))
        && filter.search.as_ref().is_none_or(|text| {
            holds(&task.text(), text) || task.message().is_some_and(|said| holds(said, text))
        })
        && filter.since_ms.is_none_or(|since| task.ended_at_ms >= since)
        && filter.until_ms.is_none_or(|until| task.ended_at_ms < until)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn filters_let_through_what_they_say(
        tasks in (1_u64..30).prop_flat_map(|count| (1..=count).map(any_task).collect::<Vec<_>>()),
        filters in prop::collection::vec(any_filter(), 8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h");
        import(&path, &tasks);
        let reader = Reader::open(&path).unwrap();
        for filter in filters {
            let mut found = ids(&reader, &filter);
            found.sort_unstable();
            let wanted: Vec<u64> = tasks.iter().filter(|task| passes(&filter, task)).map(|task| task.key).collect();
            prop_assert_eq!(found, wanted, "{:?}", filter);
        }
    }
}

fn image(key: u64, state: State) -> Box<TaskImage> {
    let submission = Submission {
        key: TaskKey(key),
        lane: Lane {
            workspace: "".into(),
            worker: "shell".into(),
        },
        priority: 100,
        submitted_at: Tick(1000 + key),
        after: Vec::new(),
        not_before: None,
        start_by: None,
        held: false,
        backoff: Backoff {
            max_retries: 0,
            base_ms: 1,
            max_ms: 1,
        },
        session: None,
        cost: 0,
        needs: Needs::default(),
    };
    let is_end = state.is_end();
    let attempt = AttemptImage {
        attempt: 1,
        started_at: Tick(2000),
        ended_at: Some(Tick(3000)),
        outcome: Some("ok".into()),
        message: None,
        exit: None,
        session: None,
        claude: None,
    };
    Box::new(TaskImage {
        report: None,
        task: Task {
            submission,
            state,
            reason: is_end.then_some(Reason::Ok),
            attempts: u32::from(is_end),
            retries: 0,
            slot: None,
            stopping: false,
            relief: None,
        },
        spec: Spec {
            name: None,
            command: Some("true".into()),
            argv: None,
            cwd: "/".into(),
            env: EnvHash(7),
            label: None,
            timeout_ms: None,
            claude: None,
            extra: None,
            parent: None,
            content: 0,
        },
        attempts: if is_end { vec![attempt] } else { Vec::new() },
        ended_at: is_end.then_some(Tick(3000 + key)),
        revived_after: 0,
    })
}

fn kept(key: u64, state: State) -> Kept {
    Kept {
        image: image(key, state),
        variables: Some(Arc::new(BTreeMap::from([("A".to_owned(), "b".to_owned())]))),
        is_leaving: false,
    }
}

fn batch(kept: Vec<Kept>) -> Batch {
    Batch {
        kept,
        now_ms: 9,
        ..Batch::default()
    }
}

/// Everything, as after a crash.
fn all(kept: Vec<Kept>, record: u64) -> Batch {
    Batch {
        range: Some(Range {
            first: TaskKey(0),
            last: TaskKey(u64::MAX),
        }),
        caught_up: Some(record),
        ..batch(kept)
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn give(writer: &Writer, batch: Batch) {
    until("room", || writer.has_room());
    assert!(writer.hand_over(batch));
}

fn finish(writer: Writer) {
    until("all is written", || writer.is_idle());
    writer.finish(Duration::from_secs(60));
}

fn backed_up(path: &Path) -> Vec<(u64, String, bool)> {
    let mut found = Vec::new();
    let reader = Reader::open(path).unwrap();
    let take = |task: BackedUp| {
        let image = task.image.expect("it can be read");
        let (key, state) = (image.task.submission.key.0, image.task.state.name().to_owned());
        found.push((key, state, task.stray_since_ms.is_some()));
    };
    reader.each_backed_up(take).unwrap();
    found
}

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

/// A file of the first format, as that version left it.
#[test]
fn the_first_format_keeps_loading() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/history-v1/history.sqlite");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    std::fs::copy(fixture, &path).unwrap();
    let check = |expected: &[u64]| {
        let reader = Reader::open(&path).unwrap();
        assert_eq!(ids(&reader, &HistoryFilter::default()), expected);
        let filter = HistoryFilter {
            search: Some("WINE".into()),
            workspaces: vec!["cellar".into()],
            ..HistoryFilter::default()
        };
        assert_eq!(ids(&reader, &filter), [1]);
        let task = reader.page(&filter, 1).unwrap().0.remove(0);
        assert_eq!(task.outcomes(), "exit_code ok");
        assert_eq!((task.label.as_deref(), task.attempts[1].n), (Some("red"), 2));
    };
    check(&[2, 1]);
    assert_eq!(
        backed_up(&path),
        [(2, "failed".to_owned(), false), (3, "held".to_owned(), false)]
    );
    let backup = Reader::open(&path).unwrap().backup().unwrap();
    assert_eq!(
        backup.environments[&7],
        BTreeMap::from([("A".to_owned(), "b".to_owned())])
    );
    assert_eq!((backup.used_ids, backup.state.len()), (vec![u64::MAX, 5], 1));
    assert!(backup.unreadable.is_empty());
    // It can be written on, and what was there goes where it has to.
    let writer = Writer::start(path.clone(), 12).unwrap();
    until("it is open", || writer.has_room());
    assert!(!writer.take_comparison());
    give(
        &writer,
        batch(vec![kept(2, State::Succeeded), kept(3, State::Failed)]),
    );
    finish(writer);
    check(&[3, 2, 1]);
}
