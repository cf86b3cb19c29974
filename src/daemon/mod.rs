//! The daemon: puts journal, executor, engine and server together, and runs them until told to end.
//!
//! Ending is never more than stopping to look: workers belong to their shims, and what was
//! acknowledged is in the journal. SIGKILL, a planned restart and an upgrade are the same path.

mod clients;
mod connection;
mod figures;
mod lock;
mod peer;
mod server;
mod session_keeper;
mod surroundings;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{mpsc, watch};

use self::clients::Clients;
use self::figures::{identified, info, reloader, serve_metrics};
use self::lock::{Lock, LockError};
use self::server::{Reload, Settings};
use self::session_keeper::SessionKeeper;
use self::surroundings::{enter_group, own_environment, own_program, raise_file_limit};
use crate::config::{ensure_private_dir, Config, ConfigError, Loaded, Paths};
use crate::engine::{self, Bell, Command, Engine, Inputs, Parts};
use crate::executor::{AttemptId, ExecutorOptions, ProcessExecutor, Report};
use crate::gauge::{Gauge, Gauged};
use crate::journal::{self, JournalError};
use crate::listener::{Heard, Listener};
use crate::logging::{self, Destination, LogError};
use crate::metrics::{Endpoint, Exporter, Ledger};
use crate::prober::Prober;
use crate::protocol::{DaemonInfo, ErrorAnswer, ErrorCode};
use crate::templates::Templates;

/// A daemon that no longer listens lets go of its lock within this time.
const ENDING_PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to take the lock.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// Where everything is.
    pub paths: Paths,
    /// The config file, if another than the usual one.
    pub config: Option<PathBuf>,
    /// In the background: a session of its own, and a log file.
    pub detach: bool,
}

/// Why a daemon could not start or go on.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// Another one has the lock.
    #[error("a daemon is running already{}", .pid.map(|pid| format!(", as process {pid}")).unwrap_or_default())]
    AlreadyRunning {
        /// Its process, if it says so.
        pid: Option<u32>,
    },
    /// A daemon with another runtime folder (started by cron or sudo, say) has the data folder.
    #[error(
        "a daemon with another runtime folder uses {}{}: talk to that one with --socket",
        .data.display(), .pid.map(|pid| format!(", as process {pid}")).unwrap_or_default()
    )]
    DataInUse {
        /// The data folder.
        data: PathBuf,
        /// Its process, if it says so.
        pid: Option<u32>,
    },
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal cannot be loaded.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Something on the system is in the way.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What went wrong.
        source: io::Error,
    },
}

impl DaemonError {
    /// What to do about it; empty if the message says it all.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::AlreadyRunning { .. } => "`wezterm-parallel shutdown` ends it; its tasks go on".to_owned(),
            // The message names the way out.
            Self::DataInUse { .. } => String::new(),
            Self::Config(error) => error.hint(),
            Self::Journal(error) => error.hint().to_owned(),
            Self::Log(_) | Self::Io { .. } => "`wezterm-parallel doctor` looks for the cause".to_owned(),
        }
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// When it cannot start: see [`DaemonError`]. Once it runs, faults are answered and logged instead.
pub fn run(options: &DaemonOptions) -> Result<(), DaemonError> {
    let paths = &options.paths;
    for folder in [&paths.data, &paths.runtime, &paths.log_dir] {
        ensure_private_dir(folder)?;
    }
    if options.detach {
        // It fails only for a process that leads a group already, which is as good.
        let _ = rustix::process::setsid();
    }
    let _locks = take_locks(options)?;
    let loaded = load_config(options)?;
    let destination = if options.detach {
        Destination::Folder(paths.log_dir.clone())
    } else {
        Destination::Stderr
    };
    let filter = std::env::var(logging::FILTER_VARIABLE).ok();
    let _log = logging::start(&destination, &loaded.config.log, filter.as_deref())?;
    let listener = server::bind(&paths.socket)
        .map_err(DaemonError::io(format!("the socket {}", paths.socket.display())))?;
    let waiting = listener
        .try_clone()
        .map_err(DaemonError::io("a second handle of the socket"))?;
    let ended = serve(options, loaded, listener);
    // Whoever comes next makes its own; a stale one would only cost it a failed connect.
    let _ = std::fs::remove_file(&paths.socket);
    match &ended {
        Ok(()) => {
            tracing::info!("the daemon ends; workers go on");
            server::turn_away(&waiting, &ErrorAnswer::shutting_down());
        }
        Err(error) => server::turn_away(&waiting, &refusal(error)),
    }
    ended
}

/// Keeps daemons away from the data folder as long as it is held; for what must not run beside one.
///
/// # Errors
/// `DataInUse` while a daemon has it.
pub fn lock_data(paths: &Paths) -> Result<impl Sized, DaemonError> {
    take_lock(&paths.data_lock).map_err(|error| match error {
        DaemonError::AlreadyRunning { pid } => DaemonError::DataInUse {
            data: paths.data.clone(),
            pid,
        },
        error => error,
    })
}

/// What a client hears that connected while a daemon was starting that could not.
fn refusal(error: &DaemonError) -> ErrorAnswer {
    let code = match error {
        DaemonError::Journal(_) => ErrorCode::JournalFailed,
        _ => ErrorCode::ShuttingDown,
    };
    let message = format!("the daemon could not be started: {error}");
    ErrorAnswer::new(code, message, error.hint())
}

/// One for each folder: no other daemon has this socket, or this data.
fn take_locks(options: &DaemonOptions) -> Result<impl Sized, DaemonError> {
    let paths = &options.paths;
    let deadline = Instant::now() + ENDING_PATIENCE;
    loop {
        let locks = take_lock(&paths.daemon_lock).and_then(|lock| Ok((lock, lock_data(paths)?)));
        // Whoever holds one but does not listen is ending, most likely. In the background there is
        // no need to wait: the command that wants a daemon starts another one.
        let may_end = || !options.detach && UnixStream::connect(&paths.socket).is_err();
        match locks {
            Err(DaemonError::AlreadyRunning { .. } | DaemonError::DataInUse { .. })
                if Instant::now() < deadline && may_end() =>
            {
                std::thread::sleep(BETWEEN_TRIES);
            }
            locks => return locks,
        }
    }
}

fn take_lock(path: &Path) -> Result<Lock, DaemonError> {
    Lock::take(path).map_err(|error| match error {
        LockError::Held { pid } => DaemonError::AlreadyRunning { pid },
        LockError::Io(source) => DaemonError::Io {
            what: format!("the lock {}", path.display()),
            source,
        },
    })
}

fn load_config(options: &DaemonOptions) -> Result<Loaded, ConfigError> {
    Config::load(options.config.as_deref(), std::env::vars(), &options.paths)
}

/// Loads the journal, starts the engine on a thread of its own, and serves until it ends.
fn serve(
    options: &DaemonOptions,
    loaded: Loaded,
    listener: std::os::unix::net::UnixListener,
) -> Result<(), DaemonError> {
    let (commands_tx, commands_rx) = mpsc::channel(engine::COMMANDS_MAX);
    let (reports_tx, reports_rx) = mpsc::channel(engine::REPORTS_MAX);
    let (heard_tx, heard_rx) = mpsc::channel(crate::listener::HEARD_MAX);
    let (gauged_tx, gauged_rx) = mpsc::channel(crate::gauge::GAUGED_MAX);
    let (probed_tx, probed_rx) = mpsc::channel(crate::prober::PROBED_MAX);
    let settings = Settings::from_config(&loaded.config);
    let exporter = Arc::new(Exporter::new());
    let endpoint = Endpoint::start(Arc::clone(&exporter));
    let endpoint = endpoint.map_err(DaemonError::io("the thread of the metrics"))?;
    let clients = Arc::new(Clients::new(Arc::clone(&exporter)));
    let keeper = SessionKeeper::new(&options.paths, commands_tx.downgrade());
    let bell = keeper
        .start()
        .map_err(DaemonError::io("the thread of the sessions"))?;
    let parts = parts(
        options,
        loaded,
        (&endpoint, exporter.ledger(), bell),
        (reports_tx, heard_tx, gauged_tx, probed_tx),
    )?;
    let inputs = Inputs {
        commands: commands_rx,
        reports: reports_rx,
        heard: heard_rx,
        gauged: gauged_rx,
        probed: probed_rx,
    };
    raise_file_limit();
    let (ended_tx, ended_rx) = watch::channel(false);
    let engine = std::thread::Builder::new().name("engine".to_owned());
    let engine = engine
        .spawn(move || {
            let ended = run_engine(Engine::new(parts, inputs));
            // The server may have ended first.
            let _ = ended_tx.send(true);
            ended
        })
        .map_err(DaemonError::io("the engine's thread"))?;
    let reload = reloader(options.clone(), endpoint, Arc::clone(&clients));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DaemonError::io("the server's runtime"))?;
    runtime.block_on(async {
        tokio::spawn(obey_signals(commands_tx.clone(), Arc::clone(&reload)));
        server::serve(listener, commands_tx, (settings, clients), reload, ended_rx).await;
    });
    match engine.join() {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn run_engine(engine: Engine) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.map_err(DaemonError::io("the engine's runtime"))?;
    runtime.block_on(engine.run());
    Ok(())
}

/// Where the parts put what they have to say to the engine.
type Senders = (
    mpsc::Sender<Report>,
    mpsc::Sender<Heard>,
    mpsc::Sender<Gauged>,
    mpsc::Sender<AttemptId>,
);

/// Before the executor, whose launcher shall be where this process is, comes the control group. Then the executor: only when an older daemon's launcher is gone do attempt folders say the truth.
fn parts(
    options: &DaemonOptions,
    loaded: Loaded,
    (endpoint, ledger, bell): (&Endpoint, Ledger, Bell),
    (reports, heard, gauged, probed): Senders,
) -> Result<Parts, DaemonError> {
    let paths = &options.paths;
    let groups = enter_group(&paths.data);
    let executor = ExecutorOptions {
        runtime: paths.runtime.clone(),
        lock: paths.data.join("launcher.lock"),
        program: own_program()?,
    };
    let executor = ProcessExecutor::start(executor, reports).map_err(DaemonError::io("the launcher"))?;
    let journal = journal::Options {
        segment_bytes: loaded.config.journal.snapshot_bytes.0,
    };
    let (journal, recovered, lasting) = engine::recover(&paths.data.join("journal"), journal)?;
    let mut warnings = loaded.warnings;
    // After the executor, which has waited for an older daemon's end: its port is free again.
    let metrics = serve_metrics(endpoint, &loaded.config, &mut warnings);
    let info = DaemonInfo {
        metrics,
        groups: Some(groups.words()),
        ..info(paths, loaded.file.as_deref(), lasting)
    };
    Ok(Parts {
        config: loaded.config,
        journal,
        recovered,
        executor: Box::new(executor),
        listener: Listener::start(heard).map_err(DaemonError::io("the listener's thread"))?,
        gauge: Gauge::start(Box::new(crate::host::Sampler::new()), gauged)
            .map_err(DaemonError::io("the gauge's thread"))?,
        prober: Prober::new(probed),
        tasks_folder: paths.data.join("tasks"),
        peaks_file: paths.data.join("peaks.json"),
        history_file: paths.history(),
        status_file: paths.status_file.clone(),
        bell,
        templates: Templates::new(paths.templates()),
        environment: own_environment(),
        groups,
        metrics: identified(ledger, &info),
        info,
        warnings,
    })
}

/// SIGHUP reads the config again; SIGTERM and SIGINT end the daemon, and workers go on.
async fn obey_signals(commands: mpsc::Sender<Command>, reload: Reload) {
    let streams = || {
        Ok((
            signal(SignalKind::hangup())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    };
    let (mut hangup, mut terminate, mut interrupt) = match streams() {
        Ok(streams) => streams,
        Err(error) => {
            let error: io::Error = error;
            tracing::error!(%error, "signals cannot be received");
            return;
        }
    };
    loop {
        let command = tokio::select! {
            _ = hangup.recv() => match reload() {
                Ok(reloaded) => Command::Reload(Box::new(reloaded)),
                Err(error) => Command::ReloadFailed(error.to_string()),
            },
            _ = terminate.recv() => Command::End,
            _ = interrupt.recv() => Command::End,
        };
        if commands.send(command).await.is_err() {
            return;
        }
    }
}
