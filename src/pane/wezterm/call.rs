//! One call of `wezterm cli`: explicit flags, a clean environment, and an end within seconds.
//!
//! A stale `WEZTERM_PANE` would silently open a window, and a stale socket without `--no-auto-start`
//! would leave a server behind; so neither is left to the program.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::listing::{self, PaneInfo};
use super::{Server, Side, WeztermError};

/// A call takes 18 to 90 ms; a server that hangs takes for ever.
const LIMIT: Duration = Duration::from_secs(5);
/// Enough for some ten thousand panes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Between two looks at a program that has closed its output and is about to end.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A server, and the program to talk to it with.
#[derive(Clone, Debug)]
pub struct Wezterm {
    program: PathBuf,
    server: Server,
    limit: Duration,
}

impl Wezterm {
    /// Talks to `server` through `program`.
    #[must_use]
    pub fn new(program: PathBuf, server: Server) -> Self {
        Self {
            program,
            server,
            limit: LIMIT,
        }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// All panes.
    ///
    /// # Errors
    /// If the call fails.
    pub fn panes(&self) -> Result<Vec<PaneInfo>, WeztermError> {
        listing::parse_panes(&self.call("list", ["--format", "json"])?)
    }

    /// The pane that a person looks at; `None` if nobody does.
    ///
    /// # Errors
    /// If the call fails.
    pub fn focused_pane(&self) -> Result<Option<u64>, WeztermError> {
        listing::focused_pane(&self.call("list-clients", ["--format", "json"])?)
    }

    /// The processes that are connected: of a mux server, the GUIs that show its panes.
    ///
    /// # Errors
    /// If the call fails.
    pub fn client_pids(&self) -> Result<Vec<u32>, WeztermError> {
        listing::client_pids(&self.call("list-clients", ["--format", "json"])?)
    }

    /// A program in a new tab of a window: the new pane. WezTerm's own, which is the user's shell, for no `argv`; so
    /// everywhere.
    ///
    /// # Errors
    /// If the call fails.
    pub fn new_tab(&self, window: u64, cwd: &Path, argv: &[OsString]) -> Result<u64, WeztermError> {
        self.start("spawn", &["--window-id", &window.to_string()], cwd, argv)
    }

    /// A program in a new window of a workspace: the new pane.
    ///
    /// # Errors
    /// If the call fails.
    pub fn new_window(&self, workspace: &str, cwd: &Path, argv: &[OsString]) -> Result<u64, WeztermError> {
        // WezTerm would choose its default workspace, which need not be the visible one.
        let named = ["--new-window", "--workspace", workspace];
        let flags = if workspace.is_empty() {
            &named[..1]
        } else {
            &named[..]
        };
        self.start("spawn", flags, cwd, argv)
    }

    /// A program in a part of a pane: the new pane.
    ///
    /// # Errors
    /// If the call fails.
    pub fn split(
        &self,
        pane: u64,
        side: Side,
        percent: u8,
        cwd: &Path,
        argv: &[OsString],
    ) -> Result<u64, WeztermError> {
        let side = match side {
            Side::Right => "--right",
            Side::Bottom => "--bottom",
        };
        let (pane, percent) = (pane.to_string(), percent.to_string());
        let flags = ["--pane-id", &pane, side, "--percent", &percent];
        self.start("split-pane", &flags, cwd, argv)
    }

    /// Gives a pane the focus.
    ///
    /// # Errors
    /// If the call fails.
    pub fn activate(&self, pane: u64) -> Result<(), WeztermError> {
        self.call("activate-pane", ["--pane-id", &pane.to_string()])
            .map(drop)
    }

    /// Closes a pane.
    ///
    /// # Errors
    /// If the call fails.
    pub fn kill(&self, pane: u64) -> Result<(), WeztermError> {
        self.call("kill-pane", ["--pane-id", &pane.to_string()]).map(drop)
    }

    /// Gives the tab of a pane a title.
    ///
    /// # Errors
    /// If the call fails.
    pub fn set_tab_title(&self, pane: u64, title: &str) -> Result<(), WeztermError> {
        self.call("set-tab-title", ["--pane-id", &pane.to_string(), "--", title])
            .map(drop)
    }

    fn start(&self, call: &str, flags: &[&str], cwd: &Path, argv: &[OsString]) -> Result<u64, WeztermError> {
        let mut arguments: Vec<&OsStr> = flags.iter().map(OsStr::new).collect();
        arguments.extend([OsStr::new("--cwd"), cwd.as_os_str()]);
        if !argv.is_empty() {
            arguments.push(OsStr::new("--"));
        }
        arguments.extend(argv.iter().map(OsStr::new));
        listing::parse_pane_id(call, &self.call(call, arguments)?)
    }

    /// Runs one subcommand to its end: its stdout.
    fn call<S: AsRef<OsStr>>(
        &self,
        call: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, WeztermError> {
        let mut command = Command::new(&self.program);
        command
            .args(["cli", "--no-auto-start", call])
            .args(arguments)
            .env("WEZTERM_UNIX_SOCKET", &self.server.socket)
            .env_remove("WEZTERM_PANE")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| WeztermError::Start {
            program: self.program.clone(),
            source,
        })?;
        match outcome(&mut child, Instant::now() + self.limit) {
            Some((status, stdout, _)) if status.success() => Ok(stdout),
            Some((_, _, stderr)) => Err(failed(call, &stderr)),
            None => {
                end(&mut child);
                Err(WeztermError::Timeout {
                    call: call.to_owned(),
                    limit_seconds: self.limit.as_secs_f32(),
                })
            }
        }
    }
}

/// What a child says and how it ends; `None` if it has not until then.
fn outcome(child: &mut Child, deadline: Instant) -> Option<(ExitStatus, String, String)> {
    let stdout = child.stdout.take().map(read_aside);
    let stderr = child.stderr.take().map(read_aside);
    let left = || deadline.saturating_duration_since(Instant::now());
    let text = |from: Option<Receiver<String>>| match from {
        Some(from) => from.recv_timeout(left()).ok(),
        None => Some(String::new()),
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some((status, stdout, stderr)),
            Ok(None) if !left().is_zero() => std::thread::sleep(BETWEEN_LOOKS),
            _ => return None,
        }
    }
}

/// Reads to the end in a thread of its own, for which nobody waits: what the program has started may
/// hold its output open for ever.
fn read_aside(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The program with all that it has started.
fn end(child: &mut Child) {
    let group = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

fn failed(call: &str, stderr: &str) -> WeztermError {
    let message = listing::reason(stderr);
    // It has died since its socket was tried.
    if message.contains("failed to connect") {
        return WeztermError::NotRunning;
    }
    WeztermError::Failed {
        call: call.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that is a script. Another process writes it: a test that forks while this one holds it
    /// open for writing would keep it from being run.
    fn stand_in(folder: &Path, script: &str) -> Wezterm {
        let program = folder.join("wezterm");
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 700 \"$0\"";
        let written = Command::new("/bin/sh")
            .args(["-c", write])
            .arg(&program)
            .arg(script)
            .status();
        assert!(written.unwrap().success());
        let socket = folder.join("sock");
        Wezterm::new(program, Server { socket, pid: 1 })
    }

    #[test]
    fn a_call_that_hangs_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mut wezterm = stand_in(folder.path(), "sleep 600 & echo $! > \"$0.child\"; wait");
        wezterm.limit = Duration::from_millis(500);
        let words = wezterm.panes().unwrap_err().to_string();
        assert_eq!(words, "`wezterm cli list` gave no answer within 0.5 s");
        // On a machine under load the script may have been ended before it came that far.
        if let Ok(child) = std::fs::read_to_string(folder.path().join("wezterm.child")) {
            let child: i32 = child.trim().parse().unwrap();
            let runs = || crate::platform::status(child).is_some_and(|status| !status.zombie);
            let begin = Instant::now();
            while runs() && begin.elapsed() < Duration::from_secs(30) {
                std::thread::yield_now();
            }
            assert!(!runs());
        }
    }

    #[test]
    fn failures_say_what_wezterm_said() {
        let folder = tempfile::tempdir().unwrap();
        let wezterm = stand_in(
            folder.path(),
            "echo 'ERROR  wezterm > No space for split!; terminating' >&2; exit 1",
        );
        let error = wezterm
            .split(1, Side::Right, 50, Path::new("/"), &[])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`wezterm cli split-pane` failed: No space for split!"
        );
        assert!(error.hint().contains("--layout tabs"), "{}", error.hint());
        let wezterm = stand_in(folder.path(), "echo 'failed to connect to Socket(x)' >&2; exit 1");
        assert!(matches!(wezterm.panes(), Err(WeztermError::NotRunning)));
        let missing = Wezterm::new("/no/such/wezterm".into(), wezterm.server().clone());
        assert!(matches!(missing.panes(), Err(WeztermError::Start { .. })));
    }
}
