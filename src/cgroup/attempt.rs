//! The group of one attempt: made with its limits, entered by the worker, read when it is over, and removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GroupLimits, Means, ATTEMPT_PREFIX};

/// A process that has just ended may be counted for a moment yet.
const REMOVE_TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// A group with its limits, as it is written down beside the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptGroup {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Those of its limits that hold.
    pub(crate) limits: GroupLimits,
}

/// What the kernel has counted in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Processes that it has ended for want of memory.
    pub(crate) oom_kills: u64,
    /// How often memory ran out at the group's own limit, and not at that of a group above it or of the machine.
    pub(crate) at_memory_max: u64,
    /// How often processes were slowed down above `memory_high`.
    pub(crate) throttled: u64,
    /// How often no process or thread could be started at `pids_max`.
    pub(crate) forks_refused: u64,
    /// The most memory that it had, files that were read included; only Linux 5.19 and later tell.
    pub(crate) peak_bytes: Option<u64>,
}

impl AttemptGroup {
    /// Makes the group of an attempt with those limits that the controllers at hand can keep. `Ok(None)` if there are
    /// no means at all, or none of the limits could hold.
    pub(crate) fn make(
        means: &Means,
        limits: &GroupLimits,
        key: u64,
        attempt: u32,
    ) -> io::Result<Option<Self>> {
        let Means::Base(base) = means else {
            return Ok(None);
        };
        let limits = means.held(limits);
        if limits.is_none() {
            return Ok(None);
        }
        let folder = base.attempt(key, attempt);
        // What an earlier daemon may have left: its counters would be taken for ours.
        let _ = fs::remove_dir(&folder);
        fs::create_dir(&folder)?;
        let group = Self { folder, limits };
        group.apply().inspect_err(|_| remove(&group.folder))?;
        Ok(Some(group))
    }

    /// Whether it has the name of one: what was read from a file may be anything.
    pub(crate) fn is_an_attempts(&self) -> bool {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(ATTEMPT_PREFIX))
    }

    /// Sets the limits; again after a service manager has taken the controllers away and they were handed on anew.
    pub(crate) fn apply(&self) -> io::Result<()> {
        for limit in self.limits.set() {
            fs::write(self.folder.join(limit.file), limit.value.to_string())?;
        }
        if self.limits.memory_max.is_some() {
            // What does not fit is not to go on in the swap. A kernel without swap has no such file.
            let swap = self.folder.join("memory.swap.max");
            if swap.exists() {
                fs::write(swap, "0")?;
            }
        }
        Ok(())
    }

    /// Whoever writes `0` into this is in the group.
    pub(crate) fn entrance(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"))
    }

    /// What has happened in it so far; nothing, where nothing can be read.
    pub(crate) fn counts(&self) -> Counts {
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let (memory, pids) = (text("memory.events"), text("pids.events"));
        Counts {
            oom_kills: field(&memory, "oom_kill"),
            at_memory_max: field(&memory, "oom"),
            throttled: field(&memory, "high"),
            forks_refused: field(&pids, "max"),
            peak_bytes: text("memory.peak").trim().parse().ok(),
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// The processes that are in a group.
pub(crate) fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Removes an empty group. One that is not empty stays, for the next daemon to remove.
pub(crate) fn remove(folder: &Path) {
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(BETWEEN_TRIES),
            _ => return,
        }
    }
}
