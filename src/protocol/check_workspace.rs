//! What can be said about a workspace without knowing any other, profiles or folders.

use super::check::{check_name, check_nul, check_variable, invalid, Checked};
use super::{check_sandbox, suggest, WorkspaceCreate, WorkspaceEdit, WorkspaceSettings};

/// As in the config.
const WEIGHT_MAX: u32 = 1_000;
/// As in the config.
const DOLLARS_MAX: f64 = 1_000_000.0;
/// From one end of the priorities to the other.
const OFFSET_MAX: i16 = 255;

/// Checks a workspace to create.
///
/// # Errors
/// The first thing that is wrong with it, by name.
pub fn check_workspace_create(create: &WorkspaceCreate) -> Checked {
    check_name("name", &create.name)?;
    check_name("template", &create.template)?;
    check_settings(&create.settings())
}

/// Checks new values for a workspace.
///
/// # Errors
/// The first thing that is wrong with them, by name.
pub fn check_workspace_edit(edit: &WorkspaceEdit) -> Checked {
    check_name("name", &edit.name)?;
    for name in &edit.unset {
        if !WorkspaceSettings::default().unset(name) {
            let hint = suggest::hint(name, &WorkspaceSettings::NAMES);
            return Err(invalid(format!("`unset` names no value: {name:?}"), hint));
        }
    }
    check_settings(&edit.settings())
}

/// Checks the values of a workspace, but for the rate, which the config knows how to read.
///
/// # Errors
/// The first thing that is wrong with them, by name.
pub fn check_settings(settings: &WorkspaceSettings) -> Checked {
    if let Some(folder) = &settings.folder {
        check_folder(folder)?;
    }
    for (name, value) in &settings.env {
        check_variable("env", name, value)?;
    }
    if let Some(worker) = &settings.worker {
        check_name("worker", worker)?;
    }
    if settings.memory_bytes == Some(0) {
        let hint = "leave it out for what was learned of such tasks";
        return Err(invalid("`memory_bytes` is 0", hint));
    }
    if let Some(dollars) = settings.budget_usd {
        if !(dollars > 0.0 && dollars <= DOLLARS_MAX) {
            let message =
                format!("`budget_usd` is {dollars}; more than 0 and at most {DOLLARS_MAX} are allowed");
            return Err(invalid(message, "leave it out for no limit"));
        }
    }
    if let Some(weight) = settings
        .weight
        .filter(|weight| !(1..=WEIGHT_MAX).contains(weight))
    {
        let hint = "a workspace with 2 gets twice the slots of one with 1; `max_parallel` 0 stops one";
        return Err(invalid(
            format!("`weight` is {weight}; 1 to {WEIGHT_MAX} are allowed"),
            hint,
        ));
    }
    let offset = settings.priority_offset.unwrap_or(0);
    if !(-OFFSET_MAX..=OFFSET_MAX).contains(&offset) {
        let message = format!("`priority_offset` is {offset}; -{OFFSET_MAX} to {OFFSET_MAX} are allowed");
        return Err(invalid(message, "it is added to priorities of 0 to 255"));
    }
    match &settings.sandbox {
        Some(sandbox) => check_sandbox("sandbox", sandbox),
        None => Ok(()),
    }
}

fn check_folder(folder: &str) -> Checked {
    check_nul("folder", folder)?;
    if !folder.starts_with('/') {
        return Err(invalid(
            format!("`folder` is not absolute: {folder:?}"),
            "the daemon has another working folder than you: send the whole path",
        ));
    }
    if folder.split('/').any(|part| part == "..") {
        return Err(invalid(
            format!("`folder` has a `..` in it: {folder:?}"),
            "tasks are found by it: send the path without",
        ));
    }
    Ok(())
}
