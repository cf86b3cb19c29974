//! Where the daemon is in the trees of control groups: its own and every ancestor that can be seen, in version 1
//! (a tree for each controller), in version 2 (one tree) or in both at once.
//!
//! `/proc/self/cgroup` names the groups by paths within their trees, and `/proc/self/mountinfo` says which part of
//! each tree is mounted where. In a container the mounted part often begins at the container's own group.

use std::path::{Component, Path, PathBuf};

use super::files::Files;
use super::meter::Meter;
use crate::host::reading::Unreadable;

const MEMBERSHIPS: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";

/// Which files a group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

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

/// One mounted part of one tree.
#[derive(Debug)]
struct Mount {
    version: Version,
    /// Of version 1: its controllers, among other options.
    options: String,
    /// The group that is found at the mount point.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// `31 23 0:28 ROOT POINT OPTIONS [MORE…] - TYPE SOURCE OPTIONS`
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        Some(Self {
            version,
            options: kind.nth(1).unwrap_or_default().to_owned(),
            root: unescape(place.next()?),
            point: unescape(place.next()?),
        })
    }

    /// Where a group of this tree is below the mount point, if it is in the mounted part.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.root).ok()?;
        let is_plain = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        is_plain.then(|| inside.to_owned())
    }
}

/// The folders of the daemon's group and of those above it in the tree of one controller. What is mounted at the top
/// stands for a group that is not in the mounted part, as in a container that sees the paths of its host.
fn folders(memberships: &str, mounts: &[Mount], version: Version, controller: &str) -> Vec<PathBuf> {
    let names = |list: &str| list.split(',').any(|name| name == controller);
    // `ID:CONTROLLERS:PATH`; version 2 has the id 0 and names none.
    let path = memberships.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_meant = match version {
            Version::V1 => names(controllers),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        is_meant.then(|| Path::new(path))
    });
    let Some(path) = path else {
        return Vec::new();
    };
    let of_tree =
        |mount: &&Mount| mount.version == version && (version == Version::V2 || names(&mount.options));
    let mut of_tree = mounts.iter().filter(of_tree).peekable();
    let first = of_tree.peek().copied();
    let found = of_tree.find_map(|mount| Some((mount, mount.inside(path)?)));
    let Some((mount, inside)) = found.or_else(|| Some((first?, PathBuf::new()))) else {
        return Vec::new();
    };
    let folder = |inside: &Path| mount.point.components().chain(inside.components()).collect();
    inside.ancestors().map(folder).collect()
}

/// Spaces, tabs, line ends and backslashes stand in there as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, character);
    }
    plain.into()
}
