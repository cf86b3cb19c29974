//! Templates of workspaces: files in the config folder, and a few that are built in.
//!
//! A template is read when it is used, by the daemon for a message and by the command line to ask for what is
//! missing. Whatever is wrong is named with file, line and key, before anything is made from it.

mod check;
mod fill;
mod model;
mod panes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::{ConfigError, Fault, Source};
use crate::protocol::{check_id, hint, ErrorAnswer, ErrorCode};

pub use fill::Filled;
pub use model::{Template, TemplateProcess, TemplateTask, Variable};
pub use panes::TemplatePane;

/// Those that are always there, unless a file of the same name takes their place.
const BUILT_IN: [(&str, &str); 4] = [
    ("claude-pool", include_str!("claude-pool.toml")),
    ("default", include_str!("default.toml")),
    ("fullstack", include_str!("fullstack.toml")),
    ("review", include_str!("review.toml")),
];

/// How a template's file may end.
const EXTENSIONS: [&str; 3] = ["toml", "yaml", "yml"];

/// Why a template cannot be used.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// There is none of this name.
    #[error("there is no template '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What to do.
        hint: String,
    },
    /// Its file is wrong.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A value for it is missing or wrong.
    #[error("{message}")]
    Value {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl TemplateError {
    /// What to do about it; may be empty.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { hint, .. } | Self::Value { hint, .. } => hint.clone(),
            Self::File(error) => error.hint(),
        }
    }
}

impl From<TemplateError> for ErrorAnswer {
    fn from(error: TemplateError) -> Self {
        let code = match &error {
            TemplateError::Unknown { .. } => ErrorCode::NotFound,
            TemplateError::File(_) => ErrorCode::InvalidConfig,
            TemplateError::Value { .. } => ErrorCode::InvalidValue,
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

/// A template and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its file; `None` if it is built in.
    pub file: Option<PathBuf>,
}

/// All templates of a user.
#[derive(Clone, Debug)]
pub struct Templates {
    folder: PathBuf,
}

/// One file of a chain of `extends`, the one that was asked for first.
struct Part {
    name: String,
    source: Source,
    template: Template,
}

impl Templates {
    /// Those in this folder, which need not exist, and the built-in ones.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder that templates of the user's own are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of them, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let mut all: BTreeMap<String, Option<PathBuf>> = BUILT_IN
            .iter()
            .map(|(name, _)| ((*name).to_owned(), None))
            .collect();
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in files.map(|entry| entry.path()) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let name = path.file_stem().and_then(|name| name.to_str());
            if let (Some(name), true) = (name, extension.is_some_and(|text| EXTENSIONS.contains(&text))) {
                all.insert(name.to_owned(), Some(path.clone()));
            }
        }
        let listed = |(name, file)| Listed { name, file };
        all.into_iter().map(listed).collect()
    }

    /// A template with all that it extends, checked.
    ///
    /// # Errors
    /// If there is none, or anything is wrong with it or with one that it extends.
    pub fn load(&self, name: &str) -> Result<Template, TemplateError> {
        let chain = self.chain(name)?;
        let mut whole = Template::default();
        for part in chain.iter().rev() {
            whole.overlay(part.template.clone());
        }
        for part in &chain {
            check::check(&part.template, &whole).map_err(|fault| part.source.blame(fault))?;
        }
        Ok(whole)
    }

    /// The template and those that it extends, one after the other.
    fn chain(&self, name: &str) -> Result<Vec<Part>, TemplateError> {
        let mut chain = vec![self.part(name)?];
        while let Some(part) = chain.last() {
            let Some(next) = part.template.extends.clone() else {
                break;
            };
            let names = chain.iter().map(|part| part.name.as_str());
            if let Some(at) = names.clone().position(|name| name == next) {
                let circle: Vec<&str> = names.skip(at).chain([next.as_str()]).collect();
                let message = format!("`extends`: the template includes itself: {}", circle.join(" → "));
                return Err(part
                    .source
                    .blame(extends(message, "take one of these out"))
                    .into());
            }
            let found = self.part(&next).map_err(|error| match error {
                TemplateError::Unknown { hint, .. } => {
                    let message = format!("`extends`: there is no template '{next}'");
                    part.source.blame(extends(message, &hint)).into()
                }
                error => error,
            })?;
            chain.push(found);
        }
        Ok(chain)
    }

    /// One file, or one of those that are built in.
    fn part(&self, name: &str) -> Result<Part, TemplateError> {
        check_id(name).map_err(|error| TemplateError::Unknown {
            name: name.chars().take(60).collect(),
            hint: error.hint,
        })?;
        let source = match self.file(name)? {
            Some(path) => Source::read(&path)?,
            None => {
                let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
                let (_, text) = built_in.ok_or_else(|| self.unknown(name))?;
                Source::built_in(Path::new(name), text)
            }
        };
        let template = source.read_as::<Template>()?;
        Ok(Part {
            name: name.to_owned(),
            source,
            template,
        })
    }

    fn file(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        let paths = EXTENSIONS.map(|extension| self.folder.join(format!("{name}.{extension}")));
        let mut found = paths
            .into_iter()
            .filter(|path| std::fs::symlink_metadata(path).is_ok());
        match (found.next(), found.next()) {
            (Some(first), Some(second)) => Err(ConfigError::TwoFiles { first, second }),
            (first, _) => Ok(first),
        }
    }

    fn unknown(&self, name: &str) -> TemplateError {
        let known: Vec<String> = self.list().into_iter().map(|listed| listed.name).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        TemplateError::Unknown {
            name: name.to_owned(),
            hint: hint(name, &known),
        }
    }
}

fn extends(message: String, hint: &str) -> Fault {
    Fault {
        key: "extends".to_owned(),
        message,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests;
