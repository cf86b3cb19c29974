//! The engine: the only owner of the scheduler, the store and the journal.
//!
//! Its loop builds a round of inputs and decides what follows from each (`play`), makes the records
//! durable (`commit`), and only then performs the effects (`perform`): answers, signals, events, and
//! the starts that did not leave between write and sync. It runs on a thread of its own, so that
//! waiting for the disk is simply waiting: what arrives in the meantime shares the next sync. It
//! never waits for a child process.

mod accept;
mod accounts;
mod admission;
mod admission_rules;
mod admission_view;
mod agents;
mod batch;
mod budget;
mod captured;
mod changes;
mod claude;
mod clock;
mod costs;
mod counted;
mod drafts;
mod environments;
mod errors;
mod facts;
mod groups;
mod hash;
mod history;
mod history_health;
mod history_missing;
mod numbers;
mod parts;
mod perform;
mod place;
mod processes;
mod published;
mod questions;
mod quotas;
mod recover;
mod reload;
mod reports;
mod requests;
mod restore;
mod room;
mod sessions;
mod status_file;
mod store;
mod tally;
mod upkeep;
mod views;
mod watchers;
mod workspace_requests;
mod workspaces;
mod worktrees;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use wezterm_parallel_scheduler::{Input, Scheduler, TaskKey, Tick};

use self::accept::Checked;
use self::accounts::Accounts;
use self::admission::Gauging;
use self::agents::Shims;
use self::batch::{Batch, Removed};
use self::clock::Clock;
use self::drafts::Remembering;
use self::environments::Variables;
use self::history::History;
use self::parts::{limits, shares};
use self::questions::Questions;
use self::status_file::StatusFile;
use self::store::Store;
use self::tally::Tally;
use self::upkeep::Upkeep;
use self::watchers::Watchers;
use self::workspaces::Tables;
use crate::cgroup::Means;
use crate::config::Config;
use crate::executor::{AttemptId, Executor, Report};
use crate::gauge::{Gauge, Gauged};
use crate::journal::Journal;
use crate::listener::{Heard, Listener};
use crate::prober::Prober;
use crate::protocol::DaemonInfo;
use crate::templates::Templates;
use crate::worker::{Profiles, Session};

pub use self::agents::{Ancestor, Lineage};
pub use self::drafts::{Bell, Draft};
pub use self::parts::{Command, Inputs, Parts, Reloaded};
pub use self::recover::recover;
pub use self::restore::{restore, RestoreError, Restored};

/// Callers wait for the answer anyway: a deep queue would only hide a slow engine.
pub const COMMANDS_MAX: usize = 64;
/// One report for each attempt that can be running, with room to spare.
pub const REPORTS_MAX: usize = 1024;
/// Inputs that share one sync at most: enough for any burst, few enough to answer within milliseconds.
const ROUND_MAX: usize = 256;
/// Without anything to do, the engine looks around this often (timers across a suspend, heartbeat).
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How soon a failing journal is tried again.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);
/// The gate that is closed while the journal cannot be written.
const JOURNAL_GATE: &str = "journal";
/// The gate that is closed while the daemon is ending.
const SHUTDOWN_GATE: &str = "shutdown";

/// The engine.
pub struct Engine {
    /// With what workspaces add to it.
    config: Config,
    /// What the config itself says of workspaces.
    tables: Tables,
    profiles: Profiles,
    clock: Clock,
    scheduler: Scheduler,
    store: Store,
    journal: Journal,
    executor: Box<dyn Executor>,
    listener: Listener,
    gauge: Gauge,
    prober: Prober,
    gauging: Gauging,
    /// `peaks.json`: what was learned of the memory that workers need.
    peaks_file: PathBuf,
    accounts: Accounts,
    /// What workers ask, while they wait.
    questions: Questions,
    /// The sessions of attempts that are about to start.
    sessions: std::collections::HashMap<AttemptId, Session>,
    /// When budgets of a day begin anew.
    next_day: Option<Tick>,
    /// By them it is known which clients are workers.
    shims: Shims,
    watchers: Watchers,
    status_file: StatusFile,
    upkeep: Upkeep,
    tasks_folder: PathBuf,
    templates: Templates,
    environment: Variables,
    groups: Means,
    history: History,
    remembering: Remembering,
    tally: Tally,
    info: DaemonInfo,
    /// What the journal had to say when it was loaded.
    lasting_warnings: Vec<String>,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    heard: mpsc::Receiver<Heard>,
    gauged: mpsc::Receiver<Gauged>,
    probed: mpsc::Receiver<AttemptId>,
    /// Reports of our own making (a launch that failed): taken in before anything else.
    own_reports: Vec<Report>,
    /// Records that could not be written, in order; they come before any newer one.
    unwritten: Vec<crate::journal::Record>,
    /// Ids whose removal could not be written yet: their folders stay as long.
    unwritten_removals: Vec<Removed>,
    /// The same of folders of processes and their runs.
    unwritten_folders: Vec<PathBuf>,
    /// Stops with a signal or grace time of their own.
    stop_plans: std::collections::HashMap<TaskKey, crate::executor::StopPlan>,
    journal_failing: Option<String>,
    ending: Option<Ending>,
}

/// How the daemon is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// As soon as this round is over.
    Now,
    /// When no attempt runs any more.
    WhenIdle,
}

/// One thing that happened.
enum Happened {
    Asked(Command),
    Reported(Report),
    Heard(Heard),
    Gauged(Gauged),
    Probed(AttemptId),
    TimePassed,
}

impl Engine {
    /// Runs until it is told to end. Workers go on after it.
    pub async fn run(mut self) {
        self.adopt();
        self.adopt_processes();
        self.open_the_pool();
        while !self.is_over() {
            let round = self.next_round().await;
            self.play(round);
        }
        self.save_peaks(self.clock.now(), true);
        self.finish_history();
        self.status_file.remove();
    }

    /// Until here the scheduler had no slots, so that nothing could start.
    fn open_the_pool(&mut self) {
        let now = self.clock.now();
        let mut batch = Batch::default();
        self.apply_workspaces(now, &mut batch);
        self.configure_claude(now, &mut batch);
        self.configure_admission(now, &mut batch);
        self.load_peaks(now, &mut batch);
        self.tell_companions(now, &mut batch);
        self.feed(now, Input::SetShares(shares(&self.config)), &mut batch);
        let limits = limits(&self.config);
        self.feed(now, Input::SetLimits(limits), &mut batch);
        self.commit(now, &mut batch);
        self.perform(batch);
    }

    fn is_over(&self) -> bool {
        match self.ending {
            None => false,
            Some(Ending::Now) => true,
            Some(Ending::WhenIdle) => {
                self.scheduler.active().next().is_none() && self.store.processes.up().next().is_none()
            }
        }
    }

    /// Waits for the next input and takes what else is there. The only `select!`.
    async fn next_round(&mut self) -> Vec<Happened> {
        let mut round: Vec<Happened> = self.own_reports.drain(..).map(Happened::Reported).collect();
        if round.is_empty() {
            let pause = self.pause();
            round.push(tokio::select! {
                biased;
                Some(report) = self.reports.recv() => Happened::Reported(report),
                Some(heard) = self.heard.recv() => Happened::Heard(heard),
                Some(gauged) = self.gauged.recv() => Happened::Gauged(gauged),
                Some(id) = self.probed.recv() => Happened::Probed(id),
                command = self.commands.recv() => Happened::Asked(command.unwrap_or(Command::End)),
                () = tokio::time::sleep(pause) => Happened::TimePassed,
            });
        }
        while round.len() < ROUND_MAX {
            if let Ok(report) = self.reports.try_recv() {
                round.push(Happened::Reported(report));
            } else if let Ok(heard) = self.heard.try_recv() {
                round.push(Happened::Heard(heard));
            } else if let Ok(gauged) = self.gauged.try_recv() {
                round.push(Happened::Gauged(gauged));
            } else if let Ok(id) = self.probed.try_recv() {
                round.push(Happened::Probed(id));
            } else if let Ok(command) = self.commands.try_recv() {
                round.push(Happened::Asked(command));
            } else {
                break;
            }
        }
        round
    }

    /// How long nothing needs to be done, if nothing happens.
    fn pause(&self) -> Duration {
        if self.journal_failing.is_none() && self.upkeep.makes_snapshot() {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        let wakes = [
            self.scheduler.next_wake(),
            self.accounts.due(),
            self.next_day,
            self.processes_due(),
        ];
        let wake = wakes.into_iter().flatten().min();
        let timer = wake.map(|wake| Duration::from_millis(wake.ms_since(now)));
        let retry = self.journal_failing.is_some().then_some(JOURNAL_RETRY);
        let status = self.status_file.due_in(now);
        let removal = self.upkeep.removal_due_in();
        let gauges = Some(self.tally.due_in(now));
        let history = self.history.due_in(now);
        [timer, retry, status, gauges, removal, history]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(HEARTBEAT)
            .min(HEARTBEAT)
    }

    /// One round: decide, make durable, perform, keep house.
    fn play(&mut self, round: Vec<Happened>) {
        let now = self.clock.now();
        let mut batch = Batch::default();
        let mut checked = Checked::default();
        for happened in round {
            match happened {
                Happened::Asked(command) => self.obey(now, command, &mut checked, &mut batch),
                Happened::Reported(report) => self.take_report(now, report, &mut batch),
                Happened::Heard(heard) => self.take_heard(now, heard, &mut batch),
                Happened::Gauged(gauged) => self.take_gauged(now, gauged, &mut batch),
                Happened::Probed(id) => self.take_probed(now, id, &mut batch),
                Happened::TimePassed => {}
            }
        }
        self.pass_time(now, &mut batch);
        self.tend_processes(now, &mut batch);
        self.feed(now, Input::Tick, &mut batch);
        self.retain(now, &mut batch);
        if !batch.is_quiet() {
            self.touch();
        }
        self.commit(now, &mut batch);
        self.perform(batch);
        self.keep_house(now);
    }
}

#[cfg(test)]
mod claude_limit_tests;
#[cfg(test)]
mod claude_session_tests;
#[cfg(test)]
mod claude_tests;
#[cfg(test)]
mod draft_tests;
#[cfg(test)]
mod foremost_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod metrics_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod workspace_tests;
#[cfg(test)]
mod worktree_tests;
