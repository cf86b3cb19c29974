//! How option values are read: priorities, durations, moments, environment settings, ids.
//!
//! Each parser is pure and its error names the value and what would have been right, because clap
//! prints it as it is.

use std::time::Duration;

use jiff::{civil, Timestamp, ToSpan, Zoned};

use crate::protocol::{self, ErrorAnswer};

/// Priorities that have a name.
pub(crate) const PRIORITIES: [(&str, u8); 4] = [("low", 50), ("normal", 100), ("high", 150), ("urgent", 200)];

/// Reads `0` to `255` or a name.
pub(crate) fn priority(text: &str) -> Result<u8, String> {
    let named = PRIORITIES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    named
        .map(|(_, value)| *value)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            "a priority is 0 to 255, or low (50), normal (100), high (150), urgent (200)".to_owned()
        })
}

/// Reads `400MiB` or `2GB`.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    match size_or_none(text)? {
        0 => Err("a task needs some memory: leave the option out for what was learned".to_owned()),
        bytes => Ok(bytes),
    }
}

/// The same, or 0.
pub(crate) fn size_or_none(text: &str) -> Result<u64, String> {
    crate::config::parse_size(text).map_err(|error| error.to_string())
}

/// Reads `2` or `0.5` processors.
pub(crate) fn cpus(text: &str) -> Result<f64, String> {
    match cpus_or_none(text)? {
        0.0 => Err("a task needs some of a processor: leave the option out for what is measured".to_owned()),
        cpus => Ok(cpus),
    }
}

/// The same, or 0.
pub(crate) fn cpus_or_none(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let fits = |cpus: &f64| (*cpus == 0.0 || *cpus >= protocol::CPUS_MIN) && *cpus <= protocol::CPUS_MAX;
    number.filter(fits).ok_or_else(|| {
        format!(
            "a number of processors is from {} to {}, like 2 or 0.5",
            protocol::CPUS_MIN,
            protocol::CPUS_MAX
        )
    })
}

/// Reads `90s`, `1h30m`, `2 days` as milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    const FORMS: &str = "a duration is a number with a unit, like 500ms, 90s, 1h30m or 2days";
    if text == "0" {
        return Ok(0);
    }
    let duration = humantime::parse_duration(text).map_err(|_| FORMS.to_owned())?;
    u64::try_from(duration.as_millis()).map_err(|_| FORMS.to_owned())
}

/// Reads a moment in local time, or with an offset, as milliseconds since the Unix epoch.
pub(crate) fn moment_ms(text: &str) -> Result<u64, String> {
    moment_ms_from(text, &Zoned::now())
}

/// As [`moment_ms`], seen from `now`: a bare time of day means the next time that clocks show it.
fn moment_ms_from(text: &str, now: &Zoned) -> Result<u64, String> {
    let moment = exact_moment(text)
        .or_else(|| time_of_day(text, now))
        .or_else(|| {
            let civil: civil::DateTime = text.parse().ok()?;
            Some(civil.to_zoned(now.time_zone().clone()).ok()?.timestamp())
        })
        .ok_or_else(|| {
            "a moment is a local time like 18:30 or \"2026-01-02 03:04\", or RFC 3339 like \
             2026-01-02T03:04:05+01:00"
                .to_owned()
        })?;
    u64::try_from(moment.as_millisecond()).map_err(|_| "the moment lies before 1970".to_owned())
}

/// A moment that says its offset from UTC itself.
fn exact_moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The next time that local clocks show this time of day.
fn time_of_day(text: &str, now: &Zoned) -> Option<Timestamp> {
    let digits_first = text.starts_with(|first: char| first.is_ascii_digit());
    if !digits_first || !text.contains(':') || text.contains('-') {
        return None;
    }
    let padded = if text.find(':') == Some(1) {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    let time: civil::Time = padded.parse().ok()?;
    let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone());
    let today = today.ok()?;
    if &today > now {
        return Some(today.timestamp());
    }
    let tomorrow = now.date().checked_add(1.day()).ok()?.to_datetime(time);
    let tomorrow = tomorrow.to_zoned(now.time_zone().clone()).ok()?;
    Some(tomorrow.timestamp())
}

/// Reads `today`, an age like `7d` or a day like `2026-11-01` as milliseconds since the Unix epoch.
pub(crate) fn since_ms(text: &str) -> Result<u64, String> {
    since_ms_from(text, &Zoned::now())
}

fn since_ms_from(text: &str, now: &Zoned) -> Result<u64, String> {
    const FORMS: &str = "a day is today, an age like 7d, or a date like 2026-11-01";
    let moment = if text == "today" {
        now.start_of_day().ok().map(|day| day.timestamp())
    } else if let Ok(age) = duration_ms(text) {
        let age = i64::try_from(age).map_err(|_| FORMS.to_owned())?;
        now.timestamp().checked_sub(age.milliseconds()).ok()
    } else {
        let day: Option<civil::Date> = text.parse().ok();
        day.and_then(|day| day.to_zoned(now.time_zone().clone()).ok())
            .map(|day| day.timestamp())
    };
    let moment = moment.ok_or_else(|| FORMS.to_owned())?;
    u64::try_from(moment.as_millisecond()).map_err(|_| "the day lies before 1970".to_owned())
}

/// One `--env`: a name to copy from the caller, or a name with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvSetting {
    /// The variable.
    pub(crate) name: String,
    /// Its value; `None` copies the caller's.
    pub(crate) value: Option<String>,
}

/// Reads `NAME` or `NAME=VALUE`.
pub(crate) fn env_setting(text: &str) -> Result<EnvSetting, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("a variable is NAME (copied from here) or NAME=VALUE".to_owned());
    }
    Ok(EnvSetting {
        name: name.to_owned(),
        value,
    })
}

/// Reads a task's id.
pub(crate) fn task_id(text: &str) -> Result<String, String> {
    protocol::check_id(text).map_err(in_one_line)?;
    Ok(text.to_owned())
}

/// Reads `ID` or `ID:success|failure|any`.
pub(crate) fn dependency(text: &str) -> Result<String, String> {
    protocol::parse_after(text).map_err(in_one_line)?;
    Ok(text.to_owned())
}

/// An error and its hint, as clap prints errors of values.
fn in_one_line(error: ErrorAnswer) -> String {
    if error.hint.is_empty() {
        return error.message;
    }
    format!("{} ({})", error.message, error.hint)
}

/// Milliseconds in the words people use: `850ms`, `4.2s`, `3m10s`, `2h05m`, `3d4h`.
pub(crate) fn short_duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{ms}ms"),
        1..=9 => format!("{}.{}s", seconds, ms % 1_000 / 100),
        10..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..=86_399 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Bytes as people read them: `512 B`, `1.2 GiB`.
pub(crate) fn short_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// US dollars as people read them: `$12.34`, and with four digits what is less than one: `$0.0123`.
pub(crate) fn short_dollars(dollars: f64) -> String {
    // An empty sum may be a negative zero.
    let dollars = dollars + 0.0;
    if dollars > 0.0 && dollars < 0.99995 {
        format!("${dollars:.4}")
    } else {
        format!("${dollars:.2}")
    }
}

/// A count of tokens as people read it: `340`, `1.2k`, `3.4M`.
pub(crate) fn short_tokens(count: u64) -> String {
    const UNITS: [&str; 4] = ["k", "M", "G", "T"];
    if count < 1_000 {
        return count.to_string();
    }
    let mut value = count as f64 / 1_000.0;
    let mut unit = 0;
    // What would be shown as 1000.0 is 1.0 of the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS[unit])
}

/// A choice that can be made for, made against, or left to others.
pub(crate) fn wanted(yes: bool, no: bool) -> Option<bool> {
    match (yes, no) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// A moment in local time, to the second.
pub(crate) fn local_time(ms: u64) -> String {
    let moment = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    match moment {
        Some(moment) => moment
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        None => format!("{ms} ms"),
    }
}

/// Milliseconds since the Unix epoch, now.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Zoned {
        "2026-03-28T12:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn at(text: &str) -> Result<String, String> {
        let ms = moment_ms_from(text, &noon())?;
        let moment = Timestamp::from_millisecond(ms.try_into().unwrap()).unwrap();
        Ok(moment
            .to_zoned(noon().time_zone().clone())
            .strftime("%F %T %:z")
            .to_string())
    }

    #[test]
    fn priorities_are_numbers_or_names() {
        assert_eq!(priority("0"), Ok(0));
        assert_eq!(priority("255"), Ok(255));
        assert_eq!(priority("low"), Ok(50));
        assert_eq!(priority("Urgent"), Ok(200));
        for wrong in ["256", "-1", "", "top", "1.5"] {
            assert!(priority(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration_ms("90s"), Ok(90_000));
        assert_eq!(duration_ms("1h30m"), Ok(5_400_000));
        assert_eq!(duration_ms("2 days"), Ok(172_800_000));
        assert_eq!(duration_ms("0"), Ok(0));
        for wrong in ["90", "-5s", "soon", "", "99999999999999999999s"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_of_day_means_the_next_one() {
        assert_eq!(at("18:30").unwrap(), "2026-03-28 18:30:00 +01:00");
        assert_eq!(at("9:15").unwrap(), "2026-03-29 09:15:00 +02:00");
        assert_eq!(at("12:00").unwrap(), "2026-03-29 12:00:00 +02:00");
    }

    #[test]
    fn moments_are_local_unless_they_say_otherwise() {
        assert_eq!(at("2026-07-01 03:04").unwrap(), "2026-07-01 03:04:00 +02:00");
        assert_eq!(at("2026-07-01T03:04:05").unwrap(), "2026-07-01 03:04:05 +02:00");
        assert_eq!(at("2026-07-01T03:04:05Z").unwrap(), "2026-07-01 05:04:05 +02:00");
        assert_eq!(
            at("2026-07-01T03:04:05+09:00").unwrap(),
            "2026-06-30 20:04:05 +02:00"
        );
        for wrong in [
            "tomorrow",
            "25:00",
            "18h30",
            "",
            "2026-13-01 00:00",
            "1900-01-01 00:00",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_a_word_an_age_or_a_date() {
        let since = |text: &str| {
            let ms = since_ms_from(text, &noon())?;
            let moment = Timestamp::from_millisecond(ms.try_into().unwrap()).unwrap();
            Ok::<_, String>(
                moment
                    .to_zoned(noon().time_zone().clone())
                    .strftime("%F %T")
                    .to_string(),
            )
        };
        assert_eq!(since("today").unwrap(), "2026-03-28 00:00:00");
        assert_eq!(since("7d").unwrap(), "2026-03-21 12:00:00");
        assert_eq!(since("2026-01-02").unwrap(), "2026-01-02 00:00:00");
        for wrong in ["yesterday", "7", "", "2026-13-01", "99999d", "18:30"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn env_settings_copy_or_set() {
        let set = |name: &str, value: Option<&str>| EnvSetting {
            name: name.into(),
            value: value.map(Into::into),
        };
        assert_eq!(env_setting("A"), Ok(set("A", None)));
        assert_eq!(env_setting("A="), Ok(set("A", Some(""))));
        assert_eq!(env_setting("A=b=c"), Ok(set("A", Some("b=c"))));
        assert!(env_setting("=b").is_err());
    }

    #[test]
    fn dependencies_name_an_id_and_a_condition() {
        assert!(dependency("build").is_ok());
        assert!(dependency("build:any").is_ok());
        assert!(dependency("build:later").is_err());
        assert!(dependency("bad id").is_err());
        assert!(task_id(&"x".repeat(64)).is_ok());
        assert!(task_id(&"x".repeat(65)).is_err());
    }

    #[test]
    fn spans_and_sizes_are_short() {
        let spans = [850, 4_260, 59_999, 190_000, 7_500_000, 280_000_000].map(short_duration);
        assert_eq!(spans, ["850ms", "4.2s", "59s", "3m10s", "2h05m", "3d05h"]);
        let sizes = [512, 1_536, 1_288_490_189].map(short_bytes);
        assert_eq!(sizes, ["512 B", "1.5 KiB", "1.2 GiB"]);
    }
    #[test]
    fn costs_and_tokens_are_short() {
        let dollars = [0.0, 0.000_04, 0.0123, 0.5, 0.999_99, 1.0, 12.345].map(short_dollars);
        assert_eq!(
            dollars,
            ["$0.00", "$0.0000", "$0.0123", "$0.5000", "$1.00", "$1.00", "$12.35"]
        );
        let tokens = [0, 999, 1_000, 1_234, 999_949, 999_950, 3_400_000, 12_000_000_000].map(short_tokens);
        assert_eq!(
            tokens,
            ["0", "999", "1.0k", "1.2k", "999.9k", "1.0M", "3.4M", "12.0G"]
        );
    }
}
