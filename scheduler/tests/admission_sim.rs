//! Whole nights of work on machines of 2 to 256 GiB, in no real time.
#![allow(missing_docs)]

mod common;
#[path = "common/world.rs"]
mod world;

use std::collections::BTreeMap;

use common::{in_session, lane, limits, plain};
use proptest::prelude::*;
use wezterm_parallel_scheduler::{AdmissionRules, State, Submission, TaskKey};
use world::{oracle_ms, Random, Trouble, Work, World};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn rules() -> AdmissionRules {
    AdmissionRules {
        enabled: true,
        ..AdmissionRules::default()
    }
}

/// From 2 to 256 GiB, each power of two as likely as another.
fn some_total() -> impl Strategy<Value = u64> {
    (1..8_u32, 0..1_000_u64).prop_map(|(power, more)| (GIB << power) / 1_000 * (1_000 + more))
}

fn in_lane(key: u64, number: u64) -> Submission {
    Submission {
        lane: lane(&format!("workspace-{number}"), "shell"),
        ..plain(key)
    }
}

/// Tasks of some lanes; each lane's peaks vary by up to `spread_percent`.
fn fill(world: &mut World, random: &mut Random, tasks: u64, lanes: u64, largest: u64, spread_percent: u64) {
    let largest_of: Vec<u64> = (0..lanes).map(|_| random.within(largest / 8, largest)).collect();
    for key in 1..=tasks {
        let number = random.within(0, lanes - 1);
        let peak = largest_of[usize::try_from(number).expect("few lanes")];
        let work = Work {
            peak_bytes: random.within(peak * (100 - spread_percent) / 100, peak),
            grows_for_ms: random.within(1_000, 10_000),
            lasts_ms: random.within(15_000, 60_000),
            cpus_milli: 0,
        };
        world.submit(in_lane(key, number), work);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// Whatever happens, `World` checks each start and each moment; and all is done in the end.
    #[test]
    fn memory_stays_above_its_floor_and_all_is_done(
        total in some_total(),
        seed in any::<u64>(),
        late_percent in 0..40_u64,
        others_percent in 0..70_u64,
        noise_permille in 0..20_u64,
        spread_percent in 0..90_u64,
        restarts_after_ms in prop::option::of(5_000..200_000_u64),
    ) {
        let trouble = Trouble {
            noise_bytes: total / 1_000 * noise_permille,
            tree_noise_permille: noise_permille,
            late_percent,
            others_bytes: total / 100 * others_percent,
        };
        let mut random = Random(seed);
        let slots = u32::try_from(random.within(2, 40)).expect("few slots");
        let mut world = World::new(limits(slots), rules(), total, trouble, seed);
        let lanes = random.within(1, 5);
        let largest = random.within(total / 40, total / 3);
        fill(&mut world, &mut random, 120, lanes, largest, spread_percent);
        world.restarts_after_ms = restarts_after_ms;
        // One after another would take 120 times 38 seconds; being paused and put back, twice that.
        world.run(120 * 80_000);
    }
}

/// Of lanes whose tasks need about the same, as much gets done as if all peaks were known.
#[test]
fn nearly_as_much_gets_done_as_if_the_peaks_were_known() {
    let (mean, least) = of_the_oracle(24, Others::Still, 10);
    assert!(mean >= 93 && least >= 85, "mean {mean} %, least {least} %");
}

/// The same beside other programs that take up to a third of the machine and give it back.
#[test]
fn nearly_as_much_gets_done_beside_programs_that_come_and_go() {
    let (mean, least) = of_the_oracle(8, Others::ComeAndGo, 10);
    assert!(mean >= 90 && least >= 80, "mean {mean} %, least {least} %");
}

/// Whoever knows each single peak has the advantage of those who can know but the largest of their kind.
#[test]
fn lanes_of_unlike_tasks_cost_no_more_than_their_largest_ones() {
    for (spread_percent, mean_least) in [(30, 85), (60, 80), (90, 80)] {
        let (mean, least) = of_the_oracle(4, Others::Still, spread_percent);
        assert!(
            mean >= mean_least,
            "{spread_percent} %: mean {mean} %, least {least} %"
        );
    }
}

#[derive(Clone, Copy, Debug)]
enum Others {
    Still,
    ComeAndGo,
}

/// Of how long it takes who knows all: the share that this is of ours, in percent, on average and at least.
fn of_the_oracle(seeds: u64, others: Others, spread_percent: u64) -> (u64, u64) {
    let ratios: Vec<u64> = (0..seeds)
        .map(|seed| {
            let total = GIB << (1 + seed % 8);
            let (ours_ms, best_ms) = against_oracle(total, seed, others, spread_percent);
            best_ms * 100 / ours_ms
        })
        .collect();
    let mean = ratios.iter().sum::<u64>() / seeds;
    (mean, ratios.into_iter().min().expect("there are some"))
}

/// How long it took, and how long it would have taken who knows all.
fn against_oracle(total: u64, seed: u64, others: Others, spread_percent: u64) -> (u64, u64) {
    let trouble = Trouble {
        noise_bytes: total / 1_000,
        tree_noise_permille: 5,
        late_percent: 3,
        others_bytes: match others {
            Others::Still => 0,
            Others::ComeAndGo => total / 3,
        },
    };
    let mut random = Random(seed);
    let slots = u32::try_from(random.within(2, 32)).expect("few slots");
    let mut world = World::new(limits(slots), rules(), total, trouble, seed);
    let floor = world.rules.floor_of(total);
    let room = total - total / 10 - floor;
    let lanes = random.within(1, 3);
    let largest = random.within(room / 64, room / 8);
    fill(&mut world, &mut random, 600, lanes, largest, spread_percent);
    world.run(600 * 60_000);
    if matches!(others, Others::Still) {
        assert_eq!(world.put_back, 0, "no start had to be undone");
    }
    let left = |others: &u64| total.saturating_sub(floor + others);
    let room_from = world.others_from.iter().map(|(at, others)| (*at, left(others)));
    let best_ms = oracle_ms(&world.work, slots as usize, &room_from.collect());
    (world.elapsed_ms(), best_ms)
}

/// The hogs of the issue: 40 of 400 MiB each on room for eight.
#[test]
fn forty_hogs_on_room_for_eight_run_eight_at_once() {
    let (total, room) = (6 * GIB, 8 * 400 * MIB + 100 * MIB);
    let rules = AdmissionRules {
        floor_bytes: Some(total - total / 10 - room),
        ..rules()
    };
    let mut world = World::new(limits(40), rules, total, Trouble::default(), 1);
    for key in 1..=40 {
        let work = Work {
            peak_bytes: 400 * MIB,
            grows_for_ms: 2_000,
            lasts_ms: 10_000,
            cpus_milli: 0,
        };
        world.submit(in_lane(key, 1), work);
    }
    world.run(200_000);
    assert_eq!(world.most_running, 8);
    assert_eq!(
        (world.paused, world.put_back, world.deepest_below_floor),
        (0, 0, 0)
    );
    // While nothing is known, two run, then four; and each round waits for a reading.
    let best_ms = oracle_ms(&world.work, 40, &BTreeMap::from([(0, room)]));
    assert!(
        world.elapsed_ms() * 10 <= best_ms * 14,
        "{} ms",
        world.elapsed_ms()
    );
}

/// Burners of one CPU each: the CPUs stay within a tenth of the mark while there is work.
#[test]
fn burners_keep_the_cpus_at_the_mark() {
    for cpus in [2, 4, 8, 16, 64] {
        let trouble = Trouble::default();
        let rules = AdmissionRules {
            unproven_at_most: 500,
            ..rules()
        };
        let mut world =
            World::new(limits(500), rules, 256 * GIB, trouble, cpus).with_cpus(1_000 * cpus as u32);
        let mut random = Random(cpus);
        for key in 1..=cpus * 20 {
            let work = Work {
                peak_bytes: 10 * MIB,
                grows_for_ms: 100,
                lasts_ms: random.within(20_000, 40_000),
                cpus_milli: 1_000,
            };
            world.submit(in_lane(key, 1), work);
        }
        while world.scheduler.count(State::Queued) > 0 {
            world.step();
        }
        let used = &world.cpu_used_permille;
        let mean = used.iter().sum::<u64>() / used.len() as u64;
        assert!((810..=990).contains(&mean), "{cpus} CPUs: {mean}");
        assert!(
            world.most_running as u64 <= cpus + 1,
            "{cpus} CPUs: {}",
            world.most_running
        );
    }
}

/// A task too large for the room beside others gets its turn.
#[test]
fn a_giant_gets_its_turn_among_small_ones() {
    let mut world = World::new(limits(8), rules(), 16 * GIB, Trouble::default(), 7);
    for key in 1..=300 {
        let is_giant = key == 30;
        let mut submission = in_session(key, &key.to_string());
        submission.lane = lane(if is_giant { "giant" } else { "small" }, "shell");
        submission.needs.memory_bytes = if is_giant { 12 * GIB } else { 500 * MIB };
        let work = Work {
            peak_bytes: submission.needs.memory_bytes,
            grows_for_ms: 2_000,
            lasts_ms: 10_000,
            cpus_milli: 0,
        };
        world.submit(submission, work);
    }
    while world.scheduler.state(TaskKey(30)) != Some(State::Succeeded) {
        world.step();
        // Four rounds until it comes first, a minute in which others pass, a round, and its own.
        assert!(world.elapsed_ms() < 150_000, "it has not run");
    }
    world.run(700_000);
}
