//! Batches as the engine hands them over, the writer that takes them, and what its backup holds then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wezterm_parallel_scheduler::{Backoff, Lane, Needs, Reason, State, Submission, Task, TaskKey, Tick};

use super::*;
use crate::journal::{AttemptImage, EnvHash, Spec, TaskImage};

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

pub(super) fn kept(key: u64, state: State) -> Kept {
    Kept {
        image: image(key, state),
        variables: Some(Arc::new(BTreeMap::from([("A".to_owned(), "b".to_owned())]))),
        is_leaving: false,
    }
}

pub(super) fn batch(kept: Vec<Kept>) -> Batch {
    Batch {
        kept,
        now_ms: 9,
        ..Batch::default()
    }
}

/// Everything, as after a crash.
pub(super) fn all(kept: Vec<Kept>, record: u64) -> Batch {
    Batch {
        range: Some(Range {
            first: TaskKey(0),
            last: TaskKey(u64::MAX),
        }),
        caught_up: Some(record),
        ..batch(kept)
    }
}

pub(super) fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(super) fn give(writer: &Writer, batch: Batch) {
    until("room", || writer.has_room());
    assert!(writer.hand_over(batch));
}

pub(super) fn finish(writer: Writer) {
    until("all is written", || writer.is_idle());
    writer.finish(Duration::from_secs(60));
}

pub(super) fn backed_up(path: &Path) -> Vec<(u64, String, bool)> {
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
