//! What closes lanes from outside: gates with a scope, a bound and an end, and budgets; and the
//! slots that are lent.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use common::{close, lane, limit, limits, open, plain, starts, workers, Bench};
use wezterm_parallel_scheduler::{
    Budget, BudgetScope, Gate, GateScope, Input, LimitScope, Limits, Reason, Scheduler, State, Submission,
    TaskKey, Tick,
};

const DOLLAR: u64 = 1_000_000;

fn of_worker(key: u64, worker: &str) -> Submission {
    Submission {
        lane: lane("", worker),
        ..plain(key)
    }
}

fn quota(at_most: u32, opens_at: Option<u64>) -> Gate {
    Gate {
        name: Arc::from("quota"),
        scope: GateScope::Workers(workers(&["claude", "codex"])),
        at_most,
        message: "five hours are used up".to_owned(),
        opens_at: opens_at.map(Tick),
    }
}

fn close_quota(at_most: u32, opens_at: Option<u64>) -> Input {
    Input::CloseGate(Arc::from("quota/default"), quota(at_most, opens_at))
}

fn reports(bench: &Bench) -> Vec<String> {
    let gates = bench.scheduler.blocked_by(bench.now);
    gates
        .into_iter()
        .map(|gate| format!("{}: {}", gate.gate, gate.message))
        .collect()
}

#[test]
fn a_gate_with_a_scope_lets_all_other_lanes_go_on() {
    let mut bench = Bench::new(limits(9));
    bench.apply(close_quota(0, None));
    assert_eq!(starts(&bench.submit(of_worker(1, "claude"))), []);
    assert_eq!(bench.why(1), ["quota: five hours are used up"]);
    assert_eq!(reports(&bench), ["quota: five hours are used up"]);
    assert_eq!(starts(&bench.submit(of_worker(2, "shell"))), [2]);
    assert_eq!(
        starts(&bench.apply(open("quota"))),
        [],
        "its owner calls it otherwise"
    );
    assert_eq!(starts(&bench.apply(open("quota/default"))), [1]);
}

#[test]
fn a_bounded_gate_counts_the_tasks_of_its_scope() {
    let mut bench = Bench::new(limits(9));
    for key in 1..=3 {
        bench.submit(of_worker(key, "claude"));
    }
    bench.submit(of_worker(4, "shell"));
    bench.apply(close_quota(2, None));
    bench.submit(of_worker(5, "codex"));
    assert_eq!(
        bench.why(5),
        ["quota: 3 of at most 2 tasks run: five hours are used up"]
    );
    assert_eq!(starts(&bench.succeed(1)), [], "two still run");
    assert_eq!(starts(&bench.succeed(2)), [5]);
    assert_eq!(starts(&bench.succeed(3)), []);
    assert_eq!(reports(&bench), [""; 0], "there is room for one more");
    assert_eq!(starts(&bench.submit(of_worker(6, "claude"))), [6]);
    bench.submit(of_worker(7, "claude"));
    let wider = close_quota(3, None);
    assert_eq!(
        starts(&bench.apply(wider)),
        [7],
        "the same gate again replaces it"
    );
}

#[test]
fn a_gate_goes_away_by_itself() {
    let mut bench = Bench::new(limits(9));
    bench.apply(close_quota(0, Some(500)));
    bench.apply(close("cpu", "at 97 %"));
    bench.submit(of_worker(1, "claude"));
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(500)));
    bench.apply(open("cpu"));
    let explained = bench.scheduler.explain(bench.now, TaskKey(1)).expect("it waits");
    assert_eq!(explained.gates[0].opens_at, Some(Tick(500)));
    assert_eq!(bench.tick(499), []);
    assert_eq!(starts(&bench.tick(500)), [1]);
    assert_eq!(bench.scheduler.next_wake(), None);
    bench.apply(close_quota(0, Some(500)));
    assert_eq!(starts(&bench.submit(of_worker(2, "claude"))), [2], "it was over");
}

#[test]
fn a_bounded_gate_before_all_tasks_counts_all() {
    let mut bench = Bench::new(limits(9));
    let memory = Gate {
        at_most: 1,
        ..Gate::closed("memory", "2 GiB are left")
    };
    bench.apply(Input::CloseGate(Arc::from("memory"), memory));
    assert_eq!(starts(&bench.submit(of_worker(1, "shell"))), [1]);
    assert_eq!(starts(&bench.submit(of_worker(2, "claude"))), []);
    assert_eq!(
        reports(&bench),
        ["memory: 1 of at most 1 tasks run: 2 GiB are left"]
    );
    assert_eq!(starts(&bench.succeed(1)), [2]);
}

#[test]
fn the_slots_of_tasks_that_wait_for_an_answer_are_lent() {
    let mut bench = Bench::new(Limits { lend: 1, ..limits(2) });
    for key in 1..=5 {
        bench.submit(plain(key));
    }
    let slots =
        |bench: &Bench| -> Vec<Option<u32>> { bench.scheduler.active().map(|task| task.slot).collect() };
    assert_eq!(starts(&bench.apply(Input::Asked(TaskKey(1), 1))), [3]);
    assert_eq!(slots(&bench), [Some(0), Some(1), Some(2)], "it keeps its slot");
    assert_eq!(
        bench.why(4),
        ["slots: 2 of 2 slots are taken; 1 more is lent while its task waits for an answer"]
    );
    assert_eq!(
        starts(&bench.apply(Input::Asked(TaskKey(2), 1))),
        [],
        "one is lent at most"
    );
    bench.apply(Input::Answered(TaskKey(2), 1));
    bench.apply(Input::Answered(TaskKey(1), 1));
    assert_eq!(bench.why(4), ["slots: 3 of 2 slots are taken"]);
    assert_eq!(starts(&bench.succeed(2)), [], "two still run");
    assert_eq!(starts(&bench.succeed(3)), [4]);
    assert_eq!(slots(&bench), [Some(0), Some(1)]);
}

#[test]
fn limits_of_lanes_count_a_task_whose_slot_is_lent() {
    let lanes = vec![limit(LimitScope::Worker(Arc::from("shell")), 1)];
    let mut bench = Bench::new(Limits {
        lend: 9,
        lanes,
        ..limits(1)
    });
    bench.submit(plain(1));
    bench.submit(plain(2));
    bench.submit(of_worker(3, "claude"));
    assert_eq!(starts(&bench.apply(Input::Asked(TaskKey(1), 1))), [3]);
    let full = "limit: 1 of 1 tasks of worker shell run";
    assert_eq!(bench.why(2).last().map(String::as_str), Some(full));
}

fn costing(key: u64, worker: &str, cost: u64) -> Submission {
    Submission {
        cost,
        ..of_worker(key, worker)
    }
}

fn claude_budget(spent: u64) -> Budget {
    Budget {
        scope: BudgetScope::Workers(workers(&["claude"])),
        limit: 20 * DOLLAR,
        spent,
        opens_at: Some(Tick(86_400_000)),
    }
}

#[test]
fn what_runs_is_set_aside_and_the_lane_waits_for_the_rest() {
    let mut bench = Bench::new(limits(9));
    bench.apply(Input::SetBudgets(vec![claude_budget(4_200_000)]));
    assert_eq!(
        starts(&bench.submit(costing(1, "claude", 15 * DOLLAR))),
        [1],
        "19.20 of 20"
    );
    bench.submit(costing(2, "claude", 2 * DOLLAR));
    let set_aside = "$4.20 of $20.00 are spent, $15.00 are set aside for what runs";
    assert_eq!(
        bench.why(2),
        [format!("budget: {set_aside}, and it may take up to $2.00")]
    );
    bench.submit(costing(3, "claude", DOLLAR / 10));
    assert_eq!(
        bench.why(3),
        [format!(
            "budget: {set_aside}, and task 2, which is next, may take up to $2.00"
        )]
    );
    assert_eq!(
        reports(&bench),
        [format!(
            "budget: {set_aside}, and the next task may take more than what is left"
        )]
    );
    let explained = bench.scheduler.explain(bench.now, TaskKey(2)).expect("it waits");
    // As soon as the one that runs has ended, perhaps.
    assert_eq!(explained.gates[0].opens_at, None);
    assert_eq!(bench.scheduler.next_wake(), None, "nothing changes by itself");
    assert_eq!(starts(&bench.submit(costing(4, "shell", DOLLAR))), [4]);
    assert_eq!(starts(&bench.succeed(1)), [2, 3]);
    assert_eq!(bench.task(2).submission.cost, 2 * DOLLAR);
}

#[test]
fn a_budget_that_is_used_up_closes_its_lanes_to_all() {
    let mut bench = Bench::new(limits(9));
    bench.apply(Input::SetBudgets(vec![claude_budget(20 * DOLLAR)]));
    bench.submit(of_worker(1, "claude"));
    let used_up = "budget: $20.00 of $20.00 are spent, $0.00 are set aside for what runs";
    assert_eq!(bench.why(1), [used_up]);
    let explained = bench.scheduler.explain(bench.now, TaskKey(1)).expect("it waits");
    assert_eq!(explained.gates[0].opens_at, Some(Tick(86_400_000)));
    assert_eq!(reports(&bench), [used_up]);
    assert_eq!(
        starts(&bench.apply(Input::SetBudgets(vec![claude_budget(0)]))),
        [1]
    );
}

#[test]
fn a_workspace_has_a_budget_of_its_own() {
    let in_workspace = |key, workspace| Submission {
        lane: lane(workspace, "claude"),
        cost: DOLLAR,
        ..plain(key)
    };
    let budget = Budget {
        scope: BudgetScope::WorkspaceWorkers(Arc::from("api"), workers(&["claude"])),
        limit: DOLLAR,
        spent: 0,
        opens_at: None,
    };
    let mut bench = Bench::new(limits(9));
    bench.submit(in_workspace(1, "api"));
    bench.apply(Input::SetBudgets(vec![budget]));
    assert_eq!(
        starts(&bench.submit(in_workspace(2, "api"))),
        [],
        "1 runs already"
    );
    assert_eq!(starts(&bench.submit(in_workspace(3, "web"))), [3]);
    assert_eq!(starts(&bench.apply(Input::SetBudgets(Vec::new()))), [2]);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    let mut bench = Bench::new(limits(9));
    let budget = |spent| Budget {
        spent,
        limit: u64::MAX,
        ..claude_budget(0)
    };
    bench.submit(costing(1, "claude", u64::MAX));
    bench.submit(costing(2, "claude", u64::MAX));
    bench.apply(Input::SetBudgets(vec![budget(u64::MAX)]));
    assert_eq!(starts(&bench.submit(costing(3, "claude", u64::MAX))), []);
    bench.succeed(1);
    bench.succeed(2);
    assert_eq!(starts(&bench.apply(Input::SetBudgets(vec![budget(0)]))), [3]);
}

#[test]
fn a_cost_is_set_aside_after_a_restart_too() {
    let mut bench = Bench::new(limits(1));
    bench.submit(costing(1, "claude", 15 * DOLLAR));
    bench.submit(costing(2, "claude", 6 * DOLLAR));
    let mut again = Bench {
        scheduler: Scheduler::new(limits(9)),
        now: Tick(0),
    };
    for task in bench.scheduler.tasks_from(TaskKey(0)) {
        again.scheduler.restore(task);
    }
    again.apply(Input::SetBudgets(vec![claude_budget(0)]));
    assert_eq!(again.state(2), State::Queued);
    let ended = again.exit(1, State::Failed, Reason::Budget);
    assert_eq!(starts(&ended), [2]);
}
