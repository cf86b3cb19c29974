//! Tasks that wait for other tasks.
#![allow(missing_docs)]

mod common;

use common::{after, dependencies, edit_after, ended, limits, plain, starts, Bench};
use wezterm_parallel_scheduler::Condition::{Any, Failure, Success};
use wezterm_parallel_scheduler::{Action, Condition, Input, Reason, Refusal, State, TaskKey, Tick};

#[test]
fn each_condition_is_met_by_its_ends_and_by_no_other() {
    let ends = [
        (State::Succeeded, Reason::Ok, [true, false, true]),
        (State::Failed, Reason::ExitCode, [false, true, true]),
        (State::Lost, Reason::Lost, [false, true, true]),
        (State::Cancelled, Reason::Cancelled, [false, false, true]),
    ];
    for (state, reason, met) in ends {
        let mut bench = Bench::new(limits(9));
        bench.submit(plain(1));
        for (key, on) in [(2, Success), (3, Failure), (4, Any)] {
            assert_eq!(bench.submit(after(key, &[(1, on)])), []);
            assert_eq!(bench.state(key), State::Blocked);
        }
        bench.exit(1, state, reason);
        for (key, met) in (2..).zip(met) {
            let expected = if met { State::Running } else { State::Skipped };
            assert_eq!(bench.state(key), expected, "task {key} after {state}");
        }
    }
}

#[test]
fn dependencies_on_ended_tasks_are_evaluated_at_once() {
    let mut bench = Bench::new(limits(9));
    bench.submit(plain(1));
    bench.fail(1);
    assert_eq!(starts(&bench.submit(after(2, &[(1, Failure)]))), [2]);
    let actions = bench.submit(after(3, &[(1, Success)]));
    assert_eq!(
        actions,
        [ended(3, State::Skipped, Reason::Dependency(TaskKey(1)))]
    );
    // A skipped task satisfies only `any`.
    assert_eq!(starts(&bench.submit(after(4, &[(3, Any)]))), [4]);
    bench.submit(after(5, &[(3, Failure)]));
    assert_eq!(bench.task(5).reason, Some(Reason::Dependency(TaskKey(3))));
}

#[test]
fn all_dependencies_must_be_met() {
    let mut bench = Bench::new(limits(9));
    bench.submit(plain(1));
    bench.submit(plain(2));
    bench.submit(after(3, &[(1, Success), (2, Any), (1, Any)]));
    assert_eq!(starts(&bench.succeed(1)), []);
    assert_eq!(
        bench.why(3),
        ["dependency: waits for task 2 to end; it is running"]
    );
    assert_eq!(starts(&bench.fail(2)), [3]);
}

#[test]
fn skipping_goes_down_the_whole_chain_with_a_record_each() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    let length = 5_000;
    for key in 2..=length {
        let submission = Input::Submit(Box::new(after(key, &[(key - 1, Success)])));
        bench
            .scheduler
            .apply(Tick(0), submission)
            .expect("the input is accepted");
    }
    let actions = bench.fail(1);
    let mut expected = vec![ended(1, State::Failed, Reason::ExitCode)];
    expected.extend((2..=length).map(|key| ended(key, State::Skipped, Reason::Dependency(TaskKey(key - 1)))));
    assert_eq!(actions, expected);
}

#[test]
fn held_tasks_are_skipped_too() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Success)]));
    bench.apply(Input::Hold(TaskKey(2)));
    assert_eq!(bench.state(2), State::Held);
    bench.fail(1);
    assert_eq!(bench.state(2), State::Skipped);
}

#[test]
fn unknown_dependencies_and_cycles_are_refused_and_change_nothing() {
    let mut bench = Bench::new(limits(0));
    let refused = bench.refused(Input::Submit(Box::new(after(1, &[(7, Any)]))));
    assert_eq!(refused, Refusal::UnknownDependency(TaskKey(1), TaskKey(7)));
    assert_eq!(bench.scheduler.state(TaskKey(1)), None);
    let itself = bench.refused(Input::Submit(Box::new(after(1, &[(1, Any)]))));
    assert_eq!(itself, Refusal::Cycle(vec![TaskKey(1)]));
    assert_eq!(itself.to_string(), "the dependencies form a cycle: 1 waits for 1");
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Any)]));
    bench.submit(after(3, &[(2, Any)]));
    let before = bench.task(1);
    let cycle = bench.refused(Input::Edit(TaskKey(1), edit_after(&[(3, Any)])));
    assert_eq!(cycle, Refusal::Cycle([1, 3, 2].map(TaskKey).to_vec()));
    assert_eq!(bench.task(1), before);
    let unknown = bench.refused(Input::Edit(TaskKey(1), edit_after(&[(9, Any)])));
    assert_eq!(unknown, Refusal::UnknownDependency(TaskKey(1), TaskKey(9)));
}

#[test]
fn a_cycle_through_an_ended_task_is_refused_because_it_could_be_revived() {
    let mut bench = Bench::new(limits(0));
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Any)]));
    bench.apply(Input::Cancel(TaskKey(2)));
    let cycle = bench.refused(Input::Edit(TaskKey(1), edit_after(&[(2, Any)])));
    assert_eq!(cycle, Refusal::Cycle([1, 2].map(TaskKey).to_vec()));
}

#[test]
fn edited_dependencies_replace_the_old_ones() {
    let mut bench = Bench::new(limits(2));
    bench.submit(plain(1));
    bench.submit(plain(2));
    bench.submit(after(3, &[(1, Success)]));
    bench.apply(Input::Edit(TaskKey(3), edit_after(&[(2, Success)])));
    assert!(!bench.scheduler.is_waited_for(TaskKey(1)));
    assert!(bench.scheduler.is_waited_for(TaskKey(2)));
    bench.fail(1);
    assert_eq!(bench.state(3), State::Blocked);
    assert_eq!(
        starts(&bench.apply(Input::Edit(TaskKey(3), edit_after(&[])))),
        [3]
    );
    assert_eq!(bench.task(3).submission.after, dependencies(&[]));
}

#[test]
fn what_others_wait_for_is_not_forgotten() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.succeed(1);
    bench.apply(Input::Pause(None));
    bench.submit(after(2, &[(1, Success)]));
    let refused = bench.refused(Input::Forget(TaskKey(1)));
    assert_eq!(refused, Refusal::WaitedFor(TaskKey(1), TaskKey(2)));
    bench.apply(Input::Resume(None));
    assert_eq!(
        bench.refused(Input::Forget(TaskKey(1))),
        refused,
        "it runs, and may be retried"
    );
    assert_eq!(
        bench.refused(Input::Forget(TaskKey(2))),
        Refusal::WrongState(TaskKey(2), State::Running)
    );
    bench.succeed(2);
    bench.apply(Input::Forget(TaskKey(1)));
    assert_eq!(bench.scheduler.task(TaskKey(1)), None);
    assert_eq!(
        bench.refused(Input::Forget(TaskKey(1))),
        Refusal::Unknown(TaskKey(1))
    );
}

#[test]
fn a_submission_can_be_taken_back() {
    let mut bench = Bench::new(limits(0));
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Any)]));
    bench.apply(Input::Forget(TaskKey(2)));
    bench.apply(Input::Forget(TaskKey(1)));
    assert_eq!(bench.scheduler.tasks_from(TaskKey(0)).count(), 0);
    assert_eq!(bench.scheduler.next_wake(), None);
}

#[test]
fn reviving_blocks_what_still_waits_and_leaves_what_was_skipped() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Success)]));
    bench.submit(after(3, &[(1, Failure)]));
    bench.apply(Input::Pause(None));
    bench.fail(1);
    assert_eq!((bench.state(2), bench.state(3)), (State::Skipped, State::Queued));
    bench.apply(Input::Revive(TaskKey(1)));
    assert_eq!((bench.state(2), bench.state(3)), (State::Skipped, State::Blocked));
    bench.apply(Input::Resume(None));
    bench.succeed(1);
    assert_eq!((bench.state(2), bench.state(3)), (State::Skipped, State::Skipped));
    assert_eq!(starts(&bench.apply(Input::Revive(TaskKey(2)))), [2]);
}

#[test]
fn reviving_in_vain_is_skipped_again_and_says_why() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(after(2, &[(1, Success)]));
    bench.fail(1);
    let actions = bench.apply(Input::Revive(TaskKey(2)));
    let again = ended(2, State::Skipped, Reason::Dependency(TaskKey(1)));
    assert_eq!(actions.last(), Some(&again));
    // Once the other one is gone, nobody knows, and the user's wish counts.
    bench.apply(Input::Forget(TaskKey(1)));
    assert_eq!(starts(&bench.apply(Input::Revive(TaskKey(2)))), [2]);
    assert_eq!(bench.task(2).submission.after, []);
}

#[test]
fn one_end_frees_many() {
    let mut bench = Bench::new(limits(500));
    bench.submit(plain(1));
    for key in 2..=400 {
        bench.submit(after(key, &[(1, Condition::Success)]));
    }
    let actions = bench.succeed(1);
    assert_eq!(starts(&actions), (2..=400).collect::<Vec<u64>>());
    assert!(matches!(actions[1], Action::Record(TaskKey(2), _)));
}
