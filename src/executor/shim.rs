//! The shim: the small process that owns one attempt and outlives the daemon.
//!
//! It is forked by the launcher, starts the command with its output going straight to files, keeps
//! the timeout and the output cap, stops and reaps the whole tree, and leaves the outcome in the
//! attempt folder. It has a single thread and sleeps until a signal or its next deadline. When
//! nothing of the attempt is left, it may be given another one; it never has two.

mod deferred;
mod denied;
mod git;
mod group;
mod input;
mod outcome;
mod output;
mod program;
mod room;
mod sandbox;
#[cfg(any(target_os = "macos", test))]
mod seatbelt;
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

pub use self::deferred::enter_sandbox;
use self::group::Group;
use self::input::Input;
use self::output::Output;
use self::supervisor::Supervisor;
use self::tree::Tree;
use super::folder::{self, AttemptFolder, ShimRecord};
use super::frame::{Poke, Request};
use super::spare::Seat;
use super::{Exit, Launch};
use crate::entrance::{refusal_of, Orders, ENTRANCE_ARGUMENT};
use crate::platform;
use crate::protocol::SandboxReport;
use crate::worktree::read_pointer;

/// A daemon that does not read its pokes finds the outcome by itself within a second.
const POKE_PATIENCE: Duration = Duration::from_secs(1);
const SPAWN_ERROR_MAX: usize = 64 << 10;
/// So much sooner than the daemon and the terminal a worker is ended by the kernel, of 1000.
const OOM_SCORE: i32 = 300;

/// What the launcher hands to a shim.
pub(super) struct Errand<'a> {
    /// The request, which holds the launch.
    pub(super) content: &'a [u8],
    /// `shim.json`, locked.
    pub(super) shim: File,
    /// `/dev/null`.
    pub(super) null: &'a File,
    /// Where the daemon hears of an outcome.
    pub(super) pokes: &'a Path,
    /// Where further launches come from.
    pub(super) seat: Option<Seat>,
}

/// This process, as it writes itself down.
#[derive(Clone, Copy)]
struct Identity {
    pid: i32,
    started: u64,
}

/// A shim's whole life, from the fork on.
pub(super) fn run(errand: Errand<'_>) {
    let Errand {
        content,
        shim,
        null,
        pokes,
        mut seat,
    } = errand;
    let set_up = detach(null).and_then(|()| Signals::catch());
    let me = Identity::own();
    let mut is_free = attempt(content, shim, pokes, seat.as_mut(), me, set_up.as_ref());
    let (Ok(signals), Some(seat)) = (&set_up, &mut seat) else {
        return;
    };
    while is_free {
        let is_ended = || signals.terminate.load(Ordering::Relaxed);
        let Some((content, shim)) = seat.next(is_ended) else {
            return;
        };
        let content = content.to_vec();
        signals.forget();
        is_free = attempt(&content, shim, pokes, Some(&mut *seat), me, Ok(signals));
    }
}

/// One attempt from its start to its report. True if the shim is free for another one.
fn attempt(
    content: &[u8],
    shim: File,
    pokes: &Path,
    seat: Option<&mut Seat>,
    me: Identity,
    set_up: Result<&Signals, &io::Error>,
) -> bool {
    // What cannot be read is never started, and its folder says so.
    let Ok(Request::Launch(launch)) = serde_json::from_slice(content) else {
        return false;
    };
    let attempt = AttemptFolder::new(launch.folder.clone());
    let (exit, is_clean) = match set_up {
        Ok(signals) => begin(&launch, &attempt, &shim, signals, me),
        Err(error) => (
            never_spawned(format!("its shim cannot be set up: {error}")),
            false,
        ),
    };
    // Without room or rights for the outcome there is nobody left to tell.
    let _ = attempt.leave_exit(&exit, &shim);
    // From here on nobody takes this shim for the attempt's.
    drop(shim);
    // Offered before the daemon hears of the end: the launch that follows finds it free.
    let is_free = is_clean && seat.is_some_and(|seat| seat.offer().is_ok());
    // The daemon may be gone, or busy; the folder is what counts.
    let _ = poke(pokes, &Poke { id: launch.id });
    is_free
}

impl Identity {
    fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let started = platform::status(pid).map_or(0, |status| status.started);
        Self { pid, started }
    }
}

/// Lets go of everything that is the daemon's, and gathers what will be the command's.
fn detach(null: &File) -> io::Result<()> {
    // This closes the request socket and `launcher.lock`, which were 0 and 1.
    platform::replace_standard_streams(null)?;
    rustix::process::setsid()?;
    platform::become_subreaper()
}

/// Runs the command. Besides the outcome: whether nothing at all is left of it.
fn begin(
    launch: &Launch,
    attempt: &AttemptFolder,
    shim: &File,
    signals: &Signals,
    me: Identity,
) -> (Exit, bool) {
    let Prepared {
        command,
        streams,
        sandbox,
        group,
    } = match prepare(launch, attempt) {
        Ok(prepared) => prepared,
        Err(reason) => return (never_spawned(reason), true),
    };
    let finish = |mut exit: Exit| {
        if let Some(group) = group {
            group.finish(&mut exit);
        }
        exit
    };
    let mut record = ShimRecord {
        id: launch.id,
        pid: me.pid,
        started: me.started,
        worker: None,
        stdin_open: launch.stdin_open,
    };
    if let Err(error) = folder::write_record(shim, &record) {
        let reason = format!("shim.json cannot be written: {error}");
        return (finish(never_spawned(reason)), true);
    }
    let started_at_ms = now_ms();
    match spawn(command, launch) {
        Ok(worker) => {
            let note_worker = |started| {
                // What it has started by now inherits nothing any more.
                for (pid, _) in Tree::below(record.pid).members() {
                    platform::offer_to_oom_killer(pid, launch.room.oom_score.unwrap_or(OOM_SCORE));
                }
                record.worker = Some((worker, started));
                // Only the search for survivors of a killed shim is the poorer for it.
                let _ = folder::write_record(shim, &record);
            };
            let supervisor = Supervisor::new(worker, launch, attempt, streams);
            let (mut exit, is_clean) = supervisor.run(signals, note_worker);
            exit.started_at_ms = started_at_ms;
            exit.sandbox = final_report(sandbox, launch, attempt);
            if launch.needs_entrance() {
                exit.spawn_error = refusal_of(attempt.path(), exit.exit_code);
            }
            (finish(exit), is_clean)
        }
        Err(reason) => (finish(never_spawned(reason)), true),
    }
}

/// What a command that has ended was kept in, with what it was denied.
fn final_report(
    begun: Option<SandboxReport>,
    launch: &Launch,
    attempt: &AttemptFolder,
) -> Option<Box<SandboxReport>> {
    let begun = begun?;
    // Of a worker with a worktree somebody else knows; where there are no means it was known before.
    let report = if begun.words.is_empty() {
        deferred::report(attempt)
    } else {
        Some(begun)
    };
    let worktree = launch
        .worktree
        .as_ref()
        .and_then(|_| read_pointer(attempt.path()));
    let cwd = worktree.and_then(|worktree| worktree.folder);
    let mut report = Box::new(report?);
    denied::look(
        launch,
        cwd.as_deref().unwrap_or(&launch.cwd),
        attempt,
        &mut report,
    );
    Some(report)
}

/// The shim's ends of what the command reads and writes.
struct Streams {
    input: Option<Input>,
    outputs: Vec<Output>,
}

/// A command that is ready to be started, and what is told of it when it has ended.
struct Prepared {
    command: Command,
    streams: Streams,
    sandbox: Option<SandboxReport>,
    group: Option<Group>,
}

/// Everything that can go wrong before the command is started.
fn prepare(launch: &Launch, attempt: &AttemptFolder) -> Result<Prepared, String> {
    let program = program::find(launch)?;
    let in_folder = |error: io::Error| {
        let path = attempt.path().display();
        format!("its files in {path} cannot be made: {error}")
    };
    let mut outputs = vec![Output::create(attempt, "output", launch).map_err(in_folder)?];
    if launch.separate_stderr {
        outputs.push(Output::create(attempt, "stderr", launch).map_err(in_folder)?);
    }
    let (stdin, input) = stdin(launch, attempt).map_err(in_folder)?;
    // After the output, which is one of the files that can be written.
    let room = room::Room::prepare(launch, attempt)?;
    let sandbox = room.report();
    let stderr = &outputs[outputs.len() - 1];
    let name = (!launch.needs_entrance()).then_some(launch.argv[0].as_str());
    let mut command = room.command(program, name);
    if launch.needs_entrance() {
        let orders = Orders {
            worktree: launch.worktree.clone(),
            secrets: launch.secrets.clone(),
        };
        let orders = serde_json::to_string(&orders).map_err(|error| in_folder(error.into()))?;
        command
            .args([ENTRANCE_ARGUMENT, orders.as_str()])
            .args(&launch.argv);
    } else {
        command.args(&launch.argv[1..]);
    }
    command
        .current_dir(&launch.cwd)
        .env_clear()
        .envs(&launch.env)
        .env("WEZTERM_PARALLEL_ATTEMPT", launch.id.attempt.to_string())
        .env("WEZTERM_PARALLEL_FOLDER", attempt.path())
        .stdin(stdin)
        .stdout(outputs[0].for_command().map_err(in_folder)?)
        .stderr(stderr.for_command().map_err(in_folder)?)
        .process_group(0);
    let key = launch.id.key.0.to_string();
    command.env("WEZTERM_PARALLEL_TASK", attempt.task().unwrap_or(&key));
    // Last: whatever fails before it leaves no group behind.
    let group = launch.room.group.as_ref();
    let group = group
        .map(|plan| Group::prepare(plan, launch.id, attempt))
        .transpose()?;
    let entrance = group.as_ref().map(Group::entrance).transpose()?.flatten();
    room.enter(&mut command, entrance);
    Ok(Prepared {
        command,
        streams: Streams { input, outputs },
        sandbox,
        group,
    })
}

fn stdin(launch: &Launch, attempt: &AttemptFolder) -> io::Result<(Stdio, Option<Input>)> {
    if launch.stdin_open {
        let content = launch.stdin.as_deref().unwrap_or_default();
        let (input, theirs) = Input::create(attempt, content)?;
        return Ok((theirs, Some(input)));
    }
    let Some(content) = &launch.stdin else {
        // The shim's own, which is `/dev/null`.
        return Ok((Stdio::inherit(), None));
    };
    use std::os::unix::fs::FileExt;
    let path = attempt.file("stdin");
    folder::create_new(&path)?.write_all_at(content.as_bytes(), 0)?;
    // Opened again, so that the command cannot write into it.
    Ok((Stdio::from(File::open(path)?), None))
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

    /// Forgets what was meant for the attempt before.
    fn forget(&self) {
        for flag in [&self.child, &self.control, &self.terminate] {
            Self::take(flag);
        }
    }

    fn take(flag: &AtomicBool) -> bool {
        flag.swap(false, Ordering::Relaxed)
    }
}
