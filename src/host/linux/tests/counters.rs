//! Stalls, and kills for want of memory.

use super::*;
use crate::host::reading::{OomKills, Stall};

const MACHINE: &str = "/proc/pressure/memory";

fn psi(some: u64) -> String {
    format!(
        "some avg10=9.99 avg60=0.00 avg300=0.00 total={some}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"
    )
}

fn stall(share: impl Into<Option<f64>>, bound: Bound) -> Option<Stall> {
    Some(Stall {
        share: share.into(),
        bound,
    })
}

#[test]
fn a_stall_is_the_change_of_the_total_and_not_the_kernels_average() {
    let root = Root::new(&[(MACHINE, &psi(1_000_000))]);
    let mut surroundings = root.surroundings();
    assert_eq!(surroundings.stall(at(1_000)), Ok(stall(None, Bound::Host)));
    root.write(MACHINE, &psi(1_125_000));
    assert_eq!(surroundings.stall(at(1_500)), Ok(stall(0.25, Bound::Host)));
    assert_eq!(surroundings.stall(at(2_000)), Ok(stall(0.0, Bound::Host)));
    // Clocks differ by a little.
    root.write(MACHINE, &psi(1_626_000));
    assert_eq!(surroundings.stall(at(2_500)), Ok(stall(1.0, Bound::Host)));
}

#[test]
fn a_kernel_without_psi_is_no_trouble() {
    assert_eq!(Root::new(&[]).surroundings().stall(at(1_000)), Ok(None));
}

#[test]
fn within_a_limit_the_stalls_of_its_group_count() {
    let folder = "/sys/fs/cgroup/job";
    let root = Root::v2(
        "/job/inner",
        &[
            (MACHINE, &psi(7)),
            ("/sys/fs/cgroup/job/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/job/memory.current", "0\n"),
            ("/sys/fs/cgroup/job/memory.stat", "inactive_file 0\n"),
            ("/sys/fs/cgroup/job/memory.pressure", &psi(500_000)),
            ("/sys/fs/cgroup/job/inner/memory.max", "536870912\n"),
            ("/sys/fs/cgroup/job/inner/memory.current", "0\n"),
            ("/sys/fs/cgroup/job/inner/memory.stat", "inactive_file 0\n"),
            ("/sys/fs/cgroup/job/inner/memory.pressure", &psi(1)),
        ],
    );
    let mut surroundings = root.surroundings();
    surroundings.find(at(0)).unwrap();
    surroundings.limit_memory(machine_memory()).unwrap();
    assert_eq!(surroundings.stall(at(1_000)), Ok(stall(None, group(folder))));
    root.write("/sys/fs/cgroup/job/memory.pressure", &psi(600_000));
    assert_eq!(surroundings.stall(at(2_000)), Ok(stall(0.1, group(folder))));
    // Version 1 does not tell it, nor does a group that has it switched off: another counter begins anew.
    root.remove("/sys/fs/cgroup/job/memory.pressure");
    assert_eq!(surroundings.stall(at(3_000)), Ok(stall(None, Bound::Host)));
    assert_eq!(surroundings.stall(at(4_000)), Ok(stall(0.0, Bound::Host)));
}

#[test]
fn kills_are_counted_in_the_daemons_group_and_on_the_machine() {
    let root = Root::v2(
        "/job/inner",
        &[
            ("/proc/vmstat", "nr_free_pages 4\noom_kill 9\n"),
            (
                "/sys/fs/cgroup/job/memory.events",
                "low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 5\n",
            ),
        ],
    );
    let kills = |cgroup, host| Ok(OomKills { cgroup, host });
    // The controller is off in the inner one, and the outer one counts for it.
    assert_eq!(root.surroundings().oom_kills(), kills(Some(2), Some(9)));
    let inner = "/sys/fs/cgroup/job/inner/memory.events";
    root.write(inner, "low 0\nmax 7\noom 3\noom_kill 1\n");
    assert_eq!(root.surroundings().oom_kills(), kills(Some(1), Some(9)));
    root.write("/proc/self/cgroup", "0::/\n");
    root.write("/proc/vmstat", "nr_free_pages 4\n");
    assert_eq!(root.surroundings().oom_kills(), kills(None, None));
}

#[test]
fn in_version_1_a_group_counts_for_itself_alone() {
    let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n";
    let root = Root::new(&[
        ("/proc/self/cgroup", "5:memory:/job/inner\n"),
        ("/proc/self/mountinfo", MOUNTS_HYBRID),
        ("/proc/vmstat", "oom_kill 4\n"),
        ("/sys/fs/cgroup/memory/job/memory.oom_control", control),
    ]);
    let kills = |cgroup| {
        Ok(OomKills {
            cgroup,
            host: Some(4),
        })
    };
    assert_eq!(root.surroundings().oom_kills(), kills(None));
    root.write("/sys/fs/cgroup/memory/job/inner/memory.oom_control", control);
    assert_eq!(root.surroundings().oom_kills(), kills(Some(4)));
    // Kernels before 4.13 do not count.
    let old = "oom_kill_disable 0\nunder_oom 0\n";
    root.write("/sys/fs/cgroup/memory/job/inner/memory.oom_control", old);
    assert_eq!(root.surroundings().oom_kills(), kills(None));
}
