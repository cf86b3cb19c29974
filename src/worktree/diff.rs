//! What a worktree has come to, as git shows it: everything since it began, uncommitted and new files included.

use std::path::Path;
use std::process::{Command, ExitStatus};

use super::error::WorktreeError;
use super::git::{finished, Git};
use super::place::Spot;
use super::record::Record;
use super::repository::commit;

/// Where the worktree and what it is to be merged into part: what `diff` compares with.
pub(super) fn fork_point(record: &Record) -> Result<String, WorktreeError> {
    let target = commit(&Git::at(&record.source).alone(), "HEAD").ok().flatten();
    let Some(target) = target else {
        return Ok(record.base.clone());
    };
    let output = Git::within(&record.path)
        .alone()
        .output(&["merge-base", &target, "HEAD"])?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if output.status.success() && !text.is_empty() {
        text
    } else {
        record.base.clone()
    })
}

/// Shows the difference on this process's own output, through the user's own pager: how git ended.
///
/// # Errors
/// If git cannot be run, or the worktree is not there.
pub fn diff(record: &Record, options: &[String]) -> Result<ExitStatus, WorktreeError> {
    if !record.path.join(".git").exists() {
        return Err(WorktreeError::refused(
            format!("the worktree {} is not there", record.path.display()),
            format!(
                "what was committed is on its branch: `git diff {}...{}`",
                record.base, record.branch
            ),
        ));
    }
    let base = fork_point(record)?;
    // git shows new files only if they are in the index, which is the worker's: a copy will do.
    let copy = Spot::of_record(record).map(|spot| spot.scratch(&format!("index-{}", std::process::id())));
    let index = copy.filter(|copy| fill(record, copy).is_ok());
    let git = Git::within(&record.path);
    let mut arguments = vec!["diff".to_owned()];
    arguments.extend(options.iter().cloned());
    arguments.extend([base, "--".to_owned()]);
    let mut command = git.command(&arguments);
    // It is for people, in their own language.
    match std::env::var_os("LC_ALL") {
        Some(language) => command.env("LC_ALL", language),
        None => command.env_remove("LC_ALL"),
    };
    if let Some(index) = &index {
        command.env("GIT_INDEX_FILE", index);
    }
    let status = finished(command.status());
    if let Some(index) = index {
        // The next one writes it anew if it stays.
        let _ = std::fs::remove_file(index);
    }
    status
}

/// Makes a copy of the index that knows of new files.
fn fill(record: &Record, copy: &Path) -> Result<(), WorktreeError> {
    let git = Git::within(&record.path).alone();
    let index = git.line(&["rev-parse", "--git-path", "index"])?;
    let index = record.path.join(index);
    std::fs::copy(&index, copy).map_err(|error| WorktreeError::file(&index, error))?;
    let mut command: Command = git.command(&["add", "--intent-to-add", "--all"]);
    let output = finished(command.env("GIT_INDEX_FILE", copy).output())?;
    if output.status.success() {
        return Ok(());
    }
    let _ = std::fs::remove_file(copy);
    Err(WorktreeError::Git {
        command: "add".to_owned(),
        said: super::git::said(&output),
    })
}
