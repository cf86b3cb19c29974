//! The workspaces that were created, and what of the config they add to.
//!
//! What a workspace limits goes into the same tables that the config has for it: from there on nobody needs to know
//! where a limit came from. Where the config names a workspace itself, it has its way.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, StartRate};
use crate::journal::WorkspaceImage;
use crate::protocol::WorkspaceSettings;

/// Workspaces by name.
#[derive(Debug, Default)]
pub(super) struct Workspaces {
    by_name: BTreeMap<Arc<str>, Arc<WorkspaceImage>>,
}

impl Workspaces {
    /// Puts a workspace in its place, or takes it away: how it stood before.
    pub(super) fn set(
        &mut self,
        name: Arc<str>,
        image: Option<Arc<WorkspaceImage>>,
    ) -> Option<Arc<WorkspaceImage>> {
        match image {
            Some(image) => self.by_name.insert(name, image),
            None => self.by_name.remove(&name),
        }
    }

    /// One of them.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&Arc<WorkspaceImage>> {
        self.by_name.get(name)
    }

    /// All, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<WorkspaceImage>)> {
        self.by_name.iter()
    }

    /// The workspace in whose folder this one is: the deepest such folder; of two with the same, the older one.
    #[must_use]
    pub(super) fn at(&self, folder: &str) -> Option<&Arc<str>> {
        if self.by_name.is_empty() {
            return None;
        }
        let place = plain(folder);
        let around = self.by_name.iter().filter_map(|(name, image)| {
            let folder = Path::new(image.settings.folder.as_deref()?);
            let depth = place.starts_with(folder).then(|| folder.components().count())?;
            Some((depth, std::cmp::Reverse(image.created_at), name))
        });
        around
            .max_by_key(|(depth, age, _)| (*depth, *age))
            .map(|(.., name)| name)
    }
}

/// Whether `folder` is in `around`, or the same.
pub(super) fn is_within(folder: &str, around: &str) -> bool {
    plain(folder).starts_with(around)
}

/// The folder without `..`: what leads out of a workspace is not in it. Links are not followed.
fn plain(folder: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(folder).components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// What the config says of single workspaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    pub(super) max_parallel: BTreeMap<String, u32>,
    pub(super) rates: BTreeMap<String, StartRate>,
    pub(super) weights: BTreeMap<String, u32>,
    pub(super) budgets: BTreeMap<String, f64>,
}

impl Tables {
    /// As they stand in a config.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            max_parallel: config.limits.workspaces.clone(),
            rates: config.limits.rates.clone(),
            weights: config.limits.weights.clone(),
            budgets: config.budget.workspaces.clone(),
        }
    }

    /// The same, with what workspaces say that the config is silent about.
    pub(super) fn with(&self, workspaces: &Workspaces) -> Self {
        let mut tables = self.clone();
        for (name, image) in workspaces.iter() {
            let settings = &image.settings;
            add(&mut tables.max_parallel, name, settings.max_parallel);
            // It was read when it was set; a unit that a later version dropped is no reason not to start.
            add(
                &mut tables.rates,
                name,
                settings.rate.as_deref().and_then(|rate| rate.parse().ok()),
            );
            add(&mut tables.weights, name, settings.weight);
            add(&mut tables.budgets, name, settings.budget_usd);
        }
        tables
    }

    /// Puts them into a config.
    pub(super) fn into_config(self, config: &mut Config) {
        config.limits.workspaces = self.max_parallel;
        config.limits.rates = self.rates;
        config.limits.weights = self.weights;
        config.budget.workspaces = self.budgets;
    }

    /// Replaces what the config says otherwise, and names it.
    pub(super) fn overrule(&self, name: &str, settings: &mut WorkspaceSettings) -> Vec<String> {
        let mut from_config = Vec::new();
        let mut told = |key: &str| from_config.push(key.to_owned());
        if let Some(max_parallel) = self.max_parallel.get(name) {
            settings.max_parallel = Some(*max_parallel);
            told("max_parallel");
        }
        if let Some(rate) = self.rates.get(name) {
            settings.rate = Some(rate.to_string());
            told("rate");
        }
        if let Some(dollars) = self.budgets.get(name) {
            settings.budget_usd = Some(*dollars);
            told("budget_usd");
        }
        if let Some(weight) = self.weights.get(name) {
            settings.weight = Some(*weight);
            told("weight");
        }
        from_config
    }
}

fn add<T>(table: &mut BTreeMap<String, T>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        table.entry(name.to_owned()).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use wezterm_parallel_scheduler::Tick;

    use super::*;

    fn workspaces(folders: &[(&str, &str)]) -> Workspaces {
        let mut workspaces = Workspaces::default();
        for (age, (name, folder)) in folders.iter().enumerate() {
            let image = WorkspaceImage {
                template: "default".into(),
                created_at: Tick(age as u64),
                content: 0,
                tasks: Vec::new(),
                settings: WorkspaceSettings {
                    folder: Some((*folder).to_owned()),
                    ..WorkspaceSettings::default()
                },
            };
            workspaces.set((*name).into(), Some(Arc::new(image)));
        }
        workspaces
    }

    #[test]
    fn the_deepest_folder_around_wins_by_whole_names() {
        let known = workspaces(&[("all", "/src"), ("api", "/src/api"), ("again", "/src/api/")]);
        let at = |folder: &str| known.at(folder).map(ToString::to_string);
        assert_eq!(at("/src/api/deep/er").as_deref(), Some("api"), "the older of two");
        assert_eq!(at("/src/api").as_deref(), Some("api"));
        assert_eq!(at("/src/api-old").as_deref(), Some("all"));
        assert_eq!(at("/src/api/../web").as_deref(), Some("all"));
        assert_eq!(at("/src/../other"), None);
        assert_eq!(at("/"), None);
    }

    #[test]
    fn the_config_has_its_way() {
        let mut known = workspaces(&[("api", "/a"), ("web", "/w")]);
        for name in ["api", "web"] {
            let mut image = WorkspaceImage::clone(known.get(name).expect("it is there"));
            image.settings.max_parallel = Some(7);
            image.settings.rate = Some("10/min".to_owned());
            known.set(name.into(), Some(Arc::new(image)));
        }
        let given = Tables {
            max_parallel: [("web".to_owned(), 2)].into(),
            ..Tables::default()
        };
        let merged = given.with(&known);
        assert_eq!(
            merged.max_parallel,
            [("api".to_owned(), 7), ("web".to_owned(), 2)].into()
        );
        assert_eq!(merged.rates.len(), 2);
        let mut settings = known.get("web").expect("it is there").settings.clone();
        assert_eq!(given.overrule("web", &mut settings), ["max_parallel"]);
        assert_eq!(settings.max_parallel, Some(2));
    }
}
