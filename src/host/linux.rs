//! What bounds the daemon on Linux besides the machine: the control groups that it is in, and the stalls that
//! the kernel counts. All of it is small files.
//!
//! Every path here is absolute as users know it; [`Files`] reads them below a root, so that tests bring trees of
//! their own.

mod cgroup;
mod files;
mod limits;
mod meter;
mod oom;
mod parked;
mod pressure;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::cgroup::Place;
use self::files::Files;
use self::pressure::Pressure;
use super::reading::{Cpu, Memory, OomKills, Stall, Unreadable};

/// Limits and the daemon's place seldom change, and are what most files would be read for.
const LIMITS_EVERY: Duration = Duration::from_secs(5);

/// The daemon's surroundings.
pub(super) struct Surroundings {
    files: Files,
    place: Place,
    /// When all limits were read; `None` if they must be at the next sample.
    limits_read_at: Option<Duration>,
    /// The outermost control group that had a limit on memory at the last look.
    limited: Option<PathBuf>,
    pressure: Pressure,
}

impl Surroundings {
    pub(super) fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// With all files below this folder.
    fn below(root: &Path) -> Self {
        Self {
            files: Files::below(root),
            place: Place::default(),
            limits_read_at: None,
            limited: None,
            pressure: Pressure::default(),
        }
    }

    /// Finds the control groups that the daemon is in, and their limits.
    pub(super) fn find(&mut self, now: Duration) -> Result<(), Unreadable> {
        let age = self.limits_read_at.map(|then| now.saturating_sub(then));
        if age.is_some_and(|age| age < LIMITS_EVERY) {
            return Ok(());
        }
        self.limits_read_at = None;
        self.place.update(&mut self.files)?;
        let all = limits::read(&mut self.files, &mut self.place);
        self.limits_read_at = all.then_some(now);
        Ok(())
    }

    /// Whether the machine's memory can be read.
    pub(super) fn try_memory(&self) -> Result<(), Unreadable> {
        self.files.try_open(Path::new("/proc/meminfo"))
    }

    /// Whether the machine's processors can be read.
    pub(super) fn try_cpu(&self) -> Result<(), Unreadable> {
        self.files.try_open(Path::new("/proc/stat"))
    }

    /// Free memory that the machine's figure for what is available is without.
    pub(super) fn parked(&mut self, total_bytes: u64) -> u64 {
        parked::bytes(&mut self.files, total_bytes)
    }

    /// What the control groups leave of the machine's memory.
    pub(super) fn limit_memory(&mut self, machine: Memory) -> Result<Memory, Unreadable> {
        let limited = limits::memory(&mut self.files, &self.place.memory, machine)?;
        self.limited = limited.outermost;
        Ok(limited.memory)
    }

    /// What the control groups leave of the machine's processors.
    pub(super) fn limit_cpu(&mut self, now: Duration, machine: Cpu) -> Result<Cpu, Unreadable> {
        limits::cpu(&mut self.files, &mut self.place.cpu, now, machine)
    }

    /// The time lost to waiting for memory.
    pub(super) fn stall(&mut self, now: Duration) -> Result<Option<Stall>, Unreadable> {
        self.pressure.read(&mut self.files, now, self.limited.as_deref())
    }

    /// How many processes the kernel has ended for want of memory.
    pub(super) fn oom_kills(&mut self) -> Result<OomKills, Unreadable> {
        if self.place.update(&mut self.files)? {
            self.limits_read_at = None;
        }
        oom::kills(&mut self.files, &self.place.memory)
    }
}
