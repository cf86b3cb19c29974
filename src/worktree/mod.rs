//! A git worktree and a branch for one task, so that workers do not step on each other's files.
//!
//! `git` itself does all that touches a repository; here it is decided what it is asked to do, and in which order, so
//! that a process killed between any two steps loses no commit and leaves nothing that the next one cannot finish. What
//! git cannot know (whose worktree it is, where it began, whether it is complete) stands in a small file beside it.
//! Nothing here talks to the daemon: the worker's own process makes its worktree, and the command line, or a thread of the
//! daemon that nobody waits for, takes it away.

mod clean;
mod create;
mod diff;
mod enter;
mod error;
mod git;
mod holds;
mod lock;
mod look;
mod merge;
mod place;
mod record;
mod repository;
mod slug;

pub use clean::{clean, clean_after_success, Cleaned};
pub use diff::diff;
pub use enter::move_in;
pub use error::WorktreeError;
pub use holds::Hold;
pub use look::{look, Look, Standing};
pub use merge::{merge, Merged};
pub use place::{asides, find, folder_of, records};
pub use record::{read_pointer, Order, Record, Stage};

/// Branches of tasks are `wezterm-parallel/<task>`.
const BRANCHES: &str = "wezterm-parallel/";
