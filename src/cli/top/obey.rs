//! What keys and the mouse do.
//!
//! Pure. What would hurt is asked for again: a running task that is cancelled, and a pause of everything.

use super::answering::{edit, Answering, Led};
use super::areas::Areas;
use super::filter::Filter;
use super::list::Step;
use super::model::{Dialog, Intent, Model};
use super::tasks::{class, Class};
use super::typed::{Key, Typed};
use crate::cli::process_text::stands;
use crate::cli::task_text::has_ended;
use crate::protocol::{Cancel, EditTask, Ids, Message, Retry, TaskView};

/// One press of `+` or `-`.
const PRIORITY_STEP: u8 = 10;
/// Keys that change a task change none that nobody has chosen.
const NONE_CHOSEN: &str = "choose a task first: ↑ ↓ or a click";
/// One notch of the wheel.
const WHEEL_LINES: usize = 3;

impl Model {
    /// Does what a person wants.
    pub(super) fn obey(&mut self, typed: Typed) -> Vec<Intent> {
        match typed {
            Typed::Key(Key::Ctrl('c')) => return vec![Intent::Quit],
            Typed::Key(Key::Ctrl('z')) => return vec![Intent::Suspend],
            Typed::Key(key) => {
                self.notice = None;
                match self.dialog.take() {
                    Some(dialog) => return self.obey_in_dialog(dialog, key),
                    None => return self.obey_key(key),
                }
            }
            Typed::Paste(text) => self.paste(&text),
            Typed::Click { column, row } => self.click(column, row),
            Typed::Wheel { up, .. } => self.wheel(up),
        }
        Vec::new()
    }

    fn obey_key(&mut self, key: Key) -> Vec<Intent> {
        match key {
            Key::Char('q') => return vec![Intent::Quit],
            Key::Escape => self.step_back(),
            Key::Char('?') => self.dialog = Some(Dialog::Help),
            Key::Char('/') => self.ask_for_words(),
            Key::Char('s') => self.list.sort_by_next(),
            Key::Char('S') => self.list.reverse(),
            Key::Char('n') => self.find_again(false),
            Key::Char('N') => self.find_again(true),
            Key::Enter | Key::Char('f') => self.open_or_close(),
            Key::Tab => self.turn_detail(),
            Key::Char('P') => return self.pause_all(),
            Key::Up | Key::Char('k') => self.go(Step::Up),
            Key::Down | Key::Char('j') => self.go(Step::Down),
            Key::PageUp => self.go(Step::PageUp),
            Key::PageDown | Key::Char(' ') => self.go(Step::PageDown),
            Key::Home | Key::Char('g') => self.go(Step::First),
            Key::End | Key::Char('G') => self.go(Step::Last),
            Key::Char(other) => return self.obey_command(other),
            Key::Ctrl(_) | Key::Backspace => {}
        }
        Vec::new()
    }

    /// Keys that are about the chosen task.
    fn obey_command(&mut self, key: char) -> Vec<Intent> {
        if !"cr+=-hpa".contains(key) {
            return Vec::new();
        }
        let Some(task) = self.chosen().cloned() else {
            self.notice(NONE_CHOSEN, true);
            return Vec::new();
        };
        match key {
            'c' => self.cancel(&task),
            'r' => self.retry(&task),
            '+' | '=' => self.weigh(&task, task.priority.saturating_add(PRIORITY_STEP)),
            '-' => self.weigh(&task, task.priority.saturating_sub(PRIORITY_STEP)),
            'h' => self.hold(&task),
            'p' => self.pause(&task),
            _ => {
                self.answer(&task);
                Vec::new()
            }
        }
    }

    fn refuse(&mut self, words: String) -> Vec<Intent> {
        self.notice(words, true);
        Vec::new()
    }

    fn cancel(&mut self, task: &TaskView) -> Vec<Intent> {
        let id = &task.id;
        if has_ended(task) {
            return self.refuse(format!(
                "task {id} {}: there is nothing to cancel",
                stands(&task.state)
            ));
        }
        let message = Message::Cancel(Cancel {
            ids: vec![id.clone()],
            ..Cancel::default()
        });
        let done = format!("task {id} is cancelled");
        if class(task) != Class::Active {
            return vec![Intent::Do(message, done)];
        }
        self.dialog = Some(Dialog::Confirm {
            question: format!(
                "task {id} {}: stop it and everything that it has started?",
                stands(&task.state)
            ),
            message,
            done,
        });
        Vec::new()
    }

    fn retry(&mut self, task: &TaskView) -> Vec<Intent> {
        let id = &task.id;
        if !has_ended(task) {
            return self.refuse(format!(
                "task {id} {}: it can run again after its end",
                stands(&task.state)
            ));
        }
        let message = Message::Retry(Retry {
            ids: vec![id.clone()],
            ..Retry::default()
        });
        vec![Intent::Do(
            message,
            format!("task {id} runs again once a slot is free"),
        )]
    }

    fn weigh(&mut self, task: &TaskView, priority: u8) -> Vec<Intent> {
        let id = &task.id;
        if has_ended(task) {
            return self.refuse(format!(
                "task {id} {}: its priority means nothing",
                stands(&task.state)
            ));
        }
        let edit = EditTask {
            id: id.clone(),
            priority: Some(priority),
            ..EditTask::default()
        };
        let done = format!("task {id} has priority {priority}");
        self.tasks.expect_priority(id, priority);
        vec![Intent::Do(Message::Edit(Box::new(edit)), done)]
    }

    fn hold(&mut self, task: &TaskView) -> Vec<Intent> {
        let id = &task.id;
        let ids = of(task);
        match class(task) {
            _ if task.state == "held" => {
                vec![Intent::Do(
                    Message::Release(ids),
                    format!("task {id} is released"),
                )]
            }
            Class::Queued | Class::Aside => {
                vec![Intent::Do(Message::Hold(ids), format!("task {id} is held"))]
            }
            Class::Active | Class::Ended => self.refuse(format!(
                "task {id} {}: what waits can be held",
                stands(&task.state)
            )),
        }
    }

    fn pause(&mut self, task: &TaskView) -> Vec<Intent> {
        let id = &task.id;
        match task.state.as_str() {
            "paused" => vec![Intent::Do(
                Message::Resume(of(task)),
                format!("task {id} goes on"),
            )],
            "running" => vec![Intent::Do(
                Message::Pause(of(task)),
                format!("task {id} is paused"),
            )],
            state => self.refuse(format!(
                "task {id} {}: what runs can be paused, `h` holds what waits",
                stands(state)
            )),
        }
    }

    fn pause_all(&mut self) -> Vec<Intent> {
        if self.summary.paused {
            let done = "starts are resumed".to_owned();
            return vec![Intent::Do(Message::Resume(Ids::default()), done)];
        }
        self.dialog = Some(Dialog::Confirm {
            question: "pause all starts? What runs goes on, and nothing new starts".to_owned(),
            message: Message::Pause(Ids::default()),
            done: "starts are paused".to_owned(),
        });
        Vec::new()
    }

    fn answer(&mut self, task: &TaskView) {
        match task.questions.first() {
            Some(question) => {
                self.dialog = Some(Dialog::Answer(Box::new(Answering::new(&task.id, question))));
            }
            None => self.notice(
                format!("task {} asks nothing: it {}", task.id, stands(&task.state)),
                true,
            ),
        }
    }

    fn obey_in_dialog(&mut self, dialog: Dialog, key: Key) -> Vec<Intent> {
        match dialog {
            Dialog::Help => Vec::new(),
            Dialog::Confirm { message, done, .. } => match key {
                Key::Char('y' | 'Y') => vec![Intent::Do(message, done)],
                _ => {
                    self.notice("nothing was done", false);
                    Vec::new()
                }
            },
            Dialog::Words { finds, text, before } => {
                self.type_words(finds, text, before, key);
                Vec::new()
            }
            Dialog::Answer(mut answering) => match answering.key(key) {
                Led::On => {
                    self.dialog = Some(Dialog::Answer(answering));
                    Vec::new()
                }
                Led::Away => Vec::new(),
                Led::Done(answer, words) => vec![Intent::Do(Message::Answer(answer), words)],
            },
        }
    }

    fn ask_for_words(&mut self) {
        self.dialog = Some(Dialog::Words {
            finds: false,
            text: self.list.filter.text().to_owned(),
            before: self.list.filter.clone(),
        });
    }

    fn type_words(&mut self, finds: bool, mut text: String, before: Filter, key: Key) {
        match key {
            Key::Escape => {
                self.list.filter = before;
                return;
            }
            Key::Enter if finds => {
                let wanted = Filter::new(&text);
                if !wanted.is_empty() && !self.list.find(wanted, &self.tasks) {
                    self.notice(format!("no task fits `{}`", text.trim()), true);
                }
                return;
            }
            Key::Enter => return,
            Key::Tab => {
                let finds = !finds;
                self.list.filter = if finds { before.clone() } else { Filter::new(&text) };
                self.dialog = Some(Dialog::Words { finds, text, before });
                return;
            }
            other => edit(&mut text, other),
        }
        if !finds {
            self.list.filter = Filter::new(&text);
        }
        self.dialog = Some(Dialog::Words { finds, text, before });
    }

    fn paste(&mut self, pasted: &str) {
        match &mut self.dialog {
            Some(Dialog::Words { finds, text, .. }) => {
                text.push_str(pasted);
                if !*finds {
                    self.list.filter = Filter::new(text);
                }
            }
            Some(Dialog::Answer(answering)) => answering.paste(pasted),
            // Text that lands here by mistake is no list of commands.
            _ => {}
        }
    }

    fn find_again(&mut self, backwards: bool) {
        match self.list.find_again(&self.tasks, backwards) {
            Some(true) => {}
            Some(false) => self.notice("no other task fits", true),
            None => self.notice("nothing was looked for yet: `/`, then Tab", true),
        }
    }

    /// Closes what is open, one after the other.
    fn step_back(&mut self) {
        if self.detail.take().is_some() {
            return;
        }
        if self.list.filter.is_empty() {
            self.list.let_go();
        }
        self.list.filter = Filter::default();
    }

    fn open_or_close(&mut self) {
        if self.detail.take().is_none() {
            self.open_detail();
            if self.detail.is_none() {
                self.notice(NONE_CHOSEN, true);
            }
        }
    }

    fn turn_detail(&mut self) {
        if let Some(detail) = &mut self.detail {
            detail.shows_facts = !detail.shows_facts;
        }
    }

    /// Moves the selection, or what is shown in full.
    fn go(&mut self, step: Step) {
        let page = usize::from(self.size.1 / 2).max(1);
        let Some(detail) = &mut self.detail else {
            self.list.go(step);
            return;
        };
        let (up, lines) = match step {
            Step::Up => (true, 1),
            Step::Down => (false, 1),
            Step::PageUp => (true, page),
            Step::PageDown => (false, page),
            Step::First => (true, usize::MAX),
            Step::Last => (false, usize::MAX),
        };
        detail.scroll(up, lines);
    }

    fn wheel(&mut self, up: bool) {
        if let Some(detail) = &mut self.detail {
            return detail.scroll(up, WHEEL_LINES);
        }
        let step = if up { Step::Up } else { Step::Down };
        (0..WHEEL_LINES).for_each(|_| self.list.go(step));
    }

    fn click(&mut self, column: u16, row: u16) {
        let Some(areas) = Areas::of(self).filter(|_| self.dialog.is_none()) else {
            return;
        };
        if let Some(heading) = areas.heading_at(column, row) {
            self.list.sort_by(heading);
            return;
        }
        let Some(row) = areas.row_at(row) else { return };
        let before = self.list.selected().map(str::to_owned);
        let has_row = self.list.click(row);
        // The second click on a task opens it; beside an open one, the first one does.
        let again = self.list.selected() == before.as_deref();
        if has_row && (self.detail.is_some() || again) {
            self.open_detail();
        }
    }
}

impl super::model::Detail {
    /// Moves what is in front: the facts, or the output.
    fn scroll(&mut self, up: bool, lines: usize) {
        if self.shows_facts || self.output.is_empty() {
            self.facts_scroll = if up {
                self.facts_scroll.saturating_sub(lines)
            } else {
                self.facts_scroll.saturating_add(lines).min(1_000)
            };
        } else if up {
            self.output.scroll_up(lines);
        } else {
            self.output.scroll_down(lines);
        }
    }
}

fn of(task: &TaskView) -> Ids {
    Ids {
        ids: vec![task.id.clone()],
        ..Ids::default()
    }
}
