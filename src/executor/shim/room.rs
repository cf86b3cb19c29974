//! Puts a worker into its room: control group, nice value, limits of the system and sandbox, between fork and exec.
//!
//! Whatever can be wrong is found before the fork, where there are words for it. In the child only system calls are
//! left, and their errors come back as numbers.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit};

use super::sandbox::Sandbox;
use crate::executor::folder::AttemptFolder;
use crate::executor::{Launch, ResourceLimits};
use crate::protocol::SandboxReport;

/// What the child reports if its sandbox cannot be entered: no other call between fork and exec has this error.
pub(super) const NOT_ENTERED: i32 = libc::EOWNERDEAD;
/// The same of its control group.
pub(super) const NOT_JOINED: i32 = libc::ENOTRECOVERABLE;
/// A worker that has used up its CPU time is told by SIGXCPU, and so long later it is killed.
const CPU_GRACE_SECONDS: u64 = 5;

/// A room that is ready to be entered.
pub(super) struct Room {
    nice: Option<i32>,
    limits: Vec<(Resource, Rlimit)>,
    sandbox: Option<Sandbox>,
}

impl Room {
    /// Makes everything ready, or says what is in the way.
    pub(super) fn prepare(launch: &Launch, attempt: &AttemptFolder) -> Result<Self, String> {
        let room = &launch.room;
        let sandbox = match (&room.sandbox, launch.needs_entrance()) {
            (None, _) => None,
            (Some(plan), false) => Some(Sandbox::prepare(plan, &launch.cwd, attempt)?),
            (Some(plan), true) => Some(Sandbox::later(plan, &launch.cwd, attempt)?),
        };
        Ok(Self {
            nice: room.nice,
            limits: limits(&room.limits)?,
            sandbox,
        })
    }

    /// What the report of the attempt begins with.
    pub(super) fn report(&self) -> Option<SandboxReport> {
        self.sandbox.as_ref().map(|sandbox| sandbox.report.clone())
    }

    /// A command for this program that will be called `name`; on macOS, where a sandbox needs it, another program
    /// that starts this one.
    pub(super) fn command(&self, program: PathBuf, name: Option<&str>) -> Command {
        let before = self.sandbox.as_ref().map(|sandbox| sandbox.ruleset.program());
        if let Some([first, rest @ ..]) = before.as_deref() {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            return command;
        }
        let mut command = Command::new(program);
        if let Some(name) = name {
            command.arg0(name);
        }
        command
    }

    /// Has the command enter it, and first of all its control group. A command without a room is started the faster way.
    pub(super) fn enter(self, command: &mut Command, group: Option<File>) {
        let Self {
            nice,
            limits,
            sandbox,
        } = self;
        let mut sandbox = sandbox.map(|sandbox| sandbox.ruleset);
        if nice.is_none() && limits.is_empty() && sandbox.is_none() && group.is_none() {
            return;
        }
        let enter = move || {
            if let Some(group) = &group {
                // 0 stands for whoever writes it.
                rustix::io::write(group, b"0").map_err(|_| io::Error::from_raw_os_error(NOT_JOINED))?;
            }
            if let Some(nice) = nice {
                rustix::process::nice(nice)?;
            }
            for (resource, limit) in &limits {
                rustix::process::setrlimit(*resource, *limit)?;
            }
            match sandbox.take() {
                Some(ruleset) => ruleset
                    .enter()
                    .map_err(|()| io::Error::from_raw_os_error(NOT_ENTERED)),
                None => Ok(()),
            }
        };
        // SAFETY: the shim has a single thread, so that no lock can be held in the child; and the closure makes
        // nothing but system calls on what was made before the fork.
        unsafe { command.pre_exec(enter) };
    }
}

/// What is to be set: neither the worker nor what it starts can raise it again.
fn limits(wanted: &ResourceLimits) -> Result<Vec<(Resource, Rlimit)>, String> {
    let all = [
        ("open_files", Resource::Nofile, wanted.open_files),
        ("processes", Resource::Nproc, wanted.processes),
        ("file_size", Resource::Fsize, wanted.file_size_bytes),
        ("address_space", Resource::As, wanted.address_space_bytes),
        ("core", Resource::Core, wanted.core_bytes),
        ("cpu_time", Resource::Cpu, wanted.cpu_seconds),
    ];
    let wanted = all
        .into_iter()
        .filter_map(|(name, resource, value)| Some((name, resource, value?)));
    wanted
        .map(|(name, resource, value)| {
            let system = rustix::process::getrlimit(resource).maximum;
            if let Some(most) = system.filter(|most| *most < value) {
                return Err(format!(
                    "its limit {name} = {value} is above the system's hard limit of {most}: lower it, or raise the \
                     system's (`ulimit -H`, limits.conf, `Limit…=` of the service)"
                ));
            }
            let grace = if resource == Resource::Cpu { CPU_GRACE_SECONDS } else { 0 };
            let maximum = value.saturating_add(grace);
            Ok((
                resource,
                Rlimit {
                    current: Some(value),
                    maximum: Some(system.map_or(maximum, |most| most.min(maximum))),
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_systems_is_told() {
        let most = rustix::process::getrlimit(Resource::Nofile).maximum;
        let Some(most) = most.filter(|most| *most < u64::MAX) else {
            return;
        };
        let reason = limits(&ResourceLimits {
            open_files: Some(most + 1),
            ..ResourceLimits::default()
        })
        .unwrap_err();
        let begin = format!(
            "its limit open_files = {} is above the system's hard limit of {most}",
            most + 1
        );
        assert!(reason.starts_with(&begin), "{reason}");
    }

    #[test]
    fn cpu_time_warns_before_it_kills() {
        let set = limits(&ResourceLimits {
            cpu_seconds: Some(7),
            ..ResourceLimits::default()
        });
        let (resource, limit) = set.unwrap().remove(0);
        assert_eq!(resource, Resource::Cpu);
        assert_eq!((limit.current, limit.maximum), (Some(7), Some(12)));
    }
}
