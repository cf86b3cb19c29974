//! What a viewer makes of the daemon's news, and of a daemon that is away.

use std::time::{Duration, Instant};

use super::Viewer;
use crate::cli::attach::subscription::News;
use crate::cli::attach::words;
use crate::cli::exit::Failure;
use crate::cli::process_text::noun;
use crate::cli::task_text::has_ended;
use crate::protocol::{Event, TaskView};

/// Tasks that may wait to be shown; the oldest give way.
const NEXT_MAX: usize = 100;
/// A daemon that is away this long is worth a line; a restart is over by then.
const AWAY_TOLD_AFTER: Duration = Duration::from_secs(2);
/// With nobody at a keyboard, a daemon that stays away ends the viewer.
const AWAY_MAX: Duration = Duration::from_secs(15);

/// The daemon is not there.
#[derive(Clone, Copy)]
pub(super) struct Away {
    since: Instant,
    told: bool,
}

impl Viewer<'_> {
    /// A task that began while another one is shown. What was seen of it is not shown again.
    pub(super) fn queue_up(&mut self, task: TaskView) {
        let Some(last) = task.attempts.last() else {
            return;
        };
        if self.args.is_elsewhere(&task) {
            self.next.retain(|known| known.id != task.id);
            let last = last.n;
            return self.have_seen(task.id, last);
        }
        if self.seen.iter().any(|(id, n)| *id == task.id && *n == last.n) {
            return;
        }
        if let Some(known) = self.next.iter_mut().find(|known| known.id == task.id) {
            *known = task;
            return;
        }
        self.next.push_back(task);
        if self.next.len() > NEXT_MAX {
            self.next.pop_front();
            self.passed += 1;
        }
    }

    pub(super) fn hear(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Event(Event::Task(task)) => self.hear_of(*task),
            News::Event(Event::Removed { id }) => self.hear_of_removal(&id)?,
            News::Event(
                Event::Gate { .. } | Event::Queue { .. } | Event::Status(_) | Event::Lagged { .. },
            ) => {}
            News::Status(status) => {
                let shown = self.task.as_ref().map(|task| task.id.clone());
                let missing = shown.filter(|id| !status.tasks.iter().any(|task| task.id == *id));
                status.tasks.into_iter().for_each(|task| self.hear_of(task));
                if let Some(id) = missing {
                    self.hear_of_removal(&id)?;
                }
            }
            News::Away => {
                self.away = Some(Away {
                    since: Instant::now(),
                    told: false,
                });
            }
        }
        Ok(())
    }

    fn hear_of(&mut self, task: TaskView) {
        match &mut self.task {
            Some(shown) if shown.id == task.id => *shown = task,
            _ if self.args.goes_on() => self.queue_up(task),
            _ => {}
        }
    }

    fn hear_of_removal(&mut self, id: &str) -> Result<(), Failure> {
        self.next.retain(|task| task.id != id);
        let Some(task) = self.task.as_ref().filter(|task| task.id == id && !self.is_gone) else {
            return Ok(());
        };
        let has_ended = has_ended(task);
        self.is_gone = true;
        // Of a task that was seen to end, that it is cleaned away later is no news.
        if !has_ended {
            self.page
                .say(&words::note(&format!("{} {id} was removed", noun(id))))?;
        }
        Ok(())
    }

    /// Says that the daemon is away, and that it is back; workers need neither.
    pub(super) fn mind_the_daemon(&mut self) -> Result<(), Failure> {
        let Some(away) = &mut self.away else {
            return Ok(());
        };
        if !self.subscription.is_away() {
            if away.told {
                self.page.say(&words::note("the daemon is back"))?;
            }
            self.away = None;
            return Ok(());
        }
        if self.keys.is_none() && away.since.elapsed() > AWAY_MAX {
            return Err(Failure::no_daemon("the daemon has gone away")
                .hint("what runs goes on; the next command starts another daemon"));
        }
        if !away.told && away.since.elapsed() > AWAY_TOLD_AFTER {
            away.told = true;
            let words = "the daemon has gone away: what runs goes on, and this waits for the next one";
            self.page.say(&words::note(words))?;
        }
        Ok(())
    }
}
