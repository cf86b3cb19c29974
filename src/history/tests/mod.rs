//! The history's tests by subject, and what they share: tasks as the history keeps them, and reading them back.

use std::path::Path;

use super::*;

mod backup;
mod faults;
mod filters;
mod formats;
mod import;
mod writing;

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
