//! What stands between the shim and a worker that needs something first: a worktree, or secrets. It brings them about and
//! becomes the worker.
//!
//! It is a process of the attempt like any other, so that the time, the output and the end by a stop of what it calls are the
//! attempt's, and neither the daemon nor the shim waits for it.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use crate::secrets;
use crate::worktree;

/// The first argument that makes this program the entrance; then come the orders as JSON, and the worker's argv.
pub const ENTRANCE_ARGUMENT: &str = "__entrance";

/// Where the attempt's folder is told.
const FOLDER: &str = "WEZTERM_PARALLEL_FOLDER";
/// What an entrance leaves in the attempt folder when no worker came of it.
const REFUSAL: &str = "not_started";
/// What it ends with then; shells say so of what they cannot execute.
const NOT_STARTED: u8 = 126;

/// What is to be brought about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// The worktree to work in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<worktree::Order>,
    /// The command that tells secrets, if the environment refers to any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// This very program, also when its file has been replaced since it was started.
///
/// # Errors
///
/// Where only its path can be told, and that is gone.
pub fn own_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
}

/// Becomes the worker. Returns only when there is none. `settle` is called with the attempt's folder and the worktree, when all
/// else is there, and may put words in front of the worker's.
pub fn entrance_main(settle: impl FnOnce(&Path, Option<&Path>) -> Result<Vec<OsString>, String>) -> ExitCode {
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
    settle: impl FnOnce(&Path, Option<&Path>) -> Result<Vec<OsString>, String>,
) -> Result<Never, String> {
    let mut arguments = std::env::args_os().skip(2);
    let orders = arguments.next().unwrap_or_default();
    let orders: Orders = serde_json::from_slice(orders.as_encoded_bytes())
        .map_err(|error| format!("what is to be done before the start cannot be read: {error}"))?;
    let argv: Vec<OsString> = arguments.collect();
    let program = argv.first().ok_or("the command is empty")?;
    let attempt = std::env::var_os(FOLDER).map(PathBuf::from);
    // What is changed of the environment, whatever comes in front of the program.
    let mut changes = Command::new(program);
    if !orders.secrets.is_empty() {
        changes.envs(secrets::resolve(&orders.secrets, std::env::vars_os())?);
    }
    let order = orders.worktree.as_ref();
    let worktree = order.map(|order| worktree::move_in(order, attempt.as_deref(), &mut changes));
    let worktree = worktree.transpose()?;
    // Inside of a sandbox it may not be able to leave word of it.
    if !is_there(program) {
        return Err(missing(program));
    }
    let mut words = match &attempt {
        Some(attempt) => settle(attempt, worktree.as_deref())?,
        None => Vec::new(),
    };
    words.extend(argv.iter().cloned());
    let (first, rest) = words.split_first().ok_or("the command is empty")?;
    let mut worker = Command::new(first);
    worker.args(rest);
    for (name, value) in changes.get_envs() {
        match value {
            Some(value) => worker.env(name, value),
            None => worker.env_remove(name),
        };
    }
    let error = worker.exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Err(missing(program));
    }
    Err(format!(
        "{} cannot be started: {error}",
        program.to_string_lossy()
    ))
}

fn missing(program: &OsString) -> String {
    let place = std::env::current_dir().unwrap_or_default();
    format!(
        "{}: program not found from {}, with the task's PATH",
        program.to_string_lossy(),
        place.display()
    )
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

fn leave_refusal(attempt: &Path, why: &str) -> std::io::Result<()> {
    let new = attempt.join("not_started.new");
    std::fs::write(&new, why)?;
    std::fs::rename(new, attempt.join(REFUSAL))
}
