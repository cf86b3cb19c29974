//! Finds out whether processes are ready, on a thread of its own: a port that does not answer or a slow command must
//! not hold up the queue.
//!
//! The thread starts with the first process that is to be watched, and sleeps while there is none.

mod written;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::written::Written;
use crate::entrance::{own_program, Orders, ENTRANCE_ARGUMENT};
use crate::executor::AttemptId;
use crate::protocol::ReadyWay;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// On loopback a port answers or refuses at once; one that does neither is tried again later.
const CONNECT_AT_MOST: Duration = Duration::from_millis(250);
/// A command that takes longer has not said that it is ready.
const COMMAND_AT_MOST: Duration = Duration::from_secs(10);
/// From the end of one command to the next.
const COMMAND_EVERY: Duration = Duration::from_millis(500);
/// One for each process that can be waited for; the engine takes them as they come.
pub const PROBED_MAX: usize = 512;

/// A run that is to be watched until it is ready.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Which.
    pub id: AttemptId,
    /// What shows that it is ready.
    pub way: ReadyWay,
    /// The file that it writes to.
    pub output: PathBuf,
    /// The folder for a command.
    pub cwd: PathBuf,
    /// The environment for a command.
    pub env: BTreeMap<String, String>,
    /// The command that tells the secrets to which the environment refers; empty if it refers to none.
    pub secrets: Vec<String>,
}

/// The engine's end.
pub struct Prober {
    shared: Arc<Shared>,
    probed: mpsc::Sender<AttemptId>,
    is_started: bool,
}

#[derive(Default)]
struct Shared {
    watched: Mutex<Watched>,
    changed: Condvar,
}

#[derive(Default)]
struct Watched {
    probes: HashMap<AttemptId, Arc<Probe>>,
    is_over: bool,
}

impl Shared {
    /// A thread that panicked has changed nothing by halves.
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prober {
    /// Runs that are ready are told to `probed`.
    #[must_use]
    pub fn new(probed: mpsc::Sender<AttemptId>) -> Self {
        Self {
            shared: Arc::default(),
            probed,
            is_started: false,
        }
    }

    /// Watches a run from now on, until it is ready or forgotten.
    pub fn watch(&mut self, probe: Probe) {
        self.shared.lock().probes.insert(probe.id, Arc::new(probe));
        self.shared.changed.notify_one();
        if self.is_started {
            return;
        }
        let thread = Thread {
            shared: Arc::clone(&self.shared),
            probed: self.probed.clone(),
            looks: HashMap::new(),
        };
        let started = std::thread::Builder::new()
            .name("prober".to_owned())
            .spawn(move || thread.run());
        match started {
            Ok(_) => self.is_started = true,
            Err(error) => tracing::warn!(%error, "nobody looks whether processes are ready"),
        }
    }

    /// The run is over.
    pub fn forget(&mut self, id: AttemptId) {
        self.shared.lock().probes.remove(&id);
        self.shared.changed.notify_one();
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
    }
}

struct Thread {
    shared: Arc<Shared>,
    probed: mpsc::Sender<AttemptId>,
    /// How far each has been looked at.
    looks: HashMap<AttemptId, Look>,
}

/// What is remembered from one look at a run to the next.
#[derive(Default)]
struct Look {
    written: Option<Written>,
    command: Option<(Child, Instant)>,
    /// When the next command may run.
    next_command: Option<Instant>,
    /// It was said that none can be run.
    has_warned: bool,
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Some((child, _)) = self.command.take() {
            end(child);
        }
    }
}

impl Thread {
    fn run(mut self) {
        while let Some(probes) = self.next_probes() {
            self.looks
                .retain(|id, _| probes.iter().any(|probe| probe.id == *id));
            for probe in probes {
                let look = self.looks.entry(probe.id).or_default();
                if !look.is_ready(&probe) {
                    continue;
                }
                let was_watched = self.shared.lock().probes.remove(&probe.id).is_some();
                if was_watched && self.probed.blocking_send(probe.id).is_err() {
                    return;
                }
            }
        }
    }

    /// Waits until it is time for another look: the runs to look at; `None` at the end.
    fn next_probes(&mut self) -> Option<Vec<Arc<Probe>>> {
        let shared = Arc::clone(&self.shared);
        let mut watched = shared.lock();
        let mut has_waited = false;
        loop {
            if watched.is_over {
                return None;
            }
            if watched.probes.is_empty() {
                // What still runs for the last of them ends with it.
                self.looks.clear();
                watched = shared
                    .changed
                    .wait(watched)
                    .unwrap_or_else(PoisonError::into_inner);
            } else if has_waited {
                return Some(watched.probes.values().cloned().collect());
            } else {
                let waited = shared.changed.wait_timeout(watched, LOOK_EVERY);
                watched = waited.unwrap_or_else(PoisonError::into_inner).0;
                has_waited = true;
            }
        }
    }
}

impl Look {
    fn is_ready(&mut self, probe: &Probe) -> bool {
        match &probe.way {
            ReadyWay::Port(port) => listens(*port),
            ReadyWay::Line(_) | ReadyWay::Pattern(_) => {
                if self.written.is_none() {
                    self.written = Written::new(&probe.way);
                }
                let written = self.written.as_mut();
                written.is_some_and(|written| written.is_found(&probe.output))
            }
            ReadyWay::Command(command) => self.has_succeeded(probe, command),
        }
    }

    fn has_succeeded(&mut self, probe: &Probe, command: &str) -> bool {
        let Some((mut child, begun)) = self.command.take() else {
            if self.next_command.is_none_or(|at| at <= Instant::now()) {
                match start(probe, command) {
                    Ok(child) => self.command = Some((child, Instant::now())),
                    Err(error) if !self.has_warned => {
                        self.has_warned = true;
                        tracing::warn!(%error, command, run = ?probe.id, "a ready check cannot be run");
                    }
                    Err(_) => {}
                }
                self.next_command = Some(Instant::now() + COMMAND_EVERY);
            }
            return false;
        };
        match child.try_wait() {
            Ok(None) if begun.elapsed() < COMMAND_AT_MOST => {
                self.command = Some((child, begun));
                false
            }
            Ok(None) => {
                end(child);
                self.next_command = Some(Instant::now() + COMMAND_EVERY);
                false
            }
            Ok(Some(status)) => {
                self.next_command = Some(Instant::now() + COMMAND_EVERY);
                status.success()
            }
            Err(_) => false,
        }
    }
}

/// Whether something listens on this port of this machine.
fn listens(port: u16) -> bool {
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    addresses
        .iter()
        .any(|address| TcpStream::connect_timeout(address, CONNECT_AT_MOST).is_ok())
}

/// Runs a shell line, in a group of its own so that all of it can be ended.
fn start(probe: &Probe, command: &str) -> std::io::Result<Child> {
    shell(probe, command)?
        .current_dir(&probe.cwd)
        .env_clear()
        .envs(&probe.env)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Secrets are asked for by the process that becomes the shell, as it is with workers: the daemon never has them.
fn shell(probe: &Probe, command: &str) -> std::io::Result<Command> {
    if probe.secrets.is_empty() {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        return Ok(shell);
    }
    let orders = Orders {
        secrets: probe.secrets.clone(),
        ..Orders::default()
    };
    let mut entrance = Command::new(own_program()?);
    entrance
        .args([ENTRANCE_ARGUMENT, &serde_json::to_string(&orders)?])
        .args(["sh", "-c", command]);
    Ok(entrance)
}

fn end(mut child: Child) {
    // It may have ended meanwhile: then its group is gone, or is still ours as long as it is not waited for.
    let group = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use wezterm_parallel_scheduler::TaskKey;

    /// More than any of this takes.
    const DEADLINE: Duration = Duration::from_secs(20);

    struct Scene {
        prober: Prober,
        probed: mpsc::Receiver<AttemptId>,
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            let (tx, probed) = mpsc::channel(PROBED_MAX);
            Self {
                prober: Prober::new(tx),
                probed,
                folder: tempfile::tempdir().expect("a folder"),
            }
        }

        fn watch(&mut self, number: u64, way: ReadyWay) -> AttemptId {
            let id = AttemptId {
                key: TaskKey(number),
                attempt: 1,
            };
            self.prober.watch(Probe {
                id,
                way,
                output: self.folder.path().join("output"),
                cwd: self.folder.path().to_owned(),
                env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
                secrets: Vec::new(),
            });
            id
        }

        async fn ready(&mut self) -> AttemptId {
            let ready = tokio::time::timeout(DEADLINE, self.probed.recv()).await;
            ready.expect("it is ready in time").expect("the thread runs")
        }
    }

    #[tokio::test]
    async fn a_text_is_found_in_the_output() {
        let mut scene = Scene::new();
        let other = scene.watch(2, ReadyWay::Line("never said".to_owned()));
        let id = scene.watch(1, ReadyWay::Line("listening on".to_owned()));
        let mut output = File::create(scene.folder.path().join("output")).expect("a file");
        for piece in ["begins\n", "listen", "ing ", "on 3000\n"] {
            output.write_all(piece.as_bytes()).expect("it is written");
        }
        assert_eq!(scene.ready().await, id);
        scene.prober.forget(other);
    }

    #[tokio::test]
    async fn a_port_and_a_command_are_tried_until_they_answer() {
        let mut scene = Scene::new();
        let by_command = scene.watch(1, ReadyWay::Command("test -e ready".to_owned()));
        std::fs::write(scene.folder.path().join("ready"), "").expect("a file");
        assert_eq!(scene.ready().await, by_command);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let by_port = scene.watch(2, ReadyWay::Port(port));
        assert_eq!(scene.ready().await, by_port);
    }
}
