//! Takes out what looks like a key, a token or a password. Better too much than too little: a log
//! is pasted into issues.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;

use tracing_subscriber::fmt::MakeWriter;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Beginnings of well-known tokens, and how many characters must follow at least.
const TOKENS: [(&str, usize); 21] = [
    ("sk-", 16),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xapp-", 10),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 20),
];

/// Ends of names, in capitals, whose values are secret.
const SECRET_NAMES: [&str; 14] = [
    "TOKEN",
    "_KEY",
    "-KEY",
    "APIKEY",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIALS",
    "CREDENTIAL",
    "_PASS",
    "_PWD",
    "AUTHORIZATION",
];

/// Words before a secret, with a space between.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// Shorter words after a scheme are prose.
const SCHEME_VALUE_CHARS_MIN: usize = 8;

/// Names longer than this are not looked at in full.
const NAME_BYTES_MAX: usize = 128;

/// `text` without its secrets.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut found: Option<String> = None;
    let mut kept = 0;
    let mut at = 0;
    while at < text.len() {
        match secret_at(text, at) {
            Some(secret) => {
                let result = found.get_or_insert_with(String::new);
                result.push_str(&text[kept..secret.start]);
                result.push_str(REDACTED);
                kept = secret.end;
                at = secret.end.max(at + 1);
            }
            None => at += 1,
        }
    }
    match found {
        Some(mut result) => {
            result.push_str(&text[kept..]);
            Cow::Owned(result)
        }
        None => Cow::Borrowed(text),
    }
}

/// The secret that something at byte `at` announces or begins.
fn secret_at(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    match bytes[at] {
        b',' => quoted_pair(text, at),
        b'=' | b':' => named_value(text, at).or_else(|| url_password(text, at)),
        b'-' => private_key(text, at),
        byte if byte.is_ascii_alphabetic() && !is_word(at.checked_sub(1).map(|i| bytes[i])) => {
            token(text, at).or_else(|| scheme_value(text, at))
        }
        _ => None,
    }
}

fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The end of the run of bytes from `at` that satisfy `belongs`.
fn run_end(bytes: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    at + bytes[at..].iter().take_while(|byte| belongs(**byte)).count()
}

/// `ghp_…`, `AKIA…`, or the three parts of a JWT.
fn token(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if bytes[at..].starts_with(b"eyJ") {
        let end = run_end(bytes, at, |byte| is_token_byte(byte) || byte == b'.');
        let dots = bytes[at..end].iter().filter(|byte| **byte == b'.').count();
        return (dots >= 2 && end - at >= 20).then_some(at..end);
    }
    let (prefix, least) = TOKENS
        .iter()
        .find(|(prefix, _)| bytes[at..].starts_with(prefix.as_bytes()))?;
    let end = run_end(bytes, at, is_token_byte);
    (end - at >= prefix.len() + least).then_some(at..end)
}

/// What follows `Bearer` or `Basic`.
fn scheme_value(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let scheme = SCHEMES.iter().find(|scheme| {
        bytes
            .get(at..at + scheme.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    let begin = run_end(bytes, at + scheme.len(), |byte| byte == b' ');
    let end = run_end(bytes, begin, |byte| {
        is_token_byte(byte) || matches!(byte, b'.' | b'+' | b'/' | b'=' | b'~')
    });
    (end - begin >= SCHEME_VALUE_CHARS_MIN).then_some(begin..end)
}

/// The value in `NAME=value`, `"name": "value"`, `name: value`, however often it was quoted.
fn named_value(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'\\' | b'`');
    let name_end = at
        - bytes[..at]
            .iter()
            .rev()
            .take_while(|byte| is_quote(**byte) || **byte == b' ')
            .count();
    let name_begin = name_end
        - bytes[..name_end]
            .iter()
            .rev()
            .take(NAME_BYTES_MAX)
            .take_while(|byte| is_token_byte(**byte))
            .count();
    let name = bytes[name_begin..name_end].to_ascii_uppercase();
    if !SECRET_NAMES
        .iter()
        .any(|secret| name.ends_with(secret.as_bytes()))
    {
        return None;
    }
    let spaces_end = run_end(bytes, at + 1, |byte| byte == b' ');
    let begin = run_end(bytes, spaces_end, is_quote);
    let is_quoted = begin > spaces_end;
    let end = run_end(bytes, begin, |byte| {
        if is_quoted {
            !is_quote(byte) && byte != b'\n'
        } else {
            !byte.is_ascii_whitespace()
                && !is_quote(byte)
                && !matches!(byte, b',' | b';' | b'&' | b')' | b'}')
        }
    });
    let end = with_scheme(text, begin, end);
    (end > begin && &text[begin..end] != REDACTED).then_some(begin..end)
}

/// The value in `("NAME", "value")`, as Rust's debug format shows a pair.
fn quoted_pair(text: &str, at: usize) -> Option<Range<usize>> {
    let value = named_value(text, at)?;
    let is_quote = |index: usize| matches!(text.as_bytes()[index], b'"' | b'\'');
    (is_quote(at - 1) && is_quote(value.start - 1)).then_some(value)
}

/// In `Authorization: Bearer x`, the value is two words.
fn with_scheme(text: &str, begin: usize, end: usize) -> usize {
    scheme_value(text, begin).map_or(end, |value| value.end.max(end))
}

/// The password in `https://user:password@host`.
fn url_password(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let in_address = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'\'' | b'@');
    let user = bytes[..at]
        .iter()
        .rev()
        .take(NAME_BYTES_MAX)
        .take_while(|byte| in_address(**byte) && **byte != b':')
        .count();
    if !bytes[..at - user].ends_with(b"://") {
        return None;
    }
    let end = run_end(bytes, at + 1, in_address);
    (end > at + 1 && bytes.get(end) == Some(&b'@')).then_some(at + 1..end)
}

/// From `-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text.
fn private_key(text: &str, at: usize) -> Option<Range<usize>> {
    const END: &str = "PRIVATE KEY-----";
    let rest = text[at..].strip_prefix("-----BEGIN ")?;
    let header = rest.find(END).filter(|length| *length <= NAME_BYTES_MAX)?;
    let body = at + "-----BEGIN ".len() + header + END.len();
    let end = text[body..]
        .find(END)
        .map_or(text.len(), |length| body + length + END.len());
    Some(at..end)
}

/// A writer that redacts what goes through it. Each write is taken as a whole, as tracing's
/// formatter makes one for each event.
#[derive(Debug)]
pub struct Redacting<W> {
    inner: W,
}

impl<W: Write> Redacting<W> {
    /// Puts itself before `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.inner.write_all(redact(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Makes redacting writers for tracing.
pub(super) struct MakeRedacting<M> {
    inner: M,
}

impl<M> MakeRedacting<M> {
    pub(super) fn new(inner: M) -> Self {
        Self { inner }
    }
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for MakeRedacting<M> {
    type Writer = Redacting<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Redacting::new(self.inner.make_writer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        for (text, expected) in [
            ("key sk-ant-api03-abcdefghijkl_mn end", "key [redacted] end"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
            ("(AKIAIOSFODNN7EXAMPLE)", "([redacted])"),
            ("Bearer abc.def-ghi_jkl", "Bearer [redacted]"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"),
            (
                "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!",
                "jwt [redacted]!",
            ),
            ("GITHUB_TOKEN=x1 make", "GITHUB_TOKEN=[redacted] make"),
            ("export API_KEY='a b c' d", "export API_KEY='[redacted]' d"),
            (
                "{\"password\":\"hunter2\",\"a\":1}",
                "{\"password\":\"[redacted]\",\"a\":1}",
            ),
            (
                "\\\"secret\\\": \\\"x y\\\", z",
                "\\\"secret\\\": \\\"[redacted]\\\", z",
            ),
            ("?a=1&access_token=abc&b=2", "?a=1&access_token=[redacted]&b=2"),
            (
                "https://me:pw@example.org/x",
                "https://me:[redacted]@example.org/x",
            ),
            (
                "k: -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- ok",
                "k: [redacted] ok",
            ),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_left_alone_and_not_copied() {
        for text in [
            "task 17 started in slot 3: key=5 pid=4711",
            "listening on /run/user/1000/wezterm-parallel/daemon.sock",
            "12:30:45 the bearer of news",
            "http://localhost:8080/a:b@c",
            "risk-averse sk-short AKIA eyJ",
            "token, \"and\" more",
            "PWD=/home/u KEYBOARD=de",
            "größer: 日本語",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(_)),
                "{text}: {}",
                redact(text)
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(.|[a-z_:=\"' -]|TOKEN=|sk-|://|@|eyJ|Bearer ){0,60}") {
            let _ = redact(&text);
        }

        #[test]
        fn a_token_never_survives_its_surroundings(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
            let secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
            let text = format!("{before} {secret} {after}");
            prop_assert!(!redact(&text).contains(secret));
        }
    }
}
