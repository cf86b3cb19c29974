//! How a long-lived process stands in the journal: what was asked for, and what has become of it.
//!
//! Each change is one record with the whole of it. A process changes seldom, and the newest record is all that counts:
//! replay needs no order among parts, and a snapshot is the same records once more.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wezterm_parallel_scheduler::Tick;

use super::{AttemptImage, EnvHash};
use crate::protocol::{ReadyCheck, RestartPolicy};

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessImage {
    /// What was asked for.
    pub spec: ProcessSpec,
    /// What has become of it.
    pub standing: ProcessStanding,
}

impl ProcessImage {
    /// It has been run once more, or several times, than is known: what became of the last of these runs is to be found out.
    pub(crate) fn catch_up(&mut self, newest_run: u32, now: Tick) {
        let Self { spec, standing } = self;
        if newest_run <= standing.run {
            return;
        }
        standing.run = newest_run;
        standing.next_at = None;
        standing.then = None;
        standing.why = None;
        standing.state = if spec.ready.is_some() {
            ProcessState::Starting
        } else {
            ProcessState::Running
        };
        // When it was started, nobody knows any more: what it has time for is counted from now on.
        standing.runs.push(AttemptImage::started(newest_run, now));
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The user's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Its workspace.
    pub workspace: Arc<str>,
    /// The shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<str>>,
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Box<[String]>>,
    /// The working folder.
    pub cwd: Arc<str>,
    /// The environment.
    pub env: EnvHash,
    /// What follows when it ends by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// The most restarts in a row.
    pub max_restarts: u32,
    /// How it is found out that it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyCheck>,
    /// The time that it has for that, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_timeout_ms: Option<NonZeroU64>,
    /// What it declares to need; 0 for nothing.
    #[serde(default)]
    pub memory_bytes: u64,
    /// When it was spawned.
    pub created_at: Tick,
    /// Hash of the client's message, to tell a repeat from another process of the same name.
    pub content: u64,
}

/// What has become of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessStanding {
    /// Where it stands.
    pub state: ProcessState,
    /// The number of its newest run, from 1; 0 before the first.
    pub run: u32,
    /// Restarts in a row.
    #[serde(default)]
    pub restarts: u32,
    /// In `backoff`: when the next run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Tick>,
    /// In `stopping`: what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<AfterStop>,
    /// Why it stands so, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
    /// Its last runs, oldest first.
    #[serde(default)]
    pub runs: Vec<AttemptImage>,
    /// What it reports of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Box<Reported>>,
}

/// Where a process stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It was started and is not ready yet.
    Starting,
    /// It runs, and nobody has said how to see that it is ready.
    Running,
    /// It is ready.
    Ready,
    /// It ended, and is started again in a while.
    Backoff,
    /// It was told to end.
    Stopping,
    /// It ended, and that is all right.
    #[default]
    Stopped,
    /// It ended, and is not started again by itself.
    Failed,
}

impl ProcessState {
    /// Its name in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// Whether a run is under way.
    #[must_use]
    pub fn is_up(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Ready | Self::Stopping => true,
            Self::Backoff | Self::Stopped | Self::Failed => false,
        }
    }

    /// Whether nothing comes of it by itself any more.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// What follows a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterStop {
    /// It stays stopped.
    Stay,
    /// It starts anew.
    Start,
    /// It is removed.
    Remove,
    /// It was not ready in time: as after a failure.
    Unready,
}

/// What a worker has reported of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// It waits for somebody.
    pub waiting: bool,
    /// In its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// When.
    pub at: Tick,
}
