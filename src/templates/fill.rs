//! Placeholders, and what becomes of a template once they are filled in.

use std::collections::BTreeMap;

use super::{Template, TemplateError, TemplatePane, TemplateProcess, TemplateTask, Variable};
use crate::protocol::{hint, ProcessSpawn, ReadyCheck, TaskQueue, WorkspaceCreate, WorkspaceSettings};

/// What a placeholder can stand for without being declared.
pub(super) const GIVEN: [&str; 3] = ["name", "folder", "home"];

/// What a template comes to for one workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    /// The workspace's values, with those of the message over the template's. Its panes name tasks and processes as the
    /// template does.
    pub settings: WorkspaceSettings,
    /// Tasks to queue, in order, with the names by which later ones wait for them.
    pub tasks: Vec<(Option<String>, TaskQueue)>,
    /// Processes to spawn.
    pub processes: Vec<ProcessSpawn>,
}

impl Template {
    /// The variables that have no value yet, in order.
    #[must_use]
    pub fn missing(&self, given: &BTreeMap<String, String>) -> Vec<(&str, &Variable)> {
        let missing = self
            .variables
            .iter()
            .filter(|(name, variable)| variable.default.is_none() && !given.contains_key(*name));
        missing
            .map(|(name, variable)| (name.as_str(), variable))
            .collect()
    }

    /// The values and tasks of the workspace that a message asks for. `home` is the user's home folder.
    ///
    /// # Errors
    /// If a variable is missing or unknown, or there is no folder where a placeholder wants one.
    pub fn fill_in(&self, create: &WorkspaceCreate, home: &str) -> Result<Filled, TemplateError> {
        let mut values = self.values(create)?;
        values.insert("name".to_owned(), create.name.clone());
        values.insert("home".to_owned(), home.to_owned());
        let own = self.folder.as_deref().map(|folder| {
            let folder = match folder.strip_prefix("~/") {
                Some(below) => format!("{home}/{below}"),
                None => folder.to_owned(),
            };
            resolved(&replaced(&folder, &values))
        });
        let folder = create.folder.clone().or(own);
        match &folder {
            Some(folder) => drop(values.insert("folder".to_owned(), folder.clone())),
            None if self.wants_folder() => return Err(no_folder(&create.template)),
            None => {}
        }
        let mut settings = WorkspaceSettings {
            folder,
            env: self
                .env
                .iter()
                .map(|(name, value)| (name.clone(), replaced(value, &values)))
                .collect(),
            worker: self.worker.clone(),
            max_parallel: self.max_parallel,
            rate: self.rate.map(|rate| rate.to_string()),
            memory_bytes: self.memory.map(|size| size.0),
            budget_usd: self.budget_usd,
            weight: self.weight,
            priority_offset: self.priority_offset,
            sandbox: self.sandbox.clone(),
            allow_agents: self.allow_agents.clone(),
            worktree: self.worktree,
            layout: self.layout,
            panes: self.filled_panes(&create.template, &values)?,
        };
        settings.overlay(create.settings());
        let task = |task: &TemplateTask| (task.name.clone(), task.queued(&create.name, &values));
        Ok(Filled {
            settings,
            tasks: self.tasks.iter().map(task).collect(),
            processes: self
                .processes
                .iter()
                .map(|process| process.spawned(&create.name, &values))
                .collect(),
        })
    }

    /// The value of each declared variable.
    fn values(&self, create: &WorkspaceCreate) -> Result<BTreeMap<String, String>, TemplateError> {
        let known: Vec<&str> = self.variables.keys().map(String::as_str).collect();
        if let Some(unknown) = create
            .variables
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            let hint = if known.is_empty() {
                "it has none".to_owned()
            } else {
                hint(unknown, &known)
            };
            let message = format!("template '{}' has no variable `{unknown}`", create.template);
            return Err(TemplateError::Value { message, hint });
        }
        if let Some((name, variable)) = self.missing(&create.variables).first() {
            let what = match variable.description.as_str() {
                "" => String::new(),
                text => format!(" ({text})"),
            };
            return Err(TemplateError::Value {
                message: format!("template '{}' needs a value for `{name}`{what}", create.template),
                hint: format!("give it as a variable: `--set {name}=VALUE`"),
            });
        }
        let value = |(name, variable): (&String, &Variable)| {
            let given = create.variables.get(name).or(variable.default.as_ref());
            (name.clone(), given.cloned().unwrap_or_default())
        };
        Ok(self.variables.iter().map(value).collect())
    }

    fn wants_folder(&self) -> bool {
        let tasks = self.tasks.iter().flat_map(TemplateTask::texts);
        let processes = self.processes.iter().flat_map(TemplateProcess::texts);
        let processes = processes.map(|(_, text)| text);
        let mut texts = self
            .env
            .values()
            .map(String::as_str)
            .chain(tasks)
            .chain(processes);
        texts.any(|text| placeholders(text).any(|name| name == "folder"))
            || self.panes.iter().any(TemplatePane::wants_folder)
    }
}

impl TemplateTask {
    /// What of it may hold placeholders.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.command.as_str()).chain(self.label.as_deref())
    }

    fn queued(&self, workspace: &str, values: &BTreeMap<String, String>) -> TaskQueue {
        TaskQueue {
            command: Some(replaced(&self.command, values)),
            worker: self.worker.clone(),
            label: self.label.as_deref().map(|label| replaced(label, values)),
            priority: self.priority,
            worktree: self.worktree,
            after: self.after.clone(),
            workspace: Some(workspace.to_owned()),
            ..TaskQueue::default()
        }
    }
}

impl TemplateProcess {
    /// What of it may hold placeholders, by key.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ready = [
            ("ready_line", self.ready_line.as_deref()),
            ("ready_pattern", self.ready_pattern.as_deref()),
            ("ready_command", self.ready_command.as_deref()),
        ];
        let ready = ready.into_iter().filter_map(|(key, text)| Some((key, text?)));
        std::iter::once(("command", self.command.as_str())).chain(ready)
    }

    /// How it is found out that it is ready, with `line` and `command` as they stand in the file and every placeholder of
    /// `pattern` as if its value were one letter.
    pub(super) fn ready_to_check(&self) -> Option<ReadyCheck> {
        self.ready(str::to_owned, |text| with_values(text, |_| "x".to_owned()))
    }

    fn ready(&self, filled: impl Fn(&str) -> String, pattern: impl Fn(&str) -> String) -> Option<ReadyCheck> {
        let ready = ReadyCheck {
            port: self.ready_port,
            line: self.ready_line.as_deref().map(&filled),
            pattern: self.ready_pattern.as_deref().map(pattern),
            command: self.ready_command.as_deref().map(&filled),
        };
        (ready != ReadyCheck::default()).then_some(ready)
    }

    pub(super) fn spawned(&self, workspace: &str, values: &BTreeMap<String, String>) -> ProcessSpawn {
        let value = |name: &str| values.get(name).map_or("", String::as_str);
        let ready = self.ready(
            |text| replaced(text, values),
            |pattern| with_values(pattern, |name| regex_syntax::escape(value(name))),
        );
        ProcessSpawn {
            workspace: workspace.to_owned(),
            command: Some(replaced(&self.command, values)),
            name: self.name.clone(),
            restart: self.restart,
            max_restarts: self.max_restarts,
            ready,
            memory_bytes: self.memory.map(|size| size.0),
            ..ProcessSpawn::default()
        }
    }
}

pub(super) fn no_folder(template: &str) -> TemplateError {
    TemplateError::Value {
        message: format!("template '{template}' needs a folder for the workspace"),
        hint: "give one: `--folder DIR`".to_owned(),
    }
}

/// Tasks are found by the folder as their clients see it, which is behind all links.
fn resolved(folder: &str) -> String {
    let real = std::fs::canonicalize(folder).ok();
    let real = real.and_then(|real| real.into_os_string().into_string().ok());
    real.unwrap_or_else(|| folder.to_owned())
}

/// A piece of a text.
enum Piece<'t> {
    Text(&'t str),
    Placeholder(&'t str),
}

/// Takes a text apart. `{word}` is a placeholder and `{{` a brace; all other braces stay, and those behind a `$`
/// belong to the shell.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut plain = 0;
    while let Some(found) = rest[plain..].find('{') {
        let at = plain + found;
        let after = &rest[at + 1..];
        let word = after
            .find('}')
            .map(|end| &after[..end])
            .filter(|word| is_word(word));
        if let Some(behind) = after.strip_prefix('{') {
            pieces.push(Piece::Text(&rest[..=at]));
            rest = behind;
            plain = 0;
        } else if let Some(word) = word.filter(|_| !rest[..at].ends_with('$')) {
            pieces.push(Piece::Text(&rest[..at]));
            pieces.push(Piece::Placeholder(word));
            rest = &after[word.len() + 1..];
            plain = 0;
        } else {
            plain = at + 1;
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.bytes().all(fits) && word.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The placeholders in a text.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Placeholder(name) => Some(name),
        Piece::Text(_) => None,
    })
}

/// The text with values in the place of placeholders; all of them are known, by the check before.
pub(super) fn replaced(text: &str, values: &BTreeMap<String, String>) -> String {
    with_values(text, |name| values.get(name).cloned().unwrap_or_default())
}

fn with_values(text: &str, value: impl Fn(&str) -> String) -> String {
    let piece = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Placeholder(name) => value(name),
    };
    pieces(text).into_iter().map(piece).collect()
}
