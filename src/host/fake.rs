//! A host that says what a test wants it to say, and records what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::reading::{Bound, Cpu, Memory, OomKills, Reading, Stall, Swap, TreeMemory, Unreadable};
use super::Host;

/// The reader's end of the fake.
pub struct FakeHost {
    inner: Arc<Mutex<Inner>>,
}

/// The test's end of the fake. It must end empty: [`HostHandle::assert_empty`].
#[derive(Clone)]
pub struct HostHandle {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    reading: Reading,
    trees: BTreeMap<i32, Result<TreeMemory, Unreadable>>,
    oom_kills: Result<OomKills, Unreadable>,
    samples: usize,
    asked_trees: Vec<Vec<i32>>,
}

impl FakeHost {
    /// Both ends. It begins as an idle machine with 8 processors and 16 GiB of memory, all of it available, without
    /// swap space, and has killed nobody.
    pub fn new() -> (Self, HostHandle) {
        let inner = Inner {
            reading: idle(),
            trees: BTreeMap::new(),
            oom_kills: Ok(OomKills {
                cgroup: None,
                host: Some(0),
            }),
            samples: 0,
            asked_trees: Vec::new(),
        };
        let inner = Arc::new(Mutex::new(inner));
        let handle = HostHandle {
            inner: Arc::clone(&inner),
        };
        (Self { inner }, handle)
    }
}

fn idle() -> Reading {
    let total_bytes = 16 << 30;
    Reading {
        at: Duration::ZERO,
        memory: Ok(Memory {
            total_bytes,
            available_bytes: total_bytes,
            bound: Bound::Host,
        }),
        swap: Ok(Swap {
            total_bytes: 0,
            used_bytes: 0,
        }),
        cpu: Ok(Cpu {
            used_share: Some(0.0),
            count: 8.0,
            bound: Bound::Host,
        }),
        stall: Ok(Some(Stall {
            share: Some(0.0),
            bound: Bound::Host,
        })),
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for FakeHost {
    fn sample(&mut self, now: Duration) -> Reading {
        let mut inner = lock(&self.inner);
        inner.samples += 1;
        Reading {
            at: now,
            ..inner.reading.clone()
        }
    }

    fn trees(&mut self, _now: Duration, shims: &[i32]) -> Vec<Result<TreeMemory, Unreadable>> {
        let mut inner = lock(&self.inner);
        inner.asked_trees.push(shims.to_vec());
        let gone = |pid: &i32| {
            Err(Unreadable::new(
                format_args!("process {pid}"),
                "there is none with this number",
            ))
        };
        let tell = |pid| inner.trees.get(pid).cloned().unwrap_or_else(|| gone(pid));
        shims.iter().map(tell).collect()
    }

    fn oom_kills(&mut self) -> Result<OomKills, Unreadable> {
        lock(&self.inner).oom_kills.clone()
    }
}

impl HostHandle {
    /// Changes what every sample says from now on; its time is that of the sample.
    pub fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut lock(&self.inner).reading);
    }

    /// What the tree below this shim takes from now on.
    pub fn set_tree(&self, shim: i32, memory: Result<TreeMemory, Unreadable>) {
        lock(&self.inner).trees.insert(shim, memory);
    }

    /// This shim is gone.
    pub fn remove_tree(&self, shim: i32) {
        lock(&self.inner).trees.remove(&shim);
    }

    /// What the counters of kills say from now on.
    pub fn set_oom_kills(&self, kills: Result<OomKills, Unreadable>) {
        lock(&self.inner).oom_kills = kills;
    }

    /// How many samples were taken since the last call.
    pub fn take_samples(&self) -> usize {
        std::mem::take(&mut lock(&self.inner).samples)
    }

    /// The shims whose trees were asked for, call by call, since the last call of this.
    pub fn take_asked_trees(&self) -> Vec<Vec<i32>> {
        std::mem::take(&mut lock(&self.inner).asked_trees)
    }

    /// Panics if a tree is left.
    pub fn assert_empty(&self) {
        let inner = lock(&self.inner);
        assert!(inner.trees.is_empty(), "trees: {:?}", inner.trees);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_is_told_and_records_what_it_is_asked() {
        let (mut host, handle) = FakeHost::new();
        let now = Duration::from_secs(7);
        assert_eq!(host.sample(now), Reading { at: now, ..idle() });
        let broken = Unreadable::new("/proc/meminfo", "gone");
        handle.change(|reading| reading.memory = Err(broken.clone()));
        assert_eq!(host.sample(now).memory, Err(broken));
        assert_eq!(handle.take_samples(), 2);
        let memory = TreeMemory {
            bytes: 5,
            processes: 1,
            cpu: Duration::ZERO,
        };
        handle.set_tree(77, Ok(memory));
        let told = host.trees(now, &[77, 78]);
        assert_eq!(told[0], Ok(memory));
        assert!(told[1].is_err());
        assert_eq!(handle.take_asked_trees(), [[77, 78]]);
        handle.remove_tree(77);
        handle.assert_empty();
    }
}
