//! CPUs, stalls and rates.
#![allow(missing_docs)]

mod common;
#[path = "common/machine.rs"]
mod machine_support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use common::{plain, starts, Bench};
use machine_support::{busy, idle, in_lane, machine, notices, rules, stalled};
use wezterm_parallel_scheduler::{
    Action, AdmissionRules, GateNotice, HostReading, Input, Measured, Needs, ProfileRules, Rate, RateScope,
    Submission, TaskKey, Tick,
};

/// Workers that are expected to use one CPU each.
fn burners() -> AdmissionRules {
    AdmissionRules {
        cpus_default_milli: 1_000,
        ..rules()
    }
}

fn queue(bench: &mut Bench, keys: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    keys.flat_map(|key| starts(&bench.submit(plain(key)))).collect()
}

#[test]
fn workers_that_do_not_show_yet_count_as_expected() {
    let mut bench = machine(burners());
    bench.read(idle(1_000));
    // Of 8 CPUs, 7.2 are below the mark: the eighth worker is expected to pass it.
    assert_eq!(queue(&mut bench, 1..=20), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(
        bench.why(8),
        [
            "cpu: 0 % of 8 CPUs in use, high mark 90 %; so near to the limit, one task starts with each \
          reading; read 0.0 s ago"
        ]
    );
    assert_eq!(
        starts(&bench.read(busy(1_500, 2_000))),
        [],
        "they have not settled"
    );
    assert_eq!(
        bench.why(8),
        [
            "cpu: 25 % of 8 CPUs in use, high mark 90 %, and workers that have just been started will use \
          7 more; read 0.0 s ago"
        ]
    );
    assert_eq!(starts(&bench.read(busy(2_000, 7_000))), []);
    assert_eq!(
        starts(&bench.read(busy(2_500, 7_000))),
        [8],
        "this one shows all of a second"
    );
    assert_eq!(starts(&bench.read(busy(3_000, 7_500))), []);
}

#[test]
fn busy_cpus_close_at_the_high_mark_and_open_below_the_low_one() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    assert_eq!(notices(&bench.read(busy(1_500, 7_200))), ["-cpu"]);
    assert_eq!(queue(&mut bench, 2..=3), []);
    bench.now = Tick(1_600);
    assert_eq!(
        bench.why(2),
        ["cpu: 90 % of 8 CPUs in use, high mark 90 %; it opens when it was below 75 % for 2 s; read 0.1 s ago"]
    );
    assert_eq!(bench.read(busy(2_000, 6_100)), []);
    assert_eq!(bench.read(busy(2_500, 5_900)), []);
    let explained = bench.scheduler.explain(bench.now, TaskKey(2)).expect("it waits");
    assert_eq!(explained.gates[0].opens_at, Some(Tick(4_500)));
    assert_eq!(bench.read(busy(4_400, 5_900)), []);
    assert_eq!(notices(&bench.read(busy(4_500, 5_900))), ["+cpu"]);
    assert_eq!(bench.running(), 3);
}

#[test]
fn a_mark_at_all_that_there_is_holds_up_nobody() {
    let mut bench = machine(AdmissionRules {
        cpu_high_permille: 1_000,
        stall_high_permille: 1_000,
        ..burners()
    });
    for reading in [busy(1_000, 8_000), stalled(1_500, 1_000)] {
        assert_eq!(notices(&bench.read(reading)), [""; 0]);
    }
    assert_eq!(queue(&mut bench, 1..=9).len(), 9);
}

#[test]
fn one_may_run_on_a_machine_that_others_keep_busy() {
    let mut bench = machine(rules());
    bench.read(busy(1_000, 8_000));
    assert_eq!(queue(&mut bench, 1..=2), [1]);
    assert_eq!(starts(&bench.succeed(1)), [2]);
}

fn with_cpus(key: u64, cpus_milli: u32) -> Submission {
    let needs = Needs {
        cpus_milli,
        ..Needs::default()
    };
    Submission { needs, ..plain(key) }
}

#[test]
fn declared_cpus_are_given_out_once() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    assert_eq!(starts(&bench.submit(with_cpus(1, 5_000))), [1]);
    assert_eq!(starts(&bench.submit(with_cpus(2, 4_000))), []);
    assert_eq!(
        bench.why(2),
        ["cpu: 5 of 8 CPUs are declared by what runs; the task declares 4; read 0.0 s ago"]
    );
    let mut small = in_lane(3, "small");
    small.needs.cpus_milli = 1_500;
    assert_eq!(starts(&bench.submit(small)), [3], "it goes past");
    bench.submit(plain(4));
    assert_eq!(
        bench.why(4),
        ["cpu: 6.5 of 8 CPUs are declared by what runs; task 2, which is next, declares 4; read 0.0 s ago"]
    );
    assert_eq!(starts(&bench.succeed(1)), [2, 4]);
    assert_eq!(bench.task(2).submission.needs.cpus_milli, 4_000);
}

#[test]
fn one_that_declares_more_than_there_is_runs_alone() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    assert_eq!(starts(&bench.submit(with_cpus(2, 64_000))), []);
    assert_eq!(starts(&bench.succeed(1)), [2]);
}

#[test]
fn stalls_close_and_open_like_cpus() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    assert_eq!(notices(&bench.read(stalled(1_500, 140))), ["-pressure"]);
    queue(&mut bench, 2..=2);
    assert_eq!(
        bench.why(2),
        [
            "pressure: tasks were stalled for memory 14 % of the time, high mark 10 %; it opens when it was \
          below 5 % for 2 s; read 0.0 s ago"
        ]
    );
    bench.read(stalled(2_000, 40));
    assert_eq!(starts(&bench.read(stalled(4_000, 40))), [2]);
    let without_psi = HostReading {
        stall_permille: Measured::Absent,
        ..idle(4_500)
    };
    bench.read(without_psi);
    let gates = bench.scheduler.admission(bench.now).gates;
    let names: Vec<&str> = gates.iter().map(|gate| gate.gate.as_str()).collect();
    assert_eq!(names, ["memory", "cpu"]);
}

#[test]
fn a_kill_by_the_kernel_counts_as_pressure() {
    let mut bench = machine(rules());
    bench.read(idle(1_000));
    bench.submit(plain(1));
    let killed = HostReading {
        oom_kills: 1,
        ..idle(1_500)
    };
    assert_eq!(notices(&bench.read(killed)), ["-pressure"]);
}

fn rate(scope: RateScope, starts: u32, per_ms: u64, burst: u32) -> Rate {
    let number = |number| NonZeroU32::new(number).expect("a rate is not 0");
    Rate {
        scope,
        starts: number(starts),
        per_ms,
        burst: number(burst),
    }
}

fn rated(rates: Vec<Rate>) -> AdmissionRules {
    AdmissionRules {
        rates,
        ..AdmissionRules::default()
    }
}

#[test]
fn starts_are_staggered_by_a_rate() {
    let shell = RateScope::Worker(Arc::from("shell"));
    let mut bench = machine(rated(vec![rate(shell.clone(), 10, 60_000, 2)]));
    assert_eq!(queue(&mut bench, 1..=2), [1, 2]);
    assert_eq!(notices(&bench.submit(plain(3))), ["-rate"], "told once");
    assert_eq!(queue(&mut bench, 4..=5), []);
    assert_eq!(
        bench.why(3),
        ["rate: 10 starts per 60 s of worker shell, 2 at once, are used up; the next one in 6 s"]
    );
    let explained = bench.scheduler.explain(bench.now, TaskKey(3)).expect("it waits");
    assert_eq!(explained.gates[0].opens_at, Some(Tick(7_000)));
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(7_000)));
    assert_eq!(bench.tick(6_999), []);
    let actions = bench.tick(7_000);
    assert_eq!((starts(&actions), notices(&actions)), (vec![3], vec![]));
    // A reload that leaves the rate as it is gives no new burst.
    let again = rated(vec![rate(shell.clone(), 10, 60_000, 2)]);
    assert_eq!(bench.apply(Input::SetAdmission(Box::new(again))), []);
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(13_000)));
    let other = rated(vec![rate(shell, 10, 60_000, 1)]);
    assert_eq!(starts(&bench.apply(Input::SetAdmission(Box::new(other)))), [4]);
    let actions = bench.tick(13_000);
    let opened = GateNotice {
        gate: "rate".to_owned(),
        is_open: true,
        dry_run: false,
        message: "worker shell".to_owned(),
    };
    assert_eq!(actions.last(), Some(&Action::Gate(opened)), "nobody waits for it");
    assert_eq!(bench.running(), 5);
    let by_rate = bench.scheduler.refusals().find(|(gate, _)| *gate == "rate");
    assert!(by_rate.is_some_and(|(_, count)| count >= 5), "{by_rate:?}");
    assert_eq!(bench.scheduler.next_wake(), Some(Tick(19_000)));
    bench.tick(60_000);
    assert_eq!(bench.scheduler.next_wake(), None);
}

#[test]
fn a_rate_closes_no_other_lane() {
    let api = RateScope::Workspace(Arc::from("api"));
    let mut bench = machine(rated(vec![rate(api, 1, 1_000, 1)]));
    assert_eq!(starts(&bench.submit(in_lane(1, "api"))), [1]);
    assert_eq!(starts(&bench.submit(in_lane(2, "api"))), []);
    assert_eq!(starts(&bench.submit(in_lane(3, "web"))), [3]);
    assert_eq!(
        bench.why(2),
        ["rate: 1 starts per 1 s of workspace api, 1 at once, are used up; the next one in 1 s"]
    );
}

#[test]
fn the_largest_rates_do_not_overflow() {
    let shell = RateScope::Worker(Arc::from("shell"));
    let mut bench = machine(rated(vec![
        rate(shell.clone(), 1, u64::MAX, u32::MAX),
        rate(shell.clone(), u32::MAX, 0, u32::MAX),
        rate(shell, u32::MAX, u64::MAX, 1),
    ]));
    queue(&mut bench, 1..=3);
    bench.tick(u64::MAX);
    queue(&mut bench, 4..=6);
    assert!(bench.running() >= 2);
}

#[test]
fn a_profile_may_expect_something_else() {
    let profile = ProfileRules {
        memory_default_bytes: Some(3 << 30),
        cpus_default_milli: Some(250),
    };
    let mut bench = machine(AdmissionRules {
        profiles: BTreeMap::from([(Arc::from("shell"), profile)]),
        ..burners()
    });
    bench.read(idle(1_000));
    bench.submit(plain(1));
    let report = bench.scheduler.admission(bench.now);
    assert_eq!(report.reservations[0].reserved_bytes, 3 << 30);
    assert_eq!(report.cpus_young_milli, 250);
}

#[test]
fn what_is_over_before_it_shows_does_not_wait_for_cpus() {
    let mut bench = machine(burners());
    bench.read(idle(1_000));
    let brief = |key| in_lane(key, "brief");
    bench.submit(brief(1));
    bench.measure(&[(1, 1 << 20)]);
    bench.now = Tick(1_100);
    bench.succeed(1);
    bench.submit(plain(2));
    assert_eq!(notices(&bench.read(busy(1_500, 8_000))), ["-cpu"]);
    assert_eq!(queue(&mut bench, 3..=3), [], "it runs for who knows how long");
    let started: Vec<u64> = (4..=9)
        .flat_map(|key| starts(&bench.submit(brief(key))))
        .collect();
    assert_eq!(started, [4, 5, 6, 7, 8, 9]);
    // Once they take longer, they wait like the others.
    bench.now = Tick(9_000);
    bench.succeed(4);
    bench.read(busy(9_500, 8_000));
    assert_eq!(starts(&bench.submit(brief(10))), []);
    assert!(
        bench.why(10)[0].contains("cpu: 100 % of 8 CPUs in use"),
        "{:?}",
        bench.why(10)
    );
}

#[test]
fn who_is_not_let_in_is_counted_by_gate() {
    let refused = |bench: &Bench| -> Vec<(&'static str, u64)> {
        bench
            .scheduler
            .refusals()
            .filter(|(_, count)| *count > 0)
            .collect()
    };
    let mut bench = machine(rules());
    bench.read(busy(1_000, 8_000));
    assert_eq!(refused(&bench), [], "nobody waits");
    queue(&mut bench, 1..=1);
    assert_eq!(refused(&bench), [], "one may always run");
    queue(&mut bench, 2..=2);
    assert_eq!(refused(&bench), [("cpu", 1)]);
    bench.read(busy(1_500, 8_000));
    assert_eq!(refused(&bench), [("cpu", 2)]);
    let dry_run = AdmissionRules {
        dry_run: true,
        ..rules()
    };
    bench.apply(Input::SetAdmission(Box::new(dry_run)));
    assert_eq!(bench.running(), 2);
    assert_eq!(refused(&bench), [("cpu", 2)], "in a dry run all are let in");
}
