//! Workspaces in the engine: who finds them, what they give, and what becomes of them when nothing can be written.

use super::tests::{code, config, Stage};
use super::*;
use crate::protocol::{
    Answer, ErrorCode, Message, OneWorkspace, TaskQueue, WorkspaceCreate, WorkspaceEdit, WorkspaceRemove,
    WorkspaceView,
};

fn stage() -> Stage {
    Stage::of(config("4"))
}

fn created(name: &str) -> WorkspaceCreate {
    WorkspaceCreate {
        name: name.to_owned(),
        template: "default".to_owned(),
        ..WorkspaceCreate::default()
    }
}

fn create(create: WorkspaceCreate) -> Message {
    Message::WorkspaceCreate(Box::new(create))
}

fn show(name: &str) -> Message {
    let name = name.to_owned();
    Message::WorkspaceShow(OneWorkspace { name })
}

fn remove(name: &str, force: bool) -> Message {
    let name = name.to_owned();
    Message::WorkspaceRemove(WorkspaceRemove { name, force })
}

fn edit(edit: WorkspaceEdit) -> Message {
    Message::WorkspaceEdit(Box::new(edit))
}

fn view(answer: Answer) -> WorkspaceView {
    match answer {
        Answer::Workspace(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn task(id: &str, cwd: Option<&str>) -> TaskQueue {
    TaskQueue {
        id: id.to_owned(),
        command: Some("true".to_owned()),
        cwd: cwd.map(str::to_owned),
        ..TaskQueue::default()
    }
}

fn queue(task: TaskQueue) -> Message {
    Message::TaskQueue(Box::new(task))
}

#[test]
fn the_first_of_two_creates_wins_and_the_same_again_is_answered_like_it() {
    let mut stage = stage();
    let other = WorkspaceCreate {
        weight: Some(2),
        ..created("api")
    };
    let answers = stage.ask(vec![
        create(created("api")),
        create(other),
        create(created("api")),
    ]);
    assert_eq!(code(&answers[1]), Some(ErrorCode::Exists));
    assert_eq!(answers[0], answers[2]);
    for (name, wrong) in [
        ("a/b", "contains"),
        ("ü", "contains"),
        ("", "is empty"),
        (".x", "begins with"),
    ] {
        let answer = stage.ask_one(create(created(name)));
        assert_eq!(code(&answer), Some(ErrorCode::InvalidValue), "{name}");
        assert!(format!("{answer:?}").contains(wrong), "{answer:?}");
    }
    let long = "x".repeat(300);
    let answer = format!("{:?}", stage.ask_one(create(created(&long))));
    assert!(answer.contains("has 300 characters"), "{answer}");
    let unknown = stage.ask_one(create(WorkspaceCreate {
        template: "defualt".to_owned(), // typos:ignore
        ..created("web")
    }));
    assert_eq!(code(&unknown), Some(ErrorCode::NotFound));
    assert!(format!("{unknown:?}").contains("did you mean `default`?"));
}

/// A workspace that says everything that a task may leave open.
fn rich(folder: &str) -> WorkspaceCreate {
    WorkspaceCreate {
        folder: Some(folder.to_owned()),
        env: [
            ("A".to_owned(), "workspace".to_owned()),
            ("B".to_owned(), "workspace".to_owned()),
        ]
        .into(),
        worker: Some("shell".to_owned()),
        memory_bytes: Some(7 << 20),
        priority_offset: Some(200),
        ..created("api")
    }
}

#[test]
fn a_task_is_found_by_its_folder_and_gets_what_it_leaves_open() {
    let mut stage = stage();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("its place");
    std::fs::create_dir(folder.join("below")).expect("a folder");
    let folder = folder.to_str().expect("UTF-8");
    view(stage.ask_one(create(rich(folder))));
    let below = format!("{folder}/below");
    let own = TaskQueue {
        env_add: [("B".to_owned(), "own".to_owned())].into(),
        ..task("below", Some(&below))
    };
    let named = TaskQueue {
        workspace: Some("api".to_owned()),
        ..task("named", None)
    };
    let none = TaskQueue {
        workspace: Some(String::new()),
        ..task("none", Some(&below))
    };
    let chosen = TaskQueue {
        default_workspace: Some("api".to_owned()),
        cwd_gives_way: true,
        ..task("chosen", Some("/"))
    };
    let adhoc = TaskQueue {
        workspace: Some("adhoc".to_owned()),
        ..task("adhoc", Some("/"))
    };
    stage.ask([own, named, none, chosen, adhoc].map(queue).into());
    let mut seen = Vec::new();
    for id in ["below", "named", "none", "chosen", "adhoc"] {
        let task = stage.task(id);
        let place = task.cwd.replace(folder, "~");
        seen.push(format!("{id}: {} {place} {}", task.workspace, task.priority));
    }
    assert_eq!(
        seen,
        [
            "below: api ~/below 255",
            "named: api ~ 255",
            "none:  ~/below 100",
            "chosen: api ~ 255",
            "adhoc: adhoc / 100",
        ]
    );
    let key = stage.engine.store.find("below").expect("the task");
    let hash = stage.engine.store.get(key).expect("the task").spec.env;
    let env = stage
        .engine
        .store
        .environments
        .get(hash)
        .expect("its environment");
    assert_eq!((env["A"].as_str(), env["B"].as_str()), ("workspace", "own"));
    let needs = stage
        .engine
        .scheduler
        .task(key)
        .expect("the task")
        .submission
        .needs;
    assert_eq!(needs.memory_bytes, 7 << 20);
}

#[test]
fn limits_take_effect_at_once_and_the_config_goes_before_them() {
    let mut given = config("4");
    given.limits.workspaces = [("web".to_owned(), 1)].into();
    let mut stage = Stage::of(given.clone());
    let of = |workspace: &str, id: &str| {
        queue(TaskQueue {
            workspace: Some(workspace.to_owned()),
            ..task(id, Some("/"))
        })
    };
    let limited = |name: &str| WorkspaceCreate {
        max_parallel: Some(2),
        rate: Some("10/min".to_owned()),
        weight: Some(3),
        budget_usd: Some(4.5),
        ..created(name)
    };
    let shown = view(stage.ask_one(create(limited("web"))));
    assert_eq!(
        (shown.settings.max_parallel, shown.from_config),
        (Some(1), vec!["max_parallel".to_owned()])
    );
    let only_two = WorkspaceCreate {
        max_parallel: Some(2),
        ..created("api")
    };
    stage.ask_one(create(only_two));
    stage.ask(vec![of("api", "a1"), of("api", "a2"), of("api", "a3")]);
    let shown = view(stage.ask_one(show("api")));
    assert_eq!((shown.running, shown.waiting), (2, 1));
    assert_eq!(stage.engine.config.limits.rates["web"].to_string(), "10/min");
    assert_eq!(stage.engine.config.limits.weights["web"], 3);
    assert_eq!(stage.engine.budget_views(stage.engine.clock.now()).len(), 1);
    stage.ask_one(edit(WorkspaceEdit {
        unset: vec!["max_parallel".to_owned()],
        ..WorkspaceEdit {
            name: "api".to_owned(),
            ..WorkspaceEdit::default()
        }
    }));
    assert_eq!(view(stage.ask_one(show("api"))).running, 3);
    // A config that is read again knows nothing of workspaces, which stay in force.
    given.limits.workspaces.clear();
    let reload = Command::Reload(Box::new(Reloaded {
        config: given,
        warnings: Vec::new(),
        metrics: None,
    }));
    stage.engine.play(vec![Happened::Asked(reload)]);
    assert_eq!(view(stage.ask_one(show("web"))).settings.max_parallel, Some(2));
    assert_eq!(
        stage.engine.config.limits.workspaces,
        [("web".to_owned(), 2)].into()
    );
    stage.engine.scheduler.check_invariants();
}

#[test]
fn wrong_values_are_named() {
    let mut stage = stage();
    let wrong = |change: fn(&mut WorkspaceCreate)| {
        let mut wrong = created("api");
        change(&mut wrong);
        wrong
    };
    let all = [
        wrong(|api| api.weight = Some(0)),
        wrong(|api| api.rate = Some("soon".to_owned())),
        wrong(|api| api.folder = Some("src".to_owned())),
        wrong(|api| api.folder = Some("/no/such/folder".to_owned())),
        wrong(|api| api.folder = Some("/tmp/../tmp".to_owned())),
        wrong(|api| api.worker = Some("shel".to_owned())),
        wrong(|api| api.memory_bytes = Some(0)),
        wrong(|api| api.budget_usd = Some(-1.0)),
        wrong(|api| api.priority_offset = Some(256)),
        wrong(|api| drop(api.env.insert("A=B".to_owned(), String::new()))),
        wrong(|api| drop(api.variables.insert("branch".to_owned(), String::new()))),
    ];
    let mut told = String::new();
    for create in all {
        match stage.ask_one(Message::WorkspaceCreate(Box::new(create))) {
            Answer::Error(error) => told += &format!("{error}\n  {}\n", error.hint),
            other => panic!("{other:?}"),
        }
    }
    insta::assert_snapshot!(told);
    assert_eq!(code(&stage.ask_one(show("api"))), Some(ErrorCode::NotFound));
}

#[test]
fn removal_asks_when_there_is_work_and_leaves_the_tasks() {
    let mut stage = stage();
    stage.ask_one(create(created("api")));
    let held = TaskQueue {
        hold: true,
        workspace: Some("api".to_owned()),
        ..task("t", Some("/"))
    };
    stage.ask_one(queue(held));
    assert_eq!(
        code(&stage.ask_one(remove("api", false))),
        Some(ErrorCode::WrongState)
    );
    match stage.ask_one(remove("api", true)) {
        Answer::WorkspaceRemoved(removed) => assert_eq!(removed.tasks, 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        code(&stage.ask_one(remove("api", true))),
        Some(ErrorCode::NotFound)
    );
    assert_eq!(stage.task("t").workspace, "api");
}

#[test]
fn what_cannot_be_written_is_withdrawn() {
    let mut stage = stage();
    let limited = |count| WorkspaceCreate {
        max_parallel: Some(count),
        ..created("api")
    };
    stage.ask_one(create(limited(2)));
    stage.break_journal(true);
    let web = WorkspaceCreate {
        max_parallel: Some(1),
        ..created("web")
    };
    let more = edit(WorkspaceEdit {
        name: "api".to_owned(),
        max_parallel: Some(9),
        ..WorkspaceEdit::default()
    });
    let gone = remove("api", true);
    let answers = stage.ask(vec![create(web), more, gone, create(limited(7))]);
    let codes: Vec<_> = answers.iter().map(code).collect();
    assert_eq!(codes, [Some(ErrorCode::JournalFailed); 4]);
    assert_eq!(code(&stage.ask_one(show("web"))), Some(ErrorCode::NotFound));
    assert_eq!(view(stage.ask_one(show("api"))).settings.max_parallel, Some(2));
    assert_eq!(
        stage.engine.config.limits.workspaces,
        [("api".to_owned(), 2)].into()
    );
    stage.break_journal(false);
    stage.tick();
    let mut next = stage.reopen(config("4"));
    assert_eq!(code(&next.ask_one(show("web"))), Some(ErrorCode::NotFound));
    assert_eq!(view(next.ask_one(show("api"))).settings.max_parallel, Some(2));
    assert_eq!(
        next.engine.config.limits.workspaces,
        [("api".to_owned(), 2)].into()
    );
}

#[test]
fn a_templates_tasks_are_queued_all_or_none() {
    let mut stage = stage();
    let folder = stage.folder.path().join("templates");
    std::fs::create_dir(&folder).expect("a folder");
    let template = |text: &str| std::fs::write(folder.join("mine.toml"), text).expect("a template");
    let mine = |name: &str| {
        create(WorkspaceCreate {
            template: "mine".to_owned(),
            folder: Some("/".to_owned()),
            ..created(name)
        })
    };
    template("[[tasks]]\ncommand = \"true\"\n[[tasks]]\ncommand = \"true\"\nworker = \"nobody\"\n");
    assert_eq!(code(&stage.ask_one(mine("api"))), Some(ErrorCode::UnknownWorker));
    assert_eq!(code(&stage.ask_one(show("api"))), Some(ErrorCode::NotFound));
    assert_eq!(stage.engine.store.len(), 0);
    template("[[tasks]]\nname = \"one\"\ncommand = \"echo {name}\"\n[[tasks]]\ncommand = \"true\"\nafter = [\"one:any\"]\n");
    let made = view(stage.ask_one(mine("api")));
    assert_eq!(made.tasks, ["1", "2"]);
    assert_eq!(
        view(stage.ask_one(mine("api"))).tasks,
        ["1", "2"],
        "the same again"
    );
    assert_eq!(stage.engine.store.len(), 2);
    assert_eq!(stage.task("1").command.as_deref(), Some("echo api"));
    assert_eq!(stage.task("2").state, "blocked");
    assert_eq!(
        (stage.task("2").workspace, stage.task("2").cwd),
        ("api".into(), "/".into())
    );
    stage.break_journal(true);
    assert_eq!(code(&stage.ask_one(mine("web"))), Some(ErrorCode::JournalFailed));
    stage.break_journal(false);
    stage.tick();
    assert_eq!(stage.engine.store.len(), 2);
    let mut next = stage.reopen(config("4"));
    assert_eq!(view(next.ask_one(show("api"))).tasks, ["1", "2"]);
    assert_eq!(code(&next.ask_one(show("web"))), Some(ErrorCode::NotFound));
}
