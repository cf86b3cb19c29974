//! Reads tasks and their attempts out of the history.

use std::path::{Path, PathBuf};

use rusqlite::functions::FunctionFlags;
use rusqlite::{params_from_iter, Connection, Row};

use super::error::HistoryError;
use super::filter::{Cursor, HistoryFilter};
use super::open;
use super::task::{HistoryAttempt, HistoryTask, FORMAT};

const COLUMNS: &str =
    "t.number, t.key, t.id, t.submitted_at_ms, t.ended_at_ms, t.state, t.reason, t.priority, \
                       t.worker, t.workspace, t.label, t.command, t.argv, t.cwd";

/// The history, opened for reading: a daemon may write it meanwhile, or there may be none.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// What is in it, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Ended tasks.
    pub tasks: u64,
    /// Tasks of the backup that the daemon does not know though they had not ended.
    pub strays: u64,
}

impl Reader {
    /// Opens it.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let connection = open::for_reading(path)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection
            .create_scalar_function("holds", 4, flags, holds)
            .map_err(HistoryError::of(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// The newest tasks that pass, and whether there are more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn page(
        &self,
        filter: &HistoryFilter,
        limit: usize,
    ) -> Result<(Vec<HistoryTask>, bool), HistoryError> {
        let wrong = HistoryError::of(&self.path);
        let query = filter.query(COLUMNS, limit.saturating_add(1));
        let page = || {
            let mut statement = self.connection.prepare(&query.sql)?;
            let rows = statement.query_map(params_from_iter(&query.values), task)?;
            let mut tasks = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let is_more = tasks.len() > limit;
            tasks.truncate(limit);
            for task in &mut tasks {
                self.add_attempts(task)?;
            }
            Ok((tasks, is_more))
        };
        page().map_err(wrong)
    }

    /// Every task, the oldest end first.
    ///
    /// # Errors
    /// If it cannot be read, or what `each` brings.
    pub fn each<E: From<HistoryError>>(
        &self,
        mut each: impl FnMut(HistoryTask) -> Result<(), E>,
    ) -> Result<u64, E> {
        let wrong = HistoryError::of(&self.path);
        let sql = format!("SELECT {COLUMNS} FROM tasks AS t ORDER BY t.number");
        let mut statement = self.connection.prepare(&sql).map_err(&wrong)?;
        let mut rows = statement.query([]).map_err(&wrong)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(&wrong)? {
            let mut task = task(row).map_err(&wrong)?;
            self.add_attempts(&mut task).map_err(&wrong)?;
            task.cursor = None;
            each(task)?;
            count += 1;
        }
        Ok(count)
    }

    /// How much is in it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn contents(&self) -> Result<Contents, HistoryError> {
        let count = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let contents = || {
            Ok(Contents {
                tasks: count("SELECT count(*) FROM tasks")?,
                strays: count("SELECT count(*) FROM backup_tasks WHERE stray_since_ms IS NOT NULL")?,
            })
        };
        contents().map_err(HistoryError::of(&self.path))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn add_attempts(&self, task: &mut HistoryTask) -> rusqlite::Result<()> {
        let number = task.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
        task.attempts = attempts(&self.connection, number.unwrap_or_default())?;
        Ok(())
    }
}

/// One row with its attempts.
pub(super) fn one(connection: &Connection, number: i64) -> rusqlite::Result<HistoryTask> {
    let sql = format!("SELECT {COLUMNS} FROM tasks AS t WHERE t.number = ?1");
    let mut found = connection.prepare_cached(&sql)?.query_row([number], task)?;
    found.attempts = attempts(connection, number)?;
    Ok(found)
}

fn task(row: &Row<'_>) -> rusqlite::Result<HistoryTask> {
    let argv: Option<String> = row.get(12)?;
    Ok(HistoryTask {
        version: FORMAT,
        cursor: Some(Cursor(row.get(0)?).to_string()),
        key: row.get(1)?,
        id: row.get(2)?,
        submitted_at_ms: row.get(3)?,
        ended_at_ms: row.get(4)?,
        state: row.get(5)?,
        reason: row.get(6)?,
        priority: row.get(7)?,
        worker: row.get(8)?,
        workspace: row.get(9)?,
        label: row.get(10)?,
        command: row.get(11)?,
        argv: argv.map(|argv| from_json(12, &argv)).transpose()?,
        cwd: row.get(13)?,
        attempts: Vec::new(),
    })
}

fn attempts(connection: &Connection, number: i64) -> rusqlite::Result<Vec<HistoryAttempt>> {
    let mut statement = connection.prepare_cached(
        "SELECT attempt, outcome, exit_code, signal, started_at_ms, ended_at_ms, cpu_seconds, peak_memory_bytes,
                output_bytes, message, session_id, cost_usd, turns, tokens
         FROM attempts WHERE task = ?1 ORDER BY attempt",
    )?;
    let rows = statement.query_map([number], |row| {
        let tokens: Option<String> = row.get(13)?;
        Ok(HistoryAttempt {
            n: row.get(0)?,
            outcome: row.get(1)?,
            exit_code: row.get(2)?,
            signal: row.get(3)?,
            started_at_ms: row.get(4)?,
            ended_at_ms: row.get(5)?,
            cpu_seconds: row.get(6)?,
            peak_memory_bytes: row.get(7)?,
            output_bytes: row.get(8)?,
            message: row.get(9)?,
            session_id: row.get(10)?,
            cost_usd: row.get(11)?,
            turns: row.get(12)?,
            tokens: match tokens {
                Some(tokens) => from_json(13, &tokens)?,
                None => std::collections::BTreeMap::new(),
            },
        })
    })?;
    rows.collect()
}

fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// `holds(command, argv, message, text)`: whether the lower-case text stands in one of them.
fn holds(context: &mut rusqlite::functions::Context<'_>) -> rusqlite::Result<bool> {
    let text: String = context.get(3)?;
    let in_text = |number| {
        let value: Option<String> = context.get(number)?;
        Ok::<_, rusqlite::Error>(value.is_some_and(|value| value.to_lowercase().contains(&text)))
    };
    if in_text(0)? || in_text(2)? {
        return Ok(true);
    }
    let argv: Option<String> = context.get(1)?;
    let argv: Vec<String> = match argv {
        Some(argv) => from_json(1, &argv)?,
        None => return Ok(false),
    };
    Ok(argv.join(" ").to_lowercase().contains(&text))
}
