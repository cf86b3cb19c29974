//! Readings of the host, for admission: memory, processors, stalls, and the memory of each worker's tree.
//!
//! Nothing here decides anything. [`Host::sample`] reads the machine and the control groups that the daemon is in, so
//! that inside a container the container's limits count; [`Host::trees`] reads what the workers take. Both do
//! blocking reads of small kernel files and are made for a thread of their own, off the engine's loop; time comes
//! in as an argument. Whatever cannot be read is an [`Unreadable`] with the reason, never a zero.
//!
//! What it costs is measured by `cargo bench --bench host` and stands in docs/performance.md.

mod fake;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod reading;
mod sampler;
mod system;
mod trees;

use std::time::Duration;

#[cfg(target_os = "linux")]
use linux as surroundings;
#[cfg(target_os = "macos")]
use macos as surroundings;

pub use fake::{FakeHost, HostHandle};
pub use reading::{Bound, Cpu, Memory, OomKills, Reading, Stall, Swap, TreeMemory, Unreadable};
pub use sampler::Sampler;

/// A mean over a longer time says nothing about now: a sample that comes so late counts as a first one.
const GAP_MAX: Duration = Duration::from_secs(10);

/// A host that can be read. All calls may block for as long as the kernel takes to answer.
pub trait Host: Send {
    /// Reads the machine and what bounds the daemon on it. `now` is the time since boot; shares are of the time
    /// since the previous call, which should be half a second ago or so. Which control groups there are and what
    /// limits they set is read every five seconds.
    fn sample(&mut self, now: Duration) -> Reading;

    /// Reads the memory of the tree below each of these shims, in their order; an `Err` if the shim is gone. Shims
    /// that are not named are forgotten. Every two seconds is what the costs are made for. What a process does that was
    /// idle before may show at the second call only.
    fn trees(&mut self, now: Duration, shims: &[i32]) -> Vec<Result<TreeMemory, Unreadable>>;

    /// Reads how many processes the kernel has ended for want of memory, to be compared with an earlier look by
    /// [`OomKills::since`].
    ///
    /// # Errors
    ///
    /// If a counter is there but cannot be read.
    fn oom_kills(&mut self) -> Result<OomKills, Unreadable>;
}
