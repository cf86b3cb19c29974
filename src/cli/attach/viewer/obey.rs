//! What the keys do.

use super::Viewer;
use crate::cli::attach::words;
use crate::cli::exit::{Exit, Failure};
use crate::cli::task_text::has_ended;
use crate::pane::Key;
use crate::protocol::{Cancel, Message, Retry};

impl Viewer<'_> {
    /// Does what was pressed; how to exit, if that was asked for.
    pub(super) fn obey_keys(&mut self) -> Result<Option<Exit>, Failure> {
        let Some(keys) = &mut self.keys else {
            return Ok(None);
        };
        for key in keys.pressed() {
            let asked_to_cancel = std::mem::take(&mut self.asked_to_cancel);
            match key {
                Key::Quit => return Ok(Some(Exit::Ok)),
                Key::Enter if self.is_over() => return Ok(Some(Exit::Ok)),
                Key::Enter => {}
                Key::Retry => self.retry()?,
                Key::Cancel => self.cancel(asked_to_cancel)?,
            }
        }
        Ok(None)
    }

    fn retry(&mut self) -> Result<(), Failure> {
        let Some(task) = self.task.as_ref().filter(|task| has_ended(task)) else {
            return Ok(());
        };
        let ids = vec![task.id.clone()];
        let words = format!("task {} runs again once a slot is free", task.id);
        self.ask(
            &Message::Retry(Retry {
                ids,
                ..Retry::default()
            }),
            &words,
        )
    }

    fn cancel(&mut self, is_sure: bool) -> Result<(), Failure> {
        let Some(task) = self.task.as_ref().filter(|task| !has_ended(task)) else {
            return Ok(());
        };
        if !is_sure {
            self.asked_to_cancel = true;
            return Ok(self.page.say(&words::sure_to_cancel(task))?);
        }
        let ids = vec![task.id.clone()];
        let words = format!("task {} is cancelled", task.id);
        self.ask(
            &Message::Cancel(Cancel {
                ids,
                ..Cancel::default()
            }),
            &words,
        )
    }

    /// Asks for a change that a key stands for; a refusal is shown and ends nothing.
    fn ask(&mut self, message: &Message, done: &str) -> Result<(), Failure> {
        let words = match self.context.ask_running(message) {
            Ok(_) => done.to_owned(),
            Err(failure) if failure.hint.is_empty() => failure.message,
            Err(failure) => format!("{} ({})", failure.message, failure.hint),
        };
        Ok(self.page.say(&words::note(&words))?)
    }
}
