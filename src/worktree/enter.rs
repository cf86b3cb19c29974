//! What stands between the shim and a worker that has a worktree: it brings the worktree about and becomes the worker.
//!
//! It is a process of the attempt like any other, so that git's time, its output and its end by a stop are the attempt's,
//! and neither the daemon nor the shim waits for it.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::create::{enter, Entered};
use super::error::WorktreeError;
use super::git::make_homeless;
use super::record::{leave_pointer, Order, Record};

/// The first argument that makes this program the entrance; then come the order as JSON, and the worker's argv.
pub const ENTRANCE_ARGUMENT: &str = "__worktree";

/// Where the attempt's folder is told.
const FOLDER: &str = "WEZTERM_PARALLEL_FOLDER";
/// Where the worker finds its worktree.
const WORKTREE: &str = "WEZTERM_PARALLEL_WORKTREE";
/// What an entrance leaves in the attempt folder when no worker came of it.
const REFUSAL: &str = "not_started";
/// What it ends with then; shells say so of what they cannot execute.
const NOT_STARTED: u8 = 126;

/// Becomes the worker. Returns only when there is none. `settle` is called with the attempt's folder and the worktree when
/// that is there, and may put words in front of the worker's.
pub fn entrance_main(settle: impl FnOnce(&Path, &Path) -> Result<Vec<OsString>, String>) -> ExitCode {
    let why = match become_worker(settle) {
        Err(why) => why,
        Ok(never) => match never {},
    };
    let attempt = std::env::var_os(FOLDER).map(PathBuf::from);
    let left = attempt.is_some_and(|folder| leave_refusal(&folder, &why).is_ok());
    if !left {
        // Nobody can be told if that does not work either.
        let _ = writeln!(std::io::stderr(), "{why}");
    }
    ExitCode::from(NOT_STARTED)
}

/// Why an attempt that ended like this has never begun; `None` if it did.
#[must_use]
pub fn refusal_of(attempt: &Path, exit_code: Option<i32>) -> Option<String> {
    (exit_code == Some(i32::from(NOT_STARTED)))
        .then(|| std::fs::read_to_string(attempt.join(REFUSAL)).ok())
        .flatten()
}

/// Nothing of this kind exists.
enum Never {}

fn become_worker(
    settle: impl FnOnce(&Path, &Path) -> Result<Vec<OsString>, String>,
) -> Result<Never, String> {
    let mut arguments = std::env::args_os().skip(2);
    let order = arguments.next().unwrap_or_default();
    let order: Order = serde_json::from_slice(order.as_encoded_bytes())
        .map_err(|error| format!("the order for a worktree cannot be read: {error}"))?;
    let argv: Vec<OsString> = arguments.collect();
    let program = argv.first().ok_or("the command is empty")?;
    let entered = enter(&order).map_err(|error| error.in_full())?;
    go_in(&entered).map_err(|error| error.in_full())?;
    let missing = || {
        let (program, place) = (program.to_string_lossy(), entered.folder.display());
        format!("{program}: program not found from {place}, with the task's PATH")
    };
    // Afterwards it may not be able to leave word of it.
    if !is_there(program) {
        return Err(missing());
    }
    let mut words = match std::env::var_os(FOLDER) {
        Some(attempt) => settle(Path::new(&attempt), &entered.record.path)?,
        None => Vec::new(),
    };
    words.extend(argv.iter().cloned());
    let (first, rest) = words.split_first().ok_or("the command is empty")?;
    let mut worker = Command::new(first);
    make_homeless(&mut worker);
    worker
        .args(rest)
        .env("PWD", &entered.folder)
        .env(WORKTREE, &entered.record.path);
    let error = worker.exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Err(missing());
    }
    Err(format!(
        "{} cannot be started: {error}",
        program.to_string_lossy()
    ))
}

/// Whether a program is where it would be looked for from here.
fn is_there(program: &OsString) -> bool {
    if program.as_encoded_bytes().contains(&b'/') {
        return Path::new(program).exists();
    }
    let Some(path) = std::env::var_os("PATH") else {
        // Then there is a default, which is the system's affair.
        return true;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

fn go_in(entered: &Entered) -> Result<(), WorktreeError> {
    if let Some(note) = &entered.note {
        // It is there all the same.
        let _ = writeln!(std::io::stderr(), "warning: {note}");
    }
    if let Some(attempt) = std::env::var_os(FOLDER) {
        let record = Record {
            folder: Some(entered.folder.clone()),
            ..entered.record.clone()
        };
        leave_pointer(Path::new(&attempt), &record)?;
    }
    let go = || {
        std::env::set_current_dir(&entered.folder)?;
        entered.lock.hand_on()
    };
    go().map_err(|error| WorktreeError::file(&entered.folder, error))
}

fn leave_refusal(attempt: &Path, why: &str) -> std::io::Result<()> {
    let new = attempt.join("not_started.new");
    std::fs::write(&new, why)?;
    std::fs::rename(new, attempt.join(REFUSAL))
}
