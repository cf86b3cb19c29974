//! The limits of control groups, and how much of them is in use.
//!
//! A limit that is not below what the machine has is none; so version 1's huge number for "no limit" needs no
//! special case. A group without the file has no limit: its controller is off, or it is the root.

use std::path::PathBuf;
use std::time::Duration;

use super::cgroup::{Group, Metered, Place, Version};
use super::files::{field_of, number, unexpected, Files};
use crate::host::reading::{Bound, Cpu, Memory, Unreadable};

/// Reads all limits anew. Whether each could be read.
pub(super) fn read(files: &mut Files, place: &mut Place) -> bool {
    for group in &mut place.memory {
        group.limit = memory_limit(files, group);
    }
    for metered in &mut place.cpu {
        metered.group.limit = cpu_quota(files, &metered.group);
    }
    let memory = place.memory.iter().all(|group| group.limit.is_ok());
    memory && place.cpu.iter().all(|metered| metered.group.limit.is_ok())
}

/// What the groups leave of the memory.
pub(super) struct LimitedMemory {
    pub(super) memory: Memory,
    /// The outermost group with a limit.
    pub(super) outermost: Option<PathBuf>,
}

/// The tighter of the machine and each group.
pub(super) fn memory(
    files: &mut Files,
    groups: &[Group<u64>],
    machine: Memory,
) -> Result<LimitedMemory, Unreadable> {
    let all = machine.total_bytes;
    let mut memory = machine;
    let mut outermost = None;
    for group in groups {
        let limit = group.limit.clone()?;
        let Some(limit) = limit.filter(|limit| *limit < all) else {
            continue;
        };
        let available = limit.saturating_sub(memory_used(files, group)?);
        memory.total_bytes = memory.total_bytes.min(limit);
        if available < memory.available_bytes {
            memory.available_bytes = available;
            memory.bound = bound(group);
        }
        outermost = Some(group.folder.clone());
    }
    Ok(LimitedMemory { memory, outermost })
}

fn bound<Limit>(group: &Group<Limit>) -> Bound {
    Bound::Cgroup(group.folder.display().to_string())
}

/// In version 2 the lower of `memory.max`, above which processes are killed, and `memory.high`, above which they
/// are slowed down until they have given memory back: neither is a state to start more work in.
fn memory_limit(files: &mut Files, group: &Group<u64>) -> Result<Option<u64>, Unreadable> {
    let names: &[&str] = match group.version {
        Version::V1 => &["memory.limit_in_bytes"],
        Version::V2 => &["memory.max", "memory.high"],
    };
    let mut least = None;
    for name in names {
        let path = group.folder.join(name);
        let limit = match files.text_if_any(&path)?.as_deref().map(str::trim) {
            None | Some("max") => continue,
            Some(text) => number(&path, text)?,
        };
        least = Some(least.map_or(limit, |least: u64| least.min(limit)));
    }
    Ok(least)
}

/// What is in use, without what the kernel gives up before it swaps: files that were read, used lately or not, and
/// its own caches. `MemAvailable` reckons alike for the machine; whoever needs its files all the time shows in the
/// stalls.
fn memory_used(files: &mut Files, group: &Group<u64>) -> Result<u64, Unreadable> {
    let (current, given_up): (_, &[&str]) = match group.version {
        Version::V1 => (
            "memory.usage_in_bytes",
            &["total_inactive_file", "total_active_file"],
        ),
        Version::V2 => (
            "memory.current",
            &["inactive_file", "active_file", "slab_reclaimable"],
        ),
    };
    let path = group.folder.join(current);
    let used = number(&path, &files.text(&path)?)?;
    let path = group.folder.join("memory.stat");
    let stat = files.text(&path)?.into_owned();
    let given_up = given_up.iter().map(|field| field_of(&path, &stat, field));
    // Old kernels lack some of these; one without any of them says nothing useful.
    let found: Vec<u64> = match given_up.collect::<Vec<_>>() {
        all if all.iter().all(Result::is_err) => {
            return Err(all.into_iter().find_map(Result::err).expect("there is one"))
        }
        all => all.into_iter().flatten().collect(),
    };
    Ok(used.saturating_sub(found.iter().sum()))
}

/// The tighter of the machine and each group.
pub(super) fn cpu(
    files: &mut Files,
    groups: &mut [Metered],
    now: Duration,
    machine: Cpu,
) -> Result<Cpu, Unreadable> {
    let all = machine.count;
    let mut cpu = machine;
    for metered in groups {
        let quota = metered.group.limit.clone()?;
        let Some(quota) = quota.filter(|quota| *quota < all) else {
            continue;
        };
        let used_micros = cpu_used_micros(files, metered)?;
        let rate = metered.meter.per_second(now, used_micros);
        let share = rate.map(|micros| (micros / 1e6 / quota).clamp(0.0, 1.0));
        let both = share.zip(cpu.used_share);
        if both.map_or(quota < cpu.count, |(share, others)| share > others) {
            cpu.bound = bound(&metered.group);
        }
        cpu.used_share = both.map(|(share, others)| share.max(others));
        cpu.count = cpu.count.min(quota);
    }
    Ok(cpu)
}

/// How many processors a group may keep busy.
fn cpu_quota(files: &mut Files, group: &Group<f64>) -> Result<Option<f64>, Unreadable> {
    let (path, quota, period) = match group.version {
        Version::V2 => {
            let path = group.folder.join("cpu.max");
            let Some(text) = files.text_if_any(&path)? else {
                return Ok(None);
            };
            let Some((quota, period)) = text.trim().split_once(' ') else {
                return Err(unexpected(&path, "a quota and a period", text.trim()));
            };
            if quota == "max" {
                return Ok(None);
            }
            let numbers = (number(&path, quota)?, number(&path, period)?);
            (path, numbers.0, numbers.1)
        }
        Version::V1 => {
            let path = group.folder.join("cpu.cfs_quota_us");
            let quota = match files.text_if_any(&path)?.as_deref().map(str::trim) {
                None | Some("-1") => return Ok(None),
                Some(text) => number(&path, text)?,
            };
            let path = group.folder.join("cpu.cfs_period_us");
            let period = number(&path, &files.text(&path)?)?;
            (path, quota, period)
        }
    };
    if quota == 0 || period == 0 {
        return Err(unexpected(&path, "a number above 0", "0"));
    }
    Ok(Some(quota as f64 / period as f64))
}

fn cpu_used_micros(files: &mut Files, metered: &Metered) -> Result<u64, Unreadable> {
    let Some(path) = metered.usage.as_deref() else {
        let quota = metered.group.folder.join("cpu.cfs_quota_us");
        let why = "sets a limit, but no control group tells how much of it is used (cpuacct)";
        return Err(Unreadable::new(quota.display(), why));
    };
    let text = files.text(path)?;
    match metered.group.version {
        Version::V2 => field_of(path, &text, "usage_usec"),
        Version::V1 => Ok(number(path, &text)? / 1_000),
    }
}
