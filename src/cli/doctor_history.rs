//! The part of `doctor` that looks at the history.

use super::doctor::{with_hint, Report};
use crate::config::{Config, Paths};
use crate::history::{HistoryError, Reader};
use crate::protocol::{DaemonInfo, HistoryInfo};

/// Whether it can be read, what is in it, and how its writer is. The queue does not need it: nothing here is a failure.
pub(super) fn check(
    paths: &Paths,
    config: Option<&Config>,
    daemon: Option<&DaemonInfo>,
    report: &mut Report,
) {
    let is_wanted = config.is_some_and(|config| config.state.sqlite);
    match Reader::open(&paths.history()).and_then(|reader| reader.contents()) {
        Ok(contents) => {
            let off = if is_wanted { "" } else { "; `state.sqlite` is off" };
            let words = format!(
                "{} ended tasks in {}{off}",
                contents.tasks,
                paths.history().display()
            );
            report.ok("history", words);
            if contents.strays > 0 {
                let words = format!(
                    "{} tasks had not ended when the journal lost them: `history restore --force --strays` adds them",
                    contents.strays
                );
                report.warn("history", words);
            }
        }
        Err(HistoryError::Missing { .. }) if is_wanted => {
            report.ok("history", "there is none yet; the daemon begins it");
        }
        Err(HistoryError::Missing { .. }) => {
            report.ok("history", "none is kept; `state.sqlite = true` keeps one");
        }
        Err(error) => report.warn("history", with_hint(&error.to_string(), error.hint())),
    }
    let Some(daemon) = daemon else { return };
    match &daemon.history {
        Some(history) => check_writer(history, report),
        None if is_wanted => report.warn(
            "history",
            "the daemon writes none: it has not read the config again since `state.sqlite` was set",
        ),
        None => {}
    }
}

fn check_writer(history: &HistoryInfo, report: &mut Report) {
    if let Some(error) = &history.error {
        let words = format!("not written ({} tasks behind): {error}", history.behind);
        report.warn("history", words);
    }
    for moved in &history.moved {
        report.warn("history", format!("it was damaged: the old file is now {moved}"));
    }
}
