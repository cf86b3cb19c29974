//! The errors that only the engine can find, each with what to do about it.

use wezterm_parallel_scheduler::{Refusal, TaskKey};

use crate::protocol::wording::cut;
use crate::protocol::{nearest, AgentRight, ErrorAnswer, ErrorCode};
use crate::worker::JobError;

fn error(code: ErrorCode, message: String, hint: impl Into<String>) -> ErrorAnswer {
    ErrorAnswer {
        code,
        message,
        hint: hint.into(),
    }
}

pub(super) fn unknown_task(id: &str) -> ErrorAnswer {
    error(
        ErrorCode::UnknownTask,
        format!("there is no task '{id}'"),
        "`wezterm-parallel status` lists the tasks",
    )
}

pub(super) fn unknown_dependency(id: &str) -> ErrorAnswer {
    error(
        ErrorCode::UnknownTask,
        format!("there is no task '{id}' to wait for"),
        "queue it first; `wezterm-parallel status` lists the tasks",
    )
}

pub(super) fn conflict(id: &str, used: &str) -> ErrorAnswer {
    error(
        ErrorCode::Conflict,
        format!("id '{id}' was used before, {used}"),
        "choose another id, or leave it out to get the next free number",
    )
}

pub(super) fn unknown_worker<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ErrorAnswer {
    let known: Vec<&str> = known.collect();
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    let guess = nearest
        .filter(|near| strsim::jaro(name, near) > 0.7)
        .map(|near| format!("did you mean '{near}'? "));
    error(
        ErrorCode::UnknownWorker,
        format!("there is no worker profile '{name}'"),
        format!(
            "{}known profiles: {}; add one to the config as [workers.{name}]",
            guess.unwrap_or_default(),
            known.join(", ")
        ),
    )
}

pub(super) fn no_session(id: &str) -> ErrorAnswer {
    error(
        ErrorCode::WrongState,
        format!("task '{id}' has no session to continue: it never ran one"),
        "`retry` it, or name another task or a session by `resume`",
    )
}

pub(super) fn said_already(id: &str) -> ErrorAnswer {
    error(
        ErrorCode::WrongState,
        format!("the session of task '{id}' has heard its prompt already"),
        "queue another with `continue_from`, or cancel this one and queue it anew",
    )
}

pub(super) fn no_secrets(variable: &str, value: &str) -> ErrorAnswer {
    error(
        ErrorCode::InvalidValue,
        format!("the variable {variable} is `{value}`, and no command tells secrets"),
        "name one in the config: `[secrets] command = [\"pass\", \"show\"]`",
    )
}

pub(super) fn bad_secret(variable: &str, value: &str, why: &str) -> ErrorAnswer {
    error(
        ErrorCode::InvalidValue,
        format!("the variable {variable} is `{value}`, which {why}"),
        "write `secret:NAME`, with the NAME that your command for secrets takes",
    )
}

pub(super) fn no_repository(cwd: &str) -> ErrorAnswer {
    error(
        ErrorCode::InvalidValue,
        format!("'{cwd}' is in no git repository, so there can be no worktree of it"),
        "queue it from a folder of a repository, or without a worktree: `--no-worktree`",
    )
}

pub(super) fn no_other_worktree(id: &str) -> ErrorAnswer {
    error(
        ErrorCode::InvalidValue,
        format!(
            "a task that continues the session of task '{id}' works where that one did, in no other worktree"
        ),
        "leave `worktree` and `worktree_base` out",
    )
}

pub(super) fn missing_cwd(cwd: &str) -> ErrorAnswer {
    error(
        ErrorCode::MissingCwd,
        format!("the working folder '{cwd}' does not exist"),
        "create it, or give another with cwd",
    )
}

pub(super) fn missing_folder(folder: &str) -> ErrorAnswer {
    error(
        ErrorCode::MissingCwd,
        format!("the folder '{folder}' does not exist"),
        "create it, or give another with folder",
    )
}

pub(super) fn vanished_folder(workspace: &str, folder: &str) -> ErrorAnswer {
    error(
        ErrorCode::MissingCwd,
        format!("the folder '{folder}' of workspace '{workspace}' does not exist any more"),
        format!("create it, give the task another with cwd, or `wezterm-parallel workspace edit {workspace} --folder DIR`"),
    )
}

pub(super) fn unknown_workspace<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ErrorAnswer {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "`wezterm-parallel workspace list` shows them all".to_owned(),
    };
    let message = format!("there is no workspace '{}'", cut(name));
    error(ErrorCode::NotFound, message, hint)
}

pub(super) fn workspace_exists(name: &str) -> ErrorAnswer {
    error(
        ErrorCode::Exists,
        format!("there is a workspace '{name}' already"),
        format!("`wezterm-parallel workspace edit {name}` changes it; choose another name for another one"),
    )
}

pub(super) fn workspace_has_work(name: &str, waiting: u64, running: u64) -> ErrorAnswer {
    error(
        ErrorCode::WrongState,
        format!("workspace '{name}' has work: {waiting} waiting, {running} running"),
        "with force (`--force`) it is removed all the same; its tasks go on, and keep its name",
    )
}

pub(super) fn unknown_environment(reference: &str) -> ErrorAnswer {
    error(
        ErrorCode::InvalidValue,
        format!("`env_ref`: no environment is stored as '{reference}'"),
        "send an Environment message first and use the hash that it is answered with",
    )
}

pub(super) fn job(problem: &JobError) -> ErrorAnswer {
    let hint = match problem {
        JobError::WantsCommand(_) => "give a command, or leave out worker to run an argv as it is",
        JobError::WantsArgv(_) => "give an argv: on the command line, `queue -- PROGRAM ARGUMENTS`",
        JobError::CommandTooLong(_) => "pass long texts by `stdin` or in a file",
        JobError::TakesNoStdin(_) => "put what the model shall read into the prompt or into a file",
        JobError::TakesNoClaudeOptions(_) => "leave them out, or name a worker of kind \"claude\"",
        JobError::MissingClaude { .. } => {
            "install Claude Code with `npm install -g @anthropic-ai/claude-code`, or name it as `binary` in \
             [workers.claude]; for a shell line, add `--shell`"
        }
        JobError::MissingProgram { .. } => "check the spelling, install it, or give its full path",
    };
    error(problem.into(), problem.to_string(), hint)
}

pub(super) fn not_for_agents(id: &str, workspace: &str, right: AgentRight, what: &str) -> ErrorAnswer {
    let where_to = match workspace {
        "" => format!("`[agents] allow = [\"{right}\"]` in the config lets workers"),
        workspace => {
            format!("`wezterm-parallel workspace edit {workspace} --allow-agents {right}` lets its workers")
        }
    };
    error(
        ErrorCode::Forbidden,
        format!("{what} is not for a worker to ask for: you speak for task {id} only"),
        format!("{where_to}; the user may do it from outside of workers"),
    )
}

pub(super) fn unsupported(what: &str) -> ErrorAnswer {
    error(
        ErrorCode::Unsupported,
        format!("this daemon does not do {what} yet"),
        "a newer version may",
    )
}

pub(super) fn busy(why: &str) -> ErrorAnswer {
    error(
        ErrorCode::TooBusy,
        format!("not now: {why}"),
        "try again in a few seconds",
    )
}

pub(super) fn invalid(message: String, hint: &str) -> ErrorAnswer {
    error(ErrorCode::InvalidValue, message, hint)
}

/// What the scheduler refused, in the words of ids.
pub(super) fn refusal(refusal: &Refusal, id: impl Fn(TaskKey) -> String) -> ErrorAnswer {
    match refusal {
        Refusal::Unknown(key) => unknown_task(&id(*key)),
        Refusal::UnknownDependency(_, key) => unknown_dependency(&id(*key)),
        Refusal::Cycle(path) => {
            let path: Vec<String> = path.iter().chain(path.first()).map(|key| id(*key)).collect();
            let hint = "leave out one of these dependencies";
            error(
                ErrorCode::Cycle,
                format!("these tasks would wait for each other: {}", path.join(" → ")),
                hint,
            )
        }
        Refusal::WrongState(key, state) => {
            let message = format!("task '{}' is {state}, which does not allow that", id(*key));
            error(
                ErrorCode::WrongState,
                message,
                "`wezterm-parallel show` tells where it stands",
            )
        }
        Refusal::Exists(key) => conflict(&id(*key), "by another task"),
        Refusal::WaitedFor(key, other) => {
            let message = format!("task '{}' is waited for by task '{}'", id(*key), id(*other));
            error(ErrorCode::WrongState, message, "remove or cancel that one first")
        }
    }
}
