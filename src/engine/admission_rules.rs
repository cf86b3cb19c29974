//! The rules of admission, from the config into the scheduler's own words.

use std::sync::Arc;
use std::time::Duration;

use wezterm_parallel_scheduler::{AdmissionRules, ProfileRules, Rate, RateScope, ReliefRules};

use crate::config::{Config, StartRate};

/// Thousandths; whatever is no number of them counts as none.
pub(super) fn milli(number: f64) -> u32 {
    (number * 1_000.0).round() as u32
}

/// The rules as the config has them.
pub(super) fn rules(config: &Config) -> AdmissionRules {
    let admission = &config.admission;
    AdmissionRules {
        enabled: admission.enabled,
        dry_run: admission.dry_run,
        floor_bytes: admission.memory_floor.map(|size| size.0),
        cpu_high_permille: milli(admission.cpu_high),
        cpu_low_permille: milli(admission.cpu_low),
        stall_high_permille: milli(admission.stall_high),
        stall_low_permille: milli(admission.stall_low),
        reopen_after_ms: millis(admission.reopen_after),
        stale_after_ms: millis(admission.stale_after),
        memory_default_bytes: admission.worker_memory.map(|size| size.0),
        profiles: profiles(config),
        rates: rates(config),
        relief: ReliefRules {
            enabled: admission.relief,
            after_ms: millis(admission.relief_after),
            interval_ms: millis(admission.relief_interval),
            pause_at_most_ms: millis(admission.relief_pause),
        },
        ..AdmissionRules::default()
    }
}

fn profiles(config: &Config) -> std::collections::BTreeMap<Arc<str>, ProfileRules> {
    let profile = |(name, worker): (&String, &crate::config::WorkerConfig)| {
        let rules = ProfileRules {
            memory_default_bytes: worker.memory.map(|size| size.0),
            cpus_default_milli: worker.cpus.map(milli),
        };
        (Arc::from(name.as_str()), rules)
    };
    config.workers.iter().map(profile).collect()
}

fn rates(config: &Config) -> Vec<Rate> {
    let rate = |scope, rate: &StartRate| Rate {
        scope,
        starts: rate.starts,
        per_ms: millis(rate.per),
        burst: rate.burst,
    };
    let of_workers = config.workers.iter().filter_map(|(name, worker)| {
        let scope = RateScope::Worker(name.as_str().into());
        Some(rate(scope, worker.rate.as_ref()?))
    });
    let of_workspaces = config.limits.rates.iter().map(|(name, given)| {
        let scope = RateScope::Workspace(name.as_str().into());
        rate(scope, given)
    });
    of_workers.chain(of_workspaces).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
