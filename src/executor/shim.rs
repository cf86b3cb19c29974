//! The shim: the small process that owns one attempt and outlives the daemon.
//!
//! It is forked by the launcher, starts the command with its output going straight to files, keeps
//! the timeout and the output cap, stops and reaps the whole tree, and leaves the outcome in the
//! attempt folder. It has a single thread and sleeps until a signal or its next deadline.

mod outcome;
mod output;
mod program;
mod stop;
mod supervisor;
pub(super) mod tree;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::output::Output;
use self::supervisor::Supervisor;
use super::folder::{self, AttemptFolder, ShimRecord};
use super::frame::Poke;
use super::{Exit, Launch};
use crate::platform;

/// A daemon that does not read its pokes finds the outcome by itself within a second.
const POKE_PATIENCE: Duration = Duration::from_secs(1);
const SPAWN_ERROR_MAX: usize = 64 << 10;

/// What the launcher hands to a shim.
pub(super) struct Errand<'a> {
    pub(super) launch: Launch,
    /// `shim.json`, locked.
    pub(super) shim: File,
    /// `/dev/null`.
    pub(super) null: &'a File,
    /// Where the daemon hears of an outcome.
    pub(super) pokes: &'a Path,
}

/// A shim's whole life, from the fork on.
pub(super) fn run(errand: Errand<'_>) {
    let Errand {
        launch,
        shim,
        null,
        pokes,
    } = errand;
    let attempt = AttemptFolder::new(launch.folder.clone());
    let id = launch.id;
    let exit = match detach(null).and_then(|()| Signals::catch()) {
        Ok(signals) => begin(&launch, &attempt, &shim, &signals),
        Err(error) => never_spawned(format!("its shim cannot be set up: {error}")),
    };
    // Without room or rights for the outcome there is nobody left to tell.
    let _ = attempt.leave_exit(&exit, &shim);
    // The daemon may be gone, or busy; the folder is what counts.
    let _ = poke(pokes, &Poke { id });
}

/// Lets go of everything that is the daemon's, and gathers what will be the command's.
fn detach(null: &File) -> io::Result<()> {
    // This closes the request socket and `launcher.lock`, which were 0 and 1.
    platform::replace_standard_streams(null)?;
    rustix::process::setsid()?;
    platform::become_subreaper()
}

fn begin(launch: &Launch, attempt: &AttemptFolder, shim: &File, signals: &Signals) -> Exit {
    let (command, outputs) = match prepare(launch, attempt) {
        Ok(prepared) => prepared,
        Err(reason) => return never_spawned(reason),
    };
    let mut record = own_record(launch);
    if let Err(error) = folder::write_record(shim, &record) {
        return never_spawned(format!("shim.json cannot be written: {error}"));
    }
    let started_at_ms = now_ms();
    match spawn(command, launch) {
        Ok(worker) => {
            let note_worker = |started| {
                record.worker = Some((worker, started));
                // Only the search for survivors of a killed shim is the poorer for it.
                let _ = folder::write_record(shim, &record);
            };
            let mut exit = Supervisor::new(worker, launch, attempt, outputs).run(signals, note_worker);
            exit.started_at_ms = started_at_ms;
            exit
        }
        Err(reason) => never_spawned(reason),
    }
}

fn own_record(launch: &Launch) -> ShimRecord {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    ShimRecord {
        id: launch.id,
        pid,
        started: platform::status(pid).map_or(0, |status| status.started),
        worker: None,
    }
}

/// Everything that can go wrong before the command is started.
fn prepare(launch: &Launch, attempt: &AttemptFolder) -> Result<(Command, Vec<Output>), String> {
    let program = program::find(launch)?;
    let in_folder = |error: io::Error| {
        let path = attempt.path().display();
        format!("its files in {path} cannot be made: {error}")
    };
    let mut outputs = vec![Output::create(attempt, "output", launch).map_err(in_folder)?];
    if launch.separate_stderr {
        outputs.push(Output::create(attempt, "stderr", launch).map_err(in_folder)?);
    }
    let mut command = Command::new(program);
    let stderr = &outputs[outputs.len() - 1];
    command
        .arg0(&launch.argv[0])
        .args(&launch.argv[1..])
        .current_dir(&launch.cwd)
        .env_clear()
        .envs(&launch.env)
        .env("WEZTERM_PARALLEL_ATTEMPT", launch.id.attempt.to_string())
        .env("WEZTERM_PARALLEL_FOLDER", attempt.path())
        .stdin(stdin(launch, attempt).map_err(in_folder)?)
        .stdout(outputs[0].for_command().map_err(in_folder)?)
        .stderr(stderr.for_command().map_err(in_folder)?)
        .process_group(0);
    let key = launch.id.key.0.to_string();
    command.env("WEZTERM_PARALLEL_TASK", attempt.task().unwrap_or(&key));
    Ok((command, outputs))
}

fn stdin(launch: &Launch, attempt: &AttemptFolder) -> io::Result<Stdio> {
    let Some(content) = &launch.stdin else {
        // The shim's own, which is `/dev/null`.
        return Ok(Stdio::inherit());
    };
    use std::os::unix::fs::FileExt;
    let path = attempt.file("stdin");
    folder::create_new(&path)?.write_all_at(content.as_bytes(), 0)?;
    // Opened again, so that the command cannot write into it.
    Ok(Stdio::from(File::open(path)?))
}

/// Starts the command, and gives back the room that its description took.
fn spawn(mut command: Command, launch: &Launch) -> Result<i32, String> {
    let child = command
        .spawn()
        .map_err(|error| program::explain(&error, command.get_program(), launch))?;
    i32::try_from(child.id()).map_err(|_| "its pid is no pid".to_owned())
}

fn never_spawned(mut reason: String) -> Exit {
    if reason.len() > SPAWN_ERROR_MAX {
        reason = reason.chars().take(SPAWN_ERROR_MAX / 4).collect();
    }
    let now = now_ms();
    Exit {
        spawn_error: Some(reason),
        started_at_ms: now,
        ended_at_ms: now,
        ..Exit::default()
    }
}

fn poke(pokes: &Path, poke: &Poke) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(POKE_PATIENCE))?;
    socket.send_to(&serde_json::to_vec(poke)?, pokes)?;
    Ok(())
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The signals that wake a shim. They are noted by flags and held back except while it sleeps.
struct Signals {
    child: Arc<AtomicBool>,
    control: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

const TERMINATING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

impl Signals {
    /// Handlers, unlike ignored signals, are gone after an exec: the command gets the defaults.
    fn catch() -> io::Result<Self> {
        let signals = Self {
            child: Arc::default(),
            control: Arc::default(),
            terminate: Arc::default(),
        };
        signal_hook::flag::register(libc::SIGCHLD, Arc::clone(&signals.child))?;
        signal_hook::flag::register(libc::SIGUSR1, Arc::clone(&signals.control))?;
        for signal in TERMINATING {
            signal_hook::flag::register(signal, Arc::clone(&signals.terminate))?;
        }
        Ok(signals)
    }

    /// Holds them back from now on. Before the command is started the mask must be empty, since
    /// the command inherits it.
    fn block(&self) -> platform::SignalMask {
        let [term, int, hangup] = TERMINATING;
        platform::block_signals(&[libc::SIGCHLD, libc::SIGUSR1, term, int, hangup])
    }

    fn take(flag: &AtomicBool) -> bool {
        flag.swap(false, Ordering::Relaxed)
    }
}
