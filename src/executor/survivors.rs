//! Ends what a killed shim left running.
//!
//! Without the shim nobody holds the tree together, and a pid alone proves nothing: its owner may
//! be a stranger by now. A process counts as a survivor only with proof: the attempt's folder in
//! the environment that it was started with, a place in the attempt's own control group, the recorded
//! command itself by pid and start time, membership in the shim's session from a time when the shim was seen alive, or descent from one
//! of these.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use super::folder::{AttemptFolder, ShimRecord};
use super::group;
use super::shim::tree;
use crate::platform::{self, ProcessStatus};

/// Something in an uninterruptible wait does not keep the daemon from its work for longer.
const PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_PASSES: Duration = Duration::from_millis(5);

/// Kills them until none is found. `alive_at` is when the shim was last seen alive, in the
/// platform's ticks. Returns how many are still there when patience ends.
pub(super) fn end(folder: &AttemptFolder, record: Option<&ShimRecord>, alive_at: Option<u64>) -> usize {
    let mut entry = b"WEZTERM_PARALLEL_FOLDER=".to_vec();
    entry.extend(folder.path().as_os_str().as_bytes());
    let search = Search {
        folder,
        entry,
        record,
        alive_at,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = search.run();
        if found.is_empty() || Instant::now() > deadline {
            group::remove(folder);
            return found.len();
        }
        // Stopped first, so that none forks while the others are being killed.
        for signal in [libc::SIGSTOP, libc::SIGKILL] {
            for (pid, status) in &found {
                tree::send(*pid, *status, signal);
            }
        }
        std::thread::sleep(BETWEEN_PASSES);
    }
}

struct Search<'a> {
    folder: &'a AttemptFolder,
    entry: Vec<u8>,
    record: Option<&'a ShimRecord>,
    alive_at: Option<u64>,
}

impl Search<'_> {
    fn run(&self) -> HashMap<i32, ProcessStatus> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let alive = |pid: i32| platform::status(pid).map(|status| (pid, status));
        let all: HashMap<i32, ProcessStatus> = platform::processes()
            .into_iter()
            .filter(|pid| *pid != own && *pid > 1)
            .filter_map(alive)
            .filter(|(_, status)| !status.zombie)
            .collect();
        let in_group = group::members(self.folder);
        let mut found: HashMap<i32, ProcessStatus> = all
            .iter()
            .filter(|(pid, status)| in_group.contains(pid) || self.is_proven(**pid, status))
            .map(|(pid, status)| (*pid, *status))
            .collect();
        self.add_session(&all, &mut found);
        add_descendants(&all, &mut found);
        found
    }

    fn is_proven(&self, pid: i32, status: &ProcessStatus) -> bool {
        if let Some(record) = self.record {
            // A session is joined by birth alone, so one who was born into this number while the
            // shim lived belongs to the shim's session and not to a later one.
            let born_in = status.session == record.pid && status.started >= record.started;
            if born_in && self.alive_at.is_some_and(|alive| status.started <= alive) {
                return true;
            }
            if record.worker == Some((pid, status.started)) {
                return true;
            }
        }
        platform::has_environment_entry(pid, &self.entry)
    }

    /// One proven member of the shim's session proves that the session is still that one.
    fn add_session(&self, all: &HashMap<i32, ProcessStatus>, found: &mut HashMap<i32, ProcessStatus>) {
        let Some(session) = self.record.map(|record| record.pid) else {
            return;
        };
        if found.values().any(|status| status.session == session) {
            let members = all.iter().filter(|(_, status)| status.session == session);
            found.extend(members.map(|(pid, status)| (*pid, *status)));
        }
    }
}

fn add_descendants(all: &HashMap<i32, ProcessStatus>, found: &mut HashMap<i32, ProcessStatus>) {
    loop {
        let before = found.len();
        let children: Vec<_> = all
            .iter()
            .filter(|(_, status)| found.contains_key(&status.parent))
            .map(|(pid, status)| (*pid, *status))
            .collect();
        found.extend(children);
        if found.len() == before {
            return;
        }
    }
}
