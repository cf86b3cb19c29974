//! Memory: reservations, the floor, what is learned, and which task goes past which.
#![allow(missing_docs)]

mod common;
#[path = "common/machine.rs"]
mod machine_support;

use common::{lane, plain, starts, Bench};
use machine_support::{available, declaring, idle, in_lane, machine, notices, peak, rules, GIB, MIB};
use wezterm_parallel_scheduler::{
    Action, AdmissionRules, Companion, Edit, HostMemory, HostReading, Input, Measured, Reason, Source, State,
    TaskKey, Tick,
};

fn queue(bench: &mut Bench, keys: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    keys.flat_map(|key| starts(&bench.submit(plain(key)))).collect()
}

fn declaring_many(bench: &mut Bench, keys: std::ops::RangeInclusive<u64>, bytes: u64) -> Vec<u64> {
    keys.flat_map(|key| starts(&bench.submit(declaring(key, bytes))))
        .collect()
}

#[test]
fn without_rules_readings_mean_nothing() {
    let mut bench = Bench::new(common::limits(99));
    bench.read(available(1_000, 0));
    assert_eq!(queue(&mut bench, 1..=20).len(), 20);
    let mut bench = machine(AdmissionRules::default());
    bench.read(available(1_000, 0));
    assert_eq!(queue(&mut bench, 1..=20).len(), 20);
}

#[test]
fn what_is_reserved_stays_below_what_is_available_above_the_floor() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    // 14 GiB less 1.6 GiB: four times 3 GiB fit. The last one would leave less than another.
    assert_eq!(declaring_many(&mut bench, 1..=9, 3 * GIB), [1, 2, 3]);
    assert_eq!(starts(&bench.read(idle(1_500))), [4]);
    assert_eq!(starts(&bench.read(idle(2_000))), []);
    bench.now = Tick(2_400);
    assert_eq!(
        bench.why(5),
        [
            "memory: 14.0 GiB available, of which 12.0 GiB are reserved for 4 running tasks; \
          the task needs 3.0 GiB (declared) above the floor of 1.6 GiB; read 0.4 s ago"
        ]
    );
}

#[test]
fn a_worker_that_has_not_grown_yet_holds_the_rest() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    declaring_many(&mut bench, 1..=4, 3 * GIB);
    bench.read(idle(1_500));
    bench.now = Tick(2_000);
    bench.measure(&[(1, 3 * GIB), (2, GIB)]);
    // As long as the host was read before the workers, their growth is missing in its figure.
    assert_eq!(bench.scheduler.admission(bench.now).outstanding_bytes, 12 * GIB);
    bench.read(available(2_000, 10 * GIB));
    assert_eq!(bench.scheduler.admission(bench.now).outstanding_bytes, 8 * GIB);
    bench.measure(&[(1, 4 * GIB)]);
    bench.read(available(2_500, 9 * GIB));
    let report = bench.scheduler.admission(bench.now);
    assert_eq!(
        report.outstanding_bytes,
        8 * GIB,
        "more than declared is simply used"
    );
    assert_eq!(report.reservations[0].used_bytes, Some(4 * GIB));
    assert_eq!(report.reservations[0].source, Source::Declared);
}

#[test]
fn near_the_limit_one_task_starts_with_each_reading() {
    let mut bench = machine(rules());
    bench.read(available(1_000, 5 * GIB));
    assert_eq!(declaring_many(&mut bench, 1..=3, 1_700 * MIB), [1]);
    assert_eq!(
        bench.why(2),
        [
            "memory: 5.0 GiB available, of which 1.6 GiB are reserved for a running task; \
          so near to the limit, one task starts with each reading; read 0.0 s ago"
        ]
    );
    assert_eq!(starts(&bench.tick(1_499)), []);
    assert_eq!(starts(&bench.read(available(1_500, 5 * GIB))), [2]);
}

#[test]
fn one_task_may_always_run() {
    let mut bench = machine(rules());
    bench.read(available(1_000, 0));
    assert_eq!(queue(&mut bench, 1..=3), [1]);
    assert_eq!(
        bench.why(2),
        [
            "memory: 0 MiB available, with a floor of 1.6 GiB; it opens when it was 2.0 GiB or more \
             for 2 s; read 0.0 s ago",
            "memory: 0 MiB available, of which 1.0 GiB are reserved for a running task; the task needs \
             1.0 GiB (default) above the floor of 1.6 GiB; read 0.0 s ago"
        ]
    );
    assert_eq!(starts(&bench.succeed(1)), [2]);
    // One that waits for an answer does not advance. But each start takes memory.
    assert_eq!(starts(&bench.apply(Input::Asked(TaskKey(2), 1))), []);
    assert_eq!(starts(&bench.read(available(1_500, 1_700 * MIB))), [3]);
}

#[test]
fn what_is_not_known_closes_the_gate_and_says_so() {
    let mut bench = machine(rules());
    assert_eq!(queue(&mut bench, 1..=3), [1]);
    assert_eq!(bench.why(2)[0], "memory: the host was not read yet");
    bench.read(HostReading {
        memory: Measured::Unreadable("no /proc".to_owned()),
        ..idle(1_500)
    });
    assert_eq!(bench.why(2), ["memory: it cannot be read: no /proc"]);
    bench.read(HostReading {
        memory: Measured::Absent,
        ..idle(1_600)
    });
    assert_eq!(bench.running(), 3, "there is no such gate");
    bench.submit(plain(4));
    bench.read(idle(2_000));
    assert_eq!(notices(&bench.tick(7_000)), [""; 0]);
    assert_eq!(notices(&bench.tick(7_001)), ["-memory", "-cpu"]);
    assert_eq!(starts(&bench.submit(plain(5))), []);
    assert_eq!(
        bench.why(5),
        [
            "memory: the newest reading is 5.0 s old, more than 5.0 s",
            "cpu: the newest reading is 5.0 s old, more than 5.0 s"
        ]
    );
    let actions = bench.read(idle(7_500));
    assert_eq!(
        (starts(&actions), notices(&actions)),
        (vec![5], vec!["+memory".into(), "+cpu".into()])
    );
}

#[test]
fn short_memory_opens_late() {
    let mut bench = machine(rules());
    bench.apply(Input::SetPeaks(vec![peak(lane("", "shell"), 10 * MIB)]));
    bench.read(idle(1_000));
    queue(&mut bench, 1..=1);
    assert_eq!(notices(&bench.read(available(1_500, GIB))), ["-memory"]);
    queue(&mut bench, 2..=2);
    for (at, bytes) in [
        (2_000, 1_800 * MIB),
        (2_500, 3 * GIB),
        (3_000, 1_800 * MIB),
        (3_500, 3 * GIB),
    ] {
        assert_eq!(bench.read(available(at, bytes)), [], "at {at}");
    }
    let explained = bench.scheduler.explain(bench.now, TaskKey(2)).expect("it waits");
    assert_eq!(explained.gates[0].opens_at, Some(Tick(5_500)));
    assert_eq!(bench.read(available(5_400, 3 * GIB)), []);
    let actions = bench.read(available(5_500, 3 * GIB));
    assert_eq!(
        (starts(&actions), notices(&actions)),
        (vec![2], vec!["+memory".to_owned()])
    );
}

#[test]
fn a_lane_is_learned_from_what_its_workers_came_to() {
    let mut bench = machine(rules());
    bench.read(available(1_000, 4 * GIB));
    assert_eq!(
        queue(&mut bench, 1..=9),
        [1],
        "of an unknown lane, a GiB each; the next with a reading"
    );
    assert_eq!(starts(&bench.read(available(1_500, 4 * GIB))), [2]);
    bench.now = Tick(2_000);
    bench.measure(&[(1, 300 * MIB), (2, 200 * MIB)]);
    assert_eq!(bench.scheduler.peaks(), [], "it may grow further");
    bench.read(available(2_000, 3_500 * MIB));
    // 3500 MiB less 1638 for the floor and 100 that are left for 2.
    assert_eq!(starts(&bench.succeed(1)), [3, 4, 5, 6]);
    assert_eq!(bench.scheduler.peaks()[0].bytes, 300 * MIB);
    assert_eq!(starts(&bench.read(available(2_500, 3_500 * MIB))), [7]);
    let report = bench.scheduler.admission(bench.now);
    assert_eq!(report.reservations[1].source, Source::Learned);
    assert_eq!(report.reservations[1].outstanding_bytes, 300 * MIB);
}

#[test]
fn a_failure_of_the_account_teaches_nothing() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    bench.measure(&[(1, 10 * MIB)]);
    bench.exit(1, State::Failed, Reason::Auth);
    assert_eq!(bench.scheduler.peaks(), []);
}

#[test]
fn few_start_blind_and_more_as_they_prove_themselves() {
    let mut bench = machine(AdmissionRules {
        unproven_at_most: 3,
        ..rules()
    });
    bench.read(idle(1_000));
    assert_eq!(queue(&mut bench, 1..=9), [1, 2, 3]);
    assert_eq!(
        bench.why(4),
        ["memory: 3 tasks run of whose memory nothing is known yet; no more than 3 at once; read 0.0 s ago"]
    );
    assert_eq!(
        starts(&bench.submit(declaring(10, MIB))),
        [],
        "4 comes before it in its lane"
    );
    assert_eq!(starts(&bench.submit(in_lane(11, "unknown"))), []);
    assert_eq!(starts(&bench.read(idle(5_999))), []);
    assert_eq!(starts(&bench.read(idle(6_000))), [4, 5, 6]);
}

#[test]
fn what_is_larger_than_the_machine_holds_up_nobody_and_runs_alone() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    let mut giant = declaring(2, 64 * GIB);
    giant.lane = in_lane(2, "giants").lane;
    giant.priority = 255;
    bench.submit(giant);
    let why = bench.why(2).remove(0);
    assert!(
        why.contains("that is more than this machine has: it starts when nothing else runs"),
        "{why}"
    );
    for minute in 1..=5 {
        bench.read(idle(60_000 * minute));
        assert_eq!(
            starts(&bench.submit(plain(10 + minute))),
            [10 + minute],
            "minute {minute}"
        );
    }
    for key in [1, 11, 12, 13, 14] {
        assert_eq!(starts(&bench.succeed(key)), []);
    }
    assert_eq!(starts(&bench.succeed(15)), [2]);
}

#[test]
fn a_high_floor_can_be_eased() {
    let rules = AdmissionRules {
        floor_bytes: Some(15 * GIB),
        ..rules()
    };
    assert_eq!(rules.ease_of(16 * GIB), 15 * GIB + GIB / 2);
    assert_eq!(rules.ease_of(15 * GIB + 100), 15 * GIB + 50);
    let small = AdmissionRules::default();
    assert_eq!(small.ease_of(4 * GIB), GIB + GIB / 4);
}

#[test]
fn more_start_blind_where_a_surprise_does_no_harm() {
    let mut bench = machine(AdmissionRules {
        memory_default_bytes: Some(512 * MIB),
        unproven_at_most: 2,
        ..rules()
    });
    bench.read(idle(1_000));
    // 12.4 GiB above the floor: four that need six times the half GiB that is expected, and no fifth.
    assert_eq!(queue(&mut bench, 1..=9), [1, 2, 3, 4]);
    assert!(bench.why(5)[0].contains("4 tasks run of whose memory nothing is known yet"));
}

#[test]
fn a_kernel_that_kills_raises_what_is_expected() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    let mut task = plain(1);
    task.backoff.max_retries = 1;
    bench.submit(task);
    bench.measure(&[(1, 2 * GIB)]);
    bench.exit(1, State::Failed, Reason::Oom);
    assert_eq!(bench.scheduler.peaks()[0].bytes, 3 * GIB);
    assert_eq!(bench.state(1), State::Delayed, "it is tried again");
    bench.tick(4_000);
    assert_eq!(
        bench.scheduler.admission(bench.now).reservations[0].reserved_bytes,
        3 * GIB
    );
}

#[test]
fn one_that_was_killed_asks_for_more_than_it_declares() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    let mut task = declaring(1, 100 * MIB);
    task.backoff.max_retries = 1;
    bench.submit(task);
    bench.measure(&[(1, 2 * GIB)]);
    bench.exit(1, State::Failed, Reason::Oom);
    bench.tick(4_000);
    let reservation = &bench.scheduler.admission(bench.now).reservations[0];
    assert_eq!(
        (reservation.reserved_bytes, reservation.source),
        (3 * GIB, Source::Raised)
    );
}

#[test]
fn smaller_tasks_go_past_one_that_does_not_fit_but_not_for_ever() {
    let mut bench = machine(rules());
    bench.apply(Input::SetPeaks(vec![peak(lane("small", "shell"), 100 * MIB)]));
    bench.read(available(1_000, 4 * GIB));
    bench.submit(in_lane(1, "small"));
    assert_eq!(starts(&bench.submit(declaring(2, 3 * GIB))), []);
    assert_eq!(starts(&bench.submit(in_lane(3, "small"))), [3]);
    for at in (1_500..61_000).step_by(500) {
        bench.read(available(at, 4 * GIB));
    }
    assert_eq!(starts(&bench.submit(in_lane(4, "small"))), [4]);
    bench.read(available(61_000, 4 * GIB));
    assert_eq!(starts(&bench.submit(in_lane(5, "small"))), []);
    assert_eq!(
        bench.why(5),
        ["memory: the machine is kept free for task 2, which comes first and did not fit for 60 s"]
    );
    let explained = bench.scheduler.explain(bench.now, TaskKey(5)).expect("it waits");
    assert_eq!(explained.gates[0].task, Some(TaskKey(2)));
    bench.succeed(1);
    bench.succeed(3);
    assert_eq!(starts(&bench.succeed(4)), [2], "nothing else runs, so it may");
    assert_eq!(starts(&bench.read(available(61_500, 14 * GIB))), [5]);
}

#[test]
fn a_declaration_can_be_edited() {
    let mut bench = machine(rules());
    bench.read(available(1_000, 4 * GIB));
    bench.submit(plain(1));
    assert_eq!(starts(&bench.submit(declaring(2, 9 * GIB))), []);
    let edit = |memory_bytes| Edit {
        memory_bytes: Some(memory_bytes),
        ..Edit::default()
    };
    let actions = bench.apply(Input::Edit(TaskKey(2), edit(100 * MIB)));
    assert_eq!(starts(&actions), [2]);
    bench.apply(Input::Edit(TaskKey(2), edit(0)));
    let report = bench.scheduler.admission(bench.now);
    assert_eq!(report.reservations[1].reserved_bytes, GIB);
    assert_eq!(report.reservations[1].source, Source::Default);
}

#[test]
fn a_dry_run_holds_up_nothing_and_says_what_it_would_do() {
    let mut bench = machine(AdmissionRules {
        dry_run: true,
        ..rules()
    });
    bench.read(available(1_000, 2 * GIB));
    bench.submit(plain(1));
    let actions = bench.submit(plain(2));
    assert_eq!(
        (starts(&actions), notices(&actions)),
        (vec![2], vec!["-memory".to_owned()])
    );
    assert_eq!(bench.running(), 2);
    assert!(!bench.scheduler.admission(bench.now).gates[2].gate.is_empty());
    // Nothing is paused; who would be is told once each time that memory gets short.
    let told: Vec<(u64, Action)> = [0, 0, 0, 0, 4 * GIB, 0, 0, 0, 0]
        .into_iter()
        .zip(2..)
        .flat_map(|(bytes, second)| {
            let actions = bench.read(available(second * 1_000, bytes));
            actions.into_iter().map(move |action| (second, action))
        })
        .filter(|(_, action)| !matches!(action, Action::Gate(_)))
        .collect();
    let would_pause = || Action::WouldPause {
        key: TaskKey(2),
        message: "0 MiB available, with a floor of 1.6 GiB; read 0.0 s ago".to_owned(),
    };
    assert_eq!(told, [(4, would_pause()), (9, would_pause())]);
    assert_eq!(bench.running(), 2);
}

/// A reading of a machine with so much memory, next to all of it available.
fn unused(total_bytes: u64) -> HostReading {
    HostReading {
        memory: Measured::Known(HostMemory {
            total_bytes,
            available_bytes: total_bytes / 10 * 9,
        }),
        cpu: Measured::Absent,
        ..idle(1_000)
    }
}

#[test]
fn untouched_defaults_start_some_on_a_laptop_and_more_on_a_server() {
    for (total, reserved, at_once) in [(4 * GIB, GIB / 4, 2), (256 * GIB, GIB, 34)] {
        let mut bench = machine(AdmissionRules {
            enabled: true,
            ..AdmissionRules::default()
        });
        bench.read(unused(total));
        queue(&mut bench, 1..=40);
        let report = bench.scheduler.admission(bench.now);
        assert_eq!(report.reservations[0].reserved_bytes, reserved);
        assert_eq!(bench.running(), at_once, "of {} GiB", total / GIB);
    }
}

#[test]
fn defaults_fit_small_machines_and_large_ones() {
    let rules = AdmissionRules::default();
    let floors = [GIB / 2, 2 * GIB, 4 * GIB, 8 * GIB, 16 * GIB, 256 * GIB].map(|total| rules.floor_of(total));
    assert_eq!(
        floors,
        [GIB / 8, GIB / 2, GIB, GIB, 16 * GIB / 10, 256 * GIB / 10]
    );
}

#[test]
fn what_runs_beside_the_tasks_is_kept_free_and_never_paused() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    let companion = Companion {
        key: TaskKey(1 << 63),
        reserved_bytes: 9 * GIB,
    };
    bench.apply(Input::SetCompanions(vec![companion]));
    // 14 GiB less 1.6 GiB less 9 GiB: one of 3 GiB fits, and no other.
    assert_eq!(declaring_many(&mut bench, 1..=2, 3 * GIB), [1]);
    bench.read(idle(1_500));
    assert!(
        bench.why(2)[0]
            .contains("3.0 GiB are reserved for a running task and 9.0 GiB are reserved for processes"),
        "{:?}",
        bench.why(2)
    );
    // What it has taken shows in the reading, and is not held back a second time.
    bench.now = Tick(2_000);
    bench.apply(Input::WorkerMemory {
        taken_at: Tick(2_000),
        trees: vec![wezterm_parallel_scheduler::TreeMemory {
            key: companion.key,
            attempt: 1,
            bytes: 2 * GIB,
        }],
    });
    bench.read(available(2_000, 12 * GIB));
    let report = bench.scheduler.admission(bench.now);
    assert_eq!(report.outstanding_bytes, (3 + 7) * GIB);
    assert_eq!(report.companions[0].used, Some((Tick(2_000), 2 * GIB)));
    // It has gone: its memory is free for others.
    assert_eq!(starts(&bench.apply(Input::SetCompanions(Vec::new()))), [2]);
}
