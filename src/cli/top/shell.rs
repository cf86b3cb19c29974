//! The view's loop: sleeps until something happens, hands it to the model, does what that leads to, and draws.
//!
//! Nothing is drawn while nothing looks otherwise, and news are drawn at most ten times a second; a person's own
//! keys are answered at once.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::draw::draw;
use super::link::Link;
use super::model::{Input, Intent, Model};
use super::tail::Tail;
use super::terminal::{FrameWriter, Taken};
use super::typed::Decoder;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{screen, value};
use crate::pane::{Growth, Signals};

/// Between two frames that nobody has asked for with a key.
const FRAME_EVERY: Duration = Duration::from_millis(100);
/// Between two that keys ask for: a key that is held down repeats each 30 ms.
const KEY_FRAME_EVERY: Duration = Duration::from_millis(15);
/// The daemon is asked for the summary this soon after something has happened at most.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// And without anything that it tells: the machine is read all the time, and only told when asked.
const ASK_ANYWAY_EVERY: Duration = Duration::from_secs(2);
/// Durations are shown in seconds.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// What follows an Escape follows within this time, even over a slow line.
const ESCAPE_WITHIN: Duration = Duration::from_millis(30);

/// Shows the view until a person or a signal ends it.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    // Before the terminal is taken: what fails is said on a screen that can be read.
    let (status, link) = Link::start(context)?;
    let watching = |error| Failure::bug(format!("cannot watch for signals and files: {error}"));
    let signals = Rc::new(Signals::catch().map_err(watching)?);
    let growth = Growth::new().map_err(watching)?;
    let taken = Taken::take().map_err(|error| Failure::bug(format!("cannot take the terminal: {error}")))?;
    let taken = taken.ok_or_else(no_terminal)?;
    let size = taken.size()?;
    let backend = CrosstermBackend::new(taken.writer(Rc::clone(&signals))?);
    let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
    let now = Instant::now();
    let mut shell = Shell {
        model: Model::new(size, value::now_ms()),
        terminal: Terminal::with_options(backend, TerminalOptions { viewport })?,
        has_color: screen::stdout_has_color(),
        link,
        signals,
        growth,
        taken,
        decoder: Decoder::default(),
        tail: None,
        tail_has_more: false,
        drawn: None,
        key_pressed: false,
        typed_at: now,
        asked_at: None,
        tick_at: now + TICK_EVERY,
    };
    shell.update(Input::Picture(status));
    shell.run()
}

/// What to do without a terminal.
pub(super) fn no_terminal() -> Failure {
    Failure::usage("top needs a terminal, for its screen and for its keys")
        .hint("`wezterm-parallel status --watch` prints the queue on each change, to a file too")
}

struct Shell<'a> {
    model: Model,
    /// Before `taken`: it may say a last word to the terminal.
    terminal: Terminal<CrosstermBackend<FrameWriter>>,
    has_color: bool,
    link: Link<'a>,
    signals: Rc<Signals>,
    growth: Growth,
    taken: Taken,
    decoder: Decoder,
    tail: Option<Tail>,
    tail_has_more: bool,
    drawn: Option<Instant>,
    /// Since the last frame.
    key_pressed: bool,
    typed_at: Instant,
    asked_at: Option<Instant>,
    tick_at: Instant,
}

/// Whether to go on.
type Goes = Option<Exit>;

impl Shell<'_> {
    fn run(&mut self) -> Result<Exit, Failure> {
        let mut needs_frame = true;
        loop {
            self.follow();
            needs_frame |= self.model.take_changed();
            let now = Instant::now();
            if needs_frame && self.frame_due_in(now).is_zero() {
                self.draw(now)?;
                needs_frame = false;
            }
            let typed = self.wait(needs_frame)?;
            if self.signals.have_ended() {
                return Err(Failure::interrupted(""));
            }
            if let Some(exit) = self.turn(typed)? {
                return Ok(exit);
            }
        }
    }

    /// Hands everything that has happened to the model.
    fn turn(&mut self, typed: bool) -> Result<Goes, Failure> {
        let now = Instant::now();
        if self.signals.take_resized() {
            let size = self.taken.size()?;
            self.terminal.resize(Rect::new(0, 0, size.0, size.1))?;
            self.key_pressed = true;
            self.update(Input::Resize(size.0, size.1));
        }
        if let Some(exit) = self.take_typed(typed, now)? {
            return Ok(Some(exit));
        }
        for input in self.link.take(now)? {
            self.update(input);
        }
        if self.tick_at <= now {
            self.tick_at = now + TICK_EVERY;
            self.update(Input::Tick);
        }
        self.ask_if_due(now);
        Ok(None)
    }

    fn take_typed(&mut self, typed: bool, now: Instant) -> Result<Goes, Failure> {
        let what = if typed {
            self.typed_at = now;
            let bytes = self.taken.read();
            if bytes.is_empty() {
                // The terminal has gone, and with it the reason to be here.
                return Ok(Some(Exit::Ok));
            }
            self.decoder.feed(&bytes)
        } else if now.duration_since(self.typed_at) >= ESCAPE_WITHIN {
            self.decoder.settle()
        } else {
            Vec::new()
        };
        for typed in what {
            self.key_pressed = true;
            for intent in self.model.update(value::now_ms(), Input::Typed(typed)) {
                if let Some(exit) = self.perform(intent)? {
                    return Ok(Some(exit));
                }
            }
            // The next key is about the rows as this one has left them.
            self.model.arrange();
        }
        Ok(None)
    }

    fn update(&mut self, input: Input) {
        for intent in self.model.update(value::now_ms(), input) {
            // What was not typed ends nothing.
            let _ = self.perform(intent);
        }
    }

    fn perform(&mut self, intent: Intent) -> Result<Goes, Failure> {
        let inputs = match intent {
            Intent::Quit => return Ok(Some(Exit::Ok)),
            Intent::Suspend => {
                self.taken.lend()?;
                self.terminal.clear()?;
                let size = self.taken.size()?;
                vec![Input::Resize(size.0, size.1)]
            }
            Intent::Do(message, done) => self.link.change(&message, done),
            Intent::Explain(id) => self.link.explain(id),
        };
        for input in inputs {
            self.update(input);
        }
        Ok(None)
    }

    /// Asks how everything stands, if that may have changed or is old, and the last answer is there.
    fn ask_if_due(&mut self, now: Instant) {
        if self.ask_due_in(now) == Some(Duration::ZERO) {
            self.asked_at = Some(now);
            let (tasks, processes) = (self.model.is_misplaced(), self.model.has_processes());
            for input in self.link.look(tasks, processes) {
                self.update(input);
            }
        }
    }

    fn ask_due_in(&self, now: Instant) -> Option<Duration> {
        if self.model.is_away || self.link.is_waiting() {
            return None;
        }
        let wait = if self.model.is_stale() || self.model.is_misplaced() {
            ASK_EVERY
        } else {
            ASK_ANYWAY_EVERY
        };
        let passed = self.asked_at.map(|at| now.duration_since(at));
        Some(passed.map_or(Duration::ZERO, |passed| wait.saturating_sub(passed)))
    }

    fn frame_due_in(&self, now: Instant) -> Duration {
        let wait = if self.key_pressed {
            KEY_FRAME_EVERY
        } else {
            FRAME_EVERY
        };
        let passed = self.drawn.map(|at| now.duration_since(at));
        passed.map_or(Duration::ZERO, |passed| wait.saturating_sub(passed))
    }

    fn draw(&mut self, now: Instant) -> io::Result<()> {
        let (model, has_color) = (&self.model, self.has_color);
        self.terminal.draw(|frame| draw(frame, model, has_color))?;
        self.drawn = Some(now);
        self.key_pressed = false;
        Ok(())
    }

    /// Reads what the worker has written whose task is shown in full.
    fn follow(&mut self) {
        self.tail_has_more = false;
        let shown = self.model.detail.as_ref().and_then(|detail| {
            let last = detail.task.attempts.last()?;
            Some((detail.serial, last.clone()))
        });
        let Some((serial, attempt)) = shown else {
            if self.tail.take().is_some() {
                self.growth.forget();
            }
            return;
        };
        let width = usize::from(self.model.size.0);
        let tail = match &mut self.tail {
            Some(tail) if tail.is_of(serial, &attempt) => tail,
            other => other.insert(Tail::new(serial, &attempt, width)),
        };
        tail.set_width(width);
        match tail.folder() {
            Some(folder) => self.growth.follow(&folder),
            None => self.growth.forget(),
        }
        match tail.read(attempt.outcome.is_some()) {
            Ok((text, more)) => {
                self.tail_has_more = more;
                if !text.is_empty() {
                    self.update(Input::Output(text));
                }
            }
            Err(failure) => self.update(Input::Refused(failure.message)),
        }
    }

    /// Sleeps until something happens or is due; whether something was typed.
    fn wait(&mut self, needs_frame: bool) -> Result<bool, Failure> {
        let timeout = self.sleep(needs_frame, Instant::now()).map(|wait| Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        });
        let mut waiting = vec![
            PollFd::from_borrowed_fd(self.taken.input(), PollFlags::IN),
            PollFd::new(&*self.signals, PollFlags::IN),
            PollFd::new(&self.growth, PollFlags::IN),
        ];
        waiting.extend(
            self.link
                .descriptors()
                .map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)),
        );
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::bug(format!("cannot wait for news: {error}"))),
        }
        let is_ready = |n: usize| !waiting[n].revents().is_empty();
        let (typed, signalled, grown) = (is_ready(0), is_ready(1), is_ready(2));
        if signalled {
            self.signals.heard();
        }
        if grown {
            self.growth.heard();
        }
        Ok(typed)
    }

    /// How long nothing needs to be done by itself.
    fn sleep(&self, needs_frame: bool, now: Instant) -> Option<Duration> {
        let waits = [
            self.link.rest(now),
            self.ask_due_in(now),
            needs_frame.then(|| self.frame_due_in(now)),
            self.model
                .moves()
                .then(|| self.tick_at.saturating_duration_since(now)),
            self.decoder.is_pending().then_some(ESCAPE_WITHIN),
            self.tail_has_more.then_some(Duration::ZERO),
            self.growth.look_within(),
        ];
        waits.into_iter().flatten().min()
    }
}
