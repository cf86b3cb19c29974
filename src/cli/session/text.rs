//! Sessions for people to read. Pure: sessions in, text with styles out.

use std::fmt::Write as _;

use crate::cli::text::{quoted, state_style, visible, Cell, Table, BOLD, DIM};
use crate::cli::value::{local_time, short_duration};
use crate::pane::wezterm::{PanePlan, Shown};
use crate::workspace_session::{ClaudeSession, SavedProcess, SavedTab, Session};

/// All of them, one a line.
pub(super) fn table(sessions: &[Session], now_ms: u64, width: Option<usize>) -> String {
    let headings = [
        "WORKSPACE",
        "SAVED",
        "TABS",
        "PANES",
        "PROCESSES",
        "CLAUDE",
        "FOLDER",
    ];
    let mut table = Table::new(&headings, &[2, 3, 4, 5]);
    for session in sessions {
        let panes: usize = session.tabs.iter().map(|tab| tab.plan.panes.len()).sum();
        let age = short_duration(now_ms.saturating_sub(session.saved_at_ms));
        table.row(vec![
            Cell::new(&session.workspace, BOLD),
            Cell::new(format!("{age} ago"), DIM),
            Cell::plain(session.tabs.len().to_string()),
            Cell::plain(panes.to_string()),
            Cell::plain(session.processes.len().to_string()),
            Cell::plain(session.claude.len().to_string()),
            Cell::plain(session.settings.folder.as_deref().unwrap_or("–")),
        ]);
    }
    table.render(width)
}

/// One in full.
pub(super) fn session(session: &Session) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(shown, "{name:<12} {value}");
    };
    line("workspace", &session.workspace);
    line("saved", &local_time(session.saved_at_ms));
    line("template", &visible(&session.template));
    if let Some(folder) = &session.settings.folder {
        line("folder", &visible(folder));
    }
    for (place, tab) in session.tabs.iter().enumerate() {
        line(if place == 0 { "panes" } else { "" }, &tab_words(tab));
    }
    for (place, process) in session.processes.iter().enumerate() {
        line(if place == 0 { "processes" } else { "" }, &process_words(process));
    }
    // The newest is what somebody looks for.
    for (place, claude) in session.claude.iter().rev().enumerate() {
        line(if place == 0 { "claude" } else { "" }, &claude_words(claude));
    }
    if let Some(claude) = session.claude.last() {
        let hint = format!(
            "`wezterm-parallel queue --continue-from {} PROMPT` goes on with one, `claude --resume {}` does so by hand",
            claude.task, claude.session
        );
        let _ = writeln!(shown, "{DIM}{}{DIM:#}", visible(&hint));
    }
    shown
}

fn tab_words(tab: &SavedTab) -> String {
    let panes: Vec<String> = tab.plan.panes.iter().map(pane_words).collect();
    let title = match tab.plan.title.as_str() {
        "" => String::new(),
        title => format!(" in {:?}", visible(title)),
    };
    format!("{}{title}", panes.join(" | "))
}

fn pane_words(pane: &PanePlan) -> String {
    match &pane.shown {
        Shown::Slot(slot) => format!("slot {slot}"),
        Shown::Task(id) => visible(id),
        Shown::Shell(None) => "shell".to_owned(),
        Shown::Shell(Some(line)) => visible(line),
    }
}

fn process_words(process: &SavedProcess) -> String {
    let name = process
        .name
        .as_deref()
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let command = match (&process.command, &process.argv) {
        (Some(command), _) => command.clone(),
        (None, argv) => quoted(argv.as_deref().unwrap_or_default()),
    };
    let rests = match (process.wanted, process.unknown) {
        (_, true) => " (not there any more)",
        (false, false) => " (stopped)",
        (true, false) => "",
    };
    visible(&format!("{}{name}{rests}: {command}", process.id))
}

fn claude_words(claude: &ClaudeSession) -> String {
    let style = state_style(&claude.state);
    let label = claude
        .label
        .as_deref()
        .map(|label| format!(" {label}"))
        .unwrap_or_default();
    format!(
        "{} task {}{} {style}{}{style:#}",
        visible(&claude.session),
        visible(&claude.task),
        visible(&label),
        visible(&claude.state)
    )
}
