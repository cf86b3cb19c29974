//! Says precisely what is wrong with a line that could not be decoded. Slow, and off the fast path.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::wording::{cut, expected_names, mismatch, named};
use super::{suggest, ErrorAnswer, ErrorCode, Message};

/// Deeper nesting is refused before anything recurses into it.
const DEPTH_MAX: usize = 32;

/// What is wrong with `line`, which [`decode`](super::decode) refused.
pub(super) fn diagnose(line: &[u8]) -> ErrorAnswer {
    match find_fault(line) {
        Err(fault) => fault,
        Ok(()) => ErrorAnswer::new(
            ErrorCode::Internal,
            "the line was refused, but nothing is wrong with it",
            "please report this line",
        ),
    }
}

fn find_fault(line: &[u8]) -> Result<(), ErrorAnswer> {
    let text = check_utf8(line)?;
    check_depth(line)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| invalid_json(&error))?;
    let name = message_name(text)?;
    check_body(text, line, &name)
}

fn check_utf8(line: &[u8]) -> Result<&str, ErrorAnswer> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        ErrorAnswer::new(
            ErrorCode::InvalidJson,
            format!("byte {at} of the line (0x{:02x}) is not UTF-8", line[at]),
            "send the line as UTF-8",
        )
    })
}

fn check_depth(line: &[u8]) -> Result<(), ErrorAnswer> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in line.iter().enumerate() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(ErrorAnswer::new(
                ErrorCode::InvalidJson,
                format!("nested deeper than {DEPTH_MAX} levels at column {}", at + 1),
                "no message needs more than four levels",
            ));
        }
    }
    Ok(())
}

fn invalid_json(error: &serde_json::Error) -> ErrorAnswer {
    ErrorAnswer::new(
        ErrorCode::InvalidJson,
        format!(
            "invalid JSON at column {}: {}",
            error.column(),
            without_place(error)
        ),
        "send one JSON object per line",
    )
}

/// Serde appends " at line 1 column 7"; a line has only one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.line() > 0 => text[..end].to_owned(),
        _ => text,
    }
}

/// The one key of the outermost object.
fn message_name(text: &str) -> Result<String, ErrorAnswer> {
    let shape = |message: String| {
        ErrorAnswer::new(
            ErrorCode::InvalidValue,
            message,
            "a message is an object with exactly one key, its name: {\"Status\":{}}",
        )
    };
    let Ok(Keys(mut keys)) = serde_json::from_str::<Keys>(text) else {
        return Err(shape("the line is not a JSON object".to_owned()));
    };
    match keys.len() {
        1 => Ok(keys.remove(0)),
        0 => Err(shape("the object names no message".to_owned())),
        _ => Err(shape(format!(
            "the object has {} keys: {}",
            keys.len(),
            cut(&keys.join(", "))
        ))),
    }
}

/// The keys of an object, in their order.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Keys, E> {
                Err(E::custom("not an object"))
            }
        }
        deserializer
            .deserialize_any(KeysVisitor)
            .map_err(D::Error::custom)
    }
}

fn check_body(text: &str, line: &[u8], name: &str) -> Result<(), ErrorAnswer> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Err(error) = serde_path_to_error::deserialize::<_, Message>(&mut deserializer) else {
        return if super::codec::body_is_object(line) {
            Ok(())
        } else {
            Err(not_an_object(name))
        };
    };
    let path = error.path().to_string();
    Err(explain(error.inner(), name, &path))
}

fn not_an_object(name: &str) -> ErrorAnswer {
    ErrorAnswer::new(
        ErrorCode::InvalidValue,
        format!("`{}` takes an object with named fields", cut(name)),
        format!("{{\"{}\":{{…}}}}", cut(name)),
    )
}

/// Turns serde's wording, which is stable, into ours.
fn explain(error: &serde_json::Error, name: &str, path: &str) -> ErrorAnswer {
    let text = without_place(error);
    let field = path.strip_prefix(name).unwrap_or(path).trim_start_matches('.');
    if let Some(variant) = named(&text, "unknown variant `").filter(|_| !field.is_empty() && field != "?") {
        return ErrorAnswer::new(
            ErrorCode::InvalidValue,
            format!("`{}` of `{name}` cannot be `{}`", cut(field), cut(variant)),
            suggest::hint(variant, &expected_names(&text)),
        );
    }
    if text.starts_with("unknown variant ") {
        return ErrorAnswer::new(
            ErrorCode::UnknownMessage,
            format!("there is no message `{}`", cut(name)),
            suggest::hint(name, &expected_names(&text)),
        );
    }
    if let Some(unknown) = named(&text, "unknown field `") {
        return ErrorAnswer::new(
            ErrorCode::UnknownField,
            format!("`{name}` has no field `{}`", cut(unknown)),
            field_hint(unknown, &expected_names(&text)),
        );
    }
    let message = if let Some(missing) = named(&text, "missing field `") {
        format!("`{name}` needs the field `{missing}`")
    } else if let Some(twice) = named(&text, "duplicate field `") {
        format!("`{name}` has the field `{twice}` twice")
    } else if let Some((found, expected)) = mismatch(&text) {
        if field.is_empty() || field == "?" {
            return not_an_object(name);
        }
        let field = cut(field);
        format!("`{field}` of `{name}` must be {expected}, not {found}")
    } else {
        return invalid_json(error);
    };
    ErrorAnswer::new(
        ErrorCode::InvalidValue,
        message,
        format!("docs/protocol.md shows `{name}` with all its fields"),
    )
}

fn field_hint(unknown: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return "it has no fields at all".to_owned();
    }
    suggest::hint(unknown, known)
}
