//! Takes serde's error texts apart, whose wording is stable, so that ours can name things better.
//!
//! A test pins every wording that is relied on; a change in serde shows there first.

/// Values in error texts are cut to this many characters.
const QUOTED_CHARS_MAX: usize = 60;

/// What stands between `before` at the beginning of `text` and the backtick that closes it.
pub(crate) fn named<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(before)?;
    let end = ["`, expected ", "`, there are no"]
        .iter()
        .find_map(|after| rest.rfind(after))
        .or_else(|| rest.rfind('`'))?;
    Some(&rest[..end])
}

/// The names in serde's "expected one of `a`, `b`".
pub(crate) fn expected_names(text: &str) -> Vec<&str> {
    let list = text.rsplit(", expected ").next().unwrap_or("");
    if list.len() == text.len() {
        return Vec::new();
    }
    list.split('`').skip(1).step_by(2).collect()
}

/// Serde's "invalid type: string \"x\", expected u8" as what was found and what is allowed.
pub(crate) fn mismatch(text: &str) -> Option<(String, String)> {
    let rest = text
        .strip_prefix("invalid value: ")
        .or_else(|| text.strip_prefix("invalid type: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let allowed = match expected {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => format!("a whole number from 0 to {}", u64::MAX),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    Some((found_in_words(found), allowed))
}

/// Serde's "integer `256`" as `256`, its "sequence" as a list.
fn found_in_words(found: &str) -> String {
    let kinds = ["integer ", "floating point ", "boolean ", "character "];
    let value = kinds.iter().find_map(|kind| found.strip_prefix(kind));
    let value = value.map(|value| value.trim_matches('`'));
    let word = match found {
        "sequence" => Some("a list"),
        "map" => Some("an object"),
        "unit value" => Some("null"),
        text => text.strip_prefix("string "),
    };
    cut(value.or(word).unwrap_or(found))
}

/// A value from outside, short enough for an error text.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its errors are of interest")]
    struct Sample {
        number: u8,
        list: Vec<u8>,
    }

    fn wording(json: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        serde_json::from_value::<Sample>(value).unwrap_err().to_string()
    }

    #[test]
    fn serde_words_things_as_we_rely_on() {
        let unknown = wording(r#"{"x":1}"#);
        assert_eq!(named(&unknown, "unknown field `"), Some("x"));
        assert_eq!(expected_names(&unknown), ["number", "list"]);
        assert_eq!(named(&wording("{}"), "missing field `"), Some("number"));
        let found = |json: &str| mismatch(&wording(json)).unwrap();
        let range = || "a whole number from 0 to 255".to_owned();
        assert_eq!(found(r#"{"number":256}"#), ("256".to_owned(), range()));
        assert_eq!(found(r#"{"number":"a"}"#), ("\"a\"".to_owned(), range()));
        assert_eq!(found(r#"{"number":[]}"#), ("a list".to_owned(), range()));
        assert_eq!(found(r#"{"number":null}"#), ("null".to_owned(), range()));
        assert_eq!(found(r#"{"number":true}"#), ("true".to_owned(), range()));
        let list = found(r#"{"number":1,"list":{}}"#);
        assert_eq!(list, ("an object".to_owned(), "a list".to_owned()));
        assert_eq!(found("3").1, "an object");
    }
}
