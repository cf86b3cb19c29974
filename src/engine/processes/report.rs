//! What workers report of themselves: that they wait for somebody, that they work, or a note.
//!
//! It marks a task or process for whoever looks, and decides nothing: how it ends is for its exit to say.

use wezterm_parallel_scheduler::{State, TaskKey, Tick};

use super::{id_of, key_of};
use crate::engine::batch::Batch;
use crate::engine::requests::Answered;
use crate::engine::Engine;
use crate::journal::{Record, Reported};
use crate::protocol::{check_report, is_process_id, Answer, ErrorAnswer, ErrorCode, StatusUpdate};

impl Engine {
    /// A worker says how it stands.
    pub(in crate::engine) fn take_status(
        &mut self,
        now: Tick,
        update: &StatusUpdate,
        batch: &mut Batch,
    ) -> Answered {
        check_report(update)?;
        let waiting = update.status.eq_ignore_ascii_case("waiting");
        let note = update
            .note
            .as_deref()
            .map(str::trim)
            .filter(|note| !note.is_empty());
        let report = (waiting || note.is_some()).then(|| {
            Box::new(Reported {
                waiting,
                note: note.map(Into::into),
                at: now,
            })
        });
        let key = if is_process_id(&update.process_id) {
            self.report_of_process(now, &update.process_id, report, batch)?
        } else {
            self.report_of_task(&update.process_id, report, batch)?
        };
        let views = self.views();
        let view = views.task(key).unwrap_or_default();
        Ok(Answer::StatusUpdate(views.status_line(&view)))
    }

    /// The task waits for nobody any more.
    pub(in crate::engine) fn take_mark_away(&mut self, key: TaskKey, batch: &mut Batch) {
        if self.store.reports.get(&key).is_some_and(|report| report.waiting) {
            self.store.report(key, None);
            batch.records.push(Record::Reported { key, report: None });
            batch.touched.push(key);
        }
    }

    fn report_of_task(
        &mut self,
        id: &str,
        report: Option<Box<Reported>>,
        batch: &mut Batch,
    ) -> Result<TaskKey, ErrorAnswer> {
        let key = self.find(id)?;
        let state = self.scheduler.state(key).unwrap_or(State::Lost);
        if !state.is_active() {
            return Err(not_running("task", id, state.name()));
        }
        // Hooks report each step: what changes nothing is not written.
        if !is_same(self.store.reports.get(&key).map(Box::as_ref), report.as_deref()) {
            self.store.report(key, report.clone());
            batch.records.push(Record::Reported { key, report });
            batch.touched.push(key);
        }
        Ok(key)
    }

    fn report_of_process(
        &mut self,
        now: Tick,
        id: &str,
        report: Option<Box<Reported>>,
        batch: &mut Batch,
    ) -> Result<TaskKey, ErrorAnswer> {
        let number = self.find_process(id)?;
        let Some(image) = self.store.processes.get(number) else {
            return Ok(key_of(number));
        };
        if !image.standing.state.is_up() {
            return Err(not_running(
                "process",
                &id_of(number),
                image.standing.state.name(),
            ));
        }
        if !is_same(image.standing.report.as_deref(), report.as_deref()) {
            self.change_process(now, number, batch, |standing| standing.report = report);
        }
        Ok(key_of(number))
    }
}

/// Whether it says the same, at whatever moment.
fn is_same(known: Option<&Reported>, new: Option<&Reported>) -> bool {
    let content = |report: &Reported| (report.waiting, report.note.clone());
    known.map(content) == new.map(content)
}

fn not_running(what: &str, id: &str, state: &str) -> ErrorAnswer {
    ErrorAnswer::new(
        ErrorCode::WrongState,
        format!("{what} '{id}' is {state}: only what runs can report its status"),
        "nothing was changed",
    )
}
