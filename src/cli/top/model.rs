//! What the view knows and shows, and what becomes of it by what happens.
//!
//! Pure: the time and what happened go in, what is to be done comes out. The shell does it and draws.

use super::answering::Answering;
use super::areas::Areas;
use super::filter::Filter;
use super::history::History;
use super::list::List;
use super::machine::Machine;
use super::pager::Pager;
use super::processes::{arranged, Process};
use super::tasks::{Class, Tasks, ASKED_FOR};
use super::typed::Typed;
use crate::cli::task_text::{self, has_ended};
use crate::protocol::{
    AdmissionAnswer, Event, ExplanationView, Message, ProcessView, StatusAnswer, Subscribe, Summary, TaskView,
};

/// What a command came to is shown this long, unless a key is pressed.
const NOTICE_MS: u64 = 10_000;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Input {
    /// The tasks and the summary as they stand, in place of all that was known.
    Picture(StatusAnswer),
    /// The summary alone.
    Summary(Summary),
    Admission(Box<AdmissionAnswer>),
    Explanation(ExplanationView),
    Processes(Vec<ProcessView>),
    Event(Event),
    /// The daemon has gone away.
    Away,
    /// What was asked for was done, or was not: what to say.
    Done(String),
    Refused(String),
    /// A worker whose output is shown has written something.
    Output(String),
    Typed(Typed),
    Resize(u16, u16),
    /// Time passes.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Intent {
    Quit,
    /// Give the terminal back until the shell's `fg`.
    Suspend,
    /// Ask the daemon for a change, and say so when it is done.
    Do(Message, String),
    /// Ask why this task waits.
    Explain(String),
}

/// What the screen shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) size: (u16, u16),
    pub(super) now_ms: u64,
    /// The daemon is away.
    pub(super) is_away: bool,
    pub(super) tasks: Tasks,
    pub(super) summary: Summary,
    pub(super) machine: Option<Machine>,
    /// Those beside the queue, the most urgent first.
    pub(super) processes: Vec<Process>,
    pub(super) history: History,
    pub(super) list: List,
    pub(super) dialog: Option<Dialog>,
    pub(super) detail: Option<Detail>,
    pub(super) notice: Option<Notice>,
    /// Something happened that the summary does not tell of yet.
    is_stale: bool,
    /// Some queued tasks are shown in a place that may not be theirs, or too few are known.
    is_misplaced: bool,
    has_changed: bool,
    /// How many tasks were shown in full.
    pub(super) opened: u64,
}

/// What is in front of the table and takes the keys.
#[derive(Debug)]
pub(super) enum Dialog {
    Help,
    Confirm {
        question: String,
        message: Message,
        done: String,
    },
    /// Words that the tasks are to fit, or that one is looked for by.
    Words {
        finds: bool,
        text: String,
        /// The filter before, for when it is given up.
        before: Filter,
    },
    Answer(Box<Answering>),
}

/// The task that is shown with all that is known of it.
#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) id: String,
    /// Tells it from one of the same task that was closed.
    pub(super) serial: u64,
    /// The last of its views, should it be removed meanwhile.
    pub(super) task: TaskView,
    pub(super) explanation: Option<ExplanationView>,
    pub(super) output: Pager,
    /// The attempt whose output that is.
    pub(super) attempt: Option<u32>,
    /// The facts rather than the output, where there is no room for both.
    pub(super) shows_facts: bool,
    pub(super) facts_scroll: usize,
}

/// What a command came to.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) words: String,
    pub(super) is_bad: bool,
    at_ms: u64,
}

impl Model {
    pub(super) fn new(size: (u16, u16), now_ms: u64) -> Self {
        let mut model = Self {
            size,
            now_ms,
            is_away: false,
            tasks: Tasks::default(),
            summary: Summary::default(),
            machine: None,
            processes: Vec::new(),
            history: History::default(),
            list: List::default(),
            dialog: None,
            detail: None,
            notice: None,
            is_stale: true,
            is_misplaced: false,
            has_changed: true,
            opened: 0,
        };
        model.history.pass(now_ms);
        model
    }

    /// What to ask the daemon for.
    pub(super) fn subscribe() -> Subscribe {
        Subscribe {
            limit: Some(ASKED_FOR),
            ..Subscribe::default()
        }
    }

    /// Takes in what happened.
    pub(super) fn update(&mut self, now_ms: u64, input: Input) -> Vec<Intent> {
        self.now_ms = now_ms;
        self.has_changed |= self.history.pass(now_ms);
        let intents = match input {
            Input::Typed(typed) => {
                self.has_changed = true;
                self.obey(typed)
            }
            Input::Tick => {
                self.tick();
                Vec::new()
            }
            Input::Event(event) => {
                self.hear(event);
                Vec::new()
            }
            other => {
                self.take(other);
                Vec::new()
            }
        };
        self.mind_answer();
        self.mind_detail(intents)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Picture(status) => {
                if std::mem::take(&mut self.is_away) {
                    self.history.begin_anew();
                }
                self.has_changed = true;
                self.is_misplaced = false;
                self.tasks.replace(status.tasks);
                self.take_summary(status.summary);
            }
            Input::Summary(summary) => self.take_summary(summary),
            Input::Admission(answer) => {
                let machine = Some(Machine::new(&answer));
                self.has_changed |= machine != self.machine;
                self.machine = machine;
            }
            Input::Explanation(explanation) => {
                let detail = self.detail.as_mut().filter(|detail| detail.id == explanation.id);
                if let Some(detail) = detail {
                    self.has_changed = true;
                    detail.explanation = Some(explanation);
                }
            }
            Input::Processes(views) => {
                let processes = arranged(&views);
                self.has_changed |= processes != self.processes;
                self.processes = processes;
            }
            Input::Away => {
                self.has_changed |= !std::mem::replace(&mut self.is_away, true);
            }
            Input::Done(words) => self.notice(words, false),
            Input::Refused(words) => {
                // What was expected of it has not come.
                self.is_misplaced = true;
                self.notice(words, true);
            }
            Input::Output(text) => {
                if let Some(detail) = &mut self.detail {
                    self.has_changed = true;
                    detail.output.push(&text);
                }
            }
            Input::Resize(width, height) => {
                self.has_changed = true;
                self.size = (width, height);
            }
            Input::Event(_) | Input::Typed(_) | Input::Tick => {}
        }
    }

    fn take_summary(&mut self, summary: Summary) {
        self.is_stale = false;
        self.history.summary(&summary);
        // A queue that drains is filled up from the part that was not asked for yet.
        let known = self.tasks.count(Class::Queued);
        self.is_misplaced |= known < summary.queued.min(ASKED_FOR / 2);
        self.has_changed |= self.summary != summary;
        self.summary = summary;
    }

    fn hear(&mut self, event: Event) {
        self.is_stale = true;
        self.has_changed = true;
        match event {
            Event::Task(task) => {
                let changed = self.tasks.take(*task);
                self.is_misplaced |= changed.is_misplaced;
                if changed.has_ended {
                    self.history.ended();
                }
            }
            Event::Removed { id } => self.tasks.remove(&id),
            Event::Queue {
                slots,
                paused,
                paused_workspaces,
            } => {
                self.summary.slots = slots;
                self.summary.paused = paused;
                self.summary.paused_workspaces = paused_workspaces;
            }
            // What it is about is asked for.
            Event::Gate { .. } | Event::Status(_) | Event::Lagged { .. } => {}
        }
    }

    fn tick(&mut self) {
        self.has_changed |= self.moves();
        let is_old = |notice: &mut Notice| self.now_ms.saturating_sub(notice.at_ms) >= NOTICE_MS;
        self.has_changed |= self.notice.take_if(is_old).is_some();
    }

    pub(super) fn notice(&mut self, words: impl Into<String>, is_bad: bool) {
        self.has_changed = true;
        self.notice = Some(Notice {
            words: words.into(),
            is_bad,
            at_ms: self.now_ms,
        });
    }

    /// Whether something happened since the summary came.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether there are processes to ask for, or were.
    pub(super) fn has_processes(&self) -> bool {
        !(self.summary.processes.is_empty() && self.processes.is_empty())
    }

    /// Whether the tasks themselves have to be asked for, beside the summary.
    pub(super) fn is_misplaced(&self) -> bool {
        self.is_misplaced
    }

    /// Whether the screen would look otherwise than when this was last asked. Puts the rows in order.
    pub(super) fn take_changed(&mut self) -> bool {
        let changed = std::mem::take(&mut self.has_changed);
        if changed {
            self.arrange();
        }
        changed
    }

    /// Puts the rows in order for the screen as it is.
    pub(super) fn arrange(&mut self) {
        let height = Areas::of(self).map_or(0, |areas| areas.rows());
        let machine = self.machine.as_ref();
        let used = |task: &TaskView| machine.and_then(|machine| machine.used_bytes(&task.id));
        self.list.arrange(&self.tasks, used, self.now_ms, height);
    }

    /// What keeps tasks from starting: closed gates, and what holds up the whole queue, each in its own words.
    pub(super) fn closed_gates(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let machine = self.machine.as_ref();
        let is_told = |gate: &str| {
            let mut closed = machine.into_iter().flat_map(|machine| &machine.closed);
            closed.any(|(name, _)| name == gate)
        };
        for (gate, message) in machine.into_iter().flat_map(|machine| &machine.closed) {
            let dry_run = machine.is_some_and(|machine| machine.is_dry_run);
            let dry_run = if dry_run { " (dry run)" } else { "" };
            words.push(format!("{gate}{dry_run}: {message}"));
        }
        // With an empty queue they hold up nothing.
        let holding = self.summary.blocked_by.iter().filter(|_| self.summary.queued > 0);
        for gate in holding.filter(|gate| !is_told(&gate.gate)) {
            words.push(task_text::gate_words(gate, self.now_ms));
        }
        words.extend(machine.and_then(|machine| machine.trouble.clone()));
        words
    }

    /// Whether the screen changes by itself as time passes.
    pub(super) fn moves(&self) -> bool {
        self.notice.is_some() || self.tasks.iter().any(|known| !has_ended(&known.task))
    }

    /// The selected task, or the one that is shown in full.
    pub(super) fn chosen(&self) -> Option<&TaskView> {
        match &self.detail {
            Some(detail) => Some(&detail.task),
            None => self.tasks.get(self.list.selected()?),
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
