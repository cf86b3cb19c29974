//! What types alone cannot say about a configuration.

use std::time::Duration;

use super::model::{Config, WorkerConfig};
use super::parse_signal;
use crate::protocol::{check_id, hint};

/// As for tasks: more is a loop, not a retry.
const RETRIES_MAX: u32 = 1000;

/// Less would leave no room for a head and a tail.
const CAP_BYTES_MIN: u64 = 4096;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A key and what is wrong with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) message: String,
    pub(super) hint: String,
}

fn fault(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault {
        key: key.to_owned(),
        message: format!("`{key}`: {}", message.into()),
        hint: hint.into(),
    }
}

/// The first thing that is wrong.
pub(super) fn validate(config: &Config) -> Result<(), Fault> {
    check_default_worker(config)?;
    check_figures(config)?;
    for name in config.limits.workspaces.keys() {
        check_name("limits.workspaces", name)?;
    }
    for (name, worker) in &config.workers {
        check_name("workers", name)?;
        check_worker(&format!("workers.{name}"), worker)?;
    }
    Ok(())
}

fn check_default_worker(config: &Config) -> Result<(), Fault> {
    let name = &config.pool.default_worker;
    if config.workers.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = config.workers.keys().map(String::as_str).collect();
    let message = format!("there is no worker profile {name:?}");
    Err(fault("pool.default_worker", message, hint(name, &known)))
}

fn check_figures(config: &Config) -> Result<(), Fault> {
    at_least(
        "scheduler.aging_step",
        config.scheduler.aging_step,
        Duration::from_millis(1),
        "1ms",
    )?;
    at_least(
        "limits.write_timeout",
        config.limits.write_timeout,
        Duration::from_millis(1),
        "1ms",
    )?;
    at_least("limits.connections", config.limits.connections, 1, "1")?;
    at_least("limits.event_buffer", config.limits.event_buffer, 1, "1")?;
    at_least(
        "output.cap_bytes",
        config.output.cap_bytes.0,
        CAP_BYTES_MIN,
        "4KiB",
    )?;
    at_least("log.files", config.log.files, 1, "1")?;
    at_least(
        "journal.snapshot_bytes",
        config.journal.snapshot_bytes.0,
        1024,
        "1KiB",
    )?;
    let level = &config.log.level;
    if !LEVELS.contains(&level.as_str()) {
        let message = format!("there is no log level {level:?}");
        return Err(fault("log.level", message, hint(level, &LEVELS)));
    }
    Ok(())
}

fn at_least<T: PartialOrd + Copy>(key: &str, value: T, least: T, text: &str) -> Result<(), Fault> {
    if value < least {
        return Err(fault(key, format!("must be at least {text}"), ""));
    }
    Ok(())
}

fn check_name(table: &str, name: &str) -> Result<(), Fault> {
    check_id(name).map_err(|error| Fault {
        key: format!("{table}.{name}"),
        message: format!("`{table}` has a bad name {name:?}"),
        hint: error.hint,
    })
}

fn check_worker(key: &str, worker: &WorkerConfig) -> Result<(), Fault> {
    if let Some(retries) = worker.retries.filter(|retries| *retries > RETRIES_MAX) {
        let message = format!("{retries} retries; {RETRIES_MAX} are allowed");
        return Err(fault(&format!("{key}.retries"), message, ""));
    }
    if let Some(signal) = &worker.stop_signal {
        if parse_signal(signal).is_none() {
            let message = format!("there is no signal {signal:?}");
            let hint = "a name such as TERM, INT or HUP, or a number from 1 to 64";
            return Err(fault(&format!("{key}.stop_signal"), message, hint));
        }
    }
    if worker
        .shell
        .as_deref()
        .is_some_and(|shell| shell.trim().is_empty())
    {
        return Err(fault(&format!("{key}.shell"), "is empty", "name a program"));
    }
    for (name, value) in &worker.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let hint = "names have no `=`, and neither names nor values have a NUL";
            let message = format!("{name:?} cannot be set");
            return Err(fault(&format!("{key}.env"), message, hint));
        }
    }
    Ok(())
}
