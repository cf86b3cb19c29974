//! What a batch shows while it is sent and while its tasks run: a bar on a terminal, plain lines
//! elsewhere.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::attempt_output::Shown;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow::Followers;
use crate::cli::interrupt::Interrupt;
use crate::cli::question_text::Teller;
use crate::cli::task_text::{end_words, has_ended, has_succeeded, time_words};
use crate::cli::watch::Watch;
use crate::cli::{screen, value, wait};
use crate::protocol::TaskView;

/// How soon Ctrl-C is noticed while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Plain lines come no faster than this.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Fewer tasks than this are sent before a bar could be seen.
const BAR_FROM: usize = 2_000;
/// Answers between two looks at the clock.
const SENT_STEP: usize = 256;

/// A bar on stderr that is not there when stderr is no terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// For sending `count` lines.
    pub(super) fn sending(count: usize, quiet: bool) -> Self {
        let shown = !quiet && count >= BAR_FROM;
        Self::new(count, shown, "sent    {wide_bar} {pos}/{len} {per_sec} ETA {eta}")
    }

    /// For running `count` tasks.
    fn running(count: usize, quiet: bool) -> Self {
        Self::new(count, !quiet, "{wide_bar} {pos}/{len} done{msg}, ETA {eta}")
    }

    fn new(count: usize, shown: bool, template: &str) -> Self {
        let target = if shown && screen::stderr_is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(template).expect("the templates are constants above");
        let bar = ProgressBar::with_draw_target(Some(count as u64), target);
        bar.set_style(style.progress_chars("━╸ "));
        Self(bar)
    }

    /// So many answers have come.
    pub(super) fn sent(&self, count: usize) {
        if count.is_multiple_of(SENT_STEP) {
            self.0.set_position(count as u64);
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Tasks counted by how they stand.
struct Tally {
    total: usize,
    open: HashSet<String>,
    running: HashSet<String>,
    failed: usize,
}

impl Tally {
    fn new(ids: &[String]) -> Self {
        Self {
            total: ids.len(),
            open: ids.iter().cloned().collect(),
            running: HashSet::new(),
            failed: 0,
        }
    }

    fn done(&self) -> usize {
        self.total - self.open.len()
    }

    /// Takes note of a task, `None` for one that is gone; whether it has just ended.
    fn note(&mut self, id: &str, task: Option<&TaskView>) -> bool {
        if !self.open.contains(id) {
            return false;
        }
        let ended = task.is_none_or(has_ended);
        if ended {
            self.open.remove(id);
            self.running.remove(id);
            self.failed += usize::from(!task.is_some_and(has_succeeded));
        } else if task.is_some_and(|task| task.state == "running") {
            self.running.insert(id.to_owned());
        } else {
            self.running.remove(id);
        }
        ended
    }

    /// `, 2 running, 1 failed`.
    fn rest(&self) -> String {
        match self.failed {
            0 => format!(", {} running", self.running.len()),
            failed => format!(", {} running, {failed} not succeeded", self.running.len()),
        }
    }

    fn words(&self) -> String {
        format!("{}/{} done{}", self.done(), self.total, self.rest())
    }

    fn exit(&self) -> Exit {
        if self.failed == 0 {
            Exit::Ok
        } else {
            Exit::NotSucceeded
        }
    }

    /// The last line: `50 tasks: 49 succeeded, 1 did not (1m05s)`.
    fn conclusion(&self, took: Duration) -> String {
        let took = value::short_duration(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let total = self.total;
        let tasks = if total == 1 { "task" } else { "tasks" };
        match self.failed {
            0 => format!("{total} {tasks} succeeded in {took}"),
            failed => format!(
                "{total} {tasks} ended in {took}: {} succeeded, {failed} did not",
                total - failed
            ),
        }
    }
}

/// Waits for all of them with a bar, or with a line now and then.
pub(super) fn wait(context: &Context, ids: &[String], quiet: bool) -> Result<Exit, Failure> {
    let started = Instant::now();
    let mut watch = Watch::start(context, ids)?;
    let interrupt = Interrupt::catch()?;
    let mut tally = Tally::new(ids);
    let bar = Bar::running(ids.len(), quiet);
    let mut lines = Lines::new(!quiet && !screen::stderr_is_terminal());
    let mut changed = ids.to_vec();
    let mut teller = Teller::default();
    loop {
        for id in changed {
            let task = watch.task(&id);
            for words in task.map(|task| teller.news(task)).unwrap_or_default() {
                bar.0.suspend(|| screen::note(&words));
            }
            if tally.note(&id, task) && !task.is_some_and(has_succeeded) {
                let words = task.map_or_else(
                    || format!("task {id}: removed before its end was seen"),
                    end_words,
                );
                bar.0.suspend(|| screen::note(&words));
            }
        }
        bar.0.set_position(tally.done() as u64);
        bar.0.set_message(tally.rest());
        if tally.open.is_empty() {
            bar.finish();
            if !quiet {
                screen::note(&tally.conclusion(started.elapsed()));
            }
            return Ok(tally.exit());
        }
        lines.maybe(&tally);
        interrupt.check(|| wait::goes_on(&tally.open))?;
        changed = watch.step(LOOK_EVERY)?;
    }
}

/// Plain lines of progress, not too many.
struct Lines {
    shown: bool,
    last: Instant,
    words: String,
}

impl Lines {
    fn new(shown: bool) -> Self {
        Self {
            shown,
            last: Instant::now(),
            words: String::new(),
        }
    }

    fn maybe(&mut self, tally: &Tally) {
        if !self.shown || self.last.elapsed() < LINE_EVERY {
            return;
        }
        let words = tally.words();
        if words != self.words {
            screen::note(&words);
            self.words = words;
        }
        self.last = Instant::now();
    }
}

/// Waits for all of them, showing their output and what becomes of each.
pub(super) fn follow(context: &Context, ids: &[String], quiet: bool) -> Result<Exit, Failure> {
    let started = Instant::now();
    let mut followers = Followers::new(Watch::start(context, ids)?, ids, Shown::default())?;
    let interrupt = Interrupt::catch()?;
    let mut tally = Tally::new(ids);
    let mut ends: HashMap<String, String> = HashMap::new();
    let mut changed = ids.to_vec();
    loop {
        for id in changed {
            let task = followers.task(&id);
            if tally.note(&id, task) && task.is_some_and(has_succeeded) {
                let took = task
                    .map(|task| time_words(task, value::now_ms()))
                    .unwrap_or_default();
                ends.insert(id, format!("succeeded in {took} · {}", tally.words()));
            }
        }
        // An end is told once everything that the task wrote has been shown.
        ends.retain(|id, words| {
            let open = followers.open.contains(id);
            if !open && !quiet {
                screen::note(&format!("[{id}] {words}"));
            }
            open
        });
        if followers.open.is_empty() {
            if !quiet {
                screen::note(&tally.conclusion(started.elapsed()));
            }
            return Ok(followers.exit);
        }
        interrupt.check(|| wait::goes_on(&followers.open))?;
        changed = followers.turn()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, state: &str) -> TaskView {
        TaskView {
            id: id.into(),
            state: state.into(),
            ..TaskView::default()
        }
    }

    #[test]
    fn tasks_are_counted_once() {
        let ids: Vec<String> = ["a", "b", "c"].map(Into::into).to_vec();
        let mut tally = Tally::new(&ids);
        assert!(!tally.note("a", Some(&task("a", "running"))));
        assert_eq!(tally.words(), "0/3 done, 1 running");
        assert!(tally.note("a", Some(&task("a", "succeeded"))));
        assert!(!tally.note("a", Some(&task("a", "succeeded"))));
        assert!(tally.note("b", Some(&task("b", "failed"))));
        assert_eq!(tally.words(), "2/3 done, 0 running, 1 not succeeded");
        assert!(tally.note("c", None));
        assert_eq!(tally.exit(), Exit::NotSucceeded);
        assert_eq!(
            tally.conclusion(Duration::from_millis(4_200)),
            "3 tasks ended in 4.2s: 1 succeeded, 2 did not"
        );
    }
}
