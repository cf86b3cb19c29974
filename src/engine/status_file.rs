//! `status.json`: the queue in one small file, for status bars that must not wait for a socket.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use wezterm_parallel_scheduler::Tick;

use crate::protocol::{GateView, ProcessCounts, Summary};

/// At most four times a second.
const SPACING_MS: u64 = 250;
/// Without a change: so often that a reader can tell a dead daemon.
const HEARTBEAT_MS: u64 = 5_000;

/// The states of tasks that run later, by themselves or once somebody lets them: while there are any, the queue
/// is not empty.
const WAITING: [&str; 4] = ["delayed", "blocked", "held", "paused"];

/// Writes the file when something changed, and as a heartbeat.
pub(super) struct StatusFile {
    path: PathBuf,
    written: Option<Tick>,
    changed: bool,
}

/// What stands in the file; documented in docs/protocol.md.
#[derive(Serialize)]
struct Content<'a> {
    version: u32,
    pid: u32,
    updated_at_ms: u64,
    queued: usize,
    running: usize,
    slots: u32,
    paused: bool,
    attention: usize,
    waiting: usize,
    failed: usize,
    processes: ProcessCounts,
    blocked_by: &'a [GateView],
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_error: Option<&'a str>,
}

impl StatusFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: None,
            changed: true,
        }
    }

    /// Something changed.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// How long until it is due.
    pub(super) fn due_in(&self, now: Tick) -> Option<Duration> {
        let wait = if self.changed { SPACING_MS } else { HEARTBEAT_MS };
        let due = self.written.map_or(now, |written| written.plus_ms(wait));
        Some(Duration::from_millis(due.ms_since(now)))
    }

    /// Whether it is due.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.due_in(now).is_some_and(|wait| wait.is_zero())
    }

    /// Writes it. A failure is not worth more than a line in the log: the queue goes on.
    pub(super) fn write(&mut self, now: Tick, summary: &Summary, journal_error: Option<&str>) {
        let state = |name: &str| summary.states.get(name).copied().unwrap_or(0);
        let content = Content {
            version: 1,
            pid: std::process::id(),
            updated_at_ms: now.0,
            queued: summary.queued,
            running: summary.running,
            slots: summary.slots,
            paused: summary.paused,
            attention: summary.attention,
            waiting: WAITING.into_iter().map(state).sum(),
            failed: state("failed") + state("lost"),
            processes: summary.processes,
            blocked_by: &summary.blocked_by,
            journal_error,
        };
        self.written = Some(now);
        self.changed = false;
        if let Err(error) = replace(&self.path, &content) {
            tracing::debug!(path = %self.path.display(), %error, "the status file could not be written");
        }
    }

    /// The daemon ends: a reader sees at once that it is off.
    pub(super) fn remove(&self) {
        // It may never have been written.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Puts the new content in place of the old in one step.
fn replace(path: &Path, content: &Content<'_>) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    let mut bytes = serde_json::to_vec(content)?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_counted_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let states = [
            ("delayed", 1),
            ("blocked", 2),
            ("held", 4),
            ("paused", 8),
            ("waiting", 16),
            ("failed", 32),
            ("lost", 64),
            ("succeeded", 128),
        ];
        let summary = Summary {
            states: states.map(|(name, count)| (name.to_owned(), count)).into(),
            queued: 3,
            attention: 16,
            ..Summary::default()
        };
        let mut file = StatusFile::new(path.clone());
        file.write(Tick(7), &summary, None);
        let content: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let count = |name: &str| content[name].as_u64();
        assert_eq!(count("waiting"), Some(15));
        assert_eq!(count("attention"), Some(16));
        assert_eq!(count("failed"), Some(96));
        assert_eq!(count("queued"), Some(3));
        assert_eq!(count("version"), Some(1));
    }
}
