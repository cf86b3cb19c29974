//! What can happen to one task: delays, holds, stops, retries, revival.
#![allow(missing_docs)]

mod common;

use common::{after, ended, limits, plain, starts, Bench};
use wezterm_parallel_scheduler::{
    Action, Backoff, Change, Condition, Edit, Input, Reason, Refusal, Requeue, State, Submission, TaskKey,
    Tick,
};

const KEY: TaskKey = TaskKey(1);

fn record(change: Change) -> Action {
    Action::Record(KEY, change)
}

fn with_retries(max_retries: u32) -> Submission {
    let backoff = Backoff {
        max_retries,
        base_ms: 1_000,
        max_ms: 3_000,
    };
    Submission { backoff, ..plain(1) }
}

#[test]
fn a_delay_ends_by_itself() {
    let mut bench = Bench::new(limits(1));
    bench.submit(Submission {
        not_before: Some(Tick(500)),
        ..plain(1)
    });
    assert_eq!(bench.state(1), State::Delayed);
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(500)));
    assert_eq!(bench.why(1), ["delay: it may start in 500 ms"]);
    let why = bench.scheduler.explain(Tick(0), KEY).expect("it waits");
    assert_eq!(why.gates[0].opens_at, Some(Tick(500)));
    assert_eq!(bench.tick(499), []);
    assert_eq!(starts(&bench.tick(500)), [1]);
    assert_eq!(bench.scheduler.next_wake(), None);
}

#[test]
fn an_edited_delay_counts_from_then_on() {
    let mut bench = Bench::new(limits(1));
    bench.submit(Submission {
        not_before: Some(Tick(500)),
        ..plain(1)
    });
    let edit = |ms| Edit {
        not_before: Some(Tick(ms)),
        ..Edit::default()
    };
    bench.apply(Input::Edit(KEY, edit(900)));
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(900)));
    assert_eq!(bench.tick(600), []);
    assert_eq!(starts(&bench.apply(Input::Edit(KEY, edit(0)))), [1]);
}

#[test]
fn what_does_not_start_in_time_is_skipped_whatever_holds_it() {
    let start_by = Some(Tick(100));
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(Submission { start_by, ..plain(2) });
    bench.submit(Submission {
        start_by,
        held: true,
        ..plain(3)
    });
    bench.submit(Submission {
        start_by,
        not_before: Some(Tick(900)),
        ..plain(4)
    });
    bench.submit(Submission {
        start_by,
        ..after(5, &[(1, Condition::Any)])
    });
    bench.submit(after(6, &[(2, Condition::Success)]));
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(100)));
    assert_eq!(bench.tick(99), []);
    let mut expected: Vec<Action> = (2..=5)
        .map(|key| ended(key, State::Skipped, Reason::QueueTime))
        .collect();
    expected.push(ended(6, State::Skipped, Reason::Dependency(TaskKey(2))));
    assert_eq!(bench.tick(100), expected);
    assert_eq!(bench.scheduler.next_wake(), None);
}

#[test]
fn a_start_by_is_kept_by_the_first_attempt() {
    let mut bench = Bench::new(limits(1));
    bench.submit(Submission {
        start_by: Some(Tick(100)),
        ..with_retries(1)
    });
    bench.fail(1);
    assert_eq!(bench.state(1), State::Delayed);
    bench.tick(900);
    assert_eq!(bench.state(1), State::Delayed);
    assert_eq!(starts(&bench.tick(2_000)), [1]);
}

#[test]
fn held_tasks_wait_for_their_release() {
    let mut bench = Bench::new(limits(1));
    assert_eq!(
        bench.submit(Submission {
            held: true,
            ..plain(1)
        }),
        []
    );
    assert_eq!(bench.why(1), ["hold: it is on hold until it is released"]);
    assert_eq!(
        bench.refused(Input::Hold(KEY)),
        Refusal::WrongState(KEY, State::Held)
    );
    let actions = bench.apply(Input::Release(KEY));
    assert_eq!(actions[0], record(Change::Released));
    assert_eq!(starts(&actions), [1]);
    let refused = bench.refused(Input::Hold(KEY));
    assert_eq!(refused.to_string(), "task 1 is running");
}

#[test]
fn hold_comes_before_blocked_before_delayed() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    let submission = Submission {
        held: true,
        not_before: Some(Tick(50)),
        ..after(2, &[(1, Condition::Any)])
    };
    bench.submit(submission);
    assert_eq!(bench.state(2), State::Held);
    assert_eq!(bench.why(2).len(), 4, "every gate is told: {:?}", bench.why(2));
    bench.apply(Input::Release(TaskKey(2)));
    assert_eq!(bench.state(2), State::Blocked);
    bench.succeed(1);
    assert_eq!(bench.state(2), State::Delayed);
    bench.tick(50);
    assert_eq!(bench.state(2), State::Running);
}

#[test]
fn a_start_is_recorded_before_it_is_asked_for() {
    let mut bench = Bench::new(limits(1));
    let actions = bench.submit(plain(1));
    let start = Action::Start {
        key: KEY,
        attempt: 1,
        slot: 0,
    };
    assert_eq!(actions, [record(Change::Started { attempt: 1, slot: 0 }), start]);
}

#[test]
fn cancelling_ends_a_waiting_task_and_stops_a_running_one() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(plain(2));
    let cancelled = ended(2, State::Cancelled, Reason::Cancelled);
    assert_eq!(bench.apply(Input::Cancel(TaskKey(2))), [cancelled]);
    let refused = bench.refused(Input::Cancel(TaskKey(2)));
    assert_eq!(refused, Refusal::WrongState(TaskKey(2), State::Cancelled));
    let stop = Action::Stop(KEY, 1);
    assert_eq!(
        bench.apply(Input::Cancel(KEY)),
        [record(Change::StopRequested), stop.clone()]
    );
    assert!(bench.task(1).stopping);
    assert_eq!(bench.apply(Input::Cancel(KEY)), [stop]);
    assert_eq!(
        bench.refused(Input::Suspend(KEY)),
        Refusal::WrongState(KEY, State::Running)
    );
    bench.exit(1, State::Cancelled, Reason::Cancelled);
    let task = bench.task(1);
    assert_eq!(
        (task.state, task.stopping, task.slot),
        (State::Cancelled, false, None)
    );
}

#[test]
fn a_suspended_task_keeps_its_slot() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(plain(2));
    let suspended = [record(Change::Suspended), Action::Suspend(KEY, 1)];
    assert_eq!(bench.apply(Input::Suspend(KEY)), suspended);
    assert_eq!(bench.task(1).slot, Some(0));
    assert_eq!(bench.state(2), State::Queued);
    assert_eq!(
        bench.refused(Input::Suspend(KEY)),
        Refusal::WrongState(KEY, State::Paused)
    );
    let continued = [record(Change::Continued), Action::Continue(KEY, 1)];
    assert_eq!(bench.apply(Input::Continue(KEY)), continued);
    bench.apply(Input::Suspend(KEY));
    let stopped = [record(Change::StopRequested), Action::Stop(KEY, 1)];
    assert_eq!(bench.apply(Input::Cancel(KEY)), stopped);
    assert_eq!(bench.state(1), State::Paused);
    assert_eq!(starts(&bench.exit(1, State::Cancelled, Reason::Cancelled)), [2]);
}

#[test]
fn failures_are_retried_with_growing_waits() {
    let mut bench = Bench::new(limits(1));
    bench.submit(with_retries(3));
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        let actions = bench.fail(1);
        let Action::Record(
            _,
            Change::Requeued {
                cause,
                reason,
                not_before,
            },
        ) = &actions[0]
        else {
            panic!("attempt {attempt} is not retried: {actions:?}");
        };
        assert_eq!((*cause, *reason), (Requeue::Retry, Reason::ExitCode));
        let again = not_before.expect("a retry waits");
        waits.push(again.ms_since(bench.now));
        assert_eq!(bench.task(1).retries, attempt);
        assert_eq!(starts(&bench.tick(again.0)), [1]);
    }
    for (wait, base) in waits.iter().zip([1_000, 2_000, 3_000]) {
        assert!((base..=base + base / 4).contains(wait), "{waits:?}");
    }
    assert_eq!(bench.fail(1), [ended(1, State::Failed, Reason::ExitCode)]);
    assert_eq!(bench.task(1).attempts, 4);
}

#[test]
fn only_failures_that_may_go_away_are_retried() {
    let outcomes = [
        (State::Failed, Reason::ExitCode, true),
        (State::Failed, Reason::Signal, true),
        (State::Failed, Reason::Timeout, true),
        (State::Lost, Reason::Lost, true),
        (State::Failed, Reason::SpawnError, false),
        (State::Cancelled, Reason::Cancelled, false),
        (State::Succeeded, Reason::Ok, false),
    ];
    for (state, reason, retried) in outcomes {
        let mut bench = Bench::new(limits(1));
        bench.submit(with_retries(1));
        bench.exit(1, state, reason);
        let expected = if retried { State::Delayed } else { state };
        assert_eq!(bench.state(1), expected, "{reason:?}");
        assert_eq!(bench.task(1).reason, Some(reason));
    }
}

#[test]
fn a_task_that_is_being_stopped_is_not_retried() {
    let mut bench = Bench::new(limits(1));
    bench.submit(with_retries(5));
    bench.apply(Input::Cancel(KEY));
    assert_eq!(bench.fail(1), [ended(1, State::Failed, Reason::ExitCode)]);
}

#[test]
fn retries_can_be_granted_while_it_runs() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    let edit = Edit {
        max_retries: Some(1),
        priority: Some(9),
        ..Edit::default()
    };
    bench.apply(Input::Edit(KEY, edit.clone()));
    assert_eq!(bench.task(1).submission.priority, 9);
    let delay = Edit {
        not_before: Some(Tick(9)),
        ..Edit::default()
    };
    assert_eq!(
        bench.refused(Input::Edit(KEY, delay)),
        Refusal::WrongState(KEY, State::Running)
    );
    bench.fail(1);
    assert_eq!(bench.state(1), State::Delayed);
    bench.apply(Input::Cancel(KEY));
    assert_eq!(
        bench.refused(Input::Edit(KEY, edit)),
        Refusal::WrongState(KEY, State::Cancelled)
    );
}

#[test]
fn an_attempt_that_never_began_costs_no_retry() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    let not_before = Some(Tick(700));
    let actions = bench.apply(Input::PutBack {
        key: KEY,
        attempt: 1,
        reason: Reason::NotStarted,
        not_before,
    });
    let requeued = Change::Requeued {
        cause: Requeue::Free,
        reason: Reason::NotStarted,
        not_before,
    };
    assert_eq!(actions, [record(requeued)]);
    assert_eq!((bench.task(1).retries, bench.state(1)), (0, State::Delayed));
    assert_eq!(starts(&bench.tick(700)), [1]);
    assert_eq!(bench.task(1).attempts, 2);
    let actions = bench.exit(1, State::Lost, Reason::NotStarted);
    assert_eq!(starts(&actions), [1], "at once, without a moment named");
    bench.apply(Input::Cancel(KEY));
    let actions = bench.apply(Input::PutBack {
        key: KEY,
        attempt: 3,
        reason: Reason::Limited,
        not_before,
    });
    assert_eq!(actions, [ended(1, State::Cancelled, Reason::Cancelled)]);
}

#[test]
fn what_is_put_back_keeps_its_retries_and_says_why() {
    let mut bench = Bench::new(limits(1));
    bench.submit(with_retries(1));
    let not_before = Some(Tick(900));
    let actions = bench.apply(Input::PutBack {
        key: KEY,
        attempt: 1,
        reason: Reason::Limited,
        not_before,
    });
    let requeued = Change::Requeued {
        cause: Requeue::Free,
        reason: Reason::Limited,
        not_before,
    };
    assert_eq!(actions, [record(requeued)]);
    let task = bench.task(1);
    assert_eq!((task.retries, task.reason), (0, Some(Reason::Limited)));
    assert_eq!(starts(&bench.tick(900)), [1]);
}

#[test]
fn an_attempt_asks_and_is_answered() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(plain(2));
    assert_eq!(bench.apply(Input::Asked(KEY, 1)), [record(Change::Asked)]);
    assert_eq!((bench.state(1), bench.task(1).slot), (State::Waiting, Some(0)));
    assert_eq!(bench.state(2), State::Queued, "no slot is lent");
    let again = bench.refused(Input::Asked(KEY, 1));
    assert_eq!(again, Refusal::WrongState(KEY, State::Waiting));
    assert_eq!(bench.apply(Input::Answered(KEY, 2)), [], "no such attempt");
    assert_eq!(bench.apply(Input::Answered(KEY, 1)), [record(Change::Answered)]);
    assert_eq!(bench.state(1), State::Running);
    let again = bench.refused(Input::Answered(KEY, 1));
    assert_eq!(again, Refusal::WrongState(KEY, State::Running));
    assert_eq!(bench.apply(Input::Asked(KEY, 2)), [], "no such attempt");
    bench.succeed(1);
    let over = bench.refused(Input::Asked(KEY, 1));
    assert_eq!(over, Refusal::WrongState(KEY, State::Succeeded));
    let unknown = bench.refused(Input::Asked(TaskKey(9), 1));
    assert_eq!(unknown, Refusal::Unknown(TaskKey(9)));
}

#[test]
fn reports_of_other_attempts_are_ignored() {
    let mut bench = Bench::new(limits(1));
    bench.submit(with_retries(1));
    let exited = |attempt| Input::Exited {
        key: KEY,
        attempt,
        state: State::Failed,
        reason: Reason::Signal,
    };
    assert_eq!(bench.apply(exited(2)), []);
    bench.apply(exited(1));
    assert_eq!(bench.apply(exited(1)), [], "it waits for its retry");
    bench.tick(9_000);
    assert_eq!(bench.apply(exited(1)), [], "attempt 2 runs");
    bench.succeed(1);
    assert_eq!(bench.apply(exited(2)), []);
    assert_eq!(
        bench.apply(Input::PutBack {
            key: KEY,
            attempt: 2,
            reason: Reason::NotStarted,
            not_before: None
        }),
        []
    );
    let unknown = Input::Exited {
        key: TaskKey(9),
        attempt: 1,
        state: State::Lost,
        reason: Reason::Lost,
    };
    assert_eq!(bench.apply(unknown), []);
}

#[test]
fn a_judgement_that_is_no_end_is_refused() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    let exited = Input::Exited {
        key: KEY,
        attempt: 1,
        state: State::Queued,
        reason: Reason::Ok,
    };
    assert_eq!(bench.refused(exited), Refusal::WrongState(KEY, State::Running));
}

#[test]
fn an_ended_task_can_run_again() {
    let mut bench = Bench::new(limits(1));
    assert_eq!(bench.refused(Input::Revive(KEY)), Refusal::Unknown(KEY));
    bench.submit(with_retries(1));
    assert_eq!(
        bench.refused(Input::Revive(KEY)),
        Refusal::WrongState(KEY, State::Running)
    );
    bench.fail(1);
    bench.tick(9_000);
    bench.fail(1);
    assert_eq!(bench.state(1), State::Failed);
    let actions = bench.apply(Input::Revive(KEY));
    assert_eq!(actions[0], record(Change::Revived));
    assert_eq!(starts(&actions), [1]);
    assert_eq!((bench.task(1).attempts, bench.task(1).retries), (3, 0));
    bench.fail(1);
    assert_eq!(bench.state(1), State::Delayed, "its retries count anew");
}

#[test]
fn reviving_does_away_with_what_would_stop_it_at_once() {
    let mut bench = Bench::new(limits(1));
    bench.submit(Submission {
        held: true,
        start_by: Some(Tick(10)),
        ..plain(1)
    });
    bench.tick(10);
    assert_eq!(bench.task(1).reason, Some(Reason::QueueTime));
    assert_eq!(starts(&bench.apply(Input::Revive(KEY))), [1]);
}

#[test]
fn a_clock_that_runs_backwards_undoes_nothing() {
    let mut bench = Bench::new(limits(0));
    bench.submit(Submission {
        not_before: Some(Tick(50)),
        ..plain(1)
    });
    bench.tick(50);
    bench.tick(3);
    assert_eq!(bench.state(1), State::Queued);
}
