//! The files: one for each workspace, replaced in one step, so that a reader or a crash never meets half of one.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Session, SessionError, VERSION};
use crate::config::ensure_private_dir;

/// What a name of a workspace becomes as a file's.
const ENDING: &str = ".json";

/// The name of a workspace, and its session or why that cannot be read.
pub type Found = (String, Result<Session, SessionError>);

/// The folder with all sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    /// Those in this folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a workspace. Names of workspaces have no slash in them.
    #[must_use]
    pub fn path(&self, workspace: &str) -> PathBuf {
        self.folder.join(format!("{workspace}{ENDING}"))
    }

    /// All workspaces with a session, by name; of each the session, or why it cannot be read.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, SessionError> {
        let failed = |source| file_error("read", &self.folder, source);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            // What is not UTF-8 is none of ours.
            let name = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            names.extend(name.map(str::to_owned));
        }
        names.sort_unstable();
        let read = names.into_iter().map(|name| {
            let session = self.get(&name);
            (name, session)
        });
        // One that was removed meanwhile is no fault.
        let is_there =
            |session: &Result<Session, SessionError>| !matches!(session, Err(SessionError::NotFound { .. }));
        Ok(read.filter(|(_, session)| is_there(session)).collect())
    }

    /// The session of a workspace.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn get(&self, workspace: &str) -> Result<Session, SessionError> {
        self.read(workspace)?.ok_or_else(|| SessionError::NotFound {
            workspace: workspace.to_owned(),
            known: self.names(),
        })
    }

    /// The session of a workspace, if it has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, workspace: &str) -> Result<Option<Session>, SessionError> {
        let path = self.path(workspace);
        match fs::read(&path) {
            Ok(bytes) => {
                let session = parse(&path, &bytes)?;
                if session.workspace == workspace {
                    return Ok(Some(session));
                }
                let workspace = session.workspace;
                Err(SessionError::Foreign { path, workspace })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path, error)),
        }
    }

    /// Puts a session in the place of the workspace's former one.
    ///
    /// # Errors
    /// If it cannot be written; the former one stays.
    pub fn write(&self, session: &Session) -> Result<(), SessionError> {
        let path = self.path(&session.workspace);
        ensure_private_dir(&self.folder)
            .map_err(|error| file_error("make", &self.folder, io::Error::other(error)))?;
        let fresh = path.with_extension("json.new");
        let written = write_new(&fresh, session).and_then(|()| fs::rename(&fresh, &path));
        written.map_err(|source| {
            // On a full disk, what there is of it is in the way of others.
            let _ = fs::remove_file(&fresh);
            file_error("write", &path, source)
        })
    }

    /// Removes the session of a workspace: whether there was one.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(&self, workspace: &str) -> Result<bool, SessionError> {
        let path = self.path(workspace);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(file_error("remove", &path, error)),
        }
    }

    /// Makes room for a new session where one is damaged: where the damaged one is now.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn move_aside(&self, workspace: &str) -> Result<PathBuf, SessionError> {
        let path = self.path(workspace);
        let free = |number: &u32| !path.with_extension(format!("json.damaged-{number}")).exists();
        let number = (1..).find(free).unwrap_or(1);
        let kept = path.with_extension(format!("json.damaged-{number}"));
        fs::rename(&path, &kept).map_err(|error| file_error("move", &path, error))?;
        Ok(kept)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(ENDING)?.to_owned());
        entries.filter_map(name).collect()
    }
}

fn write_new(path: &Path, session: &Session) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(session)?;
    bytes.push(b'\n');
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(&bytes)?;
    // A name that outlives its content in a power failure would be a session of nothing.
    file.sync_data()
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Session, SessionError> {
    /// All that is certain about a file of any version.
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let damaged = |error: serde_json::Error| SessionError::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.version > VERSION {
        return Err(SessionError::Newer {
            path: path.to_owned(),
            version: head.version,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> SessionError {
    SessionError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}
