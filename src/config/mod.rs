//! The configuration: built-in defaults, then the file, then the environment, then flags; and the
//! places where everything is.
//!
//! An unknown key or a wrong value is an error that names the file, the line and the key; nothing
//! is guessed. Flags are applied by the command line to [`Loaded::config`].

mod admission;
mod environment;
mod error;
mod load;
mod metrics;
mod model;
mod paths;
mod processes;
mod room;
mod signal;
mod source;
mod task_environment;
mod units;
mod validate;
mod worker;

pub use admission::{Admission, StartRate};
pub use error::ConfigError;
pub use load::Loaded;
pub use metrics::{MetricsConfig, MetricsListen};
pub use model::{
    BudgetConfig, Config, JournalConfig, LimitsConfig, LogConfig, Output, Pool, Quota, Retention,
    SchedulerConfig, Slots, StateConfig, TaperStep, DEFAULTS_TOML,
};
pub use paths::{ensure_private_dir, Paths};
pub use room::WorkerLimits;
pub use signal::{parse_signal, parse_signals};
pub(crate) use source::Source;
pub use task_environment::{EnvironmentConfig, SecretsConfig};
pub use units::{format_duration, format_size, parse_duration, parse_size, ByteSize, UnitError};
pub(crate) use validate::Fault;
pub use worker::{WorkerConfig, WorkerKind};

#[cfg(test)]
mod tests;
