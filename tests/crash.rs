//! The daemon is killed at random moments under load; what it acknowledged is compared with what became of it.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Duration;

use support::{wait_for, Home};
use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Answer, Message, TaskQueue};

/// How often the daemon is killed.
const KILLS: u64 = 200;
/// Tasks that are submitted at least, over all lives of the daemon.
const TASKS_MAX: u64 = 3_000;

/// Numbers that look random and are the same in each run.
fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A task that proves by itself how often it ran, and whether twice at once: it takes a lock
/// folder, notes its run, and gives the lock back.
fn task(home: &Home, name: &str, number: u64) -> TaskQueue {
    let ledger = home.path().join("ledger").display().to_string();
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
fn submit(
    home: &Home,
    client: u64,
    acknowledged: &Mutex<HashMap<String, TaskQueue>>,
    count: &AtomicU64,
    stop: &AtomicBool,
) {
    let mut connection: Option<Client> = None;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) && count.load(Ordering::Relaxed) < TASKS_MAX {
        let name = format!("c{client}-{number}");
        let task = task(home, &name, number);
        let Some(open) = connection.as_mut() else {
            connection = Client::connect(&home.socket()).ok();
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        match open.ask(&Message::TaskQueue(Box::new(task.clone()))) {
            Ok(Answer::StatusUpdate(_)) => {
                acknowledged.lock().expect("no panic").insert(name, task);
                count.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            Ok(other) => panic!("{other:?}"),
            // The same id is sent again to the next daemon: that must not double the task.
            Err(_) => connection = None,
        }
    }
}

#[test]
fn killed_two_hundred_times_it_loses_and_doubles_nothing() {
    let home = Home::with_config("[pool]\nslots = 4\n[journal]\nsnapshot_bytes = \"256KiB\"\n");
    std::fs::create_dir_all(home.path().join("ledger")).expect("the ledger");
    let acknowledged = Mutex::new(HashMap::new());
    let (count, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..3 {
            let (home, acknowledged, count, stop) = (&home, &acknowledged, &count, &stop);
            scope.spawn(move || submit(home, client, acknowledged, count, stop));
        }
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..KILLS {
            let daemon = home.daemon();
            std::thread::sleep(Duration::from_millis(next_random(&mut seed) % 60));
            daemon.kill();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let _daemon = home.daemon();
    let acknowledged = acknowledged.into_inner().expect("no panic");
    assert!(
        acknowledged.len() > 100,
        "only {} tasks were submitted",
        acknowledged.len()
    );
    let tasks = wait_for("all tasks to end", || {
        let tasks = home.tasks();
        let open = |state: &str| ["queued", "running", "delayed"].contains(&state);
        tasks.iter().all(|task| !open(&task.state)).then_some(tasks)
    });
    let states: HashMap<&str, &str> = tasks
        .iter()
        .map(|task| (task.id.as_str(), task.state.as_str()))
        .collect();
    for (name, task) in &acknowledged {
        assert_eq!(
            states.get(name.as_str()),
            Some(&"succeeded"),
            "{name}: {:?}",
            home.task(name)
        );
        let runs =
            std::fs::read_to_string(home.path().join(format!("ledger/{name}.runs"))).unwrap_or_default();
        assert_eq!(runs, "run\n", "{name} did not run exactly once");
        let attempt = home.task(name).attempts.len() as u32;
        assert_eq!(home.output(name, attempt), format!("begin {name}\nend {name}\n"));
        let repeat = home.client().ask(&Message::TaskQueue(Box::new(task.clone())));
        assert!(matches!(repeat, Ok(Answer::StatusUpdate(_))), "{repeat:?}");
    }
    assert!(
        !home.path().join("ledger/twice").exists(),
        "a task ran twice at once"
    );
    println!("{} tasks acknowledged over {KILLS} kills", acknowledged.len());
}
