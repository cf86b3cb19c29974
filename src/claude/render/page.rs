//! Writes lines and flowing text, and knows where the current line stands. Only what passes here is shown.

use anstyle::{AnsiColor, Style as Ansi};

use crate::claude::clean::{cut_to, push_clean};

/// Deep enough to see who speaks, and room is left for what they say.
const INDENT: &str = "    ";

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
    Good,
    Bad,
    Notice,
    Tool,
}

impl Look {
    fn style(self) -> Ansi {
        match self {
            Self::Plain => Ansi::new(),
            Self::Dim => Ansi::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Notice => AnsiColor::Yellow.on_default(),
            Self::Tool => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Where the writing stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) color: bool,
    pub(super) columns: usize,
    /// A line was begun and not ended.
    open: bool,
}

impl Page {
    pub(super) fn new(color: bool, columns: usize) -> Self {
        Self {
            color,
            columns,
            open: false,
        }
    }

    /// Ends the current line, if there is one.
    pub(super) fn end_line(&mut self, out: &mut String) {
        if self.open {
            out.push('\n');
            self.open = false;
        }
    }

    /// One line that fits the screen: the mark, and the text in its look.
    pub(super) fn line(&mut self, out: &mut String, indented: bool, look: Look, text: &str) {
        self.end_line(out);
        let indent = if indented { INDENT } else { "" };
        out.push_str(indent);
        let start = out.len();
        push_clean(out, text);
        let cleaned = out.split_off(start).replace('\n', " ");
        let shown = cut_to(&cleaned, self.columns.saturating_sub(indent.len()));
        self.styled(out, look, &shown);
        out.push('\n');
    }

    /// One line of any length, for what must not be missed.
    pub(super) fn whole_line(&mut self, out: &mut String, indented: bool, look: Look, text: &str) {
        let columns = std::mem::replace(&mut self.columns, usize::MAX);
        self.line(out, indented, look, text);
        self.columns = columns;
    }

    /// Text of any length, as it is, from the start of a line; ends its line.
    pub(super) fn block(&mut self, out: &mut String, indented: bool, text: &str) {
        self.end_line(out);
        if indented {
            let cleaned = crate::claude::clean::clean(text);
            for line in cleaned.lines() {
                out.push_str(INDENT);
                out.push_str(line);
                out.push('\n');
            }
            return;
        }
        self.flow(out, text);
        self.end_line(out);
    }

    /// A piece of text that goes on where the last one ended.
    pub(super) fn flow(&mut self, out: &mut String, text: &str) {
        let start = out.len();
        push_clean(out, text);
        if out.len() > start {
            self.open = !out.ends_with('\n');
        }
    }

    fn styled(&self, out: &mut String, look: Look, text: &str) {
        let style = look.style();
        if !self.color || look == Look::Plain {
            out.push_str(text);
            return;
        }
        out.push_str(&style.render().to_string());
        out.push_str(text);
        out.push_str(&style.render_reset().to_string());
    }
}
