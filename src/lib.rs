//! wezterm-parallel: a per-user daemon that runs prioritized commands on a bounded pool of workers.
//!
//! The way of a task: [`protocol`] turns a line into a message, [`daemon`] hands it to the
//! [`engine`], the only owner of the scheduler; the [`journal`] makes it durable, the
//! [`executor`] starts a shim for it, and the shim leaves its outcome in the attempt folder.

pub mod cgroup;
pub mod claude;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod entrance;
pub mod executor;
pub mod gauge;
pub mod history;
pub mod host;
pub mod journal;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod pane;
mod platform;
pub mod prober;
pub mod protocol;
pub mod secrets;
pub mod templates;
pub mod worker;
pub mod workspace_session;
pub mod worktree;
