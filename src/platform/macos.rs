//! macOS: the nearest honest thing to pidfds, `/proc` and subreapers.
//!
//! There is no subreaper, so an orphan goes to launchd: [`escaped`] finds those that stayed in the
//! shim's session, and nothing finds those that left it. See docs/platforms.md.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::time::Duration;

use super::{duration, ProcessSample, ProcessStatus};

/// `ru_maxrss` counts in bytes.
pub(super) const MAXRSS_UNIT: u64 = 1;
/// SIGUSR2.
pub(super) const LAST_SIGNAL: i32 = 31;
/// `SZOMB` of sys/proc.h.
const ZOMBIE: u32 = 5;
/// `SSTOP` of sys/proc.h.
const STOPPED: u32 = 4;
const MICROSECONDS: u64 = 1_000_000;

/// There is no such order here: the system ends whoever takes most.
pub(crate) fn offer_to_oom_killer(_pid: i32, _more: i32) {}

/// The program that starts others in a sandbox.
pub(crate) const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// Whether it is there; its versions are not told apart.
pub(crate) fn sandbox_abi() -> Result<u32, String> {
    match std::fs::metadata(SANDBOX_EXEC) {
        Ok(_) => Ok(1),
        Err(error) => Err(format!("{SANDBOX_EXEC}: {error}")),
    }
}

/// There is none on macOS; orphans that stay in the session are found by [`escaped`].
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(())
}

/// A process named by its pid and start time, since there are no descriptors for processes.
pub(crate) struct Process {
    pid: i32,
    started: u64,
}

impl Process {
    /// Names the process that has this pid now.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let status = status(pid).ok_or(io::ErrorKind::NotFound)?;
        let started = status.started;
        Ok(Self { pid, started })
    }

    /// Sends it a signal by number, unless the pid has a new owner.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        match status(self.pid) {
            Some(status) if status.started == self.started => kill(self.pid, signal),
            _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }
}

fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // A pid below 1 would address whole groups.
    if pid <= 1 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(super) fn status(pid: i32) -> Option<ProcessStatus> {
    let info: libc::proc_bsdinfo = process_info(pid, libc::PROC_PIDTBSDINFO)?;
    // SAFETY: `getsid` takes a number and touches no memory of ours.
    let session = unsafe { libc::getsid(pid) };
    Some(ProcessStatus {
        parent: i32::try_from(info.pbi_ppid).ok()?,
        group: i32::try_from(info.pbi_pgid).ok()?,
        session,
        started: info.pbi_start_tvsec * MICROSECONDS + info.pbi_start_tvusec,
        zombie: info.pbi_status == ZOMBIE,
        stopped: info.pbi_status == STOPPED,
    })
}

/// Asks for one of the fixed-size records about a process.
fn process_info<Record>(pid: i32, flavor: i32) -> Option<Record> {
    // SAFETY: it is only called with libc's plain records of numbers, for which zeroes are a value.
    let mut record: Record = unsafe { mem::zeroed() };
    let size = i32::try_from(mem::size_of::<Record>()).ok()?;
    // SAFETY: the buffer is as large as it is said to be.
    let written = unsafe { libc::proc_pidinfo(pid, flavor, 0, ptr::addr_of_mut!(record).cast(), size) };
    (written == size).then_some(record)
}

/// Time since the machine booted; this system's monotonic clock counts suspend, too.
pub(crate) fn since_boot() -> Duration {
    duration(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

/// Now, in the unit of [`ProcessStatus::started`].
pub(crate) fn ticks_since_boot() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| {
        now.as_secs() * MICROSECONDS + u64::from(now.subsec_micros())
    })
}

/// The children of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    // SAFETY: the buffer is as large as it is said to be.
    list(|buffer, size| unsafe { libc::proc_listchildpids(pid, buffer, size) })
}

/// The same: here children are the process's, whichever thread has started them.
pub(crate) fn children_of_main_thread(pid: i32) -> Vec<i32> {
    children(pid)
}

/// This system always lists them.
pub(crate) fn try_child_lists() -> io::Result<()> {
    Ok(())
}

/// Nothing keeps a program from a processor here.
pub(crate) fn allowed_cpus() -> Option<Vec<usize>> {
    None
}

/// Of another user's process only the status is told.
pub(crate) fn sample(pid: i32) -> Option<ProcessSample> {
    let status = status(pid)?;
    let info: Option<libc::proc_taskinfo> = process_info(pid, libc::PROC_PIDTASKINFO);
    let used = |info: libc::proc_taskinfo| {
        let faults = u64::try_from(info.pti_faults).unwrap_or(0);
        faults
            .wrapping_add(info.pti_total_user)
            .wrapping_add(info.pti_total_system)
    };
    Some(ProcessSample {
        status,
        threads: 1,
        resident_bytes: info.map_or(0, |info| info.pti_resident_size),
        cpu: Duration::ZERO,
        activity: info.map_or(0, used),
    })
}

/// Every process that can be seen.
pub(crate) fn processes() -> Vec<i32> {
    // SAFETY: the buffer is as large as it is said to be.
    list(|buffer, size| unsafe { libc::proc_listallpids(buffer, size) })
}

/// Calls a listing function with a growing buffer until everything fits.
fn list(fill: impl Fn(*mut libc::c_void, i32) -> i32) -> Vec<i32> {
    let mut pids = vec![0_i32; 1024];
    loop {
        let size = i32::try_from(mem::size_of_val(pids.as_slice())).unwrap_or(i32::MAX);
        let count = usize::try_from(fill(pids.as_mut_ptr().cast(), size)).unwrap_or(0);
        if count < pids.len() {
            pids.truncate(count);
            return pids;
        }
        pids.resize(pids.len() * 2, 0);
    }
}

/// Orphans of a session, which launchd has taken.
pub(crate) fn escaped(session: i32) -> Vec<i32> {
    let is_orphan =
        |pid: &i32| status(*pid).is_some_and(|status| status.session == session && status.parent == 1);
    processes().into_iter().filter(is_orphan).collect()
}

/// Whether a process was started with exactly this `NAME=value` in its environment. The kernel
/// hides it for programs that System Integrity Protection covers.
pub(crate) fn has_environment_entry(pid: i32, entry: &[u8]) -> bool {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = buffer.len();
    // SAFETY: name and buffer are as large as they are said to be, and nothing is set.
    let result = unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            3,
            buffer.as_mut_ptr().cast(),
            &mut size,
            ptr::null_mut(),
            0,
        )
    };
    result == 0 && buffer[..size].split(|byte| *byte == 0).any(|one| one == entry)
}

/// Whether a process runs the file that the caller runs, by its path.
pub(crate) fn is_this_program(pid: i32) -> bool {
    let mut path = vec![0_u8; 4 * 1024];
    let size = u32::try_from(path.len()).unwrap_or(0);
    // SAFETY: the buffer is as large as it is said to be.
    let length = unsafe { libc::proc_pidpath(pid, path.as_mut_ptr().cast(), size) };
    let length = usize::try_from(length).unwrap_or(0);
    let own = std::env::current_exe().unwrap_or_default();
    length > 0 && own.as_os_str().as_bytes() == &path[..length]
}

/// The memory that a process has in RAM, shared pages in full.
pub(crate) fn resident_bytes(pid: i32) -> u64 {
    let info: Option<libc::proc_taskinfo> = process_info(pid, libc::PROC_PIDTASKINFO);
    info.map_or(0, |info| info.pti_resident_size)
}

/// macOS has no such figure.
pub(crate) fn proportional_bytes(_pid: i32) -> Option<u64> {
    None
}

/// The address space of this process, in bytes, and its threads.
pub(super) fn own_size() -> Option<(u64, u64)> {
    let pid = i32::try_from(std::process::id()).ok()?;
    let info: libc::proc_taskinfo = process_info(pid, libc::PROC_PIDTASKINFO)?;
    Some((info.pti_virtual_size, u64::try_from(info.pti_threadnum).ok()?))
}

/// The moment of a [`ProcessStatus::started`], since the Unix epoch.
pub(super) fn since_epoch(started: u64) -> Duration {
    Duration::from_micros(started)
}

/// Gives a part of a file back to the file system (APFS can); it reads as zeroes.
pub(crate) fn punch_hole(file: &File, part: Range<u64>) -> io::Result<()> {
    let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let hole = libc::fpunchhole_t {
        fp_flags: 0,
        reserved: 0,
        fp_offset: i64::try_from(part.start).map_err(too_large)?,
        fp_length: i64::try_from(part.end - part.start).map_err(too_large)?,
    };
    // SAFETY: the descriptor is open and the record lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PUNCHHOLE, &hole) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes every descriptor from `first` on, whoever opened it.
pub(crate) fn close_descriptors_from(first: u32) {
    // SAFETY: `getdtablesize` only returns a number.
    let end = unsafe { libc::getdtablesize() };
    for descriptor in i32::try_from(first).unwrap_or(end)..end {
        // SAFETY: the caller owns no descriptor in that range that it still uses.
        unsafe { libc::close(descriptor) };
    }
}
