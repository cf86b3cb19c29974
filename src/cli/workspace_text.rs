//! Workspaces for people to read. Pure: views in, text with styles out.

use std::fmt::Write as _;

use super::text::{self, Cell, Table, DIM, YELLOW};
use super::value::{local_time, short_bytes, short_dollars};
use crate::protocol::{AgentRight, PaneLayout, Sandbox, WorkspacePane, WorkspaceSettings, WorkspaceView};

/// All of them, one a line; the chosen one is marked.
pub(crate) fn table(workspaces: &[WorkspaceView], current: Option<&str>, width: Option<usize>) -> String {
    let mut table = Table::new(&["WORKSPACE", "WAITING", "RUNNING", "LIMITS", "FOLDER"], &[1, 2]);
    for view in workspaces {
        let mark = if current == Some(view.name.as_str()) {
            " *"
        } else {
            ""
        };
        let folder = view.settings.folder.as_deref().unwrap_or("–");
        let gone = if view.folder_missing { " (missing)" } else { "" };
        table.row(vec![
            Cell::plain(format!("{}{mark}", view.name)),
            Cell::plain(view.waiting.to_string()),
            Cell::plain(view.running.to_string()),
            Cell::plain(limits(view)),
            Cell::plain(format!("{}{gone}", text::visible(folder))),
        ]);
    }
    table.render(width)
}

/// What is limited, in short.
fn limits(view: &WorkspaceView) -> String {
    let settings = &view.settings;
    let parts = [
        settings.max_parallel.map(|count| format!("{count} at once")),
        settings.rate.clone(),
        settings.weight.map(|weight| format!("weight {weight}")),
        settings
            .budget_usd
            .map(|dollars| format!("{}/day", short_dollars(dollars))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "–".to_owned();
    }
    parts.join(", ")
}

fn rights(rights: &[AgentRight]) -> String {
    match rights {
        [] => "none".to_owned(),
        rights => rights
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// What its panes show, and how they are laid out.
fn panes(settings: &WorkspaceSettings) -> String {
    let shown: Vec<String> = settings.panes.iter().map(pane).collect();
    let layout = match settings.layout.unwrap_or_default() {
        PaneLayout::Grid => "in a grid",
        PaneLayout::Columns => "in columns",
        PaneLayout::Rows => "in rows",
        PaneLayout::Tabs => "in tabs",
    };
    format!("{} ({layout})", shown.join(", "))
}

/// What one of them shows.
pub(crate) fn pane(pane: &WorkspacePane) -> String {
    match (pane.slot, &pane.task, &pane.process, &pane.command) {
        (Some(slot), ..) => format!("slot {slot}"),
        (_, Some(id), ..) => format!("task {id}"),
        (_, _, Some(id), _) => format!("process {id}"),
        (.., Some(line)) => line.clone(),
        _ => "shell".to_owned(),
    }
}

/// One in full.
pub(crate) fn workspace(view: &WorkspaceView) -> String {
    let settings = &view.settings;
    let mut shown = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let source = if view.from_config.iter().any(|key| key == name) {
                format!(" {DIM}(from the config){DIM:#}")
            } else {
                String::new()
            };
            let name = name.trim_end_matches("_bytes").trim_end_matches("_usd");
            let _ = writeln!(
                shown,
                "{:<16} {}{source}",
                name.replace('_', " "),
                text::visible(&value)
            );
        }
    };
    line("workspace", Some(view.name.clone()));
    line("template", Some(view.template.clone()));
    line("created", Some(local_time(view.created_at_ms)));
    line("folder", settings.folder.clone());
    line("worker", settings.worker.clone());
    line(
        "max_parallel",
        settings.max_parallel.map(|count| count.to_string()),
    );
    line("rate", settings.rate.clone());
    line("memory_bytes", settings.memory_bytes.map(short_bytes));
    line(
        "budget_usd",
        settings
            .budget_usd
            .map(|dollars| format!("{} a day", short_dollars(dollars))),
    );
    line("weight", settings.weight.map(|weight| weight.to_string()));
    line(
        "priority_offset",
        settings.priority_offset.map(|offset| format!("{offset:+}")),
    );
    line("sandbox", settings.sandbox.as_ref().map(Sandbox::words));
    line("allow_agents", settings.allow_agents.as_deref().map(rights));
    let worktree = |own| if own { "one for each task" } else { "none" };
    line("worktree", settings.worktree.map(|own| worktree(own).to_owned()));
    for (name, value) in &settings.env {
        line("env", Some(format!("{name}={value}")));
    }
    line(
        "tasks",
        Some(format!("{} waiting, {} running", view.waiting, view.running)),
    );
    if view.spent_usd > 0.0 {
        line("spent today", Some(short_dollars(view.spent_usd)));
    }
    if !view.tasks.is_empty() {
        line("queued at first", Some(view.tasks.join(" ")));
    }
    // How they stand is shown below.
    if !view.processes.is_empty() {
        line("processes", Some(view.processes.len().to_string()));
    }
    if !settings.panes.is_empty() {
        line("panes", Some(panes(settings)));
    }
    if view.folder_missing {
        let _ = writeln!(
            shown,
            "{YELLOW}the folder does not exist{YELLOW:#}: tasks cannot be queued into it"
        );
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> WorkspaceView {
        WorkspaceView {
            name: "api".into(),
            template: "default".into(),
            created_at_ms: 0,
            folder_missing: true,
            settings: WorkspaceSettings {
                sandbox: Some(Sandbox {
                    required: true,
                    write: vec!["~/.cargo".to_owned()],
                    connect_tcp: Some(vec![443]),
                    ..Sandbox::default()
                }),
                allow_agents: Some(vec![AgentRight::Tasks]),
                folder: Some("/src/api".into()),
                env: [("A".to_owned(), "b\u{1b}".to_owned())].into(),
                worker: Some("shell".into()),
                max_parallel: Some(2),
                rate: Some("10/min".into()),
                memory_bytes: Some(400 << 20),
                budget_usd: Some(5.0),
                weight: Some(3),
                priority_offset: Some(-20),
                worktree: Some(true),
                layout: Some(PaneLayout::Columns),
                panes: vec![
                    WorkspacePane {
                        slot: Some(0),
                        ..WorkspacePane::default()
                    },
                    WorkspacePane {
                        process: Some("@1".to_owned()),
                        ..WorkspacePane::default()
                    },
                    WorkspacePane {
                        command: Some("vi .\u{1b}".to_owned()),
                        ..WorkspacePane::default()
                    },
                    WorkspacePane::default(),
                ],
            },
            from_config: vec!["max_parallel".into()],
            waiting: 3,
            running: 1,
            spent_usd: 0.5,
            tasks: vec!["1".into(), "2".into()],
            processes: vec!["@1".into()],
        }
    }

    #[test]
    fn one_reads_well() {
        let plain = anstream::adapter::strip_str(&workspace(&view())).to_string();
        let plain = plain.lines().filter(|line| !line.starts_with("created"));
        insta::assert_snapshot!(plain.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn all_read_well() {
        let other = WorkspaceView {
            name: "web".into(),
            ..WorkspaceView::default()
        };
        let plain = table(&[view(), other], Some("api"), Some(100));
        insta::assert_snapshot!(anstream::adapter::strip_str(&plain).to_string());
    }
}
