//! Accepts connections: of the same user only, and not too many at once.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch, Semaphore};
use tokio::task::JoinSet;

use super::clients::{Clients, Refused};
use super::connection::{self, Connection};
use super::peer;
use crate::config::{Config, ConfigError};
use crate::engine::{Command, Lineage, Reloaded};
use crate::protocol::{encode, Answer, ErrorAnswer, ErrorCode};

/// After an accept that failed (no file descriptors left), the next one is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Answers that are on their way when the daemon ends get this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Reads the config again.
pub(super) type Reload = Arc<dyn Fn() -> Result<Reloaded, ConfigError> + Send + Sync>;

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) line_bytes: usize,
    pub(super) connections: usize,
    pub(super) write_timeout: Duration,
    pub(super) event_buffer: usize,
}

impl Settings {
    pub(super) fn from_config(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            line_bytes: usize::try_from(limits.line_bytes).unwrap_or(usize::MAX),
            connections: limits.connections as usize,
            write_timeout: limits.write_timeout,
            event_buffer: limits.event_buffer as usize,
        }
    }
}

/// Binds the socket, in place of one that a dead daemon left. The caller holds the daemon's lock.
pub(super) fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells those who have connected, and whom nobody will serve, why.
pub(super) fn turn_away(listener: &std::os::unix::net::UnixListener, refusal: &ErrorAnswer) {
    let mut line = Vec::new();
    encode(&Answer::Error(refusal.clone()), &mut line);
    while let Ok((mut stream, _)) = listener.accept() {
        // A fresh connection has room for one line, and who has left needs none.
        let _ = stream.write_all(&line);
    }
}

/// Serves until the engine has ended.
pub(super) async fn serve(
    listener: std::os::unix::net::UnixListener,
    commands: mpsc::Sender<Command>,
    (settings, clients): (Settings, Arc<Clients>),
    reload: Reload,
    mut ended: watch::Receiver<bool>,
) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the socket cannot be listened on"),
    };
    let places = Arc::new(Semaphore::new(settings.connections));
    let connection = Connection {
        commands,
        settings,
        clients,
        reload,
        ended: ended.clone(),
        from: Lineage::default(),
    };
    let mut connections = JoinSet::new();
    // Said once, not ten times a second, for as long as it lasts.
    let mut refusing = false;
    loop {
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    refusing = false;
                    connections.spawn(welcome(stream, connection.clone(), Arc::clone(&places)));
                }
                Err(error) => {
                    if !std::mem::replace(&mut refusing, true) {
                        tracing::warn!(%error, "a connection could not be accepted; it is tried again");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(connection);
    let farewell = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read its answer by then goes without.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Serves a connection if its peer is our user and there is a place for it.
async fn welcome(stream: UnixStream, connection: Connection, places: Arc<Semaphore>) {
    if let Err(refusal) = same_user(&stream) {
        tracing::warn!(message = %refusal.message, "a connection was refused");
        connection.clients.refused(Refused::User, &refusal);
        return connection::refuse(stream, refusal).await;
    }
    let from = match peer::lineage(&stream) {
        Ok(from) => from,
        Err(refusal) => {
            tracing::warn!(message = %refusal.message, "a connection was refused");
            connection.clients.refused(Refused::Gone, &refusal);
            return connection::refuse(stream, refusal).await;
        }
    };
    match places.try_acquire() {
        Ok(_place) => {
            let clients = Arc::clone(&connection.clients);
            let _connected = clients.connected();
            connection.serve(stream, from).await;
        }
        Err(_) => {
            let refusal = too_busy(connection.settings.connections);
            connection.clients.refused(Refused::TooMany, &refusal);
            connection::refuse(stream, refusal).await;
        }
    }
}

/// The socket's mode keeps others out already; the kernel's word on the peer is the second wall.
fn same_user(stream: &UnixStream) -> Result<(), ErrorAnswer> {
    let own = rustix::process::geteuid().as_raw();
    let forbidden = |message: String| ErrorAnswer {
        code: ErrorCode::Forbidden,
        message,
        hint: "each user runs a daemon of their own".to_owned(),
    };
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => Ok(()),
        Ok(peer) => Err(forbidden(format!(
            "this daemon serves user {own} only, and you are user {}",
            peer.uid()
        ))),
        Err(error) => Err(forbidden(format!("the kernel does not say who you are: {error}"))),
    }
}

fn too_busy(connections: usize) -> ErrorAnswer {
    ErrorAnswer {
        code: ErrorCode::TooBusy,
        message: format!("{connections} clients are connected already"),
        hint: "try again in a moment, or raise limits.connections in the config".to_owned(),
    }
}
