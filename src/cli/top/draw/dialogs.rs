//! What comes in front of the table: help, a question whether one is sure, an answer to a worker.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Widget as _};
use ratatui::Frame;

use super::{BOLD, DIM, YELLOW};
use crate::cli::question_text;
use crate::cli::text::visible;
use crate::cli::top::ansi;
use crate::cli::top::answering::{Answering, Purpose, NUMBERED_MAX};
use crate::cli::top::model::{Dialog, Model};

const HELP: [(&str, &str); 17] = [
    ("↑ ↓ PgUp PgDn", "move, also j k, Space, g G; the wheel"),
    ("Enter f", "the task in full, with what it writes"),
    ("Tab", "in there: its facts, or its output"),
    ("Esc", "back; drops the filter, then the selection"),
    ("/", "filter: words, state: workspace: label:"),
    ("/ Tab", "find instead; n N for the next one"),
    ("s S", "sort by the next column; turn it round"),
    ("c", "cancel (asks first if it runs)"),
    ("r", "run it again"),
    ("+ -", "priority up or down by 10"),
    ("h", "hold what waits, or release it"),
    ("p", "pause what runs, or let it go on"),
    ("P", "pause all starts, or resume them"),
    ("a", "answer what it asks"),
    ("click", "select; again: open; heading: sort"),
    ("Ctrl-Z", "to the shell and back with fg"),
    ("q", "quit"),
];

pub(super) fn dialog(frame: &mut Frame<'_>, model: &Model, dialog: &Dialog) {
    match dialog {
        Dialog::Help => popup(frame, "keys", help()),
        Dialog::Confirm { question, .. } => popup(frame, "sure?", confirm(question)),
        Dialog::Answer(answering) => {
            let title = format!("task {} asks", visible(&answering.id));
            popup(frame, &title, answer(model, answering));
        }
        // It stands in the last line.
        Dialog::Words { .. } => {}
    }
}

fn help() -> Vec<Line<'static>> {
    let line = |(key, words): (&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("{key:<14}"), BOLD), Span::raw(words)])
    };
    HELP.into_iter().map(line).collect()
}

fn confirm(question: &str) -> Vec<Line<'static>> {
    vec![
        Line::raw(visible(question)),
        Line::default(),
        Line::from(vec![
            Span::styled("y", BOLD),
            Span::raw(" yes · "),
            Span::styled("any other key", BOLD),
            Span::raw(" no"),
        ]),
    ]
}

fn answer(model: &Model, answering: &Answering) -> Vec<Line<'static>> {
    let question = &answering.question;
    let Some(choice) = answering.choice() else {
        let text = question_text::in_full(&answering.id, std::slice::from_ref(question), model.now_ms);
        // How to answer on a command line is no help here.
        let kept = text
            .trim()
            .lines()
            .filter(|line| !line.contains("wezterm-parallel answer"));
        let mut lines: Vec<Line<'static>> = kept.map(ansi::line).collect();
        lines.push(Line::default());
        lines.push(last_line(answering, "y allows · d denies · Esc leaves it open"));
        return lines;
    };
    let mut lines = vec![Line::styled(visible(choice.question), BOLD)];
    for (number, (label, description)) in choice.options.iter().enumerate() {
        let key = if number < NUMBERED_MAX {
            (number + 1).to_string()
        } else {
            " ".to_owned()
        };
        let mark = match (choice.several, answering.marked.contains(&number)) {
            (false, _) => "",
            (true, true) => "[x] ",
            (true, false) => "[ ] ",
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{key} "), BOLD),
            Span::raw(format!("{mark}{}", visible(label))),
            Span::styled(format!("  {}", visible(description)), DIM),
        ]));
    }
    let keys = if choice.several {
        "digits mark · Enter takes them · t own words · d denies · Esc leaves it open"
    } else {
        "a digit chooses · t own words · d denies · Esc leaves it open"
    };
    lines.push(Line::default());
    lines.push(last_line(answering, keys));
    lines
}

/// What is typed, or which keys there are.
fn last_line(answering: &Answering, keys: &'static str) -> Line<'static> {
    let Some((purpose, text)) = &answering.text else {
        return Line::styled(keys, DIM);
    };
    let label = match purpose {
        Purpose::Reason => "no, because: ",
        Purpose::OwnAnswer => "answer: ",
    };
    Line::from(vec![
        Span::styled(label, YELLOW),
        Span::raw(visible(text)),
        Span::styled(" ", Style::new().add_modifier(Modifier::REVERSED)),
        Span::styled("  Enter sends · Esc goes back", DIM),
    ])
}

/// A box in the middle, as large as its text; what does not fit into the screen is cut off at the top.
fn popup(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'static>>) {
    let screen = frame.area();
    let inner_width = usize::from(screen.width.saturating_sub(4)).max(1);
    let mut wrapped: Vec<Line<'static>> = lines
        .into_iter()
        .flat_map(|line| wrap(line, inner_width))
        .collect();
    let inner_height = usize::from(screen.height.saturating_sub(2)).max(1);
    let too_many = wrapped.len().saturating_sub(inner_height);
    wrapped.drain(..too_many);
    let widest = wrapped
        .iter()
        .map(Line::width)
        .max()
        .unwrap_or(0)
        .max(title.len() + 2);
    let width = u16::try_from(widest + 4)
        .unwrap_or(screen.width)
        .min(screen.width);
    let height = u16::try_from(wrapped.len() + 2)
        .unwrap_or(screen.height)
        .min(screen.height);
    let area = Rect::new(
        screen.x + (screen.width - width) / 2,
        screen.y + (screen.height - height) / 2,
        width,
        height,
    );
    Clear.render(area, frame.buffer_mut());
    let block = Block::bordered().title(format!(" {title} "));
    let inner = Rect::new(
        area.x + 2,
        area.y + 1,
        area.width.saturating_sub(4),
        area.height - 2,
    );
    block.render(area, frame.buffer_mut());
    Paragraph::new(Text::from(wrapped)).render(inner, frame.buffer_mut());
}

/// A long line goes on in the next one, without its styles: questions are the only ones that are long.
fn wrap(line: Line<'static>, width: usize) -> Vec<Line<'static>> {
    if line.width() <= width {
        return vec![line];
    }
    let style = line
        .spans
        .first()
        .map_or(line.style, |span| line.style.patch(span.style));
    let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    let mut wrapped = ansi::wrapped(&text, width, &mut Style::new());
    wrapped.iter_mut().for_each(|line| line.style = style);
    wrapped
}
