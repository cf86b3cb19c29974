//! Which pane shows what: `panes.json` in the data folder, and the lock around it.
//!
//! A pane is named by its server's socket, its server's pid and its own number, since numbers begin at
//! 0 again with each server. The lock is held as long as the value lives, so that calls of this program
//! come one after the other and two of them never build the same panes.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{flock, FlockOperation};
use serde::{Deserialize, Serialize};

use super::registry::is_own_name;
use super::{is_alive, Layout, Life, PaneInfo, Registry, Server, WeztermError};

/// The form of the file.
const VERSION: u32 = 1;
/// In the data folder.
const FILE: &str = "panes.json";
/// In the data folder; held by a call that works with panes.
const LOCK: &str = "panes.lock";
/// Twice as long as one call of `wezterm cli` may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries to get the lock.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// What a pane shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Whatever runs in this slot, by a viewer.
    Slot(u32),
    /// One task or process, by a viewer.
    Task(String),
    /// No viewer of ours: a shell of the user's, which has run this line first. It is known by its pane alone, and ends
    /// with it.
    Shell(Option<String>),
}

impl Shown {
    /// Whether a viewer of ours is in the pane, which may be closed and replaced without a loss.
    #[must_use]
    pub fn is_viewer(&self) -> bool {
        !matches!(self, Self::Shell(_))
    }
}

/// A pane that this program has made, or in which a viewer runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The socket of its server.
    pub socket: PathBuf,
    /// The pid of its server.
    pub server_pid: u32,
    /// Its number.
    pub pane: u64,
    /// What it shows.
    #[serde(flatten)]
    pub shown: Shown,
    /// The name that its viewer is known by; `None` if an older version of this program made it, or if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<String>,
    /// The workspace that it was made for; older versions of this program say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Its viewer has ended, and WezTerm may hold the pane: it shows nothing, and can be closed or used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_ended: bool,
}

impl Assignment {
    /// A pane of this server.
    #[must_use]
    pub fn new(server: &Server, pane: u64, shown: Shown) -> Self {
        Self {
            socket: server.socket.clone(),
            server_pid: server.pid,
            pane,
            shown,
            viewer: None,
            workspace: None,
            has_ended: false,
        }
    }

    /// With a viewer of this name.
    #[must_use]
    pub fn with_viewer(mut self, name: String) -> Self {
        self.viewer = Some(name);
        self
    }

    /// Made for this workspace.
    #[must_use]
    pub fn of_workspace(mut self, workspace: Option<String>) -> Self {
        self.workspace = workspace;
        self
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> Server {
        Server {
            socket: self.socket.clone(),
            pid: self.server_pid,
        }
    }
}

/// What `panes open --restore` builds anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// How it was laid out.
    pub layout: Layout,
    /// The slots that were shown.
    pub slots: BTreeSet<u32>,
}

/// What stands in the file.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    #[serde(default)]
    panes: Vec<Assignment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
}

impl Content {
    fn servers(&self) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        for server in self.panes.iter().map(Assignment::server) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    }

    fn drop_dead_servers(&mut self) {
        let alive: Vec<Server> = self.servers().into_iter().filter(is_alive).collect();
        self.panes.retain(|known| alive.contains(&known.server()));
    }

    fn hear_viewers(&mut self, registry: &Registry) {
        for known in &mut self.panes {
            let Some(name) = known.viewer.as_deref() else {
                continue;
            };
            match registry.life(name) {
                Life::Ended => known.has_ended = true,
                // Any other may just be starting, or have another data folder.
                Life::Unheard => known.has_ended |= is_own_name(name),
                Life::Alive(Some(at)) => {
                    (known.socket, known.server_pid, known.pane) = (at.socket, at.server_pid, at.pane);
                }
                Life::Alive(None) => {}
            }
        }
        for (name, at) in registry.alive() {
            if !self.knows(name) {
                self.panes.push(at.clone().with_viewer(name.to_owned()));
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        let mut panes = self.panes.iter();
        panes.any(|known| known.viewer.as_deref() == Some(name))
    }
}

/// All that is known about panes. Changes last once they are saved.
pub struct Assignments {
    path: PathBuf,
    content: Content,
    _lock: File,
}

impl Assignments {
    /// Reads the file in the data folder, and keeps other calls of this program away from it.
    ///
    /// # Errors
    /// If another call keeps it for too long, or it cannot be read.
    pub fn open(data: &Path) -> Result<Self, WeztermError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(data);
        made.map_err(|source| file_error("make the folder", data, source))?;
        let lock = lock(&data.join(LOCK), PATIENCE)?;
        let path = data.join(FILE);
        let content = read(&path)?;
        Ok(Self {
            path,
            content,
            _lock: lock,
        })
    }

    /// Every pane that is known.
    #[must_use]
    pub fn panes(&self) -> &[Assignment] {
        &self.content.panes
    }

    /// The servers of all panes, each once.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        self.content.servers()
    }

    /// The pane of this server that shows this.
    #[must_use]
    pub fn find(&self, server: &Server, shown: &Shown) -> Option<u64> {
        let found =
            |known: &&Assignment| known.server() == *server && known.shown == *shown && !known.has_ended;
        self.content.panes.iter().find(found).map(|known| known.pane)
    }

    /// What this pane of this server shows, or has shown, if it is a viewer's.
    #[must_use]
    pub fn shown_in(&self, server: &Server, pane: u64) -> Option<&Shown> {
        let found = |known: &&Assignment| known.server() == *server && known.pane == pane;
        let shown = self.content.panes.iter().find(found).map(|known| &known.shown);
        shown.filter(|shown| shown.is_viewer())
    }

    /// Forgets the panes of servers that have died.
    pub fn drop_dead_servers(&mut self) {
        self.content.drop_dead_servers();
    }

    /// Forgets the panes of this server that are not among those it has.
    pub fn drop_closed_panes(&mut self, server: &Server, open: &[PaneInfo]) {
        self.content
            .panes
            .retain(|known| known.server() != *server || open.iter().any(|pane| pane.pane_id == known.pane));
    }

    /// Goes by what the viewers themselves say: one that runs knows its own pane, also if nobody here has made it,
    /// and one that has ended shows nothing.
    pub fn hear_viewers(&mut self, registry: &Registry) {
        self.content.hear_viewers(registry);
        registry.clear(|name| self.content.knows(name));
    }

    /// Adds a pane.
    pub fn add(&mut self, assignment: Assignment) {
        self.content.panes.push(assignment);
    }

    /// Forgets a pane.
    pub fn remove(&mut self, server: &Server, pane: u64) {
        let is_it = |known: &Assignment| known.server() == *server && known.pane == pane;
        self.content.panes.retain(|known| !is_it(known));
    }

    /// What can be built anew.
    #[must_use]
    pub fn remembered(&self) -> Option<&Remembered> {
        self.content.remembered.as_ref()
    }

    /// Slots that are to come back with `panes open --restore`; a layout that is given counts from now on.
    pub fn remember(&mut self, slots: impl IntoIterator<Item = u32>, layout: Option<Layout>) {
        let remembered = self.content.remembered.get_or_insert_with(|| Remembered {
            layout: Layout::Grid,
            slots: BTreeSet::new(),
        });
        remembered.slots.extend(slots);
        remembered.layout = layout.unwrap_or(remembered.layout);
    }

    /// A slot that is not to come back.
    pub fn forget_slot(&mut self, slot: u32) {
        let Some(remembered) = &mut self.content.remembered else {
            return;
        };
        remembered.slots.remove(&slot);
        if remembered.slots.is_empty() {
            self.content.remembered = None;
        }
    }

    /// Writes the file, so that a reader sees all of it or none.
    ///
    /// # Errors
    /// If that cannot be done; the old file stays.
    pub fn save(&mut self) -> Result<(), WeztermError> {
        self.content.version = VERSION;
        let failed = |source| file_error("write", &self.path, source);
        let content = serde_json::to_vec(&self.content).map_err(|error| failed(error.into()))?;
        let temporary = self.path.with_extension("json.tmp");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&temporary)
            .and_then(|mut file| file.write_all(&content))
            .and_then(|()| fs::rename(&temporary, &self.path))
            .map_err(failed)
    }
}

/// Every pane of a server that lives, as the file and the viewers say just now. Takes no lock and changes nothing, so
/// that whoever only looks holds up no call: a pane that is being made just now may be missing.
///
/// # Errors
/// If the file cannot be read.
pub fn known_panes(data: &Path) -> Result<Vec<Assignment>, WeztermError> {
    let mut content = read(&data.join(FILE))?;
    content.hear_viewers(&Registry::read(data));
    content.drop_dead_servers();
    Ok(content.panes)
}

/// Whether a call of this program is making or closing panes just now.
#[must_use]
pub fn is_busy(data: &Path) -> bool {
    let Ok(lock) = File::open(data.join(LOCK)) else {
        return false;
    };
    // Together with others that only look.
    flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

fn read(path: &Path) -> Result<Content, WeztermError> {
    /// All that is certain about a file of any version.
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let failed = |error: io::Error| file_error("read", path, error);
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(failed(error)),
    };
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
    if head.version != VERSION {
        let (path, version) = (path.to_owned(), head.version);
        return Err(WeztermError::Version { path, version });
    }
    serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))
}

fn lock(path: &Path, patience: Duration) -> Result<File, WeztermError> {
    let failed = |source: io::Error| file_error("lock", path, source);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    let deadline = Instant::now() + patience;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(BETWEEN_TRIES);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(WeztermError::Busy),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> WeztermError {
    WeztermError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn server(socket: &str, pid: u32) -> Server {
        Server {
            socket: socket.into(),
            pid,
        }
    }

    fn pane(pane_id: u64) -> PaneInfo {
        PaneInfo {
            pane_id,
            ..PaneInfo::default()
        }
    }

    #[test]
    fn what_is_saved_is_there_again_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut book = Assignments::open(&data).unwrap();
        let gui = server("/run/gui-sock-7", 7);
        book.add(Assignment::new(&gui, 3, Shown::Slot(1)));
        book.add(Assignment::new(&gui, 4, Shown::Task("t-9".into())));
        book.remember([2, 1], Some(Layout::Rows));
        book.save().unwrap();
        drop(book);
        let file = data.join("panes.json");
        insta::assert_snapshot!(fs::read_to_string(&file).unwrap(), @r#"{"version":1,"panes":[{"socket":"/run/gui-sock-7","server_pid":7,"pane":3,"slot":1},{"socket":"/run/gui-sock-7","server_pid":7,"pane":4,"task":"t-9"}],"remembered":{"layout":"rows","slots":[1,2]}}"#);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let book = Assignments::open(&data).unwrap();
        assert_eq!(book.find(&gui, &Shown::Slot(1)), Some(3));
        assert_eq!(book.shown_in(&gui, 4), Some(&Shown::Task("t-9".into())));
        assert_eq!(book.remembered().unwrap().slots, BTreeSet::from([1, 2]));
    }

    #[test]
    fn panes_of_workspaces_and_shells_are_kept_and_old_files_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let old = include_str!("../../../tests/fixtures/panes-v1/panes.json");
        fs::write(folder.path().join(FILE), old).unwrap();
        let mut book = Assignments::open(folder.path()).unwrap();
        let gui = server("/run/user/1000/wezterm/gui-sock-7", 7);
        assert_eq!(book.find(&gui, &Shown::Slot(1)), Some(3));
        assert!(book.panes().iter().all(|known| known.workspace.is_none()));
        let editor = Shown::Shell(Some("vi .".into()));
        for (pane, shown) in [(5, editor.clone()), (6, Shown::Shell(None))] {
            book.add(Assignment::new(&gui, pane, shown).of_workspace(Some("api".into())));
        }
        book.save().unwrap();
        drop(book);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let shell = r#"{"socket":"/run/user/1000/wezterm/gui-sock-7","server_pid":7,"pane":5,"shell":"vi .","workspace":"api"}"#;
        assert!(text.contains(shell), "{text}");
        let book = Assignments::open(folder.path()).unwrap();
        assert_eq!(book.find(&gui, &editor), Some(5));
        assert_eq!(book.find(&gui, &Shown::Shell(None)), Some(6));
        assert_eq!(book.panes()[3].workspace.as_deref(), Some("api"));
        // Nobody may put a viewer in the place of a shell.
        assert_eq!(
            (book.shown_in(&gui, 3).is_some(), book.shown_in(&gui, 5)),
            (true, None)
        );
        // Who only looks needs no lock; the server is dead.
        assert_eq!(known_panes(folder.path()).unwrap(), []);
    }

    #[test]
    fn a_pane_of_another_server_is_another_pane() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Assignments::open(folder.path()).unwrap();
        let (old, new) = (server("/s", 1), server("/s", 2));
        book.add(Assignment::new(&old, 3, Shown::Slot(1)));
        book.add(Assignment::new(&new, 3, Shown::Slot(2)));
        book.add(Assignment::new(&new, 4, Shown::Slot(3)));
        assert_eq!(book.find(&new, &Shown::Slot(1)), None);
        assert_eq!(book.servers(), [old.clone(), new.clone()]);
        book.drop_closed_panes(&new, &[pane(4)]);
        let left: Vec<_> = book
            .panes()
            .iter()
            .map(|known| (known.server_pid, known.pane))
            .collect();
        assert_eq!(left, [(1, 3), (2, 4)]);
        book.remove(&old, 3);
        book.drop_dead_servers();
        assert_eq!(book.panes(), []);
    }

    #[test]
    fn slots_that_are_closed_do_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Assignments::open(folder.path()).unwrap();
        book.forget_slot(1);
        book.remember([1, 2], Some(Layout::Tabs));
        book.remember([3], None);
        book.forget_slot(2);
        let expected = Remembered {
            layout: Layout::Tabs,
            slots: BTreeSet::from([1, 3]),
        };
        assert_eq!(book.remembered(), Some(&expected));
        book.forget_slot(1);
        book.forget_slot(3);
        assert_eq!(book.remembered(), None);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("panes.json");
        for (text, newer) in [
            ("{\"version\":2,\"all\":\"new\"}", true),
            ("{\"vers", false),
            ("[]", false),
        ] {
            fs::write(&file, text).unwrap();
            let error = Assignments::open(folder.path()).err().unwrap();
            assert_eq!(
                matches!(error, WeztermError::Version { version: 2, .. }),
                newer,
                "{error}"
            );
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn one_call_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = Assignments::open(folder.path()).unwrap();
        let path = folder.path().join(LOCK);
        assert!(matches!(lock(&path, Duration::ZERO), Err(WeztermError::Busy)));
        assert!(is_busy(folder.path()));
        drop(held);
        assert!(!is_busy(folder.path()));
        assert!(lock(&path, Duration::ZERO).is_ok());
    }
}
