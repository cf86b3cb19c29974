//! The pure scheduler: it owns the order of the tasks and decides which one runs next.
//!
//! No clock, file, environment, thread or process: time comes in as an argument, and what shall
//! happen goes out as a list of [`Action`]s. The daemon's engine journals the [`Change`]s it is
//! handed and replays them through [`Scheduler::replay`] after a restart, so that live use and
//! recovery go through the same transition table (`state.rs`).
//!
//! A task starts once nothing is in its way: its own facts (a hold, dependencies, a session that
//! another task works in, a delay), the pool's slots, what closes its lane (pauses, limits, rates,
//! and the gates and budgets that are handed in from outside), and what the machine can carry by
//! the newest reading (`admission/`). Gates, budgets, rules and readings are not journaled: the
//! engine hands them in anew after a restart.

#![forbid(unsafe_code)]

mod admission;
mod budgets;
mod census;
mod changes;
mod dependencies;
mod entry;
mod explain;
mod foremost;
mod gates;
mod input;
mod invariants;
mod lanes;
mod order;
mod replay;
mod retry;
mod scheduler;
mod sessions;
mod shares;
mod state;
mod store;
mod task;
mod time;
mod timers;
mod view;

pub use admission::{
    AdmissionReport, AdmissionRules, Companion, CompanionReport, GateNotice, GateVerdict, HostCpu,
    HostMemory, HostReading, LanePeak, Measured, ProfileRules, Rate, RateScope, Relief, ReliefRules,
    ReservationReport, Source, TreeMemory,
};
pub use budgets::{Budget, BudgetScope};
pub use census::{Census, PriorityClass};
pub use gates::{Gate, GateScope};
pub use input::{Action, Explanation, GateReport, Input, Limit, LimitScope, Limits, Refusal};
pub use scheduler::Scheduler;
pub use shares::Share;
pub use state::{Change, IllegalChange, Reason, Requeue, State};
pub use task::{Backoff, Condition, Dependency, Edit, Lane, Needs, Submission, Task, TaskKey};
pub use time::Tick;
