//! CPU and memory of the machine, by sysinfo.
//!
//! sysinfo matches processors by their place in a list that it makes once, so the list is made anew when the
//! processors that this program may run on change. Where it cannot read a file it keeps its old figures and says
//! nothing: whoever asks here has tried the files before.

use std::time::Duration;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind};

use super::reading::{Bound, Cpu, Memory, Swap, Unreadable};
use super::GAP_MAX;
use crate::platform;

/// The machine as sysinfo sees it.
pub(super) struct System {
    inner: sysinfo::System,
    cpu_read_at: Option<Duration>,
    /// The processors that this program may run on, by number; `None` for all.
    allowed: Option<Vec<usize>>,
}

impl System {
    pub(super) fn new() -> Self {
        Self {
            inner: sysinfo::System::new(),
            cpu_read_at: None,
            allowed: None,
        }
    }

    /// Memory and swap space.
    pub(super) fn memory(&mut self) -> Result<(Memory, Swap), Unreadable> {
        self.inner
            .refresh_memory_specifics(MemoryRefreshKind::everything());
        let total_bytes = self.inner.total_memory();
        if total_bytes == 0 {
            return Err(Unreadable::new(
                "memory",
                "the system does not tell how much there is",
            ));
        }
        let memory = Memory {
            total_bytes,
            available_bytes: self.inner.available_memory().min(total_bytes),
            bound: Bound::Host,
        };
        let total_bytes = self.inner.total_swap();
        let swap = Swap {
            total_bytes,
            used_bytes: total_bytes.saturating_sub(self.inner.free_swap()),
        };
        Ok((memory, swap))
    }

    /// The processors that this program may run on.
    pub(super) fn cpu(&mut self, now: Duration) -> Result<Cpu, Unreadable> {
        let usage = CpuRefreshKind::nothing().with_cpu_usage();
        let allowed = platform::allowed_cpus();
        let is_first = match self.cpu_read_at.replace(now) {
            Some(before) if allowed == self.allowed => now.saturating_sub(before) > GAP_MAX,
            _ => true,
        };
        if allowed != self.allowed || self.inner.cpus().is_empty() {
            self.inner.refresh_cpu_list(usage);
            self.allowed = allowed;
        } else {
            self.inner.refresh_cpu_specifics(usage);
        }
        let cpus = self.inner.cpus().iter();
        let used: Vec<_> = cpus
            .map(|cpu| (cpu.name(), f64::from(cpu.cpu_usage()) / 100.0))
            .collect();
        let Some((used_share, count)) = mean(&used, self.allowed.as_deref()) else {
            return Err(Unreadable::new("CPU", "the system lists no processor"));
        };
        Ok(Cpu {
            used_share: (!is_first).then_some(used_share.clamp(0.0, 1.0)),
            count: count as f64,
            bound: Bound::Host,
        })
    }
}

/// The mean of those that are allowed, and how many they are; of all if none of those is known by its number.
fn mean(used: &[(&str, f64)], allowed: Option<&[usize]>) -> Option<(f64, usize)> {
    let is_allowed = |name: &str| {
        let number = name.strip_prefix("cpu").and_then(|number| number.parse().ok());
        number
            .zip(allowed)
            .is_some_and(|(number, allowed)| allowed.contains(&number))
    };
    let mut chosen: Vec<f64> = Vec::with_capacity(used.len());
    chosen.extend(
        used.iter()
            .filter(|(name, _)| is_allowed(name))
            .map(|(_, share)| share),
    );
    if chosen.is_empty() {
        chosen.extend(used.iter().map(|(_, share)| share));
    }
    let sum: f64 = chosen.iter().sum();
    (!chosen.is_empty()).then(|| (sum / chosen.len() as f64, chosen.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: [(&str, f64); 3] = [("cpu0", 0.0), ("cpu1", 1.0), ("cpu10", 0.5)];

    #[test]
    fn only_the_processors_that_may_be_used_count() {
        assert_eq!(mean(&USED, None), Some((0.5, 3)));
        assert_eq!(mean(&USED, Some(&[1, 10])), Some((0.75, 2)));
        assert_eq!(mean(&USED, Some(&[0])), Some((0.0, 1)));
        // Other systems have other names.
        assert_eq!(mean(&[("1", 0.25)], Some(&[0])), Some((0.25, 1)));
        assert_eq!(mean(&[], None), None);
    }

    #[test]
    fn the_machine_tells_its_memory_and_processors() {
        let mut system = System::new();
        let (memory, swap) = system.memory().unwrap();
        assert!(memory.total_bytes > 1 << 20);
        assert!((1..=memory.total_bytes).contains(&memory.available_bytes));
        assert!(swap.used_bytes <= swap.total_bytes);
        let first = system.cpu(Duration::from_secs(10)).unwrap();
        assert_eq!(first.used_share, None);
        assert!(first.count >= 1.0);
        let second = system.cpu(Duration::from_secs(11)).unwrap();
        assert!((0.0..=1.0).contains(&second.used_share.unwrap()));
        let late = system.cpu(Duration::from_secs(22)).unwrap();
        assert_eq!(late.used_share, None);
    }
}
