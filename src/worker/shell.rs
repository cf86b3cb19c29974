//! `kind = "shell"`: the command is a line for a shell.

use super::{program, Job, JobError, Prepared, Profile};
use crate::protocol::ARGUMENT_BYTES_MAX;

/// Runs `sh -c COMMAND`, or another shell the same way.
#[derive(Debug)]
pub(super) struct Shell {
    name: String,
    shell: String,
}

impl Shell {
    pub(super) fn new(name: &str, shell: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            shell: shell.unwrap_or("sh").to_owned(),
        }
    }
}

impl Profile for Shell {
    fn check(&self, job: &Job<'_>) -> Result<(), JobError> {
        let Some(command) = job.command else {
            return Err(JobError::WantsCommand(self.name.clone()));
        };
        if command.len() > ARGUMENT_BYTES_MAX {
            return Err(JobError::CommandTooLong(command.len()));
        }
        if job.claude.is_some() {
            return Err(JobError::TakesNoClaudeOptions(self.name.clone()));
        }
        program::find(&self.shell, job.cwd, job.path)
    }

    fn prepare(&self, job: &Job<'_>) -> Prepared {
        let command = job.command.unwrap_or_default().to_owned();
        Prepared {
            argv: vec![self.shell.clone(), "-c".to_owned(), command],
            stdin: job.stdin.map(str::to_owned),
            stdin_open: false,
            separate_stderr: false,
            unset: &[],
        }
    }
}
