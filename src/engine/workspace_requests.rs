//! Requests about workspaces, and what follows from them: limits, rates, weights and budgets that take effect at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use wezterm_parallel_scheduler::{Input, Tick};

use super::accept::Checked;
use super::batch::Batch;
use super::hash::StableHash;
use super::parts::{limits, shares};
use super::processes::id_of;
use super::requests::Answered;
use super::workspaces::Tables;
use super::{costs, errors, Engine};
use crate::config::StartRate;
use crate::journal::{Record, WorkspaceImage};
use crate::protocol::{
    check_settings, check_workspace_create, check_workspace_edit, Answer, ErrorAnswer, ErrorCode, TaskQueue,
    WorkspaceCreate, WorkspaceEdit, WorkspaceRemove, WorkspaceRemoved, WorkspaceSettings, WorkspaceView,
    WorkspacesAnswer,
};

/// The ids of a template's tasks, and by which names the template has them.
type TemplateTasks = (Vec<Box<str>>, BTreeMap<String, String>);

impl Engine {
    /// Creates a workspace. The same message again is answered like the first one.
    pub(super) fn create_workspace(
        &mut self,
        now: Tick,
        create: &WorkspaceCreate,
        checked: &mut Checked,
        batch: &mut Batch,
    ) -> Answered {
        check_workspace_create(create)?;
        let content = StableHash::of_json(create);
        if let Some(image) = self.store.workspaces.get(&create.name) {
            if image.content == content {
                return self.show_workspace(now, &create.name);
            }
            return Err(errors::workspace_exists(&create.name));
        }
        let home = self.environment.get("HOME").map_or("/", String::as_str);
        let filled = self.templates.load(&create.template)?.fill_in(create, home)?;
        // What came in by placeholders has not been seen before.
        check_settings(&filled.settings)?;
        self.check_workspace(&filled.settings)?;
        let mut image = WorkspaceImage {
            template: create.template.as_str().into(),
            created_at: now,
            content,
            tasks: Vec::new(),
            settings: filled.settings,
        };
        let name = self.store.intern(&create.name);
        // The tasks are judged in their workspace, which is there for certain only when they are right.
        self.store
            .workspaces
            .set(Arc::clone(&name), Some(Arc::new(image.clone())));
        let fit = filled
            .processes
            .iter()
            .try_for_each(|process| self.check_process_alone(process, &image));
        let queued = fit.and_then(|()| self.queue_tasks(now, filled.tasks, checked, batch));
        self.store.workspaces.set(name, None);
        let (tasks, by_name) = queued?;
        image.tasks = tasks;
        for task in image
            .settings
            .panes
            .iter_mut()
            .filter_map(|pane| pane.task.as_mut())
        {
            if let Some(id) = by_name.get(task) {
                task.clone_from(id);
            }
        }
        self.put_workspace(now, &create.name, Some(image), batch);
        for process in &filled.processes {
            self.spawn_process(now, process, batch)?;
        }
        self.show_workspace(now, &create.name)
    }

    /// Queues a template's tasks, all of them or none: their ids, also by the names that the template has for them.
    fn queue_tasks(
        &mut self,
        now: Tick,
        tasks: Vec<(Option<String>, TaskQueue)>,
        checked: &mut Checked,
        batch: &mut Batch,
    ) -> Result<TemplateTasks, ErrorAnswer> {
        for (_, task) in &tasks {
            // The tasks that it waits for have no ids yet; the template was checked for their order.
            let alone = TaskQueue {
                after: Vec::new(),
                ..task.clone()
            };
            self.acceptor(now, None, checked).check_alone(alone)?;
        }
        let mut ids: Vec<Box<str>> = Vec::with_capacity(tasks.len());
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        for (name, mut task) in tasks {
            for item in &mut task.after {
                let (name, condition) = item.split_once(':').unwrap_or((item, "success"));
                if let Some(id) = by_name.get(name) {
                    *item = format!("{id}:{condition}");
                }
            }
            if let Answer::StatusUpdate(queued) = self.queue(now, (task, None), checked, batch)? {
                by_name.extend(name.map(|name| (name, queued.process_id.clone())));
                ids.push(queued.process_id.into());
            }
        }
        Ok((ids, by_name))
    }

    /// Gives a workspace new values.
    pub(super) fn edit_workspace(&mut self, now: Tick, edit: &WorkspaceEdit, batch: &mut Batch) -> Answered {
        check_workspace_edit(edit)?;
        let before = self.workspace(&edit.name)?;
        let mut image = WorkspaceImage::clone(&before);
        for name in &edit.unset {
            image.settings.unset(name);
        }
        let new = edit.settings();
        self.check_workspace(&new)?;
        image.settings.overlay(new);
        if image != *before {
            self.put_workspace(now, &edit.name, Some(image), batch);
        }
        self.show_workspace(now, &edit.name)
    }

    /// Removes a workspace; with `force` also one that has work, whose tasks keep its name.
    pub(super) fn remove_workspace(
        &mut self,
        now: Tick,
        remove: &WorkspaceRemove,
        batch: &mut Batch,
    ) -> Answered {
        self.workspace(&remove.name)?;
        let (waiting, running) = self.load_of(&remove.name);
        let processes = self.live_processes_of(&remove.name);
        if waiting + running + processes > 0 && !remove.force {
            return Err(errors::workspace_has_work(
                &remove.name,
                (waiting, running),
                processes,
            ));
        }
        self.put_workspace(now, &remove.name, None, batch);
        let processes = self.remove_processes_of(now, &remove.name, batch);
        Ok(Answer::WorkspaceRemoved(WorkspaceRemoved {
            name: remove.name.clone(),
            tasks: waiting + running,
            processes,
        }))
    }

    pub(super) fn list_workspaces(&self, now: Tick) -> Answer {
        let all = self.store.workspaces.iter();
        let workspaces = all.map(|(name, image)| self.workspace_view(now, name, image));
        Answer::Workspaces(WorkspacesAnswer {
            workspaces: workspaces.collect(),
        })
    }

    pub(super) fn show_workspace(&self, now: Tick, name: &str) -> Answered {
        let image = self.workspace(name)?;
        Ok(Answer::Workspace(Box::new(
            self.workspace_view(now, name, &image),
        )))
    }

    pub(super) fn workspace(&self, name: &str) -> Result<Arc<WorkspaceImage>, ErrorAnswer> {
        let known = || self.store.workspaces.iter().map(|(name, _)| name.as_ref());
        let image = self.store.workspaces.get(name).cloned();
        image.ok_or_else(|| errors::unknown_workspace(name, known()))
    }

    fn workspace_view(&self, now: Tick, name: &str, image: &WorkspaceImage) -> WorkspaceView {
        let mut settings = image.settings.clone();
        let from_config = self.tables.overrule(name, &mut settings);
        let (waiting, running) = self.load_of(name);
        self.resolve_panes(name, &mut settings);
        let folder = settings.folder.as_deref();
        WorkspaceView {
            name: name.to_owned(),
            template: image.template.to_string(),
            created_at_ms: image.created_at.0,
            folder_missing: folder.is_some_and(|folder| !Path::new(folder).is_dir()),
            settings,
            from_config,
            waiting,
            running,
            spent_usd: self.store.costs.of_day(&costs::day_of(now), Some(name)),
            tasks: image.tasks.iter().map(ToString::to_string).collect(),
            processes: self.store.processes.of(name).into_iter().map(id_of).collect(),
        }
    }

    /// Panes name processes, which may be spawned anew and have other ids then; those that are gone have no pane.
    fn resolve_panes(&self, workspace: &str, settings: &mut WorkspaceSettings) {
        settings.panes.retain_mut(|pane| {
            let Some(process) = &mut pane.process else {
                return true;
            };
            let found = self.store.processes.named(workspace, process);
            let found = found.map(|(number, _)| id_of(number));
            found.map(|id| *process = id).is_some()
        });
    }

    /// How many tasks of a workspace wait, and how many hold a slot.
    fn load_of(&self, name: &str) -> (u64, u64) {
        let lanes = self
            .scheduler
            .census()
            .filter(|(lane, _)| *lane.workspace == *name);
        let counts = lanes.flat_map(|(_, census)| census.iter());
        counts.fold((0, 0), |(waiting, running), (state, _, count)| {
            match (state.is_end(), state.is_active()) {
                (true, _) => (waiting, running),
                (false, true) => (waiting, running + u64::from(count)),
                (false, false) => (waiting + u64::from(count), running),
            }
        })
    }

    /// What of a workspace's values depends on this machine and its config.
    fn check_workspace(&self, settings: &WorkspaceSettings) -> Result<(), ErrorAnswer> {
        if let Some(rate) = &settings.rate {
            rate.parse::<StartRate>().map_err(|error| {
                let hint = "leave it out for no limit";
                ErrorAnswer::new(ErrorCode::InvalidValue, format!("`rate`: {error}"), hint)
            })?;
        }
        if let Some(worker) = &settings.worker {
            if self.profiles.get(worker).is_none() {
                return Err(errors::unknown_worker(worker, self.profiles.names()));
            }
        }
        match &settings.folder {
            Some(folder) if !Path::new(folder).is_dir() => Err(errors::missing_folder(folder)),
            _ => Ok(()),
        }
    }

    /// A workspace as it stands from now on, with its record.
    fn put_workspace(&mut self, now: Tick, name: &str, image: Option<WorkspaceImage>, batch: &mut Batch) {
        let name = self.store.intern(name);
        batch.records.push(Record::Workspace {
            name: Arc::clone(&name),
            image: image.clone().map(Box::new),
        });
        let before = self.store.workspaces.set(Arc::clone(&name), image.map(Arc::new));
        batch.workspaces.push((name, before));
        self.apply_workspaces(now, batch);
    }

    /// Takes changes back that nobody was promised, the newest first.
    pub(super) fn withdraw_workspaces(&mut self, now: Tick, batch: &mut Batch, undone: &mut Batch) {
        if batch.workspaces.is_empty() {
            return;
        }
        for (name, before) in std::mem::take(&mut batch.workspaces).into_iter().rev() {
            self.store.workspaces.set(name, before);
        }
        // Every such record that is not written yet belongs to one of them: nothing is changed while the
        // journal fails.
        self.unwritten
            .retain(|record| !matches!(record, Record::Workspace { .. }));
        self.apply_workspaces(now, undone);
    }

    /// Puts into force what the workspaces and the config say together.
    pub(super) fn apply_workspaces(&mut self, now: Tick, batch: &mut Batch) {
        let before = Tables::of(&self.config);
        let after = self.tables.with(&self.store.workspaces);
        let names = self.store.workspaces.iter().map(|(name, _)| name.as_ref());
        self.tally.know_workspaces(names);
        if before == after {
            return;
        }
        after.clone().into_config(&mut self.config);
        self.tally.configure(&self.config);
        if before.rates != after.rates {
            self.configure_admission(now, batch);
        }
        if before.weights != after.weights {
            self.feed(now, Input::SetShares(shares(&self.config)), batch);
        }
        if before.max_parallel != after.max_parallel {
            let limits = limits(&self.config);
            self.feed(now, Input::SetLimits(limits), batch);
        }
        if before.budgets != after.budgets {
            self.set_budgets(now, batch);
        }
        self.touch();
    }
}
