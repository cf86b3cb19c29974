//! What the engine is made of, and where everything comes in that it reacts to.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};
use wezterm_parallel_scheduler::{Limit, LimitScope, Limits};

use super::recover;
use crate::config::Config;
use crate::executor::{Executor, Report};
use crate::journal::Journal;
use crate::listener::{Heard, Listener};
use crate::protocol::{Answer, DaemonInfo, ErrorAnswer, Event, Message, Subscribe};

/// What the server and the signals ask of the engine.
#[derive(Debug)]
pub enum Command {
    /// The lines that one connection sent together, each decoded or refused already.
    Ask {
        /// In the order in which they came.
        messages: Vec<Result<Message, ErrorAnswer>>,
        /// One answer for each.
        reply: oneshot::Sender<Vec<Answer>>,
    },
    /// A connection wants events.
    Subscribe {
        /// Which.
        wanted: Subscribe,
        /// Where they go; when it is full, events are dropped and counted.
        events: mpsc::Sender<Event>,
        /// The tasks as they stand at the first event.
        reply: oneshot::Sender<Answer>,
    },
    /// A new config; warnings that came with it.
    Reload(Box<Config>, Vec<String>),
    /// A config that could not be read: the old one stays.
    ReloadFailed(String),
    /// End now; workers go on.
    End,
}

/// What the engine is made of; everything that touches the outside comes in here.
pub struct Parts {
    /// The config in force.
    pub config: Config,
    /// The journal, loaded.
    pub journal: Journal,
    /// What was loaded from it.
    pub recovered: recover::Recovered,
    /// Runs attempts.
    pub executor: Box<dyn Executor>,
    /// Listens to Claude workers.
    pub listener: Listener,
    /// `tasks/` in the data folder.
    pub tasks_folder: PathBuf,
    /// `status.json`.
    pub status_file: PathBuf,
    /// The daemon's own environment: what a task gets that brings none.
    pub environment: std::collections::BTreeMap<String, String>,
    /// Who we are.
    pub info: DaemonInfo,
}

/// Where everything comes in that the engine reacts to.
pub struct Inputs {
    /// From the server and the signals.
    pub commands: mpsc::Receiver<Command>,
    /// From the executor.
    pub reports: mpsc::Receiver<Report>,
    /// From the listener.
    pub heard: mpsc::Receiver<Heard>,
}

/// The scheduler's limits as the config has them.
pub(super) fn limits(config: &Config) -> Limits {
    let workers = config.workers.iter().filter_map(|(name, worker)| {
        worker.max_parallel.map(|max_parallel| Limit {
            scope: LimitScope::Worker(name.as_str().into()),
            max_parallel,
        })
    });
    let workspaces = config.limits.workspaces.iter().map(|(name, max_parallel)| Limit {
        scope: LimitScope::Workspace(name.as_str().into()),
        max_parallel: *max_parallel,
    });
    Limits {
        slots: config.pool.slots.count(),
        aging_step_ms: u64::try_from(config.scheduler.aging_step.as_millis()).unwrap_or(u64::MAX),
        lanes: workers.chain(workspaces).collect(),
        jitter_seed: config.scheduler.jitter_seed,
        lend: config.pool.lend,
    }
}
