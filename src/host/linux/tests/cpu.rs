//! The tighter of the machine's processors and every quota above the daemon.

use super::*;

/// A machine that has been read twice, five seconds apart, with these files changed in between.
fn between(root: &Root, changed: &[(&str, &str)]) -> Result<(Cpu, Cpu), String> {
    let mut surroundings = root.surroundings();
    let mut read = |millis| {
        let found = surroundings.find(at(millis));
        let cpu = found.and_then(|()| surroundings.limit_cpu(at(millis), machine_cpu()));
        cpu.map_err(|unreadable| unreadable.to_string())
    };
    let first = read(1_000)?;
    for (path, text) in changed {
        root.write(path, text);
    }
    Ok((first, read(6_000)?))
}

fn cpu(used_share: impl Into<Option<f64>>, count: f64, bound: Bound) -> Cpu {
    Cpu {
        used_share: used_share.into(),
        count,
        bound,
    }
}

#[test]
fn without_a_quota_the_machine_counts() {
    let root = Root::v2(
        "/a/b",
        &[
            ("/sys/fs/cgroup/a/cpu.max", "max 100000\n"),
            // As much as there is.
            ("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n"),
        ],
    );
    assert_eq!(between(&root, &[]), Ok((machine_cpu(), machine_cpu())));
    assert_eq!(between(&Root::new(&[]), &[]), Ok((machine_cpu(), machine_cpu())));
}

#[test]
fn the_share_of_a_quota_that_was_used_counts_if_it_is_the_larger() {
    let folder = "/sys/fs/cgroup/a";
    let stat = |usage: u64| format!("usage_usec {usage}\nuser_usec 7\nsystem_usec 7\nnr_periods 3\n");
    let root = Root::v2(
        "/a",
        &[
            ("/sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/a/cpu.stat", &stat(5_000_000)),
        ],
    );
    // 6 s of CPU time in 5 s, of 1.5 processors.
    let (first, second) = between(&root, &[("/sys/fs/cgroup/a/cpu.stat", &stat(11_000_000))]).unwrap();
    assert_eq!(first, cpu(None, 1.5, group(folder)));
    assert_eq!(second.bound, group(folder));
    assert!((second.used_share.unwrap() - 0.8).abs() < 1e-9, "{second:?}");
    // Less of the quota is used than of the machine.
    let (_, second) = between(&root, &[("/sys/fs/cgroup/a/cpu.stat", &stat(12_000_000))]).unwrap();
    assert_eq!(second, cpu(0.25, 1.5, Bound::Host));
    // A burst above the quota is all of it.
    let (_, second) = between(&root, &[("/sys/fs/cgroup/a/cpu.stat", &stat(90_000_000))]).unwrap();
    assert_eq!(second, cpu(1.0, 1.5, group(folder)));
}

#[test]
fn of_nested_quotas_the_tightest_counts() {
    let root = Root::v2(
        "/a/b",
        &[
            ("/sys/fs/cgroup/a/cpu.max", "200000 100000\n"),
            ("/sys/fs/cgroup/a/cpu.stat", "usage_usec 0\n"),
            ("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"),
            ("/sys/fs/cgroup/a/b/cpu.stat", "usage_usec 0\n"),
        ],
    );
    let used = [
        ("/sys/fs/cgroup/a/cpu.stat", "usage_usec 10000000\n"),
        ("/sys/fs/cgroup/a/b/cpu.stat", "usage_usec 2500000\n"),
    ];
    let (first, second) = between(&root, &used).unwrap();
    assert_eq!(first, cpu(None, 1.0, group("/sys/fs/cgroup/a/b")));
    assert_eq!(second, cpu(1.0, 1.0, group("/sys/fs/cgroup/a")));
}

#[test]
fn version_1_tells_the_time_used_in_another_controllers_file() {
    let folder = "/sys/fs/cgroup/cpu,cpuacct/job";
    let root = Root::new(&[
        ("/proc/self/cgroup", "4:cpu,cpuacct:/job\n0::/\n"),
        ("/proc/self/mountinfo", MOUNTS_HYBRID),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage", "1000000000\n"),
    ]);
    let used = [("/sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage", "6000000000\n")];
    let (first, second) = between(&root, &used).unwrap();
    assert_eq!(first, cpu(None, 2.0, group(folder)));
    assert_eq!(second, cpu(0.5, 2.0, group(folder)));
}

#[test]
fn the_two_controllers_of_version_1_may_be_mounted_apart() {
    let mounts = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
";
    let root = Root::new(&[
        ("/proc/self/cgroup", "2:cpuacct:/job\n1:cpu:/job\n"),
        ("/proc/self/mountinfo", mounts),
        ("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n"),
        ("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"),
        ("/sys/fs/cgroup/cpuacct/job/cpuacct.usage", "0\n"),
    ]);
    let used = [("/sys/fs/cgroup/cpuacct/job/cpuacct.usage", "1250000000\n")];
    let (_, second) = between(&root, &used).unwrap();
    assert_eq!(second, cpu(0.5, 0.5, group("/sys/fs/cgroup/cpu/job")));
    // Without the second one there is a limit and no telling how near it is.
    root.write("/proc/self/cgroup", "1:cpu:/job\n");
    assert_eq!(
        between(&root, &[]).unwrap_err(),
        "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us: sets a limit, but no control group tells how much of it is \
         used (cpuacct)"
    );
}

#[test]
fn a_share_is_only_known_if_every_part_of_it_is() {
    let root = Root::v2(
        "/a",
        &[
            ("/sys/fs/cgroup/a/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.stat", "usage_usec 0\n"),
        ],
    );
    // The quota has just been set.
    let (first, second) = between(&root, &[("/sys/fs/cgroup/a/cpu.max", "100000 100000\n")]).unwrap();
    assert_eq!(first, machine_cpu());
    assert_eq!(second, cpu(None, 1.0, group("/sys/fs/cgroup/a")));
}
