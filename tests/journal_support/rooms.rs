//! `journal-v1-rooms`: format 1 at the time when it had learned of workspaces, processes, worktrees, reports of workers,
//! sandboxes and Claude's accounts. Unlike in `journal-v1`, all of it agrees, so that a daemon can start from it; nothing in
//! it starts by itself.

use std::collections::BTreeMap;

use wezterm_parallel::claude::Tokens;
use wezterm_parallel::executor::Exit;
use wezterm_parallel::journal::{
    AccountImage, AttemptImage, ClaudeFacts, EnvHash, Extra, ProcessImage, ProcessSpec, ProcessStanding,
    ProcessState, Record, Reported, Spec, Spent, TaskImage, WorkspaceImage, WorktreeSpec,
};
use wezterm_parallel::protocol::{
    AgentRight, ClaudeOptions, Denial, Permissions, ReadyCheck, RestartPolicy, Sandbox, SandboxReport,
    WorkspaceSettings,
};
use wezterm_parallel_scheduler::{
    Backoff, Change, Edit, Lane, Needs, Reason, Requeue, State, Submission, Task, TaskKey, Tick,
};

/// When the story begins.
const BEGIN: u64 = 1_790_000_000_000;
const ENV: EnvHash = EnvHash(7);
const SESSION: &str = "0b9d5f2e-5d8f-4a3e-9c56-2f0d6c1b7a11";

fn at(seconds: u64) -> Tick {
    Tick(BEGIN + 1000 * seconds)
}

fn submission(key: u64, worker: &str) -> Submission {
    Submission {
        key: TaskKey(key),
        lane: Lane {
            workspace: "api".into(),
            worker: worker.into(),
        },
        priority: 130,
        submitted_at: at(key),
        after: Vec::new(),
        not_before: None,
        start_by: None,
        held: true,
        backoff: Backoff {
            max_retries: 2,
            base_ms: 1000,
            max_ms: 60_000,
        },
        session: None,
        cost: 0,
        needs: Needs::default(),
    }
}

fn spec(command: &str) -> Spec {
    Spec {
        name: None,
        command: Some(command.into()),
        argv: None,
        cwd: "/home/me/api".into(),
        env: ENV,
        label: None,
        timeout_ms: None,
        extra: None,
        claude: None,
        parent: None,
        content: 9,
    }
}

/// An exit code of 1 in a sandbox that refused something.
fn exit() -> Exit {
    Exit {
        exit_code: Some(1),
        started_at_ms: BEGIN + 1000,
        ended_at_ms: BEGIN + 2000,
        cpu_seconds: 0.5,
        peak_memory_bytes: 1 << 20,
        output_bytes: 12,
        sandbox: Some(Box::new(SandboxReport {
            words: "Landlock 6".into(),
            writable: vec!["/home/me/api".into()],
            missing: vec!["/home/me/.cargo".into()],
            denied: vec![Denial {
                path: "/etc/x".into(),
                add: "/etc/x".into(),
                to_read: true,
            }],
            denied_unnamed: true,
        })),
        ..Exit::default()
    }
}

fn attempt(number: u32) -> AttemptImage {
    AttemptImage {
        attempt: number,
        started_at: at(1),
        ended_at: Some(at(2)),
        outcome: Some("exit_code".into()),
        message: None,
        exit: Some(Box::new(exit())),
        session: None,
        claude: None,
    }
}

fn tokens() -> Tokens {
    Tokens {
        input: 10,
        output: 20,
        cache_read: 30,
        cache_write: 40,
        cost_usd: 0.5,
    }
}

fn facts() -> ClaudeFacts {
    ClaudeFacts {
        told: true,
        trouble: true,
        cost_usd: Some(0.5),
        tokens: BTreeMap::from([("claude-x".to_owned(), tokens())]),
        turns: Some(3),
    }
}

fn workspace(name: &str, settings: WorkspaceSettings) -> Record {
    Record::Workspace {
        name: name.into(),
        image: Some(Box::new(WorkspaceImage {
            template: "default".into(),
            created_at: at(0),
            content: u64::MAX,
            tasks: vec!["first".into()],
            settings,
        })),
    }
}

#[allow(clippy::needless_update, reason = "what workspaces learn later is not in it")]
fn settings() -> WorkspaceSettings {
    WorkspaceSettings {
        folder: Some("/home/me/api".into()),
        env: BTreeMap::from([("RUST_LOG".to_owned(), "debug".to_owned())]),
        worker: Some("claude".into()),
        max_parallel: Some(2),
        rate: Some("10/min burst 3".into()),
        memory_bytes: Some(400 << 20),
        budget_usd: Some(12.5),
        weight: Some(4),
        priority_offset: Some(-20),
        sandbox: Some(Sandbox {
            enabled: Some(true),
            required: true,
            write: vec!["~/.cargo".into()],
            read: Some(vec!["/opt".into()]),
            connect_tcp: Some(vec![443]),
            bind_tcp: Some(Vec::new()),
        }),
        allow_agents: Some(AgentRight::ALL.into()),
        worktree: Some(true),
        ..WorkspaceSettings::default()
    }
}

fn process(number: u64, standing: ProcessStanding) -> Record {
    let spec = ProcessSpec {
        name: Some(format!("server-{number}").into()),
        workspace: "api".into(),
        command: Some("npm run dev".into()),
        argv: None,
        cwd: "/home/me/api".into(),
        env: ENV,
        restart: RestartPolicy::Always,
        max_restarts: 3,
        ready: Some(ReadyCheck {
            line: Some("listening".into()),
            ..ReadyCheck::default()
        }),
        ready_timeout_ms: std::num::NonZeroU64::new(5000),
        memory_bytes: 300 << 20,
        created_at: at(3),
        content: 5,
    };
    Record::Process {
        number,
        image: Some(Box::new(ProcessImage { spec, standing })),
    }
}

fn report() -> Box<Reported> {
    Box::new(Reported {
        waiting: true,
        note: Some("which one?".into()),
        at: at(4),
    })
}

/// What stands in the snapshot beside tasks.
pub fn state() -> Vec<Record> {
    vec![
        Record::State {
            next_key: 3,
            reserved: Vec::new(),
            spent: vec![1],
            at: at(9),
            next_process: 2,
        },
        Record::Environment {
            hash: ENV,
            variables: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
        },
        Record::Paused {
            workspace: Some("api".into()),
            paused: true,
        },
        workspace("api", settings()),
        process(
            1,
            ProcessStanding {
                state: ProcessState::Failed,
                run: 4,
                restarts: 3,
                why: Some("it ended with exit code 1, 4 times in a row".into()),
                runs: vec![attempt(3), attempt(4)],
                report: Some(report()),
                ..ProcessStanding::default()
            },
        ),
        Record::Account {
            name: "default".into(),
            image: AccountImage {
                limited_until: Some(at(3600)),
                why: Some("the five_hour limit is reached".into()),
            },
        },
        Record::Spent(Box::new(Spent {
            day: "2026-09-21".into(),
            workspace: "api".into(),
            worker: "claude".into(),
            label: "".into(),
            model: "claude-x".into(),
            attempts: 1,
            tokens: tokens(),
        })),
    ]
}

/// Tasks in the snapshot: one of Claude's that failed, and one that its worker has queued, for the same worktree.
pub fn images() -> Vec<Record> {
    let image = |submission: Submission, spec: Spec, state: State| TaskImage {
        task: Task {
            submission,
            state,
            reason: None,
            attempts: 0,
            retries: 0,
            slot: None,
            stopping: false,
            relief: None,
        },
        spec,
        attempts: Vec::new(),
        ended_at: None,
        revived_after: 0,
        report: None,
    };
    let ran = Submission {
        session: Some(SESSION.into()),
        cost: 2_000_000,
        held: false,
        ..submission(1, "claude")
    };
    let mut failed = image(ran, spec("fix it"), State::Failed);
    failed.spec.name = Some("first".into());
    failed.spec.extra = Extra::of(None, Some(WorktreeSpec::default()));
    failed.spec.claude = Some(Box::new(ClaudeOptions {
        model: Some("opus".into()),
        permissions: Some(Permissions::Ask),
        ..ClaudeOptions::default()
    }));
    failed.task.reason = Some(Reason::ExitCode);
    failed.task.attempts = 2;
    failed.attempts = vec![AttemptImage {
        session: Some(SESSION.into()),
        claude: Some(Box::new(facts())),
        ..attempt(2)
    }];
    failed.ended_at = Some(at(2));
    failed.revived_after = 1;
    let mut queued = image(submission(2, "shell"), spec("make"), State::Held);
    queued.spec.parent = std::num::NonZeroU64::new(1);
    let owner = Some(("first".into(), at(1)));
    queued.spec.extra = Extra::of(Some("input\n".into()), Some(WorktreeSpec { base: None, owner }));
    [failed, queued]
        .map(|image| Record::Image(Box::new(image)))
        .into()
}

/// What stands in the segment: a task that goes through what was new since `journal-v1`, a workspace and a process that
/// come and go.
pub fn log() -> Vec<Record> {
    let mut records = vec![submitted()];
    records.extend(changes());
    records.extend([
        workspace("web", WorkspaceSettings::default()),
        Record::Workspace {
            name: "web".into(),
            image: None,
        },
        process(2, ProcessStanding::default()),
        Record::Process {
            number: 2,
            image: None,
        },
        Record::Removed {
            keys: vec![TaskKey(2)],
            spent: vec![u64::MAX],
        },
    ]);
    records
}

fn submitted() -> Record {
    let mut asking = spec("review it");
    asking.extra = Extra::of(
        None,
        Some(WorktreeSpec {
            base: Some("main".into()),
            owner: None,
        }),
    );
    let declared = Submission {
        needs: Needs {
            memory_bytes: 400 << 20,
            cpus_milli: 1500,
        },
        ..submission(3, "claude")
    };
    Record::Submitted {
        submission: Box::new(declared),
        spec: Box::new(asking),
    }
}

fn changes() -> Vec<Record> {
    let changed = |seconds, change| Record::Changed {
        at: at(seconds),
        key: TaskKey(3),
        change,
    };
    let reported = |report| Record::Reported {
        key: TaskKey(3),
        report,
    };
    vec![
        changed(
            10,
            Change::Edited(Edit {
                memory_bytes: Some(500 << 20),
                cpus_milli: Some(0),
                ..Edit::default()
            }),
        ),
        changed(11, Change::Released),
        changed(12, Change::Claimed(Some(SESSION.into()))),
        changed(13, Change::Started { attempt: 1, slot: 0 }),
        changed(14, Change::Asked),
        reported(Some(report())),
        changed(15, Change::Answered),
        reported(None),
        changed(16, Change::Relieved { until: at(60) }),
        changed(17, Change::PutBackRequested),
        Record::Exited {
            key: TaskKey(3),
            attempt: 1,
            exit: Some(Box::new(exit())),
            outcome: "memory".into(),
            message: Some("memory was short".into()),
            claude: Some(Box::new(facts())),
            at: at(18),
        },
        changed(
            18,
            Change::Requeued {
                cause: Requeue::Free,
                reason: Reason::Memory,
                not_before: None,
            },
        ),
        changed(19, Change::Held),
    ]
}
