//! What a worker is kept in: the limits of its profile, and one sandbox made from its profile's and its workspace's.
//!
//! Pure: nothing is looked up here, so that the same can be told before a task runs and be set when it does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cgroup::Means;
use crate::config::{WorkerConfig, WorkerKind};
use crate::executor::{GroupPlan, ResourceLimits, Room, SandboxPlan};
use crate::protocol::Sandbox;

/// Files and folders that belong to no project: writing there is what they are for.
const USUAL: [&str; 13] = [
    "/tmp",
    "/var/tmp",
    "/private/tmp",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
];

/// Where an attempt runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The user's home folder, which `~` stands for.
    pub home: &'a str,
    /// The folder of its workspace.
    pub workspace_folder: Option<&'a str>,
    /// If another task's worker has queued it: what that one is kept in.
    pub parents: Option<&'a Parents>,
    /// Variables of the daemon, its workspace and its profile. Not the task's own: whoever queues it could open any
    /// folder by calling it `TMPDIR`.
    pub env: &'a BTreeMap<String, String>,
    /// Where control groups can be made.
    pub groups: &'a Means,
}

/// What tasks are kept in whose workers have queued others: these must not get out that way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parents {
    /// The sandboxes of their profiles.
    pub sandboxes: Vec<Sandbox>,
    /// Where the first of them, which a person has queued, works.
    pub folder: Option<String>,
}

/// The room of a worker of this profile, in a workspace with this sandbox.
#[must_use]
pub fn room(profile: &WorkerConfig, workspace: Option<&Sandbox>, place: Place<'_>) -> Room {
    let limits = profile.limits.unwrap_or_default();
    Room {
        nice: profile.nice,
        oom_score: profile.oom_score.map(i32::from),
        limits: ResourceLimits {
            open_files: limits.open_files,
            processes: limits.processes,
            file_size_bytes: limits.file_size.map(|size| size.0),
            address_space_bytes: limits.address_space.map(|size| size.0),
            core_bytes: limits.core.map(|size| size.0),
            cpu_seconds: limits.cpu_time.map(whole_seconds),
        },
        group: (!limits.of_tree().is_none()).then(|| GroupPlan {
            limits: limits.of_tree(),
            required: limits.required,
            means: place.groups.clone(),
        }),
        sandbox: plan(profile, workspace, place),
    }
}

/// The system counts whole seconds; less than asked for would be a surprise.
fn whole_seconds(time: std::time::Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Whatever one of the sandboxes limits is limited, and what either names is open.
fn plan(profile: &WorkerConfig, workspace: Option<&Sandbox>, place: Place<'_>) -> Option<SandboxPlan> {
    let parents = place.parents.into_iter().flat_map(|parents| &parents.sandboxes);
    let all = profile.sandbox.iter().chain(workspace).chain(parents);
    let mut all = all.filter(|sandbox| sandbox.is_on()).peekable();
    all.peek()?;
    let mut plan = SandboxPlan {
        usual: usual(profile.kind, place),
        make: match profile.kind {
            WorkerKind::Claude => vec![claude_folder(place)],
            WorkerKind::Shell | WorkerKind::Exec => Vec::new(),
        },
        ..SandboxPlan::default()
    };
    let whole = |path: &String| match path.strip_prefix('~') {
        Some(below) => Path::new(place.home).join(below.trim_start_matches('/')),
        None => PathBuf::from(path),
    };
    for sandbox in all {
        plan.required |= sandbox.required;
        plan.write.extend(sandbox.write.iter().map(whole));
        let read = sandbox.read.as_ref().map(|read| read.iter().map(whole).collect());
        plan.read = joined(plan.read, read);
        plan.connect_tcp = joined(plan.connect_tcp, sandbox.connect_tcp.clone());
        plan.bind_tcp = joined(plan.bind_tcp, sandbox.bind_tcp.clone());
    }
    let by_workspace = workspace.is_some_and(Sandbox::is_on);
    plan.closed_cwd = by_workspace && place.workspace_folder.is_some() || place.parents.is_some();
    plan.write.extend(place.workspace_folder.map(PathBuf::from));
    let folder = place.parents.and_then(|parents| parents.folder.as_deref());
    plan.write.extend(folder.map(PathBuf::from));
    Some(plan)
}

/// A list that is absent limits nothing.
fn joined<T>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.extend(other);
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

fn usual(kind: WorkerKind, place: Place<'_>) -> Vec<PathBuf> {
    let mut usual: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).collect();
    let temporary = place.env.get("TMPDIR").map(PathBuf::from);
    usual.extend(temporary.filter(|path| path.is_absolute()));
    if kind == WorkerKind::Claude && !place.env.contains_key("CLAUDE_CONFIG_DIR") {
        usual.push(claude_home(place).join(".claude.json"));
    }
    usual
}

/// Where the Claude Code CLI keeps sessions, settings and its login.
fn claude_folder(place: Place<'_>) -> PathBuf {
    match place.env.get("CLAUDE_CONFIG_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => claude_home(place).join(".claude"),
    }
}

fn claude_home(place: Place<'_>) -> &Path {
    Path::new(place.env.get("HOME").map_or(place.home, String::as_str))
}

/// Nice value and limits in words, `nice 10; open_files 256`, and which of them do not hold; `None` if there are none.
#[must_use]
pub fn limits_words(room: &Room) -> Option<String> {
    let limits = &room.limits;
    let size = |name: &str, bytes: Option<u64>| {
        bytes.map(|bytes| format!("{name} {}", crate::config::format_size(bytes)))
    };
    let parts = [
        room.nice.map(|nice| format!("nice {nice}")),
        room.oom_score.map(|score| format!("oom_score {score}")),
        limits.open_files.map(|files| format!("open_files {files}")),
        limits.processes.map(|processes| format!("processes {processes}")),
        size("file_size", limits.file_size_bytes),
        size("address_space", limits.address_space_bytes),
        size("core", limits.core_bytes),
        limits.cpu_seconds.map(|seconds| format!("cpu_time {seconds}s")),
        room.group
            .as_ref()
            .map(GroupPlan::held)
            .filter(|words| !words.is_empty()),
        room.group.as_ref().and_then(|plan| plan.means.lack(&plan.limits)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    static NO_GROUPS: Means = Means::None(String::new());

    fn place(env: &BTreeMap<String, String>) -> Place<'_> {
        Place {
            groups: &NO_GROUPS,
            home: "/home/me",
            workspace_folder: Some("/src/api"),
            parents: None,
            env,
        }
    }

    #[test]
    fn the_stricter_of_two_sandboxes_holds_and_what_either_names_is_open() {
        let env = BTreeMap::from([("TMPDIR".to_owned(), "/mine".to_owned())]);
        let profile = WorkerConfig {
            sandbox: Some(Sandbox {
                write: vec!["~/.cargo".to_owned()],
                connect_tcp: Some(vec![443]),
                ..Sandbox::default()
            }),
            ..WorkerConfig::of_kind(WorkerKind::Shell)
        };
        let workspace = Sandbox {
            required: true,
            write: vec!["/data".to_owned()],
            connect_tcp: Some(vec![8080]),
            bind_tcp: Some(Vec::new()),
            ..Sandbox::default()
        };
        let plan = room(&profile, Some(&workspace), place(&env)).sandbox.unwrap();
        assert!(plan.required && plan.closed_cwd);
        assert_eq!(
            plan.write,
            ["/home/me/.cargo", "/data", "/src/api"].map(PathBuf::from)
        );
        assert_eq!(
            (plan.read, plan.connect_tcp, plan.bind_tcp),
            (None, Some(vec![443, 8080]), Some(vec![]))
        );
        assert!(plan.usual.contains(&PathBuf::from("/mine")));
    }

    #[test]
    fn what_a_sandboxed_worker_queues_is_kept_in_its_sandbox() {
        let env = BTreeMap::new();
        let parents = Parents {
            sandboxes: vec![Sandbox::default()],
            folder: Some("/src/own".to_owned()),
        };
        let place = Place {
            parents: Some(&parents),
            workspace_folder: None,
            ..place(&env)
        };
        let plan = room(&WorkerConfig::of_kind(WorkerKind::Exec), None, place)
            .sandbox
            .unwrap();
        assert_eq!(
            (plan.closed_cwd, plan.write),
            (true, vec![PathBuf::from("/src/own")])
        );
    }

    #[test]
    fn the_folder_of_claude_is_the_one_that_it_is_told() {
        let mut env = BTreeMap::from([("HOME".to_owned(), "/home/you".to_owned())]);
        let profile = WorkerConfig {
            sandbox: Some(Sandbox::default()),
            ..WorkerConfig::of_kind(WorkerKind::Claude)
        };
        let make = |env: &BTreeMap<String, String>| room(&profile, None, place(env)).sandbox.unwrap().make;
        assert_eq!(make(&env), [PathBuf::from("/home/you/.claude")]);
        env.insert("CLAUDE_CONFIG_DIR".to_owned(), "/home/you/.workers".to_owned());
        assert_eq!(make(&env), [PathBuf::from("/home/you/.workers")]);
    }

    #[test]
    fn a_sandbox_that_is_off_is_none() {
        let env = BTreeMap::new();
        let off = Sandbox {
            enabled: Some(false),
            ..Sandbox::default()
        };
        let profile = WorkerConfig {
            sandbox: Some(off.clone()),
            nice: Some(5),
            ..WorkerConfig::of_kind(WorkerKind::Shell)
        };
        let room = room(&profile, Some(&off), place(&env));
        assert_eq!(
            (room.sandbox.is_none(), limits_words(&room).as_deref()),
            (true, Some("nice 5"))
        );
    }
}
