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
pub(crate) fn mismatch(text: &str) -> Option<(&str, String)> {
    let rest = text
        .strip_prefix("invalid value: ")
        .or_else(|| text.strip_prefix("invalid type: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let allowed = match expected {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => format!("a whole number from 0 to {}", u64::MAX),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    Some((found, allowed))
}

/// A value from outside, short enough for an error text.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
