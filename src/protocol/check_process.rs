//! What can be said about a process or a report without knowing any task, workspace or folder.

use super::check::{
    check_argv, check_command, check_cwd, check_name, check_nul, check_variable, invalid, Checked,
};
use super::{ready_pattern, suggest, ProcessSpawn, ReadyCheck, ReadyWay, StatusUpdate};

/// A note is one line in tables and tabs.
const NOTE_CHARS_MAX: usize = 500;
/// More restarts in a row than this are a loop.
pub const RESTARTS_MAX: u32 = 1000;
/// What workers report.
pub const REPORTS: [&str; 2] = ["waiting", "working"];

/// Checks a process to spawn.
///
/// # Errors
/// The first thing that is wrong with it, by name.
pub fn check_process(spawn: &ProcessSpawn) -> Checked {
    check_name("workspace", &spawn.workspace)?;
    match (&spawn.command, &spawn.argv) {
        (Some(command), None) => check_command(command)?,
        (None, Some(argv)) => check_argv(argv)?,
        (None, None) => {
            return Err(invalid(
                "there is neither `command` nor `argv`",
                "give one of them",
            ))
        }
        (Some(_), Some(_)) => return Err(invalid("there are both `command` and `argv`", "give one of them")),
    }
    if let Some(name) = &spawn.name {
        check_name("name", name)?;
    }
    if let Some(cwd) = &spawn.cwd {
        check_cwd(cwd)?;
    }
    for (name, value) in spawn.env.iter().flatten() {
        check_variable("env", name, value)?;
    }
    for (name, value) in &spawn.env_add {
        check_variable("env_add", name, value)?;
    }
    if spawn.memory_bytes == Some(0) {
        return Err(invalid(
            "`memory_bytes` is 0",
            "leave it out if nothing is to be kept free for it",
        ));
    }
    if spawn.ready_timeout_ms == Some(0) {
        return Err(invalid("`ready_timeout_ms` is 0", "leave it out for no limit"));
    }
    if spawn.ready_timeout_ms.is_some() && spawn.ready.is_none() {
        return Err(invalid(
            "there is `ready_timeout_ms` and no `ready`",
            "say how it is found out that it is ready, by port, line, pattern or command",
        ));
    }
    if let Some(count) = spawn.max_restarts.filter(|count| *count > RESTARTS_MAX) {
        return Err(invalid(
            format!("`max_restarts` is {count}; {RESTARTS_MAX} are allowed"),
            "so many failures in a row are not mended by one more start",
        ));
    }
    spawn.ready.as_ref().map_or(Ok(()), check_ready)
}

fn check_ready(ready: &ReadyCheck) -> Checked {
    match ready.way() {
        None => Err(invalid(
            "`ready` takes one of `port`, `line`, `pattern` and `command`",
            "leave `ready` out if there is nothing to wait for",
        )),
        Some(ReadyWay::Port(0)) => Err(invalid("`ready`: the port is 0", "1 to 65535 are allowed")),
        Some(ReadyWay::Port(_)) => Ok(()),
        Some(ReadyWay::Line(text)) if text.is_empty() || text.contains('\n') => Err(invalid(
            "`ready`: the line is empty or more than one",
            "give a part of one line that it prints when it is ready",
        )),
        Some(ReadyWay::Line(_)) => Ok(()),
        Some(ReadyWay::Pattern(pattern)) => match ready_pattern(&pattern) {
            Ok(_) => Ok(()),
            Err(error) => Err(invalid(format!("`ready`: {error}"), error.hint())),
        },
        Some(ReadyWay::Command(command)) => check_command(&command),
    }
}

/// Checks what a worker reports of itself.
///
/// # Errors
/// The first thing that is wrong with it, by name.
pub fn check_report(report: &StatusUpdate) -> Checked {
    if report.process_id.is_empty() {
        return Err(invalid(
            "`process_id` is empty",
            "a worker finds its own in WEZTERM_PARALLEL_TASK",
        ));
    }
    if !REPORTS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&report.status))
    {
        let hint = suggest::hint(&report.status, &REPORTS);
        let status = super::wording::cut(&report.status);
        return Err(invalid(
            format!("`status`: a worker cannot report '{status}'"),
            hint,
        ));
    }
    let note = report.note.as_deref().unwrap_or_default();
    check_nul("note", note)?;
    let count = note.chars().count();
    if count > NOTE_CHARS_MAX {
        return Err(invalid(
            format!("`note` has {count} characters; {NOTE_CHARS_MAX} are allowed"),
            "say it in one line",
        ));
    }
    Ok(())
}
