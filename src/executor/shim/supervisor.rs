//! Watches over a running command: one loop that sleeps until a signal or the next deadline.

use std::time::{Duration, Instant};

use super::input::Input;
use super::outcome::Memory;
use super::output::Output;
use super::stop::Stop;
use super::tree::Tree;
use super::{now_ms, Signals, Streams};
use crate::executor::folder::{AttemptFolder, Control};
use crate::executor::{Exit, Launch, StopCause, StopPlan};
use crate::platform::{self, Reaped, Usage};

/// A command, from its start to the end of the last process that it left behind.
pub(super) struct Supervisor<'a> {
    worker: i32,
    launch: &'a Launch,
    folder: &'a AttemptFolder,
    input: Option<Input>,
    outputs: Vec<Output>,
    tree: Tree,
    memory: Memory,
    usage: Usage,
    timeout_at: Option<Instant>,
    look_at: Instant,
    control: Control,
    stop: Option<Stop>,
    exit: Exit,
    ended: bool,
    childless: bool,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(worker: i32, launch: &'a Launch, folder: &'a AttemptFolder, streams: Streams) -> Self {
        let now = Instant::now();
        let tree = Tree::below(rustix::process::getpid().as_raw_nonzero().get());
        let memory = Memory::new(tree, now);
        let timeout = launch.timeout_ms.map(Duration::from_millis);
        Self {
            worker,
            launch,
            folder,
            input: streams.input,
            outputs: streams.outputs,
            tree,
            look_at: memory.next_at,
            memory,
            usage: Usage::default(),
            // A time beyond what the clock can express never comes.
            timeout_at: timeout.and_then(|timeout| now.checked_add(timeout)),
            control: Control::default(),
            stop: None,
            exit: Exit::default(),
            ended: false,
            childless: false,
        }
    }

    /// Until nothing is left. `note_worker` is told the worker's start time, once, and late, since
    /// most commands are over before anyone needs it. Returns also whether no process is left but
    /// this one: some are spared, or belong to someone else.
    pub(super) fn run(mut self, signals: &Signals, note_worker: impl FnOnce(u64)) -> (Exit, bool) {
        let mut note_worker = Some(note_worker);
        let mask = signals.block();
        // Whatever came before the signals were held back shows in the flags.
        loop {
            // Orphans that are no children, on systems without subreapers, end without a signal.
            if Signals::take(&signals.child) || self.stop.is_some() {
                self.reap();
            }
            if self.is_over() {
                mask.restore();
                let is_clean = self.childless;
                return (self.finish(), is_clean);
            }
            let now = Instant::now();
            if Signals::take(&signals.control) {
                self.obey(now);
                // After `control.json`: the last lines were there before the word that they are the last.
                self.input.iter_mut().for_each(Input::look);
            }
            if Signals::take(&signals.terminate) {
                self.begin_stop(self.launch.stop, StopCause::Request, now);
            }
            self.keep_time(now);
            if now >= self.look_at {
                self.look(now);
                if let Some(status) = platform::status(self.worker) {
                    if let Some(note) = note_worker.take() {
                        note(status.started);
                    }
                }
            }
            self.input.iter_mut().for_each(Input::copy);
            let awaited = self.input.as_ref().and_then(Input::awaited);
            platform::wait_for_signal(self.time_to_wait(), awaited, &mask);
        }
    }

    fn is_over(&self) -> bool {
        if !self.ended || self.childless {
            return self.ended;
        }
        let hopeless = self.stop.as_ref().is_some_and(Stop::is_hopeless);
        // Dead children are collected by now, so whoever remains beside the tree is spared.
        hopeless || self.tree.members().is_empty()
    }

    /// Collects whoever has ended. The common case, a command that leaves nothing, ends here.
    fn reap(&mut self) {
        loop {
            match platform::reap_one() {
                Ok(Some(child)) => {
                    self.usage.add(child.usage);
                    if child.pid == self.worker {
                        self.note_end(child);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    self.childless = !self.tree.has_escaped();
                    break;
                }
            }
        }
        if self.ended && !self.childless && self.stop.is_none() {
            self.end_leftovers();
        }
    }

    fn note_end(&mut self, child: Reaped) {
        self.ended = true;
        self.exit.ended_at_ms = now_ms();
        self.exit.exit_code = child.exit_code;
        self.exit.signal = child.signal;
    }

    fn end_leftovers(&mut self) {
        let left = self.tree.members().len();
        if left == 0 {
            return;
        }
        self.exit.leftovers = u32::try_from(left).unwrap_or(u32::MAX);
        self.stop = Some(Stop::begin(self.tree, self.launch.stop, Instant::now()));
    }

    /// Does what `control.json` asks for now and did not before.
    fn obey(&mut self, now: Instant) {
        // A file that cannot be read is followed by another signal or by nothing at all.
        let Ok(wanted) = self.folder.read_control() else {
            return;
        };
        let before = std::mem::replace(&mut self.control, wanted);
        match wanted.stop {
            Some(plan) if before.stop != wanted.stop => {
                self.begin_stop(plan, StopCause::Request, now);
            }
            _ if self.stop.is_some() || before.paused == wanted.paused => {}
            _ if wanted.paused => self.tree.signal(libc::SIGSTOP),
            _ => self.tree.signal(libc::SIGCONT),
        }
        if let (Some(input), true) = (&mut self.input, wanted.input_closed) {
            input.close();
        }
    }

    fn begin_stop(&mut self, plan: StopPlan, cause: StopCause, now: Instant) {
        if !self.ended {
            self.exit.stopped.get_or_insert(cause);
        }
        match &mut self.stop {
            Some(stop) => stop.hurry(plan, now),
            None => self.stop = Some(Stop::begin(self.tree, plan, now)),
        }
        if self.control.paused {
            // A stopped process acts on no other signal than SIGKILL until it goes on.
            self.tree.signal(libc::SIGCONT);
        }
    }

    /// The timeout goes on while the command is paused: it bounds how long a slot can be held.
    fn keep_time(&mut self, now: Instant) {
        if self.timeout_at.is_some_and(|at| at <= now) {
            self.timeout_at = None;
            if !self.ended && self.stop.is_none() {
                self.begin_stop(self.launch.stop, StopCause::Timeout, now);
            }
        }
        if let Some(stop) = &mut self.stop {
            stop.proceed(now);
        }
    }

    fn look(&mut self, now: Instant) {
        self.memory.sample(now);
        let waits = self.outputs.iter_mut().map(|output| output.look(now));
        let wait = waits.min().unwrap_or(Duration::MAX);
        let next = now.checked_add(wait).unwrap_or(self.memory.next_at);
        self.look_at = self.memory.next_at.min(next);
    }

    fn time_to_wait(&self) -> Option<Duration> {
        let stop_at = self.stop.as_ref().map(Stop::next_at);
        let deadlines = [Some(self.look_at), self.timeout_at, stop_at];
        let first = deadlines.into_iter().flatten().min();
        first.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn finish(mut self) -> Exit {
        self.exit.cpu_seconds = self.usage.cpu_seconds;
        self.exit.peak_memory_bytes = self.memory.peak_bytes(self.usage.peak_bytes);
        let mut notes = Vec::new();
        for output in &mut self.outputs {
            let (written, dropped) = output.finish();
            self.exit.output_bytes += written;
            self.exit.dropped_bytes += dropped;
            if let Some(error) = output.failure() {
                notes.push(format!("the output cap could not be kept: {error}"));
            }
        }
        if let Some(error) = self.input.as_ref().and_then(Input::failure) {
            notes.push(format!("its standard input could not be copied: {error}"));
        }
        if self.stop.as_ref().is_some_and(Stop::is_hopeless) {
            notes.push("some processes that it left behind could not be ended".to_owned());
        }
        self.exit.note = (!notes.is_empty()).then(|| notes.join("; "));
        self.exit
    }
}
