//! What types alone cannot say about a configuration.

use std::time::Duration;

use super::admission::Admission;
use super::metrics::MetricsConfig;
use super::model::Config;
use super::parse_signals;
use super::room::check_room;
use super::worker::{WorkerConfig, WorkerKind};
use crate::protocol::{check_id, hint, own_argument, RESTARTS_MAX};

/// As for tasks: more is a loop, not a retry.
const RETRIES_MAX: u32 = 1000;

/// Less would leave no room for a head and a tail.
const CAP_BYTES_MIN: u64 = 4096;
/// The largest weight of a workspace.
const WEIGHT_MAX: u32 = 1_000;

/// More is a typing error.
const DOLLARS_MAX: f64 = 1_000_000.0;

/// More is a typing error.
const CPUS_MAX: f64 = 4096.0;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A key and what is wrong with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) hint: String,
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
    check_quota(config)?;
    check_budgets(config)?;
    check_admission(&config.admission)?;
    check_metrics(&config.metrics)?;
    for name in config.limits.workspaces.keys() {
        check_name("limits.workspaces", name)?;
    }
    for name in config.limits.rates.keys() {
        check_name("limits.rates", name)?;
    }
    for (name, weight) in &config.limits.weights {
        check_name("limits.weights", name)?;
        check_weight(&format!("limits.weights.{name}"), *weight)?;
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
    let processes = &config.processes;
    at_least(
        "processes.backoff",
        processes.backoff,
        Duration::from_millis(1),
        "1ms",
    )?;
    at_least(
        "processes.backoff_max",
        processes.backoff_max,
        Duration::from_millis(1),
        "1ms",
    )?;
    if processes.max_restarts > RESTARTS_MAX {
        let message = format!(
            "{} restarts, but at most {RESTARTS_MAX} are allowed",
            processes.max_restarts
        );
        return Err(fault(
            "processes.max_restarts",
            message,
            "more than that is a loop",
        ));
    }
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

fn check_quota(config: &Config) -> Result<(), Fault> {
    for step in &config.quota.taper {
        if !(0.0..=1.0).contains(&step.above) {
            let message = format!("`above` is {}, but must be 0 to 1", step.above);
            return Err(fault("quota.taper", message, "0.9 means 90 % of the limit"));
        }
        at_least("quota.taper", step.at_most, 1, "1 task at once")?;
    }
    Ok(())
}

fn check_budgets(config: &Config) -> Result<(), Fault> {
    let budget = &config.budget;
    check_dollars("budget.day_usd", budget.day_usd)?;
    check_dollars("budget.task_usd", budget.task_usd)?;
    for (name, dollars) in &budget.workspaces {
        check_name("budget.workspaces", name)?;
        check_dollars(&format!("budget.workspaces.{name}"), Some(*dollars))?;
    }
    Ok(())
}

fn check_admission(admission: &Admission) -> Result<(), Fault> {
    let marks = [
        ("cpu", admission.cpu_low, admission.cpu_high),
        ("stall", admission.stall_low, admission.stall_high),
    ];
    for (name, low, high) in marks {
        if !(0.0..=1.0).contains(&high) || high == 0.0 {
            let message = format!("{high} is no share: more than 0 and at most 1 are allowed");
            return Err(fault(
                &format!("admission.{name}_high"),
                message,
                "0.9 means 90 %",
            ));
        }
        if !(0.0..=high).contains(&low) {
            let message = format!("{low} is not between 0 and the high mark, {high}");
            let hint = "once closed, the gate opens below the low mark";
            return Err(fault(&format!("admission.{name}_low"), message, hint));
        }
    }
    let second = Duration::from_secs(1);
    at_least("admission.stale_after", admission.stale_after, 2 * second, "2s")?;
    at_least(
        "admission.relief_interval",
        admission.relief_interval,
        second,
        "1s",
    )?;
    at_least("admission.relief_pause", admission.relief_pause, second, "1s")
}

/// There is neither a password nor encryption, so others are let in only by whoever says so.
fn check_metrics(metrics: &MetricsConfig) -> Result<(), Fault> {
    match metrics.listen.0 {
        Some(address) if !address.ip().is_loopback() && !metrics.allow_remote => {
            let message = format!("other machines may reach {address}, and could read the metrics");
            let hint = "take a loopback address (127.0.0.1, [::1]), or set metrics.allow_remote = true";
            Err(fault("metrics.listen", message, hint))
        }
        _ => Ok(()),
    }
}

fn check_dollars(key: &str, dollars: Option<f64>) -> Result<(), Fault> {
    match dollars {
        Some(dollars) if !(dollars > 0.0 && dollars <= DOLLARS_MAX) => {
            let message = format!("{dollars} dollars; more than 0 and at most {DOLLARS_MAX} are allowed");
            Err(fault(key, message, "leave it out for no limit"))
        }
        _ => Ok(()),
    }
}

fn at_least<T: PartialOrd + Copy>(key: &str, value: T, least: T, text: &str) -> Result<(), Fault> {
    if value < least {
        return Err(fault(key, format!("must be at least {text}"), ""));
    }
    Ok(())
}

fn check_weight(key: &str, weight: u32) -> Result<(), Fault> {
    if (1..=WEIGHT_MAX).contains(&weight) {
        return Ok(());
    }
    let hint = "a workspace with 2 gets twice the slots of one with 1; a limit of 0 in `limits.workspaces` stops one";
    Err(fault(key, format!("must be 1 to {WEIGHT_MAX}"), hint))
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
    if let Some(cpus) = worker.cpus.filter(|cpus| !(0.0..=CPUS_MAX).contains(cpus)) {
        let message = format!("{cpus} CPUs; 0 to {CPUS_MAX} are allowed");
        return Err(fault(&format!("{key}.cpus"), message, "0.5 is half a CPU"));
    }
    if let Some(signal) = &worker.stop_signal {
        if parse_signals(signal).is_none() {
            let message = format!("there is no signal {signal:?}");
            let hint = "a name such as TERM, INT or HUP, or a number from 1 to 64; two at most, separated by a space";
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
    check_claude(key, worker)?;
    check_room(key, worker)?;
    for (name, value) in &worker.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let hint = "names have no `=`, and neither names nor values have a NUL";
            let message = format!("{name:?} cannot be set");
            return Err(fault(&format!("{key}.env"), message, hint));
        }
    }
    Ok(())
}

/// Options of one kind make no sense in another: most likely `kind` is wrong.
fn check_claude(key: &str, worker: &WorkerConfig) -> Result<(), Fault> {
    if worker.kind != WorkerKind::Claude {
        return match claude_options(worker).iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => {
                let message = "is an option of kind \"claude\"";
                Err(fault(
                    &format!("{key}.{option}"),
                    message,
                    "remove it, or set kind = \"claude\"",
                ))
            }
            None => Ok(()),
        };
    }
    if worker.shell.is_some() {
        return Err(fault(
            &format!("{key}.shell"),
            "is an option of kind \"shell\"",
            "remove it",
        ));
    }
    check_dollars(&format!("{key}.max_budget_usd"), worker.max_budget_usd)?;
    if let Some(account) = &worker.account {
        check_name(&format!("{key}.account"), account)?;
    }
    if let Some((own, instead)) = own_argument(worker.extra_args.as_deref().unwrap_or_default()) {
        return Err(fault(
            &format!("{key}.extra_args"),
            format!("holds {own}"),
            instead,
        ));
    }
    if worker.max_turns == Some(0) {
        return Err(fault(&format!("{key}.max_turns"), "must be at least 1", ""));
    }
    let is_blank = |text: &Option<String>| text.as_deref().is_some_and(|text| text.trim().is_empty());
    if is_blank(&worker.binary) {
        return Err(fault(&format!("{key}.binary"), "is empty", "name a program"));
    }
    if let Some(timeout) = worker.stall_timeout {
        at_least(
            &format!("{key}.stall_timeout"),
            timeout,
            Duration::from_secs(1),
            "1s",
        )?;
    }
    Ok(())
}

fn claude_options(worker: &WorkerConfig) -> [(&'static str, bool); 18] {
    [
        ("binary", worker.binary.is_some()),
        ("account", worker.account.is_some()),
        ("model", worker.model.is_some()),
        ("fallback_model", worker.fallback_model.is_some()),
        ("permission_mode", worker.permission_mode.is_some()),
        ("allowed_tools", worker.allowed_tools.is_some()),
        ("disallowed_tools", worker.disallowed_tools.is_some()),
        ("max_turns", worker.max_turns.is_some()),
        ("max_budget_usd", worker.max_budget_usd.is_some()),
        ("effort", worker.effort.is_some()),
        ("append_system_prompt", worker.append_system_prompt.is_some()),
        ("mcp_config", worker.mcp_config.is_some()),
        ("extra_args", worker.extra_args.is_some()),
        ("partial_messages", worker.partial_messages.is_some()),
        ("permissions", worker.permissions.is_some()),
        ("denied", worker.denied.is_some()),
        ("stall_timeout", worker.stall_timeout.is_some()),
        ("patience", worker.patience.is_some()),
    ]
}
