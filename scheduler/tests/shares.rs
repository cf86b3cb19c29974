//! Fair shares of workspaces: who goes next among tasks of equal priority.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{lane, limits, plain, starts, Bench};
use proptest::prelude::*;
use wezterm_parallel_scheduler::{Input, Reason, Scheduler, Share, State, Submission, Task, TaskKey, Tick};

const WEIGHTS: [(&str, u32); 3] = [("one", 1), ("two", 2), ("four", 4)];

fn set_shares(weights: &[(&str, u32)]) -> Input {
    let share = |(workspace, weight): &(&str, u32)| Share {
        workspace: Arc::from(*workspace),
        weight: *weight,
    };
    Input::SetShares(weights.iter().map(share).collect())
}

fn of(workspace: &str, key: u64, priority: u8) -> Submission {
    Submission {
        lane: lane(workspace, "shell"),
        priority,
        ..plain(key)
    }
}

/// How long tasks of a workspace take on average, in milliseconds.
type Mean = fn(&str) -> u64;

/// The same numbers in each run, spread well enough for run times.
struct Spread(u64);

impl Spread {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// A pool that is never short of tasks of any workspace. A task of a workspace takes half to one and a half times
/// `mean_ms` of it. What each workspace had in the end, of so much slot-time in all.
fn saturated(slots: u32, mean_ms: Mean, slot_time_ms: u64) -> BTreeMap<String, u64> {
    let mut scheduler = Scheduler::new(limits(slots));
    let mut spread = Spread(u64::from(slots));
    let mut ends: BTreeMap<(u64, u64), (String, u64)> = BTreeMap::new();
    let mut had = BTreeMap::new();
    let mut all_ms = 0;
    let (mut now, mut next_key) = (0, 0);
    let mut inputs = vec![set_shares(&WEIGHTS), Input::Pause(None)];
    let mut one_more = |workspace: &str| {
        next_key += 1;
        Input::Submit(Box::new(of(workspace, next_key, 100)))
    };
    for (workspace, _) in WEIGHTS {
        inputs.extend((0..20).map(|_| one_more(workspace)));
    }
    inputs.push(Input::Resume(None));
    while all_ms < slot_time_ms {
        for input in std::mem::take(&mut inputs) {
            let actions = scheduler.apply(Tick(now), input).expect("it is accepted");
            for key in starts(&actions) {
                let task = scheduler.task(TaskKey(key)).expect("it has started");
                let workspace = task.submission.lane.workspace.to_string();
                let mean = mean_ms(&workspace);
                let takes = mean / 2 + spread.below(mean);
                ends.insert((now + takes, key), (workspace, takes));
            }
        }
        let ((at, key), (workspace, took)) = ends.pop_first().expect("something always runs");
        now = at;
        all_ms += took;
        *had.entry(workspace.clone()).or_default() += took;
        inputs.push(one_more(&workspace));
        inputs.push(Input::Exited {
            key: TaskKey(key),
            attempt: 1,
            state: State::Succeeded,
            reason: Reason::Ok,
        });
        inputs.push(Input::Forget(TaskKey(key)));
    }
    scheduler.check_invariants();
    had
}

#[test]
fn saturated_slots_are_shared_by_weight_within_five_percent() {
    for slots in [1, 2, 3, 7, 16] {
        let by_workspace: [(&str, Mean); 3] = [
            ("equal times", |_| 400),
            ("the light one takes long", |name| {
                if name == "one" {
                    5_000
                } else {
                    300
                }
            }),
            ("the heavy one takes long", |name| {
                if name == "four" {
                    5_000
                } else {
                    300
                }
            }),
        ];
        for (what, mean_ms) in by_workspace {
            let had = saturated(slots, mean_ms, 1_500_000);
            let all: u64 = had.values().sum();
            for (workspace, weight) in WEIGHTS {
                let share = had[workspace] as f64 / all as f64;
                let wanted = f64::from(weight) / 7.0;
                assert!(
                    (share / wanted - 1.0).abs() < 0.05,
                    "{what}, {slots} slots: {workspace} had {share:.3}, wanted {wanted:.3}"
                );
            }
        }
    }
}

proptest! {
    /// Whatever happens, loads are counted right, what starts has the highest priority there is, and all get their
    /// turn in the end.
    #[test]
    fn lives_with_shares(steps in prop::collection::vec((0..8_u8, 1..12_u64, 0..3_usize, 0..400_u64), 1..80)) {
        let mut bench = Bench::new(limits(2));
        for (what, key, nth, wait_ms) in steps {
            bench.now = Tick(bench.now.0 + wait_ms);
            let (workspace, _) = WEIGHTS[nth];
            let input = match what {
                0..=2 => Input::Submit(Box::new(of(workspace, key, 100 + (key % 2) as u8))),
                3 => set_shares(&WEIGHTS[..nth]),
                4 => Input::Hold(TaskKey(key)),
                5 => Input::Release(TaskKey(key)),
                6 => Input::Cancel(TaskKey(key)),
                _ => Input::Exited {
                    key: TaskKey(key),
                    attempt: 1,
                    state: State::Succeeded,
                    reason: Reason::Ok,
                },
            };
            let queued: Vec<Task> = bench.scheduler.tasks_from(TaskKey(0)).collect();
            let Ok(actions) = bench.try_apply(input) else { continue };
            let left = bench.scheduler.tasks_from(TaskKey(0));
            let best_left = left.filter(|task| task.state == State::Queued).map(|task| task.submission.priority).max();
            for started in starts(&actions) {
                let was_there = queued.iter().any(|task| task.submission.key == TaskKey(started));
                let priority = bench.task(started).submission.priority;
                prop_assert!(!was_there || best_left.is_none_or(|best| best <= priority));
            }
        }
        for task in bench.scheduler.tasks_from(TaskKey(0)).filter(|task| task.state == State::Held).collect::<Vec<_>>() {
            bench.apply(Input::Release(task.submission.key));
        }
        bench.drain();
        prop_assert_eq!(bench.scheduler.count(State::Queued), 0);
    }
}

#[test]
fn a_higher_priority_goes_before_any_share() {
    let mut bench = Bench::new(limits(1));
    bench.apply(set_shares(&[("rich", 100)]));
    bench.apply(Input::Pause(None));
    for key in 1..=3 {
        bench.submit(of("rich", key, 100));
    }
    bench.submit(of("poor", 4, 101));
    bench.submit(of("poor", 5, 101));
    bench.apply(Input::Resume(None));
    assert_eq!(bench.drain(), [4, 5, 1, 2, 3]);
}

#[test]
fn a_workspace_that_rested_has_saved_nothing_up() {
    let mut bench = Bench::new(limits(1));
    bench.apply(set_shares(&[("busy", 1), ("rested", 1)]));
    let mut running = 0;
    for key in 1..=20 {
        let started = starts(&bench.submit(of("busy", key, 100)));
        running = started.first().copied().unwrap_or(running);
    }
    for _ in 1..=9 {
        bench.now = Tick(bench.now.0 + 1_000);
        running = starts(&bench.succeed(running))[0];
    }
    for key in 21..=30 {
        bench.submit(of("rested", key, 100));
    }
    let mut order = Vec::new();
    for _ in 0..8 {
        bench.now = Tick(bench.now.0 + 1_000);
        running = starts(&bench.succeed(running))[0];
        order.push(running > 20);
    }
    let of_rested = order.iter().filter(|is_rested| **is_rested).count();
    assert_eq!(of_rested, 4, "in turns, rather than all of one first: {order:?}");
}

#[test]
fn without_weights_who_came_first_goes_first() {
    let mut bench = Bench::new(limits(1));
    bench.apply(set_shares(&WEIGHTS));
    bench.apply(set_shares(&[]));
    bench.apply(Input::Pause(None));
    for (key, workspace) in [(1, "one"), (2, "one"), (3, "four"), (4, "four")] {
        bench.submit(of(workspace, key, 100));
    }
    let waits = bench.scheduler.explain(bench.now, TaskKey(4)).expect("it waits");
    assert!(waits.not_overtaken_after.is_some());
    bench.apply(Input::Resume(None));
    assert_eq!(bench.drain(), [1, 2, 3, 4]);
}

#[test]
fn with_weights_no_moment_is_promised() {
    let mut bench = Bench::new(limits(0));
    bench.apply(set_shares(&WEIGHTS));
    bench.submit(of("one", 1, 100));
    let waits = bench.scheduler.explain(bench.now, TaskKey(1)).expect("it waits");
    assert_eq!(waits.not_overtaken_after, None);
}

#[test]
fn weights_may_come_while_tasks_wait_and_run() {
    let mut bench = Bench::new(limits(2));
    for key in 1..=12 {
        bench.submit(of(if key % 2 == 0 { "one" } else { "four" }, key, 100));
    }
    bench.apply(set_shares(&[("one", 3)]));
    bench.apply(Input::Hold(TaskKey(12)));
    bench.exit(1, State::Failed, Reason::ExitCode);
    bench.apply(set_shares(&WEIGHTS));
    bench.apply(Input::Cancel(TaskKey(11)));
    bench.apply(Input::Release(TaskKey(12)));
    assert_eq!(bench.scheduler.count(State::Running), 2);
}

#[test]
fn workspaces_without_end_do_not_fill_the_memory() {
    let mut bench = Bench::new(limits(1));
    bench.apply(set_shares(&WEIGHTS));
    for key in 1..=3_000 {
        let started = starts(&bench.submit(of(&format!("w{key}"), key, 100)));
        assert_eq!(started, [key]);
        bench.succeed(key);
        bench.apply(Input::Forget(TaskKey(key)));
    }
    let shown = format!("{:?}", bench.scheduler);
    assert!(shown.matches("Account {").count() < 1_200);
}
