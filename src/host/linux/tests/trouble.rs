//! Files that are missing, hold garbage or may not be read: the reason names the file, and never is a zero told.

use super::*;
use crate::host::{Host, Sampler};

const MAX: &str = "/sys/fs/cgroup/app/memory.max";

fn limited() -> Root {
    Root::v2(
        "/app",
        &[
            ("/proc/meminfo", ""),
            ("/proc/stat", ""),
            (MAX, "1073741824\n"),
            ("/sys/fs/cgroup/app/memory.current", "4096\n"),
            ("/sys/fs/cgroup/app/memory.stat", "inactive_file 0\n"),
            ("/sys/fs/cgroup/app/cpu.max", "100000 100000\n"),
            ("/sys/fs/cgroup/app/cpu.stat", "usage_usec 0\n"),
        ],
    )
}

fn memory_error(root: &Root) -> String {
    root.memory().unwrap_err()
}

fn cpu_error(root: &Root) -> String {
    let mut surroundings = root.surroundings();
    surroundings.find(at(0)).unwrap();
    let cpu = surroundings.limit_cpu(at(1_000), machine_cpu());
    cpu.unwrap_err().to_string()
}

#[test]
fn garbage_is_shown() {
    let root = limited();
    root.write(MAX, "lots\n");
    assert_eq!(
        memory_error(&root),
        format!(r#"{MAX}: holds "lots" in place of a number"#)
    );
    root.write(MAX, "");
    assert_eq!(
        memory_error(&root),
        format!(r#"{MAX}: holds "" in place of a number"#)
    );
    root.write(MAX, &"9".repeat(100));
    let nines = "9".repeat(40);
    assert_eq!(
        memory_error(&root),
        format!(r#"{MAX}: holds "{nines}" in place of a number"#)
    );
    root.write(MAX, "-5\n");
    assert_eq!(
        memory_error(&root),
        format!(r#"{MAX}: holds "-5" in place of a number"#)
    );
    std::fs::write(root.path(MAX), b"\xff\xfe\n").unwrap();
    assert_eq!(
        memory_error(&root),
        format!("{MAX}: holds \"\u{fffd}\u{fffd}\" in place of a number")
    );
}

#[test]
fn a_limit_without_its_use_is_no_reading() {
    let root = limited();
    root.write("/sys/fs/cgroup/app/memory.stat", "anon 0\n");
    assert_eq!(
        memory_error(&root),
        "/sys/fs/cgroup/app/memory.stat: has no line inactive_file"
    );
    root.remove("/sys/fs/cgroup/app/memory.current");
    assert_eq!(
        memory_error(&root),
        "/sys/fs/cgroup/app/memory.current: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn quotas_that_make_no_sense_are_shown() {
    let root = limited();
    let path = "/sys/fs/cgroup/app/cpu.max";
    for (text, words) in [
        ("100000\n", r#"holds "100000" in place of a quota and a period"#),
        ("many 100000\n", r#"holds "many" in place of a number"#),
        ("100000 0\n", r#"holds "0" in place of a number above 0"#),
    ] {
        root.write(path, text);
        assert_eq!(cpu_error(&root), format!("{path}: {words}"));
    }
    root.write(path, "100000 100000\n");
    root.write("/sys/fs/cgroup/app/cpu.stat", "user_usec 4\n");
    assert_eq!(
        cpu_error(&root),
        "/sys/fs/cgroup/app/cpu.stat: has no line usage_usec"
    );
}

#[test]
fn a_file_that_may_not_be_read_is_not_taken_for_no_limit() {
    let root = limited();
    forbid(&root.path(MAX));
    let error = without_capabilities(|| memory_error(&root));
    assert_eq!(
        error,
        format!("{MAX}: cannot be read: Permission denied (os error 13)")
    );
    let psi = "/proc/pressure/memory";
    root.write(psi, "");
    forbid(&root.path(psi));
    let stall = without_capabilities(|| root.surroundings().stall(at(0)));
    assert_eq!(
        stall.unwrap_err().to_string(),
        format!("{psi}: cannot be read: Permission denied (os error 13)")
    );
}

#[test]
fn a_stall_without_a_total_is_shown() {
    let root = Root::new(&[("/proc/pressure/memory", "some avg10=0.00\n")]);
    let stall = root.surroundings().stall(at(0));
    assert_eq!(
        stall.unwrap_err().to_string(),
        r#"/proc/pressure/memory: holds "some avg10=0.00\n" in place of a line some with its total"#
    );
}

#[test]
fn groups_without_mounts_are_told_and_found_later() {
    let root = limited();
    root.remove("/proc/self/mountinfo");
    let mut surroundings = root.surroundings();
    assert_eq!(
        surroundings.find(at(0)).unwrap_err().to_string(),
        "/proc/self/mountinfo: cannot be read: No such file or directory (os error 2)"
    );
    root.write("/proc/self/mountinfo", MOUNTS_V2);
    surroundings.find(at(0)).unwrap();
    let memory = surroundings.limit_memory(machine_memory()).unwrap();
    assert_eq!(memory.total_bytes, GIB);
}

/// What cannot be read takes nothing else with it.
#[test]
fn each_part_of_a_sample_fails_by_itself() {
    let root = limited();
    root.remove("/proc/meminfo");
    root.write("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    let mut sampler = Sampler::within(root.surroundings());
    let reading = sampler.sample(at(1_000));
    let missing = "/proc/meminfo: cannot be read: No such file or directory (os error 2)";
    assert_eq!(reading.memory.unwrap_err().to_string(), missing);
    assert_eq!(reading.swap.unwrap_err().to_string(), missing);
    assert_eq!(reading.cpu.unwrap().used_share, None);
    assert_eq!(reading.stall, Ok(None));
    // Without its place the daemon does not know its limits, whatever the machine has.
    root.write("/proc/meminfo", "");
    root.remove("/proc/self/cgroup");
    std::fs::create_dir(root.path("/proc/self/cgroup")).unwrap();
    let reading = sampler.sample(at(6_000));
    let place = "/proc/self/cgroup: cannot be read: Is a directory (os error 21)";
    assert_eq!(reading.memory.unwrap_err().to_string(), place);
    assert_eq!(reading.cpu.unwrap_err().to_string(), place);
    assert_eq!(reading.stall.unwrap_err().to_string(), place);
    assert!(reading.swap.is_ok());
}
