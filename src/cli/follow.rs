//! `follow`: shows what tasks write while they write it, until they end.
//!
//! The bytes come from the attempt's own files; the daemon only says when an attempt begins and
//! ends. So a follower that is slow, or a daemon that restarts, holds up nobody.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::attempt_output::{self, AttemptOutput, Shown};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::output_file::OutputFile;
use super::prefix::PrefixWriter;
use super::question_text::Teller;
use super::task_text::{end_words, has_ended, has_succeeded, outcome_words, pause_words};
use super::watch::Watch;
use super::{claude_text, screen, text, value, wait};
use crate::protocol::{AttemptView, TaskView};

/// How soon new output shows; files are looked at this often while they do not grow.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// With nothing running, only Ctrl-C needs a look.
const IDLE_LOOK_EVERY: Duration = Duration::from_millis(200);
/// A task that has not begun after this long is said to wait; most begin at once.
const WAIT_TOLD_AFTER: Duration = Duration::from_secs(1);
/// Pieces that one task may pass on before the others and the daemon's news get a turn.
const PIECES_PER_TURN: usize = 64;

/// Show what tasks write, as they write it, until they end
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It begins at the start of the current attempt and goes on through retries.\n\
                  Exit 0 if all tasks succeeded, 1 if not. Ctrl-C ends the following, not the\n\
                  tasks."
)]
pub(crate) struct FollowArgs {
    /// The tasks; with several, each line begins with `[ID]`
    #[arg(value_name = "ID", required = true, value_parser = value::task_id)]
    ids: Vec<String>,
    /// Begin with the last lines of what is there
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// The bytes as they were written, rather than what Claude did as people read it
    #[arg(long)]
    raw: bool,
}

impl FollowArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let shown = Shown {
            raw: self.raw,
            tail: self.tail,
            ..Shown::default()
        };
        follow(context, &self.ids, shown)
    }
}

/// Follows these tasks, which must exist, until all have ended.
pub(crate) fn follow(context: &Context, ids: &[String], shown: Shown) -> Result<Exit, Failure> {
    let watch = Watch::start(context, ids)?;
    if let Some(id) = ids.iter().find(|id| watch.task(id).is_none()) {
        return Err(wait::unknown_task(id));
    }
    let mut followers = Followers::new(watch, ids, shown)?;
    let interrupt = Interrupt::catch()?;
    while !followers.open.is_empty() {
        interrupt.check(|| wait::goes_on(&followers.open))?;
        followers.turn()?;
    }
    Ok(followers.exit)
}

/// Several tasks followed at once.
pub(crate) struct Followers<'a> {
    watch: Watch<'a>,
    /// The tasks whose end has not been shown.
    pub(crate) open: HashSet<String>,
    /// The tasks that have begun and may have more to show.
    streams: BTreeMap<String, Stream>,
    stdout: File,
    prefixed: bool,
    shown: Shown,
    teller: Teller,
    /// When to say that the task has not begun; `None` once that was looked at.
    tell_wait_at: Option<Instant>,
    /// How it stands: 0 until a task ends without success.
    pub(crate) exit: Exit,
}

/// How far one task has been shown.
#[derive(Default)]
struct Stream {
    attempt: u32,
    output: Option<AttemptOutput>,
    errors: Option<OutputFile>,
    prefix: PrefixWriter,
    /// It was said that the attempt is over and what comes next.
    paused: bool,
}

impl<'a> Followers<'a> {
    /// Follows tasks that are watched.
    pub(crate) fn new(watch: Watch<'a>, ids: &[String], shown: Shown) -> Result<Self, Failure> {
        let mut followers = Self {
            watch,
            open: ids.iter().cloned().collect(),
            streams: BTreeMap::new(),
            stdout: screen::raw_stdout()?,
            prefixed: ids.len() > 1,
            shown,
            teller: Teller::default(),
            // Of many tasks, most wait.
            tell_wait_at: (ids.len() == 1).then(|| Instant::now() + WAIT_TOLD_AFTER),
            exit: Exit::Ok,
        };
        for id in ids {
            followers.notice(id);
        }
        Ok(followers)
    }

    /// Shows what there is, then waits a little for more.
    pub(crate) fn turn(&mut self) -> Result<Vec<String>, Failure> {
        let mut moved = false;
        let ids: Vec<String> = self.streams.keys().cloned().collect();
        for id in ids {
            moved |= self.show(&id)?;
        }
        let timeout = match (moved, self.streams.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => IDLE_LOOK_EVERY,
            (false, false) => LOOK_EVERY,
        };
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        self.tell_wait();
        let changed = self.watch.step(timeout)?;
        for id in &changed {
            self.notice(id);
        }
        Ok(changed)
    }

    /// What is known of a followed task.
    pub(crate) fn task(&self, id: &str) -> Option<&TaskView> {
        self.watch.task(id)
    }

    /// Says of a task that has not begun what it waits for, once.
    fn tell_wait(&mut self) {
        if self.tell_wait_at.take_if(|at| *at <= Instant::now()).is_none() || !self.streams.is_empty() {
            return;
        }
        let waiting = self.open.iter().filter_map(|id| self.watch.task(id));
        for words in waiting.filter_map(|task| pause_words(task, value::now_ms())) {
            screen::note(&words);
        }
    }

    /// A task that has begun, or is over, gets a stream.
    fn notice(&mut self, id: &str) {
        let begun = self
            .watch
            .task(id)
            .is_none_or(|task| !task.attempts.is_empty() || has_ended(task));
        if begun && self.open.contains(id) && !self.streams.contains_key(id) {
            let stream = Stream {
                attempt: self.watch.task(id).map_or(0, first_to_show),
                prefix: PrefixWriter::new(self.prefixed.then_some(id)),
                ..Stream::default()
            };
            self.streams.insert(id.to_owned(), stream);
        }
    }

    /// Shows what one task has written; whether there may be more at once.
    fn show(&mut self, id: &str) -> Result<bool, Failure> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Ok(false);
        };
        let Some(task) = self.watch.task(id) else {
            screen::note(&format!("task {id}: removed before it could be seen to end"));
            self.exit = Exit::NotSucceeded;
            self.close(id);
            return Ok(true);
        };
        // Whether it had ended is read before its files: then nothing can come after them.
        let attempt = task.attempts.iter().find(|attempt| attempt.n == stream.attempt);
        let Some(attempt) = attempt else {
            if has_ended(task) {
                self.end(id);
            }
            return Ok(false);
        };
        if stream.open(attempt, self.shown)? {
            self.shown.tail = self.shown.tail.filter(|_| self.prefixed);
            stream.announce(id, attempt, self.prefixed);
        }
        if stream.copy(&mut self.stdout)? {
            return Ok(true);
        }
        self.teller
            .news(task)
            .iter()
            .for_each(|words| screen::note(words));
        if attempt.outcome.is_none() {
            return Ok(false);
        }
        stream.finish(&mut self.stdout)?;
        if let Some(next) = task.attempts.iter().find(|next| next.n > stream.attempt) {
            stream.tell_end(attempt);
            stream.begin(next.n);
            return Ok(true);
        }
        if has_ended(task) {
            self.end(id);
            return Ok(true);
        }
        if let Some(words) = pause_words(task, value::now_ms()).filter(|_| !stream.paused) {
            stream.tell_end(attempt);
            stream.paused = true;
            screen::note(&words);
        }
        Ok(false)
    }

    fn end(&mut self, id: &str) {
        if let Some(task) = self.watch.task(id) {
            if !has_succeeded(task) {
                let message = task.attempts.last().and_then(claude_text::message_words);
                if let Some(message) = message {
                    screen::note(&format!("task {id}: {message}"));
                }
                screen::note(&end_words(task));
                self.exit = Exit::NotSucceeded;
            }
            wait::tell_worktree(task);
        }
        self.close(id);
    }

    fn close(&mut self, id: &str) {
        self.streams.remove(id);
        self.open.remove(id);
    }
}

/// The attempt that runs, or the last one.
fn first_to_show(task: &TaskView) -> u32 {
    task.attempts.last().map_or(0, |attempt| attempt.n)
}

impl Stream {
    fn begin(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.output = None;
        self.errors = None;
        self.paused = false;
    }

    /// Says how an attempt ended that is not the last one, once.
    fn tell_end(&self, attempt: &AttemptView) {
        if !self.paused {
            let (prefix, n) = (self.prefix.words(), attempt.n);
            screen::note(&format!("{prefix}attempt {n} ended: {}", outcome_words(attempt)));
        }
    }

    /// Opens what is there by now; whether the output has just been opened.
    fn open(&mut self, attempt: &AttemptView, shown: Shown) -> Result<bool, Failure> {
        if self.errors.is_none() {
            self.errors = attempt_output::open(&Path::new(&attempt.folder).join("stderr"))?;
        }
        if self.output.is_some() {
            return Ok(false);
        }
        self.output = AttemptOutput::open(attempt, shown)?;
        Ok(self.output.is_some())
    }

    /// The first attempt of a task that is followed alone needs no heading.
    fn announce(&self, id: &str, attempt: &AttemptView, prefixed: bool) {
        if attempt.n > 1 && !prefixed {
            let dim = text::DIM;
            screen::note(&format!("{dim}--- task {id}, attempt {} ---{dim:#}", attempt.n));
        }
    }

    /// Passes on what there is, up to a turn's worth; whether there may be more.
    fn copy(&mut self, stdout: &mut File) -> Result<bool, Failure> {
        if let Some(errors) = &mut self.errors {
            let mut stderr = std::io::stderr().lock();
            while errors.copy_piece(&mut stderr)? {}
        }
        let Some(output) = &mut self.output else {
            return Ok(false);
        };
        for _ in 0..PIECES_PER_TURN {
            let more = output.copy_piece(&mut self.prefix.onto(stdout))?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The attempt is over, and everything that it wrote is there.
    fn finish(&mut self, stdout: &mut File) -> Result<(), Failure> {
        if let Some(output) = &mut self.output {
            output.finish(true, &mut self.prefix.onto(stdout))?;
        }
        self.prefix.finish(stdout)?;
        // Elsewhere than on a screen, the bytes stay as they are.
        if self.prefix.is_open() && screen::stdout_is_terminal() {
            self.prefix.onto(stdout).write_all(b"\n")?;
        }
        Ok(())
    }
}
