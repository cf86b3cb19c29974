//! What the system tells of the daemon's own process, under the names that every program has for it.

use super::catalog;
use super::Ledger;
use crate::platform;

/// Reads it. What the system does not tell stays away.
pub(super) fn measure(ledger: &mut Ledger) {
    let own = platform::own_process();
    ledger.sum_up(catalog::PROCESS_CPU, [], own.cpu.as_secs_f64());
    let gauges = [
        (catalog::PROCESS_RESIDENT, own.resident_bytes),
        (catalog::PROCESS_VIRTUAL, own.virtual_bytes),
        (catalog::PROCESS_OPEN_FDS, own.open_files),
        (catalog::PROCESS_MAX_FDS, own.files_max),
        (catalog::PROCESS_THREADS, own.threads),
    ];
    for (gauge, value) in gauges {
        if let Some(value) = value {
            ledger.set(gauge, [], value as f64);
        }
    }
    if let Some(started_at) = own.started_at {
        ledger.set(catalog::PROCESS_START, [], started_at.as_secs_f64());
    }
}
