//! Processes as the outside sees them; and one as if it were a task, for whoever shows what is written.

use std::num::NonZeroU64;

use super::{id_of, number_of};
use crate::engine::views::Views;
use crate::engine::Engine;
use crate::journal::{ProcessImage, ProcessState, Reported};
use crate::protocol::{ProcessView, ReportView, StatusUpdate, TaskView};

/// A state as it stands in a `StatusUpdate`.
pub(in crate::engine) fn capitalized(state: &str) -> String {
    let mut characters = state.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// A report as the outside sees it.
pub(in crate::engine) fn report_view(report: &Reported) -> ReportView {
    ReportView {
        status: if report.waiting { "waiting" } else { "working" }.to_owned(),
        note: report.note.as_deref().map(str::to_owned),
        at_ms: report.at.0,
    }
}

impl Views<'_> {
    /// A process in the shape of a task: its runs are the attempts. So `follow`, `log` and the viewer show both alike.
    pub(in crate::engine) fn process_as_task(&self, number: u64) -> Option<TaskView> {
        let ProcessImage { spec, standing } = self.store.processes.get(number)?;
        let last = standing.runs.last().and_then(|run| run.outcome.as_deref());
        let state = match standing.state {
            ProcessState::Starting | ProcessState::Running | ProcessState::Ready | ProcessState::Stopping => {
                "running"
            }
            ProcessState::Backoff => "delayed",
            ProcessState::Stopped if last == Some("ok") => "succeeded",
            ProcessState::Stopped => "cancelled",
            ProcessState::Failed => "failed",
        };
        Some(TaskView {
            id: id_of(number),
            state: state.to_owned(),
            reason: last
                .filter(|_| standing.state == ProcessState::Failed)
                .map(str::to_owned),
            worker: worker_of(spec.argv.is_some()).to_owned(),
            workspace: spec.workspace.to_string(),
            label: spec.name.as_deref().map(str::to_owned),
            command: spec.command.as_deref().map(str::to_owned),
            argv: spec.argv.as_deref().map(<[String]>::to_vec),
            cwd: spec.cwd.to_string(),
            submitted_at_ms: spec.created_at.0,
            not_before_ms: standing.next_at.map(|at| at.0),
            timeout_ms: spec.ready_timeout_ms.map(NonZeroU64::get),
            retries: spec.max_restarts,
            retries_used: standing.restarts,
            stopping: standing.state == ProcessState::Stopping,
            report: standing.report.as_deref().map(report_view),
            attempts: self.runs(number, standing),
            ..TaskView::default()
        })
    }

    fn runs(
        &self,
        number: u64,
        standing: &crate::journal::ProcessStanding,
    ) -> Vec<crate::protocol::AttemptView> {
        let folder = Engine::processes_folder(self.tasks_folder);
        let id = id_of(number);
        let runs = standing.runs.iter();
        runs.map(|run| self.attempt_in(&folder, &id, run)).collect()
    }

    /// One process; `used_bytes` is what admission has measured.
    pub(super) fn process(&self, number: u64, used_bytes: Option<u64>) -> Option<ProcessView> {
        let ProcessImage { spec, standing } = self.store.processes.get(number)?;
        Some(ProcessView {
            id: id_of(number),
            name: spec.name.as_deref().map(str::to_owned),
            workspace: spec.workspace.to_string(),
            state: standing.state.name().to_owned(),
            message: standing.why.as_deref().map(str::to_owned),
            command: spec.command.as_deref().map(str::to_owned),
            argv: spec.argv.as_deref().map(<[String]>::to_vec),
            cwd: spec.cwd.to_string(),
            created_at_ms: spec.created_at.0,
            restart: spec.restart,
            max_restarts: spec.max_restarts,
            restarts: standing.restarts,
            next_start_ms: standing.next_at.map(|at| at.0),
            ready: spec.ready.clone(),
            memory_bytes: Some(spec.memory_bytes).filter(|bytes| *bytes > 0),
            used_bytes,
            report: standing.report.as_deref().map(report_view),
            runs: self.runs(number, standing),
        })
    }

    /// A task or process in one line.
    pub(in crate::engine) fn status_line(&self, view: &TaskView) -> StatusUpdate {
        let process = self
            .store
            .processes
            .find(&view.id)
            .ok()
            .filter(|_| view.id.starts_with('@'));
        let standing = process.and_then(|number| self.store.processes.get(number));
        let state = standing.map_or(view.state.as_str(), |image| image.standing.state.name());
        let is_waiting = view.report.as_ref().is_some_and(ReportView::is_waiting);
        StatusUpdate {
            process_id: view.id.clone(),
            status: capitalized(if is_waiting { "waiting" } else { state }),
            note: view.report.as_ref().and_then(|report| report.note.clone()),
        }
    }
}

impl Engine {
    /// Which worker profile runs a process.
    pub(in crate::engine) fn worker_of_process(
        &self,
        key: wezterm_parallel_scheduler::TaskKey,
    ) -> Option<&'static str> {
        let image = self.store.processes.get(number_of(key)?)?;
        Some(worker_of(image.spec.argv.is_some()))
    }
}

pub(in crate::engine) fn worker_of(has_argv: bool) -> &'static str {
    if has_argv {
        "exec"
    } else {
        "shell"
    }
}
