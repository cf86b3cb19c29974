//! Watches tasks until they end, across slow reading and restarts of the daemon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::task_text::has_ended;
use crate::client::Events;
use crate::protocol::{Event, StatusAnswer, Subscribe, TaskView};

/// Above this many ids it is cheaper to hear of every task and look up which matter.
const NAMED_IDS_MAX: usize = 500;
/// A daemon that restarts is back within this time.
const RECONNECT_WITHIN: Duration = Duration::from_secs(15);
/// The pause between two tries to reach it.
const RECONNECT_EVERY: Duration = Duration::from_millis(100);
/// Events handled before the caller gets a turn.
const EVENTS_PER_STEP: usize = 1_000;

/// The newest view of each watched task.
pub(crate) struct Watch<'a> {
    context: &'a Context,
    subscribe: Subscribe,
    events: Events,
    tasks: HashMap<String, Option<TaskView>>,
}

impl<'a> Watch<'a> {
    /// Watches these tasks, each of which must exist.
    pub(crate) fn start(context: &'a Context, ids: &[String]) -> Result<Self, Failure> {
        let few = ids.len() <= NAMED_IDS_MAX;
        let subscribe = Subscribe {
            ids: if few { ids.to_vec() } else { Vec::new() },
            ..Subscribe::default()
        };
        let (status, events) = context.connect()?.subscribe(subscribe.clone())?;
        let mut watch = Self {
            context,
            subscribe,
            events,
            tasks: ids.iter().map(|id| (id.clone(), None)).collect(),
        };
        watch.absorb(status);
        Ok(watch)
    }

    /// Watches every task that has not ended.
    pub(crate) fn start_unfinished(context: &'a Context) -> Result<Self, Failure> {
        let subscribe = Subscribe::default();
        let (status, events) = context.connect()?.subscribe(subscribe.clone())?;
        let unfinished = status.tasks.into_iter().filter(|task| !has_ended(task));
        Ok(Self {
            context,
            subscribe,
            events,
            tasks: unfinished.map(|task| (task.id.clone(), Some(task))).collect(),
        })
    }

    /// The watched ids, in no order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.tasks.keys()
    }

    /// What is known of a task; `None` if it is gone or was never there.
    pub(crate) fn task(&self, id: &str) -> Option<&TaskView> {
        self.tasks.get(id)?.as_ref()
    }

    /// Waits up to `timeout` for news, and returns the ids of the tasks that changed.
    pub(crate) fn step(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        let mut changed = Vec::new();
        let mut wait = timeout;
        for _ in 0..EVENTS_PER_STEP {
            match self.events.next_timeout(wait) {
                Ok(Some(event)) => self.take(event, &mut changed)?,
                Ok(None) => break,
                Err(error) => {
                    changed.extend(self.reconnect(error.into())?);
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        Ok(changed)
    }

    fn take(&mut self, event: Event, changed: &mut Vec<String>) -> Result<(), Failure> {
        match event {
            Event::Task(task) => {
                if let Some(known) = self.tasks.get_mut(&task.id) {
                    changed.push(task.id.clone());
                    *known = Some(*task);
                }
            }
            Event::Removed { id } => {
                // An end that was seen before the removal stays known.
                match self.tasks.get_mut(&id) {
                    Some(Some(known)) if has_ended(known) => {}
                    Some(known) => {
                        *known = None;
                        changed.push(id);
                    }
                    None => {}
                }
            }
            Event::Gate { .. } | Event::Queue { .. } | Event::Status(_) => {}
            Event::Lagged { .. } => match self.resubscribe() {
                Ok(all) => changed.extend(all),
                Err(failure) => changed.extend(self.reconnect(failure)?),
            },
        }
        Ok(())
    }

    /// The daemon went away: it may be restarting. What it refuses is refused at once.
    fn reconnect(&mut self, mut failure: Failure) -> Result<Vec<String>, Failure> {
        let deadline = Instant::now() + RECONNECT_WITHIN;
        while failure.exit == Exit::NoDaemon && Instant::now() < deadline {
            std::thread::sleep(RECONNECT_EVERY);
            match self.resubscribe() {
                Ok(changed) => return Ok(changed),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn resubscribe(&mut self) -> Result<Vec<String>, Failure> {
        let (status, events) = self.context.connect()?.subscribe(self.subscribe.clone())?;
        self.events = events;
        self.absorb(status);
        Ok(self.tasks.keys().cloned().collect())
    }

    /// Takes a whole status: what it does not name is gone.
    fn absorb(&mut self, status: StatusAnswer) {
        for known in self.tasks.values_mut() {
            if known.as_ref().is_some_and(|task| !has_ended(task)) {
                *known = None;
            }
        }
        for task in status.tasks {
            if let Some(known) = self.tasks.get_mut(&task.id) {
                *known = Some(task);
            }
        }
    }
}
