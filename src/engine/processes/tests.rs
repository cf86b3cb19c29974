//! Processes in the engine, without any: what is journaled, what is started, and what a journal that fails does to them.

use wezterm_parallel_scheduler::Tick;

use super::{key_of, number_of};
use crate::engine::tests::{code, config, Stage};
use crate::engine::Happened;
use crate::executor::{AttemptId, Exit, Found, StopCause};
use crate::journal::ProcessState;
use crate::protocol::{
    Answer, Cancel, ErrorCode, Message, OneTask, ProcessFilter, ProcessIds, ProcessSpawn, ProcessStop,
    ProcessView, ReadyCheck, RestartPolicy, Shutdown, StatusUpdate, TaskQueue, WorkspaceCreate,
    WorkspaceRemove,
};

fn stage() -> Stage {
    let mut stage = Stage::of(config("2"));
    let create = WorkspaceCreate {
        name: "api".to_owned(),
        template: "default".to_owned(),
        ..WorkspaceCreate::default()
    };
    stage.ask_one(Message::WorkspaceCreate(Box::new(create)));
    stage
}

fn spawn(command: &str) -> ProcessSpawn {
    ProcessSpawn {
        workspace: "api".to_owned(),
        command: Some(command.to_owned()),
        ..ProcessSpawn::default()
    }
}

fn message(spawn: ProcessSpawn) -> Message {
    Message::ProcessSpawn(Box::new(spawn))
}

fn stop(id: &str, remove: bool) -> Message {
    Message::ProcessStop(ProcessStop {
        ids: vec![id.to_owned()],
        remove,
        ..ProcessStop::default()
    })
}

fn restart(id: &str) -> Message {
    Message::ProcessRestart(ProcessIds {
        ids: vec![id.to_owned()],
    })
}

fn all(stage: &mut Stage) -> Vec<ProcessView> {
    match stage.ask_one(Message::ProcessList(ProcessFilter::default())) {
        Answer::Processes(answer) => answer.processes,
        other => panic!("{other:?}"),
    }
}

fn state(stage: &mut Stage) -> String {
    all(stage).pop().map_or_else(String::new, |view| view.state)
}

fn run(number: u64, attempt: u32) -> AttemptId {
    AttemptId {
        key: key_of(number),
        attempt,
    }
}

/// What was launched since the last call.
fn launched(stage: &Stage) -> Vec<AttemptId> {
    stage
        .handle
        .take_launches()
        .iter()
        .map(|launch| launch.id)
        .collect()
}

/// As if so much time had passed: the backoff of the first process is over.
fn let_backoff_pass(stage: &mut Stage) {
    let image = stage.engine.store.processes.get_mut(1).expect("the process");
    if let Some(at) = &mut image.standing.next_at {
        *at = Tick(0);
    }
    stage.engine.play(vec![Happened::TimePassed]);
}

#[test]
fn ids_of_processes_are_no_ids_of_tasks() {
    assert_eq!(number_of(key_of(7)), Some(7));
    assert_eq!(number_of(wezterm_parallel_scheduler::TaskKey(7)), None);
    let mut stage = stage();
    let answer = stage.ask_one(message(spawn("sleep 9")));
    let Answer::StatusUpdate(update) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (update.process_id.as_str(), update.status.as_str()),
        ("@1", "Running")
    );
    assert_eq!(launched(&stage), [run(1, 1)]);
    // It takes no slot, and what is about tasks does not take it for one.
    let cancel = Message::Cancel(Cancel {
        ids: vec!["@1".to_owned()],
        ..Cancel::default()
    });
    assert_eq!(code(&stage.ask_one(cancel)), Some(ErrorCode::UnknownTask));
    let task = TaskQueue {
        id: "@2".to_owned(),
        command: Some("true".to_owned()),
        ..TaskQueue::default()
    };
    let refused = stage.ask_one(Message::TaskQueue(Box::new(task)));
    assert_eq!(code(&refused), Some(ErrorCode::InvalidValue));
    // In the shape of a task it can be shown.
    let id = "@1".to_owned();
    let Answer::Task(view) = stage.ask_one(Message::Show(OneTask { id })) else {
        panic!("it is shown");
    };
    assert_eq!((view.state.as_str(), view.attempts.len()), ("running", 1));
    assert!(view.attempts[0].folder.ends_with("processes/@1/1"));
}

#[test]
fn a_name_makes_a_spawn_safe_to_repeat() {
    let mut stage = stage();
    let named = ProcessSpawn {
        name: Some("dev".to_owned()),
        ..spawn("sleep 9")
    };
    let other = ProcessSpawn {
        name: Some("dev".to_owned()),
        ..spawn("sleep 8")
    };
    let answers = stage.ask(vec![
        message(named.clone()),
        message(other),
        message(named),
        message(spawn("sleep 9")),
    ]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(code(&answers[1]), Some(ErrorCode::Exists));
    assert_eq!(launched(&stage), [run(1, 1), run(2, 1)]);
    let Answer::Changed(changed) = stage.ask_one(stop("dev", false)) else {
        panic!("it is known by its name");
    };
    assert_eq!(changed.ids, ["@1"]);
    assert_eq!(stage.handle.take_stops().len(), 1);
}

#[test]
fn one_that_fails_starts_again_and_one_that_is_stopped_does_not() {
    let mut stage = stage();
    stage.ask_one(message(spawn("exit 1")));
    assert_eq!(launched(&stage), [run(1, 1)]);
    stage.handle.end_with_code(run(1, 1), 1);
    stage.tick();
    let view = all(&mut stage).remove(0);
    assert_eq!((view.state.as_str(), view.restarts), ("backoff", 1));
    assert_eq!(
        view.message.as_deref(),
        Some("it ended with exit code 1; restart 1 of 10")
    );
    assert!(launched(&stage).is_empty(), "it waits");
    let_backoff_pass(&mut stage);
    assert_eq!(launched(&stage), [run(1, 2)]);
    stage.ask_one(stop("@1", false));
    assert_eq!(state(&mut stage), "stopping");
    assert_eq!(stage.handle.take_stops()[0].0, run(1, 2));
    let exit = Exit {
        signal: Some(libc::SIGTERM),
        stopped: Some(StopCause::Request),
        ..Exit::default()
    };
    stage.end_with(run(1, 2), exit);
    assert_eq!(state(&mut stage), "stopped");
    assert_eq!(
        code(&stage.ask_one(stop("@1", false))),
        Some(ErrorCode::WrongState)
    );
    stage.ask_one(restart("@1"));
    assert_eq!(launched(&stage), [run(1, 3)]);
    stage.handle.end_with_code(run(1, 3), 0);
    stage.tick();
    assert_eq!(state(&mut stage), "stopped");
    let outcomes: Vec<Option<String>> = all(&mut stage)[0]
        .runs
        .iter()
        .map(|run| run.outcome.clone())
        .collect();
    let words = ["exit_code", "cancelled", "ok"].map(|word| Some(word.to_owned()));
    assert_eq!(outcomes, words);
}

#[test]
fn it_is_given_up_in_the_end_and_only_some_runs_are_kept() {
    let mut stage = stage();
    let few = ProcessSpawn {
        max_restarts: Some(6),
        ..spawn("exit 3")
    };
    stage.ask_one(message(few));
    for attempt in 1..=7 {
        assert_eq!(launched(&stage), [run(1, attempt)]);
        stage.handle.end_with_code(run(1, attempt), 3);
        stage.tick();
        let_backoff_pass(&mut stage);
    }
    let view = all(&mut stage).remove(0);
    assert_eq!(view.state, "failed");
    assert_eq!(
        view.message.as_deref(),
        Some("it ended with exit code 3, also after 6 restarts in a row")
    );
    let kept: Vec<u32> = view.runs.iter().map(|run| run.n).collect();
    assert_eq!(kept, [3, 4, 5, 6, 7]);
    stage.handle.assert_empty();
}

#[test]
fn a_restart_of_one_that_runs_comes_after_its_end() {
    let mut stage = stage();
    let always = ProcessSpawn {
        restart: Some(RestartPolicy::Always),
        ..spawn("sleep 9")
    };
    stage.ask_one(message(always));
    launched(&stage);
    stage.ask_one(restart("@1"));
    assert!(launched(&stage).is_empty());
    assert_eq!(stage.handle.take_stops().len(), 1);
    stage.handle.end_with_code(run(1, 1), 143);
    stage.tick();
    assert_eq!(launched(&stage), [run(1, 2)], "at once, without a backoff");
    // Removed while it runs: it goes when it has ended.
    stage.ask_one(stop("@1", true));
    assert_eq!(code(&stage.ask_one(restart("@1"))), Some(ErrorCode::WrongState));
    stage.handle.take_stops();
    stage.handle.end_with_code(run(1, 2), 0);
    stage.tick();
    assert!(all(&mut stage).is_empty());
    stage.handle.assert_empty();
}

#[test]
fn ready_is_what_was_seen_of_this_run() {
    let mut stage = stage();
    let checked = ProcessSpawn {
        ready: Some(ReadyCheck {
            line: Some("up".to_owned()),
            ..ReadyCheck::default()
        }),
        ready_timeout_ms: Some(600_000),
        ..spawn("serve")
    };
    stage.ask_one(message(checked));
    launched(&stage);
    assert_eq!(state(&mut stage), "starting");
    stage.engine.play(vec![Happened::Probed(run(1, 9))]);
    assert_eq!(state(&mut stage), "starting");
    stage.engine.play(vec![Happened::Probed(run(1, 1))]);
    assert_eq!(state(&mut stage), "ready");
    stage.handle.end_with_code(run(1, 1), 1);
    stage.tick();
    stage.engine.play(vec![Happened::Probed(run(1, 1))]);
    assert_eq!(state(&mut stage), "backoff");
    let_backoff_pass(&mut stage);
    // Not ready in time: stopped, and that counts as a failure.
    let image = stage.engine.store.processes.get_mut(1).expect("the process");
    image.standing.runs.last_mut().expect("a run").started_at = Tick(0);
    stage.engine.play(vec![Happened::TimePassed]);
    assert_eq!(state(&mut stage), "stopping");
    assert_eq!(stage.handle.take_stops().len(), 1);
    let exit = Exit {
        signal: Some(libc::SIGTERM),
        stopped: Some(StopCause::Request),
        ..Exit::default()
    };
    stage.end_with(run(1, 2), exit);
    let view = all(&mut stage).remove(0);
    assert_eq!(view.state, "backoff");
    assert!(view
        .message
        .is_some_and(|words| words.starts_with("it was not ready in time")));
    launched(&stage);
    stage.handle.assert_empty();
}

#[test]
fn the_next_daemon_finds_them_as_they_were() {
    let mut first = stage();
    for command in ["a", "b", "c"] {
        first.ask_one(message(spawn(command)));
    }
    launched(&first);
    first.ask_one(stop("@2", false));
    first.handle.take_stops();
    first.ask_one(stop("@3", true));
    first.handle.take_stops();
    let Stage { engine, folder, .. } = first;
    drop(engine);
    let mut next = Stage::open_with(folder, config("2"), |handle| {
        handle.will_find(run(1, 1), Found::Running);
        handle.will_find(run(2, 1), Found::Running);
        handle.will_find(run(3, 1), Found::Ended(Exit::default()));
    });
    next.engine.play(vec![]);
    let reports = std::mem::take(&mut next.engine.own_reports);
    next.engine
        .play(reports.into_iter().map(Happened::Reported).collect());
    let states: Vec<String> = all(&mut next).into_iter().map(|view| view.state).collect();
    assert_eq!(states, ["running", "stopping"]);
    assert_eq!(
        next.handle.take_stops()[0].0,
        run(2, 1),
        "the last daemon may not have told it"
    );
    assert!(launched(&next).is_empty(), "nothing is started twice");
    // Numbers are not given again, though the process is gone.
    let answer = next.ask_one(message(spawn("d")));
    assert!(matches!(answer, Answer::StatusUpdate(update) if update.process_id == "@4"));
}

#[test]
fn a_reboot_starts_by_policy_what_was_running() {
    let mut first = stage();
    let never = ProcessSpawn {
        restart: Some(RestartPolicy::Never),
        ..spawn("once")
    };
    first.ask(vec![message(spawn("dev")), message(never)]);
    let Stage { engine, folder, .. } = first;
    drop(engine);
    let mut next = Stage::open_with(folder, config("2"), |handle| {
        handle.will_find(
            run(1, 1),
            Found::Lost("its shim ended without an outcome".to_owned()),
        );
        handle.will_find(
            run(2, 1),
            Found::Lost("its shim ended without an outcome".to_owned()),
        );
    });
    let reports = std::mem::take(&mut next.engine.own_reports);
    next.engine
        .play(reports.into_iter().map(Happened::Reported).collect());
    let states: Vec<String> = all(&mut next).into_iter().map(|view| view.state).collect();
    assert_eq!(states, ["backoff", "failed"]);
    let_backoff_pass(&mut next);
    assert_eq!(launched(&next), [run(1, 2)]);
}

#[test]
fn a_run_that_never_began_is_tried_again_whatever_the_policy() {
    let mut first = stage();
    let never = ProcessSpawn {
        restart: Some(RestartPolicy::Never),
        max_restarts: Some(0),
        ..spawn("once")
    };
    first.ask_one(message(never));
    // The daemon was killed between the record and the shim.
    let mut next = first.reopen_with(|_| {});
    let reports = std::mem::take(&mut next.engine.own_reports);
    next.engine
        .play(reports.into_iter().map(Happened::Reported).collect());
    let view = all(&mut next).remove(0);
    assert_eq!((view.state.as_str(), view.restarts), ("backoff", 0));
    next.handle.refuse_launches(Some("no launcher"));
    for _ in 0..3 {
        let_backoff_pass(&mut next);
        let reports = std::mem::take(&mut next.engine.own_reports);
        next.engine
            .play(reports.into_iter().map(Happened::Reported).collect());
    }
    let view = all(&mut next).remove(0);
    assert_eq!(
        view.message.as_deref(),
        Some("it could not be started: no launcher")
    );
    let image = next.engine.store.processes.get(1).expect("the process");
    let wait = image
        .standing
        .next_at
        .map(|at| at.ms_since(next.engine.clock.now()));
    assert!(wait.is_some_and(|ms| ms > 4_000), "the wait doubles: {wait:?}");
    next.handle.refuse_launches(None);
    let_backoff_pass(&mut next);
    assert_eq!(launched(&next), [run(1, 5)]);
    assert_eq!(state(&mut next), "running");
}

#[test]
fn a_snapshot_holds_them_and_what_is_reported() {
    let mut small = config("2");
    small.journal.snapshot_bytes.0 = 1024;
    let mut stage = Stage::of(small.clone());
    let create = WorkspaceCreate {
        name: "api".to_owned(),
        template: "default".to_owned(),
        ..WorkspaceCreate::default()
    };
    stage.ask_one(Message::WorkspaceCreate(Box::new(create)));
    stage.ask(vec![message(spawn("a")), message(spawn("b"))]);
    launched(&stage);
    stage.ask_one(stop("@2", true));
    stage.handle.take_stops();
    stage.handle.end_with_code(run(2, 1), 0);
    stage.tick();
    let report = StatusUpdate {
        process_id: "@1".to_owned(),
        status: "waiting".to_owned(),
        note: Some("which port?".to_owned()),
    };
    stage.ask_one(Message::StatusUpdate(report));
    // It is written by another thread.
    let begun = std::time::Instant::now();
    while stage.engine.journal.stats().snapshots == 0 {
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "no snapshot"
        );
        stage.tick();
    }
    let Stage { engine, folder, .. } = stage;
    drop(engine);
    let mut next = Stage::open_with(folder, small, |handle| {
        handle.will_find(run(1, 1), Found::Running);
    });
    let views = all(&mut next);
    assert_eq!(views.len(), 1);
    assert_eq!(
        views[0].report.as_ref().and_then(|report| report.note.as_deref()),
        Some("which port?")
    );
    let answer = next.ask_one(message(spawn("c")));
    assert!(matches!(answer, Answer::StatusUpdate(update) if update.process_id == "@3"));
}

#[test]
fn what_cannot_be_written_is_not_spawned_and_nothing_is_started() {
    let mut stage = stage();
    stage.ask_one(message(spawn("a")));
    launched(&stage);
    stage.break_journal(true);
    assert_eq!(
        code(&stage.ask_one(message(spawn("b")))),
        Some(ErrorCode::JournalFailed)
    );
    assert!(launched(&stage).is_empty());
    assert_eq!(all(&mut stage).len(), 1);
    // One that crashes now waits until it can be written down.
    stage.handle.end_with_code(run(1, 1), 1);
    stage.tick();
    let_backoff_pass(&mut stage);
    assert!(launched(&stage).is_empty());
    assert_eq!(state(&mut stage), "backoff");
    stage.break_journal(false);
    stage.tick();
    stage.tick();
    assert_eq!(launched(&stage), [run(1, 2)]);
    let image = stage.engine.store.processes.get(1).expect("the process");
    assert_eq!(image.standing.state, ProcessState::Running);
}

#[test]
fn a_report_marks_and_decides_nothing() {
    let mut stage = stage();
    let task = TaskQueue {
        id: "t1".to_owned(),
        command: Some("agent".to_owned()),
        ..TaskQueue::default()
    };
    stage.ask_one(Message::TaskQueue(Box::new(task)));
    let report = |status: &str, note: Option<&str>| {
        Message::StatusUpdate(StatusUpdate {
            process_id: "t1".to_owned(),
            status: status.to_owned(),
            note: note.map(str::to_owned),
        })
    };
    let records = |stage: &Stage| stage.engine.journal.stats().records;
    stage.ask_one(report("waiting", Some("needs a decision")));
    let before = records(&stage);
    stage.ask_one(report("Waiting", Some("needs a decision")));
    assert_eq!(records(&stage), before, "what changes nothing is not written");
    let view = stage.task("t1");
    assert_eq!((view.state.as_str(), view.report.is_some()), ("running", true));
    let now = stage.engine.clock.now();
    assert_eq!(stage.engine.views().summary(now).attention, 1);
    let mut stage = stage.reopen_with(|handle| handle.will_find(attempt_1(), Found::Running));
    assert_eq!(
        stage.task("t1").report.and_then(|report| report.note).as_deref(),
        Some("needs a decision")
    );
    stage.ask_one(report("working", None));
    assert_eq!(stage.task("t1").report, None);
    stage.ask_one(report("working", Some("step 3")));
    stage.handle.end_with_code(attempt_1(), 0);
    stage.tick();
    let view = stage.task("t1");
    assert_eq!((view.state.as_str(), view.report), ("succeeded", None));
    for (wrong, expected) in [
        (report("waiting", None), ErrorCode::WrongState),
        (report("asleep", None), ErrorCode::InvalidValue),
    ] {
        assert_eq!(code(&stage.ask_one(wrong)), Some(expected));
    }
}

fn attempt_1() -> AttemptId {
    AttemptId {
        key: wezterm_parallel_scheduler::TaskKey(1),
        attempt: 1,
    }
}

#[test]
fn a_workspace_with_processes_is_removed_by_force_only_and_takes_them_along() {
    let mut stage = stage();
    stage.ask_one(message(spawn("a")));
    launched(&stage);
    let remove = |force| {
        Message::WorkspaceRemove(WorkspaceRemove {
            name: "api".to_owned(),
            force,
        })
    };
    let refused = stage.ask_one(remove(false));
    assert_eq!(code(&refused), Some(ErrorCode::WrongState));
    let Answer::WorkspaceRemoved(removed) = stage.ask_one(remove(true)) else {
        panic!("it is removed");
    };
    assert_eq!((removed.tasks, removed.processes), (0, 1));
    assert_eq!(stage.handle.take_stops().len(), 1);
    stage.handle.end_with_code(run(1, 1), 143);
    stage.tick();
    assert!(all(&mut stage).is_empty());
    assert_eq!(
        code(&stage.ask_one(message(spawn("b")))),
        Some(ErrorCode::NotFound)
    );
}

#[test]
fn a_daemon_that_ends_with_its_workers_ends_them_too() {
    let mut stage = stage();
    stage.ask(vec![message(spawn("a")), message(spawn("b"))]);
    launched(&stage);
    stage.handle.end_with_code(run(2, 1), 1);
    stage.tick();
    stage.ask_one(Message::Shutdown(Shutdown { kill: true }));
    assert!(!stage.engine.is_over());
    assert_eq!(stage.handle.take_stops().len(), 1);
    stage.handle.end_with_code(run(1, 1), 143);
    stage.tick();
    assert!(stage.engine.is_over());
    let views = all(&mut stage);
    assert!(
        views
            .iter()
            .all(|view| view.state == "stopped" && view.message.is_none()),
        "{views:?}"
    );
}

#[test]
fn restarts_readiness_and_ends_for_good_are_counted_once() {
    let mut stage = stage();
    let few = ProcessSpawn {
        max_restarts: Some(1),
        ready: Some(ReadyCheck {
            line: Some("up".to_owned()),
            ..ReadyCheck::default()
        }),
        ..spawn("exit 1")
    };
    let counted = |stage: &Stage, name: &str| stage.counted(&format!("{name}{{workspace=\"api\"}}"));
    let counts = |stage: &Stage| {
        let names = ["processes_restarts_total", "processes_failed_total"];
        names.map(|name| counted(stage, name))
    };
    let in_state = |stage: &mut Stage, state: &str| {
        stage.published();
        stage.counted(&format!("processes{{workspace=\"api\",state=\"{state}\"}}"))
    };
    stage.ask_one(message(few));
    assert_eq!(counts(&stage), [Some(0.0), Some(0.0)]);
    assert_eq!(in_state(&mut stage, "starting"), Some(1.0));
    stage.engine.play(vec![Happened::Probed(run(1, 1))]);
    assert_eq!(counted(&stage, "processes_ready_seconds_count"), Some(1.0));
    stage.handle.end_with_code(run(1, 1), 1);
    stage.tick();
    assert_eq!(counts(&stage), [Some(0.0), Some(0.0)], "it waits");
    let_backoff_pass(&mut stage);
    assert_eq!(counts(&stage), [Some(1.0), Some(0.0)]);
    stage.handle.end_with_code(run(1, 2), 1);
    stage.tick();
    assert_eq!(counts(&stage), [Some(1.0), Some(1.0)]);
    assert_eq!(in_state(&mut stage, "failed"), Some(1.0));
    assert_eq!(in_state(&mut stage, "starting"), Some(0.0));
    let counts_of_all = stage.engine.store.processes.counts();
    assert_eq!((counts_of_all.up, counts_of_all.failed), (0, 1));
    // By hand is no restart of its policy.
    stage.ask_one(restart("@1"));
    assert_eq!(counts(&stage), [Some(1.0), Some(1.0)]);
    assert_eq!(counted(&stage, "processes_ready_seconds_count"), Some(1.0));
    // The next daemon begins anew, with series that are there.
    let mut stage = stage.reopen(config("2"));
    assert_eq!(counts(&stage), [Some(0.0), Some(0.0)]);
    assert_eq!(in_state(&mut stage, "failed"), None);
}
