//! Which control groups a process is in, and where their folders are.
//!
//! `/proc/self/cgroup` names the groups by paths within their trees, and `/proc/self/mountinfo` says which part of
//! each tree is mounted where. In a container the mounted part often begins at the container's own group.

use std::path::{Component, Path, PathBuf};

/// The groups of the reader, a line for each tree.
pub(crate) const MEMBERSHIPS: &str = "/proc/self/cgroup";
/// What is mounted where.
pub(crate) const MOUNTS: &str = "/proc/self/mountinfo";

/// Which files a group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted part of one tree.
#[derive(Debug)]
pub(crate) struct Mount {
    version: Version,
    /// Of version 1: its controllers, among other options.
    options: String,
    /// The group that is found at the mount point.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// `31 23 0:28 ROOT POINT OPTIONS [MORE…] - TYPE SOURCE OPTIONS`
    pub(crate) fn parse(line: &str) -> Option<Self> {
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
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only there the host is read by it")
)]
pub(crate) fn folders(
    memberships: &str,
    mounts: &[Mount],
    version: Version,
    controller: &str,
) -> Vec<PathBuf> {
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

/// The path of the group in the one tree of version 2; `None` if that is not there.
pub(super) fn path_v2(memberships: &str) -> Option<&Path> {
    memberships
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(Path::new)
}

/// Its folder, if the mounted part of the tree has it, and no other one in its place.
pub(super) fn folder_v2(path: &Path, mounts: &[Mount]) -> Option<PathBuf> {
    let of_tree = mounts.iter().filter(|mount| mount.version == Version::V2);
    let mut found = of_tree.filter_map(|mount| Some((mount, mount.inside(path)?)));
    let (mount, inside) = found.next()?;
    Some(mount.point.components().chain(inside.components()).collect())
}

/// Whether a controller belongs to a tree of version 1, and so not to that of version 2.
pub(super) fn is_v1(memberships: &str, controller: &str) -> bool {
    let controllers = memberships.lines().filter_map(|line| line.split(':').nth(1));
    controllers
        .flat_map(|list| list.split(','))
        .any(|name| name == controller)
}

/// Spaces, tabs, line ends and backslashes stand in there as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, character);
    }
    plain.into()
}
