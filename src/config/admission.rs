//! Admission: what tasks wait for besides a slot.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::duration;
use super::{format_duration, ByteSize, UnitError};

/// Units of a rate, in milliseconds.
const RATE_UNITS: [(&str, u64); 8] = [
    ("s", 1_000),
    ("sec", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
];

/// Waiting for what is measured of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Whether tasks wait for free memory and CPU.
    pub enabled: bool,
    /// What would wait is only told.
    pub dry_run: bool,
    /// Memory that stays available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_floor: Option<ByteSize>,
    /// What a worker of which nothing is known is expected to need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_memory: Option<ByteSize>,
    /// From this share of the CPUs on, nothing starts …
    pub cpu_high: f64,
    /// … until it is below this one.
    pub cpu_low: f64,
    /// The same for the share of time that is lost to waiting for memory.
    pub stall_high: f64,
    /// Its low mark.
    pub stall_low: f64,
    /// For so long it must be below.
    #[serde(with = "duration")]
    pub reopen_after: Duration,
    /// An older reading is none.
    #[serde(with = "duration")]
    pub stale_after: Duration,
    /// Whether workers are paused or put back when memory is short.
    pub relief: bool,
    /// Memory must have been short for so long.
    #[serde(with = "duration")]
    pub relief_after: Duration,
    /// From one step to the next.
    #[serde(with = "duration")]
    pub relief_interval: Duration,
    /// A worker is paused for at most so long.
    #[serde(with = "duration")]
    pub relief_pause: Duration,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            enabled: true,
            dry_run: false,
            memory_floor: None,
            worker_memory: None,
            cpu_high: 0.9,
            cpu_low: 0.75,
            stall_high: 0.1,
            stall_low: 0.05,
            reopen_after: Duration::from_secs(2),
            stale_after: Duration::from_secs(5),
            relief: true,
            relief_after: Duration::from_secs(2),
            relief_interval: Duration::from_secs(5),
            relief_pause: Duration::from_secs(30),
        }
    }
}

/// How fast tasks may be started: `10/min`, or `10/min burst 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRate {
    /// So many …
    pub starts: NonZeroU32,
    /// … in this time, spread evenly.
    pub per: Duration,
    /// So many at once after a rest.
    pub burst: NonZeroU32,
}

/// Reads `10/min` or `10/min burst 3`.
fn parse_rate(text: &str) -> Option<StartRate> {
    let mut words = text.split_whitespace();
    let (starts, unit) = words.next()?.split_once('/')?;
    let burst = match (words.next(), words.next(), words.next()) {
        (None, ..) => NonZeroU32::MIN,
        (Some("burst"), Some(burst), None) => burst.parse().ok()?,
        _ => return None,
    };
    let (_, per_ms) = RATE_UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(StartRate {
        starts: starts.parse().ok()?,
        per: Duration::from_millis(*per_ms),
        burst,
    })
}

impl fmt::Display for StartRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_ms = u64::try_from(self.per.as_millis()).unwrap_or(u64::MAX);
        let unit = RATE_UNITS.iter().find(|(_, unit_ms)| *unit_ms == per_ms);
        match unit {
            Some((unit, _)) => write!(formatter, "{}/{unit}", self.starts)?,
            None => write!(formatter, "{} in {}", self.starts, format_duration(per_ms))?,
        }
        if self.burst > NonZeroU32::MIN {
            write!(formatter, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

impl Serialize for StartRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for StartRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_rate(text).ok_or_else(|| UnitError::Rate {
            text: text.chars().take(60).collect(),
        })
    }
}

impl<'de> Deserialize<'de> for StartRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, starts, per_s, burst) in [
            ("10/min", 10, 60, 1),
            ("1/s", 1, 1, 1),
            ("100/h burst 5", 100, 3600, 5),
            ("3/d", 3, 86_400, 1),
        ] {
            let rate = parse_rate(text).expect(text);
            assert_eq!(
                (rate.starts.get(), rate.per.as_secs(), rate.burst.get()),
                (starts, per_s, burst)
            );
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(parse_rate("10/hour"), parse_rate("10/h"));
        for wrong in [
            "",
            "10",
            "10/",
            "/min",
            "0/min",
            "-1/min",
            "1.5/s",
            "10/week",
            "10/min burst",
            "10/min burst 0",
            "10/min 3",
        ] {
            assert_eq!(parse_rate(wrong), None, "{wrong}");
        }
    }
}
