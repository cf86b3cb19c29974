//! What the engine hands over, and how it gets into the file: one batch, one transaction.
//!
//! The backup has each task that the journal has, as a snapshot of the journal would, with the environments that they
//! need and what else the journal knows. It is compared and written task by task; a task that is removed from the
//! journal leaves it too, so that environments are kept no longer than there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rusqlite::{params, Connection, OptionalExtension as _};
use wezterm_parallel_scheduler::TaskKey;

use super::insert::{insert, Known, Numbers};
use super::task::{id_of, HistoryTask};
use crate::journal::{Record, TaskImage};

/// The name in `meta` of the journal's record up to which nothing is missing.
const CAUGHT_UP: &str = "caught_up";
/// After so many tasks have left the backup, environments that nobody needs any more leave it, too.
const CLEAN_AFTER: usize = 10_000;

/// A task as it stands, and what it needs to run.
#[derive(Clone, Debug)]
pub struct Kept {
    /// As in a snapshot of the journal.
    pub image: Box<TaskImage>,
    /// Its environment, if it is known.
    pub variables: Option<Arc<BTreeMap<String, String>>>,
    /// The journal removes it: it is for people only.
    pub is_leaving: bool,
}

/// All tasks of the journal with keys from `first` to `last` are in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key.
    pub first: TaskKey,
    /// The last one, inclusive; the largest of all for the end.
    pub last: TaskKey,
}

/// What is written at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Tasks that have changed.
    pub kept: Vec<Kept>,
    /// Tasks that the journal has no more.
    pub removed: Vec<TaskKey>,
    /// Hashes of ids that must never be used again though no task has them.
    pub used_ids: Vec<u64>,
    /// All that is no task, in place of what was there.
    pub state: Option<Vec<Record>>,
    /// What is compared.
    pub range: Option<Range>,
    /// With this batch, nothing is missing up to this record of the journal.
    pub caught_up: Option<u64>,
    /// The time.
    pub now_ms: u64,
}

impl Batch {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
            && self.removed.is_empty()
            && self.used_ids.is_empty()
            && self.state.is_none()
            && self.range.is_none()
            && self.caught_up.is_none()
    }

    /// Whether a comparison of everything ends with it.
    pub(super) fn ends_comparison(&self) -> bool {
        self.range.is_some_and(|range| range.last.0 == u64::MAX)
    }
}

/// What the writer remembers from one batch to the next.
#[derive(Debug, Default)]
pub(super) struct Writing {
    numbers: Numbers,
    /// Environments that are there already.
    environments: HashSet<u64>,
    removed_since_cleaning: usize,
}

impl Writing {
    /// Writes a batch: all of it, or nothing. How many ended tasks it has added.
    /// `is_complete` says whether a comparison of everything has gone before.
    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        batch: &Batch,
        is_complete: bool,
    ) -> rusqlite::Result<u64> {
        let transaction = connection.transaction()?;
        let mut added = 0;
        for kept in &batch.kept {
            added += u64::from(self.keep(&transaction, kept)?);
        }
        if let Some(range) = batch.range {
            sweep(&transaction, range, batch)?;
        }
        for key in &batch.removed {
            transaction
                .prepare_cached("DELETE FROM backup_tasks WHERE key = ?1 AND stray_since_ms IS NULL")?
                .execute([key.0])?;
        }
        for hash in &batch.used_ids {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO backup_ids (hash) VALUES (?1)")?
                .execute([signed(*hash)])?;
        }
        if let Some(records) = &batch.state {
            replace_state(&transaction, records)?;
        }
        self.removed_since_cleaning += batch.removed.len();
        if batch.ends_comparison() || self.removed_since_cleaning >= CLEAN_AFTER {
            self.clean(&transaction)?;
        }
        match batch.caught_up.filter(|_| is_complete) {
            Some(lsn) => transaction
                .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
                .execute(params![CAUGHT_UP, lsn.to_string()])?,
            // A crash from here on is one after which both sides are compared.
            None => transaction
                .prepare_cached("DELETE FROM meta WHERE name = ?1")?
                .execute([CAUGHT_UP])?,
        };
        transaction.commit()?;
        Ok(added)
    }

    /// Writes a task where it differs from what is there; true if that is one more end.
    fn keep(&mut self, connection: &Connection, kept: &Kept) -> rusqlite::Result<bool> {
        let submission = &kept.image.task.submission;
        let ended = HistoryTask::from_image(&kept.image);
        let mut added = false;
        if let Some(task) = &ended {
            added = insert(connection, task, Known::Replace, &mut self.numbers)?;
        }
        if kept.is_leaving {
            return Ok(added);
        }
        let image = serde_json::to_string(&kept.image).expect("a snapshot is always JSON");
        let mut find = connection.prepare_cached(
            "SELECT image = ?3 AND stray_since_ms IS NULL FROM backup_tasks WHERE key = ?1 AND submitted_at_ms = ?2",
        )?;
        let is_known: Option<bool> = find
            .query_row(
                params![submission.key.0, submission.submitted_at.0, image],
                |row| row.get(0),
            )
            .optional()?;
        if is_known != Some(true) {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO backup_tasks (key, submitted_at_ms, id, state, env, stray_since_ms, image)
                     VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)",
                )?
                .execute(params![
                    submission.key.0,
                    submission.submitted_at.0,
                    id_of(&kept.image),
                    kept.image.task.state.name(),
                    signed(kept.image.spec.env.0),
                    image,
                ])?;
        }
        self.keep_environment(connection, kept)?;
        Ok(added)
    }

    fn keep_environment(&mut self, connection: &Connection, kept: &Kept) -> rusqlite::Result<()> {
        let hash = kept.image.spec.env.0;
        let Some(variables) = kept
            .variables
            .as_ref()
            .filter(|_| !self.environments.contains(&hash))
        else {
            return Ok(());
        };
        let variables = serde_json::to_string(variables.as_ref()).expect("variables are always JSON");
        connection
            .prepare_cached("INSERT OR IGNORE INTO backup_environments (hash, variables) VALUES (?1, ?2)")?
            .execute(params![signed(hash), variables])?;
        self.environments.insert(hash);
        Ok(())
    }

    fn clean(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "DELETE FROM backup_environments WHERE hash NOT IN (SELECT env FROM backup_tasks)",
            [],
        )?;
        self.environments.clear();
        self.removed_since_cleaning = 0;
        Ok(())
    }
}

/// Tasks of the backup that the journal does not have. What has ended was removed while nobody wrote here. What has not
/// may have been lost with a part of the journal: it is kept until somebody decides.
fn sweep(connection: &Connection, range: Range, batch: &Batch) -> rusqlite::Result<()> {
    let of = |kept: &Kept| {
        let submission = &kept.image.task.submission;
        (submission.key.0, submission.submitted_at.0)
    };
    let there: HashSet<(u64, u64)> = batch.kept.iter().map(of).collect();
    let last = i64::try_from(range.last.0).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT key, submitted_at_ms, state FROM backup_tasks WHERE key >= ?1 AND key <= ?2 AND stray_since_ms IS NULL",
    )?;
    let rows = statement.query_map(params![range.first.0, last], |row| {
        Ok((
            row.get::<_, u64>(0)?,
            row.get::<_, u64>(1)?,
            row.get::<_, String>(2)?,
        ))
    })?;
    let rows: Vec<(u64, u64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    for (key, submitted_at_ms, state) in rows {
        if there.contains(&(key, submitted_at_ms)) {
            continue;
        }
        let is_end = matches!(
            state.as_str(),
            "succeeded" | "failed" | "cancelled" | "skipped" | "lost"
        );
        let sql = if is_end {
            "DELETE FROM backup_tasks WHERE key = ?1 AND submitted_at_ms = ?2 AND ?3 > 0"
        } else {
            "UPDATE backup_tasks SET stray_since_ms = ?3 WHERE key = ?1 AND submitted_at_ms = ?2"
        };
        connection
            .prepare_cached(sql)?
            .execute(params![key, submitted_at_ms, batch.now_ms])?;
    }
    Ok(())
}

fn replace_state(connection: &Connection, records: &[Record]) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM backup_state", [])?;
    for record in records {
        let record = serde_json::to_string(record).expect("records are always JSON");
        connection
            .prepare_cached("INSERT INTO backup_state (record) VALUES (?1)")?
            .execute([record])?;
    }
    Ok(())
}

/// The record of the journal up to which nothing is missing, if that is so.
pub(super) fn caught_up(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let value: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [CAUGHT_UP], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(value.and_then(|value| value.parse().ok()))
}

/// SQLite's whole numbers have a sign; hashes are kept bit by bit.
pub(super) fn signed(hash: u64) -> i64 {
    i64::from_ne_bytes(hash.to_ne_bytes())
}
