//! Finds the command's program as the task means it, and says why it cannot be started.
//!
//! The search uses the task's `PATH` and working folder, never the shim's own.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::room;
use crate::entrance::own_program;
use crate::executor::Launch;

/// What a shell searches when there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The program's full path, or the reason why there is none. What runs in a worktree is looked for there, once that is
/// there.
pub(super) fn find(launch: &Launch) -> Result<PathBuf, String> {
    enter(&launch.cwd)?;
    if launch.worktree.is_some() {
        return entrance();
    }
    let name = launch.argv.first().filter(|name| !name.is_empty());
    let name = name.ok_or("the command is empty")?;
    let candidates = candidates(name, launch);
    match candidates.iter().find(|path| is_program(path)) {
        Some(_) if launch.needs_entrance() => entrance(),
        Some(path) => Ok(path.clone()),
        None => Err(explain_missing(name, &candidates)),
    }
}

/// This very program, also when its file has been replaced since it was started.
fn entrance() -> Result<PathBuf, String> {
    own_program().map_err(|error| format!("the path of this program cannot be told: {error}"))
}

fn enter(cwd: &Path) -> Result<(), String> {
    let shown = cwd.display();
    let metadata = fs::metadata(cwd)
        .map_err(|error| format!("the working folder {shown} cannot be entered: {error}"))?;
    if !metadata.is_dir() {
        return Err(format!("the working folder {shown} is not a folder"));
    }
    rustix::fs::access(cwd, Access::EXEC_OK)
        .map_err(|error| format!("the working folder {shown} cannot be entered: {error}"))
}

fn candidates(name: &str, launch: &Launch) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![launch.cwd.join(name)];
    }
    let path = launch.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let in_folder = |folder| launch.cwd.join(folder).join(name);
    path.split(':').map(in_folder).collect()
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
        && fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn explain_missing(name: &str, candidates: &[PathBuf]) -> String {
    for path in candidates {
        let shown = path.display();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return format!("{shown} is a folder"),
            Ok(_) => return format!("{shown} is not executable"),
            Err(error) if error.kind() != ErrorKind::NotFound && candidates.len() == 1 => {
                return format!("{shown} cannot be read: {error}");
            }
            Err(_) => {}
        }
    }
    let tried: Vec<_> = candidates.iter().map(|path| path.to_string_lossy()).collect();
    format!("{name}: program not found (tried {})", tried.join(", "))
}

/// Why a program that is there did not start.
pub(super) fn explain(error: &io::Error, program: &OsStr, launch: &Launch) -> String {
    let program = Path::new(program).display();
    match error.raw_os_error() {
        Some(libc::ENOENT) => {
            format!("{program} cannot be started: the interpreter in its first line is missing")
        }
        Some(libc::ENOEXEC) => {
            format!("{program} cannot be started: no program, and no #! line names one for it")
        }
        Some(room::NOT_ENTERED) if launch.room.sandbox.is_some() => {
            format!("{program} cannot be started: its sandbox cannot be entered (16 can be nested)")
        }
        Some(room::NOT_JOINED) if launch.room.group.is_some() => {
            format!("{program} cannot be started: its control group cannot be entered")
        }
        Some(libc::E2BIG) => {
            let arguments: usize = launch.argv.iter().map(String::len).sum();
            let environment: usize = launch.env.iter().map(|(k, v)| k.len() + v.len()).sum();
            format!(
                "{program} cannot be started: {arguments} bytes of arguments and {environment} \
                 bytes of environment are too many"
            )
        }
        _ => format!("{program} cannot be started: {error}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::executor::{AttemptId, Room, StopPlan};
    use std::collections::BTreeMap;
    use wezterm_parallel_scheduler::TaskKey;

    pub(in crate::executor::shim) fn launch(program: &str, path: Option<&str>, cwd: &Path) -> Launch {
        let key = TaskKey(1);
        let path = path.map(|path| ("PATH".to_owned(), path.to_owned()));
        Launch {
            id: AttemptId { key, attempt: 1 },
            folder: PathBuf::from("/nowhere"),
            argv: vec![program.to_owned()],
            cwd: cwd.to_owned(),
            worktree: None,
            secrets: Vec::new(),
            env: BTreeMap::from_iter(path),
            stdin: None,
            stdin_open: false,
            separate_stderr: false,
            timeout_ms: None,
            stop: StopPlan {
                signal: 15,
                grace_ms: 1,
                then: None,
            },
            output_cap_bytes: 0,
            room: Room::default(),
        }
    }

    #[test]
    fn the_tasks_path_is_searched_from_its_working_folder() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", home.path().join("bin/mine")).unwrap();
        let found = find(&launch("mine", Some("/none:bin"), home.path()));
        assert_eq!(found, Ok(home.path().join("bin/mine")));
        let found = find(&launch("./bin/mine", None, home.path()));
        assert_eq!(found, Ok(home.path().join("./bin/mine")));
    }

    #[test]
    fn a_missing_program_is_told_with_every_path_tried() {
        let home = tempfile::tempdir().unwrap();
        let reason = find(&launch("mine", Some("/a:/b"), home.path())).unwrap_err();
        assert_eq!(reason, "mine: program not found (tried /a/mine, /b/mine)");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let home = tempfile::tempdir().unwrap();
        let plain = home.path().join("plain");
        fs::write(&plain, "text").unwrap();
        let reason = find(&launch("./plain", None, home.path())).unwrap_err();
        assert!(reason.ends_with("plain is not executable"), "{reason}");
        let reason = find(&launch("/usr", None, home.path())).unwrap_err();
        assert_eq!(reason, "/usr is a folder");
        let reason = find(&launch("true", None, &plain)).unwrap_err();
        assert!(reason.ends_with("plain is not a folder"), "{reason}");
    }
}
