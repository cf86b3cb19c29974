//! The regular expression by which a line of output shows that a process is ready: what is taken, and where the mistake is in
//! what is not.
//!
//! It matches bytes, since output need not be UTF-8, and in a time that grows with the line and with what the pattern is
//! compiled to, which is why both are bounded: a pattern stands in templates and comes from workers.

use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

/// More is no pattern for one line.
pub const PATTERN_CHARS_MAX: usize = 500;
/// What it is compiled to takes no more: `a{1000}{1000}` is short, and would take gigabytes.
const COMPILED_BYTES_MAX: usize = 64 << 10;
/// Groups in groups.
const NESTING_MAX: u32 = 50;

/// What is wrong with a pattern.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum WrongPattern {
    /// It cannot be understood.
    #[error("the pattern is wrong at character {at}: {why}")]
    Syntax {
        /// Where, from 1.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// It has too many characters.
    #[error("the pattern has {0} characters; {PATTERN_CHARS_MAX} are allowed")]
    Long(usize),
    /// It stands for too much.
    #[error("the pattern stands for too much: its repetitions are too many")]
    Large,
    /// It matches whatever is written.
    #[error("the pattern matches an empty line, and so every line")]
    Everything,
    /// It has more than one line.
    #[error("the pattern goes over more than one line")]
    Lines,
}

impl WrongPattern {
    /// What helps.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => {
                "a backslash before a character takes it as it is; a plain text needs no pattern"
            }
            Self::Long(_) | Self::Large => "name a part of the line that is not found in others",
            Self::Everything => "write `.` if any output will do",
            Self::Lines => "it is matched against one line at a time",
        }
    }
}

/// The pattern, ready to be matched against lines.
///
/// # Errors
///
/// What is wrong with it.
pub fn ready_pattern(text: &str) -> Result<Regex, WrongPattern> {
    let count = text.chars().count();
    if count > PATTERN_CHARS_MAX {
        return Err(WrongPattern::Long(count));
    }
    if text.contains('\n') {
        return Err(WrongPattern::Lines);
    }
    check_syntax(text)?;
    let compiled = RegexBuilder::new(text)
        .unicode(false)
        .nest_limit(NESTING_MAX)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    // What is wrong with it otherwise was told above.
    let pattern = compiled.map_err(|_| WrongPattern::Large)?;
    if pattern.is_match(b"") {
        return Err(WrongPattern::Everything);
    }
    Ok(pattern)
}

fn check_syntax(text: &str) -> Result<(), WrongPattern> {
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(NESTING_MAX)
        .build()
        .parse(text);
    let (span, why) = match &parsed {
        Ok(_) => return Ok(()),
        Err(regex_syntax::Error::Parse(error)) => (Some(error.span()), error.kind().to_string()),
        Err(regex_syntax::Error::Translate(error)) => (Some(error.span()), error.kind().to_string()),
        Err(other) => (None, other.to_string()),
    };
    let at = span.map_or(1, |span| span.start.column);
    Err(WrongPattern::Syntax { at, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let told = |pattern: &str| ready_pattern(pattern).map(|_| ()).unwrap_err().to_string();
        assert_eq!(told("a(b"), "the pattern is wrong at character 2: unclosed group");
        assert_eq!(told("ä)"), "the pattern is wrong at character 2: unopened group");
        assert_eq!(
            told("on port {port}"),
            "the pattern is wrong at character 10: repetition quantifier expects a valid decimal"
        );
        assert!(told("[é]").contains("at character 2"), "{}", told("[é]"));
        assert!(told(r"(a)\1").contains("at character 4"), "{}", told(r"(a)\1"));
        assert!(told(&"(".repeat(400)).contains("wrong at character"));
    }

    #[test]
    fn what_is_too_much_or_says_nothing_is_refused() {
        let refused = |pattern: &str| ready_pattern(pattern).map(|_| ()).unwrap_err();
        assert_eq!(refused("a{1000}{1000}"), WrongPattern::Large);
        assert_eq!(refused(&"a".repeat(501)), WrongPattern::Long(501));
        assert_eq!(refused("x*"), WrongPattern::Everything);
        assert_eq!(refused(""), WrongPattern::Everything);
        assert_eq!(refused("a\nb"), WrongPattern::Lines);
    }

    #[test]
    fn bytes_are_matched_whatever_they_are() {
        let pattern = ready_pattern(r"(?i)➜ +local: +http://\w+:\d+/?$").expect("a pattern");
        assert!(pattern.is_match("  ➜  Local:   http://localhost:5173/".as_bytes()));
        assert!(pattern.is_match(b"\xff\xfe \xe2\x9e\x9c Local: http://x:1"));
        assert!(!pattern.is_match("➜ Network: http://localhost:5173/".as_bytes()));
    }
}
