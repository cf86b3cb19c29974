//! What the operating systems do differently, and the few system calls that have no safe wrapper.
//!
//! Everything above asks here for a process's parent, children, memory or environment and never
//! looks at `/proc` itself, so that a port is one file. docs/platforms.md says what differs.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

#[cfg(target_os = "linux")]
pub(crate) use system::page_size;
pub(crate) use system::{
    allowed_cpus, become_subreaper, children, children_of_main_thread, close_descriptors_from, escaped,
    has_environment_entry, is_this_program, offer_to_oom_killer, processes, proportional_bytes, punch_hole,
    resident_bytes, sample, since_boot, ticks_since_boot, try_child_lists, Process,
};

/// How soon a pipe is tried again that cannot be waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the kernel tells about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStatus {
    /// Its parent.
    pub(crate) parent: i32,
    /// Its process group.
    pub(crate) group: i32,
    /// Its session.
    pub(crate) session: i32,
    /// When it started, in the unit of [`ticks_since_boot`]; with the pid it names a process for good.
    pub(crate) started: u64,
    /// It is dead and waits for its parent to notice.
    pub(crate) zombie: bool,
    /// It was stopped by a signal, and other signals wait until it goes on.
    pub(crate) stopped: bool,
}

/// The status of a process; `None` if there is none with that number.
pub(crate) fn status(pid: i32) -> Option<ProcessStatus> {
    system::status(pid)
}

/// What one cheap look at a process tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessSample {
    /// Its status.
    pub(crate) status: ProcessStatus,
    /// How many lists of children it has: one for each thread, where threads have children of their own.
    pub(crate) threads: u32,
    /// The memory that it has in RAM, shared pages in full.
    pub(crate) resident_bytes: u64,
    /// CPU time that it has used, and those of its children that it has waited for; 0 where that is not told in seconds.
    pub(crate) cpu: Duration,
    /// Grows when it uses CPU time, and with every page that it touches first: who takes memory cannot hide it.
    pub(crate) activity: u64,
}

/// Whether a process is a daemon, launcher or shim of this program. One that was started from inside an attempt,
/// because there was none, serves everybody: it leads a session of its own, and belongs to no attempt.
pub(crate) fn is_service(pid: i32, status: &ProcessStatus) -> bool {
    status.session == pid && is_this_program(pid)
}

/// Whether this process leads its session, as the program of a pane or a tab does, and a guest in somebody's shell does
/// not. The session's number itself is not asked for: in a PID namespace of its own (a container) a process may have
/// one from outside, which reads as 0 and is no process id.
pub(crate) fn leads_its_session() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    status(own).is_some_and(|status| status.session == own)
}

/// The CPU time that the calling thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    duration(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime))
}

fn duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Whether there is a process with this number, be it dead and not yet waited for.
pub(crate) fn exists(pid: i32) -> bool {
    let tested = rustix::process::Pid::from_raw(pid).map(rustix::process::test_kill_process);
    matches!(tested, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

/// What the system tells of this process; what it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnProcess {
    /// CPU time of all its threads.
    pub(crate) cpu: Duration,
    /// Its memory in RAM, shared pages in full.
    pub(crate) resident_bytes: Option<u64>,
    /// Its address space.
    pub(crate) virtual_bytes: Option<u64>,
    /// Files that it has open.
    pub(crate) open_files: Option<u64>,
    /// Files that it may have open; `None` also for any number.
    pub(crate) files_max: Option<u64>,
    /// Its threads.
    pub(crate) threads: Option<u64>,
    /// When it was started, since the Unix epoch.
    pub(crate) started_at: Option<Duration>,
}

/// Looks at this process. Some reads of small files.
pub(crate) fn own_process() -> OwnProcess {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // The listing has a descriptor of its own.
    let open_files = std::fs::read_dir("/dev/fd").map(|files| files.count().saturating_sub(1) as u64);
    let (virtual_bytes, threads) = system::own_size().unzip();
    OwnProcess {
        cpu: duration(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)),
        resident_bytes: Some(resident_bytes(pid)).filter(|bytes| *bytes > 0),
        virtual_bytes,
        open_files: open_files.ok(),
        files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        threads,
        started_at: status(pid).map(|status| system::since_epoch(status.started)),
    }
}

/// What all descendants that were waited for have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The largest resident size of any single one, in bytes.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Counts another one in.
    pub(crate) fn add(&mut self, other: Self) {
        self.cpu_seconds += other.cpu_seconds;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
    }
}

/// A child that was waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    /// Its number, which is free now.
    pub(crate) pid: i32,
    /// The exit code, if it ended by itself.
    pub(crate) exit_code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// What it used, and those whom it had waited for itself.
    pub(crate) usage: Usage,
}

/// Waits for a child that has ended, without sleeping; `None` if none has. With no child at all
/// it is an error.
pub(crate) fn reap_one() -> io::Result<Option<Reaped>> {
    // SAFETY: `rusage` is plain numbers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: `status` and `usage` are valid places for the kernel to write them.
    let pid = unsafe { libc::wait4(-1, &mut status, libc::WNOHANG, &mut usage) };
    match pid {
        0 => Ok(None),
        1.. => Ok(Some(Reaped {
            pid,
            exit_code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            usage: Usage {
                cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
                peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * system::MAXRSS_UNIT,
            },
        })),
        _ => Err(io::Error::last_os_error()),
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// Sends a signal to a whole process group at once: no fork can slip through.
pub(crate) fn kill_group(group: i32, signal: i32) -> io::Result<()> {
    if group <= 1 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    match unsafe { libc::kill(-group, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives every signal its default action and blocks none: what a fresh login shell starts with.
pub(crate) fn reset_signals() {
    for signal in 1..=system::LAST_SIGNAL {
        // SAFETY: SIG_DFL runs no code of ours; the refusal for SIGKILL and SIGSTOP is harmless.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by `sigemptyset` before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// The signals that were blocked before [`block_signals`].
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Lets those through again that were held back.
    pub(crate) fn restore(&self) {
        // SAFETY: the set was filled by the kernel, and the old one is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Holds these signals back, so that they arrive in [`wait_for_signal`] and nowhere else.
pub(crate) fn block_signals(signals: &[i32]) -> SignalMask {
    // SAFETY: both sets are initialised before they are read; `sigaddset` only refuses bad numbers.
    unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut blocked);
        libc::sigemptyset(&mut before);
        for signal in signals {
            libc::sigaddset(&mut blocked, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &blocked, &mut before);
        SignalMask(before)
    }
}

/// Sleeps until a signal was handled, the time is over or there is room in a full pipe; with no time
/// and no pipe, until a signal alone. A signal that came while it was held back ends the wait at once,
/// so none can be missed.
pub(crate) fn wait_for_signal(timeout: Option<Duration>, full: Option<BorrowedFd<'_>>, mask: &SignalMask) {
    match full.map(|pipe| pipe.as_raw_fd()) {
        Some(pipe) if usize::try_from(pipe).is_ok_and(|pipe| pipe < libc::FD_SETSIZE) => {
            if wait(timeout, Some(pipe), mask) > 0 {
                // A call that finds room lets no signal through, and a command that reads without a
                // pause could keep all of them waiting.
                wait(Some(Duration::ZERO), None, mask);
            }
        }
        // A number too large for this call.
        Some(_) => {
            wait(
                Some(timeout.map_or(LOOK_AGAIN, |timeout| timeout.min(LOOK_AGAIN))),
                None,
                mask,
            );
        }
        None => {
            wait(timeout, None, mask);
        }
    }
}

fn wait(timeout: Option<Duration>, full: Option<i32>, mask: &SignalMask) -> i32 {
    let limit = timeout.map(|timeout| libc::timespec {
        // A longer wait than a day only means one needless look.
        tv_sec: timeout.as_secs().min(86_400) as libc::time_t,
        tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: a descriptor set is plain bits, for which all zeroes is the empty set.
    let mut room: libc::fd_set = unsafe { std::mem::zeroed() };
    if let Some(pipe) = full {
        // SAFETY: the caller has checked that the set has a place for this number.
        unsafe { libc::FD_SET(pipe, &mut room) };
    }
    let count = full.map_or(0, |pipe| pipe + 1);
    let none = ptr::null_mut();
    // SAFETY: set, time and mask live through the call, and the set is as large as `count` says.
    unsafe { libc::pselect(count, none, &mut room, none, limit, &mask.0) }
}

/// Makes this file standard input, output and error; what they were is closed.
pub(crate) fn replace_standard_streams(file: &File) -> io::Result<()> {
    for descriptor in 0..=2 {
        // SAFETY: nobody in this process owns the standard streams beyond their numbers.
        if unsafe { libc::dup2(file.as_raw_fd(), descriptor) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Ignores a signal. For SIGCHLD this also means that ended children vanish without a wait.
pub(crate) fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}
