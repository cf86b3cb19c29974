//! The journal's tests share these records and folders; each file beside this one is a theme.

mod fault;
mod model;
mod refuse;
mod snapshot;
mod torn;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use wezterm_parallel_scheduler::{Backoff, Change, Lane, Needs, State, Submission, Task, TaskKey, Tick};

use super::storage::Storage;
use super::*;

/// A folder for one test, in memory where that is to be had: thousands of syncs are made here.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn submission(key: u64) -> Submission {
    Submission {
        key: TaskKey(key),
        lane: Lane {
            workspace: "".into(),
            worker: "shell".into(),
        },
        priority: 100,
        submitted_at: Tick(key),
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
    }
}

#[test]
fn an_input_alone_stands_as_text_as_it_did_in_old_records() {
    let mut spec = spec(1);
    for (extra, stands_as) in [
        (Extra::of(None, None), None),
        (Extra::of(Some("in".into()), None), Some(serde_json::json!("in"))),
        (
            Extra::of(Some("in".into()), Some(WorktreeSpec::default())),
            Some(serde_json::json!({"text": "in", "worktree": {}})),
        ),
    ] {
        spec.extra = extra;
        let value = serde_json::to_value(&spec).unwrap();
        assert_eq!(value.get("stdin").cloned(), stands_as);
        assert_eq!(serde_json::from_value::<Spec>(value).unwrap(), spec);
    }
}

fn spec(key: u64) -> Spec {
    Spec {
        name: None,
        command: Some(format!("echo {key}\nsecond line ü").into()),
        argv: None,
        cwd: Arc::from("/home/me"),
        env: EnvHash(7),
        label: None,
        timeout_ms: None,
        extra: None,
        claude: None,
        parent: None,
        content: key,
    }
}

fn submitted(key: u64) -> Record {
    Record::Submitted {
        submission: Box::new(submission(key)),
        spec: Box::new(spec(key)),
    }
}

/// A change that can be told from all others by `step`.
fn changed(key: u64, step: u32) -> Record {
    Record::Changed {
        at: Tick(1),
        key: TaskKey(key),
        change: Change::Started {
            attempt: step,
            slot: 0,
        },
    }
}

fn removed(keys: &[u64]) -> Record {
    Record::Removed {
        keys: keys.iter().copied().map(TaskKey).collect(),
        spent: Vec::new(),
    }
}

fn state(next_key: u64) -> Record {
    Record::State {
        next_key,
        reserved: vec![(3, 4)],
        spent: vec![9],
        at: Tick(5),
    }
}

/// A task as it stands after `steps`.
fn image(key: u64, steps: &[u32]) -> Record {
    let attempt = |step: &u32| AttemptImage {
        session: None,
        claude: None,
        attempt: *step,
        started_at: Tick(1),
        ended_at: None,
        outcome: None,
        message: None,
        exit: None,
    };
    Record::Image(Box::new(TaskImage {
        revived_after: 0,
        task: Task {
            submission: submission(key),
            state: State::Queued,
            reason: None,
            attempts: 0,
            retries: 0,
            slot: None,
            stopping: false,
            relief: None,
        },
        spec: spec(key),
        attempts: steps.iter().map(attempt).collect(),
        ended_at: None,
    }))
}

fn options() -> Options {
    Options::default()
}

fn open(folder: &Path) -> Result<(Opened, Vec<Record>), JournalError> {
    let mut records = Vec::new();
    let opened = Journal::open(folder, options(), |record| records.push(record))?;
    assert_eq!(opened.records, records.len() as u64);
    Ok((opened, records))
}

fn records_of(folder: &Path) -> Vec<Record> {
    open(folder).unwrap().1
}

/// A journal of one commit for each of `commits`.
fn write(folder: &Path, commits: &[&[Record]]) {
    let mut journal = open(folder).unwrap().0.journal;
    for records in commits {
        journal.commit(records).unwrap();
    }
}

fn segment(folder: &Path, number: u32) -> PathBuf {
    listing::segment_path(folder, number)
}

fn snapshot_file(folder: &Path, number: u32) -> PathBuf {
    listing::snapshot_path(folder, number)
}

fn forget_marker(folder: &Path) {
    fs::remove_file(marker::path(folder)).unwrap();
}

fn wait_for_snapshot(journal: &mut Journal) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while journal.snapshot_in_progress() {
        assert!(std::time::Instant::now() < deadline, "the snapshot hangs");
        std::thread::yield_now();
    }
}

/// Every file's content by name, to show that nothing was changed.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The same files in another folder.
fn copy(from: &Path) -> TempDir {
    let target = folder();
    for (path, bytes) in contents(from) {
        fs::write(target.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    target
}
