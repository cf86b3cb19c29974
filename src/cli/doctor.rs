//! `doctor`: looks at everything that the daemon stands on, and says what to do about what is wrong.

use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::text::{self, GREEN, RED, YELLOW};
use super::value::short_bytes;
use super::{
    doctor_claude as claude, doctor_history as history, doctor_journal as journal, screen, task_text,
};
use crate::client::{Client, ClientError};
use crate::config::{Config, Loaded, Paths};
use crate::executor::Means;
use crate::protocol::{Answer, DaemonInfo, Filter, Message, Sandbox};

/// Below this, a batch of outputs may fill the disk.
const SPACE_WARN: u64 = 1 << 30;
/// Below this, even the journal may.
const SPACE_FAIL: u64 = 64 << 20;
/// The daemon keeps a connection for each client and a few files.
const FILES_WARN: u64 = 1_024;

/// Check the installation; exit 1 if something is wrong
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Repair a damaged journal, with no daemon running; nothing is deleted
    #[arg(long)]
    repair: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// Checks and what came of them.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<(Verdict, &'static str, String)>,
}

impl DoctorArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut report = Report::default();
        report.ok(
            "program",
            format!("wezterm-parallel {}", env!("CARGO_PKG_VERSION")),
        );
        let paths = context.paths()?;
        let config = check_config(context, &mut report);
        for (what, folder) in [("data", &paths.data), ("runtime", &paths.runtime)] {
            check_folder(what, folder, &mut report);
        }
        let daemon = check_daemon(&paths, &mut report);
        journal::check(&paths, daemon.as_ref(), self.repair, &mut report)?;
        let loaded = config.as_ref().map(|loaded| &loaded.config);
        history::check(&paths, loaded, daemon.as_ref(), &mut report);
        check_space(&paths.data, &mut report);
        check_slots(config.as_ref(), &mut report);
        check_shell(&mut report);
        if let Some(loaded) = &config {
            claude::check(&loaded.config, &mut report);
        }
        check_files(&mut report);
        check_sandbox(config.as_ref(), &mut report);
        check_groups(config.as_ref(), daemon.as_ref(), &mut report);
        screen::print(&report.text())?;
        Ok(report.exit())
    }
}

impl Report {
    pub(super) fn ok(&mut self, what: &'static str, words: impl Into<String>) {
        self.lines.push((Verdict::Ok, what, words.into()));
    }

    pub(super) fn warn(&mut self, what: &'static str, words: impl Into<String>) {
        self.lines.push((Verdict::Warn, what, words.into()));
    }

    pub(super) fn fail(&mut self, what: &'static str, words: impl Into<String>) {
        self.lines.push((Verdict::Fail, what, words.into()));
    }

    fn text(&self) -> String {
        let mut shown = String::new();
        for (verdict, what, words) in &self.lines {
            let (style, word) = match verdict {
                Verdict::Ok => (GREEN, "ok"),
                Verdict::Warn => (YELLOW, "warn"),
                Verdict::Fail => (RED, "fail"),
            };
            let words = text::visible(words);
            let _ = writeln!(shown, "{style}{word:<4}{style:#}  {what:<8}  {words}");
        }
        shown
    }

    fn exit(&self) -> Exit {
        let failed = self.lines.iter().any(|(verdict, ..)| *verdict == Verdict::Fail);
        if failed {
            Exit::NotSucceeded
        } else {
            Exit::Ok
        }
    }
}

fn check_config(context: &Context, report: &mut Report) -> Option<Loaded> {
    match context.load_config() {
        Ok(loaded) => {
            match &loaded.file {
                Some(file) => report.ok("config", file.display().to_string()),
                None => report.ok("config", "there is no file: the defaults hold"),
            }
            for warning in &loaded.warnings {
                report.warn("config", warning);
            }
            Some(loaded)
        }
        Err(failure) => {
            report.fail("config", with_hint(&failure.message, &failure.hint));
            None
        }
    }
}

pub(super) fn with_hint(message: &str, hint: &str) -> String {
    if hint.is_empty() {
        message.to_owned()
    } else {
        format!("{message}: {hint}")
    }
}

/// What workers can be kept in here, and whether that is what the config wants.
fn check_sandbox(config: Option<&Loaded>, report: &mut Report) {
    let means = Means::of_this_system();
    let wanted = config.is_some_and(|loaded| {
        let mut sandboxes = loaded
            .config
            .workers
            .values()
            .filter_map(|worker| worker.sandbox.as_ref());
        sandboxes.any(Sandbox::is_on)
    });
    match &means {
        Means::None(_) if wanted => report.warn("sandbox", means.abilities()),
        _ => report.ok("sandbox", means.abilities()),
    }
}

/// Whether workers can have control groups, which the daemon alone knows of itself.
fn check_groups(config: Option<&Loaded>, daemon: Option<&DaemonInfo>, report: &mut Report) {
    let wanted = config.is_some_and(|loaded| {
        let mut limits = loaded.config.workers.values().filter_map(|worker| worker.limits);
        limits.any(|limits| !limits.of_tree().is_none())
    });
    match daemon {
        Some(DaemonInfo {
            groups: Some(words), ..
        }) => match words.strip_prefix("none: ") {
            Some(why) if wanted => report.warn("limits", format!("of whole trees are not in force: {why}")),
            Some(why) => report.ok("limits", format!("of whole trees cannot be set: {why}")),
            None => report.ok("limits", format!("of whole trees {words}")),
        },
        _ if wanted => report.ok(
            "limits",
            "of whole trees: a running daemon can say whether they hold",
        ),
        _ => {}
    }
}

/// Folders are ours and closed to others; the daemon makes those that are missing.
fn check_folder(what: &'static str, folder: &Path, report: &mut Report) {
    let shown = folder.display();
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return report.ok(what, format!("{shown} is not there yet; the daemon makes it"));
        }
        Err(error) => return report.fail(what, format!("{shown}: {error}")),
    };
    let mode = metadata.mode() & 0o777;
    if !metadata.is_dir() {
        report.fail(what, format!("{shown} is no folder: move it away"));
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        report.fail(
            what,
            format!("{shown} belongs to user {}: chown it", metadata.uid()),
        );
    } else if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
        report.fail(what, format!("{shown} cannot be written to: chmod u+rwx it"));
    } else if mode & 0o077 != 0 {
        report.warn(
            what,
            format!("{shown} is open to others (mode {mode:04o}): chmod 700 it"),
        );
    } else {
        report.ok(what, shown.to_string());
    }
}

fn check_daemon(paths: &Paths, report: &mut Report) -> Option<DaemonInfo> {
    let socket = paths.socket.display();
    let answer = Client::connect(&paths.socket).and_then(|mut client| client.ask(&Message::Info {}));
    let daemon = match answer {
        Ok(Answer::Daemon(daemon)) => daemon,
        Ok(_) => {
            report.fail("daemon", "it does not say who it is: wezterm-parallel shutdown");
            return None;
        }
        Err(ClientError::NotRunning { .. }) => {
            report.ok("daemon", "none runs; the first command that needs one starts it");
            if is_socket(&paths.socket) {
                report.ok(
                    "socket",
                    format!("{socket} is left over; the next daemon replaces it"),
                );
            }
            return None;
        }
        Err(error) => {
            report.fail("daemon", with_hint(&error.to_string(), &error.hint()));
            return None;
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    let words = format!("pid {}, version {}", daemon.pid, daemon.version);
    if daemon.version == own {
        report.ok("daemon", words);
    } else {
        let advice = "wezterm-parallel shutdown, and the next command starts this one";
        report.warn("daemon", format!("{words}, but this program is {own}: {advice}"));
    }
    for warning in &daemon.warnings {
        report.warn("daemon", warning);
    }
    check_metrics(&daemon, report);
    check_socket(&paths.socket, report);
    check_queue(&paths.socket, report);
    Some(daemon)
}

/// A port that is taken is among the daemon's warnings.
fn check_metrics(daemon: &DaemonInfo, report: &mut Report) {
    match &daemon.metrics {
        Some(address) => report.ok("metrics", format!("http://{address}/metrics")),
        None => report.ok(
            "metrics",
            "served nowhere; `wezterm-parallel metrics` prints them",
        ),
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn check_socket(socket: &Path, report: &mut Report) {
    let mode = std::fs::metadata(socket).map(|metadata| metadata.mode() & 0o777);
    match mode {
        Ok(mode) if mode & 0o077 != 0 => report.warn(
            "socket",
            format!(
                "{} is open to others (mode {mode:04o}): chmod 600 it",
                socket.display()
            ),
        ),
        Ok(_) => report.ok("socket", socket.display().to_string()),
        Err(error) => report.fail("socket", format!("{}: {error}", socket.display())),
    }
}

fn check_queue(socket: &Path, report: &mut Report) {
    let filter = Filter {
        summary_only: true,
        ..Filter::default()
    };
    let answer = Client::connect(socket).and_then(|mut client| client.ask(&Message::Status(filter)));
    match answer {
        Ok(Answer::Status(status)) => {
            let line = task_text::summary_line(&status.summary, super::value::now_ms());
            let plain = anstream::adapter::strip_str(&line).to_string();
            report.ok("queue", plain);
        }
        Ok(_) => report.fail("queue", "the daemon does not answer a status"),
        Err(error) => report.fail("queue", with_hint(&error.to_string(), &error.hint())),
    }
}

/// The free space where outputs and the journal go, or will go.
fn check_space(data: &Path, report: &mut Report) {
    let there = data.ancestors().find(|folder| folder.exists());
    let Some(volume) = there.and_then(|folder| rustix::fs::statvfs(folder).ok()) else {
        return report.warn("disk", "the free space cannot be told");
    };
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let words = format!("{} free for {}", short_bytes(free), data.display());
    if free < SPACE_FAIL {
        report.fail("disk", format!("{words}: make room, or nothing new is taken"));
    } else if free < SPACE_WARN {
        report.warn("disk", format!("{words}: make room, or `wezterm-parallel clean`"));
    } else {
        report.ok("disk", words);
    }
}

fn check_slots(loaded: Option<&Loaded>, report: &mut Report) {
    let Some(Loaded {
        config: Config { pool, .. },
        ..
    }) = loaded
    else {
        return;
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = pool.slots.count();
    report.ok("slots", format!("{slots}, with {processors} processors"));
}

fn check_shell(report: &mut Report) {
    let shell = Path::new("/bin/sh");
    if rustix::fs::access(shell, rustix::fs::Access::EXEC_OK).is_ok() {
        report.ok("shell", shell.display().to_string());
    } else {
        report.fail("shell", "there is no /bin/sh, which profile `shell` needs");
    }
}

fn check_files(report: &mut Report) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(files) if files < FILES_WARN => {
            report.warn(
                "files",
                format!("only {files} files may be open at once: raise `ulimit -n`"),
            );
        }
        Some(files) => report.ok("files", format!("{files} may be open at once")),
        None => report.ok("files", "any number may be open at once"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn verdicts(report: &Report) -> Vec<Verdict> {
        report.lines.iter().map(|(verdict, ..)| *verdict).collect()
    }

    #[test]
    fn one_failure_decides_the_exit_code() {
        let mut report = Report::default();
        report.ok("disk", "much");
        report.warn("socket", "open\x1b[2J");
        assert_eq!(report.exit(), Exit::Ok);
        report.fail("config", "wrong");
        assert_eq!(report.exit(), Exit::NotSucceeded);
        insta::assert_snapshot!(anstream::adapter::strip_str(&report.text()).to_string(), @r"
        ok    disk      much
        warn  socket    open\x1b[2J
        fail  config    wrong
        ");
    }

    #[test]
    fn folders_are_ours_and_closed() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
        };
        let mut report = Report::default();
        set(0o700);
        check_folder("data", folder.path(), &mut report);
        set(0o755);
        check_folder("data", folder.path(), &mut report);
        check_folder("data", &folder.path().join("missing"), &mut report);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        check_folder("data", &file, &mut report);
        assert_eq!(
            verdicts(&report),
            [Verdict::Ok, Verdict::Warn, Verdict::Ok, Verdict::Fail]
        );
    }
}
