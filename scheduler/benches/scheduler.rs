//! What one submission, one pick, one cancel and one decision cost, from a thousand to a million
//! queued tasks. Whatever keeps the queue at its size in between is not measured.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use wezterm_parallel_scheduler::{
    AdmissionRules, Backoff, HostCpu, HostMemory, HostReading, Input, Lane, LanePeak, Limit, LimitScope,
    Limits, Measured, Needs, Reason, Scheduler, State, Submission, TaskKey, Tick,
};

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// So many inputs are measured in one go; a fraction of the smallest queue.
const ROUND: u64 = 100;

const NOW: Tick = Tick(1_700_000_000_000);

/// A queue that always holds the same number of tasks.
struct Queue {
    scheduler: Scheduler,
    lanes: Vec<Lane>,
    last_key: u64,
}

impl Queue {
    fn new(size: u64, lanes: usize, limits: Vec<Limit>) -> Self {
        let lane = |number: usize| Lane {
            workspace: workspace(number),
            worker: Arc::from("shell"),
        };
        let limits = Limits {
            slots: 0,
            aging_step_ms: 60_000,
            lanes: limits,
            jitter_seed: 1,
            lend: 0,
        };
        let mut queue = Self {
            scheduler: Scheduler::new(limits),
            lanes: (0..lanes).map(lane).collect(),
            last_key: 0,
        };
        queue.grow(size);
        queue
    }

    fn apply(&mut self, input: Input) {
        let actions = self.scheduler.apply(NOW, input);
        black_box(actions.expect("the input is accepted"));
    }

    fn next_submission(&mut self) -> Box<Submission> {
        let lane = self.last_key as usize % self.lanes.len();
        self.submission_in(self.lanes[lane].clone())
    }

    /// Priorities and moments that land all over the heap.
    fn submission_in(&mut self, lane: Lane) -> Box<Submission> {
        self.last_key += 1;
        let random = self.last_key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Box::new(Submission {
            key: TaskKey(self.last_key),
            lane,
            priority: (random >> 56) as u8,
            submitted_at: Tick(NOW.0 + self.last_key),
            after: Vec::new(),
            not_before: None,
            start_by: None,
            held: false,
            backoff: Backoff {
                max_retries: 0,
                base_ms: 1_000,
                max_ms: 60_000,
            },
            session: None,
            cost: 0,
            needs: Needs::default(),
        })
    }

    fn grow(&mut self, by: u64) {
        for _ in 0..by {
            let submission = self.next_submission();
            self.apply(Input::Submit(submission));
        }
    }

    /// Opens one slot, in which the first task starts.
    fn open_slot(&mut self) {
        self.open_slots(1);
    }

    fn open_slots(&mut self, slots: u32) {
        let limits = Limits {
            slots,
            ..self.scheduler.limits().clone()
        };
        self.apply(Input::SetLimits(limits));
    }

    /// A machine of 256 GiB under admission, with so much memory available.
    fn admit_by(&mut self, available_gib: u64) {
        self.apply(Input::SetAdmission(Box::new(AdmissionRules {
            enabled: true,
            pass_at_most_ms: u64::MAX,
            ..AdmissionRules::default()
        })));
        self.learn(500 << 20);
        self.read(available_gib);
    }

    fn learn(&mut self, bytes: u64) {
        let peaks = self.lanes.iter().map(|lane| LanePeak {
            run_ms: None,
            lane: lane.clone(),
            bytes,
            learned_at: NOW,
        });
        let peaks = peaks.collect();
        self.apply(Input::SetPeaks(peaks));
    }

    fn read(&mut self, available_gib: u64) {
        self.apply(Input::Reading(Box::new(HostReading {
            taken_at: NOW,
            memory: Measured::Known(HostMemory {
                total_bytes: 256 << 30,
                available_bytes: available_gib << 30,
            }),
            cpu: Measured::Known(HostCpu {
                cpus_milli: 1_000_000,
                used_milli: 0,
            }),
            stall_permille: Measured::Known(0),
            oom_kills: 0,
        })));
    }

    /// It comes before all others, and runs beside nothing else.
    fn submit_giant(&mut self) {
        let mut giant = self.submission_in(Lane {
            workspace: Arc::from("giant"),
            worker: Arc::from("shell"),
        });
        giant.priority = u8::MAX;
        giant.submitted_at = Tick(1);
        giant.needs.memory_bytes = 250 << 30;
        self.apply(Input::Submit(giant));
    }

    fn running(&self) -> Submission {
        self.scheduler.active().last().expect("a task runs").submission
    }

    fn submit_rounds(&mut self, iterations: u64) -> Duration {
        measure(iterations, || {
            let submissions: Vec<_> = (0..ROUND).map(|_| self.next_submission()).collect();
            let start = Instant::now();
            for submission in submissions {
                self.apply(Input::Submit(submission));
            }
            let elapsed = start.elapsed();
            for key in self.last_key - ROUND + 1..=self.last_key {
                self.apply(Input::Forget(TaskKey(key)));
            }
            elapsed
        })
    }

    /// One task ends, the best one of the rest is picked and starts.
    fn pick_rounds(&mut self, iterations: u64) -> Duration {
        measure(iterations, || {
            let mut elapsed = Duration::ZERO;
            let mut lanes = Vec::new();
            for _ in 0..ROUND {
                let Submission { key, lane, .. } = self.running();
                let start = Instant::now();
                self.apply(Input::Exited {
                    key,
                    attempt: 1,
                    state: State::Succeeded,
                    reason: Reason::Ok,
                });
                elapsed += start.elapsed();
                self.apply(Input::Forget(key));
                lanes.push(lane);
            }
            // Each lane keeps its length too.
            for lane in lanes {
                let submission = self.submission_in(lane);
                self.apply(Input::Submit(submission));
            }
            elapsed
        })
    }

    fn cancel_rounds(&mut self, iterations: u64) -> Duration {
        measure(iterations, || {
            self.grow(ROUND);
            let keys = self.last_key - ROUND + 1..=self.last_key;
            let start = Instant::now();
            for key in keys.clone() {
                self.apply(Input::Cancel(TaskKey(key)));
            }
            let elapsed = start.elapsed();
            for key in keys {
                self.apply(Input::Forget(TaskKey(key)));
            }
            elapsed
        })
    }
}

fn workspace(number: usize) -> Arc<str> {
    Arc::from(format!("workspace-{number}"))
}

/// Scales what whole rounds took to the iterations asked for.
fn measure(iterations: u64, mut round: impl FnMut() -> Duration) -> Duration {
    let rounds = iterations.div_ceil(ROUND);
    let total: Duration = (0..rounds).map(|_| round()).sum();
    total.mul_f64(iterations as f64 / (rounds * ROUND) as f64)
}

type Rounds = fn(&mut Queue, u64) -> Duration;

fn sizes(criterion: &mut Criterion) {
    let benches: [(&str, bool, Rounds); 3] = [
        ("submit", false, Queue::submit_rounds),
        ("cancel", false, Queue::cancel_rounds),
        ("pick", true, Queue::pick_rounds),
    ];
    for (name, with_slot, rounds) in benches {
        let mut group = criterion.benchmark_group(name);
        for size in SIZES {
            let mut queue = Queue::new(size, 4, Vec::new());
            if with_slot {
                queue.open_slot();
            }
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_custom(|iterations| rounds(&mut queue, iterations));
            });
        }
        group.finish();
    }
}

/// 100,000 tasks in 100 lanes: all lanes open, or all closed but the last.
fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision_100k_in_100_lanes");
    let close = |number: usize| Limit {
        scope: LimitScope::Workspace(workspace(number)),
        max_parallel: 0,
    };
    for (name, closed) in [("all_open", 0), ("one_open", 99)] {
        let limits = (0..closed).map(close).collect();
        let mut queue = Queue::new(100_000, 100, limits);
        queue.open_slot();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| queue.pick_rounds(iterations));
        });
    }
    group.finish();
}

/// The same under admission. `fits`: the machine has room, and each pick reserves its part.
/// `first_waits`: the task that comes first is too large, and the best of the others goes past it.
/// `nothing_fits`: a reading comes in, all lanes are asked, and nothing starts.
fn admission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission_100k_in_100_lanes");
    for (name, available_gib, with_giant) in [("fits", 200, false), ("first_waits", 200, true)] {
        let mut queue = Queue::new(100_000, 100, Vec::new());
        // One runs all the time: a task that is alone starts in any case.
        queue.open_slots(1);
        queue.admit_by(available_gib);
        if with_giant {
            queue.submit_giant();
        }
        queue.open_slots(2);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| queue.pick_rounds(iterations));
        });
    }
    let mut queue = Queue::new(100_000, 100, Vec::new());
    queue.open_slot();
    queue.admit_by(30);
    queue.learn(8 << 30);
    queue.open_slots(9);
    group.bench_function("nothing_fits", |bencher| {
        bencher.iter(|| queue.read(30));
    });
    group.finish();
}

fn brief() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = brief();
    targets = sizes, decision, admission
}
criterion_main!(benches);
