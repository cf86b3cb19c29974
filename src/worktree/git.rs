//! Runs `git`, and nothing of the caller's surroundings can lead it to another repository.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::WorktreeError;

/// Variables that point git at a repository, as `git rev-parse --local-env-vars` names them, and two more that hooks
/// set. A daemon, or a `queue`, that was started by a hook has them. `GIT_CONFIG_COUNT` stays: it is set on purpose.
const LOCAL: [&str; 17] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
];

/// The oldest version that tells of worktrees what must be known here: which are locked, and so which are half made.
pub(super) const OLDEST: (u32, u32) = (2, 31);

/// Takes the variables that lead git to another repository out of what a command gets.
pub(super) fn make_homeless(command: &mut Command) {
    for name in LOCAL {
        command.env_remove(name);
    }
}

/// Where git works.
#[derive(Clone, Debug)]
pub(super) struct Git {
    before: Vec<OsString>,
    ceiling: Option<PathBuf>,
    /// Hooks of the repository are not run, nor its file monitor.
    is_alone: bool,
}

impl Git {
    /// In a folder, whose repository git finds.
    pub(super) fn at(folder: &Path) -> Self {
        Self {
            before: vec!["-C".into(), folder.into()],
            ceiling: None,
            is_alone: false,
        }
    }

    /// In a worktree, and in no repository further up if it is none.
    pub(super) fn within(worktree: &Path) -> Self {
        Self {
            ceiling: worktree.parent().map(Path::to_owned),
            ..Self::at(worktree)
        }
    }

    /// With a repository, wherever its files are.
    pub(super) fn of(git_dir: &Path) -> Self {
        let mut option = OsString::from("--git-dir=");
        option.push(git_dir);
        Self {
            before: vec![option],
            ceiling: None,
            is_alone: false,
        }
    }

    /// Looking, and tidying up: nothing that a repository has set up is run for it.
    pub(super) fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// The command, with an environment that is safe to have.
    pub(super) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new("git");
        make_homeless(&mut command);
        command
            .args(&self.before)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        if let Some(ceiling) = &self.ceiling {
            command.env("GIT_CEILING_DIRECTORIES", ceiling);
        }
        if self.is_alone {
            command
                .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"])
                .env("GIT_OPTIONAL_LOCKS", "0");
        }
        command.args(arguments);
        command
    }

    /// Runs it to its end, whatever that is.
    pub(super) fn output<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output, WorktreeError> {
        finished(self.command(arguments).output())
    }

    /// Runs it; what it printed. Must succeed.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String, WorktreeError> {
        let output = self.output(arguments)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(arguments, &output))
    }

    /// The same in one line.
    pub(super) fn line<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String, WorktreeError> {
        Ok(self.run(arguments)?.trim_end_matches('\n').to_owned())
    }

    /// Whether it says yes.
    pub(super) fn says<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<bool, WorktreeError> {
        let output = self.output(arguments)?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(arguments, &output)),
        }
    }
}

/// What starting git has come to.
pub(super) fn finished<T>(output: std::io::Result<T>) -> Result<T, WorktreeError> {
    output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => WorktreeError::NoGit,
        _ => WorktreeError::Unusable(error),
    })
}

/// git's own words for a failure; an old git does not know what it is asked, and is named instead.
pub(super) fn failed<S: AsRef<OsStr>>(arguments: &[S], output: &Output) -> WorktreeError {
    if let Err(old) = needs(OLDEST, "a worktree") {
        return old;
    }
    let words = arguments
        .iter()
        .map(|argument| argument.as_ref().to_string_lossy());
    let command: Vec<_> = words.take_while(|word| !word.starts_with('-')).take(2).collect();
    WorktreeError::Git {
        command: command.join(" "),
        said: said(output),
    }
}

/// What it printed about its failure.
pub(super) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    // Progress and warnings come before what matters.
    let end: Vec<&str> = text.lines().rev().take(8).collect();
    match end.is_empty() {
        true => output.status.to_string(),
        false => end.into_iter().rev().collect::<Vec<_>>().join("\n"),
    }
}

/// Fails if git is older.
pub(super) fn needs(oldest: (u32, u32), what: &'static str) -> Result<(), WorktreeError> {
    let output = finished(Command::new("git").arg("version").stdin(Stdio::null()).output())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text.trim().trim_start_matches("git version ").to_owned();
    match version(&found) {
        // A version that cannot be read is no reason to refuse.
        Some(version) if version < oldest => Err(WorktreeError::OldGit {
            found,
            needed: if oldest == OLDEST { "2.31" } else { "2.38" },
            what,
        }),
        _ => Ok(()),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_makers_are_read() {
        assert_eq!(version("2.47.3"), Some((2, 47)));
        assert_eq!(version("2.39.3 (Apple Git-146)"), Some((2, 39)));
        assert_eq!(version("2.45.1.windows.1"), Some((2, 45)));
        assert_eq!(version("unknown"), None);
    }
}
