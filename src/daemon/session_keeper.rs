//! The thread that saves sessions: soon after a change, and after a look at WezTerm twice a minute, which tells nobody
//! when its panes are moved or closed.
//!
//! The engine tells in microseconds how the workspaces stand, and never waits for a disk or for WezTerm. A session that
//! says the same as its file is not written.

mod look;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use self::look::Look;
use crate::config::Paths;
use crate::engine::{Bell, Command, Draft};
use crate::pane::wezterm::{Server, Shown};
use crate::workspace_session::{keep_unknown, merged, SavedTab, Seen, Session, SessionError, Sessions};

/// A look at WezTerm, if nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// From one look at the files that commands about panes leave to the next.
const NOTICE_EVERY: Duration = Duration::from_secs(5);
/// A tab that has been missing for so long was closed by its user.
const MISSED_FOR: Duration = Duration::from_secs(10);
/// Of a burst of changes the first is saved, and then what has come of the others.
const SPACING: Duration = Duration::from_secs(1);

/// Saves the sessions.
pub(super) struct SessionKeeper {
    data: PathBuf,
    sessions: Sessions,
    /// The keeper is no client for whom a daemon would have to go on.
    engine: mpsc::WeakSender<Command>,
    /// Tabs that are missing in a WezTerm that answers, by workspace, and since when.
    missed: HashMap<String, Vec<(SavedTab, Instant)>>,
    /// Why WezTerm could not be looked at, as far as it has been said.
    blind: Option<String>,
    /// What is wrong with the session of a workspace, as far as it has been said.
    trouble: HashMap<String, String>,
    saved_at: Option<Instant>,
    noticed: Stamps,
}

/// When the files last changed that commands about panes leave.
type Stamps = [Option<SystemTime>; 2];

impl SessionKeeper {
    /// For the workspaces of this engine.
    pub(super) fn new(paths: &Paths, engine: mpsc::WeakSender<Command>) -> Self {
        Self {
            data: paths.data.clone(),
            sessions: Sessions::new(paths.sessions()),
            engine,
            missed: HashMap::new(),
            blind: None,
            trouble: HashMap::new(),
            saved_at: None,
            noticed: Stamps::default(),
        }
    }

    /// Starts the thread, which ends with the engine: what is to be rung when something has changed.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(mut self) -> std::io::Result<Bell> {
        let (rings, bell) = sync_channel(1);
        let thread = std::thread::Builder::new().name("sessions".to_owned());
        thread.spawn(move || self.run(&bell))?;
        Ok(Bell::new(rings))
    }

    fn run(&mut self, bell: &Receiver<()>) {
        loop {
            let has_rung = match bell.recv_timeout(NOTICE_EVERY) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let stamps = self.stamps();
            // What could not be saved is tried again soon, and the engine hears of it.
            let every = if self.missed.is_empty() {
                LOOK_EVERY
            } else {
                MISSED_FOR
            };
            let is_due = !self.trouble.is_empty() || self.saved_at.is_none_or(|at| at.elapsed() >= every);
            if !has_rung && !is_due && stamps == self.noticed {
                continue;
            }
            if let Some(since) = self
                .saved_at
                .map(|at| at.elapsed())
                .filter(|since| *since < SPACING)
            {
                std::thread::sleep(SPACING - since);
            }
            self.noticed = stamps;
            if self.save_all().is_none() {
                return;
            }
            self.saved_at = Some(Instant::now());
        }
    }

    /// A command that opens panes writes one of them, and a viewer that starts the other.
    fn stamps(&self) -> Stamps {
        let changed = |name: &str| {
            self.data
                .join(name)
                .metadata()
                .and_then(|file| file.modified())
                .ok()
        };
        [changed("panes.json"), changed("viewers")]
    }

    /// Looks, asks and writes. `None` if the engine is gone.
    fn save_all(&mut self) -> Option<()> {
        let began = Instant::now();
        let look = Look::at(&self.data, &self.remembered_servers());
        let looked = began.elapsed();
        self.tell_blindness(look.blind());
        let drafts = self.ask(look.shown())?;
        let asked = began.elapsed() - looked;
        let workspaces = drafts.len();
        self.trouble
            .retain(|name, _| drafts.iter().any(|draft| draft.session.workspace == *name));
        for draft in drafts {
            let name = draft.session.workspace.clone();
            match self.save(draft, &look) {
                Ok(()) => {
                    if self.trouble.remove(&name).is_some() {
                        tracing::info!(workspace = name, "the session can be saved again");
                    }
                }
                Err(error) => self.tell(name, &error),
            }
        }
        let saved = began.elapsed() - looked - asked;
        tracing::debug!(workspaces, ?looked, ?asked, ?saved, "the sessions are saved");
        Some(())
    }

    fn ask(&self, shown: Vec<String>) -> Option<Vec<Draft>> {
        let (reply, drafts) = oneshot::channel();
        let mut trouble: Vec<String> = self.trouble.values().chain(&self.blind).cloned().collect();
        trouble.sort_unstable();
        let asked = Command::Drafts {
            shown,
            trouble,
            reply,
        };
        self.engine.upgrade()?.blocking_send(asked).ok()?;
        drafts.blocking_recv().ok()
    }

    fn save(&mut self, draft: Draft, look: &Look) -> Result<(), SessionError> {
        let before = match self.sessions.read(&draft.session.workspace) {
            Ok(before) => before,
            Err(error @ SessionError::Damaged { .. }) => {
                let kept = self.sessions.move_aside(&draft.session.workspace)?;
                tracing::warn!(%error, kept = %kept.display(), "a damaged session is moved aside, and a new one begun");
                None
            }
            Err(error) => return Err(error),
        };
        let session = self.with_tabs(draft, before.as_ref(), look);
        if before.is_some_and(|before| before.says_the_same(&session)) {
            return Ok(());
        }
        self.sessions.write(&Session {
            saved_at_ms: now_ms(),
            ..session
        })
    }

    fn with_tabs(&mut self, draft: Draft, before: Option<&Session>, look: &Look) -> Session {
        let Draft { mut session, own } = draft;
        if let Some(before) = before {
            keep_unknown(&mut session, before);
        }
        let tabs_before = before.map(|before| before.tabs.as_slice()).unwrap_or_default();
        let seen = look.of(&session.workspace, &own);
        // As long as no WezTerm answers, nobody has closed anything.
        let answers = seen.as_ref().is_some_and(|seen| !seen.answered.is_empty());
        session.tabs = match seen {
            None => tabs_before.to_vec(),
            Some(seen) => self.tabs_of(&session.workspace, tabs_before, &seen),
        };
        let attached_before = before.filter(|_| !answers).map(|before| before.attached.clone());
        // Viewers of a WezTerm that is gone run no more, and are wanted again with their tabs.
        let panes = session.tabs.iter().flat_map(|tab| &tab.plan.panes);
        let in_tabs = panes.filter_map(|pane| match &pane.shown {
            Shown::Task(id) => Some(id.clone()),
            Shown::Slot(_) | Shown::Shell(_) => None,
        });
        let attached = own
            .into_iter()
            .chain(in_tabs)
            .chain(attached_before.into_iter().flatten());
        let attached: BTreeSet<String> = attached.collect();
        session.attached = attached.into_iter().collect();
        session
    }

    fn tabs_of(&mut self, workspace: &str, before: &[SavedTab], seen: &Seen) -> Vec<SavedTab> {
        let now = Instant::now();
        let known = self.missed.remove(workspace).unwrap_or_default();
        let is_closed = |(_, since): &&(SavedTab, Instant)| now.duration_since(*since) >= MISSED_FOR;
        let closed: Vec<SavedTab> = known
            .iter()
            .filter(is_closed)
            .map(|(tab, _)| tab.clone())
            .collect();
        let (tabs, missed) = merged(before, seen, &closed);
        let since = |tab: &SavedTab| {
            let known = known.iter().find(|(other, _)| other == tab);
            known.map_or(now, |(_, since)| *since)
        };
        let missed = missed.into_iter().map(|tab| (tab.clone(), since(&tab)));
        let missed: Vec<(SavedTab, Instant)> = missed.collect();
        if !missed.is_empty() {
            self.missed.insert(workspace.to_owned(), missed);
        }
        tabs
    }

    /// A service with a bare `PATH` has no `wezterm`: whoever counts on the panes has to hear of it before the reboot.
    fn tell_blindness(&mut self, why: Option<&str>) {
        let words = why.map(|why| format!("panes are not remembered, since WezTerm cannot be asked: {why}"));
        if words != self.blind {
            if let Some(words) = &words {
                tracing::warn!("{words}");
            }
            self.blind = words;
        }
    }

    /// The servers of all tabs that are remembered: a tab of one that still runs may have been closed there.
    fn remembered_servers(&self) -> Vec<Server> {
        let sessions = self.sessions.list().unwrap_or_default();
        let tabs = sessions
            .into_iter()
            .filter_map(|(_, session)| Some(session.ok()?.tabs));
        tabs.flatten().map(|tab| tab.server).collect()
    }

    /// Once, as long as it stays the same.
    fn tell(&mut self, workspace: String, error: &SessionError) {
        let words = format!("the session of workspace {workspace} is not saved: {error}");
        if self.trouble.get(&workspace) != Some(&words) {
            tracing::warn!(hint = error.hint(), "{words}");
            self.trouble.insert(workspace, words);
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
