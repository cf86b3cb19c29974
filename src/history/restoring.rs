//! Reads the backup, for `history restore`.

use std::collections::BTreeMap;

use super::error::HistoryError;
use super::read::Reader;
use crate::journal::{Record, TaskImage};

/// All that is no task.
#[derive(Debug, Default)]
pub struct Backup {
    /// Workspaces, pauses, accounts, costs, numbers: as in a snapshot of the journal.
    pub state: Vec<Record>,
    /// Environments by hash.
    pub environments: BTreeMap<u64, BTreeMap<String, String>>,
    /// Hashes of ids that must never be used again.
    pub used_ids: Vec<u64>,
    /// The largest number of any task, ended ones included.
    pub last_key: u64,
    /// The newest moment in it.
    pub newest_ms: u64,
    /// What could not be read, a sentence each.
    pub unreadable: Vec<String>,
}

/// A task of the backup.
#[derive(Debug)]
pub struct BackedUp {
    /// Its id.
    pub id: String,
    /// As it stood when it was written last; or why it cannot be read.
    pub image: Result<Box<TaskImage>, String>,
    /// A daemon did not know it though it had not ended, since then.
    pub stray_since_ms: Option<u64>,
}

impl Reader {
    /// The backup without its tasks.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn backup(&self) -> Result<Backup, HistoryError> {
        self.read_backup().map_err(HistoryError::of(self.path()))
    }

    fn read_backup(&self) -> rusqlite::Result<Backup> {
        let connection = self.connection();
        let mut backup = Backup::default();
        let mut statement = connection.prepare("SELECT record FROM backup_state ORDER BY place")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match serde_json::from_str(&row.get::<_, String>(0)?) {
                Ok(record) => backup.state.push(record),
                Err(error) => backup
                    .unreadable
                    .push(format!("a record that is no task: {error}")),
            }
        }
        let mut statement = connection.prepare("SELECT hash, variables FROM backup_environments")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let hash = u64::from_ne_bytes(row.get::<_, i64>(0)?.to_ne_bytes());
            match serde_json::from_str(&row.get::<_, String>(1)?) {
                Ok(variables) => {
                    backup.environments.insert(hash, variables);
                }
                Err(error) => backup
                    .unreadable
                    .push(format!("environment {hash:016x}: {error}")),
            }
        }
        let mut statement = connection.prepare("SELECT hash FROM backup_ids")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            backup
                .used_ids
                .push(u64::from_ne_bytes(row.get::<_, i64>(0)?.to_ne_bytes()));
        }
        let largest = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<u64>>(0));
        let last_ended = largest("SELECT max(key) FROM tasks")?;
        let last_kept = largest("SELECT max(key) FROM backup_tasks")?;
        backup.last_key = last_ended.max(last_kept).unwrap_or(0);
        let newest = largest("SELECT ended_at_ms FROM tasks ORDER BY number DESC LIMIT 1");
        let newest = match newest {
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            newest => newest?,
        };
        let submitted = largest("SELECT max(submitted_at_ms) FROM backup_tasks")?;
        backup.newest_ms = newest.max(submitted).unwrap_or(0);
        Ok(backup)
    }

    /// Each task of the backup, in the order of their numbers.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn each_backed_up(&self, mut each: impl FnMut(BackedUp)) -> Result<(), HistoryError> {
        let mut read = || {
            let mut statement = self.connection().prepare(
                "SELECT id, image, stray_since_ms FROM backup_tasks ORDER BY key, submitted_at_ms",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let image: String = row.get(1)?;
                each(BackedUp {
                    id: row.get(0)?,
                    image: serde_json::from_str(&image).map_err(|error| error.to_string()),
                    stray_since_ms: row.get(2)?,
                });
            }
            Ok(())
        };
        read().map_err(HistoryError::of(self.path()))
    }

    /// The number and the id of each ended task, also of those that the journal has removed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn each_ended_id(&self, mut each: impl FnMut(u64, &str)) -> Result<(), HistoryError> {
        let mut read = || {
            let mut statement = self.connection().prepare("SELECT key, id FROM tasks")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(row.get(0)?, row.get_ref(1)?.as_str()?);
            }
            Ok::<_, rusqlite::Error>(())
        };
        read().map_err(HistoryError::of(self.path()))
    }
}
