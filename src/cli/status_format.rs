//! `status --format`: the queue in one line of text, from the file that the daemon keeps for bars.
//!
//! A bar asks each second: one small file is read, no socket is opened, and no daemon is ever started.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::text::{truncated, visible};
use crate::protocol::{hint, GateView, ProcessCounts};

/// The fields that a format may name; docs/cli.md says what they mean.
pub(crate) const FIELDS: [&str; 16] = [
    "running",
    "slots",
    "queued",
    "waiting",
    "attention",
    "failed",
    "processes",
    "failed_processes",
    "paused",
    "blocked",
    "blocked_by",
    "state",
    "error",
    "daemon",
    "pid",
    "age_s",
];
/// A daemon that has not written for so long is gone: it writes each five seconds. The plugin waits as long.
pub(crate) const STALE_MS: u64 = 15_000;
/// A message about what blocks the queue is a hint in a bar, not an essay.
const MESSAGE_COLUMNS: usize = 60;

/// A text with fields in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    parts: Vec<Part>,
}

/// A stretch of it, which may be left out where it has nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    is_optional: bool,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(&'static str),
}

/// What the daemon has written last.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct StatusNow {
    pid: u32,
    updated_at_ms: u64,
    queued: u64,
    running: u64,
    slots: u64,
    paused: bool,
    attention: u64,
    #[serde(default)]
    waiting: u64,
    failed: u64,
    /// A daemon of an earlier version tells nothing of them.
    #[serde(default)]
    processes: ProcessCounts,
    #[serde(default)]
    blocked_by: Vec<GateView>,
    #[serde(default)]
    journal_error: Option<String>,
}

impl Format {
    /// Reads `{running}/{slots}[ {queued} queued]`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = vec![Part::default()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let is_double = characters.peek() == Some(&character);
            let part = parts.last_mut().ok_or("the format is empty")?;
            match character {
                '{' | '}' | '[' | ']' if is_double => {
                    characters.next();
                    part.push(character);
                }
                '{' => part.pieces.push(Piece::Field(known(&name(&mut characters)?)?)),
                '[' if part.is_optional => {
                    return Err("a `[` within brackets: write `[[` for the sign".to_owned())
                }
                '[' => parts.push(Part {
                    is_optional: true,
                    ..Part::default()
                }),
                ']' if part.is_optional => parts.push(Part::default()),
                ']' | '}' => {
                    return Err(format!(
                        "a `{character}` that closes nothing: write `{character}{character}` for the sign"
                    ));
                }
                other => part.push(other),
            }
        }
        if parts.last().is_some_and(|part| part.is_optional) {
            return Err("a `[` that is not closed: write `[[` for the sign".to_owned());
        }
        Ok(Self { parts })
    }

    /// The text with the values of now.
    pub(crate) fn render(&self, status: &StatusNow, now_ms: u64) -> String {
        let mut text = String::new();
        for part in &self.parts {
            let (words, says_something) = part.render(status, now_ms);
            if says_something || !part.is_optional {
                text.push_str(&words);
            }
        }
        text
    }
}

impl Part {
    fn push(&mut self, character: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(character),
            _ => self.pieces.push(Piece::Text(character.to_string())),
        }
    }

    /// Its text, and whether one of its fields is neither empty nor 0.
    fn render(&self, status: &StatusNow, now_ms: u64) -> (String, bool) {
        let (mut text, mut says_something) = (String::new(), false);
        for piece in &self.pieces {
            match piece {
                Piece::Text(words) => text.push_str(words),
                Piece::Field(name) => {
                    let value = status.value(name, now_ms);
                    says_something |= !value.is_empty() && value != "0";
                    text.push_str(&value);
                }
            }
        }
        (text, says_something)
    }
}

/// What stands up to the closing brace.
fn name(characters: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut name = String::new();
    for character in characters {
        match character {
            '}' => return Ok(name),
            other => name.push(other),
        }
    }
    Err("a `{` that is not closed: write `{{` for the sign".to_owned())
}

fn known(name: &str) -> Result<&'static str, String> {
    let found = FIELDS.into_iter().find(|field| *field == name);
    found.ok_or_else(|| {
        let hint = hint(name, &FIELDS);
        format!("there is no field {{{}}}: {hint}", visible(&truncated(name, 30)))
    })
}

impl StatusNow {
    /// What the file says; `None` if there is none, or the daemon that wrote it is gone.
    pub(crate) fn read(path: &Path, now_ms: u64) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let status: Self = serde_json::from_slice(&bytes)?;
        // A clock that was set back makes nothing old.
        let is_fresh = now_ms.saturating_sub(status.updated_at_ms) <= STALE_MS;
        Ok(Some(status).filter(|_| is_fresh))
    }

    fn value(&self, name: &str, now_ms: u64) -> String {
        match name {
            "running" => self.running.to_string(),
            "slots" => self.slots.to_string(),
            "queued" => self.queued.to_string(),
            "waiting" => self.waiting.to_string(),
            "attention" => self.attention.to_string(),
            "failed" => self.failed.to_string(),
            "processes" => self.processes.up.to_string(),
            "failed_processes" => self.processes.failed.to_string(),
            "paused" if self.paused => "paused".to_owned(),
            "blocked" => self.holding().map(message).unwrap_or_default(),
            "blocked_by" => self.holding().map(|gate| visible(&gate.gate)).unwrap_or_default(),
            "state" => self.state().to_owned(),
            "error" => self.journal_error.as_deref().map(line).unwrap_or_default(),
            "daemon" => "on".to_owned(),
            "pid" => self.pid.to_string(),
            "age_s" => (now_ms.saturating_sub(self.updated_at_ms) / 1_000).to_string(),
            _ => String::new(),
        }
    }

    /// What holds up a queue that is not empty. That all slots are taken is no news: the numbers say so.
    fn holding(&self) -> Option<&GateView> {
        let is_news = |gate: &&GateView| !matches!(gate.gate.as_str(), "slots" | "pause");
        self.blocked_by.iter().find(is_news).filter(|_| self.queued > 0)
    }

    /// The whole in a word, the worst first: what a bar chooses a colour by.
    fn state(&self) -> &'static str {
        if self.journal_error.is_some() {
            "error"
        } else if self.attention > 0 || self.processes.failed > 0 {
            "attention"
        } else if self.paused {
            "paused"
        } else if self.holding().is_some() {
            "blocked"
        } else if self.running > 0 {
            "running"
        } else {
            "idle"
        }
    }
}

fn message(gate: &GateView) -> String {
    line(&gate.message)
}

fn line(words: &str) -> String {
    truncated(&visible(words), MESSAGE_COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"version":1,"pid":4711,"updated_at_ms":100000,"queued":12,"running":4,"slots":4,
        "paused":false,"attention":0,"waiting":3,"failed":2,"new":"fields may come",
        "blocked_by":[{"gate":"slots","message":"4 of 4"},{"gate":"quota","message":"until 14:00"}]}"#;

    fn rendered(format: &str) -> String {
        let status: StatusNow = serde_json::from_str(FILE).unwrap();
        Format::parse(format).unwrap().render(&status, 102_500)
    }

    #[test]
    fn a_format_names_fields() {
        assert_eq!(rendered("{running}/{slots} {queued}"), "4/4 12");
        assert_eq!(
            rendered("{state} {blocked_by}: {blocked} {daemon} {pid} {age_s}"),
            "blocked quota: until 14:00 on 4711 2"
        );
        assert_eq!(
            rendered("[{attention} ask, ][{failed} failed][ {paused}]"),
            "2 failed"
        );
        assert_eq!(rendered("{{{waiting}}} [[x]] ü%"), "{3} [x] ü%");
        assert_eq!(rendered(""), "");
        let every: String = FIELDS.map(|field| format!("{{{field}}}")).concat();
        assert!(!rendered(&every).is_empty());
    }

    #[test]
    fn a_process_that_has_failed_wants_to_be_looked_at() {
        let with = FILE.replace(
            "\"waiting\":3",
            "\"processes\":{\"up\":2,\"backoff\":0,\"failed\":1,\"stopped\":0}",
        );
        let status: StatusNow = serde_json::from_str(&with).unwrap();
        let format = Format::parse("{state} {processes}[, {failed_processes} down]").unwrap();
        assert_eq!(format.render(&status, 102_500), "attention 2, 1 down");
        assert_eq!(rendered("{processes}[, {failed_processes} down]"), "0");
    }

    #[test]
    fn what_is_no_format_is_said() {
        let said = |format| Format::parse(format).unwrap_err();
        insta::assert_snapshot!(said("{runing}"), @"there is no field {runing}: did you mean `running`?");
        insta::assert_snapshot!(said("{queued"), @"a `{` that is not closed: write `{{` for the sign");
        insta::assert_snapshot!(said("x}"), @"a `}` that closes nothing: write `}}` for the sign");
        insta::assert_snapshot!(said("[x"), @"a `[` that is not closed: write `[[` for the sign");
        insta::assert_snapshot!(said("[[x]"), @"a `]` that closes nothing: write `]]` for the sign");
        insta::assert_snapshot!(said("[a[b]]"), @"a `[` within brackets: write `[[` for the sign");
        insta::assert_snapshot!(said("{frobnicate}"), @"there is no field {frobnicate}: known are: running, slots, queued, waiting, attention, failed, processes, failed_processes, paused, blocked, blocked_by, state, error, daemon, pid, age_s");
    }

    #[test]
    fn every_field_is_explained() {
        let page = include_str!("../../docs/bars.md");
        for field in FIELDS {
            assert!(page.contains(&format!("`{{{field}}}`")), "{field}");
        }
    }

    #[test]
    fn a_file_that_is_old_belongs_to_a_daemon_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let read = |now_ms| StatusNow::read(&path, now_ms).unwrap().is_some();
        assert!(!read(100_000));
        std::fs::write(&path, FILE).unwrap();
        assert!(read(99_000) && read(115_000) && !read(115_001));
        std::fs::write(&path, "{").unwrap();
        assert!(StatusNow::read(&path, 0).is_err());
    }
}
