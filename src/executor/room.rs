//! What a worker is kept in: its limits and its sandbox, as the daemon plans them and the shim finds them.
//!
//! Plain data: the daemon writes it into the launch, and the shim sets it between fork and exec.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::{self, GroupLimits};

/// All that is set on a worker before it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Room {
    /// How much nicer than the daemon it is, 0 to 19.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// How much sooner than the daemon the kernel ends it for want of memory, 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score: Option<i32>,
    /// Limits of the system.
    #[serde(skip_serializing_if = "ResourceLimits::is_none")]
    pub limits: ResourceLimits,
    /// Limits for its whole tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupPlan>,
    /// What it may write and reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxPlan>,
}

/// Limits of the system (`setrlimit`), each for a single process but `processes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    /// Files open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads of this user, wherever they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The largest file that it can write, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size_bytes: Option<u64>,
    /// Address space, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space_bytes: Option<u64>,
    /// The largest core file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_bytes: Option<u64>,
    /// CPU time, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
}

/// The control group of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// What it limits.
    pub limits: GroupLimits,
    /// Where not all of it can be limited, the worker is not started.
    #[serde(default)]
    pub required: bool,
    /// Where the group is made, or why there is none.
    pub means: cgroup::Means,
}

/// What a sandbox leaves open. Everything that is not named cannot be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxPlan {
    /// Without a kernel that can do it, the worker is not started.
    pub required: bool,
    /// Writable because somebody named it. What does not exist is told.
    pub write: Vec<PathBuf>,
    /// The working folder is writable only as a part of what is named: whoever queued the task chose it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub closed_cwd: bool,
    /// Writable because nearly every worker needs it; passed over where it does not exist.
    pub usual: Vec<PathBuf>,
    /// Folders that are made if they are missing, and are writable: where the worker keeps its sessions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub make: Vec<PathBuf>,
    /// Of what is not the system's, only this can be read; `None` for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<PathBuf>>,
    /// The only TCP ports that it can connect to; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_tcp: Option<Vec<u16>>,
    /// The only TCP ports that it can listen on; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_tcp: Option<Vec<u16>>,
}

/// What this system can keep a worker in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// Landlock, with the version of its interface.
    Landlock(u32),
    /// `sandbox-exec` of macOS.
    Seatbelt,
    /// Nothing, and why.
    None(String),
}

/// The first version of Landlock that knows of emptying a file.
const ABI_TRUNCATE: u32 = 3;
/// The first that knows of TCP ports.
const ABI_TCP: u32 = 4;
/// The first that knows of signals and abstract sockets.
const ABI_SCOPE: u32 = 6;

impl Room {
    /// Whether there is nothing to set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl GroupPlan {
    /// Those of its limits that can be held here, in words; empty if there are none.
    #[must_use]
    pub fn held(&self) -> String {
        let limits = self.means.held(&self.limits);
        let size = |bytes: u64| crate::config::format_size(bytes);
        let parts = [
            limits
                .memory_high
                .map(|high| format!("memory_high {}", size(high))),
            limits.memory_max.map(|max| format!("memory_max {}", size(max))),
            limits.pids_max.map(|max| format!("pids_max {max}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join("; ")
    }
}

impl ResourceLimits {
    /// Whether none is set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Means {
    /// What this system has. One system call.
    #[must_use]
    pub fn of_this_system() -> Self {
        match crate::platform::sandbox_abi() {
            Ok(_) if cfg!(target_os = "macos") => Self::Seatbelt,
            Ok(abi) => Self::Landlock(abi),
            Err(why) => Self::None(why),
        }
    }

    /// What of a plan holds here, and what does not.
    #[must_use]
    pub fn words(&self, plan: &SandboxPlan) -> String {
        let abi = match self {
            Self::None(why) => return format!("none: {why}"),
            Self::Seatbelt => u32::MAX,
            Self::Landlock(abi) => *abi,
        };
        let mut parts = vec![match self {
            Self::Landlock(abi) => format!("files (Landlock ABI {abi})"),
            _ => "files (sandbox-exec)".to_owned(),
        }];
        if plan.read.is_some() {
            parts.push("reads the system's folders and what is named".to_owned());
        }
        if abi < ABI_TRUNCATE {
            parts.push("this kernel lets it empty files outside (Linux 6.2 does not)".to_owned());
        }
        let wants_ports = plan.connect_tcp.is_some() || plan.bind_tcp.is_some();
        if wants_ports && abi < ABI_TCP {
            parts.push("network ports cannot be limited by this kernel (Linux 6.7 can)".to_owned());
        } else {
            parts.extend(
                plan.connect_tcp
                    .as_deref()
                    .map(|ports| ports_words("connects to", ports)),
            );
            parts.extend(
                plan.bind_tcp
                    .as_deref()
                    .map(|ports| ports_words("listens on", ports)),
            );
        }
        match self {
            Self::Landlock(ABI_SCOPE..) => parts.push("signals reach no process outside".to_owned()),
            _ => parts.push("it can signal your other processes".to_owned()),
        }
        parts.join("; ")
    }

    /// What it can do at best, for a look at the system.
    #[must_use]
    pub fn abilities(&self) -> String {
        match self {
            Self::None(why) => format!("workers cannot be sandboxed: {why}"),
            Self::Seatbelt => "sandboxes by sandbox-exec: files and TCP ports".to_owned(),
            Self::Landlock(abi) => {
                let mut able = vec!["files"];
                able.extend((*abi >= ABI_TCP).then_some("TCP ports"));
                able.extend((*abi >= ABI_SCOPE).then_some("signals"));
                format!("sandboxes by Landlock ABI {abi}: {}", able.join(", "))
            }
        }
    }
}

fn ports_words(does: &str, ports: &[u16]) -> String {
    if ports.is_empty() {
        return format!("{does} no TCP port");
    }
    let list: Vec<String> = ports.iter().map(u16::to_string).collect();
    let word = if ports.len() == 1 { "port" } else { "ports" };
    format!("{does} TCP {word} {} only", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_cannot_do_is_said() {
        let plan = SandboxPlan {
            connect_tcp: Some(vec![443, 80]),
            bind_tcp: Some(Vec::new()),
            ..SandboxPlan::default()
        };
        let words = |abi| Means::Landlock(abi).words(&plan);
        insta::assert_snapshot!(words(7), @"files (Landlock ABI 7); connects to TCP ports 443, 80 only; listens on no TCP port; signals reach no process outside");
        insta::assert_snapshot!(words(3), @"files (Landlock ABI 3); network ports cannot be limited by this kernel (Linux 6.7 can); it can signal your other processes");
        insta::assert_snapshot!(words(1), @"files (Landlock ABI 1); this kernel lets it empty files outside (Linux 6.2 does not); network ports cannot be limited by this kernel (Linux 6.7 can); it can signal your other processes");
        let none = Means::None("this kernel has no Landlock".to_owned());
        assert_eq!(none.words(&plan), "none: this kernel has no Landlock");
    }
}
