//! Starts the daemon in the background, the first time that one is needed.
//!
//! Any number of clients may do so at once: the daemon takes a lock, and one that does not get it
//! ends at once and successfully. Each client then connects to whichever daemon came up.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, ClientError};
use crate::config::{ensure_private_dir, Paths};

/// A daemon with a million tasks to replay is up within 5 seconds.
const START_MAX: Duration = Duration::from_secs(10);

/// The first wait between two tries to connect; it doubles up to `WAIT_MAX`.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// See `WAIT_MIN`.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// What is shown of a failed daemon's last words, in bytes and in lines.
const LAST_WORDS_BYTES: u64 = 4096;

/// See `LAST_WORDS_BYTES`.
const LAST_WORDS_LINES: usize = 5;

/// The file for its last words is begun anew beyond this, in bytes.
const LOG_BYTES_MAX: u64 = 1024 * 1024;

/// Connects, and starts `program daemon --detach` first if nobody listens. `--config` and
/// `--socket` are passed on.
///
/// # Errors
/// `NotStarted` with the daemon's last words if it does not come up within 10 seconds.
pub fn ensure_daemon(paths: &Paths, program: &Path, config: Option<&Path>) -> Result<Client, ClientError> {
    match Client::connect(&paths.socket) {
        Err(ClientError::NotRunning { .. }) => {}
        other => return other,
    }
    for folder in [&paths.data, &paths.runtime, &paths.log_dir] {
        ensure_private_dir(folder)?;
    }
    let (log, log_begin) = open_log(&paths.log_file)
        .map_err(|error| not_started(format!("{}: {error}", paths.log_file.display())))?;
    let start = || {
        spawn(paths, program, config, &log)
            .map_err(|error| not_started(format!("{}: {error}", program.display())))
    };
    wait_for_socket(paths, start, log_begin)
}

fn not_started(detail: String) -> ClientError {
    ClientError::NotStarted { detail }
}

/// The log, and where in it this daemon's words begin.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let log = options.open(path)?;
    if log.metadata()?.len() > LOG_BYTES_MAX {
        log.set_len(0)?;
    }
    let begin = log.metadata()?.len();
    Ok((log, begin))
}

/// The daemon makes itself a session of its own (`--detach`): a parent can ask for that only by
/// code that runs between fork and exec.
fn spawn(paths: &Paths, program: &Path, config: Option<&Path>, log: &File) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(["daemon", "--detach", "--socket"])
        .arg(&paths.socket);
    if let Some(config) = config {
        command.arg("--config").arg(std::path::absolute(config)?);
    }
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
}

fn wait_for_socket(
    paths: &Paths,
    start: impl Fn() -> Result<Child, ClientError>,
    log_begin: u64,
) -> Result<Client, ClientError> {
    let mut child = start()?;
    let deadline = Instant::now() + START_MAX;
    let mut wait = WAIT_MIN;
    loop {
        // Looked at before connecting: one that ended since then may have left a winner behind.
        let ended = child.try_wait().ok().flatten();
        match Client::connect(&paths.socket) {
            Err(ClientError::NotRunning { .. }) => {}
            other => return other,
        }
        if let Some(status) = ended.filter(|status| !status.success()) {
            let words = last_words(&paths.log_file, log_begin);
            return Err(not_started(format!("it ended with {status}{words}")));
        }
        if Instant::now() >= deadline {
            let seconds = START_MAX.as_secs();
            let words = last_words(&paths.log_file, log_begin);
            return Err(not_started(format!(
                "it does not listen after {seconds} s{words}"
            )));
        }
        thread::sleep(wait);
        wait = (wait * 2).min(WAIT_MAX);
        if ended.is_some() {
            // It found another one: about to listen, or about to end and then never to listen.
            child = start()?;
        }
    }
}

/// The last lines that daemons have written since `begin`.
fn last_words(path: &Path, begin: u64) -> String {
    let Ok(text) = read_tail(path, begin) else {
        return String::new();
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LAST_WORDS_LINES);
    lines[skipped..]
        .iter()
        .map(|line| format!("\n  {line}"))
        .collect()
}

fn read_tail(path: &Path, begin: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        begin.max(length.saturating_sub(LAST_WORDS_BYTES)),
    ))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
