//! Admission with the real daemon on the real machine: floors that no machine meets, rates, declared CPUs.

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{kill_process, Pid, Signal};
use support::{wait_for, Daemon, Home};
use wezterm_parallel::protocol::{AdmissionAnswer, Answer, Event, Message, Subscribe, TaskQueue};

/// More than any machine has available.
const NO_ROOM: &str = "[pool]\nslots = 4\n[admission]\nmemory_floor = \"900TiB\"\n";
/// As it is without a config; test homes have it off.
const USUAL: &str = "[admission]\nenabled = true\n";
/// Runs until the test says so.
const UNTIL_GO: &str = "until [ -e go ]; do sleep 0.02; done";

fn go(home: &Home) {
    std::fs::write(home.path().join("go"), "").expect("the sign");
    home.wait_idle();
}

fn admission(home: &Home) -> AdmissionAnswer {
    match home.client().ask(&Message::Admission {}) {
        Ok(Answer::Admission(answer)) => *answer,
        other => panic!("{other:?}"),
    }
}

/// The readings come twice a second: waits for one that is whole.
fn wait_reading(home: &Home) -> AdmissionAnswer {
    wait_for("a reading", || {
        let answer = admission(home);
        let reading = answer.reading.as_ref()?;
        reading.memory_total_bytes?;
        Some(answer)
    })
}

fn hang_up(daemon: &Daemon<'_>) {
    let pid = Pid::from_raw(daemon.pid().try_into().expect("a pid")).expect("not 0");
    kill_process(pid, Signal::HUP).expect("it runs");
}

#[test]
fn where_there_is_no_room_one_task_runs_and_the_others_say_why() {
    let home = Home::with_config(NO_ROOM);
    let daemon = home.daemon();
    wait_reading(&home);
    let first = home.queue(UNTIL_GO);
    let second = home.queue(UNTIL_GO);
    home.wait_state(&first, &["running"]);
    assert_eq!(home.task(&second).state, "queued");
    let explained = home.ok(["explain", &second]);
    assert!(
        explained.contains("It waits for memory: ") && explained.contains("a floor of 921600.0 GiB"),
        "{explained}"
    );
    assert!(home.ok(["status"]).contains("blocked by memory: "));
    let status_file = home.path().join("run/wezterm-parallel/status.json");
    wait_for("the status file", || {
        let text = std::fs::read_to_string(&status_file).ok()?;
        text.contains(r#""gate":"memory""#).then_some(())
    });
    let answer = admission(&home);
    assert!(answer.enabled && !answer.dry_run);
    assert!(answer
        .gates
        .iter()
        .any(|gate| gate.gate == "memory" && !gate.is_open));
    assert_eq!(answer.reservations.len(), 1);
    // Where there is room, it goes on by itself.
    home.configure("[pool]\nslots = 4\n[admission]\ncpu_high = 1.0\n");
    hang_up(&daemon);
    home.wait_state(&second, &["running"]);
    go(&home);
    // One line for each change, whatever was read in the meantime.
    let log = home.log();
    for words in ["the gate is closed", "the gate is open"] {
        assert_eq!(
            log.matches(&format!("{words} gate=\"memory\"")).count(),
            1,
            "{log}"
        );
    }
}

#[test]
fn gates_that_close_are_events() {
    let home = Home::with_config(USUAL);
    let daemon = home.daemon();
    wait_reading(&home);
    let (_, mut events) = home.client().subscribe(Subscribe::default()).expect("events");
    home.configure(NO_ROOM);
    hang_up(&daemon);
    // Somebody looks, so that the machine is read.
    let closed = wait_for("the gate", || {
        admission(&home);
        match events.next_timeout(Duration::from_millis(100)) {
            Ok(Some(Event::Gate {
                gate,
                is_open: false,
                message,
                ..
            })) => Some((gate, message)),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(closed.0, "memory");
    assert!(closed.1.contains("a floor of 921600.0 GiB"), "{}", closed.1);
}

#[test]
fn without_admission_and_in_a_dry_run_nothing_waits() {
    let would = [
        "dry run: the gate would be closed",
        "dry run: a worker would be paused",
    ];
    for (more, told) in [("enabled = false\n", &[][..]), ("dry_run = true\n", &would)] {
        let home = Home::with_config(&format!("{NO_ROOM}{more}"));
        let _daemon = home.daemon();
        let ids = [home.queue(UNTIL_GO), home.queue(UNTIL_GO)];
        for id in &ids {
            home.wait_state(id, &["running"]);
        }
        for words in told {
            wait_for(words, || home.log().contains(words).then_some(()));
        }
        go(&home);
    }
}

#[test]
fn rates_stagger_the_starts_of_a_profile() {
    let home = Home::with_config("[pool]\nslots = 4\n[workers.shell]\nrate = \"1/h burst 2\"\n");
    let _daemon = home.daemon();
    let ids: Vec<String> = (0..3).map(|_| home.queue("true")).collect();
    home.wait_state(&ids[0], &["succeeded"]);
    home.wait_state(&ids[1], &["succeeded"]);
    assert_eq!(home.task(&ids[2]).state, "queued");
    let explained = home.ok(["explain", &ids[2]]);
    assert!(explained.contains("It waits for rate: "), "{explained}");
    assert_eq!(home.log().matches("the gate is closed gate=\"rate\"").count(), 1);
    // Other profiles go on.
    let other = home.submit(TaskQueue {
        argv: Some(vec!["true".to_owned()]),
        ..TaskQueue::default()
    });
    home.wait_state(&other, &["succeeded"]);
    home.ok(["cancel", &ids[2]]);
}

#[test]
fn declared_processors_are_given_out_once() {
    let home = Home::with_config("[pool]\nslots = 4\n[admission]\ncpu_high = 1.0\n");
    let _daemon = home.daemon();
    let cpus = wait_for("the number of processors", || {
        // A client that asks has the machine read often.
        admission(&home).reading?.cpus
    });
    let declaring = |cpus: f64| {
        home.submit(TaskQueue {
            command: Some(UNTIL_GO.to_owned()),
            worker: Some("shell".to_owned()),
            cwd: Some(home.path().to_str().expect("UTF-8").to_owned()),
            cpus: Some(cpus),
            ..TaskQueue::default()
        })
    };
    let all = declaring(cpus);
    let one_more = declaring(0.5);
    home.wait_state(&all, &["running"]);
    let explained = home.ok(["explain", &one_more]);
    assert!(explained.contains("It waits for cpu: "), "{explained}");
    home.ok(["edit", &one_more, "--cpus", "0"]);
    home.wait_state(&one_more, &["running"]);
    go(&home);
}

#[test]
fn what_was_learned_is_there_after_a_restart() {
    let home = Home::with_config("[pool]\nslots = 2\n[admission]\nenabled = true\n");
    let daemon = home.daemon();
    // Long enough to be seen with its memory.
    let id = home.queue("sleep 0.3");
    home.wait_state(&id, &["succeeded"]);
    let learned = admission(&home).learned;
    assert_eq!(learned.len(), 1, "{learned:?}");
    assert_eq!(learned[0].worker, "shell");
    home.ok(["shutdown"]);
    assert!(daemon.wait().success());
    let _daemon = home.daemon();
    assert_eq!(admission(&home).learned, learned);
}

#[test]
fn the_command_shows_it_to_people_and_programs() {
    let home = Home::with_config(USUAL);
    let _daemon = home.daemon();
    wait_reading(&home);
    let shown = home.ok(["admission"]);
    assert!(
        shown.contains("memory    ") && shown.contains("gate memory: "),
        "{shown}"
    );
    let answer: AdmissionAnswer = serde_json::from_str(&home.ok(["admission", "--json"])).expect("JSON");
    assert!(answer.reading.is_some() && answer.marks.memory_floor_bytes > Some(0));
    for wrong in [
        &["queue", "--memory", "lots", "x"][..],
        &["queue", "--cpus", "-1", "x"],
    ] {
        assert_eq!(home.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn whoever_watches_gets_fresh_readings() {
    let home = Home::with_config(USUAL);
    let _daemon = home.daemon();
    let mut command = home.command(["admission", "--watch", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().expect("the command");
    let output = BufReader::new(watching.stdout.take().expect("its output"));
    let answers = output.lines().map(|line| {
        let line = line.expect("a line");
        serde_json::from_str::<AdmissionAnswer>(&line).expect("JSON")
    });
    let aged = answers
        .skip(2)
        .take(5)
        .map(|answer| answer.reading.expect("a reading").age_ms);
    let ages: Vec<u64> = aged.collect();
    watching.kill().expect("it runs");
    watching.wait().expect("it has ended");
    // An answer comes a second or more after the last one. With the same reading, that one is as much older; and were
    // nobody watching while nothing runs or waits, there would be a new one in five seconds.
    let fresh = ages.windows(2).filter(|pair| pair[1] < pair[0] + 1_000).count();
    assert!(fresh >= 2, "{ages:?}");
}

/// The kernel ends a worker before it ends the daemon or a terminal.
#[cfg(target_os = "linux")]
#[test]
fn workers_are_offered_to_the_kernels_killer_first() {
    let home = Home::with_config(USUAL);
    let _daemon = home.daemon();
    let own: i32 = read_number("/proc/self/oom_score_adj");
    let id = home.queue(&format!("echo $$ > pid; {UNTIL_GO}"));
    home.wait_state(&id, &["running"]);
    let pid = wait_for("the worker's pid", || {
        let text = std::fs::read_to_string(home.path().join("pid")).ok()?;
        text.trim().parse::<u32>().ok()
    });
    wait_for("its score", || {
        (read_number(&format!("/proc/{pid}/oom_score_adj")) == (own + 300).min(1_000)).then_some(())
    });
    go(&home);
}

#[cfg(target_os = "linux")]
fn read_number(path: &str) -> i32 {
    std::fs::read_to_string(path)
        .expect(path)
        .trim()
        .parse()
        .expect("a number")
}
