//! Opening the file: its tables, their versions, and ways to read it that change nothing.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::HistoryError;

/// How long a lock of somebody else is waited for before that is an error. The engine does not wait with us.
const BUSY: Duration = Duration::from_secs(2);
/// What stands in the file's header: that it is ours (`file` shows it).
const APPLICATION_ID: i64 = 0x5750_4849;
/// A checkpoint cuts the write-ahead log down to this.
const LOG_BYTES_KEPT: i64 = 16 << 20;

/// Each one leads from the version that is its place to the next one. What is here stays as it is.
const MIGRATIONS: [&str; 1] = [FIRST];

/// `number` is the moment of the end in milliseconds, times 1024, or a little more: the order of ends is that of the
/// rows, which makes the newest of any search the first ones of its index. `search` holds no texts, only where they
/// occur: see `tokens.rs`.
const FIRST: &str = "
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    submitted_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    priority INTEGER NOT NULL,
    worker TEXT NOT NULL,
    workspace TEXT NOT NULL,
    label TEXT,
    command TEXT,
    argv TEXT,
    cwd TEXT NOT NULL,
    outcomes TEXT NOT NULL,
    message TEXT
);
CREATE UNIQUE INDEX tasks_by_key ON tasks (key, submitted_at_ms);
CREATE INDEX tasks_by_id ON tasks (id);
CREATE TABLE attempts (
    task INTEGER NOT NULL REFERENCES tasks (number),
    attempt INTEGER NOT NULL,
    outcome TEXT,
    exit_code INTEGER,
    signal INTEGER,
    started_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    cpu_seconds REAL,
    peak_memory_bytes INTEGER,
    output_bytes INTEGER,
    message TEXT,
    session_id TEXT,
    cost_usd REAL,
    turns INTEGER,
    tokens TEXT,
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5 (
    workspace, worker, label, state, reason, outcomes, command, message,
    content = '', columnsize = 0, detail = none, tokenize = 'trigram'
);
CREATE TABLE backup_tasks (
    key INTEGER NOT NULL,
    submitted_at_ms INTEGER NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    env INTEGER NOT NULL,
    stray_since_ms INTEGER,
    image TEXT NOT NULL,
    PRIMARY KEY (key, submitted_at_ms)
);
CREATE TABLE backup_environments (hash INTEGER PRIMARY KEY, variables TEXT NOT NULL);
CREATE TABLE backup_state (place INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE backup_ids (hash INTEGER PRIMARY KEY);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// Opens it for writing; a new one is made if there is none.
pub(super) fn for_writing(path: &Path) -> Result<Connection, HistoryError> {
    create_private(path)?;
    refuse_folder(path)?;
    let wrong = HistoryError::of(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(&wrong)?;
    connection.busy_timeout(BUSY).map_err(&wrong)?;
    let version = version(&connection, path)?;
    // Readers and the writer do not wait for each other then. A file system that cannot have it gets what it can.
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .map_err(&wrong)?;
    // After a power loss the newest transactions may be missing, never a part of one: the journal has them.
    connection
        .pragma_update(None, "synchronous", "normal")
        .map_err(&wrong)?;
    // Environments that are taken out should not be found in free pages.
    connection
        .pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))
        .map_err(&wrong)?;
    connection
        .pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))
        .map_err(&wrong)?;
    migrate(&mut connection, version).map_err(&wrong)?;
    Ok(connection)
}

/// Others must not read prompts. SQLite gives its further files the permissions of this one.
fn create_private(path: &Path) -> Result<(), HistoryError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(HistoryError::io("create", path)(error)),
    }
}

/// The version of its tables; 0 for a file without any.
fn version(connection: &Connection, path: &Path) -> Result<usize, HistoryError> {
    let wrong = HistoryError::of(path);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let format = number("user_version").map_err(&wrong)?;
    let owner = number("application_id").map_err(&wrong)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(&wrong)?;
    if owner != APPLICATION_ID && (tables > 0 || owner != 0) {
        return Err(HistoryError::Foreign {
            path: path.to_owned(),
        });
    }
    match usize::try_from(format) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(HistoryError::Newer {
            path: path.to_owned(),
            format,
            known: MIGRATIONS.len() as i64,
        }),
    }
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have done it meanwhile.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()
}

/// Opens it for reading, which changes nothing, and works beside a daemon, without one and on a read-only disk.
pub(super) fn for_reading(path: &Path) -> Result<Connection, HistoryError> {
    if let Err(error) = path.metadata() {
        return Err(match error.kind() {
            std::io::ErrorKind::NotFound => HistoryError::Missing {
                path: path.to_owned(),
            },
            _ => HistoryError::io("read", path)(error),
        });
    }
    refuse_folder(path)?;
    match read_with(path, false) {
        // Where the files beside it cannot be made, a database that nobody has open can still be read as it is.
        Err(error) if is_in_the_way(&error) && !has_log(path) => read_with(path, true),
        opened => opened,
    }
    .map_err(HistoryError::of(path))
    .and_then(|connection| match version(&connection, path)? {
        0 => Err(HistoryError::Missing {
            path: path.to_owned(),
        }),
        _ => Ok(connection),
    })
}

/// SQLite's own words for it are those for a broken disk.
fn refuse_folder(path: &Path) -> Result<(), HistoryError> {
    if path.is_dir() {
        return Err(HistoryError::Unusable {
            path: path.to_owned(),
            detail: "it is a folder".to_owned(),
        });
    }
    Ok(())
}

fn read_with(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let immutable = if immutable { "?immutable=1" } else { "" };
    let connection = Connection::open_with_flags(format!("{}{immutable}", uri(path)), flags)?;
    connection.busy_timeout(BUSY)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn is_in_the_way(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
    )
}

/// Whether transactions stand in the write-ahead log that are not in the file.
fn has_log(path: &Path) -> bool {
    beside(path, "-wal")
        .metadata()
        .is_ok_and(|metadata| metadata.len() > 0)
}

/// A file beside it, whose name goes on with this.
pub(super) fn beside(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The path as SQLite wants it where options may follow.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri
}
