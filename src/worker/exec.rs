//! `kind = "exec"`: a program and its arguments, with no shell in between.

use super::{program, Job, JobError, Prepared, Profile};

/// Runs the argv as it is.
#[derive(Debug)]
pub(super) struct Exec {
    name: String,
}

impl Exec {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

impl Profile for Exec {
    fn check(&self, job: &Job<'_>) -> Result<(), JobError> {
        let first = job.argv.and_then(<[String]>::first);
        let name = first.ok_or_else(|| JobError::WantsArgv(self.name.clone()))?;
        if job.claude.is_some() {
            return Err(JobError::TakesNoClaudeOptions(self.name.clone()));
        }
        program::find(name, job.cwd, job.path)
    }

    fn prepare(&self, job: &Job<'_>) -> Prepared {
        Prepared {
            argv: job.argv.unwrap_or_default().to_vec(),
            stdin: job.stdin.map(str::to_owned),
            stdin_open: false,
            separate_stderr: false,
            unset: &[],
        }
    }
}
