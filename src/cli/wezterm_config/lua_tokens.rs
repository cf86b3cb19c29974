//! Lua in pieces: enough to tell a program from the comments and strings in it.

/// A piece of a program, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    pub(super) kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name or a word of the language, or a number.
    Word(&'a str),
    /// What stands between the quotes or brackets, as it is written.
    Text(&'a str),
    /// Any other character.
    Sign(char),
}

/// The pieces without the comments; `None` if a string or a comment has no end.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut at = skip_first_line(text);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, kind) = if let Some(comment) = rest.strip_prefix("--") {
            let length = match long_bracket(comment) {
                Some(long) => long?.whole,
                None => comment.find('\n').unwrap_or(comment.len()),
            };
            (2 + length, None)
        } else if let Some(long) = long_bracket(rest) {
            let long = long?;
            (long.whole, Some(Kind::Text(long.inner)))
        } else if matches!(first, '"' | '\'') {
            let length = quoted(rest, first)?;
            (length, Some(Kind::Text(&rest[1..length - 1])))
        } else if is_of_word(first) {
            let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            (length, Some(Kind::Word(&rest[..length])))
        } else {
            let sign = (!first.is_whitespace()).then_some(Kind::Sign(first));
            (first.len_utf8(), sign)
        };
        found.extend(kind.map(|kind| Token { at, kind }));
        at += length;
    }
    Some(found)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A first line for the kernel is none of Lua's.
fn skip_first_line(text: &str) -> usize {
    if text.starts_with('#') {
        text.find('\n').unwrap_or(text.len())
    } else {
        0
    }
}

struct Long<'a> {
    whole: usize,
    inner: &'a str,
}

/// `[[ … ]]`, `[=[ … ]=]` and so on at the beginning of a text; the inner `None` if it has no end.
fn long_bracket(text: &str) -> Option<Option<Long<'_>>> {
    let after = text.strip_prefix('[')?.trim_start_matches('=');
    let level = text.len() - 1 - after.len();
    let inner = after.strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    Some(inner.find(&close).map(|end| Long {
        whole: level + 2 + end + close.len(),
        inner: &inner[..end],
    }))
}

/// The length of a string with its quotes; `None` if its line ends before it does.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            // `\z` goes on behind a line's end, and so does a line's end after a backslash.
            '\\' => match characters.next()?.1 {
                'z' => {
                    let behind = at + 2;
                    let blank = text[behind..].len() - text[behind..].trim_start().len();
                    while characters
                        .clone()
                        .next()
                        .is_some_and(|(next, _)| next < behind + blank)
                    {
                        characters.next();
                    }
                }
                '\r' if text[at..].starts_with("\\\r\n") => {
                    characters.next();
                }
                _ => {}
            },
            '\n' => return None,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Option<Vec<Kind<'_>>> {
        let found = tokens(text)?;
        for token in &found {
            assert!(text.is_char_boundary(token.at));
        }
        Some(found.into_iter().map(|token| token.kind).collect())
    }

    #[test]
    fn comments_are_no_tokens_and_strings_are_one() {
        use Kind::{Sign, Text, Word};
        for (text, expected) in [
            ("", vec![]),
            ("#!/usr/bin/lua 'x\nreturn c", vec![Word("return"), Word("c")]),
            ("a -- b\nc", vec![Word("a"), Word("c")]),
            ("a --[[ b\n]] c", vec![Word("a"), Word("c")]),
            ("a --[==[ b ]] ]=] \n]==] c", vec![Word("a"), Word("c")]),
            ("a --[=b\nc", vec![Word("a"), Word("c")]),
            ("[[ -- a ]]", vec![Text(" -- a ")]),
            ("[=[]]]=]", vec![Text("]]")]),
            ("t[1]", vec![Word("t"), Sign('['), Word("1"), Sign(']')]),
            (
                r#"'a"' "b'" 'c\'d'"#,
                vec![Text("a\""), Text("b'"), Text(r"c\'d")],
            ),
            ("'--[[' x", vec![Text("--[["), Word("x")]),
            ("'a\\\nb' x", vec![Text("a\\\nb"), Word("x")]),
            ("'a\\\r\nb' x", vec![Text("a\\\r\nb"), Word("x")]),
            ("'a\\z  \n  b' x", vec![Text("a\\z  \n  b"), Word("x")]),
            ("'ü' .. ü", vec![Text("ü"), Sign('.'), Sign('.'), Sign('ü')]),
        ] {
            assert_eq!(kinds(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_not_guessed() {
        for text in ["'a", "'a\nb'", "[[ a", "--[[ a", "--[==[ a ]]", "'\\", "\"'"] {
            assert_eq!(kinds(text), None, "{text:?}");
        }
    }
}
