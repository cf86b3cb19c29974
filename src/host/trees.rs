//! The memory of the tree of processes below each shim, at a cost that is bounded.
//!
//! No scan of all processes: a shim is a subreaper, so whoever is below it stays below it until it ends. Who is
//! known is looked at again by one read of `/proc/PID/stat` (state, parent, start time, threads, faults and resident
//! size at once), and new ones are found in the lists of children. Whoever has neither used the CPU nor touched a new
//! page between two looks is passed over once; most of a worker's processes only wait. A process with many threads has
//! a list of children for each, and any of them may have forked: of those lists some [`THREADS_MAX`] are read at a
//! time, the longest unread first.
//!
//! Resident sizes count shared pages in full. The proportional size does not, but the kernel walks the page tables
//! for it. Of a process with 8 MiB, two seconds after the last look at it, that takes 240 µs, its `stat` 13 µs and
//! its list of children 8 µs (AMD EPYC, Linux 6.18): 160 processes every two seconds would be 1.9 % of a core. So it
//! is read for a process when it is new, when its resident size has changed by an eighth, and once a minute, and
//! only as long as the CPU time that it may take lasts ([`allowance`]). In between, growth counts in full.

mod allowance;
mod kernel;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use self::allowance::Allowance;
pub(super) use self::kernel::Kernel;
use super::reading::{TreeMemory, Unreadable};
use crate::platform::ProcessSample;

/// Lists of children of threads that are read at one time besides those of the main ones: about a millisecond.
const THREADS_MAX: i64 = 256;
/// A proportional size is believed for so long if the resident size stays as it is.
const MEASURE_AGAIN: Duration = Duration::from_secs(60);
/// A change of the resident size by this share of it asks for a new measurement.
const CHANGE_MIN: f64 = 1.0 / 8.0;

/// What the kernel tells of processes; tests have a table in its place.
pub(super) trait Processes {
    /// Whether children can be listed at all.
    fn try_lists(&mut self) -> Result<(), Unreadable>;
    /// One look at a process; `None` if there is none, or it is dead and waits for its parent.
    fn look(&mut self, pid: i32) -> Option<ProcessSample>;
    /// Whether there is a process with this number, dead ones that wait for their parents among them: the cheapest
    /// question of all.
    fn exists(&mut self, pid: i32) -> bool;
    /// Whether it is a daemon, launcher or shim of this program, which belongs to no attempt.
    fn is_service(&mut self, pid: i32, process: &ProcessSample) -> bool;
    /// The children of its main thread.
    fn main_children(&mut self, pid: i32) -> Vec<i32>;
    /// The children of all its threads.
    fn all_children(&mut self, pid: i32) -> Vec<i32>;
    /// Its memory with shared pages divided; `None` if that may not be read.
    fn proportional_bytes(&mut self, pid: i32) -> Option<u64>;
    /// CPU time that this thread has used.
    fn cpu_time(&self) -> Duration;
}

/// The trees that were looked at last.
pub(super) struct Trees<P> {
    processes: P,
    roots: HashMap<i32, Root>,
    /// Lists that may still be read; below zero after a process that had more threads than there was room for.
    threads_left: i64,
    allowance: Allowance,
}

struct Root {
    process: ProcessSample,
    listed_at: Option<Duration>,
    members: HashMap<i32, Member>,
}

struct Member {
    process: ProcessSample,
    /// It had done nothing between the last two looks.
    quiet: bool,
    /// It was quiet, and is passed over this time.
    passed_over: bool,
    listed_at: Option<Duration>,
    measured: Option<Measured>,
}

/// A measurement of the proportional size.
#[derive(Clone, Copy)]
struct Measured {
    at: Duration,
    /// `None` if it was refused.
    bytes: Option<u64>,
    resident_bytes: u64,
}

impl<P: Processes> Trees<P> {
    pub(super) fn new(processes: P) -> Self {
        Self {
            processes,
            roots: HashMap::new(),
            threads_left: 0,
            allowance: Allowance::default(),
        }
    }

    /// The memory below each of these processes, in their order.
    pub(super) fn sample(&mut self, now: Duration, roots: &[i32]) -> Vec<Result<TreeMemory, Unreadable>> {
        let named: HashSet<i32> = roots.iter().copied().collect();
        self.roots.retain(|pid, _| named.contains(pid));
        if roots.is_empty() {
            return Vec::new();
        }
        if let Err(unreadable) = self.processes.try_lists() {
            return vec![Err(unreadable); roots.len()];
        }
        for pid in named {
            self.refresh(pid);
        }
        self.discover(now);
        self.measure(now);
        roots.iter().map(|pid| self.told(*pid)).collect()
    }

    fn told(&self, pid: i32) -> Result<TreeMemory, Unreadable> {
        let gone = || Unreadable::new(format_args!("process {pid}"), "there is none with this number");
        let root = self.roots.get(&pid).ok_or_else(gone)?;
        Ok(TreeMemory {
            bytes: root.members.values().map(Member::bytes).sum(),
            processes: root.members.len(),
            // Not the shim's own: it may have served other attempts before this one.
            cpu: root.members.values().map(|member| member.process.cpu).sum(),
        })
    }

    /// Looks again at everybody who is known in one tree.
    fn refresh(&mut self, pid: i32) {
        let Some(process) = self.processes.look(pid) else {
            self.roots.remove(&pid);
            return;
        };
        let fresh = |process| Root {
            process,
            listed_at: None,
            members: HashMap::new(),
        };
        let root = self.roots.entry(pid).or_insert_with(|| fresh(process));
        if root.process.status.started != process.status.started {
            *root = fresh(process);
        }
        root.process = process;
        let processes = &mut self.processes;
        root.members.retain(|pid, member| {
            member.passed_over = member.quiet && !member.passed_over;
            if member.passed_over {
                return processes.exists(*pid);
            }
            let Some(process) = processes.look(*pid) else {
                return false;
            };
            let is_same = process.status.started == member.process.status.started;
            member.quiet = process.activity == member.process.activity;
            member.process = process;
            is_same && !processes.is_service(*pid, &process)
        });
    }

    /// Finds those who are new. Lists of main threads are all read, those of other threads in turns.
    fn discover(&mut self, now: Duration) {
        let mut turns = Vec::new();
        let roots: Vec<i32> = self.roots.keys().copied().collect();
        for root in roots {
            let members = self.roots[&root].members.iter();
            let looked_at = members.filter(|(_, member)| !member.passed_over);
            let pids = looked_at.map(|(pid, _)| *pid).chain([root]).collect();
            self.list(root, pids, &mut turns);
        }
        turns.sort_unstable_by_key(|turn| (turn.listed_at, turn.threads));
        self.threads_left = (self.threads_left + THREADS_MAX).min(THREADS_MAX);
        let mut next = 0;
        while next < turns.len() && self.threads_left > 0 {
            let Turn {
                root, pid, threads, ..
            } = turns[next];
            next += 1;
            self.threads_left -= i64::from(threads);
            self.mark_listed(root, pid, now);
            let children = self.processes.all_children(pid);
            let new = self.admit(root, children);
            self.list(root, new, &mut turns);
        }
    }

    /// Reads the main threads' lists of these and of everybody new below them. Those with more threads are
    /// noted for their turn.
    fn list(&mut self, root: i32, mut pids: Vec<i32>, turns: &mut Vec<Turn>) {
        while let Some(pid) = pids.pop() {
            let Some((process, listed_at)) = self.known(root, pid) else {
                continue;
            };
            if process.threads > 1 {
                let threads = process.threads;
                turns.push(Turn {
                    listed_at,
                    root,
                    pid,
                    threads,
                });
            }
            let children = self.processes.main_children(pid);
            pids.extend(self.admit(root, children));
        }
    }

    fn known(&self, root: i32, pid: i32) -> Option<(ProcessSample, Option<Duration>)> {
        let tree = self.roots.get(&root)?;
        if pid == root {
            return Some((tree.process, tree.listed_at));
        }
        let member = tree.members.get(&pid)?;
        Some((member.process, member.listed_at))
    }

    fn mark_listed(&mut self, root: i32, pid: i32, now: Duration) {
        let Some(tree) = self.roots.get_mut(&root) else {
            return;
        };
        if pid == root {
            tree.listed_at = Some(now);
        } else if let Some(member) = tree.members.get_mut(&pid) {
            member.listed_at = Some(now);
        }
    }

    /// Takes those into a tree who are not in it and belong there, and returns them.
    fn admit(&mut self, root: i32, mut pids: Vec<i32>) -> Vec<i32> {
        let Some(tree) = self.roots.get_mut(&root) else {
            return Vec::new();
        };
        let processes = &mut self.processes;
        pids.retain(|pid| {
            if tree.members.contains_key(pid) {
                return false;
            }
            let Some(process) = processes.look(*pid) else {
                return false;
            };
            // Another process may have the number by now: then it has other parents.
            let parent = process.status.parent;
            let belongs = parent == root || tree.members.contains_key(&parent);
            if !belongs || processes.is_service(*pid, &process) {
                return false;
            }
            let member = Member {
                process,
                quiet: false,
                passed_over: false,
                listed_at: None,
                measured: None,
            };
            tree.members.insert(*pid, member);
            true
        });
        pids
    }

    /// Measures proportional sizes, the most doubtful first, as long as the allowance lasts.
    fn measure(&mut self, now: Duration) {
        self.allowance.earn(now);
        let members = self.roots.values_mut().flat_map(|root| root.members.iter_mut());
        let mut doubtful: Vec<_> = members
            .filter_map(|(pid, member)| Some((member.doubt(now)?, *pid, member)))
            .collect();
        let size = |member: &Member| member.process.resident_bytes;
        doubtful.sort_by(|a, b| b.0.total_cmp(&a.0).then(size(b.2).cmp(&size(a.2))));
        for (_, pid, member) in doubtful {
            if !self.allowance.lasts() {
                return;
            }
            let begin = self.processes.cpu_time();
            member.measured = Some(Measured {
                at: now,
                bytes: self.processes.proportional_bytes(pid),
                resident_bytes: member.process.resident_bytes,
            });
            self.allowance
                .spend(self.processes.cpu_time().saturating_sub(begin));
        }
    }
}

/// A process with several threads, whose lists of children wait to be read.
struct Turn {
    listed_at: Option<Duration>,
    root: i32,
    pid: i32,
    threads: u32,
}

impl Member {
    /// What was measured, and what has changed since: growth counts in full, since little of it is shared, and what
    /// was given back is taken to have been shared like the rest. Without a measurement the resident size.
    fn bytes(&self) -> u64 {
        let resident = self.process.resident_bytes;
        let Some((measured, then)) = self
            .measured
            .and_then(|then| Some((then.bytes?, then.resident_bytes)))
        else {
            return resident;
        };
        match resident.checked_sub(then) {
            Some(grown) => measured.saturating_add(grown),
            None => (measured as f64 * (resident as f64 / then as f64)) as u64,
        }
    }

    /// How much a new measurement is wanted; `None` if not at all.
    fn doubt(&self, now: Duration) -> Option<f64> {
        let resident = self.process.resident_bytes;
        let Some(measured) = self.measured else {
            // Nobody shares nothing.
            return (resident > 0).then_some(f64::INFINITY);
        };
        let age = now.saturating_sub(measured.at).as_secs_f64() / MEASURE_AGAIN.as_secs_f64();
        let change =
            resident.abs_diff(measured.resident_bytes) as f64 / (measured.resident_bytes.max(1) as f64);
        let is_due = age >= 1.0 || (measured.bytes.is_some() && change >= CHANGE_MIN);
        is_due.then_some(age + change)
    }
}
