//! `kind = "claude"`: the command is a prompt for the Claude Code CLI.
//!
//! The prompt goes in by standard input, never by an argument, where every user of the machine
//! could read it. The output is JSON Lines, which [`crate::claude`] understands.

use wezterm_parallel_scheduler::{Reason, State};

use super::{judge_exit, program, Job, JobError, Prepared, Profile, Session, Verdict};
use crate::claude::{prompt_line, Conclusion, Outcome};
use crate::config::WorkerConfig;
use crate::executor::Exit;
use crate::protocol::{ClaudeOptions, Denied, Permissions};

/// Set by Claude Code for what it starts; a CLI that finds it takes itself for a part of that run.
const UNSET: [&str; 2] = ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"];

/// What a session is told that was interrupted and goes on.
const CONTINUE: &str =
    "You were interrupted before you were done. Continue where you left off: what you did so far \
                        stands, so look at how things are before you repeat a step.";

/// Runs `claude -p`.
#[derive(Debug)]
pub(super) struct Claude {
    name: String,
    config: WorkerConfig,
}

impl Claude {
    pub(super) fn new(name: &str, config: &WorkerConfig) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
        }
    }

    fn binary<'a>(&'a self, options: &'a ClaudeOptions) -> &'a str {
        let own = options.binary.as_deref().or(self.config.binary.as_deref());
        own.unwrap_or("claude")
    }
}

impl Profile for Claude {
    fn check(&self, job: &Job<'_>) -> Result<(), JobError> {
        if job.command.is_none() {
            return Err(JobError::WantsCommand(self.name.clone()));
        }
        if job.stdin.is_some() {
            return Err(JobError::TakesNoStdin(self.name.clone()));
        }
        let binary = self
            .binary(job.claude.unwrap_or(&ClaudeOptions::default()))
            .to_owned();
        program::find(&binary, job.cwd, job.path).map_err(|error| match error {
            JobError::MissingProgram { program, tried } => JobError::MissingClaude { program, tried },
            other => other,
        })
    }

    fn prepare(&self, job: &Job<'_>) -> Prepared {
        let none = ClaudeOptions::default();
        let options = effective(&self.config, job.claude.unwrap_or(&none));
        let mut argv: Vec<String> = vec![self.binary(&options).to_owned()];
        argv.extend(["-p", "--output-format", "stream-json", "--verbose"].map(str::to_owned));
        let asks = options.permissions == Some(Permissions::Ask);
        if asks {
            argv.extend(
                [
                    "--input-format",
                    "stream-json",
                    "--permission-prompt-tool",
                    "stdio",
                ]
                .map(str::to_owned),
            );
        }
        if self.config.partial_messages == Some(true) {
            argv.push("--include-partial-messages".to_owned());
        }
        push_session(&mut argv, job.session);
        push_options(&mut argv, &options, job.budget_usd);
        argv.extend(self.config.extra_args.iter().flatten().cloned());
        argv.extend(
            job.claude
                .iter()
                .filter_map(|own| own.extra_args.clone())
                .flatten(),
        );
        let told = matches!(job.session, Some(Session::Resume { told: true, .. }));
        let prompt = if told {
            CONTINUE
        } else {
            job.command.unwrap_or_default()
        };
        Prepared {
            argv,
            stdin: Some(if asks {
                prompt_line(prompt)
            } else {
                prompt.to_owned()
            }),
            stdin_open: asks,
            separate_stderr: true,
            unset: &UNSET,
        }
    }
}

/// The task's own options over the profile's.
pub(super) fn effective(config: &WorkerConfig, own: &ClaudeOptions) -> ClaudeOptions {
    let own = own.clone();
    ClaudeOptions {
        binary: own.binary.or_else(|| config.binary.clone()),
        model: own.model.or_else(|| config.model.clone()),
        fallback_model: own.fallback_model.or_else(|| config.fallback_model.clone()),
        permission_mode: own.permission_mode.or_else(|| config.permission_mode.clone()),
        allowed_tools: own.allowed_tools.or_else(|| config.allowed_tools.clone()),
        disallowed_tools: own.disallowed_tools.or_else(|| config.disallowed_tools.clone()),
        max_turns: own.max_turns.or(config.max_turns),
        max_budget_usd: own.max_budget_usd.or(config.max_budget_usd),
        effort: own.effort.or_else(|| config.effort.clone()),
        append_system_prompt: own
            .append_system_prompt
            .or_else(|| config.append_system_prompt.clone()),
        mcp_config: own.mcp_config.or_else(|| config.mcp_config.clone()),
        permissions: own.permissions.or(config.permissions),
        denied: own.denied.or(config.denied),
        ..own
    }
}

fn push_session(argv: &mut Vec<String>, session: Option<&Session>) {
    let (flag, id) = match session {
        None => return,
        Some(Session::New { id }) => ("--session-id", id),
        Some(Session::Resume { id, .. }) => ("--resume", id),
        Some(Session::Fork { from, id }) => {
            argv.extend(["--resume".to_owned(), from.clone(), "--fork-session".to_owned()]);
            ("--session-id", id)
        }
    };
    argv.extend([flag.to_owned(), id.clone()]);
}

fn push_options(argv: &mut Vec<String>, options: &ClaudeOptions, budget_usd: Option<f64>) {
    let mut push = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            // In one word, so that a value may begin with a dash.
            argv.push(format!("{flag}={value}"));
        }
    };
    push("--model", options.model.clone());
    push("--fallback-model", options.fallback_model.clone());
    push("--permission-mode", options.permission_mode.clone());
    push("--max-turns", options.max_turns.map(|turns| turns.to_string()));
    push("--max-budget-usd", budget_usd.map(|dollars| dollars.to_string()));
    push("--effort", options.effort.clone());
    push("--append-system-prompt", options.append_system_prompt.clone());
    let lists = [
        ("--allowed-tools", &options.allowed_tools),
        ("--disallowed-tools", &options.disallowed_tools),
        ("--mcp-config", &options.mcp_config),
    ];
    for (flag, list) in lists {
        for item in list.iter().flatten() {
            push(flag, Some(item.clone()));
        }
    }
}

/// Why a run was stopped that had been silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It was not.
    None,
    /// Nobody knows what it waited for.
    Stalled,
    /// Its work was done, and only its tasks in the background were left.
    Rested,
}

/// What became of a run: what the shim did to it first, then what the CLI said.
#[must_use]
pub fn judge_claude(exit: &Exit, conclusion: &Conclusion, denied: Denied, silence: Silence) -> Verdict {
    if exit.spawn_error.is_some() || (exit.stopped.is_some() && silence == Silence::None) {
        return judge_exit(exit);
    }
    if silence == Silence::Stalled {
        return Verdict {
            state: State::Failed,
            reason: Reason::Stalled,
            outcome: "stalled",
            message: Some("it printed nothing for too long, and was stopped".to_owned()),
        };
    }
    let reason = reason_of(conclusion.outcome);
    let succeeded = match conclusion.outcome {
        Outcome::Ok => true,
        Outcome::Denied => denied == Denied::Warn,
        _ => false,
    };
    Verdict {
        state: if succeeded {
            State::Succeeded
        } else {
            State::Failed
        },
        reason,
        outcome: conclusion.outcome.name(),
        message: conclusion.message.clone().or_else(|| {
            let rested = silence == Silence::Rested;
            rested.then(|| "its tasks in the background, which did not end, were ended with it".to_owned())
        }),
    }
}

fn reason_of(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Ok => Reason::Ok,
        Outcome::Denied => Reason::Denied,
        Outcome::Limited => Reason::Limited,
        Outcome::Overloaded => Reason::Overloaded,
        Outcome::Auth => Reason::Auth,
        Outcome::ApiError => Reason::ApiError,
        Outcome::Unreachable => Reason::Unreachable,
        Outcome::PromptTooLong => Reason::PromptTooLong,
        Outcome::Budget => Reason::Budget,
        Outcome::MaxTurns => Reason::MaxTurns,
        Outcome::Refusal => Reason::Refusal,
        Outcome::Truncated => Reason::Truncated,
        Outcome::NoOp => Reason::NoOp,
        Outcome::Interrupted => Reason::Interrupted,
        Outcome::Crashed => Reason::Crashed,
        Outcome::NoSession => Reason::NoSession,
    }
}
