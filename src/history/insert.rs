//! Puts ended tasks into the tables that people read, and into the search index.

use std::path::Path;

use rusqlite::{params, Connection, OptionalExtension as _, TransactionBehavior};

use super::error::HistoryError;
use super::open;
use super::read;
use super::task::{HistoryAttempt, HistoryTask, FORMAT};
use super::tokens;

/// Ends within one millisecond that get numbers of their own before they take those of the next one.
pub(super) const NUMBERS_OF_A_MS: i64 = 1024;
/// A moment beyond this (the year 111000 or so) is none.
const MS_MAX: u64 = 1 << 52;

/// Gives rows their numbers, in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The last end, and the number after its own: many tasks may end in one moment.
    last: Option<(u64, i64)>,
}

impl Numbers {
    fn free(&mut self, connection: &Connection, ended_at_ms: u64) -> rusqlite::Result<i64> {
        let first = first_number(ended_at_ms);
        let mut number = match self.last {
            Some((ms, next)) if ms == ended_at_ms => next,
            _ => first,
        };
        let mut taken = connection.prepare_cached("SELECT 1 FROM tasks WHERE number = ?1")?;
        while taken.exists([number])? {
            number += 1;
        }
        self.last = Some((ended_at_ms, number + 1));
        Ok(number)
    }
}

/// The number of the first task that ended at this moment.
pub(super) fn first_number(ended_at_ms: u64) -> i64 {
    i64::try_from(ended_at_ms.min(MS_MAX)).unwrap_or(i64::MAX) * NUMBERS_OF_A_MS
}

/// What is done with a task that is there already, as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The new one takes its place: it has run again.
    Replace,
    /// The one that ended last stays.
    KeepNewer,
}

/// Adds a task; false if it was there already just so, or newer.
pub(super) fn insert(
    connection: &Connection,
    task: &HistoryTask,
    known: Known,
    numbers: &mut Numbers,
) -> rusqlite::Result<bool> {
    let mut find =
        connection.prepare_cached("SELECT number FROM tasks WHERE key = ?1 AND submitted_at_ms = ?2")?;
    let old: Option<i64> = find
        .query_row(params![task.key, task.submitted_at_ms], |row| row.get(0))
        .optional()?;
    if let Some(number) = old {
        let old = read::one(connection, number)?;
        let is_newer = known == Known::Replace || old.ended_at_ms < task.ended_at_ms;
        if !is_newer || is_same(&old, task) {
            return Ok(false);
        }
        remove(connection, number, &old)?;
    }
    let number = numbers.free(connection, task.ended_at_ms)?;
    add_task(connection, number, task)?;
    for attempt in &task.attempts {
        add_attempt(connection, number, attempt)?;
    }
    let [workspace, worker, label, state, reason, outcomes, command, message] = tokens::of_task(task);
    connection
        .prepare_cached(
            "INSERT INTO search (rowid, workspace, worker, label, state, reason, outcomes, command, message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            number, workspace, worker, label, state, reason, outcomes, command, message
        ])?;
    Ok(true)
}

fn is_same(old: &HistoryTask, task: &HistoryTask) -> bool {
    let without_cursor = |task: &HistoryTask| HistoryTask {
        cursor: None,
        ..task.clone()
    };
    without_cursor(old) == without_cursor(task)
}

fn remove(connection: &Connection, number: i64, old: &HistoryTask) -> rusqlite::Result<()> {
    let [workspace, worker, label, state, reason, outcomes, command, message] = tokens::of_task(old);
    connection
        .prepare_cached(
            "INSERT INTO search (search, rowid, workspace, worker, label, state, reason, outcomes, command, message)
             VALUES ('delete', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            number, workspace, worker, label, state, reason, outcomes, command, message
        ])?;
    connection
        .prepare_cached("DELETE FROM attempts WHERE task = ?1")?
        .execute([number])?;
    connection
        .prepare_cached("DELETE FROM tasks WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}

fn add_task(connection: &Connection, number: i64, task: &HistoryTask) -> rusqlite::Result<()> {
    let argv = task.argv.as_ref().map(json);
    connection
        .prepare_cached(
            "INSERT INTO tasks (number, key, id, submitted_at_ms, ended_at_ms, state, reason, priority, worker,
                                workspace, label, command, argv, cwd, outcomes, message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            number,
            task.key,
            task.id,
            task.submitted_at_ms,
            task.ended_at_ms,
            task.state,
            task.reason,
            task.priority,
            task.worker,
            task.workspace,
            task.label,
            task.command,
            argv,
            task.cwd,
            task.outcomes(),
            task.message(),
        ])?;
    Ok(())
}

fn add_attempt(connection: &Connection, number: i64, attempt: &HistoryAttempt) -> rusqlite::Result<()> {
    let tokens = (!attempt.tokens.is_empty()).then(|| json(&attempt.tokens));
    connection
        .prepare_cached(
            "INSERT INTO attempts (task, attempt, outcome, exit_code, signal, started_at_ms, ended_at_ms,
                                   cpu_seconds, peak_memory_bytes, output_bytes, message, session_id, cost_usd,
                                   turns, tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            number,
            attempt.n,
            attempt.outcome,
            attempt.exit_code,
            attempt.signal,
            attempt.started_at_ms,
            attempt.ended_at_ms,
            attempt.cpu_seconds,
            attempt.peak_memory_bytes,
            attempt.output_bytes,
            attempt.message,
            attempt.session_id,
            attempt.cost_usd,
            attempt.turns,
            tokens,
        ])?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our types are always JSON")
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Tasks that are new in the history, or newer than they were.
    pub added: u64,
    /// Tasks that were there already.
    pub known: u64,
}

impl Import {
    /// Takes all tasks, or none if there is an error among them. A file that is not there is made.
    ///
    /// # Errors
    /// What the tasks themselves bring, or if the file cannot be written.
    pub fn all<E: From<HistoryError>>(
        path: &Path,
        tasks: impl Iterator<Item = Result<HistoryTask, E>>,
    ) -> Result<Self, E> {
        let wrong = HistoryError::of(path);
        let mut connection = open::for_writing(path)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&wrong)?;
        let mut done = Self::default();
        let mut numbers = Numbers::default();
        for task in tasks {
            let is_new = insert(&transaction, &task?, Known::KeepNewer, &mut numbers).map_err(&wrong)?;
            match is_new {
                true => done.added += 1,
                false => done.known += 1,
            }
        }
        transaction.commit().map_err(&wrong)?;
        Ok(done)
    }
}

impl HistoryTask {
    /// What of a task from a file cannot be.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "skipped", "lost"];
        let whole = |name: &str, number: u64| match number <= MS_MAX {
            true => Ok(()),
            false => Err(format!("`{name}` is too large")),
        };
        if self.version != FORMAT {
            return Err(format!(
                "`version` is {}; this program knows {FORMAT}",
                self.version
            ));
        }
        if !ENDS.contains(&self.state.as_str()) {
            return Err(format!(
                "`state` is {:?}, but must be one of {}",
                self.state,
                ENDS.join(" ")
            ));
        }
        if self.id.is_empty() {
            return Err("`id` is empty".to_owned());
        }
        whole("key", self.key)?;
        whole("submitted_at_ms", self.submitted_at_ms)?;
        whole("ended_at_ms", self.ended_at_ms)?;
        let mut before = 0;
        for attempt in &self.attempts {
            if attempt.n <= before {
                return Err(format!(
                    "attempt {} comes after attempt {before}: their numbers must rise from 1",
                    attempt.n
                ));
            }
            before = attempt.n;
            let is_a_word = |outcome: &String| !outcome.contains(char::is_whitespace);
            if !attempt.outcome.as_ref().is_none_or(is_a_word) {
                return Err(format!("the `outcome` of attempt {} is no word", attempt.n));
            }
            whole("started_at_ms", attempt.started_at_ms)?;
            whole("ended_at_ms", attempt.ended_at_ms.unwrap_or(0))?;
            whole("peak_memory_bytes", attempt.peak_memory_bytes.unwrap_or(0))?;
            whole("output_bytes", attempt.output_bytes.unwrap_or(0))?;
            whole("turns", attempt.turns.unwrap_or(0))?;
        }
        Ok(())
    }
}
