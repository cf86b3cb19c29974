//! Makes text from outside safe to show: no escape sequences, no control characters, nothing that hides or
//! reorders what a reader sees.
//!
//! A worker prints what it found on the web and in files. None of that may move the cursor, set a title or
//! turn a command around.

use unicode_width::UnicodeWidthChar as _;

const ESCAPE: char = '\u{1b}';

/// Appends `text`; of the controls only newline and tab are kept, and a carriage return becomes a newline.
pub(super) fn push_clean(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(|character| !is_plain(character)) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = skip_one(out, rest);
    }
    out.push_str(rest);
}

/// A clean copy.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_clean(&mut out, text);
    out
}

/// The first line with something in it, cleaned, blanks joined, cut to `columns`.
pub(super) fn one_line(text: &str, columns: usize) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    // A column takes a few bytes; what lies far behind the cut need not be looked at.
    let room = columns.saturating_mul(8).saturating_add(64);
    let head = &line[..line.floor_char_boundary_at(room)];
    let joined = clean(head).split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = cut_to(&joined, columns);
    if head.len() < line.len() && !cut.ends_with('…') {
        return cut_to(&format!("{cut}……"), columns);
    }
    cut
}

/// The text cut to `columns`, its end replaced by `…` if something is missing.
pub(super) fn cut_to(text: &str, columns: usize) -> String {
    let mut used = 0;
    let mut room_for_mark = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > columns {
            let mark = if columns > 0 { "…" } else { "" };
            return format!("{}{mark}", &text[..room_for_mark]);
        }
        if used < columns {
            room_for_mark = at + character.len_utf8();
        }
    }
    text.to_owned()
}

trait CharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl CharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len()))
            .rev()
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

fn is_plain(character: char) -> bool {
    match character {
        '\n' | '\t' | ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        '\u{a0}'..='\u{5ff}' => true,
        // Marks of direction, line separators, invisible operators, and tags that spell hidden text.
        '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
        _ => true,
    }
}

/// Passes over the unclean character that `rest` begins with, and over the sequence that it opens.
fn skip_one<'a>(out: &mut String, rest: &'a str) -> &'a str {
    let mut characters = rest.chars();
    match characters.next() {
        Some('\r') => {
            if !characters.as_str().starts_with('\n') {
                out.push('\n');
            }
            characters.as_str()
        }
        Some('\u{2028}' | '\u{2029}') => {
            out.push('\n');
            characters.as_str()
        }
        Some(ESCAPE) => skip_sequence(characters.as_str()),
        _ => characters.as_str(),
    }
}

/// What follows after the rest of an escape sequence. A sequence without an end is not one: a text must not be
/// able to swallow what comes after it.
fn skip_sequence(rest: &str) -> &str {
    if let Some(parameters) = rest.strip_prefix('[') {
        let end = parameters.find(|character: char| !matches!(character, ' '..='?'));
        return match end.filter(|at| matches!(parameters.as_bytes()[*at], b'@'..=b'~')) {
            Some(at) => &parameters[at + 1..],
            None => rest,
        };
    }
    if let Some(text) = rest.strip_prefix(']') {
        let line = text.split('\n').next().unwrap_or("");
        return match line.find(['\u{7}', ESCAPE]) {
            Some(at) if line.as_bytes()[at] == 7 => &text[at + 1..],
            Some(at) => text[at + 1..].strip_prefix('\\').unwrap_or(&text[at..]),
            None => rest,
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_text_stays() {
        assert_eq!(clean("a\x1b[31mred\x1b[0m b"), "ared b");
        assert_eq!(clean("\x1b]0;title\x07x\x1b]8;;http://e\x1b\\link"), "xlink");
        assert_eq!(clean("\x1b]0;no end\nnext"), "]0;no end\nnext");
        assert_eq!(clean("\x1b[31"), "[31");
        assert_eq!(clean("\x1b[1\u{fc}"), "[1\u{fc}");
    }

    #[test]
    fn controls_and_marks_of_direction_go() {
        assert_eq!(clean("a\0b\u{7f}c\u{9b}d\u{202e}e\u{feff}f"), "abcdef");
        assert_eq!(clean("50%\r100%\r\ndone\t!"), "50%\n100%\ndone\t!");
    }

    #[test]
    fn one_line_is_the_first_with_something_in_it() {
        assert_eq!(one_line("\n  cargo   test\nmore", 80), "cargo test");
        assert_eq!(one_line(&"x".repeat(10_000), 5), "xxxx…");
        assert_eq!(one_line(&format!("{}end", "\u{200b}".repeat(10_000)), 5), "……");
    }

    #[test]
    fn cuts_by_columns() {
        assert_eq!(cut_to("exact", 5), "exact");
        assert_eq!(cut_to("longer", 5), "long…");
        assert_eq!(cut_to("日本語", 5), "日本…");
        assert_eq!(cut_to("日本語", 4), "日…");
        assert_eq!(cut_to("x", 0), "");
    }
}
