//! The control group of an attempt as its folder knows it: `group.json`, written by the shim for the daemons to come.

use std::io;

use super::folder::{create_new, AttemptFolder};
use crate::cgroup::{self, AttemptGroup};

const FILE: &str = "group.json";

/// Writes down which group an attempt has.
pub(super) fn record(attempt: &AttemptFolder, group: &AttemptGroup) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    create_new(&attempt.file(FILE))?.write_all_at(&serde_json::to_vec(group)?, 0)
}

fn of(attempt: &AttemptFolder) -> Option<AttemptGroup> {
    let text = std::fs::read(attempt.file(FILE)).ok()?;
    let group: AttemptGroup = serde_json::from_slice(&text).ok()?;
    group.is_an_attempts().then_some(group)
}

/// After a restart of the daemon: sets the limits of an attempt that still runs once more. A service manager that has
/// started this daemon in the group of the last one may have taken the controllers away, and the limits with them.
pub(super) fn renew(attempt: &AttemptFolder) {
    let Some(group) = of(attempt).filter(|group| group.folder.is_dir()) else {
        return;
    };
    if let Err(error) = group.apply() {
        let path = group.folder.display();
        tracing::warn!(%path, %error, "the limits of a running attempt cannot be set again");
    }
}

/// The processes in the group of an attempt: all of them belong to it.
pub(super) fn members(attempt: &AttemptFolder) -> Vec<i32> {
    let group = of(attempt);
    group.map_or_else(Vec::new, |group| cgroup::members(&group.folder))
}

/// Removes the group of an attempt whose shim is gone.
pub(super) fn remove(attempt: &AttemptFolder) {
    if let Some(group) = of(attempt) {
        cgroup::remove(&group.folder);
    }
}
