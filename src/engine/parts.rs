//! What the engine is made of, and where everything comes in that it reacts to.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use wezterm_parallel_scheduler::{Limit, LimitScope, Limits, Share};

use super::admission::Gauging;
use super::agents::Shims;
use super::clock::Clock;
use super::drafts::{Bell, Draft, Remembering};
use super::history::History;
use super::questions::Questions;
use super::status_file::StatusFile;
use super::tally::Tally;
use super::upkeep::Upkeep;
use super::watchers::Watchers;
use super::workspaces::Tables;
use super::{recover, Engine, Lineage};
use crate::cgroup::Means;
use crate::config::Config;
use crate::executor::{AttemptId, Executor, Report};
use crate::gauge::{Gauge, Gauged};
use crate::journal::Journal;
use crate::listener::{Heard, Listener};
use crate::metrics::Ledger;
use crate::prober::Prober;
use crate::protocol::{Answer, DaemonInfo, ErrorAnswer, Event, Message, Subscribe};
use crate::templates::Templates;
use crate::worker::Profiles;

/// What the server and the signals ask of the engine.
#[derive(Debug)]
pub enum Command {
    /// The lines that one connection sent together, each decoded or refused already.
    Ask {
        /// In the order in which they came.
        messages: Vec<Result<Message, ErrorAnswer>>,
        /// Who sent them.
        from: Lineage,
        /// When they were read.
        read_at: Instant,
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
    /// Whoever saves sessions wants to know how workspaces stand.
    Drafts {
        /// Ids of tasks and processes that viewers show.
        shown: Vec<String>,
        /// What is wrong with sessions, in words: it stands among the daemon's warnings until it is over.
        trouble: Vec<String>,
        /// One for each workspace.
        reply: oneshot::Sender<Vec<Draft>>,
    },
    /// The config was read again.
    Reload(Box<Reloaded>),
    /// A config that could not be read: the old one stays.
    ReloadFailed(String),
    /// End now; workers go on.
    End,
}

/// A config that was read again.
#[derive(Debug)]
pub struct Reloaded {
    /// The new config.
    pub config: Config,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// Where metrics are served now.
    pub metrics: Option<String>,
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
    /// Reads the host.
    pub gauge: Gauge,
    /// Finds out whether processes are ready.
    pub prober: Prober,
    /// `tasks/` in the data folder.
    pub tasks_folder: PathBuf,
    /// `status.json`.
    pub status_file: PathBuf,
    /// `peaks.json` in the data folder.
    pub peaks_file: PathBuf,
    /// `history.sqlite` in the data folder.
    pub history_file: PathBuf,
    /// Rings when sessions are to be saved.
    pub bell: Bell,
    /// Templates of workspaces.
    pub templates: Templates,
    /// The daemon's own environment: what a task gets that brings none.
    pub environment: BTreeMap<String, String>,
    /// Whether workers can have control groups of their own.
    pub groups: Means,
    /// What is counted.
    pub metrics: Ledger,
    /// Who we are, and what lasts of what the daemon warns of.
    pub info: DaemonInfo,
    /// What came of reading the config: the next reading replaces it.
    pub warnings: Vec<String>,
}

/// Where everything comes in that the engine reacts to.
pub struct Inputs {
    /// From the server and the signals.
    pub commands: mpsc::Receiver<Command>,
    /// From the executor.
    pub reports: mpsc::Receiver<Report>,
    /// From the listener.
    pub heard: mpsc::Receiver<Heard>,
    /// From the gauge.
    pub gauged: mpsc::Receiver<Gauged>,
    /// From the prober.
    pub probed: mpsc::Receiver<AttemptId>,
}

impl Engine {
    /// Puts the parts together. Nothing runs before [`Engine::run`].
    #[must_use]
    pub fn new(parts: Parts, inputs: Inputs) -> Self {
        let Parts {
            mut config,
            journal,
            recovered,
            executor,
            listener,
            gauge,
            prober,
            tasks_folder,
            status_file,
            peaks_file,
            history_file,
            bell,
            templates,
            environment,
            groups,
            metrics,
            info,
            warnings,
        } = parts;
        let tables = Tables::of(&config);
        tables.with(&recovered.store.workspaces).into_config(&mut config);
        let mut engine = Self {
            tables,
            profiles: Profiles::new(&config.workers),
            tally: Tally::new(metrics, &config),
            history: History::new(history_file, &config, journal.last_lsn()),
            remembering: Remembering::new(bell, &recovered.store, &recovered.scheduler),
            clock: Clock::start(recovered.newest),
            upkeep: Upkeep::new(&config, tasks_folder.clone()),
            status_file: StatusFile::new(status_file),
            shims: Shims::default(),
            watchers: Watchers::default(),
            listener,
            gauge,
            prober,
            gauging: Gauging::default(),
            peaks_file,
            accounts: recovered.accounts,
            questions: Questions::new(),
            sessions: HashMap::new(),
            next_day: None,
            own_reports: Vec::new(),
            unwritten: Vec::new(),
            unwritten_removals: Vec::new(),
            unwritten_folders: Vec::new(),
            stop_plans: HashMap::new(),
            journal_failing: None,
            ending: None,
            config,
            scheduler: recovered.scheduler,
            store: recovered.store,
            journal,
            executor,
            tasks_folder,
            templates,
            environment,
            groups,
            lasting_warnings: info.warnings.clone(),
            info,
            commands: inputs.commands,
            reports: inputs.reports,
            heard: inputs.heard,
            gauged: inputs.gauged,
            probed: inputs.probed,
        };
        engine.warn(warnings);
        engine.log_lacking_limits();
        engine
    }
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

/// The weights of workspaces as the config has them.
pub(super) fn shares(config: &Config) -> Vec<Share> {
    let share = |(name, weight): (&String, &u32)| Share {
        workspace: name.as_str().into(),
        weight: *weight,
    };
    config.limits.weights.iter().map(share).collect()
}
