//! Tabs as they are to be made, and the tabs of a workspace as such plans. Pure.
//!
//! A template says which panes a workspace has, and a saved session says which it had: both come to the same plans,
//! and one function opens them. They are kept as JSON, so the names of the fields are a format.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::tree::{makes_all, rebuild};
use super::{plan, Assignment, Layout, PaneInfo, Server, Shown, Split};

/// A tab to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabPlan {
    /// Its title; empty to leave it to WezTerm.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its panes in reading order.
    pub panes: Vec<PanePlan>,
    /// The splits that make them of the first one, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// The pane that has the focus in its tab; the first one if none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<usize>,
}

/// A pane of such a tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanePlan {
    /// What it shows.
    #[serde(flatten)]
    pub shown: Shown,
    /// Its folder; the workspace's if none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
}

impl TabPlan {
    /// The splits as far as they make a tab of all its panes; else those of a grid. What was read from a file need not.
    #[must_use]
    pub fn usable_splits(&self) -> Vec<Split> {
        if makes_all(&self.splits, self.panes.len()) {
            self.splits.clone()
        } else {
            plan(Layout::Grid, self.panes.len())
        }
    }
}

/// The panes of one server, as it lists them.
pub type Listing = (Server, Vec<PaneInfo>);

/// Every tab that holds a pane of this workspace, with all its panes, by window and by tab.
///
/// A pane belongs to the workspace if it was made for it, or if it shows a task or process of it, as `is_of_workspace`
/// says by its id. The others of its tab are shells: what runs in them is the user's, and is not run again. Folders are
/// those that WezTerm tells, if they are on this machine, which is called `host`.
pub fn tabs_of_workspace(
    workspace: &str,
    known: &[Assignment],
    listings: &[Listing],
    is_of_workspace: impl Fn(&str) -> bool,
    host: &str,
) -> Vec<OpenTab> {
    let belongs = |known: &Assignment| match &known.workspace {
        Some(owner) => owner == workspace,
        None => matches!(&known.shown, Shown::Task(id) if is_of_workspace(id)),
    };
    let mut tabs: Vec<OpenTab> = Vec::new();
    for (server, panes) in listings {
        for tab in tabs_in(panes) {
            let assigned = |pane: &PaneInfo| {
                let is_it = |known: &&Assignment| known.pane == pane.pane_id && known.server() == *server;
                known.iter().find(is_it)
            };
            let is_ours = tab.iter().filter_map(assigned).any(belongs);
            if is_ours {
                let seen = OpenTab::new(
                    server,
                    &tab,
                    |pane| assigned(pane).map(|known| &known.shown),
                    host,
                );
                merge(&mut tabs, seen);
            }
        }
    }
    tabs
}

/// The panes of each tab, by window and tab.
fn tabs_in(panes: &[PaneInfo]) -> Vec<Vec<PaneInfo>> {
    let mut sorted = panes.to_vec();
    sorted.sort_by_key(|pane| (pane.window_id, pane.tab_id, pane.pane_id));
    let tabs = sorted.chunk_by(|one, other| (one.window_id, one.tab_id) == (other.window_id, other.tab_id));
    tabs.map(<[PaneInfo]>::to_vec).collect()
}

/// A tab as a server shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTab {
    /// The server.
    pub server: Server,
    /// Its number there.
    pub tab: u64,
    /// Where its panes are, which is the same at every server that shows it.
    places: Vec<(usize, usize, usize, usize)>,
    /// What would make it anew.
    pub plan: TabPlan,
}

impl OpenTab {
    fn new<'k>(
        server: &Server,
        panes: &[PaneInfo],
        shown: impl Fn(&PaneInfo) -> Option<&'k Shown>,
        host: &str,
    ) -> Self {
        let (order, splits) = rebuild(panes);
        let panes: Vec<&PaneInfo> = order.iter().map(|place| &panes[*place]).collect();
        let pane = |pane: &&PaneInfo| PanePlan {
            shown: shown(pane).cloned().unwrap_or(Shown::Shell(None)),
            cwd: pane.local_folder(host),
        };
        let place = |pane: &&PaneInfo| (pane.left_col, pane.top_row, pane.size.cols, pane.size.rows);
        Self {
            server: server.clone(),
            tab: panes.first().map_or(0, |pane| pane.tab_id),
            places: panes.iter().map(place).collect(),
            plan: TabPlan {
                title: panes
                    .first()
                    .map(|pane| pane.tab_title.clone())
                    .unwrap_or_default(),
                panes: panes.iter().map(pane).collect(),
                splits,
                active: panes.iter().position(|pane| pane.is_active),
            },
        }
    }
}

/// Whether two listings may be of one tab: where both know what a pane shows, they know the same.
fn agree(one: &TabPlan, other: &TabPlan) -> bool {
    let mut panes = one.panes.iter().zip(&other.panes);
    panes.all(|(one, other)| {
        one.shown == other.shown || [&one.shown, &other.shown].contains(&&Shown::Shell(None))
    })
}

/// A tab of a mux server is shown by each GUI that is connected to it, under other numbers: its viewers are known by those
/// of the mux server, and shells by those of the GUI in which they were made. It is one tab all the same.
fn merge(tabs: &mut Vec<OpenTab>, seen: OpenTab) {
    let is_same = |other: &&mut OpenTab| {
        other.server != seen.server
            && other.plan.title == seen.plan.title
            && other.places == seen.places
            && agree(&other.plan, &seen.plan)
    };
    let Some(same) = tabs.iter_mut().find(is_same) else {
        tabs.push(seen);
        return;
    };
    for (known, other) in same.plan.panes.iter_mut().zip(seen.plan.panes) {
        if known.shown == Shown::Shell(None) {
            known.shown = other.shown;
        }
        known.cwd = known.cwd.take().or(other.cwd);
    }
}

#[cfg(test)]
#[path = "tab_plan_tests.rs"]
mod tests;
