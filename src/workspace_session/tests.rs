//! Files that come and go, and which tabs are remembered.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::pane::wezterm::{PanePlan, Shown};

fn server(pid: u32) -> Server {
    Server {
        socket: PathBuf::from(format!("/run/gui-sock-{pid}")),
        pid,
    }
}

fn tab(pid: u32, tab: u64, slots: &[u32]) -> SavedTab {
    let pane = |slot: &u32| PanePlan {
        shown: Shown::Slot(*slot),
        cwd: None,
    };
    SavedTab {
        plan: TabPlan {
            panes: slots.iter().map(pane).collect(),
            ..TabPlan::default()
        },
        server: server(pid),
        server_started: 1,
        tab,
    }
}

fn seen(tabs: &[SavedTab], answered: &[u32]) -> Seen {
    Seen {
        tabs: tabs.to_vec(),
        answered: answered.iter().map(|pid| (server(*pid), 1)).collect(),
    }
}

fn session(workspace: &str) -> Session {
    Session {
        version: VERSION,
        workspace: workspace.to_owned(),
        template: "default".to_owned(),
        tabs: vec![tab(7, 3, &[0, 1])],
        ..Session::default()
    }
}

#[test]
fn a_session_is_there_again_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(folder.path().join("sessions"));
    assert!(sessions.list().unwrap().is_empty());
    for name in ["api", "b.c_d-e", "..", ".json"] {
        let session = session(name);
        sessions.write(&session).unwrap();
        assert_eq!(sessions.get(name).unwrap(), session);
        let file = sessions.path(name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent(), Some(folder.path().join("sessions").as_path()));
    }
    let names: Vec<String> = sessions
        .list()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["..", ".json", "api", "b.c_d-e"]);
    assert!(sessions.forget("api").unwrap());
    assert!(!sessions.forget("api").unwrap());
    let error = sessions.get("apo").unwrap_err();
    assert_eq!(error.to_string(), "no session of workspace \"apo\" was saved");
}

#[test]
fn what_cannot_be_read_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(folder.path().to_owned());
    for (text, is_newer) in [
        (r#"{"version":2,"all":"new"}"#, true),
        (r#"{"version":1,"works"#, false),
        ("", false),
        ("[]", false),
    ] {
        fs::write(sessions.path("api"), text).unwrap();
        let error = sessions.get("api").unwrap_err();
        assert_eq!(
            matches!(error, SessionError::Newer { version: 2, .. }),
            is_newer,
            "{error}"
        );
        assert!(!error.hint().is_empty());
        assert_eq!(fs::read_to_string(sessions.path("api")).unwrap(), text);
        let listed = sessions.list().unwrap();
        assert!(matches!(&listed[..], [(name, Err(_))] if name == "api"));
    }
    let kept = sessions.move_aside("api").unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "[]");
    assert!(sessions.read("api").unwrap().is_none());
}

#[test]
fn the_former_session_stays_if_the_new_one_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(folder.path().to_owned());
    sessions.write(&session("api")).unwrap();
    // Writing to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("api.json.new")).unwrap();
    let changed = Session {
        saved_at_ms: 7,
        ..session("api")
    };
    let error = sessions.write(&changed).unwrap_err();
    if cfg!(target_os = "linux") {
        assert!(error.hint().contains("make room"), "{error}: {}", error.hint());
    }
    assert_eq!(sessions.get("api").unwrap(), session("api"));
    // What was in the way is gone: the next one succeeds.
    sessions.write(&changed).unwrap();
    assert_eq!(sessions.get("api").unwrap(), changed);
}

/// Each file was written by the version that its name tells, and must be read for ever.
#[test]
fn old_files_keep_loading() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions-v1");
    let sessions = Sessions::new(fixtures);
    let all = sessions.list().unwrap();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["api", "bare"]);
    let api = sessions.get("api").unwrap();
    assert_eq!(api.settings.folder.as_deref(), Some("/home/me/src/api"));
    let panes: Vec<&Shown> = api.tabs[0].plan.panes.iter().map(|pane| &pane.shown).collect();
    assert_eq!(
        panes,
        [
            &Shown::Slot(0),
            &Shown::Task("12".to_owned()),
            &Shown::Task("@1".to_owned()),
            &Shown::Shell(Some("nvim .".to_owned())),
            &Shown::Shell(None)
        ]
    );
    assert_eq!(api.tabs[0].plan.splits.len(), 4);
    assert_eq!(api.tabs[0].plan.usable_splits(), api.tabs[0].plan.splits);
    assert!(api.processes[0].wanted);
    assert_eq!(api.claude[0].task, "12");
    assert_eq!(api.attached, ["12", "@1"]);
    assert!(sessions.get("bare").unwrap().tabs.is_empty());
    // Nothing of it is lost by reading and writing.
    let text = fs::read_to_string(sessions.path("api")).unwrap();
    let before: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&api).unwrap(), before);
}

#[test]
fn what_a_dead_wezterm_had_stays_until_it_is_back() {
    let old = [tab(1, 4, &[0, 1]), tab(1, 5, &[2])];
    // No WezTerm runs.
    let (kept, missed) = merged(&old, &seen(&[], &[]), &[]);
    assert_eq!((kept.as_slice(), missed.as_slice()), (&old[..], &[][..]));
    // Something else is opened first.
    let new = tab(2, 0, &[7]);
    let (kept, _) = merged(&kept, &seen(std::slice::from_ref(&new), &[2]), &[]);
    assert_eq!(kept, [old[0].clone(), old[1].clone(), new.clone()]);
    // One of them is restored, its panes in another order.
    let back = tab(2, 1, &[1, 0]);
    let (kept, _) = merged(&kept, &seen(&[new.clone(), back.clone()], &[2]), &[]);
    assert_eq!(kept, [old[1].clone(), new, back]);
}

#[test]
fn a_closed_tab_goes_once_it_was_missed_for_a_while() {
    let (one, two) = (tab(1, 4, &[0]), tab(1, 5, &[1]));
    let before = [one.clone(), two.clone()];
    let look = seen(std::slice::from_ref(&one), &[1]);
    let (kept, missed) = merged(&before, &look, &[]);
    assert_eq!(missed, std::slice::from_ref(&two));
    assert_eq!(kept, [two.clone(), one.clone()]);
    let (kept_at_last, missed_again) = merged(&kept, &look, &missed);
    assert_eq!((kept_at_last, missed_again), (vec![one.clone()], Vec::new()));
    // A WezTerm that was just ending is gone by then.
    let (kept_for_good, _) = merged(&kept, &seen(&[], &[]), &missed);
    assert_eq!(kept_for_good, [two, one]);
}

#[test]
fn a_tab_that_changes_is_the_same_tab() {
    let before = [tab(1, 4, &[0])];
    let now = tab(1, 4, &[0, 1]);
    let (kept, missed) = merged(&before, &seen(std::slice::from_ref(&now), &[1]), &[]);
    assert_eq!((kept, missed), (vec![now], Vec::new()));
}

#[test]
fn a_wezterm_that_has_the_pid_of_another_one_is_another_one() {
    let before = [tab(1, 4, &[0])];
    let look = Seen {
        tabs: Vec::new(),
        answered: vec![(server(1), 2)],
    };
    let (kept, missed) = merged(&before, &look, &[]);
    assert_eq!((kept.as_slice(), missed.len()), (&before[..], 0));
}

#[test]
fn one_shell_is_another_than_the_next() {
    let shell = |pid, number, title: &str| {
        let mut tab = tab(pid, number, &[]);
        tab.plan.title = title.to_owned();
        tab.plan.panes.push(PanePlan {
            shown: Shown::Shell(None),
            cwd: None,
        });
        tab
    };
    let before = [shell(1, 1, "server"), shell(1, 2, "web")];
    let web = shell(2, 7, "web");
    let (kept, _) = merged(&before, &seen(std::slice::from_ref(&web), &[2]), &[]);
    assert_eq!(kept, [before[0].clone(), web]);
}

#[test]
fn what_only_the_former_session_knows_is_kept() {
    let process = |name: &str| SavedProcess {
        id: "@1".to_owned(),
        name: Some(name.to_owned()),
        wanted: true,
        ..SavedProcess::default()
    };
    let claude = |id: &str| ClaudeSession {
        session: id.to_owned(),
        ..ClaudeSession::default()
    };
    let before = Session {
        created_at_ms: 5,
        processes: vec![process("dev"), process("web")],
        claude: vec![claude("a"), claude("b")],
        ..session("api")
    };
    let fresh = Session {
        created_at_ms: 9,
        processes: vec![process("dev")],
        claude: vec![claude("b"), claude("c")],
        ..session("api")
    };
    let names = |session: &Session| {
        let processes = session.processes.iter();
        let processes: Vec<_> = processes
            .map(|process| (process.name.clone().unwrap(), process.unknown))
            .collect();
        let claude: Vec<_> = session
            .claude
            .iter()
            .map(|claude| (claude.session.clone(), claude.unknown))
            .collect();
        (processes, claude)
    };
    let expected = (
        vec![("dev".to_owned(), false), ("web".to_owned(), true)],
        vec![
            ("a".to_owned(), true),
            ("b".to_owned(), false),
            ("c".to_owned(), false),
        ],
    );
    let mut first = fresh.clone();
    keep_unknown(&mut first, &before);
    assert_eq!(names(&first), expected);
    // It is kept by the next one, too, whose workspace is the same as this one's.
    let mut second = fresh.clone();
    keep_unknown(&mut second, &first);
    assert_eq!(names(&second), expected);
    // In the same workspace, what is gone is gone.
    let mut same = Session {
        created_at_ms: 5,
        ..fresh
    };
    keep_unknown(&mut same, &before);
    assert_eq!(names(&same).0, [("dev".to_owned(), false)]);
    assert_eq!(names(&same).1.len(), 2);
}

#[test]
fn a_file_of_another_workspace_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(folder.path().to_owned());
    sessions.write(&session("api")).unwrap();
    fs::copy(sessions.path("api"), sessions.path("web")).unwrap();
    let error = sessions.get("web").unwrap_err();
    assert!(
        error.to_string().ends_with("is the session of workspace \"api\""),
        "{error}"
    );
    assert!(!error.hint().is_empty());
}

proptest! {
    /// Whatever was there before, all that is open is remembered, once, and there is an end to the rest.
    #[test]
    fn what_is_open_is_remembered(
        before in prop::collection::vec((1..4_u32, 0..200_u64, prop::collection::vec(0..3_u32, 0..3)), 0..80),
        open in prop::collection::btree_map((1..4_u32, 0..6_u64), prop::collection::vec(0..3_u32, 0..3), 0..12),
    ) {
        let before: Vec<SavedTab> = before.iter().map(|(pid, number, slots)| tab(*pid, *number, slots)).collect();
        let open: Vec<SavedTab> = open.iter().map(|((pid, number), slots)| tab(*pid, *number, slots)).collect();
        let answered: Vec<u32> = open.iter().map(|tab| tab.server.pid).collect();
        let look = seen(&open, &answered);
        let (kept, missed) = merged(&before, &look, &[]);
        prop_assert!(kept.ends_with(&open));
        prop_assert!(kept.len() <= TABS_MAX);
        for tab in &kept {
            prop_assert!(open.contains(tab) || before.contains(tab));
        }
        // A second look that shows the same leaves only what is open, and what dead servers had.
        let (settled, still_missed) = merged(&kept, &look, &missed);
        prop_assert!(still_missed.is_empty());
        for tab in &settled {
            prop_assert!(open.contains(tab) || !look.answered.contains(&(tab.server.clone(), 1)));
        }
        let (same, _) = merged(&settled, &look, &still_missed);
        prop_assert_eq!(same, settled);
    }
}
