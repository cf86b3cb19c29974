//! The screen: a model in, cells out.
//!
//! Pure. Without colours everything can still be told apart: by words, by signs, and by bold, dim and reversed.

mod detail;
mod dialogs;
mod gauges;
mod table;

use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};
use ratatui::Frame;

use super::ansi;
use super::areas::{Areas, HEIGHT_MIN, WIDTH_MIN};
use super::model::{Dialog, Model};
use super::processes;
use crate::cli::task_text;
use crate::protocol::Summary;

pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const YELLOW: Style = Style::new().fg(Color::Yellow);
pub(super) const RED: Style = Style::new().fg(Color::Red);
pub(super) const GREEN: Style = Style::new().fg(Color::Green);
pub(super) const CYAN: Style = Style::new().fg(Color::Cyan);

/// The keys in a line; those at the end are the first to give way.
const KEYS: [(&str, &str); 12] = [
    ("?", "help"),
    ("q", "quit"),
    ("Enter", "open"),
    ("/", "filter"),
    ("s", "sort"),
    ("c", "cancel"),
    ("r", "retry"),
    ("+-", "priority"),
    ("h", "hold"),
    ("p", "pause"),
    ("P", "all"),
    ("a", "answer"),
];

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, has_color: bool) {
    match Areas::of(model) {
        Some(areas) => draw_areas(frame, model, &areas),
        None => too_small(frame, model),
    }
    if !has_color {
        for cell in &mut frame.buffer_mut().content {
            cell.fg = Color::Reset;
            cell.bg = Color::Reset;
        }
    }
}

fn draw_areas(frame: &mut Frame<'_>, model: &Model, areas: &Areas) {
    title(frame, model, areas.title);
    gauges::gauges(frame, model, areas.gauges);
    gauges::sparks(frame, model, areas.sparks);
    gauges::gates(frame, model, areas.gates);
    if areas.processes.height > 0 {
        let line = processes::line(&model.processes, usize::from(areas.processes.width));
        Paragraph::new(line).render(areas.processes, frame.buffer_mut());
    }
    if areas.table.height > 0 {
        table::table(frame, model, areas.table);
    }
    if let (Some(area), Some(detail)) = (areas.detail, &model.detail) {
        detail::detail(frame, model, detail, area);
    }
    bottom(frame, model, areas.bottom);
    if let Some(dialog) = &model.dialog {
        dialogs::dialog(frame, model, dialog);
    }
}

fn too_small(frame: &mut Frame<'_>, model: &Model) {
    let (width, height) = model.size;
    let words = format!("{width}×{height} is too small: {WIDTH_MIN}×{HEIGHT_MIN} at least");
    let paragraph = Paragraph::new(words).wrap(ratatui::widgets::Wrap { trim: true });
    paragraph.render(frame.area(), frame.buffer_mut());
}

/// The counts, and on the right whether they are of now.
fn title(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let counts = Summary {
        // They have lines of their own.
        blocked_by: Vec::new(),
        ..model.summary.clone()
    };
    let line = ansi::line(&task_text::summary_line(&counts, model.now_ms));
    Paragraph::new(line).render(area, frame.buffer_mut());
    if model.is_away {
        let words = " the daemon is away: reconnecting … ";
        let style = YELLOW.add_modifier(Modifier::REVERSED);
        right(frame, Line::styled(words, style), area);
    }
}

/// What was done, what is typed, or which keys there are; on the right where in the table one is.
fn bottom(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let line = match (&model.dialog, &model.notice) {
        (Some(Dialog::Words { finds, text, .. }), _) => typing(*finds, text),
        (_, Some(notice)) => {
            let style = if notice.is_bad { RED } else { GREEN };
            Line::styled(crate::cli::text::visible(&notice.words), style)
        }
        _ => {
            let position = position(model);
            let keys = keys(usize::from(area.width).saturating_sub(position.width()));
            right(frame, position, area);
            keys
        }
    };
    let area = Rect {
        width: u16::try_from(line.width()).unwrap_or(area.width).min(area.width),
        ..area
    };
    Paragraph::new(line).render(area, frame.buffer_mut());
}

fn typing(finds: bool, text: &str) -> Line<'static> {
    let (what, other) = if finds {
        ("find", "filter")
    } else {
        ("filter", "find")
    };
    Line::from(vec![
        Span::styled(format!("{what}: "), BOLD),
        Span::raw(crate::cli::text::visible(text)),
        Span::styled(" ", Style::new().add_modifier(Modifier::REVERSED)),
        Span::styled(
            format!("  Enter keeps · Esc gives up · Tab: {other} · state: workspace: label: worker: text"),
            DIM,
        ),
    ])
}

fn keys(mut left: usize) -> Line<'static> {
    let mut spans = Vec::new();
    for (key, words) in KEYS {
        let needed = key.len() + words.len() + 3;
        if needed > left {
            break;
        }
        left -= needed;
        spans.push(Span::styled(key, BOLD));
        spans.push(Span::styled(format!(" {words}  "), DIM));
    }
    Line::from(spans)
}

fn position(model: &Model) -> Line<'static> {
    let (at, of) = model.list.position();
    let all: usize = model.summary.states.values().sum();
    let mut words = if at == 0 {
        of.to_string()
    } else {
        format!("{at}/{of}")
    };
    if !model.list.filter.is_empty() {
        words = format!("/{} {words}", crate::cli::text::visible(model.list.filter.text()));
    } else if all > of {
        words = format!("{words} of {all}");
    }
    Line::styled(format!(" {words}"), DIM)
}

fn right(frame: &mut Frame<'_>, line: Line<'_>, area: Rect) {
    let width = u16::try_from(line.width()).unwrap_or(area.width).min(area.width);
    let area = Rect::new(area.right() - width, area.y, width, area.height.min(1));
    Paragraph::new(line)
        .alignment(Alignment::Right)
        .render(area, frame.buffer_mut());
}

/// The style of a state, as in the other commands.
pub(super) fn state_style(state: &str) -> Style {
    match state {
        "running" => CYAN,
        "succeeded" => GREEN,
        "failed" | "lost" => RED,
        "paused" | "waiting" | "held" => YELLOW,
        _ => DIM,
    }
}

#[cfg(test)]
mod tests;
