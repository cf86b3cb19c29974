//! The daemon's move into a leaf of its group, and what is left in there by daemons before it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::look::{Look, Site};
use super::{Base, Means, ATTEMPT_PREFIX, LEAF};

/// What systemd marks the groups with that it has delegated, for everyone to read and for root.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// An empty group may just have been made: its worker is in there in a moment.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(10);

impl Means {
    /// Takes possession of the caller's group, if that may be: the caller moves into a leaf of it. Processes that it
    /// starts from now on are there, too. `data` is the folder by which groups of this daemon are told from others'.
    #[must_use]
    pub fn enter(data: &Path) -> Self {
        let look = Look {
            root: Path::new("/"),
            pid: std::process::id(),
            is_delegated: &is_marked,
        };
        match look.site().and_then(|site| enter(&site, data)) {
            Ok(base) => {
                base.sweep(SystemTime::now());
                Self::Base(base)
            }
            Err(why) => Self::None(why),
        }
    }
}

fn is_marked(folder: &Path) -> bool {
    let mut value = [0; 8];
    MARKS.iter().any(|mark| {
        rustix::fs::getxattr(folder, *mark, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}

fn enter(site: &Site, data: &Path) -> Result<Base, String> {
    let cannot = |what: &str, error: &io::Error| {
        let shown = site.base.display();
        format!("{what} in the control group {shown}: {error}")
    };
    let leaf = site.base.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(cannot("no group can be made", &error));
        }
        _ => {}
    }
    if !site.is_in_leaf {
        // 0 stands for whoever writes it.
        fs::write(leaf.join("cgroup.procs"), "0")
            .map_err(|error| cannot("the daemon cannot move into a group of its own", &error))?;
    }
    let control = site.base.join("cgroup.subtree_control");
    let hand_on = |is_there: bool, controller: &str| match is_there {
        true => fs::write(&control, format!("+{controller}")).map(|()| true),
        false => Ok(false),
    };
    match (hand_on(site.memory, "memory"), hand_on(site.pids, "pids")) {
        (Err(error), Err(_) | Ok(false)) | (Ok(false), Err(error)) => {
            if !site.is_in_leaf {
                let _ = fs::write(site.base.join("cgroup.procs"), "0");
                let _ = fs::remove_dir(&leaf);
            }
            Err(cannot("controllers cannot be handed on", &error))
        }
        (memory, pids) => Ok(Base {
            folder: site.base.clone(),
            tag: tag(data),
            memory: memory.unwrap_or(false),
            pids: pids.unwrap_or(false),
        }),
    }
}

/// The same for a folder as long as it is there, whatever it is called.
fn tag(data: &Path) -> String {
    let identity = fs::metadata(data).map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()));
    format!("{:x}.{:x}", identity.0, identity.1)
}

impl Base {
    /// Removes groups of attempts that nobody is in any more, and that nobody has removed.
    fn sweep(&self, now: SystemTime) {
        let prefix = format!("{ATTEMPT_PREFIX}{}-", self.tag);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_ours = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&prefix));
            let made = entry.metadata().and_then(|metadata| metadata.modified());
            let age = made.ok().and_then(|made| now.duration_since(made).ok());
            if is_ours && age.is_some_and(|age| age >= LEFT_OVER_AFTER) {
                // The kernel refuses that of one which is in use.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_old_groups_are_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = Base {
            folder: folder.path().to_owned(),
            tag: "1.2".to_owned(),
            memory: true,
            pids: true,
        };
        let names = [
            "wezterm-parallel",
            "wezterm-parallel-1.2-7-1",
            "wezterm-parallel-1.23-7-1",
            "else",
        ];
        for name in names {
            fs::create_dir(folder.path().join(name)).expect("a group");
        }
        let count = || fs::read_dir(folder.path()).expect("a folder").count();
        base.sweep(SystemTime::now());
        assert_eq!(count(), 4, "they may just have been made");
        base.sweep(SystemTime::now() + LEFT_OVER_AFTER);
        assert_eq!(count(), 3);
        assert!(!base.attempt(7, 1).exists());
    }
}
