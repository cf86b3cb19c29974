//! Two tasks of one session never run at once.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use common::{after, in_session, limits, plain, starts, Bench};
use wezterm_parallel_scheduler::{
    Action, Change, Condition, Input, Refusal, Scheduler, State, Submission, TaskKey, Tick,
};

fn claim(key: u64, session: Option<&str>) -> Input {
    Input::Claim(TaskKey(key), session.map(Arc::from))
}

#[test]
fn the_first_that_starts_blocks_the_other_at_once() {
    let mut bench = Bench::new(limits(9));
    bench.apply(Input::Pause(None));
    for submission in [in_session(1, "one"), in_session(2, "one"), in_session(3, "two")] {
        bench.submit(submission);
    }
    assert_eq!(bench.state(2), State::Queued);
    assert_eq!(starts(&bench.apply(Input::Resume(None))), [1, 3]);
    assert_eq!(bench.state(2), State::Blocked);
    assert_eq!(bench.why(2), ["session: session one is in use by task 1"]);
    assert_eq!(starts(&bench.succeed(1)), [2]);
    assert_eq!(bench.scheduler.count(State::Blocked), 0);
}

#[test]
fn a_session_is_free_between_the_attempts_of_a_task() {
    let mut bench = Bench::new(limits(9));
    let mut first = in_session(1, "one");
    first.backoff.max_retries = 1;
    bench.submit(first);
    bench.submit(in_session(2, "one"));
    assert_eq!(starts(&bench.fail(1)), [2], "task 1 waits for its retry");
    bench.tick(60_000);
    assert_eq!(bench.state(1), State::Blocked);
    assert_eq!(starts(&bench.succeed(2)), [1]);
}

#[test]
fn a_session_comes_after_a_hold_and_beside_dependencies() {
    let mut bench = Bench::new(limits(9));
    bench.submit(in_session(1, "one"));
    bench.submit(plain(2));
    let waits = Submission {
        session: Some(Arc::from("one")),
        held: true,
        ..after(3, &[(2, Condition::Success)])
    };
    bench.submit(waits);
    assert_eq!(bench.state(3), State::Held);
    assert_eq!(bench.why(3).len(), 3, "{:?}", bench.why(3));
    bench.apply(Input::Release(TaskKey(3)));
    bench.succeed(2);
    assert_eq!(bench.state(3), State::Blocked, "the session is in use");
    assert_eq!(starts(&bench.succeed(1)), [3]);
}

#[test]
fn a_task_that_runs_may_claim_a_session() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(in_session(2, "one"));
    let claimed = Change::Claimed(Some(Arc::from("one")));
    assert_eq!(
        bench.apply(claim(1, Some("one"))),
        [Action::Record(TaskKey(1), claimed)]
    );
    assert_eq!((bench.state(1), bench.state(2)), (State::Running, State::Blocked));
    assert_eq!(bench.task(1).submission.session.as_deref(), Some("one"));
    bench.apply(claim(1, Some("two")));
    assert_eq!(bench.state(2), State::Queued, "the old session is free");
    bench.apply(claim(2, Some("two")));
    assert_eq!(bench.state(2), State::Blocked);
    bench.apply(claim(2, None));
    assert_eq!(bench.state(2), State::Queued);
    assert_eq!(bench.task(2).submission.session, None);
    assert_eq!(
        bench.refused(claim(9, None)),
        Refusal::Unknown(TaskKey(9)),
        "there is no such task"
    );
}

#[test]
fn two_that_run_already_go_on_and_block_the_third() {
    let mut bench = Bench::new(limits(2));
    for key in 1..=2 {
        bench.submit(plain(key));
        bench.apply(claim(key, Some("one")));
    }
    bench.submit(in_session(3, "one"));
    assert_eq!(bench.scheduler.count(State::Running), 2);
    let both = [
        "session: session one is in use by task 1",
        "session: session one is in use by task 2",
        "slots: 2 of 2 slots are taken",
    ];
    assert_eq!(bench.why(3), both);
    bench.succeed(1);
    assert_eq!(bench.state(3), State::Blocked);
    assert_eq!(starts(&bench.succeed(2)), [3]);
}

#[test]
fn an_ended_task_keeps_its_session_for_when_it_is_revived() {
    let mut bench = Bench::new(limits(9));
    bench.submit(plain(1));
    bench.succeed(1);
    bench.apply(claim(1, Some("one")));
    assert_eq!(bench.state(1), State::Succeeded);
    assert_eq!(
        starts(&bench.submit(in_session(2, "one"))),
        [2],
        "an ended one uses nothing"
    );
    bench.apply(Input::Revive(TaskKey(1)));
    assert_eq!(bench.state(1), State::Blocked);
    assert_eq!(starts(&bench.succeed(2)), [1]);
}

#[test]
fn a_task_in_a_session_that_is_in_use_can_be_taken_back_and_forgotten() {
    let mut bench = Bench::new(limits(9));
    bench.submit(in_session(1, "one"));
    bench.submit(in_session(2, "one"));
    bench.apply(Input::Cancel(TaskKey(2)));
    bench.apply(Input::Forget(TaskKey(2)));
    bench.succeed(1);
    bench.apply(Input::Forget(TaskKey(1)));
    assert_eq!(starts(&bench.submit(in_session(3, "one"))), [3]);
}

#[test]
fn sessions_come_back_in_whatever_order_the_tasks_do() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    bench.submit(in_session(2, "one"));
    bench.apply(claim(1, Some("one")));
    let tasks: Vec<_> = bench.scheduler.tasks_from(TaskKey(0)).collect();
    for order in [[0, 1], [1, 0]] {
        let mut again = Bench {
            scheduler: Scheduler::new(limits(9)),
            now: Tick(0),
        };
        for index in order {
            again.scheduler.restore(tasks[index].clone());
            again.scheduler.check_invariants();
        }
        assert_eq!(again.state(2), State::Blocked);
        assert_eq!(again.task(1), tasks[0]);
        again.scheduler.replay_forget(TaskKey(1));
        again.scheduler.check_invariants();
        assert_eq!(starts(&again.tick(1)), [2]);
    }
}

#[test]
fn a_claim_survives_in_the_journal() {
    let mut again = Bench::new(limits(9));
    for key in 1..=2 {
        again
            .scheduler
            .replay_submission(in_session(key, "one"))
            .expect("it is new");
    }
    let changes = [
        (1, Change::Started { attempt: 1, slot: 0 }),
        (1, Change::Asked),
        (2, Change::Claimed(None)),
        (1, Change::Answered),
        (1, Change::Asked),
    ];
    for (key, change) in changes {
        again
            .scheduler
            .replay(TaskKey(key), &change)
            .expect("it was legal live");
        again.scheduler.check_invariants();
    }
    assert_eq!((again.state(1), again.state(2)), (State::Waiting, State::Queued));
    let refused = again.scheduler.replay(TaskKey(2), &Change::Asked);
    assert_eq!(refused.expect_err("it does not run").from, Some(State::Queued));
}
