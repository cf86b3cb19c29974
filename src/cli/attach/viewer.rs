//! The viewer itself: what is shown now, what comes next, and what wakes it.
//!
//! Each turn shows what there is, then sleeps until the worker's files grow, the daemon has news, a key is
//! pressed or a signal comes.

mod news;
mod obey;

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::page::Page;
use super::shown::ShownAttempt;
use super::subscription::Subscription;
use super::{words, AttachArgs};
use crate::cli::attempt_output::Shown;
use crate::cli::claude_text::message_words;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::question_text::Teller;
use crate::cli::task_text::{end_words, has_ended, has_succeeded, pause_words};
use crate::cli::{screen, value, worktree_text};
use crate::pane::wezterm::is_busy;
use crate::pane::{settle, Growth, Keys, Signals};
use crate::protocol::{StatusAnswer, TaskView};
use news::Away;
use obey::Sure;

/// The last lines are looked for in so many bytes: they are read and rendered within 100 ms.
const TAIL_BYTES: u64 = 4 << 20;
/// Whoever asks for many lines gets them, as long as they are of the usual lengths.
const TAIL_LINE_BYTES: u64 = 1 << 10;
/// Attempts that were shown and are not shown again.
const SEEN_MAX: usize = 100;

/// Shows what was asked for until a person, a signal or, with nobody at a keyboard, the task's end says so.
pub(super) fn watch(context: &Context, args: &AttachArgs) -> Result<Exit, Failure> {
    let watching = |error| Failure::bug(format!("cannot watch for signals and files: {error}"));
    let signals = Signals::catch().map_err(watching)?;
    let growth = Growth::new().map_err(watching)?;
    if args.viewer.is_some() && screen::stdout_is_terminal() {
        let data = context.paths()?.data;
        settle(
            screen::raw_stdout()?.as_fd(),
            || is_busy(&data),
            || signals.have_ended(),
        );
    }
    let (status, subscription) = Subscription::start(context, args.subscribe())?;
    // Who reads from a pipe has the keyboard.
    let keys = screen::stdout_is_terminal()
        .then(Keys::listen)
        .transpose()
        .map_err(|error| Failure::bug(format!("cannot read single keys: {error}")))?;
    let keys = keys.flatten();
    let mut viewer = Viewer {
        context,
        args,
        page: Page::new(signals, !args.no_title)?,
        keys,
        subscription,
        growth,
        teller: Teller::default(),
        task: None,
        is_gone: false,
        attempt: None,
        shown_to: 0,
        next: VecDeque::new(),
        passed: 0,
        seen: VecDeque::new(),
        rested: None,
        sure: Sure::default(),
        away: None,
    };
    let result = viewer.begin(status).and_then(|()| viewer.run());
    viewer.page.leave();
    result
}

struct Viewer<'a> {
    context: &'a Context,
    args: &'a AttachArgs,
    page: Page,
    /// `None` if nobody is at a keyboard.
    keys: Option<Keys>,
    subscription: Subscription<'a>,
    growth: Growth,
    teller: Teller,
    /// The task that is shown, or was shown last.
    task: Option<TaskView>,
    /// It was removed.
    is_gone: bool,
    /// The attempt whose output is shown, until its end was shown.
    attempt: Option<ShownAttempt>,
    /// Attempts of the task up to this one were shown.
    shown_to: u32,
    /// Tasks that began since.
    next: VecDeque<TaskView>,
    /// How many had to give way.
    passed: usize,
    seen: VecDeque<(String, u32)>,
    /// The task, its state and its attempts when it was last said what the viewer waits for.
    rested: Option<(String, String, u32)>,
    /// Whether a task that runs is to be cancelled is asked first.
    sure: Sure,
    away: Option<Away>,
}

impl Viewer<'_> {
    fn begin(&mut self, status: StatusAnswer) -> Result<(), Failure> {
        if self.keys.is_some() {
            self.page.mark_pastes()?;
        }
        let slots = status.summary.slots;
        if self.args.slot.is_some_and(|slot| slot >= slots) {
            self.page.say(&words::note(&words::pool(slots)))?;
        }
        for task in status.tasks {
            if self.args.goes_on() {
                self.queue_up(task);
            } else {
                self.take_up(task);
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Exit, Failure> {
        loop {
            let more = self.show()?;
            self.page
                .tell_tab(words::tab(self.task.as_ref(), &self.place()))?;
            if !more && self.keys.is_none() && self.is_over() {
                return Ok(self.outcome());
            }
            if self.wait(more)? {
                return Ok(Exit::Ok);
            }
            if self.page.signals.have_ended() {
                return Err(Failure::interrupted(""));
            }
            if self.page.signals.take_resized() {
                if let Some(attempt) = &mut self.attempt {
                    attempt.set_width(screen::width());
                }
            }
            for news in self.subscription.take()? {
                self.hear(news)?;
            }
            self.mind_the_daemon()?;
            if let Some(exit) = self.obey_keys()? {
                return Ok(exit);
            }
        }
    }

    /// What goes on from task to task; it names the tab while no task is shown. Empty for one task alone.
    fn place(&self) -> String {
        match (&self.args.slot, &self.args.workspace) {
            (Some(slot), _) => format!("slot {slot}"),
            (None, Some(name)) => format!("workspace {name}"),
            (None, None) => String::new(),
        }
    }

    /// Shows what there is; whether there may be more at once.
    fn show(&mut self) -> Result<bool, Failure> {
        let Some(task) = &self.task else {
            return self.rest();
        };
        let Some(attempt) = &mut self.attempt else {
            return self.show_next_attempt();
        };
        // How it stands is older than what is read now: once it has ended, nothing can come after that.
        let view = task.attempts.iter().find(|view| view.n == attempt.n());
        let has_ended = self.is_gone || view.is_none_or(|view| view.outcome.is_some());
        self.growth.follow(attempt.folder());
        if attempt.copy(&mut self.page)? {
            return Ok(true);
        }
        self.tell_news()?;
        if has_ended {
            self.end_attempt()?;
        }
        Ok(has_ended)
    }

    /// What the task asks or waits for: below what it has written so far.
    fn tell_news(&mut self) -> Result<(), Failure> {
        if let Some(task) = &self.task {
            for words in self.teller.news(task) {
                self.page.say(&words)?;
            }
        }
        Ok(())
    }

    fn show_next_attempt(&mut self) -> Result<bool, Failure> {
        if let Some(task) = self.task.take_if(|task| self.args.is_elsewhere(task)) {
            let last = task.attempts.last().map_or(0, |last| last.n);
            self.have_seen(task.id, last);
            return self.rest();
        }
        let next = |task: &TaskView| task.attempts.iter().find(|next| next.n > self.shown_to).cloned();
        let Some((task, attempt)) = self.task.as_ref().and_then(|task| Some((task, next(task)?))) else {
            self.tell_news()?;
            return self.rest();
        };
        if self.is_gone {
            return self.rest();
        }
        self.page
            .say(&words::header(task, &attempt, value::now_ms(), screen::width()))?;
        let shown = Shown {
            raw: self.args.raw,
            tail: Some(self.args.tail),
            tail_bytes_max: Some(TAIL_BYTES.max((self.args.tail as u64).saturating_mul(TAIL_LINE_BYTES))),
        };
        self.attempt = Some(ShownAttempt::new(attempt, shown));
        self.rested = None;
        Ok(true)
    }

    /// Everything that the attempt wrote was shown, but for a last line without an end.
    fn end_attempt(&mut self) -> Result<(), Failure> {
        let (Some(mut shown), Some(task)) = (self.attempt.take(), self.task.as_ref()) else {
            return Ok(());
        };
        shown.finish(&mut self.page)?;
        self.page.end_streams()?;
        self.growth.forget();
        self.shown_to = shown.n();
        if let Some(view) = task.attempts.iter().find(|view| view.n == shown.n()) {
            if let Some(message) = message_words(view) {
                self.page.say(&words::note(&message))?;
            }
            if view.outcome.is_some() {
                self.page.say(&words::footer(task, view))?;
                let worktree = [worktree_text::line(task), worktree_text::left_behind(task)];
                for words in worktree.into_iter().flatten() {
                    self.page.say(&words::note(&words))?;
                }
            }
        }
        let id = task.id.clone();
        self.have_seen(id, shown.n());
        Ok(())
    }

    /// This attempt of a task is not to be shown (again).
    fn have_seen(&mut self, id: String, n: u32) {
        self.seen.push_back((id, n));
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    /// Nothing is shown at the moment: goes on with the next task, or says what it waits for.
    fn rest(&mut self) -> Result<bool, Failure> {
        if let Some(next) = self.next.pop_front() {
            let passed = std::mem::take(&mut self.passed);
            if passed > 0 {
                let words = format!("{passed} tasks have passed unseen");
                self.page.say(&words::note(&words))?;
            }
            self.take_up(next);
            return Ok(true);
        }
        let now = self.task.as_ref().map_or_else(Default::default, |task| {
            (task.id.clone(), task.state.clone(), self.shown_to)
        });
        if self.rested.as_ref() == Some(&now) {
            return Ok(false);
        }
        self.rested = Some(now);
        let task = self.task.as_ref();
        let waits = task.and_then(|task| pause_words(task, value::now_ms()));
        let never_ran = task.filter(|task| has_ended(task) && task.attempts.is_empty());
        for words in waits.into_iter().chain(never_ran.map(end_words)) {
            self.page.say(&words::note(&words))?;
        }
        if self.keys.is_some() {
            self.page.say(&words::hint(task, &self.place()))?;
        }
        Ok(false)
    }

    /// From now on this is the task that is shown, from its last attempt on.
    fn take_up(&mut self, task: TaskView) {
        self.shown_to = task.attempts.last().map_or(0, |last| last.n - 1);
        self.subscription.show(&task.id);
        self.task = Some(task);
        self.is_gone = false;
        self.sure = Sure::default();
        self.rested = None;
    }

    /// Whether nothing more can come of the one task that is shown.
    fn is_over(&self) -> bool {
        let ended = |task: &TaskView| has_ended(task) || self.is_gone;
        !self.args.goes_on() && self.attempt.is_none() && self.task.as_ref().is_some_and(ended)
    }

    fn outcome(&self) -> Exit {
        match &self.task {
            Some(task) if has_succeeded(task) => Exit::Ok,
            _ => Exit::NotSucceeded,
        }
    }

    /// Sleeps until something happens; whether stdout has gone, and with it the reason to be here.
    fn wait(&mut self, more: bool) -> Result<bool, Failure> {
        let waits = [
            self.growth.look_within(),
            self.subscription.rest(),
            self.page.tab_due_in(),
        ];
        let wait = if more {
            Some(Duration::ZERO)
        } else {
            waits.into_iter().flatten().min()
        };
        let timeout = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        });
        let mut waiting = vec![
            PollFd::new(self.page.stdout(), PollFlags::empty()),
            PollFd::new(&self.page.signals, PollFlags::IN),
            PollFd::new(&self.growth, PollFlags::IN),
        ];
        let others = [
            self.keys.as_ref().map(Keys::as_fd),
            self.subscription.descriptor(),
        ];
        waiting.extend(
            others
                .into_iter()
                .flatten()
                .map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)),
        );
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::bug(format!("cannot wait for news: {error}"))),
        }
        let is_ready = |n: usize| !waiting[n].revents().is_empty();
        let (stdout_gone, signalled, grown) = (is_ready(0), is_ready(1), is_ready(2));
        if signalled {
            self.page.signals.heard();
        }
        if grown {
            self.growth.heard();
        }
        Ok(stdout_gone)
    }
}
