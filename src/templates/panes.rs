//! Panes in templates: what they can say, what can be wrong with them, and what they come to.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fill::{no_folder, placeholders, replaced};
use super::{Template, TemplateError};
use crate::config::Fault;
use crate::protocol::{check_id, hint, WorkspacePane};

/// More panes than this fit no screen.
const PANES_MAX: usize = 64;
/// More slots than this has no pool.
const SLOT_MAX: u32 = 9_999;

/// A pane of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatePane {
    /// Its name, by which templates that extend this one replace it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It shows this slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// It shows the template's process of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// It shows the template's task of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// It runs this shell line first; may hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its folder: absolute, or within the workspace's; may hold placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

impl TemplatePane {
    /// What of it may hold placeholders, by key.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = [("command", self.command.as_deref()), ("cwd", self.cwd.as_deref())];
        texts.into_iter().filter_map(|(key, text)| Some((key, text?)))
    }

    /// What it shows, by key.
    fn shows(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("slot", self.slot.map(|slot| slot.to_string())),
            ("process", self.process.clone()),
            ("task", self.task.clone()),
            ("command", self.command.clone()),
        ];
        said.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// Whether it needs a workspace that has a folder.
    pub(super) fn wants_folder(&self) -> bool {
        let is_relative = |cwd: &str| !cwd.starts_with(['/', '~', '{']);
        self.cwd.as_deref().is_some_and(is_relative)
            || self
                .texts()
                .any(|(_, text)| placeholders(text).any(|name| name == "folder"))
    }

    /// With values in the place of placeholders. A task is still named as the template does.
    fn filled(
        &self,
        template: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<WorkspacePane, TemplateError> {
        let cwd = match &self.cwd {
            Some(cwd) => Some(absolute(&replaced(cwd, values), template, values)?),
            None => None,
        };
        Ok(WorkspacePane {
            name: self.name.clone(),
            slot: self.slot,
            task: self.task.clone(),
            process: self.process.clone(),
            command: self.command.as_deref().map(|line| replaced(line, values)),
            cwd,
        })
    }
}

/// A folder within the workspace's, unless it is absolute.
fn absolute(cwd: &str, template: &str, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    let home = values.get("home").map_or("/", String::as_str);
    let cwd = match cwd.strip_prefix("~/") {
        Some(below) => format!("{home}/{below}"),
        None => cwd.to_owned(),
    };
    if cwd.starts_with('/') {
        return Ok(cwd);
    }
    let folder = values.get("folder").ok_or_else(|| no_folder(template))?;
    let whole = Path::new(folder).join(&cwd);
    // All of it came from texts.
    Ok(whole.to_string_lossy().into_owned())
}

impl Template {
    /// Its panes with values in the place of placeholders.
    pub(super) fn filled_panes(
        &self,
        template: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Vec<WorkspacePane>, TemplateError> {
        self.panes
            .iter()
            .map(|pane| pane.filled(template, values))
            .collect()
    }
}

/// The first thing that is wrong with the panes of one file, but for their placeholders.
pub(super) fn check_panes(part: &Template, whole: &Template) -> Result<(), Fault> {
    if whole.panes.len() > PANES_MAX && !part.panes.is_empty() {
        let message = format!("{} panes are too many", whole.panes.len());
        return Err(fault("panes", "", message, format!("{PANES_MAX} at most")));
    }
    for (index, pane) in part.panes.iter().enumerate() {
        check_pane(index, pane, part, whole)?;
    }
    Ok(())
}

fn check_pane(index: usize, pane: &TemplatePane, part: &Template, whole: &Template) -> Result<(), Fault> {
    let place = format!("panes.{index}");
    let wrong = |field: &str, message: String, hint: &str| Err(fault(&place, field, message, hint));
    if let Some(name) = &pane.name {
        check_id(name).map_err(|error| fault(&place, "name", error.message, error.hint))?;
        if part.panes[..index].iter().any(|other| other.name == pane.name) {
            let message = format!("another pane above has the name '{name}'");
            return wrong("name", message, "choose another one");
        }
    }
    let shows = pane.shows();
    if let [_, (field, _), ..] = shows[..] {
        let names: Vec<&str> = shows.iter().map(|(field, _)| *field).collect();
        let message = format!("a pane shows one thing, and this one {}", names.join(" and "));
        return wrong(field, message, "leave all out but one, or make a pane for each");
    }
    let processes = whole.processes.iter().filter_map(|other| other.name.as_deref());
    let tasks = whole.tasks.iter().filter_map(|other| other.name.as_deref());
    match (shows.first(), pane.slot) {
        (Some(("process", name)), _) => check_known(&place, "process", name, &processes.collect::<Vec<_>>())?,
        (Some(("task", name)), _) => check_known(&place, "task", name, &tasks.collect::<Vec<_>>())?,
        (Some(("command", line)), _) if line.trim().is_empty() => {
            return wrong(
                "command",
                "there is no command".to_owned(),
                "leave it out for a shell",
            );
        }
        (_, Some(slot)) if slot > SLOT_MAX => {
            return wrong(
                "slot",
                format!("there is no slot {slot}"),
                "slots are counted from 0",
            );
        }
        _ => {}
    }
    // Two viewers of the same would be one pane: the second would never be opened.
    let is_viewer = |shows: &[(&str, String)]| shows.first().is_some_and(|(field, _)| *field != "command");
    let position = whole.panes.iter().position(|other| other == pane).unwrap_or(0);
    let earlier = part.panes[..index].iter().chain(&whole.panes[..position]);
    let mut same = earlier.filter(|other| other.shows() == shows);
    if let (true, Some((field, value)), true) = (is_viewer(&shows), shows.first(), same.next().is_some()) {
        let message = format!("another pane above shows {field} {value}");
        return wrong(field, message, "leave one of them out");
    }
    let wants_more = pane
        .cwd
        .as_deref()
        .is_some_and(|cwd| cwd.trim().is_empty() || cwd.contains('\0'));
    if wants_more {
        return wrong(
            "cwd",
            "no name of a folder".to_owned(),
            "leave it out for the workspace's folder",
        );
    }
    Ok(())
}

fn check_known(place: &str, field: &str, name: &str, known: &[&str]) -> Result<(), Fault> {
    if known.contains(&name) {
        return Ok(());
    }
    let message = format!("the template has no {field} of the name '{name}'");
    let hint = match hint(name, known).as_str() {
        "" => format!("name a {field} of its own, and give that one this `name`"),
        hint => hint.to_owned(),
    };
    Err(fault(place, field, message, hint))
}

fn fault(place: &str, field: &str, message: impl std::fmt::Display, hint: impl Into<String>) -> Fault {
    let key = if field.is_empty() {
        place.to_owned()
    } else {
        format!("{place}.{field}")
    };
    Fault {
        message: format!("`{key}`: {message}"),
        key,
        hint: hint.into(),
    }
}
