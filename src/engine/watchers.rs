//! Whoever watches: subscribed connections, each with a bounded queue of events.

use std::collections::HashSet;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::Sender;
use wezterm_parallel_scheduler::{State, TaskKey};

use super::processes::number_of;
use crate::protocol::{Event, StatusUpdate, Subscribe, TaskView};

/// The subscribers.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: Vec<Watcher>,
    /// Events that were dropped so far, of all of them.
    dropped: u64,
}

#[derive(Debug)]
struct Watcher {
    events: Sender<Event>,
    scope: Scope,
    /// Events that found the queue full; told as soon as there is room.
    dropped: u64,
}

/// Which tasks a subscriber hears of.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Tasks by name.
    named: HashSet<TaskKey>,
    /// Those that came into the scope by the slot that they took, until they end.
    passing: HashSet<TaskKey>,
    slot: Option<u32>,
    workspace: Option<String>,
    /// Nothing was named: every task.
    all: bool,
    /// In one line each, and of processes, too.
    statuses: bool,
}

impl Scope {
    /// What was asked for; `tasks` are those of its ids.
    pub(super) fn new(wanted: &Subscribe, tasks: impl IntoIterator<Item = TaskKey>) -> Self {
        Self {
            named: tasks.into_iter().collect(),
            passing: HashSet::new(),
            slot: wanted.slot,
            workspace: wanted.workspace.clone(),
            all: wanted.ids.is_empty() && wanted.slot.is_none() && wanted.workspace.is_none(),
            statuses: wanted.statuses,
        }
    }

    /// Whether a slot makes a task belong to it.
    pub(super) fn is_by_slot(&self) -> bool {
        self.slot.is_some() || self.workspace.is_some()
    }

    /// Whether it may have this task in it; of one that takes a slot only its view tells.
    fn may_have(&self, key: TaskKey) -> bool {
        self.all || self.is_by_slot() || self.named.contains(&key)
    }

    /// Whether it has this task in it. A task that came into it stays for its end, which is told too.
    pub(super) fn has(&mut self, key: TaskKey, view: &TaskView) -> bool {
        if self.named.contains(&key) {
            return true;
        }
        if number_of(key).is_some() {
            return self.has_processes();
        }
        if self.all {
            return true;
        }
        if self.passing.contains(&key) {
            if has_ended(view) {
                self.passing.remove(&key);
            }
            return true;
        }
        let Some(slot) = view.slot.filter(|_| self.is_by_slot()) else {
            return false;
        };
        let other_slot = self.slot.is_some_and(|wanted| wanted != slot);
        let other_workspace = self
            .workspace
            .as_ref()
            .is_some_and(|name| *name != view.workspace);
        let belongs = !other_slot && !other_workspace;
        if belongs {
            self.passing.insert(key);
        }
        belongs
    }

    /// Whether it has all processes in it: most who hear of all tasks would not know what to make of them.
    fn has_processes(&self) -> bool {
        self.all && self.statuses
    }

    /// Forgets a task that is gone; whether it was in here.
    fn drop_task(&mut self, key: TaskKey) -> bool {
        let passed = self.passing.remove(&key);
        let is_meant = if number_of(key).is_some() {
            self.has_processes()
        } else {
            self.all
        };
        self.named.remove(&key) || passed || is_meant
    }
}

impl Watchers {
    /// From now on, events about these tasks go here.
    pub(super) fn add(&mut self, events: Sender<Event>, scope: Scope) {
        self.all.push(Watcher {
            events,
            scope,
            dropped: 0,
        });
    }

    /// Whether anybody may want to hear of this task.
    pub(super) fn want(&self, key: TaskKey) -> bool {
        self.all.iter().any(|watcher| watcher.scope.may_have(key))
    }

    /// A task changed.
    pub(super) fn changed(&mut self, key: TaskKey, view: &TaskView, line: &StatusUpdate) {
        self.send(|watcher| {
            watcher
                .scope
                .has(key, view)
                .then(|| match watcher.scope.statuses {
                    true => Event::Status(line.clone()),
                    false => Event::Task(Box::new(view.clone())),
                })
        });
    }

    /// A task was removed.
    pub(super) fn removed(&mut self, key: TaskKey, id: &str) {
        self.send(|watcher| {
            let is_meant = watcher.scope.drop_task(key);
            is_meant.then(|| match watcher.scope.statuses {
                true => Event::Status(StatusUpdate {
                    process_id: id.to_owned(),
                    status: "Removed".to_owned(),
                    note: None,
                }),
                false => Event::Removed { id: id.to_owned() },
            })
        });
    }

    /// A gate has closed or opened, or something else that is about the whole queue.
    pub(super) fn whole(&mut self, event: &Event) {
        self.send(|watcher| watcher.scope.all.then(|| event.clone()));
    }

    /// Sends each what is meant for it, and forgets those that left.
    fn send(&mut self, event: impl Fn(&mut Watcher) -> Option<Event>) {
        let dropped = &mut self.dropped;
        self.all.retain_mut(|watcher| {
            let Some(event) = event(watcher) else { return true };
            watcher.send(event, dropped)
        });
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Events that found a queue full, of all subscribers that there were.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Tells those that missed something, and forgets those that left. Called once a round: the
    /// newest event may be the one that was dropped, and then no later one would bring the news.
    pub(super) fn settle(&mut self) {
        self.all.retain_mut(Watcher::settle);
    }
}

impl Watcher {
    /// Whether the subscriber is still there; an event that is dropped is counted for all of them, too.
    fn send(&mut self, event: Event, dropped: &mut u64) -> bool {
        if !self.settle() {
            return false;
        }
        if self.dropped > 0 || matches!(self.events.try_send(event), Err(TrySendError::Full(_))) {
            self.dropped += 1;
            *dropped += 1;
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

fn has_ended(view: &TaskView) -> bool {
    State::ALL
        .iter()
        .any(|state| state.is_end() && state.name() == view.state)
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
        watchers.add(tx, Scope::new(&Subscribe::default(), []));
        for _ in 0..3 {
            watchers.changed(TaskKey(1), &view("1"), &StatusUpdate::default());
        }
        assert!(matches!(rx.try_recv(), Ok(Event::Task(_))));
        watchers.changed(TaskKey(1), &view("1"), &StatusUpdate::default());
        assert_eq!(rx.try_recv(), Ok(Event::Lagged { dropped: 2 }));
    }

    #[test]
    fn a_reader_that_left_is_forgotten() {
        let (tx, rx) = tokio::sync::mpsc::channel(1);
        let mut watchers = Watchers::default();
        let named = Subscribe {
            ids: vec!["7".into()],
            ..Subscribe::default()
        };
        watchers.add(tx, Scope::new(&named, [TaskKey(7)]));
        assert!(watchers.want(TaskKey(7)) && !watchers.want(TaskKey(8)));
        drop(rx);
        watchers.changed(TaskKey(7), &view("7"), &StatusUpdate::default());
        assert!(!watchers.want(TaskKey(7)));
    }

    #[test]
    fn a_slot_brings_one_task_after_the_other() {
        let (tx, mut rx) = tokio::sync::mpsc::channel(9);
        let mut watchers = Watchers::default();
        let wanted = Subscribe {
            slot: Some(1),
            ..Subscribe::default()
        };
        watchers.add(tx, Scope::new(&wanted, []));
        let in_slot = |id: &str, slot| TaskView { slot, ..view(id) };
        watchers.changed(TaskKey(7), &in_slot("7", None), &StatusUpdate::default());
        watchers.changed(TaskKey(8), &in_slot("8", Some(0)), &StatusUpdate::default());
        watchers.changed(TaskKey(7), &in_slot("7", Some(1)), &StatusUpdate::default());
        watchers.changed(TaskKey(8), &in_slot("8", None), &StatusUpdate::default());
        watchers.changed(TaskKey(7), &in_slot("7", None), &StatusUpdate::default());
        watchers.removed(TaskKey(7), "7");
        watchers.removed(TaskKey(8), "8");
        drop(watchers);
        let mut told = Vec::new();
        while let Ok(event) = rx.try_recv() {
            told.push(match event {
                Event::Task(task) => (task.id, task.slot),
                Event::Removed { id } => (id, Some(99)),
                Event::Gate { .. } | Event::Queue { .. } | Event::Status(_) | Event::Lagged { .. } => {
                    panic!("nobody said so")
                }
            });
        }
        let seven = |slot| ("7".to_owned(), slot);
        assert_eq!(told, [seven(Some(1)), seven(None), seven(Some(99))]);
    }

    #[test]
    fn a_task_that_has_passed_is_forgotten_after_its_end() {
        let wanted = Subscribe {
            slot: Some(0),
            ..Subscribe::default()
        };
        let mut scope = Scope::new(&wanted, []);
        let mut has = |state: &str, slot| {
            let view = TaskView {
                state: state.into(),
                slot,
                ..TaskView::default()
            };
            scope.has(TaskKey(1), &view)
        };
        assert!(has("running", Some(0)) && has("delayed", None) && has("failed", None));
        assert!(!has("queued", None) && has("running", Some(0)));
    }

    #[test]
    fn a_workspace_brings_its_tasks_as_they_take_slots() {
        let wanted = Subscribe {
            workspace: Some("api".into()),
            ..Subscribe::default()
        };
        let mut scope = Scope::new(&wanted, []);
        let mut has = |key, workspace: &str, slot| {
            let view = TaskView {
                workspace: workspace.into(),
                slot,
                ..TaskView::default()
            };
            scope.has(TaskKey(key), &view)
        };
        assert!(!has(1, "api", None) && !has(2, "web", Some(0)) && has(1, "api", Some(1)));
        assert!(has(1, "api", None) && !has(2, "web", None));
    }
}
