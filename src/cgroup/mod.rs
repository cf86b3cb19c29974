//! Control groups of version 2 for the trees of attempts: limits that hold for all processes of one attempt together.
//!
//! The daemon finds out whether it may divide its own group ([`Means::enter`]), and moves into a leaf of it, since the
//! kernel lets no process stay in a group that hands controllers on. Each attempt with such a limit gets a group beside
//! that leaf (`AttemptGroup`), which its shim makes, its worker enters before it becomes the program, and the shim
//! removes. It imports nothing of this program, and is nothing but small files.

mod attempt;
mod base;
mod look;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::attempt::{members, remove, AttemptGroup};
pub(crate) use self::tree::{folders, Mount, Version, MEMBERSHIPS, MOUNTS};

/// The leaf that the daemon, its launcher and its shims are in. Its workers are, too, unless they have a group.
pub(crate) const LEAF: &str = "wezterm-parallel";
/// What the names of the groups of attempts begin with.
const ATTEMPT_PREFIX: &str = "wezterm-parallel-";

/// Limits for all processes of one attempt together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupLimits {
    /// Above it the tree is slowed down and made to give memory back, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<u64>,
    /// At it the kernel ends the largest of its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,
}

/// A controller that limits go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Memory,
    Pids,
}

/// One limit that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    /// As the config calls it.
    name: &'static str,
    /// As the kernel does.
    file: &'static str,
    controller: Controller,
    value: u64,
}

/// A group that is ours to divide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its folder.
    folder: PathBuf,
    /// What tells the groups of one daemon from those of another one that has the same base: it stands for the
    /// data folder.
    tag: String,
    /// Whether groups in it have the controller `memory`.
    memory: bool,
    /// The same of `pids`.
    pids: bool,
}

/// Whether attempts can have control groups of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// In this group.
    Base(Base),
    /// They cannot: why, and what to do about it.
    None(String),
}

impl GroupLimits {
    /// Whether none is set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn set(&self) -> impl Iterator<Item = Limit> {
        use Controller::{Memory, Pids};
        let all = [
            ("memory_high", "memory.high", Memory, self.memory_high),
            ("memory_max", "memory.max", Memory, self.memory_max),
            ("pids_max", "pids.max", Pids, self.pids_max),
        ];
        all.into_iter().filter_map(|(name, file, controller, value)| {
            Some(Limit {
                name,
                file,
                controller,
                value: value?,
            })
        })
    }

    /// The names of those that are set, as the config has them.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.set().map(|limit| limit.name).collect()
    }
}

impl Base {
    fn has(&self, controller: Controller) -> bool {
        match controller {
            Controller::Memory => self.memory,
            Controller::Pids => self.pids,
        }
    }

    fn controllers(&self) -> String {
        let all = [(self.memory, "memory"), (self.pids, "pids")];
        let there: Vec<&str> = all
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| name)
            .collect();
        there.join(", ")
    }

    /// Where the group of an attempt is, or will be.
    fn attempt(&self, key: u64, attempt: u32) -> PathBuf {
        let tag = &self.tag;
        self.folder.join(format!("{ATTEMPT_PREFIX}{tag}-{key}-{attempt}"))
    }
}

impl Means {
    /// Those of these limits that hold.
    #[must_use]
    pub fn held(&self, limits: &GroupLimits) -> GroupLimits {
        let (memory, pids) = match self {
            Self::Base(base) => (base.memory, base.pids),
            Self::None(_) => (false, false),
        };
        GroupLimits {
            memory_high: limits.memory_high.filter(|_| memory),
            memory_max: limits.memory_max.filter(|_| memory),
            pids_max: limits.pids_max.filter(|_| pids),
        }
    }

    /// Which of these limits do not hold, by their names, and why; `None` if all hold.
    #[must_use]
    pub fn lack(&self, limits: &GroupLimits) -> Option<String> {
        let (names, why) = match self {
            Self::None(why) => (limits.names(), why.clone()),
            Self::Base(base) => {
                let lacking = limits.set().filter(|limit| !base.has(limit.controller));
                let names: Vec<&str> = lacking.map(|limit| limit.name).collect();
                let shown = base.folder.display();
                let has = base.controllers();
                let why =
                    format!("the control group {shown} has been given the controller {has} only: {ADVICE}");
                (names, why)
            }
        };
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| format!("{} {verb} not in force: {why}", names.join(" and ")))
    }

    /// What it is, for a look at the system.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Base(base) => {
                let controllers = base.controllers();
                format!("by control groups in {}: {controllers}", base.folder.display())
            }
            Self::None(why) => format!("none: {why}"),
        }
    }

    /// The folder that groups are made in.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Base(base) => Some(&base.folder),
            Self::None(_) => None,
        }
    }
}

/// How to come by a group of one's own.
const ADVICE: &str = "run the daemon as a service that is given one (`wezterm-parallel service install`, with `Delegate=memory \
pids` in its unit)";
