//! `workspace open`: the panes of a workspace's template, as tabs of WezTerm.

use std::path::{Path, PathBuf};

use super::panes::{open_tabs, Opened};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::viewer_panes::warn;
use crate::cli::{screen, text, workspace_text};
use crate::pane::wezterm::{plan, Layout, PanePlan, Shown, Surroundings, TabPlan};
use crate::protocol::{PaneLayout, WorkspacePane, WorkspaceView};

/// Opens the panes that are not open, and says how many.
pub(super) fn open(context: &Context, view: &WorkspaceView) -> Result<(), Failure> {
    let tabs = tabs(view);
    if tabs.is_empty() {
        return Err(Failure::refused(format!("workspace {} has no panes", view.name))
            .hint("panes come from the template that a workspace is created from, see docs/workspaces.md"));
    }
    open_and_tell(context, view, &tabs)
}

/// Opens what is not open of these tabs of a workspace, and says how much that was.
pub(in crate::cli) fn open_and_tell(
    context: &Context,
    view: &WorkspaceView,
    tabs: &[TabPlan],
) -> Result<(), Failure> {
    let opened = open_tabs(context, &view.name, tabs, &folder(view))?;
    screen::note(&words(opened));
    Ok(())
}

/// Opens the panes of a workspace that has just been created. It is there whether that works or not.
pub(super) fn after_creation(context: &Context, view: &WorkspaceView) {
    if view.settings.panes.is_empty() {
        return;
    }
    let later = format!("`wezterm-parallel workspace open {}`", view.name);
    if Surroundings::from_env().find_server().is_err() {
        // On a server or in a script that is nothing to be warned of.
        screen::note(&format!("its panes can be opened where WezTerm runs: {later}"));
    } else if let Err(failure) = open(context, view) {
        warn(
            &failure,
            &format!("the workspace is there, {later} opens its panes"),
        );
    }
}

fn words(opened: Opened) -> String {
    let new = match opened.new {
        0 => "opened no pane".to_owned(),
        1 => "opened 1 pane".to_owned(),
        count => format!("opened {count} panes"),
    };
    match opened.there {
        0 => new,
        1 => format!("{new}; 1 was there already"),
        count => format!("{new}; {count} were there already"),
    }
}

/// Where panes open that say no folder.
fn folder(view: &WorkspaceView) -> PathBuf {
    let own = view.settings.folder.as_deref().map(Path::new);
    let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    own.map_or_else(here, Path::to_owned)
}

/// Its panes as tabs: one with the workspace's name for all, or one for each.
fn tabs(view: &WorkspaceView) -> Vec<TabPlan> {
    let panes = &view.settings.panes;
    let plans: Vec<PanePlan> = panes.iter().map(pane_plan).collect();
    let layout = match view.settings.layout.unwrap_or_default() {
        _ if panes.is_empty() => return Vec::new(),
        PaneLayout::Grid => Layout::Grid,
        PaneLayout::Columns => Layout::Columns,
        PaneLayout::Rows => Layout::Rows,
        PaneLayout::Tabs => {
            let tab = |(pane, plan): (&WorkspacePane, PanePlan)| TabPlan {
                title: format!("{}: {}", view.name, label(pane)),
                panes: vec![plan],
                ..TabPlan::default()
            };
            return panes.iter().zip(plans).map(tab).collect();
        }
    };
    vec![TabPlan {
        title: view.name.clone(),
        splits: plan(layout, plans.len()),
        panes: plans,
        active: None,
    }]
}

/// What a pane's own tab is called.
fn label(pane: &WorkspacePane) -> String {
    let name = pane.name.clone();
    text::visible(&name.unwrap_or_else(|| workspace_text::pane(pane)))
}

fn pane_plan(pane: &WorkspacePane) -> PanePlan {
    let shown = match (pane.slot, pane.task.as_ref().or(pane.process.as_ref())) {
        (Some(slot), _) => Shown::Slot(slot),
        (None, Some(id)) => Shown::Task(id.clone()),
        (None, None) => Shown::Shell(pane.command.clone()),
    };
    PanePlan {
        shown,
        cwd: pane.cwd.as_ref().map(PathBuf::from),
    }
}
