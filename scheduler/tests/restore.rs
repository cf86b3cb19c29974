//! What comes back after a restart, also from a snapshot or a journal that is damaged.
#![allow(missing_docs)]

mod common;

use common::{after, ended, limits, plain, starts, Bench};
use wezterm_parallel_scheduler::{
    Action, Change, Condition, Edit, Input, Reason, Refusal, State, Submission, Task, TaskKey, Tick,
};

fn stored(submission: Submission, state: State) -> Task {
    Task {
        submission,
        state,
        reason: None,
        attempts: 0,
        retries: 0,
        slot: None,
        stopping: false,
        relief: None,
    }
}

fn running(key: u64, slot: Option<u32>) -> Task {
    Task {
        attempts: 2,
        slot,
        ..stored(plain(key), State::Running)
    }
}

fn restored(tasks: Vec<Task>, slots: u32) -> Bench {
    let mut bench = Bench::new(limits(slots));
    for task in tasks {
        bench.scheduler.restore(task);
        bench.scheduler.check_invariants();
    }
    bench
}

#[test]
fn restoring_decides_nothing_until_the_next_input() {
    let mut bench = restored(vec![running(1, Some(1)), stored(plain(2), State::Queued)], 2);
    assert_eq!((bench.state(1), bench.task(1).slot), (State::Running, Some(1)));
    assert_eq!(bench.state(2), State::Queued);
    let start = Action::Start {
        key: TaskKey(2),
        attempt: 1,
        slot: 0,
    };
    assert_eq!(bench.tick(9).last(), Some(&start));
    assert_eq!(bench.succeed(1), [ended(1, State::Succeeded, Reason::Ok)]);
}

#[test]
fn delays_count_as_not_over_until_the_time_is_known() {
    let delayed = Submission {
        not_before: Some(Tick(50)),
        ..plain(1)
    };
    let mut bench = restored(vec![stored(delayed, State::Queued)], 1);
    assert_eq!(bench.state(1), State::Delayed);
    let started = Change::Started { attempt: 1, slot: 0 };
    let mut other = Bench::new(limits(1));
    other.scheduler.restore(bench.task(1));
    assert_eq!(other.scheduler.replay(TaskKey(1), &started), Ok(()));
    assert_eq!(other.state(1), State::Running);
    assert_eq!(starts(&bench.tick(50)), [1]);
}

#[test]
fn dependencies_may_come_later() {
    let blocked = stored(after(1, &[(2, Condition::Success)]), State::Blocked);
    let mut bench = restored(vec![blocked, running(2, Some(0))], 2);
    assert_eq!(bench.tick(9), []);
    assert_eq!(bench.state(1), State::Blocked);
    assert_eq!(starts(&bench.succeed(2)), [1]);
}

#[test]
fn a_lost_dependency_skips_what_was_blocked_on_it() {
    let on_lost = |key| after(key, &[(9, Condition::Success)]);
    let held = Submission {
        held: true,
        ..on_lost(2)
    };
    let tasks = vec![
        stored(on_lost(1), State::Blocked),
        stored(held, State::Held),
        stored(on_lost(3), State::Queued),
        Task {
            attempts: 1,
            ..stored(on_lost(4), State::Delayed)
        },
    ];
    let mut bench = restored(tasks, 9);
    let actions = bench.tick(9);
    let lost = Reason::Dependency(TaskKey(9));
    let skipped = [ended(1, State::Skipped, lost), ended(2, State::Skipped, lost)];
    assert_eq!(actions[..2], skipped);
    // Their condition was met when they were stored.
    assert_eq!(starts(&actions), [3, 4]);
}

#[test]
fn a_submission_from_the_journal_is_never_dropped() {
    let mut bench = Bench::new(limits(1));
    let submission = after(2, &[(1, Condition::Any)]);
    bench
        .scheduler
        .replay_submission(submission.clone())
        .expect("it is new");
    let again = bench.scheduler.replay_submission(submission);
    assert_eq!(again, Err(Refusal::Exists(TaskKey(2))));
    assert_eq!(bench.state(2), State::Blocked);
    assert_eq!(
        bench.tick(9),
        [ended(2, State::Skipped, Reason::Dependency(TaskKey(1)))]
    );
}

#[test]
fn a_cascade_that_was_cut_off_is_finished() {
    let mut bench = Bench::new(limits(1));
    for submission in [plain(1), after(2, &[(1, Condition::Success)])] {
        bench.scheduler.replay_submission(submission).expect("it is new");
    }
    let cancelled = Change::Ended {
        state: State::Cancelled,
        reason: Reason::Cancelled,
    };
    bench
        .scheduler
        .replay(TaskKey(1), &cancelled)
        .expect("it was legal live");
    assert_eq!(bench.state(2), State::Blocked);
    assert_eq!(
        bench.tick(9),
        [ended(2, State::Skipped, Reason::Dependency(TaskKey(1)))]
    );
}

#[test]
fn no_slot_is_held_twice() {
    let bench = restored(
        vec![running(1, Some(0)), running(2, Some(0)), running(3, None)],
        1,
    );
    let slots: Vec<Option<u32>> = bench.scheduler.active().map(|task| task.slot).collect();
    assert_eq!(slots, [Some(0), Some(1), Some(2)]);
}

#[test]
fn the_same_task_again_replaces_the_first() {
    let mut bench = restored(vec![running(1, Some(0)), running(1, Some(0))], 1);
    assert_eq!(bench.scheduler.count(State::Running), 1);
    bench.scheduler.restore(stored(plain(1), State::Queued));
    bench.scheduler.check_invariants();
    assert_eq!(starts(&bench.tick(1)), [1]);
}

#[test]
fn changes_that_cannot_have_happened_are_named() {
    let mut bench = restored(vec![running(1, Some(0)), stored(plain(2), State::Queued)], 2);
    let started = |attempt, slot| Change::Started { attempt, slot };
    let unknown = bench
        .scheduler
        .replay(TaskKey(9), &Change::Held)
        .expect_err("no such task");
    assert!(
        unknown.to_string().starts_with("task 9 is unknown: "),
        "{unknown}"
    );
    let twice = bench
        .scheduler
        .replay(TaskKey(1), &started(3, 1))
        .expect_err("it runs");
    assert_eq!(twice.from, Some(State::Running));
    let taken = bench
        .scheduler
        .replay(TaskKey(2), &started(1, 0))
        .expect_err("slot 0 is taken");
    assert_eq!(taken.change, started(1, 0));
    let no_attempt = bench.scheduler.replay(TaskKey(2), &started(0, 1));
    assert!(no_attempt.is_err(), "attempts count from 1");
    bench.scheduler.check_invariants();
    assert_eq!(bench.state(2), State::Queued);
}

#[test]
fn forgetting_in_replay_takes_any_task_and_leaves_no_trace() {
    let ends = Task {
        attempts: 1,
        ..stored(plain(1), State::Succeeded)
    };
    let waits = stored(after(2, &[(1, Condition::Success)]), State::Queued);
    let mut bench = restored(vec![ends, waits], 0);
    bench.scheduler.replay_forget(TaskKey(2));
    bench.scheduler.replay_forget(TaskKey(1));
    bench.scheduler.replay_forget(TaskKey(1));
    bench.scheduler.check_invariants();
    assert_eq!(bench.scheduler.tasks_from(TaskKey(0)).count(), 0);
    assert_eq!(bench.tick(1), []);
}

#[test]
fn a_start_by_that_ran_out_in_between_is_noticed() {
    let late = Submission {
        start_by: Some(Tick(50)),
        ..plain(1)
    };
    let mut bench = restored(vec![stored(late, State::Queued)], 1);
    assert_eq!(bench.tick(60), [ended(1, State::Skipped, Reason::QueueTime)]);
}

#[test]
fn an_edit_survives_with_all_its_values() {
    let mut bench = Bench::new(limits(0));
    bench.submit(plain(1));
    bench.submit(plain(2));
    let edit = Edit {
        priority: Some(3),
        after: Some(common::dependencies(&[(1, Condition::Any)])),
        not_before: Some(Tick(77)),
        max_retries: Some(4),
        ..Edit::default()
    };
    bench.apply(Input::Edit(TaskKey(2), edit));
    let task = bench.task(2);
    let mut other = restored(vec![task.clone(), bench.task(1)], 0);
    other.tick(0);
    assert_eq!(other.task(2), task);
    assert_eq!(task.submission.not_before, Some(Tick(77)));
    assert_eq!(task.submission.backoff.max_retries, 4);
    assert!(other.scheduler.is_waited_for(TaskKey(1)));
}

#[test]
fn the_facts_count_where_the_stored_state_contradicts_them() {
    let blocked = stored(after(1, &[(2, Condition::Success)]), State::Blocked);
    let queued = stored(after(3, &[(2, Condition::Failure)]), State::Queued);
    let over = Task {
        attempts: 1,
        ..stored(plain(2), State::Succeeded)
    };
    let mut bench = restored(vec![blocked, queued, over], 9);
    assert_eq!((bench.state(1), bench.state(3)), (State::Queued, State::Blocked));
    assert_eq!(starts(&bench.tick(1)), [1]);
    assert_eq!(bench.state(3), State::Skipped);
}
