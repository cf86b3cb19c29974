//! Which WezTerm to talk to: the caller's own, else any whose socket answers.
//!
//! A socket file proves nothing: WezTerm leaves it behind when it dies. Hence each is tried by
//! connecting, and a server is named by its socket and its pid together, since pane ids begin at 0
//! again with each server.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};
use serde::{Deserialize, Serialize};

use super::WeztermError;

/// A running server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its socket.
    pub socket: PathBuf,
    /// Its process id; 0 where it cannot be told.
    pub pid: u32,
}

/// What the environment says about WezTerm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The server that the caller's pane belongs to.
    pub socket: Option<PathBuf>,
    /// The caller's pane. It means something at that server only.
    pub pane: Option<u64>,
    /// Where programs are looked for: WezTerm's own folder first, as its version fits the server.
    pub program_folders: Vec<PathBuf>,
    /// Where servers leave their sockets.
    pub runtime_folders: Vec<PathBuf>,
}

/// Installed here when PATH has been left bare, as for what a desktop starts.
const USUAL_FOLDERS: [&str; 4] = [
    "/usr/local/bin",
    "/usr/bin",
    "/opt/homebrew/bin",
    "/Applications/WezTerm.app/Contents/MacOS",
];

impl Surroundings {
    /// By this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// By any environment.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let mut program_folders: Vec<PathBuf> = absolute("WEZTERM_EXECUTABLE_DIR").into_iter().collect();
        if let Some(path) = lookup("PATH") {
            program_folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
        }
        program_folders.extend(USUAL_FOLDERS.map(PathBuf::from));
        let below_runtime = absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("wezterm"));
        let below_home = absolute("HOME").map(|home| home.join(".local/share/wezterm"));
        Self {
            socket: absolute("WEZTERM_UNIX_SOCKET"),
            pane: lookup("WEZTERM_PANE").and_then(|pane| pane.to_str()?.parse().ok()),
            program_folders,
            runtime_folders: below_runtime.into_iter().chain(below_home).collect(),
        }
    }

    /// The first server that answers: the caller's, then GUIs from the newest on, then the mux server.
    ///
    /// # Errors
    /// If none does.
    pub fn find_server(&self) -> Result<Server, WeztermError> {
        let own = self.socket.iter().cloned();
        let others = self.runtime_folders.iter().flat_map(|folder| sockets_in(folder));
        own.chain(others)
            .find_map(|socket| connect(&socket).ok())
            .ok_or(WeztermError::NotRunning)
    }

    /// The caller's pane, if it is one of this server's.
    #[must_use]
    pub fn pane_at(&self, server: &Server) -> Option<u64> {
        self.pane
            .filter(|_| self.socket.as_deref() == Some(&server.socket))
    }

    /// The caller's pane and its server, if that answers.
    #[must_use]
    pub fn own_pane(&self) -> Option<(Server, u64)> {
        let server = connect(self.socket.as_deref()?).ok()?;
        Some((server, self.pane?))
    }

    /// The program `wezterm`.
    ///
    /// # Errors
    /// If it is nowhere to be found.
    pub fn find_program(&self) -> Result<PathBuf, WeztermError> {
        let is_program =
            |path: &PathBuf| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
        let candidates = self.program_folders.iter().map(|folder| folder.join("wezterm"));
        candidates
            .into_iter()
            .find(is_program)
            .ok_or(WeztermError::NoProgram)
    }
}

/// Whether this very server still runs, and not another one at the same socket. One that is too busy to
/// tell counts as alive.
#[must_use]
pub fn is_alive(server: &Server) -> bool {
    match connect(&server.socket) {
        Ok(found) => found == *server,
        Err(error) => error == Errno::AGAIN,
    }
}

/// Sockets that a server may listen on: of GUIs, the newest first, then of the mux server.
fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut of_guis: Vec<(SystemTime, PathBuf)> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("gui-sock-"))
        .map(|entry| {
            let changed = entry.metadata().and_then(|metadata| metadata.modified());
            (changed.unwrap_or(SystemTime::UNIX_EPOCH), entry.path())
        })
        .collect();
    of_guis.sort();
    let of_guis = of_guis.into_iter().rev().map(|(_, path)| path);
    of_guis.chain([folder.join("sock")]).collect()
}

/// Never waits: a server that hangs, with a queue full of others who wait for it, is `AGAIN`.
fn connect(socket: &Path) -> Result<Server, Errno> {
    let address = SocketAddrUnix::new(socket)?;
    let stream = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&stream, true)?;
    net::connect(&stream, &address)?;
    Ok(Server {
        socket: socket.to_owned(),
        pid: pid_behind(&UnixStream::from(stream), socket),
    })
}

/// The kernel knows who listens.
#[cfg(target_os = "linux")]
fn pid_behind(stream: &UnixStream, _socket: &Path) -> u32 {
    rustix::net::sockopt::socket_peercred(stream)
        .ok()
        .and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok())
        .unwrap_or(0)
}

/// A GUI's socket is named after its pid; the mux server leaves its own in a file beside the socket.
#[cfg(not(target_os = "linux"))]
fn pid_behind(_stream: &UnixStream, socket: &Path) -> u32 {
    let name = socket.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let pid = match name.strip_prefix("gui-sock-") {
        Some(pid) => pid.parse().ok(),
        None => fs::read_to_string(socket.with_file_name("pid"))
            .ok()
            .and_then(|text| text.trim().parse().ok()),
    };
    pid.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn surroundings(variables: &[(&str, &Path)]) -> Surroundings {
        Surroundings::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_os_str().to_owned())
        })
    }

    #[test]
    fn the_callers_server_comes_first_then_guis_then_the_mux_server() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().join("wezterm");
        fs::create_dir(&runtime).unwrap();
        let own = folder.path().join("own");
        let here = surroundings(&[("XDG_RUNTIME_DIR", folder.path()), ("WEZTERM_UNIX_SOCKET", &own)]);
        assert!(matches!(here.find_server(), Err(WeztermError::NotRunning)));

        let listen = |path: &Path| UnixListener::bind(path).unwrap();
        let _mux = listen(&runtime.join("sock"));
        assert_eq!(here.find_server().unwrap().socket, runtime.join("sock"));
        // A dead GUI's socket stays behind.
        drop(listen(&runtime.join("gui-sock-1")));
        assert_eq!(here.find_server().unwrap().socket, runtime.join("sock"));
        let _gui = listen(&runtime.join("gui-sock-2"));
        assert_eq!(here.find_server().unwrap().socket, runtime.join("gui-sock-2"));
        let _own = listen(&own);
        assert_eq!(here.find_server().unwrap().socket, own);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_is_its_socket_and_its_pid() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = connect(&socket).unwrap();
        assert_eq!(server.pid, std::process::id());
        assert!(is_alive(&server));
        assert!(!is_alive(&Server {
            pid: 1,
            ..server.clone()
        }));
        drop(listener);
        assert!(!is_alive(&server));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_that_hangs_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let listener = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        net::bind(&listener, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
        net::listen(&listener, 0).unwrap();
        let server = Server {
            socket: socket.clone(),
            pid: 1,
        };
        // Even one that has gone away again fills the queue until it is accepted.
        while connect(&socket).is_ok() {}
        assert_eq!(connect(&socket), Err(Errno::AGAIN));
        assert!(is_alive(&server));
    }

    #[test]
    fn a_pane_counts_at_its_own_server_only() {
        let here = surroundings(&[
            ("WEZTERM_UNIX_SOCKET", Path::new("/w/sock")),
            ("WEZTERM_PANE", Path::new("7")),
        ]);
        let server = |socket: &str| Server {
            socket: socket.into(),
            pid: 1,
        };
        assert_eq!(here.pane_at(&server("/w/sock")), Some(7));
        assert_eq!(here.pane_at(&server("/w/gui-sock-9")), None);
        let nonsense = surroundings(&[("WEZTERM_PANE", Path::new("x"))]);
        assert_eq!(nonsense.pane, None);
    }

    #[test]
    fn wezterms_own_folder_comes_before_path() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &two] {
            let program = folder.path().join("wezterm");
            fs::write(&program, "").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let here = surroundings(&[("PATH", one.path()), ("WEZTERM_EXECUTABLE_DIR", two.path())]);
        assert_eq!(here.find_program().unwrap(), two.path().join("wezterm"));
        let here = surroundings(&[("PATH", one.path())]);
        assert_eq!(here.find_program().unwrap(), one.path().join("wezterm"));
    }
}
