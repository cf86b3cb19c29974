//! macOS has no control groups and tells no stalls: there the machine is all that bounds the daemon.

use std::time::Duration;

use super::reading::{Cpu, Memory, OomKills, Stall, Unreadable};

/// The daemon's surroundings.
pub(super) struct Surroundings;

impl Surroundings {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn find(&mut self, _now: Duration) -> Result<(), Unreadable> {
        Ok(())
    }

    /// sysinfo asks by system calls here, which want no file.
    pub(super) fn try_memory(&self) -> Result<(), Unreadable> {
        Ok(())
    }

    /// As above.
    pub(super) fn try_cpu(&self) -> Result<(), Unreadable> {
        Ok(())
    }

    pub(super) fn parked(&mut self, _total_bytes: u64) -> u64 {
        0
    }

    pub(super) fn limit_memory(&mut self, machine: Memory) -> Result<Memory, Unreadable> {
        Ok(machine)
    }

    pub(super) fn limit_cpu(&mut self, _now: Duration, machine: Cpu) -> Result<Cpu, Unreadable> {
        Ok(machine)
    }

    pub(super) fn stall(&mut self, _now: Duration) -> Result<Option<Stall>, Unreadable> {
        Ok(None)
    }

    pub(super) fn oom_kills(&mut self) -> Result<OomKills, Unreadable> {
        Ok(OomKills::default())
    }
}
