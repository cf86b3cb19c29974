//! How many resident bytes one queued task costs in the scheduler, maps and heaps included.
//!
//! `cargo run --release -p wezterm-parallel-scheduler --example memory [TASKS]`
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout
)]

use std::sync::Arc;

use wezterm_parallel_scheduler::{
    Backoff, Condition, Dependency, Input, Lane, Limits, Needs, Scheduler, State, Submission, TaskKey, Tick,
};

/// What the tasks have besides the plain facts.
#[derive(Clone, Copy, Debug)]
enum Extra {
    Nothing,
    StartBy,
    Delay,
    Dependency,
    Session,
}

fn main() {
    let argument = std::env::args().nth(1);
    let tasks: u64 = argument.map_or(1_000_000, |word| word.parse().expect("a number of tasks"));
    let extras = [
        Extra::Nothing,
        Extra::StartBy,
        Extra::Delay,
        Extra::Dependency,
        Extra::Session,
    ];
    for extra in extras {
        let before = resident_bytes();
        let scheduler = filled(tasks, extra);
        let bytes = resident_bytes().saturating_sub(before) as f64 / tasks as f64;
        let queued = scheduler.count(State::Queued);
        println!("{tasks} tasks with {extra:?} ({queued} queued): {bytes:.1} bytes each");
        // Kept, so that the next measurement does not reuse its memory.
        std::mem::forget(scheduler);
    }
}

fn filled(tasks: u64, extra: Extra) -> Scheduler {
    let mut scheduler = Scheduler::new(Limits {
        slots: 0,
        aging_step_ms: 60_000,
        lanes: Vec::new(),
        jitter_seed: 1,
        lend: 0,
    });
    let lanes: Vec<Lane> = (0..10)
        .map(|number| Lane {
            workspace: Arc::from(format!("workspace-{number}")),
            worker: Arc::from("shell"),
        })
        .collect();
    for key in 1..=tasks {
        let lane = lanes[key as usize % lanes.len()].clone();
        let submission = submission(key, lane, extra);
        let outcome = scheduler.apply(Tick(0), Input::Submit(Box::new(submission)));
        outcome.expect("the submission is accepted");
    }
    scheduler
}

fn submission(key: u64, lane: Lane, extra: Extra) -> Submission {
    let later = Some(Tick(1_000_000 + key));
    let on = Condition::Success;
    let after = match extra {
        Extra::Dependency if key > 1 => vec![Dependency {
            key: TaskKey(key - 1),
            on,
        }],
        _ => Vec::new(),
    };
    Submission {
        key: TaskKey(key),
        lane,
        priority: (key % 256) as u8,
        submitted_at: Tick(key),
        after,
        not_before: later.filter(|_| matches!(extra, Extra::Delay)),
        start_by: later.filter(|_| matches!(extra, Extra::StartBy)),
        held: false,
        backoff: Backoff {
            max_retries: 3,
            base_ms: 1_000,
            max_ms: 60_000,
        },
        session: matches!(extra, Extra::Session).then(|| Arc::from(format!("session-{key}"))),
        cost: u64::from(matches!(extra, Extra::Session)),
        needs: Needs::default(),
    }
}

/// The second figure of `/proc/self/statm` counts resident pages of 4 KiB.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this runs on Linux");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second field of statm is a number") * 4096
}
