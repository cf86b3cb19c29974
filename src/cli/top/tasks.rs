//! The tasks that the view knows: all that run, the first of the queue, and the newest that have ended.
//!
//! Pure and bounded: a queue may hold a million tasks, and a screen shows a few dozen of them.

use std::collections::HashMap;

use crate::cli::task_text::has_ended;
use crate::protocol::TaskView;

/// As many are asked for at a time: some screens full, and an answer that is read within a millisecond.
pub(super) const ASKED_FOR: usize = 300;
/// What events bring beyond this pushes out what matters least.
const KNOWN_MAX: usize = 2 * ASKED_FOR;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) task: TaskView,
    /// Where it stood in the daemon's own order, as a number that is not above 0; above that, it was heard of later.
    heard: i64,
}

/// Which of them matter most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Active,
    Queued,
    Aside,
    Ended,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    known: HashMap<String, Known>,
    heard: i64,
}

/// What an event has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// It has ended just now.
    pub(super) has_ended: bool,
    /// Its place in the queue is not known.
    pub(super) is_misplaced: bool,
}

impl Tasks {
    /// A whole picture in place of what was known.
    pub(super) fn replace(&mut self, tasks: Vec<TaskView>) {
        self.heard = 0;
        self.known = tasks
            .into_iter()
            .enumerate()
            .map(|(place, task)| {
                let heard = -i64::try_from(place).unwrap_or(i64::MAX);
                (task.id.clone(), Known { task, heard })
            })
            .collect();
    }

    /// A task's new view.
    pub(super) fn take(&mut self, task: TaskView) -> Changed {
        let class = class(&task);
        let before = self.known.get(&task.id);
        let moves = before.is_none_or(|before| self::class(&before.task) != class);
        let reranked = before.is_some_and(|before| before.task.priority != task.priority);
        let changed = Changed {
            has_ended: moves && class == Class::Ended,
            is_misplaced: class == Class::Queued && (moves || reranked),
        };
        let heard = match before {
            Some(before) if !moves => before.heard,
            _ => {
                self.heard += 1;
                self.heard
            }
        };
        self.known.insert(task.id.clone(), Known { task, heard });
        if self.known.len() > KNOWN_MAX {
            self.forget_some();
        }
        changed
    }

    /// A task is gone.
    pub(super) fn remove(&mut self, id: &str) {
        self.known.remove(id);
    }

    /// Has a priority that the daemon was asked for: a second press goes on from there.
    pub(super) fn expect_priority(&mut self, id: &str, priority: u8) {
        if let Some(known) = self.known.get_mut(id) {
            known.task.priority = priority;
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&TaskView> {
        self.known.get(id).map(|known| &known.task)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// How many of a class.
    pub(super) fn count(&self, wanted: Class) -> usize {
        let of_class = |known: &&Known| class(&known.task) == wanted;
        self.iter().filter(of_class).count()
    }

    fn forget_some(&mut self) {
        let mut ranks: Vec<(Rank, String)> = self
            .iter()
            .map(|known| (known.rank(), known.task.id.clone()))
            .collect();
        ranks.sort();
        for (rank, id) in ranks.into_iter().skip(ASKED_FOR) {
            // However many run: they are what the view is for.
            if rank.0 != Class::Active {
                self.known.remove(&id);
            }
        }
    }
}

/// The order of the queue: smaller is shown first.
pub(super) type Rank = (Class, bool, i64, i64);

impl Known {
    /// Active tasks by slot, the queue in the order of starting as far as that is known, then the newest ended.
    pub(super) fn rank(&self) -> Rank {
        let task = &self.task;
        let class = class(task);
        match class {
            Class::Active => (
                class,
                false,
                i64::from(task.slot.unwrap_or(u32::MAX)),
                -self.heard,
            ),
            Class::Ended => (class, false, -self.heard, 0),
            Class::Queued | Class::Aside if self.heard <= 0 => (class, false, -self.heard, 0),
            Class::Queued | Class::Aside => (class, true, -i64::from(task.priority), self.heard),
        }
    }
}

pub(super) fn class(task: &TaskView) -> Class {
    match task.state.as_str() {
        "running" | "paused" | "waiting" => Class::Active,
        "queued" => Class::Queued,
        _ if has_ended(task) => Class::Ended,
        _ => Class::Aside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, state: &str, priority: u8) -> TaskView {
        TaskView {
            id: id.into(),
            state: state.into(),
            priority,
            ..TaskView::default()
        }
    }

    fn order(tasks: &Tasks) -> Vec<String> {
        let mut known: Vec<&Known> = tasks.iter().collect();
        known.sort_by_key(|known| known.rank());
        known.iter().map(|known| known.task.id.clone()).collect()
    }

    #[test]
    fn the_daemons_order_is_kept_and_news_find_their_place() {
        let mut tasks = Tasks::default();
        tasks.replace(vec![
            task("r", "running", 1),
            task("q1", "queued", 1),
            task("q2", "queued", 9),
            task("h", "held", 1),
            task("e1", "failed", 1),
            task("e2", "succeeded", 1),
        ]);
        assert_eq!(order(&tasks), ["r", "q1", "q2", "h", "e1", "e2"]);
        let ended = tasks.take(task("r", "succeeded", 1));
        assert!(ended.has_ended && !ended.is_misplaced);
        tasks.take(task("q1", "running", 1));
        let new = tasks.take(task("q3", "queued", 1));
        assert!(new.is_misplaced && !new.has_ended);
        tasks.take(task("q4", "queued", 200));
        assert_eq!(order(&tasks), ["q1", "q2", "q4", "q3", "h", "r", "e1", "e2"]);
        assert!(tasks.take(task("q2", "queued", 10)).is_misplaced);
        assert!(!tasks.take(task("q2", "queued", 10)).is_misplaced);
        assert!(!tasks.take(task("r", "succeeded", 1)).has_ended);
        tasks.remove("h");
        assert_eq!(order(&tasks), ["q1", "q2", "q4", "q3", "r", "e1", "e2"]);
    }

    #[test]
    fn what_matters_least_is_forgotten() {
        let mut tasks = Tasks::default();
        tasks.replace(vec![task("running", "running", 1)]);
        for number in 0..10 * KNOWN_MAX {
            tasks.take(task(&number.to_string(), "succeeded", 1));
            assert!(tasks.known.len() <= KNOWN_MAX);
        }
        assert!(tasks.get("running").is_some());
        assert!(tasks.get(&(10 * KNOWN_MAX - 1).to_string()).is_some());
        assert!(tasks.get("0").is_none());
    }
}
