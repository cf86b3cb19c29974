//! What the daemon finds itself in: its program, environment, limits, and control group.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::DaemonError;
use crate::cgroup::Means;

/// What a shim tells its worker; it must not reach other tasks through a daemon started in there.
const WORKER_VARIABLES: [&str; 3] = [
    "WEZTERM_PARALLEL_TASK",
    "WEZTERM_PARALLEL_ATTEMPT",
    "WEZTERM_PARALLEL_FOLDER",
];

/// The program to run the launcher from: this one, even if its file was replaced meanwhile.
pub(super) fn own_program() -> Result<PathBuf, DaemonError> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().map_err(DaemonError::io("the path of this program"))
}

/// The environment for tasks that bring none. What is not UTF-8 cannot stand in JSON and is left
/// out, and so is what says which task a daemon was started from.
pub(super) fn own_environment() -> BTreeMap<String, String> {
    let utf8 =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os()
        .filter_map(utf8)
        .filter(|(name, _)| !WORKER_VARIABLES.contains(&name.as_str()))
        .collect()
}

/// A thousand clients need more files than the usual soft limit of 1,024 allows. The launcher was
/// started before: workers keep the limit that the user has set.
pub(super) fn raise_file_limit() {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Takes possession of the control group that this process is in, if it has been given one. The launcher must be
/// started after that, so that no process of ours is left where none may be.
pub(super) fn enter_group(data: &Path) -> Means {
    let groups = Means::enter(data);
    match &groups {
        Means::Base(_) => tracing::info!("limits of workers are kept {}", groups.words()),
        Means::None(why) => tracing::debug!("control groups of workers: {why}"),
    }
    groups
}
