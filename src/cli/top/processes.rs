//! The processes beside the queue in one line: which there are and how they stand, those that want to be looked at first.
//!
//! Pure.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::draw::{CYAN, DIM, GREEN, RED, YELLOW};
use crate::cli::text::{truncated, visible};
use crate::protocol::{ProcessView, ReportView};

/// What the line begins with.
const HEADING: &str = "processes: ";
/// What stands between two of them.
const BETWEEN: &str = " · ";

/// What is shown of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    state: String,
    words: String,
    rank: u8,
}

impl Process {
    fn new(view: &ProcessView) -> Self {
        let waits = view.report.as_ref().is_some_and(ReportView::is_waiting);
        let name = visible(view.name.as_deref().unwrap_or(&view.id));
        let rank = match view.state.as_str() {
            "failed" => 0,
            "backoff" => 1,
            _ if waits => 2,
            "starting" | "stopping" => 3,
            "stopped" => 5,
            _ => 4,
        };
        let state = if waits { "waits for you" } else { &view.state };
        Self {
            words: format!("{name} {state}"),
            state: view.state.clone(),
            rank,
        }
    }

    /// Whether somebody should know of it, however small the screen is.
    pub(super) fn is_trouble(&self) -> bool {
        self.rank <= 2
    }

    fn style(&self) -> Style {
        match self.state.as_str() {
            "failed" => RED,
            _ if self.rank <= 3 => YELLOW,
            "ready" => GREEN,
            "running" => CYAN,
            _ => DIM,
        }
    }
}

/// All of them, the most urgent first.
pub(super) fn arranged(views: &[ProcessView]) -> Vec<Process> {
    let mut processes: Vec<Process> = views.iter().map(Process::new).collect();
    processes.sort_by_key(|process| process.rank);
    processes
}

/// As many of them as there is room for, and how many more there are.
pub(super) fn line(processes: &[Process], width: usize) -> Line<'static> {
    let mut spans = vec![Span::raw(HEADING)];
    let mut used = HEADING.len();
    for (place, process) in processes.iter().enumerate() {
        let after = processes.len() - place - 1;
        let more = |count: usize| {
            if count == 0 {
                String::new()
            } else {
                format!(" (+{count})")
            }
        };
        let between = if place == 0 { "" } else { BETWEEN };
        let room = width.saturating_sub(used + Span::raw(between).width() + more(after).len());
        let words = Span::styled(process.words.clone(), process.style());
        if words.width() > room && place > 0 {
            spans.push(Span::raw(more(after + 1)));
            break;
        }
        let words = truncated(&process.words, room);
        spans.push(Span::styled(between, DIM));
        spans.push(Span::styled(words, process.style()));
        used = spans.iter().map(Span::width).sum();
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(id: &str, name: Option<&str>, state: &str) -> ProcessView {
        ProcessView {
            id: id.into(),
            name: name.map(Into::into),
            state: state.into(),
            ..ProcessView::default()
        }
    }

    fn shown(processes: &[Process], width: usize) -> String {
        let line = line(processes, width);
        line.spans.iter().map(|span| &*span.content).collect()
    }

    #[test]
    fn what_wants_to_be_looked_at_comes_first_and_what_has_no_room_is_counted() {
        let asks = ReportView {
            status: "waiting".into(),
            ..ReportView::default()
        };
        let views = [
            view("@1", Some("dev"), "ready"),
            view("@2", None, "stopped"),
            view("@3", Some("tunnel"), "failed"),
            view("@4", Some("watch\x1b"), "backoff"),
            ProcessView {
                report: Some(asks),
                ..view("@5", None, "running")
            },
        ];
        let processes = arranged(&views);
        assert_eq!(
            shown(&processes, 100),
            r"processes: tunnel failed · watch\x1b backoff · @5 waits for you · dev ready · @2 stopped"
        );
        assert_eq!(
            shown(&processes, 50),
            r"processes: tunnel failed · watch\x1b backoff (+3)"
        );
        assert_eq!(shown(&processes, 20), "processes: tun… (+4)");
        for width in 20..100 {
            assert!(Span::raw(shown(&processes, width)).width() <= width, "{width}");
        }
        let trouble = processes.iter().filter(|process| process.is_trouble());
        assert_eq!(trouble.count(), 3);
    }
}
