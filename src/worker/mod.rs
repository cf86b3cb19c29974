//! Worker profiles: how a command becomes an argv, and how an exit becomes an outcome.
//!
//! A kind of profile is one file with one implementation of [`Profile`].

mod claude;
mod exec;
mod program;
mod shell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use wezterm_parallel_scheduler::{Reason, State};

pub use self::claude::{judge_claude, Silence};
pub use self::program::find as find_program;
use crate::config::{WorkerConfig, WorkerKind};
use crate::executor::{Exit, StopCause};
use crate::protocol::{ClaudeOptions, ARGUMENT_BYTES_MAX};

/// What a task asks a profile to run.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The shell line or prompt.
    pub command: Option<&'a str>,
    /// The program and its arguments.
    pub argv: Option<&'a [String]>,
    /// What the command shall read.
    pub stdin: Option<&'a str>,
    /// The working folder.
    pub cwd: &'a Path,
    /// The value of PATH in the task's environment.
    pub path: Option<&'a str>,
    /// The task's own options for a worker of kind `claude`.
    pub claude: Option<&'a ClaudeOptions>,
    /// Which session the attempt is to run; decided when it starts.
    pub session: Option<&'a Session>,
    /// What the attempt may cost at most, in US dollars; decided when it starts.
    pub budget_usd: Option<f64>,
}

/// The session of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// A new one.
    New {
        /// Its id, chosen here.
        id: String,
    },
    /// One that is there already.
    Resume {
        /// Its id.
        id: String,
        /// It knows this task's prompt already.
        told: bool,
    },
    /// A copy of one.
    Fork {
        /// The one that is copied.
        from: String,
        /// The id of the copy, chosen here.
        id: String,
    },
}

impl Session {
    /// The session that the attempt leaves behind.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::New { id } | Self::Resume { id, .. } | Self::Fork { id, .. } => id,
        }
    }
}

/// What the shim shall start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Option<String>,
    /// Whether its standard input stays open after that.
    pub stdin_open: bool,
    /// Whether stderr is kept apart from stdout.
    pub separate_stderr: bool,
    /// Variables that it must not find in its environment.
    pub unset: &'static [&'static str],
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `succeeded`, `failed`, `cancelled` or `lost`.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// The same in one word, for people and scripts.
    pub outcome: &'static str,
    /// What went wrong, in words.
    pub message: Option<String>,
}

impl Verdict {
    /// The attempt never began.
    #[must_use]
    pub fn not_started(why: String) -> Self {
        Self {
            state: State::Failed,
            reason: Reason::NotStarted,
            outcome: "not_started",
            message: Some(why),
        }
    }

    /// Its shim vanished without an outcome.
    #[must_use]
    pub fn lost(why: String) -> Self {
        Self {
            state: State::Lost,
            reason: Reason::Lost,
            outcome: "lost",
            message: Some(why),
        }
    }
}

/// Why a job cannot run under a profile; found before it is queued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JobError {
    /// The profile takes a command, and the task has an argv.
    #[error("worker '{0}' takes a command, not an argv")]
    WantsCommand(String),
    /// The other way round.
    #[error("worker '{0}' takes an argv, not a command")]
    WantsArgv(String),
    /// The command is longer than an argument can be.
    #[error("`command` has {0} bytes; the system takes {max}", max = ARGUMENT_BYTES_MAX)]
    CommandTooLong(usize),
    /// The prompt is all that the profile reads.
    #[error("worker '{0}' reads its prompt from its standard input: `stdin` cannot be given")]
    TakesNoStdin(String),
    /// Options for Claude, and the profile is of another kind.
    #[error("worker '{0}' is not of kind \"claude\": it takes no options for Claude")]
    TakesNoClaudeOptions(String),
    /// Claude Code is not installed, or not where it is looked for.
    #[error("there is no program '{program}' (tried {})", tried.join(", "))]
    MissingClaude {
        /// What was asked for.
        program: String,
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// The program is not there or cannot be executed.
    #[error("there is no program '{program}' (tried {})", tried.join(", "))]
    MissingProgram {
        /// What was asked for.
        program: String,
        /// Where it was looked for.
        tried: Vec<String>,
    },
}

/// One kind of worker.
pub trait Profile: Send + Sync + std::fmt::Debug {
    /// Whether this job can run here, as far as can be told before it runs.
    fn check(&self, job: &Job<'_>) -> Result<(), JobError>;

    /// What to start for it.
    fn prepare(&self, job: &Job<'_>) -> Prepared;

    /// What became of it. `folder` is the attempt's, with its output.
    fn judge(&self, exit: &Exit, folder: &Path) -> Verdict {
        let _ = folder;
        judge_exit(exit)
    }
}

/// The profiles that the config names, and the two that are always there.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, (WorkerConfig, Arc<dyn Profile>)>,
}

impl Profiles {
    /// Builds them from the config.
    #[must_use]
    pub fn new(workers: &BTreeMap<String, WorkerConfig>) -> Self {
        let built = workers
            .iter()
            .map(|(name, config)| (name.clone(), (config.clone(), build(name, config))));
        Self {
            by_name: built.collect(),
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn Profile> {
        self.by_name.get(name).map(|(_, profile)| profile.as_ref())
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&WorkerConfig> {
        self.by_name.get(name).map(|(config, _)| config)
    }

    /// The options of a Claude task, its own over its profile's; `None` for other kinds.
    #[must_use]
    pub fn claude_options(&self, name: &str, own: Option<&ClaudeOptions>) -> Option<ClaudeOptions> {
        let config = self
            .config(name)
            .filter(|config| config.kind == WorkerKind::Claude)?;
        Some(claude::effective(
            config,
            own.unwrap_or(&ClaudeOptions::default()),
        ))
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

fn build(name: &str, config: &WorkerConfig) -> Arc<dyn Profile> {
    match config.kind {
        WorkerKind::Shell => Arc::new(shell::Shell::new(name, config.shell.as_deref())),
        WorkerKind::Exec => Arc::new(exec::Exec::new(name)),
        WorkerKind::Claude => Arc::new(claude::Claude::new(name, config)),
    }
}

/// The judgement by exit alone: what a plain command's outcome is.
#[must_use]
pub fn judge_exit(exit: &Exit) -> Verdict {
    let verdict = |state, reason, outcome, message| Verdict {
        state,
        reason,
        outcome,
        message,
    };
    let left =
        (exit.leftovers > 0).then(|| format!("left {} processes behind, which were ended", exit.leftovers));
    if let Some(error) = &exit.spawn_error {
        return verdict(
            State::Failed,
            Reason::SpawnError,
            "spawn_error",
            Some(error.clone()),
        );
    }
    match (exit.stopped, exit.exit_code, exit.signal) {
        (Some(StopCause::Request), ..) => verdict(State::Cancelled, Reason::Cancelled, "cancelled", left),
        (Some(StopCause::Timeout), ..) => verdict(State::Failed, Reason::Timeout, "timeout", left),
        (None, Some(0), _) => verdict(State::Succeeded, Reason::Ok, "ok", left),
        (None, _, Some(_)) => verdict(State::Failed, Reason::Signal, "signal", left),
        (None, _, None) => verdict(State::Failed, Reason::ExitCode, "exit_code", left),
    }
}

/// The folder of one attempt below the data folder.
#[must_use]
pub fn attempt_folder(tasks: &Path, id: &str, attempt: u32) -> PathBuf {
    tasks.join(id).join(attempt.to_string())
}
