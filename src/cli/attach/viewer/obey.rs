//! What the keys do.

use std::time::{Duration, Instant};

use super::Viewer;
use crate::cli::attach::words;
use crate::cli::exit::{Exit, Failure};
use crate::cli::task_text::has_ended;
use crate::pane::Key;
use crate::protocol::{is_process_id, Cancel, Message, ProcessIds, ProcessStop, Retry};

/// What comes sooner after a first key is no answer: a key that is held down repeats each 30 to 40 ms, and a
/// person who has read the question takes longer.
const ANSWER_MIN: Duration = Duration::from_millis(200);
/// As [`words::sure_to_cancel`] says it.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A key that counts only if it is pressed twice.
#[derive(Debug, Default)]
pub(super) struct Sure {
    asked: Option<Instant>,
    pressed: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It was the first time.
    Ask,
    /// That was no answer; the question stands.
    TooSoon,
    /// It was the second.
    Sure,
}

impl Sure {
    fn pressed(&mut self, now: Instant) -> Answer {
        let before = self.pressed.replace(now);
        if self.asked.is_none_or(|asked| now - asked > ANSWER_MAX) {
            self.asked = Some(now);
            return Answer::Ask;
        }
        if before.is_some_and(|before| now - before < ANSWER_MIN) {
            return Answer::TooSoon;
        }
        *self = Self::default();
        Answer::Sure
    }
}

impl Viewer<'_> {
    /// Does what was pressed; how to exit, if that was asked for.
    pub(super) fn obey_keys(&mut self) -> Result<Option<Exit>, Failure> {
        let Some(keys) = &mut self.keys else {
            return Ok(None);
        };
        // All of these came at once, which no answer to a question does.
        let (pressed, now) = (keys.pressed(), Instant::now());
        for key in pressed {
            if key != Key::Cancel {
                self.sure = Sure::default();
            }
            match key {
                Key::Quit => return Ok(Some(Exit::Ok)),
                Key::Enter if self.is_over() => return Ok(Some(Exit::Ok)),
                Key::Enter => {}
                Key::Retry => self.retry()?,
                Key::Cancel => self.cancel(now)?,
            }
        }
        Ok(None)
    }

    fn retry(&mut self) -> Result<(), Failure> {
        let Some(task) = self.task.as_ref().filter(|task| has_ended(task)) else {
            return Ok(());
        };
        let ids = vec![task.id.clone()];
        if is_process_id(&task.id) {
            let words = format!("process {} is started", task.id);
            return self.ask(&Message::ProcessRestart(ProcessIds { ids }), &words);
        }
        let words = format!("task {} runs again once a slot is free", task.id);
        self.ask(
            &Message::Retry(Retry {
                ids,
                ..Retry::default()
            }),
            &words,
        )
    }

    fn cancel(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(task) = self.task.as_ref().filter(|task| !has_ended(task)) else {
            return Ok(());
        };
        match self.sure.pressed(now) {
            Answer::Ask => return Ok(self.page.say(&words::sure_to_cancel(task))?),
            Answer::TooSoon => return Ok(()),
            Answer::Sure => {}
        }
        let ids = vec![task.id.clone()];
        if is_process_id(&task.id) {
            let words = format!("process {} is stopped", task.id);
            let stop = ProcessStop {
                ids,
                ..ProcessStop::default()
            };
            return self.ask(&Message::ProcessStop(stop), &words);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to a key that is pressed at these moments, in ms.
    fn answers<const N: usize>(moments_ms: [u64; N]) -> [Answer; N] {
        let (begin, mut sure) = (Instant::now(), Sure::default());
        moments_ms.map(|ms| sure.pressed(begin + Duration::from_millis(ms)))
    }

    #[test]
    fn twice_is_sure_and_at_once_is_not() {
        use Answer::{Ask, Sure, TooSoon};
        assert_eq!(answers([0, 200, 400]), [Ask, Sure, Ask]);
        assert_eq!(answers([0, 0, 199]), [Ask, TooSoon, TooSoon]);
        assert_eq!(
            answers([0, 40, 80, 250, 450]),
            [Ask, TooSoon, TooSoon, TooSoon, Sure]
        );
        assert_eq!(answers([0, 5_000]), [Ask, Sure]);
        assert_eq!(answers([0, 5_001, 5_300]), [Ask, Ask, Sure]);
        // A key that is held down asks again and is never sure.
        let held = answers::<200>(std::array::from_fn(|n| 40 * n as u64));
        assert!(!held.contains(&Sure), "{held:?}");
    }
}
