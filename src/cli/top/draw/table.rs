//! The table of tasks.

use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{state_style, BOLD, DIM};
use crate::cli::text::truncated;
use crate::cli::top::columns::{placed, Column, Placed};
use crate::cli::top::model::Model;
use crate::protocol::TaskView;

pub(super) fn table(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let columns = placed(area.width);
    heading(frame, model, &columns, area);
    let mut is_empty = true;
    for (number, (id, is_selected)) in model.list.on_screen().enumerate() {
        let y = area.y + 1 + u16::try_from(number).unwrap_or(u16::MAX);
        let Some(task) = model.tasks.get(id).filter(|_| y < area.bottom()) else {
            continue;
        };
        is_empty = false;
        row(frame, model, &columns, task, y);
        if is_selected {
            let line = Rect::new(area.x, y, area.width, 1);
            // One colour from end to end, or it would fall apart into cells.
            let selected = Style::new()
                .fg(Color::Reset)
                .remove_modifier(Modifier::DIM)
                .add_modifier(Modifier::REVERSED);
            frame.buffer_mut().set_style(line, selected);
        }
    }
    if is_empty && area.height > 2 {
        let words = if model.list.filter.is_empty() {
            "no tasks: `wezterm-parallel queue` brings some"
        } else {
            "no task fits the filter; Esc shows all"
        };
        let words = truncated(words, usize::from(area.width));
        frame.buffer_mut().set_string(area.x, area.y + 2, words, DIM);
    }
}

fn heading(frame: &mut Frame<'_>, model: &Model, columns: &[Placed], area: Rect) {
    let style = BOLD.add_modifier(Modifier::UNDERLINED);
    let line = Rect::new(area.x, area.y, area.width, 1);
    frame.buffer_mut().set_style(line, style);
    let (sorted_by, is_reversed) = model.list.sorting();
    for placed in columns {
        let is_sorted = sorted_by == Some(placed.column.sorts_by());
        let sign = match (is_sorted, is_reversed) {
            (false, _) => "",
            (true, false) => "▲",
            (true, true) => "▼",
        };
        let words = format!("{}{sign}", placed.column.heading());
        put(frame, *placed, area.y, &words, style);
    }
}

fn row(frame: &mut Frame<'_>, model: &Model, columns: &[Placed], task: &TaskView, y: u16) {
    let used = model
        .machine
        .as_ref()
        .and_then(|machine| machine.used_bytes(&task.id));
    for placed in columns {
        let words = placed.column.cell(task, used, model.now_ms);
        let style = match placed.column {
            Column::Id => BOLD,
            Column::State => state_style(&task.state),
            Column::Time | Column::Memory => DIM,
            _ => Style::new(),
        };
        put(frame, *placed, y, &words, style);
    }
}

fn put(frame: &mut Frame<'_>, placed: Placed, y: u16, words: &str, style: Style) {
    let width = usize::from(placed.width);
    let words = truncated(words, width);
    let indent = if placed.column.is_number() {
        width.saturating_sub(words.width())
    } else {
        0
    };
    let x = placed.x + u16::try_from(indent).unwrap_or(0);
    frame.buffer_mut().set_string(x, y, words, style);
}
