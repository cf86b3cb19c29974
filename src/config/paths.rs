//! Where everything is, by the XDG rules, and folders that nobody else can look into.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::ConfigError;

/// Our folder below each of the XDG ones.
const NAME: &str = "wezterm-parallel";

/// What `sockaddr_un` holds, less the closing NUL.
const SOCKET_BYTES_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The places. None of them need exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Holds `config.toml` or `config.yaml`.
    pub config_dir: PathBuf,
    /// Holds `journal/`, `tasks/`, `sessions/`, `log/`.
    pub data: PathBuf,
    /// Holds what is gone after a reboot.
    pub runtime: PathBuf,
    /// The daemon listens here.
    pub socket: PathBuf,
    /// What the status bar reads.
    pub status_file: PathBuf,
    /// Held by the daemon as long as it lives. One for each runtime folder.
    pub daemon_lock: PathBuf,
    /// Held by the daemon as long as it lives. One for each data folder: callers with another
    /// runtime folder (cron, sudo) must not bring up a second daemon on the same journal.
    pub data_lock: PathBuf,
    /// Holds the daemon's daily log files.
    pub log_dir: PathBuf,
    /// Takes the stdout and stderr of a daemon that was started in the background: what it says
    /// before its log is open, and a panic.
    pub log_file: PathBuf,
}

impl Paths {
    /// The places by this process's environment; `socket` from a flag, if given.
    ///
    /// # Errors
    /// If there is no home folder, or the socket's path is too long.
    pub fn from_env(socket: Option<PathBuf>) -> Result<Self, ConfigError> {
        let lookup = |name: &str| match name {
            "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
            name => std::env::var_os(name),
        };
        let socket = socket.map(|path| std::path::absolute(&path).unwrap_or(path));
        Self::from_variables(lookup, socket)
    }

    /// The places by any environment.
    ///
    /// # Errors
    /// As [`Paths::from_env`].
    pub fn from_variables(
        lookup: impl Fn(&str) -> Option<OsString>,
        socket: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let base = |name: &str, below_home: &str| {
            absolute(name)
                .or_else(|| home.as_ref().map(|home| home.join(below_home)))
                .map(|path| path.join(NAME))
                .ok_or(ConfigError::NoHome)
        };
        let data = base("XDG_DATA_HOME", ".local/share")?;
        let runtime = match absolute("XDG_RUNTIME_DIR").filter(|path| is_own_folder(path)) {
            Some(path) => path.join(NAME),
            None => data.join("run"),
        };
        let socket = socket.unwrap_or_else(|| runtime.join("daemon.sock"));
        check_socket(&socket)?;
        Ok(Self {
            config_dir: base("XDG_CONFIG_HOME", ".config")?,
            status_file: runtime.join("status.json"),
            daemon_lock: runtime.join("daemon.lock"),
            data_lock: data.join("daemon.lock"),
            log_dir: data.join("log"),
            log_file: data.join("log").join("daemon.stderr"),
            data,
            runtime,
            socket,
        })
    }
}

impl Paths {
    /// Holds templates of workspaces.
    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.config_dir.join("templates")
    }

    /// The history, if it is kept.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.data.join("history.sqlite")
    }

    /// What is remembered of each workspace.
    #[must_use]
    pub fn sessions(&self) -> PathBuf {
        self.data.join("sessions")
    }

    /// Names the workspace that `workspace use` has chosen, if any.
    #[must_use]
    pub fn current_workspace(&self) -> PathBuf {
        self.data.join("current-workspace")
    }
}

/// `sudo` may leave another user's `XDG_RUNTIME_DIR` in place: not a folder to put things into.
fn is_own_folder(path: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me)
}

fn check_socket(path: &Path) -> Result<(), ConfigError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > SOCKET_BYTES_MAX {
        return Err(ConfigError::SocketTooLong {
            path: path.to_owned(),
            bytes,
            max: SOCKET_BYTES_MAX,
        });
    }
    Ok(())
}

/// Makes a folder (and those above it) that only this user can enter. One that is there already is
/// closed to others if it is ours.
///
/// # Errors
/// If it cannot be made, or belongs to somebody else.
pub fn ensure_private_dir(path: &Path) -> Result<(), ConfigError> {
    let failed = |source| ConfigError::Folder {
        path: path.to_owned(),
        source,
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(ConfigError::ForeignOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
        });
    }
    if metadata.mode() & 0o777 != 0o700 {
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(path, private).map_err(failed)?;
    }
    Ok(())
}
