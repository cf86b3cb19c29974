//! Finds the file, merges the layers, and says precisely where something is wrong.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::environment::{meaning, set, value_of, Meaning, Target};
use super::model::{Config, DEFAULTS_TOML};
use super::validate::{validate, Fault};
use super::worker::WorkerConfig;
use super::{ConfigError, Paths};
use crate::protocol::hint;
use crate::protocol::wording::{expected_names, mismatch, named};

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
            merge(&mut tree, source.tree()?);
            complete_workers(&mut tree);
            config = typed(&tree)
                .and_then(valid)
                .map_err(|fault| source.blame(fault))?;
            warnings.extend(readable_secrets(path, &config));
        }
        for (variable, text) in env {
            match meaning(&variable, &tree) {
                Meaning::None => {}
                Meaning::Sets(target) => config = apply(&mut tree, &target, &variable, &text)?,
                Meaning::Unknown { nearest } => warnings.push(unknown_variable(&variable, nearest)),
            }
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
    typed(tree).and_then(valid).map_err(|fault| ConfigError::Invalid {
        place: variable.to_owned(),
        key: fault.key,
        message: fault.message,
        hint: fault.hint,
    })
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

/// Serde's text about the value at `path`, in our words.
fn reword(path: &str, text: &str) -> Fault {
    let (message, hint) = if let Some(key) = named(text, "unknown field `") {
        let table = path.strip_suffix(key).unwrap_or(path).trim_end_matches('.');
        let place = match table {
            "" | "." => String::new(),
            table => format!(" in `{table}`"),
        };
        (
            format!("unknown key `{key}`{place}"),
            hint(key, &expected_names(text)),
        )
    } else if let Some(kind) = named(text, "unknown variant `") {
        (
            format!("`{path}`: there is no {kind:?}"),
            hint(kind, &expected_names(text)),
        )
    } else if let Some((found, expected)) = mismatch(text) {
        let expected = expected
            .replace("an object", "a table")
            .replace("f64", "a number");
        let name = match path.trim_matches('.') {
            "" => "the whole file".to_owned(),
            path => format!("`{path}`"),
        };
        (format!("{name} must be {expected}, not {found}"), String::new())
    } else if path.is_empty() || path == "." {
        (text.to_owned(), String::new())
    } else {
        (format!("`{path}`: {text}"), String::new())
    };
    Fault {
        key: path.trim_matches('.').to_owned(),
        message,
        hint,
    }
}

/// A config file's text.
struct Source<'p> {
    path: &'p Path,
    text: String,
    is_yaml: bool,
}

impl<'p> Source<'p> {
    fn read(path: &'p Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        check_trust(path, &file.metadata().map_err(unreadable)?)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_yaml = matches!(extension, Some("yaml" | "yml"));
        Ok(Self { path, text, is_yaml })
    }

    /// The file as a tree, after its keys and types have been checked where lines are known.
    fn tree(&self) -> Result<Value, ConfigError> {
        if self.is_yaml {
            self.yaml_tree()
        } else {
            self.toml_tree()
        }
    }

    fn toml_tree(&self) -> Result<Value, ConfigError> {
        let failed = |path: &str, error: &toml::de::Error| {
            let at = error.span().map(|span| line_and_column(&self.text, span.start));
            self.invalid(at, reword(path, error.message()))
        };
        let tree = toml::from_str(&self.text).map_err(|error| failed("", &error))?;
        let deserializer = toml::Deserializer::parse(&self.text).map_err(|error| failed("", &error))?;
        serde_path_to_error::deserialize::<_, Config>(deserializer)
            .map_err(|error| failed(&error.path().to_string(), error.inner()))?;
        Ok(tree)
    }

    /// What is wrong is found in the tree, so that both formats have the same words; the parser is
    /// then asked only for the place.
    fn yaml_tree(&self) -> Result<Value, ConfigError> {
        if is_blank_yaml(&self.text) {
            return Ok(Value::Null);
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let mut tree = serde_saphyr::from_str_with_options(&self.text, options.clone())
            .map_err(|error| self.invalid(yaml_place(&error), reword("", &without_place(&error))))?;
        drop_nulls(&mut tree);
        if let Err(error) = serde_path_to_error::deserialize::<_, Config>(&tree) {
            let at = serde_saphyr::from_str_with_options::<Config>(&self.text, options)
                .err()
                .and_then(|error| yaml_place(&error));
            let fault = reword(&error.path().to_string(), &error.inner().to_string());
            return Err(self.invalid(at, fault));
        }
        Ok(tree)
    }

    /// An error that was found after merging, where the file no longer tells its lines.
    fn blame(&self, fault: Fault) -> ConfigError {
        let at = if self.is_yaml {
            None
        } else {
            toml_place(&self.text, &fault.key)
        };
        self.invalid(at, fault)
    }

    fn invalid(&self, at: Option<(u64, u64)>, fault: Fault) -> ConfigError {
        let place = match at {
            Some((line, column)) => format!("{}:{line}:{column}", self.path.display()),
            None => self.path.display().to_string(),
        };
        ConfigError::Invalid {
            place,
            key: fault.key,
            message: fault.message,
            hint: fault.hint,
        }
    }
}

/// A YAML file in which everything is commented out.
fn is_blank_yaml(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// A YAML key with nothing after it says nothing.
fn drop_nulls(tree: &mut Value) {
    if let Value::Object(table) = tree {
        table.retain(|_, value| !value.is_null());
        table.values_mut().for_each(drop_nulls);
    }
}

fn yaml_place(error: &serde_saphyr::Error) -> Option<(u64, u64)> {
    error.location().map(|place| (place.line(), place.column()))
}

/// The parser's text without the place, which is shown in front.
fn without_place(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    match text.find(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Where the key at `path` stands in a TOML text, or the nearest table around it.
fn toml_place(text: &str, path: &str) -> Option<(u64, u64)> {
    let root = toml::de::DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut start = None;
    for name in path.split('.') {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            break;
        };
        start = Some(key.span().start);
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    start.map(|start| line_and_column(text, start))
}

fn line_and_column(text: &str, offset: usize) -> (u64, u64) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line as u64, column as u64)
}

/// Whoever can write the config can run commands as this user. Root can anyway.
fn check_trust(path: &Path, metadata: &Metadata) -> Result<(), ConfigError> {
    if !metadata.is_file() {
        return Ok(());
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(ConfigError::ForeignOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
        });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(ConfigError::OpenPermissions {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
        });
    }
    Ok(())
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
