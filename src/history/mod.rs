//! The history: every ended task and attempt in one SQLite file, to search in, and a backup of what the journal holds.
//!
//! It is optional, and it is never the truth: that is the journal. The engine hands over what was committed, in
//! batches, to a thread of its own ([`Writer`]). If that thread is slow, or the file is locked, damaged or on a disk
//! that takes nothing, the engine keeps the keys of what is missing and goes on; once the file can be written again,
//! it is filled up. After a crash of the daemon both sides are compared, task by task.
//!
//! Any program that knows SQLite can read the file, while it is written and without a daemon. `tasks` and `attempts`
//! are for people; what begins with `backup_` is for `history restore`.

mod backup;
mod error;
mod filter;
mod health;
mod insert;
mod open;
mod read;
mod restoring;
mod task;
mod tokens;
mod writer;

pub use backup::{Batch, Kept, Range};
pub use error::HistoryError;
pub use filter::{Cursor, HistoryFilter};
pub use health::{Health, Trouble};
pub use insert::Import;
pub use read::{Contents, Reader};
pub use restoring::{BackedUp, Backup};
pub use task::{HistoryAttempt, HistoryTask, FORMAT};
pub use writer::Writer;

#[cfg(test)]
mod tests;
