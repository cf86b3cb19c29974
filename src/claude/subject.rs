//! What a tool call is about, in one short line: `cargo test` of a whole Bash input.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};

use super::clean::one_line;
use super::loose::{take, List, Loose, Object, Text};

/// The longest subject, in columns.
const COLUMNS_MAX: usize = 100;

/// The arguments of tools that say most, the best one first.
pub const KEY_ARGUMENTS: [&str; 13] = [
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "skill",
    "description",
    "questions",
    "path",
    "prompt",
    "subject",
    "task_id",
];

/// Of an unknown tool: the first text that is no longer than this many bytes.
const SHORT_BYTES: usize = 200;

/// A tool's key argument, shortened; empty if it has none.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Subject(pub(super) String);

impl Subject {
    /// Of an input that is parsed already.
    pub(super) fn of(input: &serde_json::Value) -> Self {
        Self::deserialize(input).unwrap_or_default()
    }
}

/// `Bash(cargo test)`, or `Bash` alone.
pub(super) fn label(tool: &str, subject: &str) -> String {
    let tool = one_line(tool, COLUMNS_MAX);
    if subject.is_empty() {
        tool
    } else {
        format!("{tool}({subject})")
    }
}

impl<'de> Loose<'de> for Subject {
    fn from_map<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut best: Option<(usize, String)> = None;
        while let Some(key) = entries.next_key::<Text<'de>>()? {
            let known = KEY_ARGUMENTS.iter().position(|known| *known == key.as_str());
            let rank = known.unwrap_or(KEY_ARGUMENTS.len());
            if best.as_ref().is_some_and(|(best, _)| *best <= rank) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let argument = entries.next_value::<Argument>()?;
            let taken = argument
                .0
                .filter(|_| known.is_some() || argument.1 <= SHORT_BYTES);
            if let Some(text) = taken.filter(|text| !text.is_empty()) {
                best = Some((rank, text));
            }
        }
        Ok(Self(best.map(|(_, text)| text).unwrap_or_default()))
    }
}

/// One argument, if it is a text or a list of questions, and how many bytes it has.
#[derive(Default)]
struct Argument(Option<String>, usize);

impl<'de> Loose<'de> for Argument {
    fn from_text(text: &str) -> Self {
        Self(Some(one_line(text, COLUMNS_MAX)), text.len())
    }
    fn from_seq<A: serde::de::SeqAccess<'de>>(values: A) -> Result<Self, A::Error> {
        let List(questions) = List::<Object<Asked<'de>>>::from_seq(values)?;
        let first = questions.into_iter().next().unwrap_or_default().0.question;
        Ok(Self(first.owned().map(|text| one_line(&text, COLUMNS_MAX)), 0))
    }
}

/// One question of the tool that asks the user.
#[derive(Default, serde::Deserialize)]
struct Asked<'a> {
    #[serde(borrow, default)]
    question: Text<'a>,
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_argument_is_found() {
        for (input, expected) in [
            (
                json!({"description": "x", "command": "cargo\ttest\nmore"}),
                "cargo test",
            ),
            (json!({"path": "src", "pattern": "fn main"}), "fn main"),
            (json!({"questions": [{"question": "Which?"}]}), "Which?"),
            (json!({"count": 3, "what": "it", "who": "me"}), "it"),
            (json!({"body": "x".repeat(500), "title": "short"}), "short"),
            (
                json!({"command": {"nested": true}, "url": "http://e"}),
                "http://e",
            ),
            (json!({}), ""),
            (json!(["no", "object"]), ""),
        ] {
            assert_eq!(Subject::of(&input).0, expected, "{input}");
        }
    }

    #[test]
    fn a_label_without_a_subject_has_no_brackets() {
        assert_eq!(label("Bash", "ls"), "Bash(ls)");
        assert_eq!(label("TodoRead", ""), "TodoRead");
    }
}
