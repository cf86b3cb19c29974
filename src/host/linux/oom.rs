//! The kernel's counters of processes that it has killed for want of memory.

use std::path::Path;

use super::cgroup::{Group, Version};
use super::files::{field, Files};
use crate::host::reading::{OomKills, Unreadable};

const MACHINE: &str = "/proc/vmstat";

/// What the daemon's control group and the machine have counted.
pub(super) fn kills(files: &mut Files, groups: &[Group<u64>]) -> Result<OomKills, Unreadable> {
    let own = groups.first().and_then(|group| group.folder.file_name());
    // Workers with a limit of their own have groups of their own, and tell themselves: the machine's counter has them,
    // too, and what they ran into says nothing about others.
    let is_leaf = own.is_some_and(|name| name == crate::cgroup::LEAF);
    let machine = (!is_leaf).then_some(Path::new(MACHINE));
    Ok(OomKills {
        cgroup: of_groups(files, groups)?,
        host: machine.map(|path| counter(files, path)).transpose()?.flatten(),
    })
}

/// In version 2 each group counts those below it, too, so an ancestor stands in for a group whose controller is off.
/// In version 1 each counts for itself alone.
fn of_groups(files: &mut Files, groups: &[Group<u64>]) -> Result<Option<u64>, Unreadable> {
    for (distance, group) in groups.iter().enumerate() {
        let file = match group.version {
            Version::V1 if distance > 0 => continue,
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        if let Some(count) = counter(files, &group.folder.join(file))? {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

fn counter(files: &mut Files, path: &Path) -> Result<Option<u64>, Unreadable> {
    match files.text_if_any(path)? {
        Some(text) => field(path, &text, "oom_kill"),
        None => Ok(None),
    }
}
