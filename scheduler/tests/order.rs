//! Which task runs next: priority, age, lanes, limits, slots, pauses, gates.
#![allow(missing_docs)]

mod common;

use common::{close, lane, limit, limits, open, plain, starts, Bench, STEP_MS};
use std::sync::Arc;
use wezterm_parallel_scheduler::{
    Action, Change, Edit, Input, LimitScope, Limits, Reason, Refusal, State, Submission, TaskKey, Tick,
};

fn with_priority(key: u64, priority: u8) -> Submission {
    Submission {
        priority,
        ..plain(key)
    }
}

fn in_lane(key: u64, workspace: &str, worker: &str) -> Submission {
    Submission {
        lane: lane(workspace, worker),
        ..plain(key)
    }
}

#[test]
fn larger_priority_first_then_first_come_first_served() {
    let mut bench = Bench::new(limits(1));
    bench.apply(Input::Pause(None));
    for (key, priority) in [(1, 50), (2, 200), (3, 100), (4, 200), (5, 0), (6, 255)] {
        bench.submit(with_priority(key, priority));
    }
    bench.apply(Input::Resume(None));
    assert_eq!(bench.drain(), [6, 2, 4, 3, 1, 5]);
}

#[test]
fn equal_moments_go_by_number() {
    let mut bench = Bench::new(limits(1));
    bench.apply(Input::Pause(None));
    for key in [3, 1, 2] {
        let submitted_at = Tick(9);
        bench.submit(Submission {
            submitted_at,
            ..plain(key)
        });
    }
    bench.apply(Input::Resume(None));
    assert_eq!(bench.drain(), [1, 2, 3]);
}

#[test]
fn one_step_of_waiting_is_worth_one_point_of_priority() {
    for (later_by, first) in [(STEP_MS - 1, 2), (STEP_MS + 1, 1)] {
        let mut bench = Bench::new(limits(1));
        bench.apply(Input::Pause(None));
        bench.submit(Submission {
            submitted_at: Tick(1_000),
            ..with_priority(1, 100)
        });
        let submitted_at = Tick(1_000 + later_by);
        bench.submit(Submission {
            submitted_at,
            ..with_priority(2, 101)
        });
        assert_eq!(starts(&bench.apply(Input::Resume(None))), [first]);
    }
}

#[test]
fn a_huge_step_means_strict_priorities_and_none_means_first_come() {
    for (aging_step_ms, order) in [(u64::MAX, [3, 2, 1]), (0, [1, 2, 3])] {
        let mut bench = Bench::new(Limits {
            aging_step_ms,
            ..limits(1)
        });
        bench.apply(Input::Pause(None));
        for (key, priority) in [(1, 0), (2, 1), (3, 255)] {
            let submitted_at = Tick(1_700_000_000_000 + key * 1_000_000_000);
            bench.submit(Submission {
                submitted_at,
                ..with_priority(key, priority)
            });
        }
        bench.apply(Input::Resume(None));
        assert_eq!(bench.drain(), order);
    }
}

#[test]
fn the_ends_of_the_range_of_time_do_no_harm() {
    let mut bench = Bench::new(Limits {
        aging_step_ms: u64::MAX,
        ..limits(0)
    });
    for (key, submitted_at) in [(1, 0), (2, u64::MAX)] {
        let submission = Submission {
            submitted_at: Tick(submitted_at),
            not_before: Some(Tick(u64::MAX)),
            ..with_priority(key, 255)
        };
        bench.submit(submission);
    }
    bench.tick(u64::MAX);
    assert_eq!(bench.scheduler.count(State::Queued), 2);
}

#[test]
fn aging_bounds_the_wait_by_the_computed_moment() {
    // One slot, and every moment another task of the highest priority: the lowest one must
    // start before all that were submitted after the moment that was announced.
    let aging_step_ms = 2;
    let mut bench = Bench::new(Limits {
        aging_step_ms,
        ..limits(1)
    });
    bench.submit(plain(1));
    bench.submit(Submission {
        submitted_at: Tick(5),
        ..with_priority(2, 0)
    });
    let explained = bench.scheduler.explain(bench.now, TaskKey(2)).expect("it waits");
    let bound = explained.not_overtaken_after.expect("it waits");
    assert_eq!(bound, Tick(5 + 255 * aging_step_ms));
    let mut running = 1;
    let mut before_it = Vec::new();
    for moment in 6.. {
        bench.now = Tick(moment);
        bench.submit(Submission {
            submitted_at: Tick(moment),
            ..with_priority(moment, 255)
        });
        // One in two submissions gets to run, so that the queue grows without end.
        if moment % 2 == 0 {
            running = starts(&bench.succeed(running))[0];
            if running == 2 {
                break;
            }
            before_it.push(running);
        }
        assert!(moment < 3_000, "the lowest priority starves");
    }
    assert!(
        before_it.len() > 200,
        "high priorities did come first for a while"
    );
    assert!(
        before_it.iter().all(|key| *key <= bound.0),
        "overtaken after {bound:?}"
    );
}

#[test]
fn another_priority_moves_one_task_within_the_queue() {
    let mut bench = Bench::new(limits(1));
    bench.apply(Input::Pause(None));
    for key in 1..=4 {
        bench.submit(plain(key));
    }
    let urgent = Edit {
        priority: Some(200),
        ..Edit::default()
    };
    let actions = bench.apply(Input::Edit(TaskKey(3), urgent.clone()));
    assert_eq!(actions, [Action::Record(TaskKey(3), Change::Edited(urgent))]);
    bench.apply(Input::Resume(None));
    assert_eq!(bench.drain(), [3, 1, 2, 4]);
}

#[test]
fn another_aging_step_orders_the_queue_anew() {
    let mut bench = Bench::new(limits(0));
    bench.submit(with_priority(1, 100));
    bench.submit(Submission {
        submitted_at: Tick(1_000_000),
        ..with_priority(2, 101)
    });
    bench.apply(Input::SetLimits(Limits {
        aging_step_ms: 2_000_000,
        ..limits(0)
    }));
    let wider = Limits {
        aging_step_ms: 2_000_000,
        ..limits(1)
    };
    assert_eq!(starts(&bench.apply(Input::SetLimits(wider))), [2]);
}

#[test]
fn a_full_lane_does_not_hold_up_others() {
    let lanes = vec![limit(LimitScope::Lane(lane("api", "claude")), 1)];
    let mut bench = Bench::new(Limits { lanes, ..limits(3) });
    let all = [(1, "api"), (2, "api"), (3, "web"), (4, "web")];
    let started: Vec<u64> = all
        .iter()
        .flat_map(|(key, workspace)| starts(&bench.submit(in_lane(*key, workspace, "claude"))))
        .collect();
    assert_eq!(started, [1, 3, 4]);
    assert_eq!(
        starts(&bench.succeed(3)),
        [],
        "task 2 waits for its own lane only"
    );
    assert_eq!(starts(&bench.succeed(1)), [2]);
}

#[test]
fn limits_of_workspace_and_worker_count_several_lanes() {
    let lanes = vec![
        limit(LimitScope::Workspace(Arc::from("api")), 2),
        limit(LimitScope::Worker(Arc::from("claude")), 1),
    ];
    let mut bench = Bench::new(Limits { lanes, ..limits(9) });
    bench.submit(in_lane(1, "api", "claude"));
    bench.submit(in_lane(2, "web", "claude"));
    bench.submit(in_lane(3, "api", "shell"));
    bench.submit(in_lane(4, "api", "exec"));
    assert_eq!(bench.scheduler.count(State::Running), 2);
    assert_eq!(bench.why(2), ["limit: 1 of 1 tasks of worker claude run"]);
    assert_eq!(bench.why(4), ["limit: 2 of 2 tasks of workspace api run"]);
    assert_eq!(starts(&bench.succeed(1)), [2, 4]);
}

#[test]
fn a_limit_of_nothing_closes_a_lane_until_it_is_raised() {
    let closed = vec![limit(LimitScope::Worker(Arc::from("shell")), 0)];
    let mut bench = Bench::new(Limits {
        lanes: closed,
        ..limits(1)
    });
    assert_eq!(bench.submit(plain(1)), []);
    assert_eq!(bench.why(1), ["limit: 0 of 0 tasks of worker shell run"]);
    assert_eq!(starts(&bench.apply(Input::SetLimits(limits(1)))), [1]);
}

#[test]
fn the_lowest_free_slot_is_taken_and_fewer_slots_stop_nobody() {
    let mut bench = Bench::new(limits(3));
    for key in 1..=5 {
        bench.submit(plain(key));
    }
    let slots: Vec<Option<u32>> = (1..=4).map(|key| bench.task(key).slot).collect();
    assert_eq!(slots, [Some(0), Some(1), Some(2), None]);
    assert_eq!(bench.apply(Input::SetLimits(limits(1))), []);
    bench.succeed(1);
    assert_eq!(bench.scheduler.count(State::Running), 2);
    assert_eq!(bench.task(3).slot, Some(2));
    assert_eq!(starts(&bench.succeed(2)), []);
    bench.apply(Input::SetLimits(limits(2)));
    assert_eq!(bench.task(4).slot, Some(0));
    assert_eq!(bench.why(5), ["slots: 2 of 2 slots are taken"]);
}

#[test]
fn pauses_hold_up_everything_or_one_workspace() {
    let mut bench = Bench::new(limits(9));
    bench.apply(Input::Pause(Some(Arc::from("api"))));
    assert_eq!(starts(&bench.submit(in_lane(1, "api", "shell"))), []);
    assert_eq!(starts(&bench.submit(in_lane(2, "web", "shell"))), [2]);
    assert_eq!(bench.why(1), ["pause: workspace api is paused"]);
    bench.apply(Input::Pause(None));
    assert_eq!(starts(&bench.submit(in_lane(3, "web", "shell"))), []);
    let paused: Vec<_> = bench.scheduler.paused().collect();
    assert_eq!(paused, [None, Some(Arc::from("api"))]);
    assert_eq!(starts(&bench.apply(Input::Resume(None))), [3]);
    assert_eq!(starts(&bench.apply(Input::Resume(Some(Arc::from("api"))))), [1]);
    assert_eq!(bench.scheduler.paused().count(), 0);
}

#[test]
fn nothing_starts_while_an_outside_gate_is_closed() {
    let mut bench = Bench::new(limits(2));
    bench.apply(close("journal", "the disk is full"));
    bench.apply(close("cpu", "at 97 %, limit 90 %"));
    bench.apply(close("journal", "no space in /data"));
    assert_eq!(bench.submit(plain(1)), []);
    let reasons = ["cpu: at 97 %, limit 90 %", "journal: no space in /data"];
    assert_eq!(bench.why(1), reasons);
    let blocked_by = bench.scheduler.blocked_by(bench.now);
    assert_eq!(
        blocked_by
            .iter()
            .map(|gate| gate.gate.as_str())
            .collect::<Vec<_>>(),
        ["cpu", "journal"]
    );
    assert_eq!(bench.apply(open("cpu")), []);
    assert_eq!(starts(&bench.apply(open("journal"))), [1]);
}

#[test]
fn status_names_what_holds_up_every_lane() {
    let lanes = vec![limit(LimitScope::Worker(Arc::from("claude")), 1)];
    let mut bench = Bench::new(Limits { lanes, ..limits(2) });
    let messages = |bench: &Bench| -> Vec<String> {
        let gates = bench.scheduler.blocked_by(bench.now);
        gates.into_iter().map(|gate| gate.message).collect()
    };
    for (key, workspace) in [(1, "api"), (2, "api"), (3, "web")] {
        bench.submit(in_lane(key, workspace, "claude"));
    }
    assert_eq!(messages(&bench), ["1 of 1 tasks of worker claude run"]);
    bench.apply(Input::Pause(Some(Arc::from("api"))));
    assert_eq!(
        messages(&bench),
        ["1 of 1 tasks of worker claude run"],
        "web is not paused"
    );
    bench.submit(in_lane(4, "web", "shell"));
    bench.submit(in_lane(5, "web", "shell"));
    assert_eq!(messages(&bench), ["2 of 2 slots are taken"]);
    for key in [2, 3, 5] {
        bench.apply(Input::Cancel(TaskKey(key)));
    }
    assert_eq!(messages(&bench), [""; 0], "nothing waits");
}

#[test]
fn explain_counts_what_is_ahead_in_all_lanes() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    for (key, workspace) in [(2, "api"), (3, "web"), (4, "api")] {
        bench.submit(in_lane(key, workspace, "shell"));
    }
    let ahead = |key| {
        bench
            .scheduler
            .explain(bench.now, TaskKey(key))
            .map(|why| why.ahead)
    };
    assert_eq!(
        [ahead(1), ahead(2), ahead(3), ahead(4)],
        [Some(0), Some(0), Some(1), Some(2)]
    );
    assert_eq!(ahead(9), None);
    assert_eq!(bench.why(1), [""; 0]);
}

#[test]
fn cancelling_in_the_middle_leaves_the_order_alone() {
    let mut bench = Bench::new(limits(0));
    for key in 1..=50 {
        bench.submit(plain(key));
    }
    for key in (1..=50).filter(|key| key % 3 == 0) {
        bench.apply(Input::Cancel(TaskKey(key)));
    }
    bench.apply(Input::SetLimits(limits(1)));
    let expected: Vec<u64> = (1..=50).filter(|key| key % 3 != 0).collect();
    assert_eq!(bench.drain(), expected);
}

#[test]
fn lanes_go_with_their_last_task() {
    let mut bench = Bench::new(limits(1));
    for key in 1..=20 {
        bench.submit(in_lane(key, &format!("w{key}"), "shell"));
        bench.succeed(key);
        bench.apply(Input::Forget(TaskKey(key)));
    }
    assert_eq!(bench.scheduler.tasks_from(TaskKey(0)).count(), 0);
    assert_eq!(starts(&bench.submit(in_lane(21, "w1", "shell"))), [21]);
}

#[test]
fn numbers_are_not_given_twice() {
    let mut bench = Bench::new(limits(1));
    bench.submit(plain(1));
    assert_eq!(
        bench.refused(Input::Submit(Box::new(plain(1)))),
        Refusal::Exists(TaskKey(1))
    );
    assert_eq!(
        bench.refused(Input::Cancel(TaskKey(5))),
        Refusal::Unknown(TaskKey(5))
    );
    bench.exit(1, State::Succeeded, Reason::Ok);
    assert_eq!(
        bench.refused(Input::Submit(Box::new(plain(1)))),
        Refusal::Exists(TaskKey(1))
    );
}
