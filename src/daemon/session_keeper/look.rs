//! What WezTerm shows just now. It holds up no command that works with panes, and changes nothing.

use std::collections::HashSet;
use std::path::Path;

use crate::pane::wezterm::{
    is_alive, is_busy, known_panes, tabs_of_workspace, Assignment, Listing, Server, Shown, Surroundings,
    Wezterm, WeztermError,
};
use crate::workspace_session::{SavedTab, Seen};

/// Panes that are ours, and all others of their servers.
pub(super) struct Look {
    known: Vec<Assignment>,
    /// `None` if nothing can be said: a command is opening panes, or nobody could be asked.
    listings: Option<Vec<Listing>>,
    /// Why nobody could.
    blind: Option<String>,
    host: String,
}

impl Look {
    /// Looks at the servers of panes that are ours, and at those where tabs were `remembered`.
    pub(super) fn at(data: &Path, remembered: &[Server]) -> Self {
        let uname = rustix::system::uname();
        let mut look = Self {
            known: Vec::new(),
            listings: None,
            blind: None,
            host: uname.nodename().to_string_lossy().into_owned(),
        };
        if is_busy(data) {
            return look;
        }
        match known_panes(data) {
            Ok(known) => look.known = known,
            Err(error) => {
                look.blind = Some(error.to_string());
                return look;
            }
        }
        let mut servers: Vec<Server> = Vec::new();
        let remembered = remembered.iter().filter(|server| is_alive(server)).cloned();
        for server in look.known.iter().map(Assignment::server).chain(remembered) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        match listings(servers) {
            Ok(listings) => look.listings = Some(listings),
            Err(error) => look.blind = Some(error.to_string()),
        }
        look
    }

    /// Why WezTerm could not be asked.
    pub(super) fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }

    /// Ids of tasks and processes that viewers show.
    pub(super) fn shown(&self) -> Vec<String> {
        let ids = self.known.iter().filter_map(|known| match &known.shown {
            Shown::Task(id) => Some(id.clone()),
            Shown::Slot(_) | Shown::Shell(_) => None,
        });
        ids.collect()
    }

    /// The tabs of a workspace, of which these tasks and processes are; `None` if nothing can be said.
    pub(super) fn of(&self, workspace: &str, own: &HashSet<String>) -> Option<Seen> {
        let listings = self.listings.as_ref()?;
        let tabs = tabs_of_workspace(
            workspace,
            &self.known,
            listings,
            |id| own.contains(id),
            &self.host,
        );
        let saved = tabs.into_iter().map(|open| SavedTab {
            plan: open.plan,
            server_started: started(&open.server),
            server: open.server,
            tab: open.tab,
        });
        Some(Seen {
            tabs: saved.collect(),
            answered: listings
                .iter()
                .map(|(server, _)| (server.clone(), started(server)))
                .collect(),
        })
    }
}

/// When a server was started, in the kernel's own unit; 0 where that cannot be told.
fn started(server: &Server) -> u64 {
    let status = i32::try_from(server.pid).ok().and_then(crate::platform::status);
    status.map_or(0, |status| status.started)
}

/// The panes of each server that answers. One that hangs is as good as gone: what it had is remembered.
fn listings(servers: Vec<Server>) -> Result<Vec<Listing>, WeztermError> {
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let program = Surroundings::from_env().find_program()?;
    let mut listings = Vec::with_capacity(servers.len());
    for server in servers {
        match Wezterm::new(program.clone(), server.clone()).panes() {
            Ok(panes) => listings.push((server, panes)),
            Err(error) => {
                tracing::debug!(%error, socket = %server.socket.display(), "a WezTerm does not answer");
            }
        }
    }
    Ok(listings)
}
