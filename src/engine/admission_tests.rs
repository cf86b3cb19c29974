//! Admission in the engine: readings of a fake host, measured workers, and what was learned.

use std::time::Duration;

use super::super::claude_tests::{argument, fixture, prompt, shell, slow, stage_with};
use super::super::tests::{config, Stage};
use super::super::Happened;
use wezterm_parallel_scheduler::AdmissionRules;

use super::*;
use crate::protocol::{AdmissionAnswer, Answer, Message, OneTask, TaskQueue};

const GIB: u64 = 1 << 30;

fn queue(stage: &mut Stage, id: &str, memory_bytes: Option<u64>) {
    let task = TaskQueue {
        id: id.to_owned(),
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        memory_bytes,
        ..TaskQueue::default()
    };
    let answer = stage.ask_one(Message::TaskQueue(Box::new(task)));
    assert!(matches!(answer, Answer::StatusUpdate(_)), "{answer:?}");
}

fn admission(stage: &mut Stage) -> AdmissionAnswer {
    match stage.ask_one(Message::Admission {}) {
        Answer::Admission(answer) => *answer,
        other => panic!("{other:?}"),
    }
}

fn reasons(stage: &mut Stage, id: &str) -> Vec<(String, String)> {
    match stage.ask_one(Message::Explain(OneTask { id: id.to_owned() })) {
        Answer::Explanation(view) => view
            .gates
            .into_iter()
            .map(|gate| (gate.gate, gate.message))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// One with so much memory available of 16 GiB, read now.
fn reading(available_bytes: u64) -> Reading {
    Reading {
        at: since_boot(),
        memory: Ok(crate::host::Memory {
            total_bytes: 16 * GIB,
            available_bytes,
            bound: crate::host::Bound::Host,
        }),
        swap: Ok(crate::host::Swap {
            total_bytes: 0,
            used_bytes: 0,
        }),
        cpu: Ok(Cpu {
            used_share: Some(0.1),
            count: 8.0,
            bound: crate::host::Bound::Host,
        }),
        stall: Ok(None),
    }
}

fn read(stage: &mut Stage, reading: Reading, kills: u64) {
    let kills = OomKills {
        cgroup: None,
        host: Some(kills),
    };
    let gauged = Gauged::Host(Box::new(reading), Ok(kills));
    stage.engine.play(vec![Happened::Gauged(gauged)]);
}

#[test]
fn a_task_that_does_not_fit_waits_and_says_why() {
    let mut stage = Stage::of(config("4"));
    read(&mut stage, reading(4 * GIB), 0);
    queue(&mut stage, "a", Some(2 * GIB));
    queue(&mut stage, "b", Some(GIB));
    assert_eq!(stage.task("a").state, "running");
    assert_eq!(stage.task("b").state, "queued");
    let (gate, message) = reasons(&mut stage, "b").remove(0);
    assert_eq!(gate, "memory");
    for words in [
        "4.0 GiB available",
        "2.0 GiB",
        "1.0 GiB (declared)",
        "1.6 GiB",
        "read 0.",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    // What `status` and its file say of all that wait is in the same words.
    let summary = stage.engine.views().summary(stage.engine.clock.now());
    let shared = &summary.blocked_by[0];
    assert_eq!(shared.gate, "memory");
    let age = |message: &str| message.rfind("; read ").expect("an age");
    let own = "the task needs 1.0 GiB (declared) above the floor";
    assert_eq!(
        shared.message[..age(&shared.message)],
        message[..age(&message)].replace(own, "the next task needs more above the floor")
    );
    read(&mut stage, reading(8 * GIB), 0);
    assert_eq!(stage.task("b").state, "running");
}

#[test]
fn readings_that_fail_close_the_gates_with_their_reason() {
    let mut stage = Stage::of(config("4"));
    queue(&mut stage, "a", None);
    let broken = Reading {
        memory: Err(Unreadable {
            what: "/proc/meminfo".to_owned(),
            why: "cannot be read: permission denied".to_owned(),
        }),
        ..reading(8 * GIB)
    };
    read(&mut stage, broken, 0);
    queue(&mut stage, "b", None);
    assert_eq!(stage.task("b").state, "queued", "one may always run");
    let (gate, message) = reasons(&mut stage, "b").remove(0);
    assert_eq!(gate, "memory");
    assert!(
        message.contains("/proc/meminfo: cannot be read: permission denied"),
        "{message}"
    );
    let answer = admission(&mut stage);
    let reading = answer.reading.expect("one was taken");
    assert_eq!(
        reading.unreadable,
        ["/proc/meminfo: cannot be read: permission denied"]
    );
    assert_eq!(reading.memory_total_bytes, None);
}

#[test]
fn what_cannot_be_read_is_no_number_in_the_metrics() {
    let mut stage = Stage::of(config("2"));
    read(&mut stage, reading(7 * GIB), 0);
    stage.published();
    let available = "host_memory_available_bytes";
    assert_eq!(stage.counted(available), Some((7 * GIB) as f64));
    assert_eq!(stage.counted("host_cpus_used"), Some(0.8));
    let broken = Reading {
        memory: Err(Unreadable {
            what: "/proc/meminfo".to_owned(),
            why: "gone".to_owned(),
        }),
        ..reading(0)
    };
    read(&mut stage, broken, 0);
    stage.published();
    assert!(stage.counted(available).is_some_and(f64::is_nan));
    assert_eq!(stage.counted("host_cpus_used"), Some(0.8));
}

fn tree(bytes: u64) -> crate::host::TreeMemory {
    crate::host::TreeMemory {
        bytes,
        ..Default::default()
    }
}

#[test]
fn workers_are_measured_and_what_they_need_is_kept_over_a_restart() {
    let mut stage = Stage::of(config("2"));
    queue(&mut stage, "a", None);
    let id = stage.attempt_of("a");
    stage.engine.play(vec![Happened::Gauged(Gauged::Trees(
        since_boot(),
        vec![(id, tree(3 * GIB))],
    ))]);
    let answer = admission(&mut stage);
    assert_eq!(answer.reservations[0].id, "a");
    assert_eq!(answer.reservations[0].used_bytes, Some(3 * GIB));
    stage.end_with(
        id,
        Exit {
            exit_code: Some(0),
            peak_memory_bytes: 5 * GIB,
            ..Exit::default()
        },
    );
    assert_eq!(stage.task("a").state, "succeeded");
    let learned = admission(&mut stage).learned;
    assert_eq!((learned[0].worker.as_str(), learned[0].bytes), ("shell", 5 * GIB));
    let now = stage.engine.clock.now();
    stage.engine.save_peaks(now, true);
    let mut stage = stage.reopen(config("2"));
    assert_eq!(admission(&mut stage).learned, learned);
    // A file that is none costs nothing but what was learned.
    std::fs::write(stage.folder.path().join("peaks.json"), "nonsense").unwrap();
    let mut stage = stage.reopen(config("2"));
    assert_eq!(admission(&mut stage).learned, []);
}

#[test]
fn what_the_kernel_killed_is_told_so_and_expected_to_need_more() {
    let mut stage = Stage::of(config("2"));
    queue(&mut stage, "a", None);
    queue(&mut stage, "b", None);
    let (a, b) = (stage.attempt_of("a"), stage.attempt_of("b"));
    let killed = |peak_memory_bytes| Exit {
        signal: Some(SIGKILL),
        peak_memory_bytes,
        ..Exit::default()
    };
    // The kernel counts before it kills, and the engine looks when it hears of the end.
    stage.host.set_oom_kills(Ok(OomKills {
        cgroup: None,
        host: Some(1),
    }));
    let told_by_a_shell = Exit {
        exit_code: Some(137),
        signal: None,
        ..killed(2 * GIB)
    };
    stage.end_with(a, told_by_a_shell);
    stage.end_with(b, killed(GIB));
    let attempt = stage.task("a").attempts.remove(0);
    assert_eq!(attempt.outcome.as_deref(), Some("oom"));
    assert!(attempt.message.unwrap().contains("2048 MiB"));
    assert_eq!(stage.task("a").reason.as_deref(), Some("oom"));
    let attempt = stage.task("b").attempts.remove(0);
    assert_eq!(
        attempt.outcome.as_deref(),
        Some("signal"),
        "there was one kill, not two"
    );
    assert_eq!(admission(&mut stage).learned[0].bytes, 3 * GIB);
}

#[test]
fn a_timeout_during_a_pause_that_nobody_asked_for_is_none() {
    let (mut stage, young, _) = short_of_memory();
    stage.end_with(
        young,
        Exit {
            stopped: Some(StopCause::Timeout),
            signal: Some(15),
            ..Exit::default()
        },
    );
    let task = stage.task("young");
    assert_eq!((task.state.as_str(), task.retries_used), ("queued", 0));
    assert_eq!(task.attempts[0].outcome.as_deref(), Some("memory"));
}

#[test]
fn kills_are_claimed_soon_or_never() {
    let kills = |count| OomKills {
        cgroup: Some(count),
        host: None,
    };
    let mut known = Kills::default();
    assert_eq!(
        known.see(Tick(0), kills(7)),
        0,
        "those before the first look are nobody's"
    );
    assert!(!known.claim(Tick(1)));
    assert_eq!(known.see(Tick(100), kills(9)), 2);
    assert!(known.claim(Tick(200)));
    assert!(known.claim(Tick(KILL_CLAIMED_MS + 100)));
    assert!(!known.claim(Tick(300)));
    known.see(Tick(400), kills(10));
    assert!(!known.claim(Tick(KILL_CLAIMED_MS + 401)));
}

/// Memory has been short for so long that the younger one of `old` and `young` is paused: its attempt, and now.
fn short_of_memory() -> (Stage, AttemptId, Tick) {
    let mut stage = Stage::of(config("2"));
    queue(&mut stage, "old", None);
    queue(&mut stage, "young", None);
    let young = stage.attempt_of("young");
    let mut now = stage.engine.clock.now();
    pass(&mut stage, &mut now, 4, GIB);
    assert_eq!(stage.task("young").state, "paused");
    (stage, young, now)
}

/// Seconds pass with so much memory available. The engine's own clock stands still meanwhile: it is the machine's.
fn pass(stage: &mut Stage, now: &mut Tick, seconds: u64, available: u64) {
    for _ in 0..seconds {
        *now = now.plus_ms(1_000);
        let reading = host_reading(*now, reading(available), 0);
        let mut batch = Batch::default();
        stage
            .engine
            .feed(*now, Input::Reading(Box::new(reading)), &mut batch);
        stage.engine.commit(*now, &mut batch);
        stage.engine.perform(batch);
    }
}

#[test]
fn memory_that_stays_short_pauses_the_youngest_and_then_puts_it_back() {
    let (mut stage, young, mut now) = short_of_memory();
    assert_eq!(stage.task("old").state, "running");
    let (gate, message) = reasons(&mut stage, "young").remove(0);
    assert_eq!(gate, "memory");
    assert!(message.starts_with("paused to relieve memory"), "{message}");
    pass(&mut stage, &mut now, 31, GIB);
    assert_eq!(stage.handle.take_stops().len(), 1);
    stage.end_with(
        young,
        Exit {
            stopped: Some(crate::executor::StopCause::Request),
            signal: Some(15),
            ..Exit::default()
        },
    );
    let task = stage.task("young");
    assert_eq!((task.state.as_str(), task.retries_used), ("queued", 0));
    assert_eq!(task.attempts[0].outcome.as_deref(), Some("memory"));
    assert_eq!(stage.task("old").state, "running");
}

#[test]
fn the_rules_are_those_of_the_config() {
    let mut config = config("2");
    config.admission.memory_floor = Some(crate::config::ByteSize(GIB));
    config.admission.relief_pause = Duration::from_secs(9);
    config.workers.get_mut("shell").unwrap().cpus = Some(0.25);
    let given = rules(&config);
    assert!(given.enabled && !given.dry_run);
    assert_eq!(given.floor_bytes, Some(GIB));
    assert_eq!((given.cpu_high_permille, given.cpu_low_permille), (900, 750));
    assert_eq!(given.relief.pause_at_most_ms, 9_000);
    assert_eq!(given.profiles["shell"].cpus_default_milli, Some(250));
    // What the config says when nobody says anything is what the scheduler itself would.
    let defaults = rules(&crate::config::Config::default());
    let expected = AdmissionRules {
        enabled: true,
        profiles: defaults.profiles.clone(),
        ..AdmissionRules::default()
    };
    assert_eq!(defaults, expected);
}

#[test]
fn a_claude_worker_that_is_put_back_goes_on_in_its_session() {
    let mut stage = stage_with(slow());
    let old = stage.queue(shell());
    stage.launch();
    let young = stage.queue(prompt("work", None));
    let launch = stage.launch();
    let begun = fixture("success");
    let begun = format!("{}\n", begun.lines().next().expect("a line"));
    stage.print(&launch, &begun);
    let mut now = stage.engine.clock.now();
    pass(&mut stage, &mut now, 4, GIB);
    assert!(stage.handle.is_suspended(launch.id));
    pass(&mut stage, &mut now, 31, GIB);
    let (stopped, _) = stage.handle.take_stops().pop().expect("a stop");
    assert_eq!(stopped, launch.id);
    stage.handle.end(
        launch.id,
        Exit {
            signal: Some(2),
            stopped: Some(crate::executor::StopCause::Request),
            ..Exit::default()
        },
    );
    let key = TaskKey(young);
    stage.until("the judgement", |stage| {
        stage.engine.store.get(key)?.attempts[0].outcome.clone()
    });
    let task = stage.task(&young.to_string());
    assert_eq!(task.attempts[0].outcome.as_deref(), Some("memory"));
    assert_eq!((task.state.as_str(), task.retries_used), ("queued", 0));
    // The old one ends, and there is room again.
    stage.handle.end_with_code(stage.attempt_of(&old.to_string()), 0);
    pass(&mut stage, &mut now, 4, 14 * GIB);
    let again = stage.until_launch();
    assert_eq!(argument(&again, "--resume"), argument(&launch, "--session-id"));
}
