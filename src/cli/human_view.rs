//! What a Claude worker printed, as people read it: events in, text out, as they come.

use std::collections::VecDeque;

use super::line_splitter::LineSplitter;
use super::output_file::{missing_words, Piece};
use super::{screen, value};
use crate::claude::{Renderer, Style};

/// Stands for an event that was not written to its end.
const CUT_EVENT_WORDS: &str = "… the output ends in the middle of an event; --raw shows it …\n";

/// A view of one attempt's output.
#[derive(Debug)]
pub(crate) struct HumanView {
    lines: LineSplitter,
    renderer: Renderer,
    /// Rendered and not handed on yet.
    text: String,
}

impl HumanView {
    /// A view that fits stdout.
    pub(crate) fn for_stdout() -> Self {
        Self::new(Style {
            color: screen::stdout_has_color(),
            width: screen::width(),
            partial: true,
        })
    }

    fn new(style: Style) -> Self {
        Self {
            lines: LineSplitter::default(),
            renderer: Renderer::new(style).with_moments(local_moment),
            text: String::new(),
        }
    }

    /// From now on it fits a screen of this width.
    pub(crate) fn set_width(&mut self, width: Option<usize>) {
        self.renderer.set_width(width);
    }

    /// What comes next begins in the middle of a line, which cannot be shown.
    pub(crate) fn begin_in_line(&mut self) {
        self.lines.skip();
    }

    /// Takes the next piece of the output.
    pub(crate) fn take_in(&mut self, piece: &Piece<'_>) {
        let Self {
            lines,
            renderer,
            text,
        } = self;
        match piece {
            Piece::Bytes(bytes) => lines.feed(bytes, |line| renderer.line(line, text)),
            Piece::Missing(bytes) => {
                lines.skip();
                renderer.finish(text);
                text.push_str(&missing_words(*bytes));
            }
        }
    }

    /// Ends the view. A line without an end is shown if nothing more can come of it.
    pub(crate) fn finish(&mut self, has_ended: bool) {
        let rest = self.lines.take_rest().filter(|_| has_ended);
        if let Some(rest) = rest {
            if is_cut_event(&rest) {
                self.renderer.finish(&mut self.text);
                self.text.push_str(CUT_EVENT_WORDS);
            } else {
                self.renderer.line(&rest, &mut self.text);
            }
        }
        self.renderer.finish(&mut self.text);
    }

    /// What there is to show since the last time.
    pub(crate) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// Whether a last line is the beginning of an event: its JSON is of no use to people, and may be long.
fn is_cut_event(line: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(line);
    line.starts_with(b"{\"") && parsed.is_err_and(|error| error.is_eof())
}

fn local_moment(moment_s: u64) -> String {
    value::local_time(moment_s.saturating_mul(1_000))
}

/// The last lines of a text that comes in pieces.
#[derive(Debug)]
pub(crate) struct LastLines {
    most: usize,
    lines: VecDeque<String>,
    /// The last of them has no end yet.
    open: bool,
    /// Some were not kept.
    dropped: bool,
}

impl LastLines {
    /// Keeps at most this many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            lines: VecDeque::new(),
            open: false,
            dropped: false,
        }
    }

    /// Takes the next part of the text.
    pub(crate) fn push(&mut self, text: &str) {
        if self.most == 0 {
            return;
        }
        for part in text.split_inclusive('\n') {
            match self.lines.back_mut().filter(|_| self.open) {
                Some(last) => last.push_str(part),
                None => self.lines.push_back(part.to_owned()),
            }
            self.open = !part.ends_with('\n');
            if self.lines.len() > self.most {
                self.lines.pop_front();
                self.dropped = true;
            }
        }
    }

    /// Whether there were more lines than were kept.
    pub(crate) fn have_dropped(&self) -> bool {
        self.dropped
    }

    /// What was kept.
    pub(crate) fn into_text(self) -> String {
        self.lines.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s","model":"opus"}"#;
    const HELLO: &str = r#"{"type":"assistant","message":{"model":"opus","content":[{"type":"text","text":"Hello\u001b[2J there"}]}}"#;

    fn view() -> HumanView {
        HumanView::new(Style {
            color: false,
            width: Some(80),
            partial: true,
        })
    }

    fn shown(pieces: &[Piece<'_>], has_ended: bool) -> String {
        let mut view = view();
        for piece in pieces {
            view.take_in(piece);
        }
        view.finish(has_ended);
        view.take_text()
    }

    #[test]
    fn the_same_is_shown_wherever_pieces_end() {
        let bytes = format!("{INIT}\n{HELLO}\n");
        let whole = shown(&[Piece::Bytes(bytes.as_bytes())], true);
        assert!(whole.contains("Hello") && !whole.contains('\u{1b}'), "{whole:?}");
        for at in 1..bytes.len() {
            let (one, two) = bytes.as_bytes().split_at(at);
            assert_eq!(
                shown(&[Piece::Bytes(one), Piece::Bytes(two)], true),
                whole,
                "{at}"
            );
        }
    }

    #[test]
    fn half_a_line_waits_for_its_rest() {
        let half = &HELLO.as_bytes()[..60];
        assert_eq!(shown(&[Piece::Bytes(half)], false), "");
        let ended = shown(&[Piece::Bytes(half)], true);
        assert_eq!(ended, CUT_EVENT_WORDS);
        assert_eq!(shown(&[Piece::Bytes(b"{ no event")], true), "{ no event\n");
    }

    #[test]
    fn a_missing_middle_is_said_and_its_edges_are_not_shown() {
        let bytes = format!("{INIT}\n{HELLO}\n{{\"type\":\"user\",\"cut");
        let after = format!("off\"}}\n{HELLO}\n");
        let text = shown(
            &[
                Piece::Bytes(bytes.as_bytes()),
                Piece::Missing(8 << 20),
                Piece::Bytes(after.as_bytes()),
            ],
            true,
        );
        assert!(
            text.contains("\n… 8.0 MiB of the middle was not kept …\n"),
            "{text}"
        );
        assert_eq!(text.matches("Hello").count(), 2);
        assert!(!text.contains("cut") && !text.contains("off"), "{text}");
    }

    #[test]
    fn the_last_lines_are_kept() {
        let last = |most, parts: &[&str]| {
            let mut lines = LastLines::new(most);
            for part in parts {
                lines.push(part);
            }
            assert!(lines.lines.len() <= most);
            lines.into_text()
        };
        assert_eq!(last(2, &["a\nb\nc\n"]), "b\nc\n");
        assert_eq!(last(2, &["a\nb", "b\nc"]), "bb\nc");
        assert_eq!(last(9, &["a\n", "b\n"]), "a\nb\n");
        assert_eq!(last(0, &["a\n"]), "");
    }
}
