//! Durations and sizes as people write them: "1h 30m", "256MiB".

use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Units of time, largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, largest first. A letter alone is binary, as in `dd` and `ulimit`.
const SIZE_UNITS: [(&str, u64); 14] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("t", 1 << 40),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
    ("b", 1),
    ("", 1),
];

/// Text that is no duration or no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("{text:?} is not a duration: {why} (examples: 90s, 1h 30m, 7d)")]
    Duration {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a rate of starts.
    #[error("{text:?} is not a rate (examples: 10/min, 1/s, \"100/h burst 5\")")]
    Rate {
        /// What was given.
        text: String,
    },
    /// Not a size.
    #[error("{text:?} is not a size (examples: 1048576, 256MiB, 10GB)")]
    Size {
        /// What was given.
        text: String,
    },
}

/// Reads a duration with units: `500ms`, `90s`, `1h 30m`, `7d`.
///
/// # Errors
/// If there is no number, no unit or an unknown one.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = |why: String| UnitError::Duration {
        text: text.chars().take(60).collect(),
        why,
    };
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) && trimmed != "0" {
        return Err(wrong("it needs a unit".to_owned()));
    }
    let duration = humantime::parse_duration(trimmed).map_err(|error| {
        let text = error.to_string();
        let short = text.split(", supported").next().unwrap_or_default();
        wrong(short.to_owned())
    })?;
    match u64::try_from(duration.as_millis()) {
        Ok(_) => Ok(duration),
        Err(_) => Err(wrong("it is too long".to_owned())),
    }
}

/// Writes milliseconds so that [`parse_duration`] reads the same again: `1h 30m`.
pub fn format_duration(ms: u64) -> String {
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit, unit_ms) in TIME_UNITS {
        let count = rest / unit_ms;
        rest %= unit_ms;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

/// Reads a size in bytes: a number, or one with a unit. `KiB MiB GiB TiB` and `K M G T` count in
/// 1024s, `KB MB GB TB` in 1000s.
///
/// # Errors
/// If it is not a whole number with a known unit, or too large.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let wrong = || UnitError::Size {
        text: text.chars().take(60).collect(),
    };
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let unit = trimmed[digits..].trim_start().to_ascii_lowercase();
    let number: u64 = trimmed[..digits].parse().map_err(|_| wrong())?;
    let (_, factor) = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    number.checked_mul(*factor).ok_or_else(wrong)
}

/// Writes a size so that [`parse_size`] reads the same again: the largest binary unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let units = [("TiB", 40u32), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = units
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match exact {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A number of bytes; in the config a number or a text such as `256MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// A size in mebibytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format_size(self.0))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size such as 256MiB")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(value))
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<ByteSize, E> {
                u64::try_from(value)
                    .map(ByteSize)
                    .map_err(|_| E::custom(format!("{value} is not a size: it is negative")))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<ByteSize, E> {
                parse_size(value).map(ByteSize).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// `#[serde(with)]` for a duration as text.
pub(super) mod duration {
    use super::*;

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(milliseconds(*value)))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = Duration;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration with its unit, such as \"90s\" or \"1h 30m\"")
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Duration, E> {
                parse_duration(value).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

/// `#[serde(with)]` for a duration that may be absent.
pub(super) mod optional_duration {
    use super::*;

    pub(in crate::config) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super::duration")] Duration);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(duration)| duration))
    }
}

/// `#[serde(with)]` for a size that is kept as a plain number.
pub(super) mod size {
    use super::*;

    pub(in crate::config) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        ByteSize(*value).serialize(serializer)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        let ByteSize(bytes) = ByteSize::deserialize(deserializer)?;
        if bytes < 1024 {
            return Err(D::Error::custom(format!(
                "{bytes} bytes are too few: at least 1KiB"
            )));
        }
        Ok(bytes)
    }
}

/// A duration in whole milliseconds; centuries are cut to what fits.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        insta::assert_snapshot!(parse_duration("30").unwrap_err(), @r#""30" is not a duration: it needs a unit (examples: 90s, 1h 30m, 7d)"#);
        insta::assert_snapshot!(parse_duration("5 parsecs").unwrap_err(), @r#""5 parsecs" is not a duration: unknown time unit "parsecs" (examples: 90s, 1h 30m, 7d)"#);
        insta::assert_snapshot!(parse_duration("").unwrap_err(), @r#""" is not a duration: value was empty (examples: 90s, 1h 30m, 7d)"#);
        insta::assert_snapshot!(parse_duration("99999999999y").unwrap_err(), @r#""99999999999y" is not a duration: it is too long (examples: 90s, 1h 30m, 7d)"#);
    }

    #[test]
    fn sizes_take_both_kinds_of_units() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("256MiB", 256 << 20),
            ("256 mib", 256 << 20),
            ("1G", 1 << 30),
            ("10kB", 10_000),
            ("3B", 3),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5GiB", "-1", "1XB", "99999999999TiB", "é"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number in any::<u64>(), shift in 0u32..64) {
            let number = number >> shift;
            prop_assert_eq!(parse_size(&format_size(number)), Ok(number));
            prop_assert_eq!(
                parse_duration(&format_duration(number)),
                Ok(Duration::from_millis(number))
            );
        }

        #[test]
        fn no_text_makes_them_panic(text in ".{0,30}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
