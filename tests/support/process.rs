//! Processes as the kernel tells of them (Linux).

use std::path::Path;

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Whether a signal has stopped it.
pub fn is_stopped(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state == 'T')
}

/// SIGKILL. It may be gone already.
pub fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The daemon's launcher.
pub fn launcher_of(daemon: u32) -> Option<i32> {
    let all = std::fs::read_dir("/proc").ok()?;
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let is_launcher = String::from_utf8_lossy(&line).contains("__launcher");
            is_launcher && state_and_parent(*pid).is_some_and(|(_, parent)| parent as u32 == daemon)
        })
}

/// The shim that owns the attempt in this folder, once it has written itself down.
pub fn shim_of(folder: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(folder.join("shim.json")).ok()?;
    let begin = text.find("\"pid\":")? + 6;
    let digits: String = text[begin..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The process id that a script wrote into a file.
pub fn pid_in(file: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(file).ok()?;
    text.strip_suffix('\n')?.trim().parse().ok()
}

fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
