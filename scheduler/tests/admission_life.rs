//! Random lives under admission: whatever is fed in, the parts fit together, whatever waits says
//! why, and the journal gives the same tasks.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use common::{lane, limits, plain};
use proptest::prelude::*;
use proptest::sample::select;
use wezterm_parallel_scheduler::{
    Action, AdmissionRules, Change, Edit, HostCpu, HostMemory, HostReading, Input, Measured, Needs, Rate,
    RateScope, Reason, ReliefRules, Scheduler, State, Submission, Task, TaskKey, Tick, TreeMemory,
};

const GIB: u64 = 1 << 30;

#[derive(Clone, Debug)]
enum Step {
    Submit(Needs, &'static str),
    Exit(usize, State, Reason),
    PutBack(usize),
    Measure(Vec<(usize, u64)>),
    Read {
        available_bytes: u64,
        used_milli: u32,
        stall_permille: u32,
        is_late: bool,
    },
    Unreadable,
    Suspend(usize),
    Continue(usize),
    Cancel(usize),
    Ask(usize),
    Answer(usize),
    Edit(usize, u64),
    Rules(AdmissionRules),
    Pass,
}

fn some_rules() -> impl Strategy<Value = AdmissionRules> {
    let flags = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        any::<bool>(),
    );
    let times = (0..3_000_u64, 0..4_000_u64, 0..3_000_u64, 0..10_000_u64);
    (flags, times, 1..5_u32, any::<bool>()).prop_map(|(flags, times, number, is_rated)| {
        let starts = NonZeroU32::new(number).expect("it is at least 1");
        let rate = Rate {
            scope: RateScope::Worker(Arc::from("claude")),
            starts,
            per_ms: 1_000,
            burst: starts,
        };
        AdmissionRules {
            enabled: flags.0,
            dry_run: flags.1,
            reopen_after_ms: times.0,
            pass_at_most_ms: times.3,
            unproven_at_most: number,
            cpus_default_milli: 500,
            rates: if is_rated { vec![rate] } else { Vec::new() },
            relief: ReliefRules {
                enabled: flags.2,
                after_ms: times.0,
                interval_ms: times.1,
                pause_at_most_ms: times.2,
            },
            ..AdmissionRules::default()
        }
    })
}

fn some_read() -> impl Strategy<Value = Step> {
    let stall = select(vec![0, 0, 0, 40, 70, 120]);
    (0..16 * GIB, 0..4_000_u32, stall, prop::bool::weighted(0.1)).prop_map(
        |(available_bytes, used_milli, stall_permille, is_late)| Step::Read {
            available_bytes,
            used_milli,
            stall_permille,
            is_late,
        },
    )
}

fn some_step() -> impl Strategy<Value = Step> {
    let needs = (
        select(vec![0, 0, GIB, 20 * GIB]),
        select(vec![0, 0, 1_000, 9_000]),
    );
    let needs = needs.prop_map(|(memory_bytes, cpus_milli)| Needs {
        memory_bytes,
        cpus_milli,
    });
    let ends = select(vec![
        (State::Succeeded, Reason::Ok),
        (State::Failed, Reason::ExitCode),
        (State::Failed, Reason::Oom),
        (State::Cancelled, Reason::Cancelled),
        (State::Lost, Reason::Lost),
    ]);
    let nth = || 0..6_usize;
    prop_oneof![
        8 => (needs, select(vec!["shell", "claude"])).prop_map(|(needs, worker)| Step::Submit(needs, worker)),
        5 => (nth(), ends).prop_map(|(nth, (state, reason))| Step::Exit(nth, state, reason)),
        1 => nth().prop_map(Step::PutBack),
        6 => prop::collection::vec((nth(), 0..5 * GIB), 0..4).prop_map(Step::Measure),
        20 => some_read(),
        1 => Just(Step::Unreadable),
        1 => nth().prop_map(Step::Suspend),
        2 => nth().prop_map(Step::Continue),
        1 => nth().prop_map(Step::Cancel),
        1 => nth().prop_map(Step::Ask),
        2 => nth().prop_map(Step::Answer),
        1 => (nth(), 0..3 * GIB).prop_map(|(nth, bytes)| Step::Edit(nth, bytes)),
        2 => some_rules().prop_map(Step::Rules),
        5 => Just(Step::Pass),
    ]
}

/// Steps, each with how much time passes before it.
fn some_life() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let pause_ms = prop_oneof![4 => 0..700_u64, 1 => 700..8_000_u64];
    prop::collection::vec((pause_ms, some_step()), 1..150)
}

/// What the host is read at.
fn reading(step: &Step, now: Tick) -> HostReading {
    match *step {
        Step::Read {
            available_bytes,
            used_milli,
            stall_permille,
            is_late,
        } => HostReading {
            taken_at: if is_late { Tick(now.0 - 900) } else { now },
            memory: Measured::Known(HostMemory {
                total_bytes: 16 * GIB,
                available_bytes,
            }),
            cpu: Measured::Known(HostCpu {
                cpus_milli: 4_000,
                used_milli,
            }),
            stall_permille: Measured::Known(stall_permille),
            oom_kills: 0,
        },
        _ => HostReading {
            taken_at: now,
            memory: Measured::Unreadable("gone".to_owned()),
            cpu: Measured::Absent,
            stall_permille: Measured::Unreadable("gone".to_owned()),
            oom_kills: 0,
        },
    }
}

fn input_of(step: Step, now: Tick, scheduler: &Scheduler, next_key: &mut u64) -> Option<Input> {
    let active = |nth: usize| scheduler.active().nth(nth);
    let key = |nth: usize| active(nth).map(|task| task.submission.key);
    let id = |nth: usize| active(nth).map(|task| (task.submission.key, task.attempts));
    Some(match step {
        Step::Submit(needs, worker) => {
            *next_key += 1;
            Input::Submit(Box::new(Submission {
                lane: lane("", worker),
                needs,
                ..plain(*next_key)
            }))
        }
        Step::Exit(nth, state, reason) => {
            let (key, attempt) = id(nth)?;
            Input::Exited {
                key,
                attempt,
                state,
                reason,
            }
        }
        Step::PutBack(nth) => {
            let (key, attempt) = id(nth)?;
            Input::PutBack {
                key,
                attempt,
                reason: Reason::Limited,
                not_before: None,
            }
        }
        Step::Measure(trees) => {
            let tree = |(nth, bytes): (usize, u64)| {
                let (key, attempt) = id(nth)?;
                Some(TreeMemory { key, attempt, bytes })
            };
            let trees = trees.into_iter().filter_map(tree).collect();
            let taken_at = now;
            Input::WorkerMemory { taken_at, trees }
        }
        Step::Read { .. } | Step::Unreadable => Input::Reading(Box::new(reading(&step, now))),
        Step::Suspend(nth) => Input::Suspend(key(nth)?),
        Step::Continue(nth) => Input::Continue(key(nth)?),
        Step::Cancel(nth) => Input::Cancel(key(nth)?),
        Step::Ask(nth) => id(nth).map(|(key, attempt)| Input::Asked(key, attempt))?,
        Step::Answer(nth) => id(nth).map(|(key, attempt)| Input::Answered(key, attempt))?,
        Step::Edit(nth, memory_bytes) => {
            let edit = Edit {
                memory_bytes: Some(memory_bytes),
                ..Edit::default()
            };
            Input::Edit(key(nth)?, edit)
        }
        Step::Rules(rules) => Input::SetAdmission(Box::new(rules)),
        Step::Pass => Input::Tick,
    })
}

#[derive(Clone, Debug)]
enum Line {
    Submission(Box<Submission>),
    Change(TaskKey, Change),
}

fn all(scheduler: &Scheduler) -> Vec<Task> {
    scheduler.tasks_from(TaskKey(0)).collect()
}

/// Who is paused or put back for memory's sake has somebody before it who runs.
fn spares_the_oldest(scheduler: &Scheduler, now: Tick, actions: &[Action]) -> bool {
    let report = scheduler.admission(now);
    let ages: BTreeMap<TaskKey, (Option<Tick>, TaskKey)> = report
        .reservations
        .iter()
        .map(|reservation| (reservation.key, (reservation.started_at, reservation.key)))
        .collect();
    let running = ages
        .keys()
        .filter(|key| scheduler.state(**key) == Some(State::Running));
    let oldest = running.map(|key| ages[key]).min();
    actions.iter().all(|action| match action {
        Action::Record(key, Change::Relieved { .. } | Change::PutBackRequested) => {
            oldest.is_some_and(|oldest| oldest < ages[key])
        }
        _ => true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_parts_fit_together(life in some_life()) {
        let mut scheduler = Scheduler::new(limits(6));
        let (mut lines, mut next_key, mut now) = (Vec::new(), 0, Tick(1_000_000));
        for (pause_ms, step) in life {
            now = now.plus_ms(pause_ms);
            let Some(input) = input_of(step, now, &scheduler, &mut next_key) else { continue };
            if let Input::Submit(submission) = &input {
                lines.push(Line::Submission(submission.clone()));
            }
            let Ok(actions) = scheduler.apply(now, input) else { continue };
            scheduler.check_invariants();
            prop_assert!(scheduler.next_wake().is_none_or(|wake| wake > now));
            prop_assert!(spares_the_oldest(&scheduler, now, &actions), "{:?}", actions);
            for action in actions {
                if let Action::Record(key, change) = action {
                    lines.push(Line::Change(key, change));
                }
            }
            for task in all(&scheduler) {
                let explained = scheduler.explain(now, task.submission.key).expect("it is there");
                prop_assert_eq!(explained.gates.is_empty(), !task.state.is_pending(), "{:?}", task);
            }
            let queued = scheduler.count(State::Queued);
            let active = scheduler.active().count();
            prop_assert!(active > 0 || queued == 0 || !scheduler.blocked_by(now).is_empty());
        }
        let mut again = Scheduler::new(limits(6));
        for line in lines {
            match line {
                Line::Submission(submission) => again.replay_submission(*submission).expect("it is new"),
                Line::Change(key, change) => again.replay(key, &change).expect("it was legal live"),
            }
            again.check_invariants();
        }
        prop_assert_eq!(all(&again), all(&scheduler));
        let mut restored = Scheduler::new(limits(6));
        for task in all(&scheduler) {
            restored.restore(task);
        }
        restored.check_invariants();
        prop_assert_eq!(all(&restored), all(&scheduler));
    }
}
