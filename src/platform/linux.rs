//! Linux: pidfds, `/proc`, subreapers and holes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FallocateFlags;
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::CpuSet;

use super::{duration, ProcessSample, ProcessStatus};

/// `ru_maxrss` counts in kibibytes.
pub(super) const MAXRSS_UNIT: u64 = 1024;
/// SIGRTMAX.
pub(super) const LAST_SIGNAL: i32 = 64;
/// `/proc/<pid>/stat` counts in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// Digits of the highest number that a process can have, and the space behind it.
const LONGEST_PID: usize = 8;

/// From now on every orphan below the caller becomes its child, whatever session it is in.
pub(crate) fn become_subreaper() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// A process that was alive when this was opened; its pid's next owner is never meant by it.
pub(crate) struct Process(OwnedFd);

impl Process {
    /// Opens the process that has this pid now.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends it a signal by number.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: the descriptor is open, and a null siginfo asks for what `kill` would send.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

pub(super) fn status(pid: i32) -> Option<ProcessStatus> {
    sample(pid).map(|sample| sample.status)
}

/// All that `/proc/<pid>/stat` has; of processes of other users, too.
pub(crate) fn sample(pid: i32) -> Option<ProcessSample> {
    // The line fits, so one read does: this is on the way of every attempt.
    let mut buffer = [0; 1024];
    let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    parse_stat(&String::from_utf8_lossy(&buffer[..length]))
}

/// The name in field 2 may hold spaces and parentheses, so fields are counted from the last `)`.
fn parse_stat(stat: &str) -> Option<ProcessSample> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let mut number = |skipped| fields.nth(skipped)?.parse::<u64>().ok();
    let faults = number(3)? + number(1)?;
    let ticks = number(1)? + number(0)?;
    let of_children = number(0)? + number(0)?;
    let threads = u32::try_from(number(2)?).ok()?;
    let started = number(1)?;
    let resident_pages = number(1)?;
    Some(ProcessSample {
        status: ProcessStatus {
            parent,
            group,
            session,
            started,
            zombie: matches!(state, "Z" | "X"),
            stopped: matches!(state, "T" | "t"),
        },
        threads,
        resident_bytes: resident_pages * page_size(),
        cpu: Duration::from_millis((ticks + of_children) * (1_000 / TICKS_PER_SECOND)),
        activity: faults + ticks,
    })
}

/// Time since the machine booted, suspend included; nobody can set it.
pub(crate) fn since_boot() -> Duration {
    duration(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

/// Now, in the unit of [`ProcessStatus::started`].
pub(crate) fn ticks_since_boot() -> u64 {
    let now = since_boot();
    now.as_secs() * TICKS_PER_SECOND + u64::from(now.subsec_nanos()) / (1_000_000_000 / TICKS_PER_SECOND)
}

/// The children of a process, those of all its threads.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match listed_children(&thread.path().join("children")) {
            Ok(list) => found.extend(list),
            // The thread may just have ended; a kernel without these lists lacks them for all.
            Err(_) if fs::metadata("/proc/thread-self/children").is_err() => return children_by_scan(pid),
            Err(_) => {}
        }
    }
    found
}

/// The children of a process that its main thread has started, or inherited.
pub(crate) fn children_of_main_thread(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    listed_children(Path::new(&path)).unwrap_or_default()
}

/// One list of children. Most are empty or short, and then one read does.
fn listed_children(path: &Path) -> io::Result<Vec<i32>> {
    let mut file = File::open(path)?;
    let mut buffer = [0; 1024];
    let length = file.read(&mut buffer)?;
    let mut list = buffer[..length].to_vec();
    // The kernel fills the buffer up to the last number that has room.
    if length + LONGEST_PID > buffer.len() {
        file.read_to_end(&mut list)?;
    }
    Ok(parse_pids(&String::from_utf8_lossy(&list)).collect())
}

/// Whether this kernel lists the children of a process, rather than [`children`] having to look at every process.
pub(crate) fn try_child_lists() -> io::Result<()> {
    File::open("/proc/thread-self/children").map(drop)
}

/// The processors that the calling thread may run on, by number; `None` if that is not known.
pub(crate) fn allowed_cpus() -> Option<Vec<usize>> {
    let allowed = rustix::thread::sched_getaffinity(None).ok()?;
    let is_allowed = |number: &usize| allowed.is_set(*number);
    Some((0..CpuSet::MAX_CPU).filter(is_allowed).collect())
}

fn parse_pids(list: &str) -> impl Iterator<Item = i32> + '_ {
    let pids = list.split_ascii_whitespace();
    pids.filter_map(|pid| pid.parse().ok())
}

/// Orphans of a session that left the tree: none, the subreaper keeps them all.
pub(crate) fn escaped(_session: i32) -> Vec<i32> {
    Vec::new()
}

fn children_by_scan(pid: i32) -> Vec<i32> {
    let is_child = |other: &i32| status(*other).is_some_and(|status| status.parent == pid);
    processes().into_iter().filter(is_child).collect()
}

/// Every process that can be seen.
pub(crate) fn processes() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid_of = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.flatten().filter_map(pid_of).collect()
}

/// Whether a process was started with exactly this `NAME=value` in its environment.
pub(crate) fn has_environment_entry(pid: i32, entry: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment.split(|byte| *byte == 0).any(|one| one == entry)
}

/// Whether a process runs the very file that the caller runs.
pub(crate) fn is_this_program(pid: i32) -> bool {
    let file = |path: &str| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    match (file(&format!("/proc/{pid}/exe")), file("/proc/self/exe")) {
        (Ok(its), Ok(own)) => its == own,
        _ => false,
    }
}

/// The kernel ends this process before its own caller when memory runs out. What cannot be done is left: it only
/// makes a bad day a little worse.
pub(crate) fn offer_to_oom_killer(pid: i32, more: i32) {
    let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<i32>().ok();
    let own = read("/proc/self/oom_score_adj").unwrap_or(0);
    // 1000 means: this one first, whatever it takes.
    let _ = fs::write(
        format!("/proc/{pid}/oom_score_adj"),
        own.saturating_add(more).min(1_000).to_string(),
    );
}

/// The memory that a process has in RAM, shared pages in full.
pub(crate) fn resident_bytes(pid: i32) -> u64 {
    let Ok(statm) = fs::read_to_string(format!("/proc/{pid}/statm")) else {
        return 0;
    };
    let pages: Option<u64> = statm
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * page_size()
}

/// The address space of this process, in bytes, and its threads.
pub(super) fn own_size() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some((field("VmSize:")? * 1024, field("Threads:")?))
}

/// The moment that lies so many of the ticks of [`ProcessStatus::started`] after boot, since the Unix epoch.
pub(super) fn since_epoch(started: u64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let booted_at = now.unwrap_or_default().saturating_sub(since_boot());
    booted_at + Duration::from_millis(started * (1_000 / TICKS_PER_SECOND))
}

pub(crate) fn page_size() -> u64 {
    // SAFETY: `sysconf` takes a number and touches no memory of ours.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The memory that a process has in RAM, shared pages divided among those who share them.
pub(crate) fn proportional_bytes(pid: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Gives a part of a file back to the file system; its size stays, and the part reads as zeroes.
pub(crate) fn punch_hole(file: &File, part: Range<u64>) -> io::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(file, mode, part.start, part.end - part.start)?;
    Ok(())
}

/// Closes every descriptor from `first` on, whoever opened it.
pub(crate) fn close_descriptors_from(first: u32) {
    // SAFETY: the caller owns no descriptor in that range that it still uses.
    if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } == 0 {
        return;
    }
    // Kernels before 5.9.
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|fd| *fd as u32 >= first) {
        // SAFETY: as above; the listing's own descriptor is closed already and is refused.
        unsafe { libc::close(descriptor) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "77 (a) b (c)) S 5 77 70 0 -1 4194560 10 2 30 4 500 600 7 8 20 0 1 0 4321 8 9";
        let status = ProcessStatus {
            parent: 5,
            group: 77,
            session: 70,
            started: 4321,
            zombie: false,
            stopped: false,
        };
        let expected = ProcessSample {
            status,
            threads: 1,
            resident_bytes: 9 * page_size(),
            cpu: Duration::from_millis((500 + 600 + 7 + 8) * 10),
            activity: 10 + 30 + 500 + 600,
        };
        assert_eq!(parse_stat(stat), Some(expected));
    }

    #[test]
    fn the_test_process_sees_itself() {
        let own = i32::try_from(std::process::id()).expect("pids fit");
        let status = status(own).expect("this process is alive");
        assert!(status.started <= ticks_since_boot());
        assert!(processes().contains(&own));
        assert!(resident_bytes(own) > 0);
        assert!(children(status.parent).contains(&own));
    }
}
