//! Where the daemon is in the trees of control groups: its own and every ancestor that can be seen, in version 1
//! (a tree for each controller), in version 2 (one tree) or in both at once.
//!
//! What is in them is read by [`super::limits`]; where they are is found by [`crate::cgroup`].

use std::path::{Path, PathBuf};

use super::files::Files;
use super::meter::Meter;
pub(super) use crate::cgroup::Version;
use crate::cgroup::{folders, Mount, MEMBERSHIPS, MOUNTS};
use crate::host::reading::Unreadable;

/// One group: the daemon's own, or one above it.
#[derive(Debug)]
pub(super) struct Group<Limit> {
    pub(super) version: Version,
    pub(super) folder: PathBuf,
    /// The limit that it sets, as it was read last; `None` if it sets none.
    pub(super) limit: Result<Option<Limit>, Unreadable>,
}

/// A group whose time on the processors is metered.
#[derive(Debug)]
pub(super) struct Metered {
    /// Its limit is a number of processors.
    pub(super) group: Group<f64>,
    /// The file that tells the time used; in version 1 it is another controller's.
    pub(super) usage: Option<PathBuf>,
    pub(super) meter: Meter,
}

/// The groups that the daemon is in, from its own outwards.
#[derive(Debug, Default)]
pub(super) struct Place {
    memberships: Option<String>,
    /// Their limits are bytes.
    pub(super) memory: Vec<Group<u64>>,
    pub(super) cpu: Vec<Metered>,
}

impl Place {
    /// Looks again, and finds everything anew if the daemon has been moved: then no limit has been read yet, and the
    /// answer is true. A kernel without control groups is no error.
    pub(super) fn update(&mut self, files: &mut Files) -> Result<bool, Unreadable> {
        let text = files.text_if_any(Path::new(MEMBERSHIPS))?.unwrap_or_default();
        if self.memberships.as_deref() == Some(&text) {
            return Ok(false);
        }
        let memberships = text.into_owned();
        *self = Self::default();
        if !memberships.is_empty() {
            let mounts = files.text(Path::new(MOUNTS))?;
            let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
            self.locate(&memberships, &mounts);
        }
        self.memberships = Some(memberships);
        Ok(true)
    }

    fn locate(&mut self, memberships: &str, mounts: &[Mount]) {
        for version in [Version::V1, Version::V2] {
            let folders = folders(memberships, mounts, version, "memory");
            self.memory
                .extend(folders.into_iter().map(|folder| Group::new(version, folder)));
        }
        let metered = |version, folder, usage| Metered {
            group: Group::new(version, folder),
            usage,
            meter: Meter::default(),
        };
        // The two controllers mostly share one tree; where they do not, systemd gives both the same paths.
        let mut accounts = folders(memberships, mounts, Version::V1, "cpuacct").into_iter();
        for folder in folders(memberships, mounts, Version::V1, "cpu") {
            let usage = accounts.next().map(|folder| folder.join("cpuacct.usage"));
            self.cpu.push(metered(Version::V1, folder, usage));
        }
        for folder in folders(memberships, mounts, Version::V2, "cpu") {
            let usage = Some(folder.join("cpu.stat"));
            self.cpu.push(metered(Version::V2, folder, usage));
        }
    }
}

impl<Limit> Group<Limit> {
    fn new(version: Version, folder: PathBuf) -> Self {
        let limit = Ok(None);
        Self {
            version,
            folder,
            limit,
        }
    }
}
