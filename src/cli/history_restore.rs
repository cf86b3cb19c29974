//! `history restore`: a journal that was damaged, or is gone, gets back what the history knows.

use super::context::Context;
use super::doctor_journal::lock_data;
use super::exit::{Exit, Failure};
use super::screen;
use super::value::local_time;
use crate::engine::{self, RestoreError, Restored};
use crate::history::Reader;
use crate::journal;

/// Put back into a damaged journal what only the history has, with no daemon running
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The journal is repaired first: every record that can be read stays, and the damaged files are\n\
                  kept beside it. Tasks that are missing then are put back as the history has them: waiting ones\n\
                  wait again, and of those that ran the next daemon looks for the attempts. No id is used twice.\n\
                  The history is a moment behind the journal, more if it could not be written: what\n\
                  happened after that is not in it."
)]
pub(crate) struct RestoreArgs {
    /// Also add to a journal that is whole
    #[arg(long)]
    force: bool,
    /// Also tasks that a daemon did not know any more when it last compared, though they had not ended
    #[arg(long)]
    strays: bool,
}

impl RestoreArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let paths = context.paths()?;
        if context.is_daemon_running()? {
            return Err(Failure::refused("a daemon runs on this journal")
                .hint("wezterm-parallel shutdown, then restore again"));
        }
        let history = Reader::open(&paths.history())?;
        crate::config::ensure_private_dir(&paths.data)?;
        let _lock =
            lock_data(&paths).map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
        let folder = paths.data.join("journal");
        let is_whole = folder.exists() && journal::check(&folder).is_ok() && has_files(&folder);
        if is_whole && !self.force {
            return Err(
                Failure::refused(format!("the journal in {} is whole", folder.display()))
                    .hint("there is nothing to restore; --force adds tasks that only the history has"),
            );
        }
        if folder.exists() {
            let done = journal::repair(&folder)
                .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
            for lost in &done.lost {
                Context::warn(lost);
            }
            for moved in &done.moved {
                screen::note(&format!("the old file is now {}", moved.display()));
            }
        }
        let restored = engine::restore(&folder, &history, self.strays).map_err(failure)?;
        tell(&restored);
        Ok(Exit::Ok)
    }
}

/// Whether there is a journal at all: an empty folder is none.
fn has_files(folder: &std::path::Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut segments = files.filter(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".wal") || name.ends_with(".snapshot")
    });
    segments.next().is_some()
}

fn failure(error: RestoreError) -> Failure {
    match error {
        RestoreError::Journal(error) => Failure::refused(error.to_string()).hint(error.hint()),
        RestoreError::History(error) => error.into(),
        RestoreError::Write(_) => Failure::refused(error.to_string())
            .hint("make room on the disk, then restore with --force: it adds what is still missing"),
    }
}

fn tell(restored: &Restored) {
    let Restored {
        known,
        waiting,
        running,
        ended,
        strays,
        workspaces,
        processes,
        used_ids,
        left_out,
        newest_ms,
    } = restored;
    for why in left_out {
        Context::warn(&super::text::visible(why));
    }
    screen::note(&format!("tasks that the journal has itself: {known}"));
    screen::note(&format!(
        "tasks put back: {waiting} waiting, {running} running, {ended} ended"
    ));
    screen::note(&format!("workspaces put back: {workspaces}"));
    if *processes > 0 {
        screen::note(&format!("processes put back: {processes}"));
    }
    screen::note(&format!(
        "ids that stay used though their tasks are gone: {used_ids}"
    ));
    if *strays > 0 {
        screen::note(&format!(
            "left out, since a daemon had not known them any more: {strays}; --force --strays adds them"
        ));
    }
    if *newest_ms > 0 {
        screen::note(&format!(
            "the newest that the history knows is of {}: what happened after that is not restored",
            local_time(*newest_ms)
        ));
    }
}
