//! What a task gets from its workspace when it is queued: where it runs, by which worker, and before whom.
//!
//! It is put into the message as if the client had said it, so that everything after this need not know of
//! workspaces. A task that is queued already stays as it is, whatever becomes of its workspace.

use std::path::Path;

use super::accept::Acceptor;
use super::errors;
use super::workspaces::is_within;
use crate::protocol::{ErrorAnswer, TaskQueue};

impl Acceptor<'_> {
    /// Finds the task's workspace and fills in what the task leaves open.
    pub(super) fn settle(&mut self, task: &mut TaskQueue) -> Result<(), ErrorAnswer> {
        let workspaces = &self.store.workspaces;
        if task.workspace.is_none() {
            let found = task.cwd.as_deref().and_then(|cwd| workspaces.at(cwd));
            let found = found.map(|name| name.as_ref().to_owned());
            task.workspace = found.or_else(|| task.default_workspace.take());
        }
        let name = task.workspace.as_deref().unwrap_or_default();
        let image = workspaces.get(name).cloned();
        let of_workspace = image.as_deref().and_then(|image| image.settings.worktree);
        self.settle_worktree(task, of_workspace);
        let Some(image) = image else {
            return Ok(());
        };
        let settings = &image.settings;
        if let Some(folder) = settings.folder.as_deref().filter(|folder| wants(task, folder)) {
            self.check_folder(task.workspace.as_deref().unwrap_or_default(), folder)?;
            task.cwd = Some(folder.to_owned());
        }
        if task.worker.is_none() && task.argv.is_none() {
            task.worker.clone_from(&settings.worker);
        }
        for (name, value) in &settings.env {
            task.env_add.entry(name.clone()).or_insert_with(|| value.clone());
        }
        task.memory_bytes = task.memory_bytes.or(settings.memory_bytes);
        if let Some(offset) = settings.priority_offset {
            let own = task.priority.unwrap_or(self.config.pool.default_priority);
            task.priority = Some(moved(own, offset));
        }
        Ok(())
    }

    fn check_folder(&mut self, workspace: &str, folder: &str) -> Result<(), ErrorAnswer> {
        if !self.checked.folders.contains(folder) {
            if !Path::new(folder).is_dir() {
                return Err(errors::vanished_folder(workspace, folder));
            }
            self.checked.folders.insert(folder.to_owned());
        }
        Ok(())
    }
}

/// Whether the task runs in the workspace's folder itself.
fn wants(task: &TaskQueue, folder: &str) -> bool {
    match &task.cwd {
        Some(cwd) => task.cwd_gives_way && !is_within(cwd, folder),
        // A session is at home in the folder that it began in.
        None => task
            .claude
            .as_deref()
            .is_none_or(|options| options.continue_from.is_none()),
    }
}

/// A priority and an offset stay within what priorities can be.
fn moved(priority: u8, offset: i16) -> u8 {
    let sum = i16::from(priority).saturating_add(offset);
    u8::try_from(sum.clamp(0, i16::from(u8::MAX))).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_saturates() {
        assert_eq!(moved(100, 20), 120);
        assert_eq!(moved(250, 20), 255);
        assert_eq!(moved(10, -255), 0);
        assert_eq!(moved(255, i16::MAX), 255);
        assert_eq!(moved(0, i16::MIN), 0);
    }
}
