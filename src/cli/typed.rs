//! What somebody typed as a prompt: the priority and the workspace in front, and the text itself.
//!
//! `!high fix the tests` and `!180 …` carry a priority, `@api …` a workspace; all other text is taken as it is,
//! `@src/main.rs` too. The plugin's prompt takes the same words: tests/fixtures/typed.json holds both to them.

use super::text;
use super::value::PRIORITIES;
use crate::protocol::nearest;

/// Digits of a priority: `0180` is none.
const DIGITS_MAX: usize = 3;
/// Columns of a wrong word that a message repeats.
const SHOWN_MAX: usize = 20;

/// A text taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed<'a> {
    /// What is queued.
    pub(crate) text: &'a str,
    /// 0 to 255.
    pub(crate) priority: Option<u8>,
    /// A name.
    pub(crate) workspace: Option<&'a str>,
}

/// Takes a text apart, or says what is wrong with it.
pub(crate) fn parse(typed: &str) -> Result<Typed<'_>, String> {
    let mut found = Typed {
        text: typed,
        priority: None,
        workspace: None,
    };
    while let Some((sign, word, rest)) = first_word(found.text) {
        let taken = match sign {
            '!' if found.priority.is_none() => {
                found.priority = priority(word)?;
                found.priority.is_some()
            }
            '@' if found.workspace.is_none() && is_name(word) => {
                found.workspace = Some(word);
                true
            }
            _ => false,
        };
        if !taken {
            break;
        }
        found.text = rest;
    }
    if found.text.chars().all(is_space) {
        return Err("there is nothing to queue".to_owned());
    }
    Ok(found)
}

/// The sign and the rest of a first word that has one, and what follows it.
fn first_word(text: &str) -> Option<(char, &str, &str)> {
    let text = text.trim_start_matches(is_space);
    let sign = text.chars().next().filter(|sign| matches!(sign, '!' | '@'))?;
    let (word, rest) = text[1..].split_once(is_space).unwrap_or((&text[1..], ""));
    (!word.is_empty()).then(|| (sign, word, rest.trim_start_matches(is_space)))
}

/// What stands between words: the spaces that Lua knows, which are those of ASCII.
fn is_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | ' ')
}

/// A priority; none if the word belongs to the text.
fn priority(word: &str) -> Result<Option<u8>, String> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = Some(word).filter(|word| word.len() <= DIGITS_MAX);
        let refused = || format!("a priority is 0 to 255, not {}", text::truncated(word, SHOWN_MAX));
        let number = number.and_then(|word| word.parse().ok());
        return number.map(Some).ok_or_else(refused);
    }
    let named = PRIORITIES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    if let Some((_, value)) = named {
        return Ok(Some(*value));
    }
    match nearest(word, PRIORITIES.map(|(name, _)| name)) {
        Some(near) => {
            let word = text::truncated(word, SHOWN_MAX);
            Err(format!("there is no priority !{word}: did you mean !{near}?"))
        }
        None => Ok(None),
    }
}

/// Names of files have a dot or a slash in them, and are meant for Claude.
fn is_name(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !word.starts_with('-') && word.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use super::super::value;
    use super::*;

    #[test]
    fn texts_are_taken_apart_as_the_plugin_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/typed.json");
        let cases: Vec<(String, Value)> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(cases.len() > 30);
        for (text, expected) in cases {
            let given = match parse(&text) {
                Ok(typed) => {
                    let mut given = json!({ "text": typed.text });
                    if let Some(priority) = typed.priority {
                        given["priority"] = priority.into();
                    }
                    if let Some(workspace) = typed.workspace {
                        given["workspace"] = workspace.into();
                    }
                    given
                }
                Err(problem) => json!({ "problem": problem }),
            };
            assert_eq!(given, with_number(expected), "{text:?}");
        }
    }

    /// The plugin hands a priority on as it was typed.
    fn with_number(mut expected: Value) -> Value {
        if let Some(priority) = expected.get("priority").and_then(Value::as_str) {
            expected["priority"] = value::priority(priority).unwrap().into();
        }
        expected
    }
}
