//! What workers are kept in: planned when they start, told while they wait, and explained when something was denied.

use wezterm_parallel_scheduler::{State, Task, TaskKey};

use super::environments::Variables;
use super::groups::trouble;
use super::Engine;
use crate::config::WorkerConfig;
use crate::executor::{AttemptId, Exit, Means, Room};
use crate::protocol::{Denial, Sandbox, SandboxReport, TaskView};
use crate::worker::{limits_words, room, Parents, Place, Verdict};

/// Variables that say where something is that a worker writes to.
const PLACES: [&str; 3] = ["HOME", "TMPDIR", "CLAUDE_CONFIG_DIR"];
/// The signal that tells of used up CPU time, and the one of a file that grew too large; the same on all systems.
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

impl Engine {
    /// What a task's next worker is kept in. A workspace's sandbox holds as it stands when the worker starts.
    pub(super) fn room_of(&self, task: &Task, profile: &WorkerConfig) -> Room {
        // Who has a worktree of their own writes there, and not where it was made from.
        let entry = self.store.get(task.submission.key);
        let has_worktree = entry.is_some_and(|entry| entry.spec.worktree().is_some());
        let parents = self.parents_of(task);
        self.room_in(
            &task.submission.lane.workspace,
            profile,
            !has_worktree,
            parents.as_ref(),
        )
    }

    /// What a worker of a workspace is kept in; whether the workspace's folder is open to it, and who has queued it.
    pub(super) fn room_in(
        &self,
        workspace: &str,
        profile: &WorkerConfig,
        opens_folder: bool,
        parents: Option<&Parents>,
    ) -> Room {
        let workspace = self.store.workspaces.get(workspace);
        let settings = workspace.map(|image| &image.settings);
        let layers = [
            Some(&self.environment),
            settings.map(|settings| &settings.env),
            Some(&profile.env),
        ];
        let mut env = Variables::new();
        for (name, layer) in PLACES.iter().flat_map(|name| layers.map(|layer| (name, layer))) {
            let value = layer.and_then(|layer| layer.get(*name));
            env.extend(value.map(|value| ((*name).to_owned(), value.clone())));
        }
        let folder = settings.and_then(|settings| settings.folder.as_deref());
        let place = Place {
            home: self.environment.get("HOME").map_or("/", String::as_str),
            workspace_folder: folder.filter(|_| opens_folder),
            parents,
            env: &env,
            groups: &self.groups,
        };
        room(
            profile,
            settings.and_then(|settings| settings.sandbox.as_ref()),
            place,
        )
    }

    /// If a worker has queued this task: the sandboxes of that one's profile and of those before it. Of one whose task is
    /// removed nothing is known any more: where any profile has a sandbox, it counts as sandboxed.
    fn parents_of(&self, task: &Task) -> Option<Parents> {
        let parent_of = |key| self.store.get(key).and_then(|entry| entry.spec.parent);
        let mut next = parent_of(task.submission.key);
        next?;
        let mut parents = Parents::default();
        while let Some(key) = next.map(|key| TaskKey(key.get())) {
            let (Some(entry), Some(parent)) = (self.store.get(key), self.scheduler.task(key)) else {
                let mut all = self
                    .config
                    .workers
                    .values()
                    .filter_map(|worker| worker.sandbox.as_ref());
                parents
                    .sandboxes
                    .extend(all.any(Sandbox::is_on).then(Sandbox::default));
                return Some(parents);
            };
            let profile = self.profiles.config(&parent.submission.lane.worker);
            parents
                .sandboxes
                .extend(profile.and_then(|profile| profile.sandbox.clone()));
            parents.folder = entry
                .spec
                .worktree()
                .is_none()
                .then(|| entry.spec.cwd.to_string());
            next = entry.spec.parent;
        }
        Some(parents)
    }

    /// Adds to a view what the task's worker is or will be kept in.
    pub(super) fn tell_room(&self, view: &mut TaskView) {
        let Some(task) = self.store.find(&view.id).and_then(|key| self.scheduler.task(key)) else {
            return;
        };
        let profile = self.profiles.config(&task.submission.lane.worker);
        let Some(profile) = profile.filter(|_| !task.state.is_end()) else {
            return;
        };
        let room = self.room_of(&task, profile);
        view.limits = limits_words(&room);
        view.sandbox = room.sandbox.map(|plan| Means::of_this_system().words(&plan));
    }

    /// Says of an attempt that failed what it was kept in, and what to change if that was too little; what was denied
    /// is in the log in any case.
    pub(super) fn with_room(&self, id: AttemptId, exit: Option<&Exit>, mut verdict: Verdict) -> Verdict {
        let Some((exit, task)) = exit.zip(self.scheduler.task(id.key)) else {
            return verdict;
        };
        let worker = task.submission.lane.worker.as_ref();
        let words = exit.sandbox.as_deref().map(|report| {
            let words = self.sandbox_words(&task, report);
            if !report.denied.is_empty() || report.denied_unnamed || !report.missing.is_empty() {
                tracing::warn!(id = self.store.id(id.key), attempt = id.attempt, "{words}");
            }
            words
        });
        if verdict.state != State::Failed || exit.spawn_error.is_some() {
            return verdict;
        }
        let limit = match exit.signal {
            Some(SIGXCPU) => Some("its CPU time was over: `cpu_time`"),
            Some(SIGXFSZ) => Some("it wrote too large a file: `file_size`"),
            _ => None,
        };
        let limit = limit.map(|words| format!("{words} in [workers.{worker}.limits]"));
        let group = exit.group.as_deref();
        let group = group.and_then(|report| trouble(report, worker, verdict.outcome));
        let parts = [verdict.message.take(), limit, group, words];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        verdict.message = (!parts.is_empty()).then(|| parts.join("; "));
        verdict
    }

    fn sandbox_words(&self, task: &Task, report: &SandboxReport) -> String {
        if report.words.starts_with("none") {
            return format!("it ran without its sandbox ({})", report.words);
        }
        let lane = &task.submission.lane;
        let is_on = |sandbox: &Sandbox| sandbox.is_on();
        let profile = self
            .profiles
            .config(&lane.worker)
            .and_then(|config| config.sandbox.as_ref());
        let place = match profile.is_some_and(is_on) {
            true => Where::Profile(&lane.worker),
            false => Where::Workspace(&lane.workspace),
        };
        let mut words = format!(
            "it ran in a sandbox, with {} writable",
            report.writable.join(", ")
        );
        if !report.missing.is_empty() {
            words += &format!("; not there, so not writable: {}", report.missing.join(", "));
        }
        for denial in &report.denied {
            words += &format!(
                "; by its output, {} was denied: {}",
                denial.path,
                place.adds(denial)
            );
        }
        if report.denied_unnamed {
            words += &format!(
                "; by its output, something else was denied, perhaps a port: {}",
                place.ports()
            );
        }
        if report.denied.is_empty() && !report.denied_unnamed {
            words += &format!("; {}", place.in_general());
        }
        words
    }
}

/// Where a sandbox is said, and hence can be widened.
enum Where<'a> {
    Profile(&'a str),
    Workspace(&'a str),
}

impl Where<'_> {
    fn adds(&self, denial: &Denial) -> String {
        let (key, add) = (if denial.to_read { "read" } else { "write" }, &denial.add);
        match self {
            Self::Profile(name) => format!("add {add:?} to `{key}` in [workers.{name}.sandbox] to allow it"),
            Self::Workspace(name) => format!(
                "`wezterm-parallel workspace edit {name} --sandbox-{key} {add}` (with what it names already) allows it"
            ),
        }
    }

    fn ports(&self) -> String {
        match self {
            Self::Profile(name) => format!("see `connect_tcp` and `bind_tcp` in [workers.{name}.sandbox]"),
            Self::Workspace(name) => format!("see --sandbox-connect and --sandbox-bind of workspace {name}"),
        }
    }

    fn in_general(&self) -> String {
        match self {
            Self::Profile(name) => format!("`write` in [workers.{name}.sandbox] adds to that"),
            Self::Workspace(name) => format!("--sandbox-write of workspace {name} adds to that"),
        }
    }
}
