//! What saving a session costs the thread that does it, on the disk of this machine: reading the former one, comparing,
//! and replacing the file with a sync.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{criterion_group, criterion_main, Criterion};
use wezterm_parallel::pane::wezterm::{plan, Layout, PanePlan, Server, Shown, TabPlan};
use wezterm_parallel::workspace_session::{
    merged, ClaudeSession, SavedProcess, SavedTab, Seen, Session, Sessions, VERSION,
};

/// A workspace in full use: four tabs of four panes, eight processes, fifty Claude sessions.
fn session() -> Session {
    let pane = |number: u32| PanePlan {
        shown: Shown::Task(number.to_string()),
        cwd: Some(PathBuf::from("/home/somebody/src/project")),
    };
    let tab = |number: u32| SavedTab {
        plan: TabPlan {
            title: format!("project {number}"),
            panes: (number * 4..number * 4 + 4).map(pane).collect(),
            splits: plan(Layout::Grid, 4),
            active: Some(0),
        },
        server: Server {
            socket: PathBuf::from("/run/user/1000/wezterm/gui-sock-4711"),
            pid: 4711,
        },
        server_started: 1,
        tab: u64::from(number),
    };
    let process = |number: u32| SavedProcess {
        id: format!("@{number}"),
        name: Some(format!("server-{number}")),
        command: Some("npm run dev -- --port 5173".to_owned()),
        cwd: "/home/somebody/src/project".to_owned(),
        max_restarts: 10,
        wanted: true,
        ..SavedProcess::default()
    };
    let claude = |number: u32| ClaudeSession {
        session: format!("0b1f6f34-3e0e-4c5c-9d4b-{number:012}"),
        task: number.to_string(),
        state: "succeeded".to_owned(),
        cwd: "/home/somebody/src/project".to_owned(),
        label: Some("nightly".to_owned()),
        unknown: false,
    };
    Session {
        version: VERSION,
        workspace: "project".to_owned(),
        template: "fullstack".to_owned(),
        tabs: (0..4).map(tab).collect(),
        processes: (0..8).map(process).collect(),
        claude: (0..50).map(claude).collect(),
        attached: (0..16_u32).map(|number| number.to_string()).collect(),
        ..Session::default()
    }
}

/// As the daemon does it, when something has changed and when nothing has.
fn save(sessions: &Sessions, now: &Session, saved_at_ms: u64) {
    let before = sessions
        .read(&now.workspace)
        .expect("it can be read")
        .expect("it is there");
    let seen = Seen {
        tabs: now.tabs.clone(),
        answered: now.tabs.iter().map(|tab| (tab.server.clone(), 1)).collect(),
    };
    let (tabs, _) = merged(&before.tabs, &seen, &[]);
    let new = Session {
        tabs,
        saved_at_ms,
        ..now.clone()
    };
    if !before.says_the_same(&new) {
        sessions.write(&new).expect("it can be written");
    }
}

fn session_save(criterion: &mut Criterion) {
    // Not in memory: /tmp may be there.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let sessions = Sessions::new(folder.path().to_owned());
    let one = session();
    let other = Session {
        template: "review".to_owned(),
        ..session()
    };
    sessions.write(&one).expect("it can be written");
    let mut group = criterion.benchmark_group("session_save");
    group.bench_function("unchanged", |bencher| {
        bencher.iter(|| save(&sessions, black_box(&one), 1));
    });
    let mut is_one = true;
    group.bench_function("changed", |bencher| {
        bencher.iter(|| {
            is_one = !is_one;
            save(&sessions, black_box(if is_one { &one } else { &other }), 1);
        });
    });
    group.finish();
}

criterion_group!(benches, session_save);
criterion_main!(benches);
