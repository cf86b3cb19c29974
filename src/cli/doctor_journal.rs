//! The part of `doctor` that reads and repairs the journal.

use std::path::Path;
use std::time::{Duration, Instant};

use super::doctor::{with_hint, Report};
use super::exit::Failure;
use crate::config::Paths;
use crate::protocol::DaemonInfo;
use crate::{daemon, journal};

/// How long a daemon that could not start may take to let go of the data folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Whether the journal can be loaded; with `repair`, what cannot be read is moved aside.
pub(super) fn check(
    paths: &Paths,
    daemon: Option<&DaemonInfo>,
    repair: bool,
    report: &mut Report,
) -> Result<(), Failure> {
    let folder = paths.data.join("journal");
    if daemon.is_some() {
        if repair {
            return Err(Failure::refused("a daemon runs on this journal")
                .hint("wezterm-parallel shutdown, then repair again"));
        }
        report.ok("journal", format!("{} is in use", folder.display()));
        return Ok(());
    }
    if !folder.exists() {
        report.ok("journal", "there is none yet");
        return Ok(());
    }
    // A daemon that starts right now, or runs with another socket, must not write under our hands.
    let _lock = match lock_data(paths) {
        Ok(lock) => lock,
        Err(error) if repair => return Err(Failure::refused(error.to_string()).hint(error.hint())),
        Err(error) => {
            report.warn("journal", error.to_string());
            return Ok(());
        }
    };
    if !repair {
        match journal::check(&folder) {
            Ok(()) => report.ok("journal", folder.display().to_string()),
            Err(error) => report.fail("journal", with_hint(&error.to_string(), error.hint())),
        }
        return Ok(());
    }
    match journal::repair(&folder) {
        Ok(done) => tell_repair(&folder, &done, report),
        Err(error) => report.fail("journal", with_hint(&error.to_string(), error.hint())),
    }
    Ok(())
}

/// The data folder's lock. A daemon that could not start may be about to let go of it.
pub(super) fn lock_data(paths: &Paths) -> Result<impl Sized, daemon::DaemonError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match daemon::lock_data(paths) {
            Err(daemon::DaemonError::DataInUse { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            taken => return taken,
        }
    }
}

fn tell_repair(folder: &Path, done: &journal::RepairReport, report: &mut Report) {
    if done.moved.is_empty() {
        report.ok(
            "journal",
            format!("{} is whole: nothing to repair", folder.display()),
        );
        return;
    }
    report.ok("journal", format!("repaired: {} records were kept", done.records));
    for lost in &done.lost {
        report.warn("journal", lost);
    }
    for moved in &done.moved {
        report.ok("journal", format!("the old file is now {}", moved.display()));
    }
}
