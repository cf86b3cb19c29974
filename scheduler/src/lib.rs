//! The pure scheduler: it owns the order of the tasks and decides which one runs next.
//!
//! No clock, file, environment, thread or process: time comes in as an argument, and what shall
//! happen goes out as a list of [`Action`]s. The daemon's engine journals the [`Change`]s it is
//! handed and replays them through [`Scheduler::replay`] after a restart, so that live use and
//! recovery go through the same transition table (`state.rs`).

#![forbid(unsafe_code)]

mod changes;
mod dependencies;
mod entry;
mod explain;
mod input;
mod invariants;
mod lanes;
mod order;
mod replay;
mod retry;
mod scheduler;
mod state;
mod store;
mod task;
mod time;
mod timers;
mod view;

pub use input::{Action, Explanation, GateReport, Input, Limit, LimitScope, Limits, Refusal};
pub use scheduler::Scheduler;
pub use state::{Change, IllegalChange, Reason, Requeue, State};
pub use task::{Backoff, Condition, Dependency, Edit, Lane, Submission, Task, TaskKey};
pub use time::Tick;
