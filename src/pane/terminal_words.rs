//! The escapes that the viewer itself says to the terminal: the tab's title and its user variables.
//!
//! This is the only place that makes them. They are said when they change, not with every line: a
//! terminal passes each on to its configuration. Only a reason to look is said again now and then.

use std::fmt::Write as _;

/// Columns of a title at most; a tab has room for about as many characters.
const TITLE_CHARACTERS_MAX: usize = 48;

/// Why a person should look at the pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attention {
    /// There is no reason.
    #[default]
    None,
    /// The task waits for an answer.
    Answer,
    /// The task ended without success.
    Failed,
    /// The task has ended well.
    Ended,
}

impl Attention {
    /// The value of the user variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Answer => "answer",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

/// A notification of the desktop.
pub fn notification(title: &str, words: &str) -> String {
    let plain = |text: &str| -> String {
        let kept = |character: &char| !character.is_control() && *character != ';';
        text.chars().filter(kept).collect()
    };
    format!("\x1b]777;notify;{};{}\x1b\\", plain(title), plain(words))
}

/// What the tab says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TabState {
    /// The title; empty for the terminal's own.
    pub title: String,
    /// The state of the task, or `idle`; empty when nothing is shown.
    pub state: String,
    /// The id of the task; empty for none.
    pub task: String,
    /// Why a person should look.
    pub attention: Attention,
}

/// What the tab was told last.
#[derive(Debug, Default)]
pub struct TabWords {
    told: TabState,
}

impl TabWords {
    /// The escapes that bring the tab up to date; empty if it is.
    pub fn update(&mut self, now: TabState) -> String {
        let mut words = String::new();
        if now.title != self.told.title {
            push_title(&mut words, &now.title);
        }
        // The reason to look comes last: whoever hears of it finds the rest in place.
        for (name, new, old) in [
            ("task", &*now.task, &*self.told.task),
            ("state", &now.state, &self.told.state),
            ("attention", now.attention.name(), self.told.attention.name()),
        ] {
            if new != old {
                push_user_variable(&mut words, name, new);
            }
        }
        self.told = now;
        words
    }

    /// Whether somebody should look, as the tab was told last.
    pub fn ask_for_attention(&self) -> bool {
        self.told.attention != Attention::None
    }

    /// Why to look, once more: a terminal that has been attached to the pane since has not heard of it.
    pub fn again(&self) -> String {
        let mut words = String::new();
        push_user_variable(&mut words, "task", &self.told.task);
        push_user_variable(&mut words, "state", &self.told.state);
        push_user_variable(&mut words, "attention", self.told.attention.name());
        words
    }
}

fn push_title(words: &mut String, title: &str) {
    let shown: String = title
        .chars()
        .filter(|character| !character.is_control())
        .take(TITLE_CHARACTERS_MAX)
        .collect();
    let _ = write!(words, "\x1b]1;{shown}\x1b\\");
}

fn push_user_variable(words: &mut String, name: &str, value: &str) {
    let _ = write!(
        words,
        "\x1b]1337;SetUserVar=wezterm_parallel_{name}={}\x07",
        base64(value.as_bytes())
    );
}

/// As RFC 4648 says, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .chain([0; 2].iter())
            .take(3)
            .fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 0x3f;
            text.push(if digit <= group.len() {
                char::from(DIGITS[value])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> TabState {
        TabState {
            title: "7 make".into(),
            state: "running".into(),
            task: "7".into(),
            attention: Attention::None,
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        // The examples of RFC 4648.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn only_what_changed_is_said() {
        let mut words = TabWords::default();
        let first = words.update(running());
        insta::assert_snapshot!(first.escape_default(), @r"\u{1b}]1;7 make\u{1b}\\\u{1b}]1337;SetUserVar=wezterm_parallel_task=Nw==\u{7}\u{1b}]1337;SetUserVar=wezterm_parallel_state=cnVubmluZw==\u{7}");
        assert_eq!(words.update(running()), "");
        let waiting = TabState {
            state: "waiting".into(),
            attention: Attention::Answer,
            ..running()
        };
        let then = words.update(waiting);
        insta::assert_snapshot!(then.escape_default(), @r"\u{1b}]1337;SetUserVar=wezterm_parallel_state=d2FpdGluZw==\u{7}\u{1b}]1337;SetUserVar=wezterm_parallel_attention=YW5zd2Vy\u{7}");
        assert!(words.ask_for_attention());
        insta::assert_snapshot!(words.again().escape_default(), @r"\u{1b}]1337;SetUserVar=wezterm_parallel_task=Nw==\u{7}\u{1b}]1337;SetUserVar=wezterm_parallel_state=d2FpdGluZw==\u{7}\u{1b}]1337;SetUserVar=wezterm_parallel_attention=YW5zd2Vy\u{7}");
        let cleared = words.update(TabState::default());
        assert!(
            cleared.starts_with("\x1b]1;\x1b\\") && cleared.ends_with("attention=\x07"),
            "{cleared:?}"
        );
        assert!(!words.ask_for_attention());
    }

    #[test]
    fn a_notification_is_one_whatever_it_says() {
        let words = notification("a;b", "Queued as task 7\x07\x1b\\\n");
        assert_eq!(words, "\x1b]777;notify;ab;Queued as task 7\\\x1b\\");
    }

    #[test]
    fn a_title_cannot_end_itself() {
        let evil = TabState {
            title: format!("a\x1b\\\x1b]52;c;eA==\x07\u{9c}b{}", "x".repeat(100)),
            ..TabState::default()
        };
        let words = TabWords::default().update(evil);
        let inner = words
            .strip_prefix("\x1b]1;")
            .unwrap()
            .strip_suffix("\x1b\\")
            .unwrap();
        assert!(inner.starts_with("a\\]52;c;eA==b") && !inner.contains(char::is_control));
        assert_eq!(inner.chars().count(), TITLE_CHARACTERS_MAX);
    }
}
