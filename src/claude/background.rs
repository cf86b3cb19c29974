//! Which tasks run in the background of a session: while one does, another turn will come.
//!
//! Newer versions print the whole list when it changes. Older ones say only when each begins and ends.

use std::collections::BTreeSet;

use super::wire::System;

/// The tasks in the background, as far as the output told.
#[derive(Debug, Default)]
pub(super) struct Background {
    running: BTreeSet<String>,
    /// The list itself was printed, so that nothing else counts.
    listed: bool,
    /// A task ended after a result: the CLI tells its model, which takes another turn.
    turn_due: bool,
}

impl Background {
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// A turn is still to come, or a task is still at work.
    pub(super) fn is_unfinished(&self) -> bool {
        self.turn_due || self.is_running()
    }

    pub(super) fn turn_began(&mut self) {
        self.turn_due = false;
    }

    /// Takes an event; true if it ends the last of the tasks.
    pub(super) fn changed(&mut self, event: &System<'_>, after_result: bool) -> bool {
        let were_running = self.is_running();
        match event.subtype.as_str() {
            "background_tasks_changed" => {
                self.listed = true;
                self.running = event
                    .tasks
                    .0
                    .iter()
                    .map(|task| task.0.task_id.as_str().to_owned())
                    .collect();
            }
            "task_started" if !self.listed && event.is_backgrounded.0 != Some(false) => {
                self.running.insert(event.task_id.as_str().to_owned());
            }
            "task_updated" => self.ended(event, event.patch.0.status.as_str(), after_result),
            "task_notification" => self.ended(event, event.status.as_str(), after_result),
            _ => {}
        }
        were_running && !self.is_running()
    }

    fn ended(&mut self, event: &System<'_>, status: &str, after_result: bool) {
        let by_itself = matches!(status, "completed" | "failed");
        let by_force = matches!(status, "killed" | "stopped" | "cancelled" | "canceled");
        if (by_itself || by_force) && !self.listed {
            self.running.remove(event.task_id.as_str());
        }
        self.turn_due |= by_itself && after_result;
    }
}
