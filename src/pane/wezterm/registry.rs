//! Which viewers live: a file for each in the data folder, locked by the viewer as long as it runs.
//!
//! That a pane is there says nothing of the viewer in it: WezTerm may hold a pane whose program has ended. And a
//! pane of a mux server has another number in each GUI that shows it; the viewer alone knows its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{flock, FlockOperation};

use super::{Assignment, Shown, Surroundings};
use crate::platform;

/// In the data folder.
const FOLDER: &str = "viewers";
/// Begins the name of a viewer that nobody has given one: it is made of its pane's.
const OWN: &str = "pane-";
/// Who looks holds the lock for less than a moment.
const TRIES: u32 = 50;
/// Between two of them.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A viewer that runs: its lock ends with this value.
#[derive(Debug)]
pub struct Registered {
    _lock: File,
    /// Nobody else knows of this viewer, so its file ends with it.
    own: Option<PathBuf>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(path) = &self.own {
            let _ = fs::remove_file(path);
        }
    }
}

/// Says that this process is a viewer from now on: by the name that it was given by whoever made its pane, else by
/// its pane, if that is its own. `None` if neither is known.
///
/// # Errors
/// If the file cannot be written.
pub fn register(
    data: &Path,
    given: Option<&str>,
    surroundings: &Surroundings,
    shown: Shown,
) -> io::Result<Option<Registered>> {
    let own = surroundings.own_pane().map(|(server, pane)| {
        let name = format!("{OWN}{}-{pane}", server.pid);
        (name, Assignment::new(&server, pane, shown))
    });
    // In a shell's pane a viewer is a guest: nobody may close that pane because it shows a task.
    let is_guest = !platform::leads_its_session();
    let Some(name) = given.or(own.as_ref().filter(|_| !is_guest).map(|(name, _)| name.as_str())) else {
        return Ok(None);
    };
    let folder = data.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    for _ in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let text = own.as_ref().map(|(_, own)| serde_json::to_vec(own)).transpose()?;
                file.set_len(0)?;
                file.write_all(&text.unwrap_or_default())?;
                return Ok(Some(Registered {
                    _lock: file,
                    own: given.is_none().then_some(path),
                }));
            }
            Err(_) => std::thread::sleep(BETWEEN_TRIES),
        }
    }
    // Another viewer in the same pane.
    Ok(None)
}

/// Whether a viewer of this name has given it to itself: then its file is there as long as it runs.
pub(super) fn is_own_name(name: &str) -> bool {
    name.starts_with(OWN)
}

/// What the files say.
#[derive(Debug, Default)]
pub struct Registry {
    folder: PathBuf,
    viewers: Vec<Viewer>,
}

#[derive(Debug)]
struct Viewer {
    name: String,
    is_alive: bool,
    at: Option<Assignment>,
}

/// How it stands with a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has not said anything yet.
    Unheard,
    /// It runs, in this pane if it knows that.
    Alive(Option<Assignment>),
    /// It has run.
    Ended,
}

impl Registry {
    /// Reads all files; those that cannot be read are none.
    #[must_use]
    pub fn read(data: &Path) -> Self {
        let folder = data.join(FOLDER);
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let viewers = entries.filter_map(|entry| viewer(&entry.path())).collect();
        Self { folder, viewers }
    }

    /// How it stands with the viewer of this name.
    #[must_use]
    pub fn life(&self, name: &str) -> Life {
        match self.viewers.iter().find(|viewer| viewer.name == name) {
            None => Life::Unheard,
            Some(viewer) if viewer.is_alive => Life::Alive(viewer.at.clone()),
            Some(_) => Life::Ended,
        }
    }

    /// The viewers that run in panes of their own, with their names.
    pub fn alive(&self) -> impl Iterator<Item = (&str, &Assignment)> {
        let alive = self.viewers.iter().filter(|viewer| viewer.is_alive);
        alive.filter_map(|viewer| Some((viewer.name.as_str(), viewer.at.as_ref()?)))
    }

    /// Clears away the files of viewers that have ended and that nobody asks about any more.
    pub fn clear(&self, is_asked_about: impl Fn(&str) -> bool) {
        for viewer in &self.viewers {
            if !viewer.is_alive && !is_asked_about(&viewer.name) {
                let _ = fs::remove_file(self.folder.join(&viewer.name));
            }
        }
    }
}

fn viewer(path: &Path) -> Option<Viewer> {
    let mut file = File::open(path).ok()?;
    let locked = flock(&file, FlockOperation::NonBlockingLockShared);
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    Some(Viewer {
        name: path.file_name()?.to_str()?.to_owned(),
        is_alive: locked == Err(rustix::io::Errno::WOULDBLOCK),
        at: serde_json::from_slice(&text).ok(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_viewer_lives_as_long_as_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let socket = data.join("sock");
        let _server = UnixListener::bind(&socket).unwrap();
        let here = Surroundings {
            socket: Some(socket.clone()),
            pane: Some(7),
            ..Surroundings::default()
        };
        assert_eq!(Registry::read(data).life("v1"), Life::Unheard);
        let held = register(data, Some("v1"), &here, Shown::Slot(3)).unwrap();
        let registry = Registry::read(data);
        let Life::Alive(Some(at)) = registry.life("v1") else {
            panic!("{registry:?}");
        };
        assert_eq!((at.socket, at.pane, at.shown), (socket, 7, Shown::Slot(3)));
        assert_eq!(registry.alive().count(), 1);
        registry.clear(|_| false);
        drop(held);
        let registry = Registry::read(data);
        assert_eq!(registry.life("v1"), Life::Ended);
        assert_eq!(registry.alive().count(), 0);
        registry.clear(|name| name == "v1");
        assert_eq!(Registry::read(data).life("v1"), Life::Ended);
        registry.clear(|_| false);
        assert_eq!(Registry::read(data).life("v1"), Life::Unheard);
    }

    #[test]
    fn a_viewer_outside_of_wezterm_lives_without_a_pane() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = Surroundings::default();
        let held = register(folder.path(), Some("v1"), &nowhere, Shown::Slot(3)).unwrap();
        assert!(held.is_some());
        assert_eq!(Registry::read(folder.path()).life("v1"), Life::Alive(None));
        let unknown = register(folder.path(), None, &nowhere, Shown::Slot(3)).unwrap();
        assert!(unknown.is_none());
    }
}
