//! Finds the file, merges the layers, and says precisely where something is wrong.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::environment::{meaning, set, value_of, Meaning, Target};
use super::model::{Config, DEFAULTS_TOML};
use super::source::{reword, Source};
use super::validate::{validate, Fault};
use super::worker::WorkerConfig;
use super::{ConfigError, Paths};

/// Names under which a config is looked for.
const FILE_NAMES: [&str; 3] = ["config.toml", "config.yaml", "config.yml"];

/// A configuration and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// All layers together.
    pub config: Config,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// What is odd but harmless: unknown variables, values that others can read.
    pub warnings: Vec<String>,
}

impl Config {
    /// Built-in defaults < file (`explicit`, else the one in the config folder) < `env`.
    ///
    /// # Errors
    /// If there are two files, one that cannot be read or is not safe to trust, or anything in it
    /// or in a variable is wrong.
    pub fn load(
        explicit: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        paths: &Paths,
    ) -> Result<Loaded, ConfigError> {
        let mut tree = defaults();
        let mut warnings = Vec::new();
        let file = match explicit {
            // The daemon reads it again on reload, from another working folder.
            Some(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            None => find_file(&paths.config_dir)?,
        };
        let mut config = Self::default();
        if let Some(path) = &file {
            let source = Source::read(path)?;
            merge(&mut tree, source.tree::<Config>()?);
            complete_workers(&mut tree);
            config = typed(&tree)
                .and_then(valid)
                .map_err(|fault| source.blame(fault))?;
            warnings.extend(readable_secrets(path, &config));
        }
        let mut set_by = Vec::new();
        for (variable, text) in env {
            match meaning(&variable, &tree) {
                Meaning::None => {}
                Meaning::Sets(target) => {
                    config = apply(&mut tree, &target, &variable, &text)?;
                    set_by.push((target.path.join("."), variable));
                }
                Meaning::Unknown { nearest } => warnings.push(unknown_variable(&variable, nearest)),
            }
        }
        // Only now: what one variable says may be right because of another one, in whatever order they come.
        if !set_by.is_empty() {
            config = valid(config).map_err(|fault| blame_variable(&set_by, fault))?;
        }
        Ok(Loaded {
            config,
            file,
            warnings,
        })
    }
}

/// The defaults as a tree, to merge the other layers into.
fn defaults() -> Value {
    toml::from_str(DEFAULTS_TOML).expect("a test parses the built-in defaults")
}

fn find_file(folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
    let mut found = FILE_NAMES
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| fs::symlink_metadata(path).is_ok());
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(ConfigError::TwoFiles { first, second }),
        (first, _) => Ok(first),
    }
}

fn apply(tree: &mut Value, target: &Target, variable: &str, text: &str) -> Result<Config, ConfigError> {
    set(tree, &target.path, value_of(target.kind, text));
    typed(tree).map_err(|fault| fault_of_variable(variable, fault))
}

/// Of the variables that were set, the one that the fault is about; else the one that came last.
fn blame_variable(set_by: &[(String, String)], fault: Fault) -> ConfigError {
    let named = set_by.iter().find(|(key, _)| *key == fault.key);
    let variable = named.or(set_by.last()).map_or("", |(_, variable)| variable);
    fault_of_variable(variable, fault)
}

fn fault_of_variable(variable: &str, fault: Fault) -> ConfigError {
    ConfigError::Invalid {
        place: variable.to_owned(),
        key: fault.key,
        message: fault.message,
        hint: fault.hint,
    }
}

fn unknown_variable(variable: &str, nearest: Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("{variable} means nothing; did you mean {nearest}?"),
        None => format!("{variable} means nothing"),
    }
}

/// Tables are merged key by key; everything else is replaced.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        // A YAML file in which everything is commented out.
        (Value::Object(_), Value::Null) => {}
        (below, above) => *below = above,
    }
}

/// Gives profiles that the file added what their kind has by default.
fn complete_workers(tree: &mut Value) {
    let Some(workers) = tree.get_mut("workers").and_then(Value::as_object_mut) else {
        return;
    };
    for worker in workers.values_mut() {
        let Some(kind) = worker.get("kind") else {
            continue;
        };
        let Ok(kind) = Deserialize::deserialize(kind) else {
            continue;
        };
        let Ok(mut whole) = serde_json::to_value(WorkerConfig::of_kind(kind)) else {
            continue;
        };
        merge(&mut whole, worker.take());
        *worker = whole;
    }
}

fn typed(tree: &Value) -> Result<Config, Fault> {
    let none = Map::new();
    let workers = tree["workers"].as_object().unwrap_or(&none);
    if let Some((name, _)) = workers.iter().find(|(_, worker)| worker.get("kind").is_none()) {
        return Err(Fault {
            key: format!("workers.{name}"),
            message: format!("`workers.{name}` needs a `kind`"),
            hint: "kind = \"claude\", kind = \"shell\" or kind = \"exec\"".to_owned(),
        });
    }
    serde_path_to_error::deserialize(tree)
        .map_err(|error| reword(&error.path().to_string(), &error.inner().to_string()))
}

fn valid(config: Config) -> Result<Config, Fault> {
    validate(&config).map(|()| config)
}

fn readable_secrets(path: &Path, config: &Config) -> Option<String> {
    let mode = fs::metadata(path).ok()?.mode();
    let has_values = config.workers.values().any(|worker| !worker.env.is_empty());
    (has_values && mode & 0o044 != 0).then(|| {
        format!(
            "{} holds environment values of workers and can be read by others: chmod go-r it",
            path.display()
        )
    })
}
