//! What types alone cannot say about a template: values, placeholders, and who waits for whom.

use super::fill::{placeholders, GIVEN};
use super::panes::check_panes;
use super::{Template, TemplateProcess, TemplateTask};
use crate::config::Fault;
use crate::protocol::{
    self, check_id, check_settings, check_task, hint, parse_after, ProcessSpawn, TaskQueue, WorkspaceSettings,
};

fn fault(key: impl Into<String>, message: impl std::fmt::Display, hint: impl Into<String>) -> Fault {
    let key = key.into();
    Fault {
        message: format!("`{key}`: {message}"),
        key,
        hint: hint.into(),
    }
}

/// The first thing that is wrong in one file; `whole` is the template with all that it extends.
pub(super) fn check(part: &Template, whole: &Template) -> Result<(), Fault> {
    check_values(part)?;
    for name in part.variables.keys() {
        let key = format!("variables.{name}");
        if GIVEN.contains(&name.as_str()) {
            let words = format!("`{{{name}}}` has a meaning already");
            return Err(fault(key, words, "choose another name"));
        }
        let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !fits {
            return Err(fault(
                key,
                "no name for a variable",
                "a-z, 0-9 and _, beginning with a letter",
            ));
        }
    }
    if let Some(folder) = &part.folder {
        check_folder(folder)?;
        check_text("folder", folder, whole, true)?;
    }
    for (name, value) in &part.env {
        check_text(&format!("env.{name}"), value, whole, false)?;
    }
    for (index, task) in part.tasks.iter().enumerate() {
        check_one(index, task, whole)?;
    }
    for (index, process) in part.processes.iter().enumerate() {
        check_process(index, process, part, whole)?;
    }
    for (index, pane) in part.panes.iter().enumerate() {
        for (field, text) in pane.texts() {
            check_text(&format!("panes.{index}.{field}"), text, whole, false)?;
        }
    }
    check_panes(part, whole)
}

fn check_process(
    index: usize,
    process: &TemplateProcess,
    part: &Template,
    whole: &Template,
) -> Result<(), Fault> {
    let place = |field: &str| format!("processes.{index}.{field}");
    for (field, text) in process.texts() {
        check_text(&place(field), text, whole, false)?;
    }
    let named = part.processes[..index]
        .iter()
        .any(|other| other.name == process.name);
    if let Some(name) = process.name.as_ref().filter(|_| named) {
        let message = format!("another process above has the name '{name}'");
        return Err(fault(place("name"), message, "choose another one"));
    }
    let ways = [
        process.ready_port.is_some(),
        process.ready_line.is_some(),
        process.ready_pattern.is_some(),
        process.ready_command.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        let message = "there are several ways to see that it is ready";
        let hint = "leave all out but one of ready_port, ready_line, ready_pattern and ready_command";
        return Err(fault(place("ready_command"), message, hint));
    }
    let message = process.spawned("name", &std::collections::BTreeMap::new());
    let message = ProcessSpawn {
        // With its placeholders, which are known by now: nothing that they stand for makes it empty.
        command: Some(process.command.clone()),
        ready: process.ready_to_check(),
        ..message
    };
    protocol::check_process(&message).map_err(|error| {
        let field = error.message.split('`').nth(1).unwrap_or("command");
        let field = match field {
            "memory_bytes" => "memory",
            "ready" if process.ready_port.is_some() => "ready_port",
            "ready" if process.ready_line.is_some() => "ready_line",
            "ready" if process.ready_pattern.is_some() => "ready_pattern",
            field => field,
        };
        fault(
            place(field),
            error.message.replace("memory_bytes", "memory"),
            error.hint,
        )
    })
}

fn check_folder(folder: &str) -> Result<(), Fault> {
    let hint = "begin it with / or ~/ or {home}/";
    let begins = ["/", "~/", "{"].iter().any(|start| folder.starts_with(start));
    if !begins || folder.split('/').any(|part| part == "..") {
        return Err(fault("folder", format!("{folder:?} is not a whole path"), hint));
    }
    Ok(())
}

/// The checks of the message, under the names that the file has for the values.
fn check_values(part: &Template) -> Result<(), Fault> {
    let settings = WorkspaceSettings {
        folder: None,
        env: part.env.clone(),
        worker: part.worker.clone(),
        max_parallel: part.max_parallel,
        rate: None,
        memory_bytes: part.memory.map(|size| size.0),
        budget_usd: part.budget_usd,
        weight: part.weight,
        priority_offset: part.priority_offset,
        sandbox: part.sandbox.clone(),
        allow_agents: part.allow_agents.clone(),
        worktree: part.worktree,
        ..WorkspaceSettings::default()
    };
    check_settings(&settings).map_err(|error| {
        let key = error.message.split('`').nth(1).unwrap_or_default();
        let key = if key == "memory_bytes" { "memory" } else { key };
        Fault {
            key: key.to_owned(),
            message: error.message.replace("memory_bytes", "memory"),
            hint: error.hint,
        }
    })
}

fn check_one(index: usize, task: &TemplateTask, whole: &Template) -> Result<(), Fault> {
    let place = |field: &str| format!("tasks.{index}.{field}");
    for (field, text) in ["command", "label"].into_iter().zip(task.texts()) {
        check_text(&place(field), text, whole, false)?;
    }
    if let Some(name) = &task.name {
        check_id(name).map_err(|error| fault(place("name"), error.message, error.hint))?;
    }
    // Those before it in the whole template, where it may have taken the place of another one.
    let position = whole.tasks.iter().position(|other| other == task);
    let earlier = &whole.tasks[..position.unwrap_or(0)];
    let names: Vec<&str> = earlier.iter().filter_map(|other| other.name.as_deref()).collect();
    for item in &task.after {
        let (name, _) =
            parse_after(item).map_err(|error| fault(place("after"), error.message, error.hint))?;
        if !names.contains(&name.as_str()) {
            let message = format!("no task before this one has the name '{name}'");
            let hint = match hint(&name, &names).as_str() {
                "" => "a task waits for tasks above it".to_owned(),
                hint => hint.to_owned(),
            };
            return Err(fault(place("after"), message, hint));
        }
    }
    let message = TaskQueue {
        command: Some(task.command.clone()),
        worker: task.worker.clone(),
        label: task.label.clone(),
        ..TaskQueue::default()
    };
    check_task(&message).map_err(|error| {
        let field = error.message.split('`').nth(1).unwrap_or("command").to_owned();
        fault(place(&field), error.message, error.hint)
    })
}

/// Every placeholder must be known. A folder cannot be made from itself.
fn check_text(key: &str, text: &str, whole: &Template, is_folder: bool) -> Result<(), Fault> {
    let given = GIVEN
        .iter()
        .copied()
        .filter(|name| !is_folder || *name != "folder");
    let known: Vec<&str> = given.chain(whole.variables.keys().map(String::as_str)).collect();
    match placeholders(text).find(|name| !known.contains(name)) {
        Some(unknown) => {
            let hint = format!(
                "{}; declare it as [variables.{unknown}], or write {{{{ for a brace",
                hint(unknown, &known)
            );
            Err(fault(key, format!("there is no `{{{unknown}}}`"), hint))
        }
        None => Ok(()),
    }
}
