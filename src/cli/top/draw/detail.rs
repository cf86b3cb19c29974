//! One task in full: its facts, why it waits, and what it writes.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Widget as _};
use ratatui::Frame;

use super::{state_style, BOLD, DIM};
use crate::cli::task_text::{self, has_ended};
use crate::cli::text::{truncated, visible};
use crate::cli::top::ansi;
use crate::cli::top::areas::detail_parts;
use crate::cli::top::model::{Detail, Model};

pub(super) fn detail(frame: &mut Frame<'_>, model: &Model, detail: &Detail, area: Rect) {
    let (heading, facts, output) = detail_parts(area, detail.shows_facts);
    let one_of_them = facts.is_none() || output.is_none();
    Paragraph::new(heading_line(detail, one_of_them, heading.width)).render(heading, frame.buffer_mut());
    if let Some(area) = facts {
        draw_facts(frame, model, detail, area);
    }
    if let Some(area) = output {
        let lines = output_lines(detail, area);
        Paragraph::new(Text::from(lines)).render(area, frame.buffer_mut());
    }
    if let (Some(facts), Some(_)) = (facts, output) {
        for y in facts.y..facts.bottom() {
            frame.buffer_mut().set_string(facts.right(), y, "│", DIM);
        }
    }
}

fn heading_line(detail: &Detail, one_of_them: bool, width: u16) -> Line<'static> {
    let task = &detail.task;
    let attempt = detail.attempt.map(|n| format!(" · attempt {n}"));
    let turn = match (one_of_them, detail.shows_facts) {
        (true, true) => " · Tab: output",
        (true, false) => " · Tab: facts",
        (false, true) => " · scrolls facts (Tab)",
        (false, false) => "",
    };
    let below = if detail.output.is_at_end() {
        ""
    } else {
        " · more below (End)"
    };
    let rest = format!("{}{turn}{below} · Esc closes ", attempt.unwrap_or_default());
    let state = visible(&task_text::state_words(task));
    let id = visible(&task.id);
    let used = 9 + id.len() + rest.chars().count();
    let state = truncated(&state, usize::from(width).saturating_sub(used + 2));
    let fill = usize::from(width).saturating_sub(used + state.chars().count() + 1);
    Line::from(vec![
        Span::styled("── task ", DIM),
        Span::styled(id, BOLD),
        Span::raw(" "),
        Span::styled(state, state_style(&task.state)),
        Span::styled(rest, DIM),
        Span::styled("─".repeat(fill), DIM),
    ])
}

fn draw_facts(frame: &mut Frame<'_>, model: &Model, detail: &Detail, area: Rect) {
    let mut text = String::new();
    let explanation = detail.explanation.as_ref();
    let explained = explanation.filter(|view| !view.id.is_empty() && !has_ended(&detail.task));
    if let Some(view) = explained.filter(|view| !view.gates.is_empty()) {
        text.push_str(&task_text::explanation(view, model.now_ms));
        text.push('\n');
    }
    text.push_str(&task_text::task(&detail.task, model.now_ms));
    let lines = ansi::wrapped(&text, usize::from(area.width), &mut Style::new());
    let most = lines.len().saturating_sub(usize::from(area.height));
    let shown = lines.into_iter().skip(detail.facts_scroll.min(most));
    let shown: Vec<Line<'_>> = shown.collect();
    Paragraph::new(Text::from(shown)).render(area, frame.buffer_mut());
}

fn output_lines(detail: &Detail, area: Rect) -> Vec<Line<'static>> {
    if !detail.output.is_empty() {
        return detail
            .output
            .shown(usize::from(area.width), usize::from(area.height));
    }
    let words = match detail.task.attempts.last() {
        None if has_ended(&detail.task) => "it never ran",
        None => "it has not begun yet",
        Some(last) if last.outcome.is_some() => "it wrote nothing",
        Some(_) => "it has written nothing yet",
    };
    vec![Line::styled(words, DIM)]
}
