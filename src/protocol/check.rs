//! What can be said about a task without knowing any other: names, sizes, NUL bytes, contradictions.
//!
//! Whether ids, profiles, programs and folders exist is for the engine to find out.

use wezterm_parallel_scheduler::Condition;

use super::check_claude::check_claude;
use super::{suggest, EditTask, ErrorAnswer, ErrorCode, TaskQueue};

/// Ids become folder names; 64 bytes leave room for what is put around them.
const NAME_CHARS_MAX: usize = 64;

/// Labels are shown in tables.
const LABEL_CHARS_MAX: usize = 256;

/// More than this is a loop, not a retry.
const RETRIES_MAX: u32 = 1000;

/// Linux takes no single argument or variable of 128 KiB or more (`MAX_ARG_STRLEN`, NUL included).
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// A task that waits for more tasks than this belongs behind one that waits for them in its place.
const AFTER_MAX: usize = 10_000;

pub(super) type Checked = Result<(), ErrorAnswer>;

pub(super) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> ErrorAnswer {
    ErrorAnswer::new(ErrorCode::InvalidValue, message, hint)
}

/// Checks a task to queue.
///
/// # Errors
/// The first thing that is wrong with it, by name.
pub fn check_task(task: &TaskQueue) -> Checked {
    if !task.id.is_empty() {
        check_id(&task.id)?;
    }
    check_what(task)?;
    check_where(task)?;
    check_when(task.delay_ms, task.not_before_ms, &task.after)?;
    check_retries(task.retries)?;
    check_needs(task.memory_bytes, task.cpus)?;
    check_label(task.label.as_deref())?;
    task.claude.as_deref().map_or(Ok(()), check_claude)
}

/// Checks new values for a task.
///
/// # Errors
/// The first thing that is wrong with them, by name.
pub fn check_edit(edit: &EditTask) -> Checked {
    check_id(&edit.id)?;
    if let Some(command) = &edit.command {
        check_command(command)?;
    }
    let after = edit.after.as_deref().unwrap_or_default();
    check_when(edit.delay_ms, edit.not_before_ms, after)?;
    check_retries(edit.retries)?;
    // A declaration is taken back with 0.
    check_needs(
        edit.memory_bytes.filter(|bytes| *bytes > 0),
        edit.cpus.filter(|cpus| *cpus != 0.0),
    )?;
    check_label(edit.label.as_deref())
}

fn check_needs(memory_bytes: Option<u64>, cpus: Option<f64>) -> Checked {
    if memory_bytes == Some(0) {
        return Err(invalid(
            "`memory_bytes` is 0",
            "leave it out for what was learned of such tasks",
        ));
    }
    match cpus {
        Some(cpus) if !(CPUS_MIN..=CPUS_MAX).contains(&cpus) => Err(invalid(
            format!("`cpus` is {cpus}; {CPUS_MIN} to {CPUS_MAX} are allowed"),
            "leave it out for what is measured",
        )),
        _ => Ok(()),
    }
}

/// The least share of a processor that a task can declare.
pub const CPUS_MIN: f64 = 0.001;
/// The most processors; more is a typing error.
pub const CPUS_MAX: f64 = 4096.0;

/// Checks the syntax of an id.
///
/// # Errors
/// Which rule it breaks.
pub fn check_id(id: &str) -> Checked {
    check_name("id", id)
}

pub(super) fn check_name(field: &str, name: &str) -> Checked {
    let rules = format!("1 to {NAME_CHARS_MAX} characters of A-Z a-z 0-9 . _ -, not beginning with . or -");
    if name.is_empty() {
        return Err(invalid(format!("`{field}` is empty"), rules));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        let message = format!("`{field}` has {} characters", name.chars().count());
        return Err(invalid(message, rules));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(wrong) = name.chars().find(|c| !allowed(c)) {
        return Err(invalid(format!("`{field}` contains {wrong:?}"), rules));
    }
    if name.starts_with(['.', '-']) {
        return Err(invalid(format!("`{field}` begins with {:?}", &name[..1]), rules));
    }
    Ok(())
}

fn check_what(task: &TaskQueue) -> Checked {
    match (&task.command, &task.argv) {
        (Some(command), None) => check_command(command)?,
        (None, Some(argv)) => check_argv(argv)?,
        (None, None) => {
            return Err(invalid(
                "the task has neither `command` nor `argv`",
                "give it one of them",
            ))
        }
        (Some(_), Some(_)) => {
            return Err(invalid(
                "the task has both `command` and `argv`",
                "give it one of them",
            ))
        }
    }
    match &task.worker {
        Some(worker) => check_name("worker", worker),
        None => Ok(()),
    }
}

fn check_command(command: &str) -> Checked {
    if command.trim().is_empty() {
        return Err(invalid("`command` is empty", "say what to run"));
    }
    // A prompt may be long; what a shell takes is for the profile to say.
    check_nul("command", command)
}

fn check_argv(argv: &[String]) -> Checked {
    match argv.first() {
        None => return Err(invalid("`argv` is empty", "name a program")),
        Some(program) if program.is_empty() => return Err(invalid("`argv[0]` is empty", "name a program")),
        Some(_) => {}
    }
    argv.iter()
        .enumerate()
        .try_for_each(|(n, argument)| check_argument(&format!("argv[{n}]"), argument))
}

pub(super) fn check_argument(field: &str, value: &str) -> Checked {
    check_nul(field, value)?;
    if value.len() > ARGUMENT_BYTES_MAX {
        return Err(invalid(
            format!(
                "`{field}` has {} bytes; the system takes {ARGUMENT_BYTES_MAX}",
                value.len()
            ),
            "pass long texts by `stdin` or in a file",
        ));
    }
    Ok(())
}

pub(super) fn check_nul(field: &str, value: &str) -> Checked {
    match value.find('\0') {
        Some(at) => Err(invalid(
            format!("`{field}` contains a NUL at byte {at}"),
            "the system takes no NUL there",
        )),
        None => Ok(()),
    }
}

fn check_where(task: &TaskQueue) -> Checked {
    if let Some(cwd) = &task.cwd {
        check_nul("cwd", cwd)?;
        if !cwd.starts_with('/') {
            return Err(invalid(
                format!("`cwd` is not absolute: {cwd:?}"),
                "the daemon has another working folder than you: send the whole path",
            ));
        }
    }
    check_worktree(task)?;
    if let Some(workspace) = task.workspace.as_deref().filter(|name| !name.is_empty()) {
        check_name("workspace", workspace)?;
    }
    if let Some(workspace) = task.default_workspace.as_deref() {
        check_name("default_workspace", workspace)?;
    }
    if task.env.is_some() && task.env_ref.is_some() {
        return Err(invalid(
            "the task has both `env` and `env_ref`",
            "give it one of them; `env_add` adds to either",
        ));
    }
    let env = task.env.iter().flatten();
    env.map(|variable| ("env", variable))
        .chain(task.env_add.iter().map(|variable| ("env_add", variable)))
        .try_for_each(|(field, (name, value))| check_variable(field, name, value))
}

fn check_worktree(task: &TaskQueue) -> Checked {
    let Some(base) = &task.worktree_base else {
        return Ok(());
    };
    if task.worktree == Some(false) {
        let hint = "leave out `worktree_base`, or set `worktree`";
        return Err(invalid("the task has a `worktree_base` and no worktree", hint));
    }
    if base.is_empty() || base.starts_with('-') || base.chars().any(|c| c.is_control() || c == ' ') {
        let message = format!("`worktree_base` names no commit: {base:?}");
        return Err(invalid(message, "give a branch, a tag or a commit"));
    }
    Ok(())
}

pub(super) fn check_variable(field: &str, name: &str, value: &str) -> Checked {
    if name.is_empty() {
        return Err(invalid(
            format!("`{field}` has a variable without a name"),
            "send {\"NAME\":\"value\"}",
        ));
    }
    if name.contains('=') {
        return Err(invalid(
            format!("`{field}` has a variable with a `=` in its name: {name:?}"),
            "send {\"NAME\":\"value\"}",
        ));
    }
    check_nul(field, name)?;
    check_nul(&format!("{field}.{name}"), value)?;
    let bytes = name.len() + 1 + value.len();
    if bytes > ARGUMENT_BYTES_MAX {
        return Err(invalid(
            format!("`{field}.{name}` has {bytes} bytes; the system takes {ARGUMENT_BYTES_MAX}"),
            "pass long texts by `stdin` or in a file",
        ));
    }
    Ok(())
}

fn check_when(delay_ms: Option<u64>, not_before_ms: Option<u64>, after: &[String]) -> Checked {
    if delay_ms.is_some() && not_before_ms.is_some() {
        return Err(invalid(
            "the task has both `delay_ms` and `not_before_ms`",
            "give it one of them",
        ));
    }
    if after.len() > AFTER_MAX {
        return Err(invalid(
            format!("`after` has {} items; {AFTER_MAX} are allowed", after.len()),
            "let one task wait for them all, and the others for it",
        ));
    }
    after.iter().try_for_each(|item| parse_after(item).map(drop))
}

fn check_retries(retries: Option<u32>) -> Checked {
    match retries {
        Some(retries) if retries > RETRIES_MAX => Err(invalid(
            format!("`retries` is {retries}; {RETRIES_MAX} are allowed"),
            "more than that is a loop: let the command itself try again",
        )),
        _ => Ok(()),
    }
}

fn check_label(label: Option<&str>) -> Checked {
    let Some(label) = label else { return Ok(()) };
    if label.chars().count() > LABEL_CHARS_MAX {
        let message = format!("`label` has more than {LABEL_CHARS_MAX} characters");
        return Err(invalid(message, "labels are to find tasks by"));
    }
    match label.chars().find(|c| c.is_control()) {
        Some(wrong) => Err(invalid(
            format!("`label` contains {wrong:?}"),
            "labels are shown in tables: no control characters",
        )),
        None => Ok(()),
    }
}

/// Reads one item of `after`: `ID` (after its success) or `ID:success|failure|any`.
///
/// # Errors
/// What is wrong with the id or the condition.
pub fn parse_after(item: &str) -> Result<(String, Condition), ErrorAnswer> {
    let (id, condition) = item.split_once(':').unwrap_or((item, "success"));
    check_name("after", id)?;
    let on = match condition {
        "success" => Condition::Success,
        "failure" => Condition::Failure,
        "any" => Condition::Any,
        other => {
            return Err(invalid(
                format!("`after` has an unknown condition: {other:?}"),
                suggest::hint(other, &["success", "failure", "any"]),
            ))
        }
    };
    Ok((id.to_owned(), on))
}
