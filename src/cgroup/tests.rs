//! Recorded trees of control groups, and whether the daemon's own is taken for one that it may divide.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::attempt::Counts;
use super::look::{Look, Site};
use super::{AttemptGroup, Base, GroupLimits, Means};

const MOUNTS_V2: &str = "\
23 28 0:21 / /proc rw,nosuid - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
";
const MOUNTS_HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate
35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:8 - cgroup cgroup rw,memory
";
/// Where the user's service is.
const SERVICE: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/wezterm-parallel.service";
const OWN: u32 = 700;

/// A root folder with some files of `/proc` and `/sys`.
struct Root {
    folder: TempDir,
    delegated: Vec<PathBuf>,
}

impl Root {
    fn new(memberships: &str, mounts: &str) -> Self {
        let root = Self {
            folder: tempfile::tempdir().expect("a folder"),
            delegated: Vec::new(),
        };
        root.write("proc/self/cgroup", memberships);
        root.write("proc/self/mountinfo", mounts);
        root
    }

    /// One tree of version 2, and the daemon alone in this group of it.
    fn v2(group: &str) -> Self {
        let root = Self::new(&format!("0::{group}\n"), MOUNTS_V2);
        root.group(group, &OWN.to_string());
        root
    }

    fn group(&self, group: &str, members: &str) {
        let file = |name: &str| format!("sys/fs/cgroup{group}/{name}");
        self.write(&file("cgroup.type"), "domain\n");
        self.write(&file("cgroup.controllers"), "cpu io memory pids\n");
        self.write(&file("cgroup.subtree_control"), "");
        self.write(&file("cgroup.procs"), members);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// As systemd marks it.
    fn delegate(&mut self, group: &str) {
        self.delegated.push(self.path(&format!("sys/fs/cgroup{group}")));
    }

    fn site(&self) -> Result<Site, String> {
        Look {
            root: self.folder.path(),
            pid: OWN,
            is_delegated: &|folder: &Path| self.delegated.iter().any(|one| one == folder),
        }
        .site()
    }

    /// Why it may not be divided, without what to do about it.
    fn refusal(&self) -> String {
        let why = self.site().expect_err("it is not ours");
        why.replace(super::ADVICE, "ADVICE")
    }
}

#[test]
fn a_group_of_version_2_that_we_are_alone_in_is_ours() {
    let site = Root::v2(SERVICE).site().expect("it is ours");
    assert_eq!(site.base, Path::new("/sys/fs/cgroup").join(&SERVICE[1..]));
    assert!(site.memory && site.pids && !site.is_in_leaf);
}

#[test]
fn whoever_starts_in_a_leaf_or_among_workers_finds_the_group_above() {
    for (below, is_in_leaf) in [
        ("/wezterm-parallel", true),
        ("/wezterm-parallel-fd.12-7-1", false),
    ] {
        let root = Root::v2(&format!("{SERVICE}{below}"));
        root.group(SERVICE, "");
        let site = root.site().expect("it is ours");
        assert!(site.base.ends_with("wezterm-parallel.service"), "{site:?}");
        assert_eq!(site.is_in_leaf, is_in_leaf);
    }
    // A unit whose name begins like the leaf's is no leaf.
    assert!(
        !Root::v2("/wezterm-parallel.service")
            .site()
            .expect("it is ours")
            .is_in_leaf
    );
}

#[test]
fn version_1_and_hybrids_say_what_to_boot_with() {
    let v1 = "5:memory:/a\n4:pids:/\n1:name=systemd:/\n";
    insta::assert_snapshot!(Root::new(v1, "").refusal(), @"this machine has version 1 of control groups only: boot it with version 2 alone (`systemd.unified_cgroup_hierarchy=1`)");
    let hybrid = Root::new(&format!("{v1}0::/a\n"), MOUNTS_HYBRID);
    hybrid.group("/unified/a", "700");
    insta::assert_snapshot!(hybrid.refusal(), @"on this machine version 1 of control groups has the controller memory: boot it with version 2 alone (`systemd.unified_cgroup_hierarchy=1`)");
    let none = Root::v2("/a");
    std::fs::remove_file(none.path("proc/self/cgroup")).expect("it was there");
    assert_eq!(none.refusal(), "this kernel has none");
}

#[test]
fn a_group_that_is_not_mounted_here_is_nobody_elses_in_its_place() {
    let mounts = "31 23 0:28 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    for path in ["/docker/2", "/../docker/1", "/docker/1/../2"] {
        let root = Root::new(&format!("0::{path}\n"), mounts);
        root.group("", "700");
        let why = root.refusal();
        assert!(
            why.starts_with(&format!("the daemon's own, {path}, is not to be seen here")),
            "{why}"
        );
    }
}

#[test]
fn groups_that_belong_to_others_are_left_alone() {
    let root = Root::v2(SERVICE);
    let file = |name: &str| format!("sys/fs/cgroup{SERVICE}/{name}");
    root.write(&file("cgroup.procs"), "7\n8\n700\n9\n10\n");
    root.write("proc/7/comm", "zsh\n");
    insta::assert_snapshot!(root.refusal(), @"other processes are in the daemon's own, /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/wezterm-parallel.service (7 zsh, 8, 9 and 1 more), and are not ours to move: ADVICE");
    // Of a process of another container the kernel tells no number.
    root.write(&file("cgroup.procs"), "0\n700\n");
    assert!(root.refusal().starts_with("other processes are in"));
    root.write(&file("cgroup.type"), "domain threaded\n");
    insta::assert_snapshot!(root.refusal(), @r#"the daemon's own, /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/wezterm-parallel.service, is of type "domain threaded", not "domain": ADVICE"#);
    root.write(&file("cgroup.controllers"), "cpu io\n");
    insta::assert_snapshot!(root.refusal(), @"the daemon's own, /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/wezterm-parallel.service, has not been given the controllers memory and pids: ADVICE");
    let machine = Root::v2("/");
    std::fs::remove_file(machine.path("sys/fs/cgroup/cgroup.type")).expect("it was there");
    insta::assert_snapshot!(machine.refusal(), @"the daemon is in the root of all control groups, which belongs to the whole machine: ADVICE");
}

#[test]
fn one_controller_is_better_than_none() {
    let root = Root::v2("/a");
    root.write("sys/fs/cgroup/a/cgroup.controllers", "pids\n");
    let site = root.site().expect("it is ours");
    assert!(site.pids && !site.memory);
}

#[test]
fn where_systemd_marks_what_it_delegates_the_mark_counts() {
    let manager = "/user.slice/user-1000.slice/user@1000.service";
    let mut root = Root::v2(SERVICE);
    root.delegate(manager);
    insta::assert_snapshot!(root.refusal(), @"systemd has not delegated the daemon's own, /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/wezterm-parallel.service: ADVICE");
    root.delegate(SERVICE);
    root.site().expect("it is ours");
    // What is no unit of systemd's was made by somebody else, within what that one was given.
    let mut root = Root::v2(&format!("{manager}/mine"));
    root.delegate(manager);
    root.site().expect("it is ours");
    assert!(Root::v2("/user.slice")
        .refusal()
        .starts_with("systemd has not delegated"));
}

#[test]
fn without_the_right_to_write_there_is_nothing_to_divide() {
    let root = Root::v2("/a");
    std::fs::remove_file(root.path("sys/fs/cgroup/a/cgroup.subtree_control")).expect("it was there");
    insta::assert_snapshot!(root.refusal(), @"the daemon may not divide its own, /sys/fs/cgroup/a/cgroup.subtree_control: No such file or directory (os error 2); ADVICE");
}

#[test]
fn what_does_not_hold_is_named() {
    let limits = GroupLimits {
        memory_high: Some(1 << 30),
        memory_max: Some(2 << 30),
        pids_max: Some(100),
    };
    let lack = |memory, pids| {
        let base = Base {
            folder: "/sys/fs/cgroup/a".into(),
            tag: String::new(),
            memory,
            pids,
        };
        Means::Base(base).lack(&limits)
    };
    assert_eq!(lack(true, true), None);
    let words = lack(false, true).expect("a lack");
    assert!(
        words.starts_with(
            "memory_high and memory_max are not in force: the control group /sys/fs/cgroup/a has been given the \
             controller pids only: run the daemon as a service"
        ),
        "{words}"
    );
    let none = Means::None("macOS has none".to_owned());
    let one = GroupLimits {
        pids_max: Some(100),
        ..GroupLimits::default()
    };
    assert_eq!(
        none.lack(&one).as_deref(),
        Some("pids_max is not in force: macOS has none")
    );
    assert_eq!(none.lack(&GroupLimits::default()), None);
}

#[test]
fn what_the_kernel_has_counted_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let group = AttemptGroup {
        folder: folder.path().to_owned(),
        limits: GroupLimits::default(),
    };
    assert_eq!(group.counts(), Counts::default());
    let events = "low 0\nhigh 9\nmax 120\noom 2\noom_kill 3\noom_group_kill 0\n";
    for (name, text) in [
        ("memory.events", events),
        ("pids.events", "max 5\n"),
        ("memory.peak", "4096\n"),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let counts = Counts {
        oom_kills: 3,
        at_memory_max: 2,
        throttled: 9,
        forks_refused: 5,
        peak_bytes: Some(4096),
    };
    assert_eq!(group.counts(), counts);
}
