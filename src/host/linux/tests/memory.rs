//! The tighter of the machine's memory and every limit above the daemon.

use super::*;

fn limited(total: u64, available: u64, folder: &str) -> Result<Memory, String> {
    Ok(Memory {
        total_bytes: total,
        available_bytes: available,
        bound: group(folder),
    })
}

#[test]
fn without_limits_the_machine_counts() {
    let groups = [
        ("/sys/fs/cgroup/user.slice/memory.max", "max\n"),
        ("/sys/fs/cgroup/user.slice/memory.high", "max\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.high", "max\n"),
        ("/sys/fs/cgroup/user.slice/app.scope/memory.current", "123\n"),
    ];
    assert_eq!(
        Root::v2("/user.slice/app.scope", &groups).memory(),
        Ok(machine_memory())
    );
    // The controller is off, or this is the root.
    assert_eq!(Root::v2("/user.slice", &[]).memory(), Ok(machine_memory()));
    assert_eq!(Root::v2("/", &[]).memory(), Ok(machine_memory()));
    // A kernel without control groups.
    assert_eq!(Root::new(&[]).memory(), Ok(machine_memory()));
}

#[test]
fn a_limit_counts_what_is_in_use_without_old_file_pages() {
    let root = Root::v2(
        "/app",
        &[
            ("/sys/fs/cgroup/app/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/app/memory.high", "max\n"),
            ("/sys/fs/cgroup/app/memory.current", "3221225472\n"),
            (
                "/sys/fs/cgroup/app/memory.stat",
                "anon 1073741824\nfile 2147483648\ninactive_anon 77\ninactive_file 1073741824\n",
            ),
        ],
    );
    assert_eq!(root.memory(), limited(4 * GIB, 2 * GIB, "/sys/fs/cgroup/app"));
    // Where processes are slowed down is no place to start more of them.
    root.write("/sys/fs/cgroup/app/memory.high", "3221225472\n");
    assert_eq!(root.memory(), limited(3 * GIB, GIB, "/sys/fs/cgroup/app"));
    // More in use than allowed, as just after the limit was lowered.
    root.write("/sys/fs/cgroup/app/memory.max", "1073741824\n");
    assert_eq!(root.memory(), limited(GIB, 0, "/sys/fs/cgroup/app"));
}

#[test]
fn every_group_above_counts_and_the_tightest_is_named() {
    let root = Root::v2(
        "/user.slice/app.slice/daemon.scope",
        &[
            ("/sys/fs/cgroup/user.slice/memory.max", "6442450944\n"),
            ("/sys/fs/cgroup/user.slice/memory.current", "5905580032\n"),
            ("/sys/fs/cgroup/user.slice/memory.stat", "inactive_file 0\n"),
            ("/sys/fs/cgroup/user.slice/app.slice/memory.max", "max\n"),
            (
                "/sys/fs/cgroup/user.slice/app.slice/daemon.scope/memory.max",
                "2147483648\n",
            ),
            (
                "/sys/fs/cgroup/user.slice/app.slice/daemon.scope/memory.current",
                "1048576\n",
            ),
            (
                "/sys/fs/cgroup/user.slice/app.slice/daemon.scope/memory.stat",
                "inactive_file 0\n",
            ),
        ],
    );
    // Others in the slice have left less than the scope's own limit would.
    assert_eq!(
        root.memory(),
        limited(2 * GIB, 512 * MIB, "/sys/fs/cgroup/user.slice")
    );
    root.write("/sys/fs/cgroup/user.slice/memory.current", "1073741824\n");
    let scope = "/sys/fs/cgroup/user.slice/app.slice/daemon.scope";
    assert_eq!(root.memory(), limited(2 * GIB, 2 * GIB - MIB, scope));
}

#[test]
fn a_limit_that_leaves_more_than_the_machine_has_left_bounds_the_total_alone() {
    let root = Root::v2(
        "/app",
        &[
            ("/sys/fs/cgroup/app/memory.max", "12884901888\n"),
            ("/sys/fs/cgroup/app/memory.current", "0\n"),
            ("/sys/fs/cgroup/app/memory.stat", "inactive_file 0\n"),
        ],
    );
    let expected = Memory {
        total_bytes: 12 * GIB,
        ..machine_memory()
    };
    assert_eq!(root.memory(), Ok(expected));
}

#[test]
fn a_container_with_a_namespace_of_its_own_sees_its_group_at_the_top() {
    let root = Root::v2(
        "/",
        &[
            ("/sys/fs/cgroup/memory.max", "536870912\n"),
            ("/sys/fs/cgroup/memory.high", "max\n"),
            ("/sys/fs/cgroup/memory.current", "134217728\n"),
            ("/sys/fs/cgroup/memory.stat", "inactive_file 0\n"),
        ],
    );
    let expected = limited(512 * MIB, 384 * MIB, "/sys/fs/cgroup");
    assert_eq!(root.memory(), expected);
    // Moved out of what it can see, or entered from outside.
    root.write("/proc/self/cgroup", "0::/../other\n");
    assert_eq!(root.memory(), expected);
}

#[test]
fn version_1_has_a_huge_number_for_no_limit() {
    let root = Root::new(&[
        (
            "/proc/self/cgroup",
            "5:memory:/user.slice\n2:cpu,cpuacct:/user.slice\n1:name=systemd:/x\n0::/x\n",
        ),
        ("/proc/self/mountinfo", MOUNTS_HYBRID),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", NO_LIMIT_V1),
        (
            "/sys/fs/cgroup/memory/user.slice/memory.limit_in_bytes",
            NO_LIMIT_V1,
        ),
    ]);
    assert_eq!(root.memory(), Ok(machine_memory()));
    let group = "/sys/fs/cgroup/memory/user.slice";
    root.write(&format!("{group}/memory.limit_in_bytes"), "2147483648\n");
    root.write(&format!("{group}/memory.usage_in_bytes"), "1610612736\n");
    let stat = "inactive_file 1\ntotal_cache 7\ntotal_inactive_file 536870912\n";
    root.write(&format!("{group}/memory.stat"), stat);
    assert_eq!(root.memory(), limited(2 * GIB, GIB, group));
}

#[test]
fn a_container_that_sees_its_hosts_paths_finds_its_group_at_the_mount_point() {
    let mounts = "\
40 39 0:33 /docker/0a1b /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup cgroup rw,memory
";
    let root = Root::new(&[
        ("/proc/self/cgroup", "5:memory:/docker/0a1b/inner\n"),
        ("/proc/self/mountinfo", mounts),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file 0\n"),
        ("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "536870912\n"),
        ("/sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "0\n"),
        (
            "/sys/fs/cgroup/memory/inner/memory.stat",
            "total_inactive_file 0\n",
        ),
    ]);
    let inner = "/sys/fs/cgroup/memory/inner";
    assert_eq!(root.memory(), limited(512 * MIB, 512 * MIB, inner));
    root.write("/proc/self/cgroup", "5:memory:/docker/0a1b\n");
    let own = limited(GIB, GIB, "/sys/fs/cgroup/memory");
    assert_eq!(root.memory(), own);
    // A name that only begins alike is another group; then the top is all that there is.
    root.write("/proc/self/cgroup", "5:memory:/docker/0a1bcd/inner\n");
    assert_eq!(root.memory(), own);
}

#[test]
fn of_several_mounts_the_one_counts_that_holds_the_daemon() {
    let mounts = "\
40 39 0:33 /other /mnt/other rw - cgroup2 cgroup2 rw
41 39 0:33 / /mnt/all\\040groups rw - cgroup2 cgroup2 rw
";
    let root = Root::new(&[
        ("/proc/self/cgroup", "0::/app:1\n"),
        ("/proc/self/mountinfo", mounts),
        ("/mnt/other/memory.max", "1\n"),
        ("/mnt/all groups/app:1/memory.max", "1073741824\n"),
        ("/mnt/all groups/app:1/memory.current", "0\n"),
        ("/mnt/all groups/app:1/memory.stat", "inactive_file 0\n"),
    ]);
    assert_eq!(root.memory(), limited(GIB, GIB, "/mnt/all groups/app:1"));
}

#[test]
fn a_daemon_that_is_moved_is_found_again() {
    let root = Root::v2(
        "/roomy",
        &[
            ("/sys/fs/cgroup/roomy/memory.max", "max\n"),
            ("/sys/fs/cgroup/tight/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/tight/memory.current", "0\n"),
            ("/sys/fs/cgroup/tight/memory.stat", "inactive_file 0\n"),
        ],
    );
    let mut surroundings = root.surroundings();
    surroundings.find(at(0)).unwrap();
    let before = surroundings.limit_memory(machine_memory()).unwrap();
    assert_eq!(before.bound, Bound::Host);
    root.write("/proc/self/cgroup", "0::/tight\n");
    surroundings.find(at(5_000)).unwrap();
    let after = surroundings.limit_memory(machine_memory()).unwrap();
    assert_eq!(after.bound, group("/sys/fs/cgroup/tight"));
    // Whoever else looks has the limits read at the next sample, too.
    root.write("/proc/self/cgroup", "0::/roomy\n");
    surroundings.oom_kills().unwrap();
    root.write("/sys/fs/cgroup/roomy/memory.max", "garbage\n");
    surroundings.find(at(5_500)).unwrap();
    surroundings.limit_memory(machine_memory()).unwrap_err();
    // What could not be read is tried again at once.
    root.write("/sys/fs/cgroup/roomy/memory.max", "max\n");
    surroundings.find(at(6_000)).unwrap();
    let last = surroundings.limit_memory(machine_memory()).unwrap();
    assert_eq!(last.bound, Bound::Host);
}
