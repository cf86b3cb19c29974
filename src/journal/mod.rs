//! The journal: what was acknowledged, on disk, in an order that can be replayed.
//!
//! It exists so that an answer means "this survives SIGKILL and power loss" (design §4, §8). The
//! engine's thread owns the [`Journal`] and calls it synchronously; only a snapshot is written by
//! a thread of its own.
//!
//! # Files
//!
//! All files lie in `journal/` and consist of frames, one line each, readable by a person:
//!
//! ```text
//! 00000001.wal          a segment: header, then records numbered without a gap
//! 00000002.snapshot     what segments before 00000002.wal had led to; `.tmp` until complete
//! synced                the marker: segment and length that the last successful sync covered
//! *.torn-1              bytes cut off the end of a segment: a write that was never acknowledged
//! *.damaged-1           a snapshot that could not be read, while older files could
//! damaged-1/            the files as they were before `doctor --repair`
//! ```
//!
//! A frame is `length crc32 lsn` in fixed-width hexadecimal, a mark, JSON, and a newline; the
//! [`frame`](Frame) module has the details. A segment and a snapshot of the same number belong
//! together: loading starts with the newest complete snapshot, then reads its segment and all
//! later ones.
//!
//! # Torn or damaged
//!
//! A crash in the middle of a write leaves a *torn tail*: bytes that no caller was ever told are
//! safe. They are cut off with a warning and kept in a file beside the segment. Anything else
//! that cannot be read is *damage* of something acknowledged: opening is refused with the file and
//! the offset, and [`repair`] moves the files aside and keeps what can be read. The marker tells
//! the two apart; it is written after each sync without a sync of its own, so it is exact after
//! SIGKILL and at worst too low after a power loss. Without it, the shape of the tail decides.
//!
//! # Fuzzy snapshots
//!
//! A snapshot is handed over in chunks between which the engine goes on. Each chunk carries the
//! number of the newest record when it was made; on loading, older records about its tasks are
//! skipped, as the images contain them already.
//!
//! Whoever opens the journal makes sure, by the daemon's lock, that nobody else has it open.

mod chain;
mod error;
mod frame;
mod listing;
mod log;
mod marker;
mod open;
mod record;
mod repair;
mod replay;
mod salvage;
mod segment;
mod snapshot;
mod storage;

pub use error::JournalError;
pub use frame::{scan, BadFrame, Frame, Mark, Scan};
#[cfg(test)]
pub(crate) use log::Broken;
pub use log::{Journal, Lsn, Options, Stats};
pub use open::Opened;
pub use record::{
    AccountImage, AttemptImage, ClaudeFacts, EnvHash, Extra, Record, Spec, Spent, TaskImage, WorkspaceImage,
    WorktreeSpec,
};
pub use repair::{check, repair, RepairReport};

#[cfg(test)]
mod tests;
