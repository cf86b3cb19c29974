//! What the readings say: each part by itself, or why it could not be read.
//!
//! A part that is missing is never told as a zero: admission keeps its gate closed for it and repeats these
//! words as the reason.

use std::fmt;
use std::time::Duration;

/// One sample of the host, and of the control groups that bound what the daemon may use of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it was taken: the time since boot that the caller gave.
    pub at: Duration,
    /// Memory.
    pub memory: Result<Memory, Unreadable>,
    /// Swap space.
    pub swap: Result<Swap, Unreadable>,
    /// Processors.
    pub cpu: Result<Cpu, Unreadable>,
    /// Time lost to waiting for memory; `None` on a system that does not tell (Linux without PSI, macOS).
    pub stall: Result<Option<Stall>, Unreadable>,
}

impl Reading {
    /// How old it is.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.at)
    }
}

/// What bounds a part of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The machine itself.
    Host,
    /// A limit of this control group, which holds the daemon or one of its ancestors: its folder.
    Cgroup(String),
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("the machine"),
            Self::Cgroup(folder) => write!(formatter, "the control group {folder}"),
        }
    }
}

/// Memory that the daemon and its workers may use: the tighter of the machine and each control group with a
/// limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that there is, in bytes: the least of the machine's memory and of every limit.
    pub total_bytes: u64,
    /// What can still be taken without swapping, in bytes. Of the machine it is what the kernel estimates
    /// (`MemAvailable`), and what it keeps free for single processors, up to a twentieth of all; of a control group the limit less what is in use, where file pages that nobody has used
    /// lately (`inactive_file`) count as free.
    pub available_bytes: u64,
    /// Which of them leaves the least available.
    pub bound: Bound,
}

/// Swap space of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// All of it, in bytes; 0 where there is none.
    pub total_bytes: u64,
    /// What is in use, in bytes.
    pub used_bytes: u64,
}

/// Processors that the daemon and its workers may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpu {
    /// How much of them was in use since the previous sample, by whomever, from 0 to 1: the larger of the share
    /// of the processors that the daemon may run on and the share of each control group's quota. `None` if there
    /// is no previous sample, or none of the last ten seconds.
    pub used_share: Option<f64>,
    /// How many there are: those that the daemon may run on, or a quota that is less, which may be a fraction.
    pub count: f64,
    /// What `used_share` is a share of; without one, what gives `count`.
    pub bound: Bound,
}

/// Time in which at least one task waited for memory to be reclaimed or read back (PSI, line `some`).
#[derive(Clone, Debug, PartialEq)]
pub struct Stall {
    /// Its share of the time since the previous sample, from 0 to 1; `None` as in [`Cpu::used_share`].
    pub share: Option<f64>,
    /// Whose tasks: all of the machine, or those of the outermost control group with a limit on memory, since
    /// there the machine's figure would tell of strangers, too.
    pub bound: Bound,
}

/// The tree of processes below one shim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeMemory {
    /// In bytes, the shim itself not among it. Pages that processes share are divided among them where that has
    /// been measured already, and count for each of them until it has.
    pub bytes: u64,
    /// How many processes they are.
    pub processes: usize,
    /// CPU time that they have used, and those that they have waited for. What a process has used that ended as an
    /// orphan is no longer in it, so this may fall.
    pub cpu: Duration,
}

/// How many processes the kernel has ended for want of memory, each counter since it began to count.
///
/// The kernel counts before it sends its SIGKILL, so whoever has seen such an end finds it in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OomKills {
    /// In the daemon's control group; `None` where there is no such counter.
    pub cgroup: Option<u64>,
    /// On the whole machine, other containers too; `None` where the kernel does not count.
    pub host: Option<u64>,
}

impl OomKills {
    /// How many there were since an earlier look: the larger rise of the two counters. The machine's tells of
    /// workers that an earlier daemon started in another control group.
    pub fn since(self, earlier: Self) -> u64 {
        let rise =
            |now: Option<u64>, then: Option<u64>| now.zip(then).map(|(now, then)| now.saturating_sub(then));
        let rises = [rise(self.cgroup, earlier.cgroup), rise(self.host, earlier.host)];
        rises.into_iter().flatten().max().unwrap_or(0)
    }
}

/// Something that could not be read: what, and why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Unreadable {
    /// The file, or the words for what the system was asked.
    pub what: String,
    /// The reason in words.
    pub why: String,
}

impl Unreadable {
    pub(super) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_told_by_whichever_counter_rose() {
        let kills = |cgroup, host| OomKills { cgroup, host };
        assert_eq!(kills(Some(3), Some(9)).since(kills(Some(1), Some(7))), 2);
        assert_eq!(kills(Some(1), Some(9)).since(kills(Some(1), Some(8))), 1);
        assert_eq!(kills(None, Some(8)).since(kills(Some(1), Some(8))), 0);
        // Another control group counts from elsewhere.
        assert_eq!(kills(Some(0), None).since(kills(Some(5), None)), 0);
    }
}
