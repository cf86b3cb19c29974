//! Text with colours as the other commands print it, and as workers write it, in the terms of a screen.
//!
//! Pure. What comes from workers has passed the escape filter: text and colours are all that is left in it.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar as _;

const TAB_COLUMNS: usize = 8;

/// Text as a screen's lines that are no wider than this; `style` is what it begins with, and then what it ends with.
pub(super) fn wrapped(text: &str, width: usize, style: &mut Style) -> Vec<Line<'static>> {
    let mut wrapper = Wrapper {
        width: width.max(1),
        lines: Vec::new(),
        spans: Vec::new(),
        run: String::new(),
        used: 0,
    };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some((parameters, after)) = colour(rest) {
            wrapper.end_run(*style);
            apply(parameters, style);
            rest = after;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match character {
            '\n' => wrapper.end_line(*style),
            '\t' => {
                let spaces = TAB_COLUMNS - wrapper.used % TAB_COLUMNS;
                (0..spaces).for_each(|_| wrapper.push(' ', *style));
            }
            other if other.is_control() => {}
            other => wrapper.push(other, *style),
        }
    }
    if wrapper.used > 0 || wrapper.lines.is_empty() || !text.ends_with('\n') {
        wrapper.end_line(*style);
    }
    wrapper.lines
}

/// One line of text that the other commands print.
pub(super) fn line(text: &str) -> Line<'static> {
    let mut lines = wrapped(text, usize::MAX, &mut Style::new());
    lines.truncate(1);
    lines.pop().unwrap_or_default()
}

struct Wrapper {
    width: usize,
    lines: Vec<Line<'static>>,
    spans: Vec<Span<'static>>,
    run: String,
    used: usize,
}

impl Wrapper {
    fn push(&mut self, character: char, style: Style) {
        let columns = character.width().unwrap_or(0);
        if self.used + columns > self.width && self.used > 0 {
            self.end_line(style);
        }
        self.run.push(character);
        self.used += columns;
    }

    fn end_run(&mut self, style: Style) {
        if !self.run.is_empty() {
            self.spans
                .push(Span::styled(std::mem::take(&mut self.run), style));
        }
    }

    fn end_line(&mut self, style: Style) {
        self.end_run(style);
        self.lines.push(Line::from(std::mem::take(&mut self.spans)));
        self.used = 0;
    }
}

/// The parameters of the colour that the text begins with, and what follows it.
fn colour(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("\x1b[")?;
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    let after = rest[end..].strip_prefix('m')?;
    Some((&rest[..end], after))
}

/// The style that a text leaves behind.
pub(super) fn after(text: &str, mut style: Style) -> Style {
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        rest = &rest[at..];
        match colour(rest) {
            Some((parameters, after)) => {
                apply(parameters, &mut style);
                rest = after;
            }
            None => rest = &rest[1..],
        }
    }
    style
}

fn apply(parameters: &str, style: &mut Style) {
    let mut numbers = parameters
        .split([';', ':'])
        .map(|number| number.parse::<u16>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        match number {
            0 => *style = Style::new(),
            1 => *style = style.add_modifier(Modifier::BOLD),
            2 => *style = style.add_modifier(Modifier::DIM),
            3 => *style = style.add_modifier(Modifier::ITALIC),
            4 => *style = style.add_modifier(Modifier::UNDERLINED),
            7 => *style = style.add_modifier(Modifier::REVERSED),
            22 => *style = style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => *style = style.remove_modifier(Modifier::ITALIC),
            24 => *style = style.remove_modifier(Modifier::UNDERLINED),
            27 => *style = style.remove_modifier(Modifier::REVERSED),
            30..=37 => *style = style.fg(basic(number - 30)),
            90..=97 => *style = style.fg(basic(number - 90 + 8)),
            40..=47 => *style = style.bg(basic(number - 40)),
            100..=107 => *style = style.bg(basic(number - 100 + 8)),
            39 => style.fg = None,
            49 => style.bg = None,
            38 | 48 => {
                let Some(color) = extended(&mut numbers) else {
                    return;
                };
                *style = if number == 38 {
                    style.fg(color)
                } else {
                    style.bg(color)
                };
            }
            _ => {}
        }
    }
}

fn basic(number: u16) -> Color {
    const COLORS: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    COLORS[usize::from(number) % COLORS.len()]
}

fn extended(numbers: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let byte = |number: Option<u16>| u8::try_from(number?).ok();
    match numbers.next()? {
        5 => Some(Color::Indexed(byte(numbers.next())?)),
        2 => Some(Color::Rgb(
            byte(numbers.next())?,
            byte(numbers.next())?,
            byte(numbers.next())?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, width: usize) -> Vec<String> {
        let lines = wrapped(text, width, &mut Style::new());
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_are_no_wider_than_the_screen() {
        assert_eq!(texts("abcdef\ngh\n", 4), ["abcd", "ef", "gh"]);
        assert_eq!(texts("漢字漢", 4), ["漢字", "漢"]);
        assert_eq!(texts("a\tb", 80), ["a       b"]);
        assert_eq!(texts("", 4), [""]);
        assert_eq!(texts("\n\n", 4), ["", ""]);
        assert_eq!(texts("abcd\n", 4), ["abcd"]);
        assert_eq!(texts("a\x1b[31mb\x1b[2Jc\r", 80), ["ab[2Jc"]);
    }

    #[test]
    fn colours_go_on_until_they_end() {
        let mut style = Style::new();
        let lines = wrapped("\x1b[1;31mred\nstill\x1b[0m plain\x1b[38;5;9m", 80, &mut style);
        let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        assert_eq!(lines[0].spans[0].style, red);
        assert_eq!(lines[1].spans[0].style, red);
        assert_eq!(lines[1].spans[1].style, Style::new());
        assert_eq!(style, Style::new().fg(Color::Indexed(9)));
        assert_eq!(after("a\x1b[1;31mb", Style::new()), red);
        assert_eq!(
            after("\x1b[31m\x1b[38;2;1;2;3m", Style::new()),
            Style::new().fg(Color::Rgb(1, 2, 3))
        );
    }
}
