//! The configuration: built-in defaults, then the file, then the environment, then flags; and the
//! places where everything is.
//!
//! An unknown key or a wrong value is an error that names the file, the line and the key; nothing
//! is guessed. Flags are applied by the command line to [`Loaded::config`].

mod environment;
mod error;
mod load;
mod model;
mod paths;
mod signal;
mod units;
mod validate;

pub use error::ConfigError;
pub use load::Loaded;
pub use model::{
    Admission, Config, JournalConfig, LimitsConfig, LogConfig, Output, Pool, Retention, SchedulerConfig,
    Slots, WorkerConfig, WorkerKind, DEFAULTS_TOML,
};
pub use paths::{ensure_private_dir, Paths};
pub use signal::parse_signal;
pub use units::{format_duration, format_size, parse_duration, parse_size, ByteSize, UnitError};

#[cfg(test)]
mod tests;
