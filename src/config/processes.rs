//! How long-lived processes are restarted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::duration;

/// How long-lived processes are restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessesConfig {
    /// The wait before the first restart; it doubles with each one in a row …
    #[serde(with = "duration")]
    pub backoff: Duration,
    /// … up to this.
    #[serde(with = "duration")]
    pub backoff_max: Duration,
    /// After a run of this length, restarts are counted anew.
    #[serde(with = "duration")]
    pub good_after: Duration,
    /// So many restarts in a row, and a process is failed.
    pub max_restarts: u32,
}

impl Default for ProcessesConfig {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            good_after: Duration::from_secs(60),
            max_restarts: 10,
        }
    }
}
