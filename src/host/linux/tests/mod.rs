//! Recorded trees of control groups, and what is read from them.

mod counters;
mod cpu;
mod memory;
mod trouble;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::Surroundings;
use crate::host::reading::{Bound, Cpu, Memory};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// `memory.limit_in_bytes` of version 1 where there is no limit.
const NO_LIMIT_V1: &str = "9223372036854771712\n";

/// One tree of version 2, mounted whole.
const MOUNTS_V2: &str = "\
23 28 0:21 / /proc rw,nosuid - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
";
/// As on a machine with version 1, where systemd keeps version 2 for itself.
const MOUNTS_HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:4 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:30 / /sys/fs/cgroup/systemd rw,nosuid shared:6 - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:7 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:8 - cgroup cgroup rw,memory
";

/// A root folder with some files of `/proc` and `/sys`.
struct Root(TempDir);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            root.write(path, text);
        }
        root
    }

    /// One tree of version 2 with the daemon in this group.
    fn v2(group: &str, files: &[(&str, &str)]) -> Self {
        let root = Self::new(files);
        root.write("/proc/self/cgroup", &format!("0::{group}\n"));
        root.write("/proc/self/mountinfo", MOUNTS_V2);
        root
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).unwrap();
    }

    /// What there would be with this as `/`.
    fn surroundings(&self) -> Surroundings {
        Surroundings::below(self.0.path())
    }

    /// The memory of a machine with 16 GiB, 8 GiB of them available, as the daemon may use it.
    fn memory(&self) -> Result<Memory, String> {
        let mut surroundings = self.surroundings();
        let found = surroundings
            .find(at(0))
            .and_then(|()| surroundings.limit_memory(machine_memory()));
        found.map_err(|unreadable| unreadable.to_string())
    }
}

fn machine_memory() -> Memory {
    Memory {
        total_bytes: 16 * GIB,
        available_bytes: 8 * GIB,
        bound: Bound::Host,
    }
}

/// Eight processors, a quarter in use.
fn machine_cpu() -> Cpu {
    Cpu {
        used_share: Some(0.25),
        count: 8.0,
        bound: Bound::Host,
    }
}

fn group(folder: &str) -> Bound {
    Bound::Cgroup(folder.to_owned())
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs something that is refused what root's capabilities would allow.
fn without_capabilities<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{capabilities, set_capabilities, CapabilitySet};
    // Capabilities are a thread's own.
    std::thread::scope(|scope| {
        let dropped = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective = CapabilitySet::empty();
            set_capabilities(None, sets).unwrap();
            run()
        });
        dropped.join().unwrap()
    })
}

fn forbid(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o0)).unwrap();
}
