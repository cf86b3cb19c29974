//! Text that fits a terminal: styles, visible control characters, truncation, aligned tables.
//!
//! Everything here is pure: cells in, text out. Commands come from others and may hold escape
//! sequences; they are shown, never sent to the terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Two spaces keep columns apart.
const GAP: usize = 2;
/// The last column shrinks down to this much before the others do.
const FLEXIBLE_MIN: usize = 12;
/// The others keep this much.
const CELL_MIN: usize = 4;

/// For headings and what matters most.
pub(crate) const BOLD: Style = Style::new().bold();
/// For what matters least.
pub(crate) const DIM: Style = Style::new().dimmed();
/// For success.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// For what waits or warns.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// For failure.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// For what runs.
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
/// No style.
pub(crate) const PLAIN: Style = Style::new();

/// The style of a state.
pub(crate) fn state_style(state: &str) -> Style {
    match state {
        "running" => CYAN,
        "succeeded" => GREEN,
        "failed" | "lost" => RED,
        "paused" | "waiting" | "held" => YELLOW,
        _ => DIM,
    }
}

/// One line of text in which every control character is visible: `\n`, `\t`, `\x1b`, `\u{202e}`.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            control if control.is_ascii_control() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(control));
            }
            hidden if is_hidden(hidden) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// C1 controls, and marks that reorder or hide what a reader sees.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// The text cut to `width` columns, its end replaced by `…` if something is missing.
pub(crate) fn truncated(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        cut.push(character);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// An argv as a shell would take it, for reading.
pub(crate) fn quoted(argv: &[String]) -> String {
    argv.iter()
        .map(|word| quoted_word(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Text and its style.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell whose text is made visible first.
    pub(crate) fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            text: visible(text.as_ref()),
            style,
        }
    }

    /// A cell without a style.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, PLAIN)
    }
}

/// Rows under a heading; the last column gives way when the terminal is narrow.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
    right_aligned: &'static [usize],
}

impl Table {
    /// A table with its headings; `right_aligned` names columns by number.
    pub(crate) fn new(headings: &[&str], right_aligned: &'static [usize]) -> Self {
        let heading = headings.iter().map(|text| Cell::new(text, BOLD)).collect();
        Self {
            rows: vec![heading],
            right_aligned,
        }
    }

    /// Adds a row; it must have as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// The table as text, fitted to `width` columns; `None` keeps every cell whole.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let columns = self.rows[0].len();
        let widths = self.column_widths(width);
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let last = column + 1 == columns;
                let shown = truncated(&cell.text, widths[column]);
                let padding = widths[column].saturating_sub(shown.width());
                let right = self.right_aligned.contains(&column);
                let before = if right { padding } else { 0 };
                let after = if last { 0 } else { padding - before + GAP };
                let style = cell.style;
                let _ = write!(text, "{:before$}{style}{shown}{style:#}{:after$}", "", "");
            }
            text.push('\n');
        }
        text
    }

    fn column_widths(&self, width: Option<usize>) -> Vec<usize> {
        let columns = self.rows[0].len();
        let widest = |column: usize| self.rows.iter().map(|row| row[column].text.width()).max();
        let mut widths: Vec<usize> = (0..columns).map(|n| widest(n).unwrap_or(0)).collect();
        let Some(width) = width else {
            return widths;
        };
        let (last, others) = widths.split_last_mut().expect("a table has columns");
        let taken = |others: &[usize]| others.iter().map(|width| width + GAP).sum::<usize>();
        let wanted = (*last).min(FLEXIBLE_MIN);
        // A long id gives way before a line breaks in two.
        while taken(others) + wanted > width {
            match others.iter_mut().max() {
                Some(widest) if *widest > CELL_MIN => *widest -= 1,
                _ => break,
            }
        }
        *last = (*last).min(width.saturating_sub(taken(others)));
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("a\nb\t\x1b[31mc"), r"a\nb\t\x1b[31mc");
        assert_eq!(visible("\u{202e}gnp.exe\u{9b}1m"), r"\u{202e}gnp.exe\u{9b}1m");
        assert_eq!(visible("grün 漢字"), "grün 漢字");
    }

    #[test]
    fn truncation_counts_columns() {
        assert_eq!(truncated("hello", 5), "hello");
        assert_eq!(truncated("hello!", 5), "hell…");
        assert_eq!(truncated("漢字漢字", 5), "漢字…");
        assert_eq!(truncated("漢字漢字", 4), "漢…");
        assert_eq!(truncated("x", 0), "");
    }

    #[test]
    fn an_argv_reads_like_a_shell_line() {
        let argv = ["printf", "%s\n", "it's", "", "a=b"].map(String::from);
        assert_eq!(quoted(&argv), "printf '%s\n' 'it'\\''s' '' a=b");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut table = Table::new(&["ID", "STATE", "PRI", "WORKER/LABEL", "TIME", "COMMAND"], &[]);
        let long = "x".repeat(64);
        let row = [
            &long,
            "succeeded",
            "100",
            "shell/nightly",
            "1h05m",
            "cargo test --workspace",
        ];
        table.row(row.map(Cell::plain).to_vec());
        for width in [40, 60, 80, 200] {
            let text = anstream::adapter::strip_str(&table.render(Some(width))).to_string();
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
        }
    }

    #[test]
    fn the_last_column_gives_way() {
        let mut table = Table::new(&["ID", "N", "COMMAND"], &[1]);
        table.row(["a", "5", "echo something rather long"].map(Cell::plain).to_vec());
        table.row(["beta", "150", "true"].map(Cell::plain).to_vec());
        let plain = |width| anstream::adapter::strip_str(&table.render(width)).to_string();
        insta::assert_snapshot!(plain(Some(30)), @r"
        ID      N  COMMAND
        a       5  echo something rat…
        beta  150  true
        ");
        insta::assert_snapshot!(plain(Some(20)), @r"
        ID      N  COMMAND
        a       5  echo som…
        beta  150  true
        ");
        insta::assert_snapshot!(plain(None), @r"
        ID      N  COMMAND
        a       5  echo something rather long
        beta  150  true
        ");
    }
}
