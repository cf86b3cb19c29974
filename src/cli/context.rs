//! What every command needs: where the daemon is, and a way to ask it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use super::{screen, Global};
use crate::client::{self, Client, ClientError};
use crate::config::{Config, Loaded, Paths};
use crate::protocol::{Answer, ErrorCode, Message, OneTask, TaskView};

/// A daemon that is ending, workers aside, is gone within this time.
const ENDING_PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to reach the one after it.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The global options.
#[derive(Debug)]
pub(crate) struct Context {
    socket: Option<PathBuf>,
    config: Option<PathBuf>,
    autostart: bool,
}

impl Context {
    /// From the command line.
    pub(crate) fn new(global: Global) -> Self {
        Self {
            socket: global.socket,
            config: global.config,
            autostart: !global.no_autostart,
        }
    }

    /// The config file that was named, if one was.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The socket that was named, if one was.
    pub(crate) fn socket_option(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Where everything is.
    pub(crate) fn paths(&self) -> Result<Paths, Failure> {
        Ok(Paths::from_env(self.socket.clone())?)
    }

    /// The configuration. Only for commands that are about it: it costs reading a file.
    pub(crate) fn load_config(&self) -> Result<Loaded, Failure> {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Config::load(self.config_file(), env, &self.paths()?)?)
    }

    /// A connection; starts the daemon if none runs and that is allowed.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        let paths = self.paths()?;
        if !self.autostart {
            return Ok(Client::connect(&paths.socket)?);
        }
        let program = std::env::current_exe()
            .map_err(|error| Failure::bug(format!("cannot tell this program's own path: {error}")))?;
        Ok(client::ensure_daemon(&paths, &program, self.config_file())?)
    }

    /// Asks one question; a refusal is a failure.
    pub(crate) fn ask(&self, message: &Message) -> Result<Answer, Failure> {
        let deadline = Instant::now() + ENDING_PATIENCE;
        loop {
            match self.connect()?.ask(message) {
                // Nothing was done, and it is gone in a moment: the next one does it.
                Err(ClientError::Refused(refusal))
                    if refusal.code == ErrorCode::ShuttingDown
                        && self.autostart
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// As [`Context::ask`], of a daemon that runs already.
    pub(crate) fn ask_running(&self, message: &Message) -> Result<Answer, Failure> {
        Ok(Client::connect(&self.paths()?.socket)?.ask(message)?)
    }

    /// Whether a daemon listens.
    pub(crate) fn is_daemon_running(&self) -> Result<bool, Failure> {
        match Client::connect(&self.paths()?.socket) {
            Ok(_) => Ok(true),
            Err(ClientError::NotRunning { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for a change and is quiet about it, as long as something was changed.
    pub(crate) fn change(&self, message: &Message) -> Result<Exit, Failure> {
        match self.ask(message)? {
            Answer::Changed(_) => Ok(Exit::Ok),
            other => Err(Failure::unexpected_answer(&other)),
        }
    }

    /// One task.
    pub(crate) fn task(&self, id: String) -> Result<TaskView, Failure> {
        match self.ask(&Message::Show(OneTask { id }))? {
            Answer::Task(task) => Ok(*task),
            other => Err(Failure::unexpected_answer(&other)),
        }
    }

    /// Warns on stderr.
    pub(crate) fn warn(text: &str) {
        let yellow = super::text::YELLOW;
        screen::note(&format!("{yellow}warning:{yellow:#} {text}"));
    }
}
