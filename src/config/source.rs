//! A file of keys and values, TOML or YAML: read with care, and errors in it with their lines.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::validate::Fault;
use super::ConfigError;
use crate::protocol::hint;
use crate::protocol::wording::{expected_names, mismatch, named};

/// Serde's text about the value at `path`, in our words.
pub(super) fn reword(path: &str, text: &str) -> Fault {
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
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
    is_yaml: bool,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
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
        Ok(Self {
            path: path.to_owned(),
            text,
            is_yaml,
        })
    }

    /// A text that is in no file, as TOML; `path` stands for it in errors.
    pub(crate) fn built_in(path: &Path, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            is_yaml: false,
        }
    }

    /// The file as a tree, after its keys and types, which are those of `T`, have been checked where lines are known.
    pub(crate) fn tree<T: DeserializeOwned>(&self) -> Result<Value, ConfigError> {
        if self.is_yaml {
            self.yaml_tree::<T>()
        } else {
            self.toml_tree::<T>()
        }
    }

    /// What the file says; an empty one says nothing.
    pub(crate) fn read_as<T: DeserializeOwned + Default>(&self) -> Result<T, ConfigError> {
        match self.tree::<T>()? {
            Value::Null => Ok(T::default()),
            tree => serde_json::from_value(tree)
                .map_err(|error| self.invalid(None, reword("", &error.to_string()))),
        }
    }

    fn toml_tree<T: DeserializeOwned>(&self) -> Result<Value, ConfigError> {
        let failed = |path: &str, error: &toml::de::Error| {
            let at = error.span().map(|span| line_and_column(&self.text, span.start));
            self.invalid(at, reword(path, error.message()))
        };
        let tree = toml::from_str(&self.text).map_err(|error| failed("", &error))?;
        let deserializer = toml::Deserializer::parse(&self.text).map_err(|error| failed("", &error))?;
        serde_path_to_error::deserialize::<_, T>(deserializer)
            .map_err(|error| failed(&error.path().to_string(), error.inner()))?;
        Ok(tree)
    }

    /// What is wrong is found in the tree, so that both formats have the same words; the parser is
    /// then asked only for the place.
    fn yaml_tree<T: DeserializeOwned>(&self) -> Result<Value, ConfigError> {
        if is_blank_yaml(&self.text) {
            return Ok(Value::Null);
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let mut tree = serde_saphyr::from_str_with_options(&self.text, options.clone())
            .map_err(|error| self.invalid(yaml_place(&error), reword("", &without_place(&error))))?;
        drop_nulls(&mut tree);
        if let Err(error) = serde_path_to_error::deserialize::<_, T>(&tree) {
            let at = serde_saphyr::from_str_with_options::<T>(&self.text, options)
                .err()
                .and_then(|error| yaml_place(&error));
            let fault = reword(&error.path().to_string(), &error.inner().to_string());
            return Err(self.invalid(at, fault));
        }
        Ok(tree)
    }

    /// An error that was found later, when the tree no longer tells its lines.
    pub(crate) fn blame(&self, fault: Fault) -> ConfigError {
        let at = if self.is_yaml {
            yaml_key(&self.text, &fault.key)
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

/// Where the key at `path` stands in a YAML text, or the nearest one around it: each name is looked for below the one
/// before it, and numbers count the items of a list.
fn yaml_key(text: &str, path: &str) -> Option<(u64, u64)> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut from, mut found) = (0, None);
    for name in path.split('.') {
        let is_it = |line: &str| {
            let key = line.trim_start().trim_start_matches("- ").trim_start();
            key.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
        };
        let place = match name.parse::<usize>() {
            Ok(number) => {
                let mut items = (from..lines.len()).filter(|at| lines[*at].trim_start().starts_with("- "));
                items.nth(number)
            }
            Err(_) => (from..lines.len()).find(|at| is_it(lines[*at])),
        };
        let Some(at) = place else { break };
        let column = lines[at].len() - lines[at].trim_start().len() + 1;
        found = Some((at as u64 + 1, column as u64));
        // The first key of an item stands in the item's own line.
        from = if name.parse::<usize>().is_ok() { at } else { at + 1 };
    }
    found
}

/// Where the key at `path` stands in a TOML text, or the nearest table around it.
fn toml_place(text: &str, path: &str) -> Option<(u64, u64)> {
    let root = toml::de::DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut start = None;
    let mut names = path.split('.');
    while let Some(name) = names.next() {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            break;
        };
        start = Some(key.span().start);
        let inner = match value.get_ref() {
            toml::de::DeValue::Table(inner) => Some(inner),
            toml::de::DeValue::Array(items) => {
                let item = names
                    .next()
                    .and_then(|number| items.get(number.parse::<usize>().ok()?));
                start = item.map(|item| item.span().start).or(start);
                item.and_then(|item| item.get_ref().as_table())
            }
            _ => None,
        };
        match inner {
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
