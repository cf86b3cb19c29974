//! The blocks of messages as far as they are shown.

use serde::de::{Deserialize, Deserializer, SeqAccess};

use crate::claude::clean::one_line;
use crate::claude::loose::{take, Flag, List, Loose, Object, Text};
use crate::claude::subject::Subject;

/// A longer first line of a result is cut here already, before the screen is known.
const FIRST_LINE_COLUMNS_MAX: usize = 200;

/// A message's content; a plain text counts as one block.
#[derive(Default)]
pub(super) struct Content<'a>(pub(super) Vec<Block<'a>>);

/// One block.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) thinking: Text<'a>,
    pub(super) input: Subject,
    #[serde(borrow)]
    pub(super) tool_use_id: Text<'a>,
    pub(super) is_error: Flag,
    pub(super) content: Summary,
}

impl<'de> Loose<'de> for Content<'de> {
    fn from_text(text: &str) -> Self {
        Self(vec![Block {
            kind: Text::from_borrowed("text"),
            text: Text::from_text(text),
            ..Block::default()
        }])
    }
    fn from_seq<A: SeqAccess<'de>>(values: A) -> Result<Self, A::Error> {
        let List(blocks) = List::<Object<Block<'de>>>::from_seq(values)?;
        Ok(Self(blocks.into_iter().map(|block| block.0).collect()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take::<Content<'de>, D>(deserializer)
    }
}

/// What a tool answered: its size, and its first line. The rest is never copied.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) lines: u64,
    pub(super) first: String,
    /// Parts that are no text.
    pub(super) others: u64,
}

impl Summary {
    fn add(&mut self, text: &Self) {
        if self.lines == 0 {
            self.first.clone_from(&text.first);
        }
        self.lines += text.lines;
        self.others += text.others;
    }
}

impl<'de> Loose<'de> for Summary {
    fn from_text(text: &str) -> Self {
        let text = text.trim_end();
        if text.is_empty() {
            return Self::default();
        }
        let newlines = text
            .as_bytes()
            .iter()
            .map(|byte| u64::from(*byte == b'\n'))
            .sum::<u64>();
        Self {
            lines: newlines + 1,
            first: one_line(telling(text), FIRST_LINE_COLUMNS_MAX),
            others: 0,
        }
    }
    fn from_seq<A: SeqAccess<'de>>(values: A) -> Result<Self, A::Error> {
        let List(parts) = List::<Object<Part>>::from_seq(values)?;
        let mut summary = Self::default();
        for part in &parts {
            match &part.0.text {
                Some(text) => summary.add(text),
                None => summary.others += 1,
            }
        }
        Ok(summary)
    }
}

impl<'de> Deserialize<'de> for Summary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

/// The text from where it says something: not the tag around the CLI's own errors, and of a command that failed
/// what it printed, rather than its exit code.
fn telling(text: &str) -> &str {
    let text = text.trim_start();
    if let Some(error) = text.strip_prefix("<tool_use_error>") {
        return error.strip_suffix("</tool_use_error>").unwrap_or(error);
    }
    match text.split_once('\n') {
        Some((code, printed)) if code.starts_with("Exit code ") && !printed.trim().is_empty() => printed,
        _ => text,
    }
}

/// A part of an answer in parts.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Part {
    text: Option<Summary>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_begins_where_it_says_something() {
        let first = |text: &str| Summary::from_text(text).first;
        assert_eq!(first("Exit code 2\n\nmake: no rule"), "make: no rule");
        assert_eq!(first("Exit code 2\n"), "Exit code 2");
        assert_eq!(
            first("<tool_use_error>no such tool</tool_use_error>"),
            "no such tool"
        );
        assert_eq!(first("<tool_use_error>cut"), "cut");
        assert_eq!(first("one\ntwo"), "one");
    }
}
