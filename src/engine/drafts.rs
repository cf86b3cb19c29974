//! What the engine tells whoever saves sessions: each workspace as it stands, apart from its panes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::Arc;

use wezterm_parallel_scheduler::{Change, Scheduler, TaskKey};

use super::processes::id_of;
use super::sessions::current_session;
use super::store::Store;
use super::Engine;
use crate::journal::{AfterStop, ProcessImage, ProcessState, Record, WorkspaceImage};
use crate::protocol::{is_process_id, RestartPolicy};
use crate::workspace_session::{ClaudeSession, SavedProcess, Session, CLAUDE_MAX, VERSION};

/// A workspace's session without its panes and viewers, and what is its own of what viewers show.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The session, with nothing in it of what WezTerm shows.
    pub session: Session,
    /// Ids of tasks and processes that are the workspace's, of those that were asked about.
    pub own: HashSet<String>,
}

/// Rings when something has changed that sessions remember. Rung twice before anybody listens is rung once.
#[derive(Clone, Debug)]
pub struct Bell(SyncSender<()>);

impl Bell {
    /// Rings at the other end of this channel, which should be one place deep.
    #[must_use]
    pub fn new(rings: SyncSender<()>) -> Self {
        Self(rings)
    }

    fn ring(&self) {
        // Full: it rings already. Gone: nobody saves sessions any more.
        let _ = self.0.try_send(());
    }
}

/// The engine's side: which tasks have run Claude sessions, and who is told of changes.
#[derive(Debug)]
pub(super) struct Remembering {
    bell: Bell,
    claude: HashMap<Arc<str>, VecDeque<TaskKey>>,
    /// What is wrong with sessions, in words.
    pub(super) trouble: Vec<String>,
}

impl Remembering {
    /// With what the journal has told.
    pub(super) fn new(bell: Bell, store: &Store, scheduler: &Scheduler) -> Self {
        let mut new = Self {
            bell,
            claude: HashMap::new(),
            trouble: Vec::new(),
        };
        for (key, entry) in store.from(TaskKey(0)) {
            let has_session = entry.attempts.iter().any(|attempt| attempt.session.is_some());
            if let Some(lane) = scheduler.lane(key).filter(|_| has_session) {
                new.add(&lane.workspace, key);
            }
        }
        new.bell.ring();
        new
    }

    /// Notes what records are about that were committed.
    pub(super) fn note(&mut self, records: &[Record], scheduler: &Scheduler) {
        for record in records {
            match record {
                Record::Workspace { .. } | Record::Process { .. } => self.bell.ring(),
                Record::Changed {
                    key,
                    change: Change::Claimed(Some(_)),
                    ..
                } => {
                    if let Some(lane) = scheduler.lane(*key) {
                        let workspace = Arc::clone(&lane.workspace);
                        self.add(&workspace, *key);
                        self.bell.ring();
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, workspace: &Arc<str>, key: TaskKey) {
        if workspace.is_empty() {
            return;
        }
        let newest = self.claude.entry(Arc::clone(workspace)).or_default();
        newest.retain(|known| *known != key);
        newest.push_back(key);
        if newest.len() > CLAUDE_MAX {
            newest.pop_front();
        }
    }

    fn of(&self, workspace: &str) -> impl Iterator<Item = TaskKey> + '_ {
        self.claude.get(workspace).into_iter().flatten().copied()
    }
}

impl Engine {
    /// All workspaces. `shown` are ids of tasks and processes that viewers show.
    pub(super) fn drafts(&self, shown: &[String]) -> Vec<Draft> {
        let mut own: HashMap<&str, HashSet<String>> = HashMap::new();
        for id in shown {
            if let Some(workspace) = self.workspace_of_any(id) {
                own.entry(workspace).or_default().insert(id.clone());
            }
        }
        let mut processes: BTreeMap<&str, Vec<SavedProcess>> = BTreeMap::new();
        for (number, image) in self.store.processes.iter() {
            let saved = saved_process(number, image);
            processes.entry(&image.spec.workspace).or_default().extend(saved);
        }
        let all = self.store.workspaces.iter();
        let draft = |(name, image): (&Arc<str>, &Arc<WorkspaceImage>)| {
            let own = own.remove(name.as_ref()).unwrap_or_default();
            let session = Session {
                version: VERSION,
                workspace: name.to_string(),
                saved_at_ms: 0,
                template: image.template.to_string(),
                created_at_ms: image.created_at.0,
                settings: image.settings.clone(),
                tabs: Vec::new(),
                processes: processes.remove(name.as_ref()).unwrap_or_default(),
                claude: self.claude_sessions_of(name),
                attached: Vec::new(),
            };
            Draft { session, own }
        };
        all.map(draft).collect()
    }

    fn workspace_of_any(&self, id: &str) -> Option<&str> {
        if is_process_id(id) {
            let number = self.find_process(id).ok()?;
            return Some(&self.store.processes.get(number)?.spec.workspace);
        }
        let key = self.store.find(id)?;
        Some(&self.scheduler.lane(key)?.workspace)
    }

    fn claude_sessions_of(&self, workspace: &str) -> Vec<ClaudeSession> {
        let sessions = self.remembering.of(workspace).filter_map(|key| {
            let entry = self.store.get(key)?;
            Some(ClaudeSession {
                session: current_session(entry)?.to_string(),
                task: self.store.id(key),
                state: self.scheduler.state(key)?.name().to_owned(),
                cwd: entry.spec.cwd.to_string(),
                label: entry.spec.label.as_deref().map(str::to_owned),
                unknown: false,
            })
        });
        sessions.collect()
    }
}

/// `None` for one that is being removed.
fn saved_process(number: u64, image: &ProcessImage) -> Option<SavedProcess> {
    let ProcessImage { spec, standing } = image;
    if standing.then == Some(AfterStop::Remove) {
        return None;
    }
    let last = standing.runs.last().and_then(|run| run.outcome.as_deref());
    let wanted = match standing.state {
        ProcessState::Starting | ProcessState::Running | ProcessState::Ready | ProcessState::Backoff => true,
        ProcessState::Stopping => standing.then != Some(AfterStop::Stay),
        ProcessState::Stopped => false,
        // A machine that goes down ends it, too.
        ProcessState::Failed => {
            last == Some("lost") || last == Some("signal") && spec.restart == RestartPolicy::Never
        }
    };
    Some(SavedProcess {
        id: id_of(number),
        name: spec.name.as_deref().map(str::to_owned),
        command: spec.command.as_deref().map(str::to_owned),
        argv: spec.argv.as_deref().map(<[String]>::to_vec),
        cwd: spec.cwd.to_string(),
        restart: spec.restart,
        max_restarts: spec.max_restarts,
        ready: spec.ready.clone(),
        ready_timeout_ms: spec.ready_timeout_ms.map(std::num::NonZeroU64::get),
        memory_bytes: Some(spec.memory_bytes).filter(|bytes| *bytes > 0),
        wanted,
        unknown: false,
    })
}
