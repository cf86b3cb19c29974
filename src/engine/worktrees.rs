//! Tasks that run in git worktrees: which one that is, what the worker's process is told of it, and what becomes of it.
//!
//! The engine runs no git. The worker's own process makes its worktree, and a thread that nobody waits for removes it when
//! the task has succeeded and nothing in it is missing elsewhere.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, SyncSender};

use wezterm_parallel_scheduler::{State, TaskKey};

use super::accept::Acceptor;
use super::store::Store;
use super::{errors, Engine};
use crate::journal::{Spec, WorktreeSpec};
use crate::protocol::{ErrorAnswer, TaskQueue, WorktreeView};
use crate::worker::{attempt_folder, find_program};
use crate::worktree::{clean_after_success, Order};

/// Worktrees waiting to be looked at; one that does not fit stays for `worktree clean`.
const WAITING_MAX: usize = 1_024;

impl Acceptor<'_> {
    /// The task whose session this one goes on with, and that runs in a worktree: it is at home there.
    fn shared(&self, task: &TaskQueue) -> Option<&Spec> {
        let options = task.claude.as_deref()?;
        let other = self.store.find(options.continue_from.as_deref()?)?;
        let spec = &self.store.get(other)?.spec;
        (spec.worktree().is_some() && task.worktree != Some(false)).then_some(spec)
    }

    /// Puts a task where the session that it continues is at home.
    pub(super) fn settle_worktree(&mut self, task: &mut TaskQueue, of_workspace: Option<bool>) {
        if let Some(there) = self.shared(task).map(|spec| spec.cwd.to_string()) {
            task.cwd = Some(there);
            task.cwd_gives_way = false;
            task.worktree = Some(true);
            return;
        }
        let continues = |task: &TaskQueue| {
            let options = task.claude.as_deref();
            options.is_some_and(|options| options.continue_from.is_some())
        };
        if task.worktree.is_none() && task.worktree_base.is_some() {
            task.worktree = Some(true);
        }
        if task.worktree.is_none() && !continues(task) {
            task.worktree = of_workspace;
        }
    }

    /// The worktree of a task that has one; checked as far as that goes without git.
    pub(super) fn worktree(
        &mut self,
        task: &TaskQueue,
        cwd: &str,
        path: Option<&str>,
    ) -> Result<Option<WorktreeSpec>, ErrorAnswer> {
        if task.worktree != Some(true) {
            return Ok(None);
        }
        let options = task.claude.as_deref();
        let continued = options.and_then(|options| options.continue_from.as_deref());
        if let Some(id) = continued {
            let (Some(key), None) = (self.store.find(id), &task.worktree_base) else {
                return Err(errors::no_other_worktree(id));
            };
            return match self.shared(task) {
                Some(spec) => Ok(Some(self.same_as(spec, key, id))),
                None => Err(errors::no_other_worktree(id)),
            };
        }
        if !self.checked.repositories.contains(cwd) {
            if !is_in_repository(Path::new(cwd)) {
                return Err(errors::no_repository(cwd));
            }
            find_program("git", Path::new(cwd), path).map_err(|error| errors::job(&error))?;
            self.checked.repositories.insert(cwd.to_owned());
        }
        Ok(Some(WorktreeSpec {
            base: task.worktree_base.as_deref().map(Into::into),
            owner: None,
        }))
    }

    fn same_as(&self, spec: &Spec, key: TaskKey, id: &str) -> WorktreeSpec {
        let worktree = spec.worktree().cloned().unwrap_or_default();
        let queued = || self.scheduler.task(key).map(|task| task.submission.submitted_at);
        let own = || Some((Box::from(id), queued()?));
        WorktreeSpec {
            owner: worktree.owner.clone().or_else(own),
            ..worktree
        }
    }
}

/// Whether git would find a repository from here: one whose files are here, or the inside of one.
fn is_in_repository(folder: &Path) -> bool {
    let mut folders = folder.ancestors();
    folders.any(|folder| {
        folder.join(".git").exists() || (folder.join("HEAD").is_file() && folder.join("objects").is_dir())
    })
}

/// The order for a task's worktree.
pub(super) fn order(store: &Store, key: TaskKey, queued_at_ms: u64, tasks_folder: &Path) -> Option<Order> {
    let spec = &store.get(key)?.spec;
    let worktree = spec.worktree()?;
    let (task, queued_at_ms) = match &worktree.owner {
        Some((id, at)) => (id.to_string(), at.0),
        None => (store.id(key), queued_at_ms),
    };
    Some(Order {
        worktrees: crate::worktree::folder_of(tasks_folder.parent()?),
        task,
        queued_at_ms,
        folder: PathBuf::from(spec.cwd.as_ref()),
        base: worktree.base.as_deref().map(str::to_owned),
    })
}

/// What is known of it without looking at the disk.
pub(super) fn view(worktree: &WorktreeSpec) -> WorktreeView {
    WorktreeView {
        task: worktree.owner.as_ref().map(|(id, _)| id.to_string()),
        base: worktree.base.as_deref().map(str::to_owned),
        ..WorktreeView::default()
    }
}

/// The thread that removes worktrees with nothing in them; started with the first one.
#[derive(Debug, Default)]
pub(super) struct Gardener {
    attempts: Option<SyncSender<PathBuf>>,
}

impl Gardener {
    fn look_at(&mut self, attempt: PathBuf) {
        let attempts = self.attempts.get_or_insert_with(start);
        if attempts.try_send(attempt).is_err() {
            tracing::warn!("too many worktrees wait to be looked at: `worktree clean` removes what can go");
        }
    }
}

fn start() -> SyncSender<PathBuf> {
    let (tx, rx) = sync_channel::<PathBuf>(WAITING_MAX);
    let work = move || rx.into_iter().for_each(|attempt| clean_after_success(&attempt));
    if let Err(error) = std::thread::Builder::new()
        .name("gardener".to_owned())
        .spawn(work)
    {
        tracing::warn!(%error, "worktrees are left for `worktree clean`");
    }
    tx
}

impl Engine {
    /// A task has changed, and that is on the disk. If it has succeeded, its worktree may have nothing in it any more.
    pub(super) fn tidy_worktree(&mut self, key: TaskKey) {
        let Some(entry) = self
            .store
            .get(key)
            .filter(|entry| entry.spec.worktree().is_some())
        else {
            return;
        };
        if self.scheduler.state(key) != Some(State::Succeeded) {
            return;
        }
        if let Some(last) = entry.attempts.last() {
            let folder = attempt_folder(&self.tasks_folder, &self.store.id(key), last.attempt);
            self.upkeep.gardener.look_at(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_seen_from_within() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert!(!is_in_repository(&deep));
        std::fs::write(folder.path().join("a/.git"), "gitdir: elsewhere").unwrap();
        assert!(is_in_repository(&deep), "a linked worktree or a submodule");
        let bare = folder.path().join("bare");
        std::fs::create_dir_all(bare.join("objects")).unwrap();
        assert!(!is_in_repository(&bare));
        std::fs::write(bare.join("HEAD"), "ref: refs/heads/main").unwrap();
        assert!(is_in_repository(&bare));
    }
}
