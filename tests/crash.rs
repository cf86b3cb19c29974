//! Each part is killed at random moments under load; what was acknowledged is compared with what
//! became of it.
#![cfg(target_os = "linux")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Duration;

use support::process::{is_alive, kill, launcher_of, pid_in, shim_of};
use support::wire::Wire;
use support::{wait_for, Home};
use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Answer, Cancel, Message, TaskQueue};

/// How often the daemon is killed.
const KILLS: u64 = 200;
/// Clients that submit at the same time.
const CLIENTS: u64 = 3;
/// Tasks that may be submitted in each life of the daemon: the load goes on to the last of them,
/// and what is to be replayed and run in the end stays within what a loaded machine can do.
const TASKS_PER_LIFE: u64 = 8;
const CONFIG: &str = "[pool]\nslots = 4\n[journal]\nsnapshot_bytes = \"256KiB\"\n";

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Lets the load run on for a moment that no schedule fits.
    fn pause_ms(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.below(most)));
    }
}

/// What was acknowledged, and the tasks' own notes of their runs.
struct Ledger<'a> {
    home: &'a Home,
    acknowledged: Mutex<HashMap<String, TaskQueue>>,
    count: AtomicU64,
    allowed: AtomicU64,
    stop: AtomicBool,
}

impl<'a> Ledger<'a> {
    fn new(home: &'a Home) -> Self {
        std::fs::create_dir_all(home.path().join("ledger")).expect("the ledger");
        Self {
            home,
            acknowledged: Mutex::default(),
            count: AtomicU64::new(0),
            allowed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Lets clients submit while `faults` happen. They may submit as much as it allows.
    fn under_load<T>(&self, faults: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || self.submit(client));
            }
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(faults));
            self.stop.store(true, Ordering::Relaxed);
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn allow(&self, tasks: u64) {
        self.allowed.fetch_add(tasks, Ordering::Relaxed);
    }

    /// Waits until all that was allowed has been acknowledged.
    fn wait_submitted(&self) {
        wait_for("the load to be submitted", || {
            (self.count.load(Ordering::Relaxed) >= self.allowed.load(Ordering::Relaxed)).then_some(())
        });
    }

    /// A task that proves by itself how often it ran, and whether twice at once: it takes a lock
    /// folder, notes its run, and gives the lock back.
    fn task(&self, name: &str, number: u64) -> TaskQueue {
        let ledger = self.home.path().join("ledger").display().to_string();
        let work = if number.is_multiple_of(7) {
            "sleep 0.2"
        } else {
            ":"
        };
        let script = format!(
            "mkdir {ledger}/{name}.lock || echo {name} >>{ledger}/twice; echo begin {name}; {work}; echo run >>{ledger}/{name}.runs; echo end {name}; rmdir {ledger}/{name}.lock"
        );
        TaskQueue {
            id: name.to_owned(),
            command: Some(script),
            priority: Some((number % 256) as u8),
            ..TaskQueue::default()
        }
    }

    /// Submits tasks until told to stop, through every restart; notes what was acknowledged.
    fn submit(&self, client: u64) {
        let mut connection: Option<Client> = None;
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if self.count.load(Ordering::Relaxed) >= self.allowed.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let Some(open) = connection.as_mut() else {
                connection = Client::connect(&self.home.socket()).ok();
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let name = format!("c{client}-{number}");
            let task = self.task(&name, number);
            match open.ask(&Message::TaskQueue(Box::new(task.clone()))) {
                Ok(Answer::StatusUpdate(_)) => {
                    self.acknowledged.lock().expect("no panic").insert(name, task);
                    self.count.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
                Ok(other) => panic!("{other:?}"),
                // The same id is sent again to the next daemon: that must not double the task.
                Err(_) => connection = None,
            }
        }
    }

    /// Waits for the end of everything; nothing acknowledged may be lost or have run twice.
    fn check(self, least: usize) {
        self.home.wait_idle();
        let acknowledged = self.acknowledged.into_inner().expect("no panic");
        assert!(acknowledged.len() >= least, "only {} tasks", acknowledged.len());
        let tasks: HashMap<String, _> = self
            .home
            .tasks()
            .into_iter()
            .map(|task| (task.id.clone(), task))
            .collect();
        let mut client = self.home.client();
        for (name, sent) in &acknowledged {
            let task = tasks.get(name).unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(task.state, "succeeded", "{name}: {task:?}");
            let runs = self.home.path().join(format!("ledger/{name}.runs"));
            let runs = std::fs::read_to_string(runs).unwrap_or_default();
            assert_eq!(runs, "run\n", "{name} did not run exactly once");
            let attempt = task.attempts.len() as u32;
            assert_eq!(
                self.home.output(name, attempt),
                format!("begin {name}\nend {name}\n")
            );
            let repeat = client.ask(&Message::TaskQueue(Box::new(sent.clone())));
            assert!(matches!(repeat, Ok(Answer::StatusUpdate(_))), "{repeat:?}");
        }
        let twice = self.home.path().join("ledger/twice");
        assert!(
            !twice.exists(),
            "ran twice at once: {:?}",
            std::fs::read_to_string(twice)
        );
    }
}

fn shell(id: &str, command: String) -> TaskQueue {
    TaskQueue {
        id: id.to_owned(),
        command: Some(command),
        ..TaskQueue::default()
    }
}

#[test]
fn killed_two_hundred_times_it_loses_and_doubles_nothing() {
    let home = Home::with_config(CONFIG);
    let ledger = Ledger::new(&home);
    ledger.under_load(|| {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..KILLS {
            ledger.allow(TASKS_PER_LIFE);
            let daemon = home.daemon();
            random.pause_ms(60);
            daemon.kill();
        }
    });
    let _daemon = home.daemon();
    ledger.check(200);
}

#[test]
fn a_launcher_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let home = Home::with_config(CONFIG);
    let daemon = home.daemon();
    let ledger = Ledger::new(&home);
    ledger.under_load(|| {
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut last = 0;
        // Each restart waits longer than the one before, so a few have to do.
        for _ in 0..6 {
            ledger.allow(40);
            random.pause_ms(60);
            last = wait_for("the next launcher", || {
                launcher_of(daemon.pid()).filter(|pid| *pid != last)
            });
            kill(last);
        }
        ledger.wait_submitted();
    });
    ledger.check(240);
}

#[test]
fn a_killed_shim_is_lost_with_its_tree_and_nobody_elses() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let ledger = Ledger::new(&home);
    let pids = home.path().join("pids");
    std::fs::create_dir(&pids).expect("a folder");
    let child = |name: &str| pids.join(name);
    let script = |name: &str| {
        format!(
            "setsid sleep 1000 & echo $! >{0}; test $WEZTERM_PARALLEL_ATTEMPT = 2 || sleep 1000",
            child(name).display()
        )
    };
    ledger.under_load(|| {
        ledger.allow(60);
        home.submit(shell("plain", script("plain")));
        home.submit(TaskQueue {
            retries: Some(1),
            ..shell("retried", script("retried"))
        });
        for name in ["plain", "retried"] {
            let left = wait_for("its child", || pid_in(&child(name)));
            let shim = wait_for("its shim", || shim_of(&home.attempt(name, 1)));
            kill(shim);
            wait_for("the child's end", || (!is_alive(left)).then_some(()));
        }
        let lost = home.wait_state("plain", &["lost", "failed", "succeeded"]);
        assert_eq!(
            (lost.state.as_str(), lost.attempts.len()),
            ("lost", 1),
            "{lost:?}"
        );
        let retried = home.wait_state("retried", &["lost", "failed", "succeeded"]);
        assert_eq!(
            (retried.state.as_str(), retried.attempts.len()),
            ("succeeded", 2),
            "{retried:?}"
        );
        assert_eq!(retried.attempts[0].outcome.as_deref(), Some("lost"));
        ledger.wait_submitted();
    });
    ledger.check(60);
}

#[test]
fn children_of_a_killed_worker_are_ended_and_counted() {
    let home =
        Home::with_config("[pool]\nslots = 4\n[workers.shell]\nkind = \"shell\"\nstop_grace = \"200ms\"\n");
    let _daemon = home.daemon();
    let ledger = Ledger::new(&home);
    let file = |name: &str| home.path().join(name);
    let (own, near, far) = (file("own"), file("near"), file("far"));
    let script = format!(
        "sleep 1000 & echo $! >{}; setsid sleep 1000 & echo $! >{}; echo $$ >{}; wait",
        near.display(),
        far.display(),
        own.display()
    );
    ledger.under_load(|| {
        ledger.allow(60);
        home.submit(shell("parent", script));
        kill(wait_for("the worker", || pid_in(&own)));
        let task = home.wait_state("parent", &["failed", "lost", "succeeded"]);
        assert_eq!(task.reason.as_deref(), Some("signal"), "{task:?}");
        assert_eq!(task.attempts[0].signal, Some(9));
        for child in [&near, &far] {
            let pid = pid_in(child).expect("it was written before the worker's own");
            assert!(!is_alive(pid), "{child:?} runs on");
        }
        ledger.wait_submitted();
    });
    ledger.check(60);
}

#[test]
fn clients_that_die_in_the_middle_of_a_line_or_of_a_batch_harm_nobody() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let ledger = Ledger::new(&home);
    let list = home.path().join("list");
    let lines: String = (0..400)
        .map(|n| {
            let task = ledger.task(&format!("b-{n}"), 1);
            format!("{}\n", serde_json::to_string(&task).expect("JSON"))
        })
        .collect();
    std::fs::write(&list, lines).expect("a list");
    let batch = || home.command(["batch", "--quiet", "list"]);
    ledger.under_load(|| {
        ledger.allow(60);
        let mut random = Random(0xfeed_beef_cafe_f00d);
        let line = br#"{"TaskQueue":{"id":"half","command":"true"}}"#;
        for _ in 0..40 {
            let mut wire = Wire::connect(&home);
            let end = 1 + random.below(line.len() as u64 - 1) as usize;
            wire.say(&line[..end]);
        }
        for _ in 0..6 {
            let mut child = batch().spawn().expect("it starts");
            random.pause_ms(80);
            child.kill().expect("it was ours");
            child.wait().expect("it ends");
        }
        let output = batch().output().expect("it starts");
        assert!(output.status.success(), "{}", support::shown(&output));
        ledger.wait_submitted();
    });
    let half = home
        .client()
        .ask(&Message::Show(wezterm_parallel::protocol::OneTask {
            id: "half".into(),
        }));
    assert!(half.is_err(), "half a line was taken: {half:?}");
    home.wait_idle();
    for n in 0..400 {
        let runs = std::fs::read_to_string(home.path().join(format!("ledger/b-{n}.runs")));
        assert_eq!(
            runs.unwrap_or_default(),
            "run\n",
            "b-{n} did not run exactly once"
        );
    }
    ledger.check(60);
}

#[test]
fn a_running_worker_does_not_notice_that_daemons_die() {
    let home = Home::with_config("[pool]\nslots = 1\n");
    let mut daemon = home.daemon();
    let go = home.path().join("go");
    let script = format!(
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; until [ -e {} ]; do sleep 0.01; done; echo end; exit 7",
        go.display()
    );
    home.submit(shell("long", script));
    home.submit(shell("next", "true".to_owned()));
    let before = home.wait_state("long", &["running"]);
    for _ in 0..8 {
        daemon.kill();
        daemon = home.daemon();
        let now = home.task("long");
        assert_eq!((now.state.as_str(), now.slot), ("running", before.slot));
        assert_eq!(home.task("next").state, "queued", "the slot was given away");
    }
    std::fs::write(&go, "").expect("a file");
    let long = home.wait_state("long", &["failed", "succeeded", "lost"]);
    assert_eq!(long.attempts.len(), 1);
    assert_eq!(
        (long.state.as_str(), long.attempts[0].exit_code),
        ("failed", Some(7))
    );
    let expected: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    assert!(
        home.output("long", 1) == expected + "end\n",
        "the output is not whole"
    );
    let next = home.wait_state("next", &["succeeded", "failed", "lost"]);
    assert!(next.attempts[0].started_at_ms >= long.attempts[0].ended_at_ms.expect("it ended"));
}

#[test]
fn a_timeout_is_kept_though_no_daemon_runs() {
    let home = Home::new();
    let daemon = home.daemon();
    home.submit(TaskQueue {
        timeout_ms: Some(300),
        ..shell("slow", "sleep 1000".to_owned())
    });
    home.wait_state("slow", &["running"]);
    wait_for("its shim", || shim_of(&home.attempt("slow", 1)));
    daemon.kill();
    let exit = home.attempt("slow", 1).join("exit.json");
    wait_for("the outcome", || exit.exists().then_some(()));
    let _daemon = home.daemon();
    let task = home.wait_state("slow", &["failed", "succeeded", "lost"]);
    assert_eq!(
        (task.state.as_str(), task.reason.as_deref()),
        ("failed", Some("timeout"))
    );
}

#[test]
fn a_cancel_that_was_answered_takes_effect_after_a_kill() {
    let home = Home::with_config("[pool]\nslots = 8\n");
    let mut daemon = home.daemon();
    for round in 0..8 {
        let id = format!("t{round}");
        let pid_file = home.path().join(&id);
        // It ends on INT alone, in its own way: a plan other than the usual one must be kept.
        let script = format!(
            "trap 'echo cleaned up; exit 3' INT; trap '' TERM; echo $$ >{}; while :; do sleep 0.01; done",
            pid_file.display()
        );
        home.submit(shell(&id, script));
        let pid = wait_for("the worker", || pid_in(&pid_file));
        let cancel = Cancel {
            ids: vec![id.clone()],
            signal: Some("INT".to_owned()),
            grace_ms: Some(600_000),
        };
        let answer = home.client().ask(&Message::Cancel(cancel));
        assert!(matches!(answer, Ok(Answer::Changed(_))), "{answer:?}");
        daemon.kill();
        daemon = home.daemon();
        let task = home.wait_state(&id, &["cancelled", "failed", "succeeded", "lost"]);
        assert_eq!(task.state, "cancelled", "{task:?}");
        assert_eq!(home.output(&id, 1), "cleaned up\n");
        assert!(!is_alive(pid), "it runs on");
    }
}

#[test]
fn a_pause_that_was_answered_holds_after_a_kill() {
    let home = Home::new();
    let mut daemon = home.daemon();
    home.submit(shell(
        "worker",
        "while [ ! -e go ]; do sleep 0.01; done".to_owned(),
    ));
    home.wait_state("worker", &["running"]);
    wait_for("its shim", || shim_of(&home.attempt("worker", 1)));
    for step in ["pause", "resume", "pause", "resume"] {
        home.ok([step, "worker"]);
        daemon.kill();
        daemon = home.daemon();
        let expected = if step == "pause" { "paused" } else { "running" };
        assert_eq!(home.task("worker").state, expected);
    }
    std::fs::write(home.path().join("go"), "").expect("a file");
    home.wait_state("worker", &["succeeded"]);
}
