//! A machine that exists in numbers only: workers that grow, other programs, and readings that
//! are noisy, late or missing. What the scheduler may start is checked by what it was told, and
//! what comes of it by what is true.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;

use wezterm_parallel_scheduler::{
    Action, AdmissionRules, Change, HostCpu, HostMemory, HostReading, Input, Limits, Measured, Reason,
    Scheduler, State, Submission, Task, TaskKey, Tick, TreeMemory,
};

pub const STEP_MS: u64 = 100;
const READ_EVERY_MS: u64 = 500;
const MEASURE_EVERY_MS: u64 = 2_000;
const STOP_TAKES_MS: u64 = 300;
/// The daemon starts at some time of day.
const BEGIN_MS: u64 = 1_000_000;

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most`, both included.
    pub fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// What a task does when it runs.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub peak_bytes: u64,
    pub grows_for_ms: u64,
    pub lasts_ms: u64,
    pub cpus_milli: u32,
}

#[derive(Clone, Copy, Debug)]
struct Worker {
    attempt: u32,
    started_at: u64,
    ran_ms: u64,
    is_paused: bool,
    stops_at: Option<u64>,
}

/// How wrong readings are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Readings of available memory are off by up to so much.
    pub noise_bytes: u64,
    /// Workers' memory is read too high by up to so many thousandths.
    pub tree_noise_permille: u64,
    /// So many of a hundred readings come up to a second late, and as many never.
    pub late_percent: u64,
    /// Other programs take up to so much, and give it back.
    pub others_bytes: u64,
}

/// What was true when something was started by the readings.
#[derive(Clone, Debug)]
struct Promise {
    reserved: BTreeMap<TaskKey, u64>,
    others_bytes: u64,
}

pub struct World {
    pub scheduler: Scheduler,
    pub now: u64,
    pub work: BTreeMap<TaskKey, Work>,
    pub rules: AdmissionRules,
    random: Random,
    total_bytes: u64,
    cpus_milli: u32,
    trouble: Trouble,
    others_bytes: u64,
    others_change_at: u64,
    /// What others used from which moment on, in milliseconds since the beginning.
    pub others_from: BTreeMap<u64, u64>,
    workers: BTreeMap<TaskKey, Worker>,
    /// On their way, with when they arrive.
    late: Vec<(u64, HostReading)>,
    /// The newest that has arrived, and how many were started since.
    known: Option<HostReading>,
    starts_since: u32,
    /// What others used when each reading was taken.
    others_at: BTreeMap<Tick, u64>,
    measured: BTreeMap<TaskKey, Vec<(u64, u64)>>,
    promise: Option<Promise>,
    /// Another daemon takes over every so often.
    pub restarts_after_ms: Option<u64>,
    lines: Vec<(TaskKey, Change)>,
    submissions: Vec<Submission>,
    pub put_back: usize,
    pub paused: usize,
    pub most_running: usize,
    /// Of the CPUs in use, in parts per thousand, each step.
    pub cpu_used_permille: Vec<u64>,
    pub deepest_below_floor: u64,
}

impl World {
    pub fn new(limits: Limits, rules: AdmissionRules, total_bytes: u64, trouble: Trouble, seed: u64) -> Self {
        let mut scheduler = Scheduler::new(limits);
        scheduler
            .apply(Tick(BEGIN_MS), Input::SetAdmission(Box::new(rules.clone())))
            .expect("rules are never refused");
        Self {
            scheduler,
            now: BEGIN_MS,
            work: BTreeMap::new(),
            rules,
            random: Random(seed),
            total_bytes,
            cpus_milli: 0,
            trouble,
            others_bytes: total_bytes / 10,
            others_change_at: BEGIN_MS,
            others_from: BTreeMap::from([(0, total_bytes / 10)]),
            workers: BTreeMap::new(),
            late: Vec::new(),
            known: None,
            starts_since: 0,
            others_at: BTreeMap::new(),
            measured: BTreeMap::new(),
            promise: None,
            restarts_after_ms: None,
            lines: Vec::new(),
            submissions: Vec::new(),
            put_back: 0,
            paused: 0,
            most_running: 0,
            cpu_used_permille: Vec::new(),
            deepest_below_floor: 0,
        }
    }

    /// With CPUs, there is a gate for them.
    pub fn with_cpus(mut self, cpus_milli: u32) -> Self {
        self.cpus_milli = cpus_milli;
        self
    }

    pub fn submit(&mut self, submission: Submission, work: Work) {
        self.work.insert(submission.key, work);
        self.submissions.push(submission.clone());
        self.apply(Input::Submit(Box::new(submission)));
    }

    pub fn elapsed_ms(&self) -> u64 {
        self.now - BEGIN_MS
    }

    pub fn is_done(&self) -> bool {
        self.scheduler.count(State::Succeeded) == self.work.len()
    }

    /// Runs until all is done. Panics if that takes longer than it may.
    pub fn run(&mut self, at_most_ms: u64) {
        while !self.is_done() {
            self.step();
            assert!(
                self.elapsed_ms() <= at_most_ms,
                "{} of {} are done after {} s: {:?}",
                self.scheduler.count(State::Succeeded),
                self.work.len(),
                at_most_ms / 1_000,
                self.scheduler.blocked_by(Tick(self.now)),
            );
        }
        self.scheduler.check_invariants();
    }

    pub fn step(&mut self) {
        self.now += STEP_MS;
        let is_over = |after: u64| self.elapsed_ms().is_multiple_of(after / STEP_MS * STEP_MS);
        if self.restarts_after_ms.is_some_and(is_over) {
            self.restart();
        }
        self.let_work();
        self.change_others();
        self.end_workers();
        if self.now.is_multiple_of(MEASURE_EVERY_MS) {
            self.measure_workers();
        }
        if self.now.is_multiple_of(READ_EVERY_MS) {
            self.read_host();
        }
        self.deliver();
        self.apply(Input::Tick);
        self.check_what_is_true();
        if self.now.is_multiple_of(10_000) {
            self.scheduler.check_invariants();
        }
    }

    /// Another daemon replays the journal. It knows no reading and no measurement, but the peaks.
    fn restart(&mut self) {
        let mut again = Scheduler::new(self.scheduler.limits().clone());
        for submission in &self.submissions {
            again.replay_submission(submission.clone()).expect("it is new");
        }
        for (key, change) in &self.lines {
            again.replay(*key, change).expect("it was legal live");
        }
        again.check_invariants();
        let tasks = |scheduler: &Scheduler| -> Vec<Task> { scheduler.tasks_from(TaskKey(0)).collect() };
        assert_eq!(tasks(&again), tasks(&self.scheduler));
        let peaks = self.scheduler.peaks();
        self.scheduler = again;
        self.known = None;
        self.measured.clear();
        self.promise = None;
        for worker in self.workers.values_mut() {
            worker.started_at = 0;
        }
        self.apply(Input::SetAdmission(Box::new(self.rules.clone())));
        self.apply(Input::SetPeaks(peaks));
    }

    fn let_work(&mut self) {
        for worker in self.workers.values_mut() {
            if !worker.is_paused {
                worker.ran_ms += STEP_MS;
            }
        }
        let running = self.workers.values().filter(|worker| !worker.is_paused).count();
        self.most_running = self.most_running.max(running);
        if self.cpus_milli > 0 {
            let used = self.cpu_used_milli();
            self.cpu_used_permille
                .push(u64::from(used) * 1_000 / u64::from(self.cpus_milli));
        }
    }

    fn change_others(&mut self) {
        if self.now >= self.others_change_at && self.trouble.others_bytes > 0 {
            let more = self.random.within(0, self.trouble.others_bytes);
            self.others_bytes = self.total_bytes / 10 + more;
            self.others_from.insert(self.elapsed_ms(), self.others_bytes);
            self.others_change_at = self.now + self.random.within(2_000, 60_000);
        }
    }

    fn end_workers(&mut self) {
        let ended: Vec<(TaskKey, Worker, bool)> = self
            .workers
            .iter()
            .filter_map(|(key, worker)| {
                let is_done = worker.ran_ms >= self.work[key].lasts_ms;
                let is_stopped = worker.stops_at.is_some_and(|at| at <= self.now);
                (is_done || is_stopped).then_some((*key, *worker, is_done))
            })
            .collect();
        for (key, worker, is_done) in ended {
            // As `exit.json` says it.
            self.tell_memory(&[key]);
            self.workers.remove(&key);
            self.measured.remove(&key);
            let (state, reason) = if is_done {
                (State::Succeeded, Reason::Ok)
            } else {
                (State::Cancelled, Reason::Cancelled)
            };
            let attempt = worker.attempt;
            self.apply(Input::Exited {
                key,
                attempt,
                state,
                reason,
            });
        }
    }

    fn used_bytes(&self, key: TaskKey) -> u64 {
        let (worker, work) = (&self.workers[&key], &self.work[&key]);
        let grown_ms = worker.ran_ms.min(work.grows_for_ms);
        let share = u128::from(work.peak_bytes) * u128::from(grown_ms) / u128::from(work.grows_for_ms.max(1));
        u64::try_from(share).expect("it is at most the peak")
    }

    fn available_bytes(&self) -> u64 {
        let workers: u64 = self.workers.keys().map(|key| self.used_bytes(*key)).sum();
        self.total_bytes.saturating_sub(self.others_bytes + workers)
    }

    fn cpu_used_milli(&self) -> u32 {
        let running = self.workers.iter().filter(|(_, worker)| !worker.is_paused);
        let wanted: u32 = running.map(|(key, _)| self.work[key].cpus_milli).sum();
        wanted.min(self.cpus_milli)
    }

    fn measure_workers(&mut self) {
        let keys: Vec<TaskKey> = self.workers.keys().copied().collect();
        self.tell_memory(&keys);
    }

    fn tell_memory(&mut self, keys: &[TaskKey]) {
        let mut trees = Vec::new();
        for key in keys {
            let noise = self.random.within(0, self.trouble.tree_noise_permille);
            let used = self.used_bytes(*key);
            let bytes = used + used / 1_000 * noise;
            let attempt = self.workers[key].attempt;
            self.measured.entry(*key).or_default().push((self.now, bytes));
            trees.push(TreeMemory {
                key: *key,
                attempt,
                bytes,
            });
        }
        let taken_at = Tick(self.now);
        self.apply(Input::WorkerMemory { taken_at, trees });
    }

    fn read_host(&mut self) {
        let noise = self.trouble.noise_bytes;
        let off = self.random.within(0, 2 * noise);
        let available_bytes = (self.available_bytes() + off).saturating_sub(noise);
        let reading = HostReading {
            taken_at: Tick(self.now),
            memory: Measured::Known(HostMemory {
                total_bytes: self.total_bytes,
                available_bytes,
            }),
            cpu: match self.cpus_milli {
                0 => Measured::Absent,
                cpus_milli => Measured::Known(HostCpu {
                    cpus_milli,
                    used_milli: self.cpu_used_milli(),
                }),
            },
            stall_permille: Measured::Absent,
            oom_kills: 0,
        };
        self.others_at.insert(reading.taken_at, self.others_bytes);
        if self.random.chance(self.trouble.late_percent) {
            return;
        }
        let mut arrives_at = self.now;
        if self.random.chance(self.trouble.late_percent) {
            arrives_at += self.random.within(1, 10) * STEP_MS;
        }
        self.late.push((arrives_at, reading));
    }

    fn deliver(&mut self) {
        let (arrived, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.late = late;
        let arrived: Vec<(u64, HostReading)> = arrived;
        for (_, reading) in arrived {
            let known_at = self.known.as_ref().map(|known| known.taken_at);
            if known_at.is_none_or(|at| at <= reading.taken_at) {
                self.known = Some(reading.clone());
                self.starts_since = 0;
            }
            self.apply(Input::Reading(Box::new(reading)));
        }
    }

    fn apply(&mut self, input: Input) {
        let actions = self.scheduler.apply(Tick(self.now), input);
        let actions = actions.expect("no input is refused");
        let running = |world: &Self| world.workers.values().filter(|worker| !worker.is_paused).count();
        for action in actions {
            match action {
                Action::Start { key, attempt, .. } => {
                    let is_alone = running(self) == 0;
                    let worker = Worker {
                        attempt,
                        started_at: self.now,
                        ran_ms: 0,
                        is_paused: false,
                        stops_at: None,
                    };
                    self.workers.insert(key, worker);
                    self.starts_since += 1;
                    if is_alone {
                        // Whatever was promised before, this one may break it.
                        self.promise = None;
                    } else {
                        self.check_start(key);
                    }
                }
                Action::Suspend(key, _) => {
                    self.check_is_not_oldest(key);
                    self.paused += 1;
                    self.worker(key).is_paused = true;
                }
                Action::Continue(key, _) => self.worker(key).is_paused = false,
                Action::Stop(key, _) => {
                    self.check_is_not_oldest(key);
                    self.put_back += 1;
                    let stops_at = self.now + STOP_TAKES_MS;
                    self.worker(key).stops_at = Some(stops_at);
                }
                Action::Record(key, change) => self.lines.push((key, change)),
                Action::Gate(_) | Action::WouldPause { .. } => {}
            }
        }
    }

    fn worker(&mut self, key: TaskKey) -> &mut Worker {
        self.workers.get_mut(&key).expect("it runs")
    }

    fn floor_bytes(&self) -> u64 {
        self.rules.floor_of(self.total_bytes)
    }

    /// By what the scheduler was told, this start (with those of the same moment) had to leave the
    /// floor and all that is reserved.
    fn check_start(&mut self, key: TaskKey) {
        let reading = self.known.clone().expect("nothing but one task starts unread");
        let age_ms = self.now - reading.taken_at.0;
        assert!(age_ms <= self.rules.stale_after_ms, "a start by a stale reading");
        let Measured::Known(memory) = reading.memory else {
            panic!("memory is always read here");
        };
        let report = self.scheduler.admission(Tick(self.now));
        let reserved: BTreeMap<TaskKey, u64> = report
            .reservations
            .iter()
            .map(|reservation| (reservation.key, reservation.reserved_bytes))
            .collect();
        let outstanding: u64 = reserved
            .iter()
            .map(|(key, bytes)| {
                let measured = self.measured.get(key).map_or(&[][..], Vec::as_slice);
                let shown = measured.iter().rev().find(|(at, _)| *at <= reading.taken_at.0);
                bytes.saturating_sub(shown.map_or(0, |(_, bytes)| *bytes))
            })
            .sum();
        let floor = self.floor_bytes();
        let available = memory.available_bytes;
        assert!(
            available > floor + report.outstanding_bytes,
            "{key:?}: {available} available, {report:?}, floor {floor}"
        );
        // The scheduler may go by an older measurement than the newest that it could.
        let noise = noise_of(&reserved, self.trouble);
        assert!(
            report.outstanding_bytes + noise >= outstanding,
            "reserved too little"
        );
        self.promise = Some(Promise {
            reserved,
            others_bytes: self.others_at[&reading.taken_at],
        });
    }

    /// Memory is below its floor only by what could not be known: workers beyond what is reserved
    /// for them, other programs, and errors of the readings.
    fn check_what_is_true(&mut self) {
        let below = self.floor_bytes().saturating_sub(self.available_bytes());
        self.deepest_below_floor = self.deepest_below_floor.max(below);
        let Some(promise) = &self.promise else {
            return;
        };
        let others = self.others_bytes.saturating_sub(promise.others_bytes);
        let beyond: u64 = self
            .workers
            .keys()
            .map(|key| {
                let reserved = promise.reserved.get(key).copied().unwrap_or(0);
                let used = self.used_bytes(*key);
                used.saturating_sub(reserved) + used / 1_000 * self.trouble.tree_noise_permille
            })
            .sum();
        let allowed = others + beyond + self.trouble.noise_bytes;
        assert!(
            below <= allowed,
            "{below} below the floor, of which {allowed} could not be known"
        );
        // Until those that are put back have ended, nothing starts: that takes no longer than a stop.
        let advances = |worker: &Worker| !worker.is_paused || worker.stops_at.is_some();
        let advance = self.workers.values().any(advances);
        assert!(advance || self.workers.is_empty(), "nobody advances");
    }

    /// Neither paused nor put back: somebody who was started before it runs.
    fn check_is_not_oldest(&self, key: TaskKey) {
        let age = |key: &TaskKey| (self.workers[key].started_at, *key);
        let running = self.workers.iter().filter(|(_, worker)| !worker.is_paused);
        let oldest = running.map(|(key, _)| age(key)).min();
        assert!(
            oldest.is_some_and(|oldest| oldest < age(&key)),
            "{key:?} is the oldest"
        );
    }
}

/// How long it takes one who knows all peaks and ends: in the same order, each task starts as soon as a slot is free
/// and its peak fits beside those that run; smaller ones go past. `room_from` is what there is for all of them together
/// from which moment on, in milliseconds since the beginning; nobody is stopped when it gets less.
pub fn oracle_ms(work: &BTreeMap<TaskKey, Work>, slots: usize, room_from: &BTreeMap<u64, u64>) -> u64 {
    let mut waiting: Vec<Work> = work.values().copied().collect();
    let mut running: Vec<(u64, u64)> = Vec::new();
    let mut now = 0;
    loop {
        let room = room_from.range(..=now).next_back().map_or(0, |(_, room)| *room);
        let mut used: u64 = running.iter().map(|(_, peak)| peak).sum();
        waiting.retain(|task| {
            let fits = used + task.peak_bytes < room || running.is_empty();
            let starts = running.len() < slots && fits;
            if starts {
                running.push((now + task.lasts_ms, task.peak_bytes));
                used += task.peak_bytes;
            }
            !starts
        });
        let Some(end) = running.iter().map(|(end, _)| *end).min() else {
            return now;
        };
        let change = room_from.range(now + 1..).next().map_or(end, |(at, _)| *at);
        now = end.min(change);
        running.retain(|(end, _)| *end > now);
    }
}

/// By how much measurements of these workers may differ.
fn noise_of(reserved: &BTreeMap<TaskKey, u64>, trouble: Trouble) -> u64 {
    reserved.values().sum::<u64>() / 1_000 * trouble.tree_noise_permille
}
