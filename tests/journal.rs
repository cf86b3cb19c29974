//! The journal from outside: files of every format that was ever released must keep loading.

mod journal_support;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal_support::rooms;
use serde_json::{json, Value};
use support::Home;
use wezterm_parallel::executor::{Exit, StopCause};
use wezterm_parallel::journal::{
    AttemptImage, EnvHash, Extra, Journal, Lsn, Options, ProcessImage, ProcessSpec, ProcessStanding,
    ProcessState, Record, Reported, Spec, TaskImage,
};
use wezterm_parallel::protocol::{ReadyCheck, RestartPolicy};
use wezterm_parallel_scheduler::{
    Backoff, Change, Condition, Dependency, Edit, Lane, Needs, Reason, Relief, Requeue, State, Submission,
    Task, TaskKey, Tick,
};

fn submission(key: u64) -> Submission {
    Submission {
        key: TaskKey(key),
        lane: Lane {
            workspace: "api".into(),
            worker: "shell".into(),
        },
        priority: 200,
        submitted_at: Tick(1_700_000_000_000 + key),
        after: vec![Dependency {
            key: TaskKey(1),
            on: Condition::Any,
        }],
        not_before: Some(Tick(1_700_000_000_500)),
        start_by: None,
        held: true,
        backoff: Backoff {
            max_retries: 3,
            base_ms: 1000,
            max_ms: 60_000,
        },
        session: None,
        cost: 0,
        needs: Needs::default(),
    }
}

fn spec(key: u64) -> Spec {
    Spec {
        name: Some(format!("task-{key}").into()),
        command: None,
        argv: Some(vec!["printf".to_owned(), "a\nb\0ü\u{1F600}".to_owned()].into()),
        cwd: Arc::from("/home/me/ü"),
        env: EnvHash(u64::MAX),
        label: Some(Arc::from("nightly")),
        timeout_ms: std::num::NonZeroU64::new(60_000),
        extra: Extra::of(Some("in".into()), None),
        claude: None,
        parent: None,
        content: u64::MAX - key,
    }
}

fn exit() -> Exit {
    Exit {
        exit_code: None,
        signal: Some(15),
        stopped: Some(StopCause::Timeout),
        spawn_error: Some("no such file".into()),
        started_at_ms: 1,
        ended_at_ms: 2,
        cpu_seconds: 0.25,
        peak_memory_bytes: 4096,
        output_bytes: 10,
        dropped_bytes: 3,
        leftovers: 2,
        ..Exit::default()
    }
}

fn changed(key: u64, change: Change) -> Record {
    Record::Changed {
        at: Tick(1_700_000_001_000),
        key: TaskKey(key),
        change,
    }
}

/// What stands in the snapshot.
fn state() -> Vec<Record> {
    let variables = [("PATH", "/bin"), ("Q", "a\"b\\")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    vec![
        Record::State {
            next_key: 5,
            reserved: vec![(10, 20), (30, 30)],
            spent: vec![1, u64::MAX],
            at: Tick(1_700_000_000_900),
            next_process: 0,
        },
        Record::Environment {
            hash: EnvHash(u64::MAX),
            variables: variables.into_iter().map(owned).collect::<BTreeMap<_, _>>(),
        },
        Record::Paused {
            workspace: None,
            paused: true,
        },
    ]
}

fn image(key: u64) -> Record {
    Record::Image(Box::new(TaskImage {
        revived_after: 0,
        report: None,
        task: Task {
            submission: submission(key),
            state: State::Lost,
            reason: Some(Reason::Dependency(TaskKey(1))),
            attempts: 2,
            retries: 1,
            slot: Some(0),
            stopping: true,
            relief: None,
        },
        spec: spec(key),
        attempts: vec![AttemptImage {
            session: None,
            claude: None,
            attempt: 1,
            started_at: Tick(1),
            ended_at: Some(Tick(2)),
            outcome: Some("signal".into()),
            message: Some("killed".into()),
            exit: Some(Box::new(exit())),
        }],
        ended_at: None,
    }))
}

/// What stands in its segment: every kind of record and of change.
fn log() -> Vec<Record> {
    let mut records = vec![Record::Submitted {
        submission: Box::new(submission(10)),
        spec: Box::new(spec(10)),
    }];
    let changes = [
        Change::Released,
        Change::Started { attempt: 1, slot: 3 },
        Change::Suspended,
        Change::Continued,
        Change::StopRequested,
        Change::Requeued {
            cause: Requeue::Retry,
            reason: Reason::Timeout,
            not_before: Some(Tick(7)),
        },
        Change::Held,
        Change::Edited(Edit {
            priority: Some(0),
            after: Some(Vec::new()),
            not_before: None,
            max_retries: Some(9),
            ..Edit::default()
        }),
        Change::Ended {
            state: State::Cancelled,
            reason: Reason::Cancelled,
        },
        Change::Revived,
    ];
    records.extend(changes.map(|change| changed(10, change)));
    records.extend([
        Record::Exited {
            key: TaskKey(10),
            attempt: 1,
            exit: Some(Box::new(exit())),
            outcome: "timeout".into(),
            message: None,
            claude: None,
            at: Tick(9),
        },
        Record::Respecified {
            key: TaskKey(10),
            spec: Box::new(spec(11)),
        },
        Record::Reserved { first: 40, last: 49 },
        Record::Paused {
            workspace: Some(Arc::from("api")),
            paused: false,
        },
        Record::Removed {
            keys: vec![TaskKey(2)],
            spent: Vec::new(),
        },
    ]);
    records
}

fn load(folder: &Path) -> (Journal, Vec<String>, Vec<Record>) {
    let mut records = Vec::new();
    let opened = Journal::open(folder, Options::default(), |record| records.push(record)).unwrap();
    (opened.journal, opened.warnings, records)
}

fn copy_fixture(name: &str, target: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_journal_of_format_1_loads() {
    let folder = tempfile::tempdir().unwrap();
    copy_fixture("journal-v1", folder.path());
    let expected = [state(), vec![image(1), image(2)], log()].concat();
    let (mut journal, warnings, records) = load(folder.path());
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(records, expected);
    let last = journal.last_lsn();
    journal.commit(&[changed(10, Change::Held)]).unwrap();
    assert_eq!(journal.last_lsn(), Lsn(last.0 + 1));
    drop(journal);
    let (_, _, records) = load(folder.path());
    assert_eq!(records.len(), expected.len() + 1);
}

#[test]
fn workspaces_without_panes_load() {
    let folder = tempfile::tempdir().unwrap();
    copy_fixture("journal-v1-workspaces", folder.path());
    let (_, warnings, records) = load(folder.path());
    assert_eq!(warnings, Vec::<String>::new());
    let settings: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Workspace {
                name,
                image: Some(image),
            } => Some((name.as_ref(), image.settings.clone())),
            _ => None,
        })
        .collect();
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["api", "plain"]);
    assert_eq!(
        (settings[0].1.weight, settings[0].1.max_parallel),
        (Some(3), Some(2))
    );
    assert!(settings
        .iter()
        .all(|(_, values)| values.panes.is_empty() && values.layout.is_none()));
    // What has none is still written as it was then.
    let written = serde_json::to_string(&settings[0].1).expect("settings are JSON");
    assert_eq!(
        written,
        r#"{"folder":"/tmp","env":{"STAGE":"test"},"max_parallel":2,"weight":3}"#
    );
}

#[test]
fn workspaces_processes_and_what_else_came_later_load() {
    let folder = tempfile::tempdir().unwrap();
    copy_fixture("journal-v1-rooms", folder.path());
    let (_, warnings, records) = load(folder.path());
    assert_eq!(warnings, Vec::<String>::new());
    let expected = [rooms::state(), rooms::images(), rooms::log()].concat();
    assert_eq!(records.len(), expected.len());
    for (record, expected) in records.iter().zip(&expected) {
        assert_eq!(record, expected);
    }
}

/// Each record may load and all of them together make no sense.
#[test]
fn a_daemon_starts_from_them() {
    // What ended then is older than what is kept by default.
    let home = Home::with_config("[retention]\nage = \"36500d\"\n");
    copy_fixture("journal-v1-rooms", &home.data().join("journal"));
    let _daemon = home.daemon();
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&home.ok(arguments)).expect("JSON") };
    let workspace = json(&["workspace", "show", "api", "--json"]);
    assert_eq!(
        (&workspace["weight"], &workspace["sandbox"]["connect_tcp"][0]),
        (&json!(4), &json!(443))
    );
    assert_eq!(
        (&workspace["processes"], &workspace["waiting"]),
        (&json!(["@1"]), &json!(1))
    );
    let process = &json(&["process", "list", "--json"])[0];
    assert_eq!(
        (&process["name"], &process["state"], &process["report"]["note"]),
        (&json!("server-1"), &json!("failed"), &json!("which one?"))
    );
    let failed = json(&["show", "first", "--json"]);
    assert_eq!(
        (&failed["state"], &failed["worktree"]),
        (&json!("failed"), &json!({}))
    );
    let attempt = &failed["attempts"][0];
    assert_eq!(attempt["sandbox"]["denied"][0]["add"], "/etc/x");
    assert_eq!(attempt["tokens"]["claude-x"]["output"], 20);
    let held = json(&["show", "3", "--json"]);
    assert_eq!(
        (&held["state"], &held["reason"], &held["worktree"]["base"]),
        (&json!("held"), &json!("memory"), &json!("main"))
    );
    let gone = home.run(["show", "2"]);
    assert_eq!(gone.status.code(), Some(4), "it was removed");
}

#[test]
fn what_format_1_did_not_know_is_left_out_where_it_is_empty() {
    let plain = submission(1);
    let written = serde_json::to_value(&plain).expect("a submission is JSON");
    let fields = written.as_object().expect("it is an object");
    let later = ["session", "cost", "needs"];
    assert!(!later.iter().any(|field| fields.contains_key(*field)));
    let dear = Submission {
        session: Some("one".into()),
        cost: 2_000_000,
        needs: Needs {
            memory_bytes: 400 << 20,
            cpus_milli: 0,
        },
        ..plain
    };
    let written = serde_json::to_string(&dear).expect("a submission is JSON");
    assert!(
        written.ends_with(r#""session":"one","cost":2000000,"needs":{"memory_bytes":419430400}}"#),
        "{written}"
    );
    let read: Submission = serde_json::from_str(&written).expect("it was just written");
    assert_eq!(read, dear);
}

#[test]
fn later_changes_and_reasons_have_these_names() {
    let changes = [
        (Change::Asked, r#""asked""#),
        (Change::Answered, r#""answered""#),
        (Change::Claimed(Some("one".into())), r#"{"claimed":"one"}"#),
        (Change::Claimed(None), r#"{"claimed":null}"#),
        (Change::Relieved { until: Tick(9) }, r#"{"relieved":{"until":9}}"#),
        (Change::PutBackRequested, r#""put_back_requested""#),
        (
            Change::Edited(Edit {
                memory_bytes: Some(7),
                ..Edit::default()
            }),
            r#"{"edited":{"memory_bytes":7}}"#,
        ),
    ];
    for (change, expected) in changes {
        let written = serde_json::to_string(&change).expect("a change is JSON");
        assert_eq!(written, expected);
        let read: Change = serde_json::from_str(&written).expect("it was just written");
        assert_eq!(read, change);
    }
    for reason in [
        Reason::ApiError,
        Reason::PromptTooLong,
        Reason::NoOp,
        Reason::Stalled,
        Reason::Oom,
        Reason::Memory,
    ] {
        let written = serde_json::to_value(reason).expect("a reason is JSON");
        assert_eq!(written, reason.name());
    }
}

#[test]
fn processes_and_reports_have_these_shapes() {
    let spec = ProcessSpec {
        name: None,
        workspace: "api".into(),
        command: Some("npm run dev".into()),
        argv: None,
        cwd: "/home/me".into(),
        env: EnvHash(7),
        restart: RestartPolicy::OnFailure,
        max_restarts: 10,
        ready: Some(ReadyCheck {
            port: Some(80),
            ..ReadyCheck::default()
        }),
        ready_timeout_ms: None,
        memory_bytes: 0,
        created_at: Tick(1),
        content: 9,
    };
    let standing = ProcessStanding {
        state: ProcessState::Backoff,
        run: 2,
        restarts: 1,
        next_at: Some(Tick(5)),
        why: Some("it ended with exit code 1".into()),
        ..ProcessStanding::default()
    };
    let report = Reported {
        waiting: true,
        note: Some("which?".into()),
        at: Tick(3),
    };
    let records = [
        (
            Record::Process {
                number: 1,
                image: Some(Box::new(ProcessImage { spec, standing })),
            },
            r#"{"process":{"number":1,"image":{"spec":{"workspace":"api","command":"npm run dev","cwd":"/home/me","env":7,"restart":"on-failure","max_restarts":10,"ready":{"port":80},"memory_bytes":0,"created_at":1,"content":9},"standing":{"state":"backoff","run":2,"restarts":1,"next_at":5,"why":"it ended with exit code 1","runs":[]}}}}"#,
        ),
        (
            Record::Process {
                number: 1,
                image: None,
            },
            r#"{"process":{"number":1,"image":null}}"#,
        ),
        (
            Record::Reported {
                key: TaskKey(7),
                report: Some(Box::new(report)),
            },
            r#"{"reported":{"key":7,"report":{"waiting":true,"note":"which?","at":3}}}"#,
        ),
    ];
    for (record, expected) in records {
        assert_eq!(
            serde_json::to_string(&record).expect("a record is JSON"),
            expected
        );
        let read: Record = serde_json::from_str(expected).expect("it was just written");
        assert_eq!(read, record);
    }
    // A state without processes is written as it always was.
    let plain = serde_json::to_string(&state()[0]).expect("a record is JSON");
    assert!(!plain.contains("process"), "{plain}");
}

#[test]
fn a_task_that_was_relieved_is_written_as_that() {
    let Record::Image(image) = image(1) else {
        panic!("it is an image");
    };
    let plain = serde_json::to_value(&image.task).expect("a task is JSON");
    assert!(!plain.as_object().expect("it is an object").contains_key("relief"));
    for (relief, expected) in [
        (Relief::PausedUntil(Tick(9)), r#""relief":{"paused_until":9}}"#),
        (Relief::PuttingBack, r#""relief":"putting_back"}"#),
    ] {
        let task = Task {
            relief: Some(relief),
            ..image.task.clone()
        };
        let written = serde_json::to_string(&task).expect("a task is JSON");
        assert!(written.ends_with(expected), "{written}");
        let read: Task = serde_json::from_str(&written).expect("it was just written");
        assert_eq!(read, task);
    }
}
