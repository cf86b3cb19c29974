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
    Backoff, Input, Lane, Limit, LimitScope, Limits, Reason, Scheduler, State, Submission, TaskKey, Tick,
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
        let limits = Limits {
            slots: 1,
            ..self.scheduler.limits().clone()
        };
        self.apply(Input::SetLimits(limits));
    }

    fn running(&self) -> Submission {
        let mut active = self.scheduler.active();
        active.next().expect("a task runs").submission
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

fn brief() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = brief();
    targets = sizes, decision
}
criterion_main!(benches);
