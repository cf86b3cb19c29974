//! Relief: who is paused and put back when memory is short, and that it survives a restart.
#![allow(missing_docs)]

mod common;
#[path = "common/machine.rs"]
mod machine_support;

use common::{close, limits, plain, starts, Bench};
use machine_support::{available, idle, machine, rules, stalled, GIB, MIB};
use wezterm_parallel_scheduler::{
    Action, AdmissionRules, Change, Input, Reason, Refusal, Relief, Requeue, Scheduler, State, TaskKey, Tick,
};

const ONE: TaskKey = TaskKey(1);
const TWO: TaskKey = TaskKey(2);
const THREE: TaskKey = TaskKey(3);

/// Three workers, started one after another; then others take the memory, from 4 s on.
fn three_in_trouble(rules: AdmissionRules) -> Bench {
    let mut bench = machine(rules);
    for key in 1..=3 {
        bench.read(idle(1_000 * key));
        assert_eq!(starts(&bench.submit(plain(key))), [key]);
    }
    bench.read(available(4_000, GIB));
    bench
}

fn relieved(key: TaskKey, until: u64) -> [Action; 2] {
    let until = Tick(until);
    [
        Action::Record(key, Change::Relieved { until }),
        Action::Suspend(key, 1),
    ]
}

fn continued(key: TaskKey) -> [Action; 2] {
    [Action::Record(key, Change::Continued), Action::Continue(key, 1)]
}

fn put_back(key: TaskKey) -> [Action; 2] {
    [
        Action::Record(key, Change::PutBackRequested),
        Action::Stop(key, 1),
    ]
}

/// Short memory, read every half second.
fn stay_short(bench: &mut Bench, from: u64, to: u64) -> Vec<(u64, Action)> {
    let mut done = Vec::new();
    for at in (from..=to).step_by(500) {
        let actions = notices_aside(bench.read(available(at, GIB)));
        done.extend(actions.into_iter().map(|action| (at, action)));
    }
    done
}

fn at(at: u64, actions: [Action; 2]) -> Vec<(u64, Action)> {
    actions.map(|action| (at, action)).to_vec()
}

#[test]
fn the_youngest_are_paused_one_by_one_and_the_oldest_never() {
    let mut bench = three_in_trouble(rules());
    let done = stay_short(&mut bench, 4_500, 30_000);
    let expected = [
        at(6_000, relieved(THREE, 36_000)),
        at(11_000, relieved(TWO, 41_000)),
    ];
    assert_eq!(done, expected.concat());
    assert_eq!(bench.state(3), State::Paused);
    assert_eq!(bench.task(3).relief, Some(Relief::PausedUntil(Tick(36_000))));
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(36_000)));
    assert_eq!(
        bench.scheduler.relief_in_words(bench.now, THREE).as_deref(),
        Some(
            "paused to relieve memory, for at most 6 s more: 1.0 GiB available, with a floor of 1.6 GiB; \
             read 0.0 s ago"
        )
    );
    bench.submit(plain(4));
    assert_eq!(
        bench.why(4)[0],
        "memory: memory is short: 2 running tasks are paused or put back"
    );
}

#[test]
fn whoever_is_paused_goes_on_when_memory_is_back_the_oldest_first() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 12_000);
    bench.submit(plain(4));
    let mut done = Vec::new();
    for now in (12_500..=25_000).step_by(500) {
        let actions = bench.read(available(now, 9 * GIB));
        done.extend(actions.into_iter().map(|action| (now, action)));
    }
    let goes_on = |key, now| at(now, continued(key));
    assert_eq!(done[..2], goes_on(TWO, 16_000));
    assert_eq!(done[2..4], goes_on(THREE, 21_000));
    let rest: Vec<Action> = done[4..].iter().map(|(_, action)| action.clone()).collect();
    assert_eq!(starts(&rest), [4], "nothing new starts before");
}

#[test]
fn what_was_paused_for_too_long_is_put_back_without_using_a_retry() {
    let mut bench = three_in_trouble(rules());
    bench.measure(&[(1, 3 * GIB), (2, GIB), (3, 2 * GIB)]);
    stay_short(&mut bench, 4_500, 35_500);
    assert_eq!(bench.read(available(36_000, GIB)), put_back(THREE));
    assert!(bench.task(3).stopping);
    assert_eq!(bench.task(3).relief, Some(Relief::PuttingBack));
    // Whatever its end looked like.
    let actions = bench.exit(3, State::Cancelled, Reason::Cancelled);
    let requeued = Change::Requeued {
        cause: Requeue::Free,
        reason: Reason::Memory,
        not_before: None,
    };
    assert_eq!(actions, [Action::Record(THREE, requeued)]);
    let task = bench.task(3);
    assert_eq!((task.state, task.retries, task.relief), (State::Queued, 0, None));
    // It comes back with more reserved than it had come to.
    for now in (36_500..60_000).step_by(500) {
        bench.read(available(now, 9 * GIB));
    }
    let report = bench.scheduler.admission(bench.now);
    let reserved: Vec<u64> = report
        .reservations
        .iter()
        .map(|reservation| reservation.reserved_bytes)
        .collect();
    assert_eq!(
        reserved,
        [3 * GIB, 3 * GIB, 3 * GIB],
        "the lane has been seen at 3 GiB"
    );
    assert_eq!(bench.task(3).attempts, 2);
}

#[test]
fn one_that_succeeds_while_it_is_stopped_has_succeeded() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 36_000);
    assert!(bench.task(3).stopping);
    bench.succeed(3);
    assert_eq!(bench.state(3), State::Succeeded);
}

#[test]
fn a_cancel_counts_more_than_putting_back() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 36_000);
    let actions = bench.apply(Input::Cancel(THREE));
    assert_eq!(
        actions,
        [
            Action::Record(THREE, Change::StopRequested),
            Action::Stop(THREE, 1)
        ]
    );
    bench.exit(3, State::Cancelled, Reason::Cancelled);
    assert_eq!(bench.state(3), State::Cancelled);
}

#[test]
fn the_user_may_let_it_go_on_and_then_it_is_left_alone() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 6_000);
    assert_eq!(
        bench.refused(Input::Suspend(THREE)),
        Refusal::WrongState(THREE, State::Paused)
    );
    assert_eq!(bench.apply(Input::Continue(THREE)), continued(THREE));
    let done = stay_short(&mut bench, 6_500, 30_000);
    assert_eq!(done, at(11_000, relieved(TWO, 41_000)));
}

#[test]
fn the_pause_of_a_user_is_not_ended_by_memory() {
    let mut bench = three_in_trouble(rules());
    bench.apply(Input::Suspend(THREE));
    bench.apply(Input::Asked(TWO, 1));
    assert_eq!(stay_short(&mut bench, 4_500, 50_000), [], "only one runs");
    for now in (50_500..60_000).step_by(500) {
        assert_eq!(notices_aside(bench.read(idle(now))), []);
    }
    assert_eq!(bench.state(3), State::Paused);
    assert_eq!(bench.task(3).relief, None);
}

fn notices_aside(actions: Vec<Action>) -> Vec<Action> {
    let is_notice = |action: &Action| matches!(action, Action::Gate(_));
    actions.into_iter().filter(|action| !is_notice(action)).collect()
}

#[test]
fn somebody_always_advances() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 12_000);
    let actions = notices_aside(bench.exit(1, State::Failed, Reason::ExitCode));
    assert_eq!(
        actions[1..],
        continued(TWO),
        "the oldest of those that are paused"
    );
}

#[test]
fn one_that_has_become_the_oldest_is_not_put_back() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 6_000);
    bench.apply(Input::Continue(THREE));
    // The younger one is spared now, so that the one in the middle is paused beside it.
    assert_eq!(
        stay_short(&mut bench, 6_500, 12_000),
        at(11_000, relieved(TWO, 41_000))
    );
    bench.succeed(1);
    assert_eq!(
        stay_short(&mut bench, 12_500, 50_000),
        at(16_000, continued(TWO)),
        "in its turn"
    );
    assert_eq!(bench.running(), 2);
}

#[test]
fn the_promised_time_holds_when_the_readings_stop() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 6_000);
    assert_eq!(notices_aside(bench.tick(35_999)), []);
    assert_eq!(bench.tick(36_000), continued(THREE));
}

#[test]
fn stalls_call_for_relief_too() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    bench.submit(plain(2));
    bench.read(stalled(2_000, 300));
    assert_eq!(
        notices_aside(bench.read(stalled(4_000, 300))),
        relieved(TWO, 34_000)
    );
}

#[test]
fn one_that_was_put_back_is_rather_spared() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 36_000);
    bench.exit(3, State::Cancelled, Reason::Cancelled);
    for now in (36_500..55_000).step_by(500) {
        bench.read(idle(now));
    }
    assert_eq!(bench.task(3).attempts, 2);
    assert_eq!(bench.state(2), State::Running);
    let done = stay_short(&mut bench, 55_000, 58_000);
    let (_, action) = done
        .iter()
        .find(|(_, action)| matches!(action, Action::Suspend(..)))
        .expect("one");
    assert_eq!(*action, Action::Suspend(TWO, 1), "3 is younger, and had its turn");
}

#[test]
fn rules_that_relieve_nothing_let_go() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 12_000);
    let dry = AdmissionRules {
        dry_run: true,
        ..rules()
    };
    let mut actions = notices_aside(bench.apply(Input::SetAdmission(Box::new(dry))));
    // From now on it is only said whom the rules would pause.
    let said = actions.pop();
    assert!(
        matches!(said, Some(Action::WouldPause { key: THREE, .. })),
        "{said:?}"
    );
    assert_eq!(actions, [continued(TWO), continued(THREE)].concat());
}

/// The scheduler of a new daemon, from a snapshot of the tasks.
fn restarted(bench: &Bench) -> Bench {
    let mut again = Bench {
        scheduler: Scheduler::new(limits(99)),
        now: bench.now,
    };
    for task in bench.scheduler.tasks_from(TaskKey(0)) {
        again.scheduler.restore(task);
        again.scheduler.check_invariants();
    }
    again
}

#[test]
fn a_restart_keeps_who_is_paused_and_until_when() {
    let mut bench = three_in_trouble(rules());
    stay_short(&mut bench, 4_500, 12_000);
    let mut again = restarted(&bench);
    assert_eq!(again.task(3), bench.task(3));
    assert_eq!(again.apply(close("start", "the daemon is starting")), []);
    again.apply(Input::SetAdmission(Box::new(rules())));
    assert_eq!(stay_short(&mut again, 12_500, 35_500), []);
    assert_eq!(notices_aside(again.read(available(36_000, GIB))), put_back(THREE));
    let mut third = restarted(&again);
    let actions = third.exit(3, State::Cancelled, Reason::Cancelled);
    assert!(
        matches!(
            &actions[0],
            Action::Record(
                THREE,
                Change::Requeued {
                    reason: Reason::Memory,
                    ..
                }
            )
        ),
        "it is put back, though another daemon asked for that"
    );
}

#[test]
fn replay_goes_through_the_same_changes() {
    let mut again = Scheduler::new(limits(9));
    for key in 1..=2 {
        again.replay_submission(plain(key)).expect("it is new");
    }
    let started = |slot| Change::Started { attempt: 1, slot };
    let until = Tick(9_000);
    let changes = [
        (1, started(0)),
        (2, started(1)),
        (2, Change::Relieved { until }),
        (2, Change::Continued),
        (2, Change::Relieved { until }),
        (2, Change::PutBackRequested),
    ];
    for (key, change) in changes {
        again.replay(TaskKey(key), &change).expect("it was legal live");
        again.check_invariants();
    }
    assert_eq!(
        again.task(TWO).expect("it is there").relief,
        Some(Relief::PuttingBack)
    );
    assert!(
        again.replay(ONE, &Change::PutBackRequested).is_err(),
        "it is not paused"
    );
}

#[test]
fn a_small_worker_is_no_better_than_its_age() {
    let mut bench = three_in_trouble(rules());
    bench.measure(&[(1, 10 * MIB), (2, 8 * GIB), (3, 20 * MIB)]);
    let done = stay_short(&mut bench, 4_500, 6_000);
    assert_eq!(done, at(6_000, relieved(THREE, 36_000)));
}
