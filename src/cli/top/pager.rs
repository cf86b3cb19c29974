//! What a worker writes, as far back as one cares to scroll.
//!
//! Pure and bounded: text with colours in, lines that fit the screen out. Only the lines that are shown are wrapped.

use std::collections::VecDeque;

use ratatui::style::Style;
use ratatui::text::Line;

use super::ansi;

/// Lines that are kept.
const LINES_MAX: usize = 2_000;
/// A line that is longer goes on as another one: nobody scrolls through a megabyte without a break.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct Pager {
    lines: VecDeque<Kept>,
    /// The last one has no end yet.
    is_open: bool,
    /// What the next line begins with.
    style: Style,
    /// Lines from the end that are below the screen.
    scroll: usize,
}

#[derive(Debug)]
struct Kept {
    style: Style,
    text: String,
}

impl Pager {
    /// Takes the next part of the text.
    pub(super) fn push(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let too_long = self
                .lines
                .back()
                .is_some_and(|last| last.text.len() > LINE_BYTES_MAX);
            if !self.is_open || too_long {
                self.begin_line();
            }
            self.is_open = !part.ends_with('\n');
            if let Some(last) = self.lines.back_mut() {
                last.text.push_str(part.trim_end_matches('\n'));
                overwrite(&mut last.text);
            }
            self.style = ansi::after(part, self.style);
        }
    }

    fn begin_line(&mut self) {
        // Who reads further up stays there.
        if self.scroll > 0 {
            self.scroll += 1;
        }
        self.lines.push_back(Kept {
            style: self.style,
            text: String::new(),
        });
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the end is on the screen.
    pub(super) fn is_at_end(&self) -> bool {
        self.scroll == 0
    }

    pub(super) fn scroll_up(&mut self, lines: usize) {
        let last = self.lines.len().saturating_sub(1);
        self.scroll = self.scroll.saturating_add(lines).min(last);
    }

    pub(super) fn scroll_down(&mut self, lines: usize) {
        self.scroll = self.scroll.saturating_sub(lines);
    }

    /// The lines that are on a screen of this size.
    pub(super) fn shown(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        let mut shown: VecDeque<Line<'static>> = VecDeque::new();
        for kept in self.lines.iter().rev().skip(self.scroll) {
            let mut style = kept.style;
            for line in ansi::wrapped(&kept.text, width, &mut style).into_iter().rev() {
                shown.push_front(line);
                if shown.len() == height {
                    return shown.into();
                }
            }
        }
        shown.into()
    }
}

/// A carriage return goes back to the start of the line, and what follows writes over it: progress bars do that.
fn overwrite(line: &mut String) {
    let end = line.trim_end_matches('\r').len();
    if let Some(at) = line[..end].rfind('\r') {
        line.drain(..=at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pager: &Pager, width: usize, height: usize) -> Vec<String> {
        let lines = pager.shown(width, height);
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_lines_are_shown() {
        let mut pager = Pager::default();
        pager.push("one\ntw");
        pager.push("o\nthree and more\n");
        assert_eq!(shown(&pager, 8, 9), ["one", "two", "three an", "d more"]);
        assert_eq!(shown(&pager, 8, 2), ["three an", "d more"]);
        pager.scroll_up(1);
        assert_eq!(shown(&pager, 80, 2), ["one", "two"]);
        // What comes meanwhile does not move what is read.
        pager.push("four\n");
        assert_eq!(shown(&pager, 80, 2), ["one", "two"]);
        assert!(!pager.is_at_end());
        pager.scroll_down(9);
        assert_eq!(shown(&pager, 80, 1), ["four"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pager = Pager::default();
        for number in 0..2 * LINES_MAX {
            pager.push(&format!("{number}\n"));
        }
        assert_eq!(pager.lines.len(), LINES_MAX);
        pager.scroll_up(usize::MAX);
        assert_eq!(shown(&pager, 80, 9), [LINES_MAX.to_string()]);
        for _ in 0..100 {
            pager.push(&"x".repeat(1000));
        }
        assert!(pager
            .lines
            .iter()
            .all(|line| line.text.len() <= LINE_BYTES_MAX + 1000));
    }

    #[test]
    fn progress_is_written_over() {
        let mut pager = Pager::default();
        pager.push("10 %\r");
        assert_eq!(shown(&pager, 80, 9), ["10 %"]);
        pager.push("20 %\r");
        pager.push("30 %\rdone\r\nnext");
        assert_eq!(shown(&pager, 80, 9), ["done", "next"]);
    }

    #[test]
    fn colours_reach_into_the_next_line() {
        let mut pager = Pager::default();
        pager.push("\x1b[31mred\nstill\n\x1b[0mplain\n");
        let lines = pager.shown(80, 9);
        assert_eq!(lines[1].spans[0].style, lines[0].spans[0].style);
        assert_ne!(lines[2].spans[0].style, lines[0].spans[0].style);
    }
}
