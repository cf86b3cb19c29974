//! The tree of processes below a shim: who is in it, and how a signal reaches all of it.
//!
//! The shim is a subreaper, so an orphan comes back to it whatever session it fled to: the tree is
//! complete, and it is empty when the shim has no child left but those it spares. A pid is only signalled through a
//! handle that was opened before the process was seen in the tree, so that a reused number is safe.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::platform::{self, Process, ProcessStatus};

/// More passes than a tree that is not growing can need; a growing one is stopped by force later.
const PASSES_MAX: usize = 64;

/// The processes below one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    root: i32,
}

impl Tree {
    /// The tree below `root`, which itself is not in it.
    pub(super) fn below(root: i32) -> Self {
        Self { root }
    }

    /// Who is in it and not dead, parents before children.
    pub(super) fn members(self) -> Vec<(i32, ProcessStatus)> {
        let mut known = HashSet::from([self.root]);
        let mut members = Vec::new();
        let mut next = platform::children(self.root);
        next.extend(platform::escaped(self.root));
        while !next.is_empty() {
            let mut children = Vec::new();
            for pid in next {
                if pid == self.root || !known.insert(pid) {
                    continue;
                }
                let Some(status) = platform::status(pid) else {
                    continue;
                };
                // Another process may have the number by now: then it has other parents.
                let belongs = known.contains(&status.parent) || status.session == self.root;
                // The dead wait for their parent, and have no children.
                if belongs && !status.zombie && !platform::is_service(pid, &status) {
                    members.push((pid, status));
                    children.extend(platform::children(pid));
                }
            }
            next = children;
        }
        members
    }

    /// Whether someone in it is nobody's child any more; only on systems without subreapers.
    pub(super) fn has_escaped(self) -> bool {
        !platform::escaped(self.root).is_empty()
    }

    /// Sends a signal once to each process, also to those that appear while it is being sent.
    pub(super) fn signal(self, signal: i32) {
        let mut done = HashMap::new();
        for _ in 0..PASSES_MAX {
            let members = self.members();
            let mut news = false;
            for (pid, status) in members {
                if done.insert(pid, status.started) != Some(status.started) {
                    news = true;
                    send(pid, status, signal);
                }
            }
            if !news {
                return;
            }
        }
    }

    /// Ends it by force: everything is stopped first, so that nothing can fork its way out, and
    /// then killed. Returns how many there were, and how many of them may not be signalled.
    pub(super) fn kill(self) -> Killed {
        let mut done = HashMap::new();
        for _ in 0..PASSES_MAX {
            let members = self.members();
            let news = |(pid, status): &(i32, ProcessStatus)| {
                done.insert(*pid, status.started) != Some(status.started)
            };
            let new: Vec<_> = members.into_iter().filter(news).collect();
            if new.is_empty() {
                break;
            }
            self.send_all(&new, libc::SIGSTOP);
        }
        let members = self.members();
        let refused = self.send_all(&members, libc::SIGKILL);
        Killed {
            found: members.len(),
            refused,
        }
    }

    /// To each process and, since no fork escapes that, to each process group below the root.
    fn send_all(self, members: &[(i32, ProcessStatus)], signal: i32) -> usize {
        let own_group = platform::status(self.root).map(|status| status.group);
        let groups: BTreeSet<i32> = members
            .iter()
            .map(|(_, status)| status.group)
            .filter(|group| Some(*group) != own_group)
            .collect();
        for group in groups {
            // A group whose last member has just gone is no failure.
            let _ = platform::kill_group(group, signal);
        }
        let refused = |(pid, status): &&(i32, ProcessStatus)| !send(*pid, *status, signal);
        members.iter().filter(refused).count()
    }
}

/// What [`Tree::kill`] met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Killed {
    /// Processes that were alive.
    pub(super) found: usize,
    /// Those among them that belong to someone whom this user may not signal.
    pub(super) refused: usize,
}

/// Sends a signal to the process that was seen, if it is still the same one. False if it may not.
pub(in crate::executor) fn send(pid: i32, seen: ProcessStatus, signal: i32) -> bool {
    let Ok(process) = Process::open(pid) else {
        return true;
    };
    match platform::status(pid) {
        Some(now) if now.started == seen.started => {}
        _ => return true,
    }
    let sent = process.signal(signal);
    if signal != libc::SIGSTOP && signal != libc::SIGKILL && seen.stopped {
        // Nothing but SIGKILL reaches a stopped process until it goes on.
        let _ = process.signal(libc::SIGCONT);
    }
    !matches!(sent, Err(error) if error.raw_os_error() == Some(libc::EPERM))
}
