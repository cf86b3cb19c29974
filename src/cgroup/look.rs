//! Whether the group that the daemon is in is its own to divide. Looks only, and moves nobody.
//!
//! Nobody else's processes may be touched: a group that anyone else is in, that the service manager manages itself, or
//! that is the root of all groups is not ours, whether or not we could write there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::tree::{folder_v2, is_v1, path_v2, Mount, MEMBERSHIPS, MOUNTS};
use super::{ADVICE, ATTEMPT_PREFIX, LEAF};

const VERSION_2: &str = "boot it with version 2 alone (`systemd.unified_cgroup_hierarchy=1`)";
/// So many of those who are in the way are named.
const OTHERS_SHOWN_MAX: usize = 3;

/// A group that may be divided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// Its folder.
    pub(super) base: PathBuf,
    /// The caller is in the leaf already.
    pub(super) is_in_leaf: bool,
    /// The controllers that it could hand on.
    pub(super) memory: bool,
    pub(super) pids: bool,
}

/// Where to look. Paths are absolute as users know them; tests bring a root of their own.
pub(super) struct Look<'a> {
    pub(super) root: &'a Path,
    /// The caller.
    pub(super) pid: u32,
    /// Whether systemd says of a group that it has delegated it.
    pub(super) is_delegated: &'a dyn Fn(&Path) -> bool,
}

impl Look<'_> {
    fn locate(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(self.locate(path))
    }

    /// The group that may be divided, or why there is none and what to do.
    pub(super) fn site(&self) -> Result<Site, String> {
        let own = self.own_folder()?;
        let name = own.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Whoever is started by a worker is where that one is.
        let is_in_leaf = name == LEAF;
        let base = match own.parent() {
            Some(parent) if is_in_leaf || name.starts_with(ATTEMPT_PREFIX) => parent.to_owned(),
            _ => own,
        };
        let site = self.controllers(base, is_in_leaf)?;
        self.check_kind(&site.base)?;
        self.check_rights(&site.base)?;
        self.check_manager(&site.base)?;
        self.check_others(&site.base)?;
        Ok(site)
    }

    fn own_folder(&self) -> Result<PathBuf, String> {
        if cfg!(target_os = "macos") {
            return Err("macOS has none".to_owned());
        }
        let memberships = match self.text(Path::new(MEMBERSHIPS)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err("this kernel has none".to_owned());
            }
            Err(error) => return Err(format!("{MEMBERSHIPS} cannot be read: {error}")),
        };
        let path = path_v2(&memberships)
            .ok_or_else(|| format!("this machine has version 1 of control groups only: {VERSION_2}"))?;
        if is_v1(&memberships, "memory") {
            return Err(format!(
                "on this machine version 1 of control groups has the controller memory: {VERSION_2}"
            ));
        }
        let mounts = self
            .text(Path::new(MOUNTS))
            .map_err(|error| format!("{MOUNTS} cannot be read: {error}"))?;
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        folder_v2(path, &mounts).ok_or_else(|| {
            let path = path.display();
            format!(
                "the daemon's own, {path}, is not to be seen here: mount control groups of version 2 (in a container, \
                 writable)"
            )
        })
    }

    fn controllers(&self, base: PathBuf, is_in_leaf: bool) -> Result<Site, String> {
        let file = base.join("cgroup.controllers");
        let there = self
            .text(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let has = |name: &str| there.split_ascii_whitespace().any(|one| one == name);
        let (memory, pids) = (has("memory"), has("pids"));
        if !memory && !pids {
            let shown = base.display();
            return Err(format!(
                "the daemon's own, {shown}, has not been given the controllers memory and pids: {ADVICE}"
            ));
        }
        Ok(Site {
            base,
            is_in_leaf,
            memory,
            pids,
        })
    }

    /// The root of all groups has no such file, and threaded groups cannot limit memory.
    fn check_kind(&self, base: &Path) -> Result<(), String> {
        let shown = base.display();
        match self.text(&base.join("cgroup.type")) {
            Ok(kind) if kind.trim() == "domain" => Ok(()),
            Ok(kind) => {
                let kind = kind.trim();
                Err(format!(
                    "the daemon's own, {shown}, is of type {kind:?}, not \"domain\": {ADVICE}"
                ))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "the daemon is in the root of all control groups, which belongs to the whole machine: {ADVICE}"
            )),
            Err(error) => Err(format!("{shown}/cgroup.type cannot be read: {error}")),
        }
    }

    fn check_rights(&self, base: &Path) -> Result<(), String> {
        let needed = [base.to_owned()]
            .into_iter()
            .chain(["cgroup.procs", "cgroup.subtree_control"].map(|name| base.join(name)));
        for path in needed {
            if let Err(error) = rustix::fs::access(self.locate(&path), Access::WRITE_OK) {
                let error = io::Error::from(error);
                let shown = path.display();
                return Err(format!(
                    "the daemon may not divide its own, {shown}: {error}; {ADVICE}"
                ));
            }
        }
        Ok(())
    }

    /// A manager of services takes controllers away again from a unit that it has not delegated. Newer versions of
    /// systemd mark delegated groups, and mark the user's manager itself: where no mark is on any of those above, none
    /// can be expected here.
    fn check_manager(&self, base: &Path) -> Result<(), String> {
        let name = base
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_unit = [".service", ".scope", ".slice"]
            .iter()
            .any(|end| name.ends_with(end));
        let is_marked = |folder: &Path| (self.is_delegated)(&self.locate(folder));
        let marks = is_unit && base.ancestors().skip(1).any(is_marked);
        if name.ends_with(".slice") || marks && !is_marked(base) {
            let shown = base.display();
            return Err(format!(
                "systemd has not delegated the daemon's own, {shown}: {ADVICE}"
            ));
        }
        Ok(())
    }

    fn check_others(&self, base: &Path) -> Result<(), String> {
        let file = base.join("cgroup.procs");
        let there = self
            .text(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let own = self.pid.to_string();
        let others: Vec<&str> = there.lines().filter(|pid| *pid != own).collect();
        if others.is_empty() {
            return Ok(());
        }
        let name = |pid: &&str| {
            let name = self.text(&Path::new("/proc").join(pid).join("comm"));
            format!("{pid} {}", name.unwrap_or_default().trim())
                .trim_end()
                .to_owned()
        };
        let shown: Vec<String> = others.iter().take(OTHERS_SHOWN_MAX).map(name).collect();
        let more = match others.len().saturating_sub(OTHERS_SHOWN_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(format!(
            "other processes are in the daemon's own, {} ({}{more}), and are not ours to move: {ADVICE}",
            base.display(),
            shown.join(", ")
        ))
    }
}
