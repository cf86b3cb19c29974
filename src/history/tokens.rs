//! How tasks are found: the words of the search index.
//!
//! FTS5 cuts texts into all their runs of three characters, and remembers in which rows each one occurs (not where in
//! the text: that would double its size). A text that is looked for must have all of its runs in a row; whether they
//! stand together there, the row itself tells.
//!
//! Workspaces, states and the like are looked for as a whole. Each is made one run of three characters that nobody
//! types, so that SQLite can walk the rows of a state, of a workspace and of a text side by side: that is what keeps a
//! search short in which each condition holds for many rows, and all together for few or none.

use super::task::HistoryTask;

/// The first of the characters that stand for whole values: Unicode leaves them to private use.
const FIRST_CHARACTER: u32 = 0xF_0000;
/// Runs have three characters.
const RUN: usize = 3;

/// What can be looked for as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Workspace,
    Worker,
    Label,
    State,
    Reason,
    Outcome,
}

/// The run that stands for a value. Different values may have the same one, once in some billions.
pub(super) fn whole(kind: Whole, value: &str) -> String {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&[kind as u8]);
    hash.update(value.as_bytes());
    let hash = hash.finalize();
    [hash & 0x7ff, hash >> 11 & 0x7ff, hash >> 22]
        .into_iter()
        .filter_map(|part| char::from_u32(FIRST_CHARACTER + part))
        .collect()
}

/// What the index has of a task, column by column. To take a task out of the index the same must be said again.
pub(super) fn of_task(task: &HistoryTask) -> [String; 8] {
    let some = |kind, value: Option<&str>| value.map(|value| whole(kind, value)).unwrap_or_default();
    let outcomes = task.outcomes();
    let outcomes = outcomes
        .split(' ')
        .filter(|outcome| !outcome.is_empty())
        .map(|outcome| whole(Whole::Outcome, outcome));
    [
        whole(Whole::Workspace, &task.workspace),
        whole(Whole::Worker, &task.worker),
        some(Whole::Label, task.label.as_deref()),
        whole(Whole::State, &task.state),
        some(Whole::Reason, task.reason.as_deref()),
        outcomes.collect(),
        task.text(),
        task.message().unwrap_or_default().to_owned(),
    ]
}

/// The condition that a text occurs, or `None` if it is too short for the index.
pub(super) fn occurs(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < RUN {
        return None;
    }
    // Every run would be exact, and slow: each is one more list to walk. Those that cover the text are enough.
    let last = characters.len() - RUN;
    let starts = (0..last).step_by(RUN).chain(std::iter::once(last));
    let runs: Vec<String> = starts
        .map(|start| quoted(&characters[start..start + RUN].iter().collect::<String>()))
        .collect();
    Some(runs.join(" AND "))
}

/// The condition that one of these values holds.
pub(super) fn any_of(kind: Whole, values: &[String]) -> Option<String> {
    let values: Vec<String> = values.iter().map(|value| quoted(&whole(kind, value))).collect();
    match values.len() {
        0 => None,
        _ => Some(format!("({})", values.join(" OR "))),
    }
}

fn quoted(run: &str) -> String {
    format!("\"{}\"", run.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_three_characters_of_their_own_kind() {
        let state = whole(Whole::State, "failed");
        assert_eq!(state.chars().count(), RUN);
        assert_ne!(state, whole(Whole::Label, "failed"));
        assert_ne!(state, whole(Whole::State, "lost"));
        assert!(state
            .chars()
            .all(|character| u32::from(character) >= FIRST_CHARACTER));
    }

    #[test]
    fn a_text_is_covered_by_its_runs() {
        assert_eq!(occurs("ab"), None);
        assert_eq!(occurs("abc").unwrap(), r#""abc""#);
        assert_eq!(occurs("abcd").unwrap(), r#""abc" AND "bcd""#);
        assert_eq!(occurs("abcdefg").unwrap(), r#""abc" AND "def" AND "efg""#);
        assert_eq!(occurs("a\"\"b").unwrap(), r#""a""""" AND """""b""#);
    }
}
