//! Whoever watches: subscribed connections, each with a bounded queue of events.

use std::collections::HashSet;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::Sender;
use wezterm_parallel_scheduler::TaskKey;

use crate::protocol::{Event, TaskView};

/// The subscribers.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    events: Sender<Event>,
    /// Empty: every task.
    only: HashSet<TaskKey>,
    /// Events that found the queue full; told as soon as there is room.
    dropped: u64,
}

impl Watchers {
    /// From now on, events about these tasks (none: all) go here.
    pub(super) fn add(&mut self, events: Sender<Event>, only: impl IntoIterator<Item = TaskKey>) {
        self.all.push(Watcher {
            events,
            only: only.into_iter().collect(),
            dropped: 0,
        });
    }

    /// Whether anybody wants to hear of this task.
    pub(super) fn want(&self, key: TaskKey) -> bool {
        self.all.iter().any(|watcher| watcher.wants(key))
    }

    /// A task changed.
    pub(super) fn changed(&mut self, key: TaskKey, view: &TaskView) {
        self.tell(key, || Event::Task(Box::new(view.clone())));
    }

    /// A task was removed.
    pub(super) fn removed(&mut self, key: TaskKey, id: &str) {
        self.tell(key, || Event::Removed { id: id.to_owned() });
    }

    /// Tells those that missed something, and forgets those that left. Called once a round: the
    /// newest event may be the one that was dropped, and then no later one would bring the news.
    pub(super) fn settle(&mut self) {
        self.all.retain_mut(Watcher::settle);
    }

    fn tell(&mut self, key: TaskKey, event: impl Fn() -> Event) {
        self.all
            .retain_mut(|watcher| !watcher.wants(key) || watcher.send(event()));
    }
}

impl Watcher {
    fn wants(&self, key: TaskKey) -> bool {
        self.only.is_empty() || self.only.contains(&key)
    }

    /// Whether the subscriber is still there.
    fn send(&mut self, event: Event) -> bool {
        if !self.settle() {
            return false;
        }
        if self.dropped > 0 || matches!(self.events.try_send(event), Err(TrySendError::Full(_))) {
            self.dropped += 1;
        }
        true
    }

    /// Says how much was dropped, if something was; whether the subscriber is still there.
    fn settle(&mut self) -> bool {
        if self.dropped > 0
            && self
                .events
                .try_send(Event::Lagged {
                    dropped: self.dropped,
                })
                .is_ok()
        {
            self.dropped = 0;
        }
        !self.events.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(id: &str) -> TaskView {
        TaskView {
            id: id.to_owned(),
            ..TaskView::default()
        }
    }

    #[test]
    fn a_slow_reader_is_told_how_much_it_missed() {
        let (tx, mut rx) = tokio::sync::mpsc::channel(1);
        let mut watchers = Watchers::default();
        watchers.add(tx, []);
        for _ in 0..3 {
            watchers.changed(TaskKey(1), &view("1"));
        }
        assert!(matches!(rx.try_recv(), Ok(Event::Task(_))));
        watchers.changed(TaskKey(1), &view("1"));
        assert_eq!(rx.try_recv(), Ok(Event::Lagged { dropped: 2 }));
    }

    #[test]
    fn a_reader_that_left_is_forgotten() {
        let (tx, rx) = tokio::sync::mpsc::channel(1);
        let mut watchers = Watchers::default();
        watchers.add(tx, [TaskKey(7)]);
        assert!(watchers.want(TaskKey(7)) && !watchers.want(TaskKey(8)));
        drop(rx);
        watchers.changed(TaskKey(7), &view("7"));
        assert!(!watchers.want(TaskKey(7)));
    }
}
