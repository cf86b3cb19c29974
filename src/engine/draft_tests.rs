//! What is told to whoever saves sessions.

use wezterm_parallel_scheduler::State;

use super::claude_tests::{argument, fixture, prompt, quick, stage};
use super::tests::{config, Stage};
use crate::executor::{AttemptId, Exit, StopCause};
use crate::protocol::{
    Message, ProcessIds, ProcessSpawn, ProcessStop, RestartPolicy, TaskQueue, WorkspaceCreate,
    WorkspaceRemove,
};
use crate::workspace_session::{SavedProcess, Session};

fn create(stage: &mut Stage, name: &str) {
    let create = WorkspaceCreate {
        name: name.to_owned(),
        template: "default".to_owned(),
        max_parallel: Some(3),
        ..WorkspaceCreate::default()
    };
    stage.ask_one(Message::WorkspaceCreate(Box::new(create)));
}

fn spawn(stage: &mut Stage, name: &str, restart: RestartPolicy) {
    let spawn = ProcessSpawn {
        workspace: "api".to_owned(),
        command: Some("sleep 9".to_owned()),
        name: Some(name.to_owned()),
        restart: Some(restart),
        max_restarts: Some(1),
        ..ProcessSpawn::default()
    };
    stage.ask_one(Message::ProcessSpawn(Box::new(spawn)));
}

fn session_of(stage: &Stage, name: &str) -> Session {
    let drafts = stage.engine.drafts(&[]);
    let draft = drafts.into_iter().find(|draft| draft.session.workspace == name);
    draft.expect("the workspace").session
}

/// Which processes are to run.
fn wanted(stage: &Stage) -> Vec<bool> {
    let processes = session_of(stage, "api").processes;
    processes.iter().map(|process| process.wanted).collect()
}

#[test]
fn each_workspace_is_told_with_what_is_its_own() {
    let mut stage = Stage::of(config("2"));
    create(&mut stage, "api");
    create(&mut stage, "web");
    spawn(&mut stage, "dev", RestartPolicy::OnFailure);
    for (id, workspace) in [("a", "api"), ("b", "web"), ("c", "other")] {
        let task = TaskQueue {
            id: id.to_owned(),
            command: Some("true".to_owned()),
            workspace: Some(workspace.to_owned()),
            ..TaskQueue::default()
        };
        stage.ask_one(Message::TaskQueue(Box::new(task)));
    }
    let shown = ["a", "b", "c", "@1", "@7", "gone"].map(str::to_owned);
    let drafts = stage.engine.drafts(&shown);
    let own = drafts.iter().map(|draft| {
        let mut own: Vec<&str> = draft.own.iter().map(String::as_str).collect();
        own.sort_unstable();
        (draft.session.workspace.as_str(), own)
    });
    let own: Vec<(&str, Vec<&str>)> = own.collect();
    assert_eq!(own, [("api", vec!["@1", "a"]), ("web", vec!["b"])]);
    let session = &drafts[0].session;
    assert_eq!(
        (session.template.as_str(), session.settings.max_parallel),
        ("default", Some(3))
    );
    let expected = SavedProcess {
        id: "@1".to_owned(),
        name: Some("dev".to_owned()),
        command: Some("sleep 9".to_owned()),
        cwd: session.processes[0].cwd.clone(),
        max_restarts: 1,
        wanted: true,
        ..SavedProcess::default()
    };
    assert_eq!(session.processes, [expected]);
}

#[test]
fn a_process_is_wanted_unless_its_user_or_its_own_fault_has_stopped_it() {
    let mut stage = Stage::of(config("2"));
    create(&mut stage, "api");
    for (name, restart) in [
        ("stopped", RestartPolicy::OnFailure),
        ("ended", RestartPolicy::OnFailure),
        ("once", RestartPolicy::Never),
        ("ended by the machine", RestartPolicy::Never),
        ("failing", RestartPolicy::OnFailure),
    ] {
        spawn(&mut stage, &name.replace(' ', "-"), restart);
    }
    let runs: Vec<AttemptId> = stage
        .handle
        .take_launches()
        .iter()
        .map(|launch| launch.id)
        .collect();
    assert_eq!(wanted(&stage), [true; 5]);
    let stop = ProcessStop {
        ids: vec!["stopped".to_owned()],
        ..ProcessStop::default()
    };
    stage.ask_one(Message::ProcessStop(stop));
    stage.handle.take_stops();
    assert_eq!(wanted(&stage), [false, true, true, true, true]);
    let terminated = |stopped| Exit {
        signal: Some(libc::SIGTERM),
        stopped,
        ..Exit::default()
    };
    stage.end_with(runs[0], terminated(Some(StopCause::Request)));
    for run in &runs[1..3] {
        stage.handle.end_with_code(*run, 0);
    }
    stage.end_with(runs[3], terminated(None));
    assert_eq!(wanted(&stage), [false, false, false, true, true]);
    // It fails, and so does its only restart.
    stage.handle.end_with_code(runs[4], 1);
    stage.tick();
    let restart = Message::ProcessRestart(ProcessIds {
        ids: vec!["stopped".to_owned()],
    });
    stage.ask_one(restart);
    assert_eq!(wanted(&stage), [true, false, false, true, true]);
    let mut image = stage.engine.store.processes.get(5).expect("the process").clone();
    image.standing.next_at = Some(wezterm_parallel_scheduler::Tick(0));
    stage.engine.store.set_process(5, Some(image));
    stage.tick();
    let again = stage.handle.take_launches();
    let failing = again
        .iter()
        .find(|launch| launch.id.attempt == 2 && launch.id.key == runs[4].key);
    stage.handle.end_with_code(failing.expect("its restart").id, 1);
    stage.tick();
    assert_eq!(wanted(&stage), [true, false, false, true, false]);
}

#[test]
fn claude_sessions_are_told_with_their_tasks_also_after_a_restart() {
    let mut stage = stage();
    create(&mut stage, "api");
    let Message::TaskQueue(mut task) = prompt("fix it", None) else {
        panic!("a prompt is a task");
    };
    task.workspace = Some("api".to_owned());
    task.label = Some("nightly".to_owned());
    let key = stage.queue(Message::TaskQueue(task));
    let launch = stage.launch();
    let session = argument(&launch, "--session-id").expect("a session").to_owned();
    let told = |stage: &Stage| {
        let claude = session_of(stage, "api").claude;
        let told = claude
            .into_iter()
            .map(|told| (told.session, told.task, told.state, told.label));
        told.collect::<Vec<_>>()
    };
    let label = Some("nightly".to_owned());
    let running = vec![(
        session.clone(),
        key.to_string(),
        "running".to_owned(),
        label.clone(),
    )];
    assert_eq!(told(&stage), running);
    stage.finish(&launch, &fixture("success"), 0);
    stage.until_state(key, State::Succeeded);
    let ended = vec![(session, key.to_string(), "succeeded".to_owned(), label)];
    assert_eq!(told(&stage), ended);
    // A task of no workspace is in no session.
    stage.queue(prompt("another", None));
    stage.launch();
    assert_eq!(told(&stage), ended);
    let stage = stage.restart(quick(), |handle| {
        let id = AttemptId {
            key: wezterm_parallel_scheduler::TaskKey(key + 1),
            attempt: 1,
        };
        handle.will_find(id, crate::executor::Found::Running);
    });
    assert_eq!(told(&stage), ended);
}

#[test]
fn a_workspace_that_is_removed_is_told_no_more() {
    let mut stage = Stage::of(config("2"));
    create(&mut stage, "api");
    assert_eq!(stage.engine.drafts(&[]).len(), 1);
    let remove = WorkspaceRemove {
        name: "api".to_owned(),
        force: true,
    };
    stage.ask_one(Message::WorkspaceRemove(remove));
    assert!(stage.engine.drafts(&[]).is_empty());
}
