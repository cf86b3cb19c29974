//! Long-lived processes beside the queue: a dev server, a watcher.
//!
//! They run under the same shims as tasks and are adopted like them, but nobody queues them: each starts when it is
//! spawned and again by its own policy. To the executor, the gauge and the watchers a process is a key like that of a
//! task, from a range that tasks never reach.

mod counted;
mod ends;
mod policy;
mod report;
mod requests;
mod runs;
mod table;
mod views;

#[cfg(test)]
mod tests;

use wezterm_parallel_scheduler::TaskKey;

pub(super) use self::counted::Counted;
pub(super) use self::table::Processes;
pub(super) use self::views::{report_view, worker_of};
use crate::protocol::PROCESS_MARK;

/// Keys of processes have this bit; numbers of tasks are given from 1 on, and never come so far.
const BIT: u64 = 1 << 63;

/// The key of a process.
pub(super) fn key_of(number: u64) -> TaskKey {
    TaskKey(BIT | number)
}

/// The number of the process that has this key; `None` for the key of a task.
pub(super) fn number_of(key: TaskKey) -> Option<u64> {
    (key.0 & BIT != 0).then_some(key.0 & !BIT)
}

/// The id of a process.
pub(super) fn id_of(number: u64) -> String {
    format!("{PROCESS_MARK}{number}")
}
