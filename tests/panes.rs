//! `panes` and `queue --pane`, with the real binary and a `wezterm` that only pretends: which calls are
//! made, where the focus is afterwards, and that queueing never fails because WezTerm does.

#[path = "fake_wezterm/screen.rs"]
mod screen;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use screen::Screen;
use support::shown;

#[test]
fn open_shows_every_slot_of_the_daemon_in_a_grid_and_keeps_the_focus() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    assert_eq!(screen.ok(&["panes", "open"]), "opened 3 panes\n");
    let expected = [
        "spawn --window-id 0 --cwd HOME -- PROGRAM attach --slot 0",
        "split-pane --pane-id 10 --bottom --percent 50 --cwd HOME -- PROGRAM attach --slot 2",
        "split-pane --pane-id 10 --right --percent 50 --cwd HOME -- PROGRAM attach --slot 1",
        "activate-pane --pane-id 10",
        "activate-pane --pane-id 1",
    ];
    assert_eq!(screen.calls(), expected);
    assert_eq!(screen.listed(), ["slot 0@10", "slot 1@12", "slot 2@11"]);
    assert_eq!(screen.focus().0, "1");
    // Once more: they are there.
    assert_eq!(
        screen.ok(&["panes", "open"]),
        "opened no pane; 3 slots have their panes already\n"
    );
    assert_eq!(screen.listed().len(), 3);
    let file = screen.home.data().join("panes.json");
    assert_eq!(
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn open_goes_where_it_is_told_to() {
    let first_calls = |arguments: &[&str]| {
        let screen = Screen::new();
        screen.ok(arguments);
        let calls = screen.calls();
        assert_eq!(calls.last().unwrap(), "activate-pane --pane-id 1", "{calls:?}");
        assert_eq!(screen.focus().0, "1");
        calls
    };
    let here = first_calls(&["panes", "open", "--slots", "2", "--layout", "rows", "--here"]);
    assert_eq!(
        here[0],
        "split-pane --pane-id 0 --right --percent 50 --cwd HOME -- PROGRAM attach --slot 0"
    );
    assert_eq!(
        here[1],
        "split-pane --pane-id 10 --bottom --percent 50 --cwd HOME -- PROGRAM attach --slot 1"
    );
    let window = first_calls(&[
        "panes",
        "open",
        "--slots",
        "2",
        "--layout",
        "tabs",
        "--new-window",
    ]);
    assert_eq!(
        window[0],
        "spawn --new-window --workspace default --cwd HOME -- PROGRAM attach --slot 0"
    );
    assert_eq!(
        window[1],
        "spawn --window-id 10 --cwd HOME -- PROGRAM attach --slot 1"
    );
    let given = [
        "--socket", "s.sock", "--config", "c.toml", "panes", "open", "--slots", "1",
    ];
    let handed_on = "PROGRAM --socket HOME/s.sock --config HOME/c.toml attach --slot 0";
    assert_eq!(
        first_calls(&given)[0],
        format!("spawn --window-id 0 --cwd HOME -- {handed_on}")
    );
}

#[test]
fn open_from_outside_goes_to_the_window_with_the_focus() {
    let screen = Screen::new();
    screen.write("panes", "0 0 0 true default\n5 7 9 true api\n");
    screen.write("focus", "9\n");
    let open = screen
        .outside(&["panes", "open", "--slots", "1"])
        .output()
        .unwrap();
    assert!(open.status.success(), "{}", shown(&open));
    assert!(
        screen.calls()[0].starts_with("spawn --window-id 5 "),
        "{:?}",
        screen.calls()
    );
    assert_eq!(screen.focus().0, "9");
}

#[test]
fn a_caller_whose_server_died_is_not_taken_for_a_pane_of_another_one() {
    let screen = Screen::new();
    let mut open = screen.outside(&["panes", "open", "--slots", "1", "--here"]);
    let gone = screen.home.path().join("gone");
    drop(UnixListener::bind(&gone).unwrap());
    open.env("WEZTERM_UNIX_SOCKET", gone).env("WEZTERM_PANE", "0");
    let open = open.output().unwrap();
    assert!(open.status.success(), "{}", shown(&open));
    // Pane 1 has the focus; a pane 0 there is as well, and is somebody else's.
    assert!(
        screen.calls()[0].starts_with("split-pane --pane-id 1 "),
        "{:?}",
        screen.calls()
    );
}

#[test]
fn a_failure_in_the_middle_closes_what_was_opened() {
    let screen = Screen::new();
    screen.write("fail_split-pane", "No space for split!");
    let (code, words) = screen.refused(&["panes", "open", "--slots", "2"]);
    assert_eq!(code, Some(4));
    assert_eq!(
        words,
        "error: `wezterm cli split-pane` failed: No space for split!\n\
         hint: make the window larger, take fewer --slots, or use --layout tabs\n"
    );
    assert!(
        screen.calls().contains(&"kill-pane --pane-id 10".to_owned()),
        "{:?}",
        screen.calls()
    );
    assert_eq!(screen.focus().0, "1");
    assert_eq!(screen.listed(), [""; 0]);
}

#[test]
fn panes_that_nobody_could_read_are_not_opened() {
    let screen = Screen::new();
    let (code, words) = screen.refused(&["panes", "open", "--slots", "30", "--layout", "columns"]);
    assert_eq!(code, Some(4));
    assert!(
        words.starts_with("error: 30 panes would be as small as "),
        "{words}"
    );
    assert!(
        words.contains("hint: use --layout tabs or fewer --slots"),
        "{words}"
    );
    assert_eq!((screen.calls(), screen.listed()), (vec![], vec![]));
    let tabs = screen.ok(&["panes", "open", "--slots", "30", "--layout", "tabs"]);
    assert_eq!(tabs, "opened 30 panes\n");
}

#[test]
fn close_closes_ours_only() {
    let screen = Screen::new();
    screen.ok(&["panes", "open", "--slots", "3"]);
    assert_eq!(screen.ok(&["panes", "close", "1"]), "closed 1 pane\n");
    assert_eq!(screen.listed(), ["slot 0@10", "slot 2@11"]);
    assert_eq!(screen.ok(&["panes", "close"]), "closed 2 panes\n");
    assert_eq!(screen.listed(), [""; 0]);
    assert_eq!(screen.read("panes").lines().count(), 3);
    let (code, words) = screen.refused(&["panes", "open", "--restore"]);
    assert_eq!(
        (code, words.contains("no panes to restore")),
        (Some(4), true),
        "{words}"
    );
}

#[test]
fn panes_closed_by_hand_are_forgotten_and_restored() {
    let screen = Screen::new();
    screen.ok(&["panes", "open", "--slots", "2", "--layout", "columns"]);
    let without = screen.read("panes").replace("0 10 11 false default\n", "");
    screen.write("panes", &without);
    assert_eq!(screen.listed(), ["slot 0@10"]);
    let words = screen.ok(&["panes", "open", "--restore"]);
    assert_eq!(words, "opened 1 pane; 1 slot has its pane already\n");
    assert_eq!(screen.listed(), ["slot 0@10", "slot 1@12"]);
}

#[test]
fn a_pane_whose_viewer_has_ended_gets_another_one() {
    let screen = Screen::new();
    screen.ok(&["panes", "open", "--slots", "2"]);
    let alive = screen.viewer_in(11).hold("");
    drop(screen.viewer_in(10).hold(""));
    assert_eq!(screen.listed(), ["slot 1@11"]);
    screen.ok(&["panes", "close", "1"]);
    drop(alive);
    assert_eq!(screen.ok(&["panes", "open", "--slots", "2"]), "opened 2 panes\n");
    let _alive = screen.viewer_in(12).hold("");
    drop(screen.viewer_in(13).hold(""));
    // In its place; the others are left alone.
    let words = screen.ok(&["panes", "open", "--slots", "2"]);
    assert_eq!(words, "opened 1 pane; 1 slot has its pane already\n");
    assert_eq!(screen.listed(), ["slot 0@12", "slot 1@14"]);
    let calls = screen.calls();
    assert!(calls.contains(&"kill-pane --pane-id 13".to_owned()), "{calls:?}");
    assert_eq!(screen.focus().0, "1");
    // One that is held is closed as well.
    drop(screen.viewer_in(14).hold(""));
    assert_eq!(screen.ok(&["panes", "close"]), "closed 2 panes\n");
    assert!(!screen.read("panes").contains(" 14 "), "{}", screen.read("panes"));
}

#[test]
fn a_viewer_that_was_started_by_hand_is_known_as_long_as_it_runs() {
    let screen = Screen::new();
    let name = format!("pane-{}-2", std::process::id());
    let at = |pane: u64| {
        format!(
            r#"{{"socket":"{}","server_pid":{},"pane":{pane},"slot":0}}"#,
            screen.socket().display(),
            std::process::id()
        )
    };
    let viewer = screen.viewer(&name).hold(&at(2));
    assert_eq!(screen.listed(), ["slot 0@2"]);
    assert_eq!(
        screen.ok(&["panes", "open", "--slots", "1"]),
        "opened no pane; 1 slot has its pane already\n"
    );
    screen.ok(&["panes", "list"]);
    std::fs::remove_file(screen.viewer(&name).0).unwrap();
    drop(viewer);
    assert_eq!(screen.listed(), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pane_of_a_mux_server_is_seen_in_its_gui() {
    let screen = Screen::new();
    let mux = screen.home.path().join("mux");
    let _mux = UnixListener::bind(&mux).unwrap();
    let pid = std::process::id();
    let at = format!(
        r#"{{"socket":"{}","server_pid":{pid},"pane":2,"slot":0}}"#,
        mux.display()
    );
    // Opened through the GUI, where the pane has the number 10.
    screen.ok(&["panes", "open", "--slots", "1"]);
    let _viewer = screen.viewer_in(10).hold(&at);
    screen.write("client", &pid.to_string());
    for _ in 0..2 {
        assert_eq!(
            screen.ok(&["panes", "open", "--slots", "1"]),
            "opened no pane; 1 slot has its pane already\n"
        );
        assert_eq!(screen.listed(), ["slot 0@2"]);
    }
    // A GUI that does not show that server's panes has its own.
    screen.write("client", "1");
    assert_eq!(screen.ok(&["panes", "open", "--slots", "1"]), "opened 1 pane\n");
}

#[test]
fn panes_of_a_server_that_died_are_dropped_and_restored_in_the_next_one() {
    let mut screen = Screen::new();
    screen.ok(&["panes", "open", "--slots", "2", "--layout", "rows"]);
    screen.server = None;
    assert_eq!(screen.listed(), [""; 0]);
    let (code, words) = screen.refused(&["panes", "open", "--restore"]);
    assert_eq!(
        (code, words.starts_with("error: WezTerm is not running\nhint: ")),
        (Some(4), true),
        "{words}"
    );

    let next = screen.home.path().join("run/wezterm/sock");
    screen.server = Some(UnixListener::bind(next).unwrap());
    screen.write("panes", "0 0 0 true default\n");
    screen.write("calls", "");
    assert_eq!(screen.ok(&["panes", "open", "--restore"]), "opened 2 panes\n");
    assert!(screen.calls()[1].contains(" --bottom "), "{:?}", screen.calls());
    assert_eq!(screen.listed(), ["slot 0@12", "slot 1@13"]);
}

#[cfg(target_os = "linux")]
#[test]
fn another_server_at_the_same_socket_has_other_panes() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    let file = screen.home.data().join("panes.json");
    let pane = format!(
        r#"{{"socket":"{}","server_pid":1,"pane":0,"slot":0}}"#,
        screen.socket().display()
    );
    std::fs::write(&file, format!(r#"{{"version":1,"panes":[{pane}]}}"#)).unwrap();
    assert_eq!(screen.ok(&["panes", "close"]), "closed 0 panes\n");
    assert_eq!(screen.calls(), [""; 0]);
    assert!(!std::fs::read_to_string(file).unwrap().contains("gui-sock"));
}

#[test]
fn assign_splits_a_shell_and_replaces_a_viewer() {
    let screen = Screen::new();
    assert_eq!(
        screen.ok(&["panes", "assign", "0", "2"]),
        "pane 10 shows slot 0\n"
    );
    assert_eq!(screen.focus(), ("1".into(), vec!["1".into(), "2".into()]));
    assert_eq!(
        screen.ok(&["panes", "assign", "0", "10"]),
        "pane 10 shows slot 0 already\n"
    );
    // Another slot in the same pane: the viewer there makes room.
    assert_eq!(
        screen.ok(&["panes", "assign", "1", "10"]),
        "pane 11 shows slot 1\n"
    );
    assert_eq!(screen.listed(), ["slot 1@11"]);
    assert_eq!(screen.focus(), ("1".into(), vec!["1".into(), "2".into()]));
    // The slot elsewhere: its old viewer goes.
    assert_eq!(
        screen.ok(&["panes", "assign", "1", "current"]),
        "pane 12 shows slot 1\n"
    );
    assert_eq!(screen.listed(), ["slot 1@12"]);
    assert!(
        screen.read("panes").contains("0 0 12 "),
        "{}",
        screen.read("panes")
    );
    assert_eq!(screen.focus().0, "1");
    let (code, words) = screen.refused(&["panes", "assign", "0", "77"]);
    assert_eq!(
        (code, words.lines().next()),
        (Some(4), Some("error: WezTerm has no pane 77"))
    );
}

#[test]
fn a_queued_task_is_shown_where_it_is_asked_for() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    assert_eq!(
        screen.ok(&["queue", "--id", "a", "--pane", "current", "true"]),
        ""
    );
    assert_eq!(screen.ok(&["queue", "--id", "b", "--pane", "2", "true"]), "");
    assert_eq!(screen.ok(&["queue", "--id", "c", "--pane", "new", "true"]), "");
    assert_eq!(screen.listed(), ["task a@10", "task b@11", "task c@12"]);
    let calls = screen.calls();
    let beside = |pane: &str, task: &str| {
        format!("split-pane --pane-id {pane} --right --percent 50 --cwd HOME -- PROGRAM attach --task {task}")
    };
    assert_eq!(calls[0], beside("0", "a"));
    assert!(calls.contains(&beside("2", "b")), "{calls:?}");
    assert!(
        calls.contains(&"spawn --window-id 0 --cwd HOME -- PROGRAM attach --task c".to_owned()),
        "{calls:?}"
    );
    assert_eq!(screen.focus().0, "1");
    // A viewer makes room; the same call again changes nothing.
    assert_eq!(screen.ok(&["queue", "--id", "d", "--pane", "11", "true"]), "");
    assert_eq!(screen.ok(&["queue", "--id", "d", "--pane", "11", "true"]), "");
    assert_eq!(screen.listed(), ["task a@10", "task c@12", "task d@13"]);
    assert_eq!(screen.focus().0, "1");
}

#[test]
fn a_process_is_shown_in_a_pane_of_its_own() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    screen.home.ok(["workspace", "create", "api", "--no-folder"]);
    let spawn = ["process", "spawn", "-w", "api", "--pane", "new", "sleep 600"];
    assert_eq!(screen.ok(&spawn), "");
    assert_eq!(screen.listed(), ["task @1@10"]);
    let calls = screen.calls();
    let expected = "spawn --window-id 0 --cwd HOME -- PROGRAM attach --task @1";
    assert!(calls.contains(&expected.to_owned()), "{calls:?}");
}

/// Queues from pane 0; the task must be queued, the exit code 0, and stdout the id alone: the stderr.
fn queued_with_a_warning(screen: &Screen, arguments: &[&str]) -> String {
    let output = screen.in_pane("0", arguments);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"t\n"[..]),
        "{}",
        shown(&output)
    );
    assert_eq!(screen.home.task("t").id, "t");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn queueing_does_not_fail_because_wezterm_does() {
    const QUEUE: [&str; 6] = ["queue", "--id", "t", "--pane", "current", "true"];
    let mut screen = Screen::new();
    let _daemon = screen.home.daemon();
    screen.write("fail_split-pane", "out of\u{1b}[31m ptys");
    assert_eq!(
        queued_with_a_warning(&screen, &QUEUE),
        "warning: `wezterm cli split-pane` failed: out of\\x1b[31m ptys: the task is queued, see \
         `wezterm-parallel follow t`\n\
         hint: look whether `wezterm cli list` works; client and server may differ in version\n"
    );
    screen.write("hang_list", "");
    let words = queued_with_a_warning(&screen, &QUEUE);
    assert!(
        words.starts_with("warning: `wezterm cli list` gave no answer within 5 s: the task is"),
        "{words}"
    );
    screen.server = None;
    assert_eq!(
        queued_with_a_warning(&screen, &QUEUE),
        "warning: WezTerm is not running: the task is queued, see `wezterm-parallel follow t`\n\
         hint: start WezTerm, or run this in one of its panes\n"
    );
}

#[test]
fn a_stale_pane_or_a_missing_program_is_named() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    let words = queued_with_a_warning(&screen, &["queue", "--id", "t", "--pane", "77", "true"]);
    assert!(
        words.starts_with("warning: WezTerm has no pane 77: the task is queued"),
        "{words}"
    );
    if !Path::new("/usr/bin/wezterm").exists() && !Path::new("/usr/local/bin/wezterm").exists() {
        let mut command = screen.outside(&["panes", "open", "--slots", "1"]);
        let output = command.env("PATH", "/no/such/folder").output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.starts_with("error: there is no program `wezterm` in PATH\nhint: "),
            "{words}"
        );
    }
}

#[test]
fn the_list_reads_well() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    assert_eq!(
        screen.home.ok(["panes", "list"]),
        "no pane shows a slot or a task: `wezterm-parallel panes open` opens some\n"
    );
    screen.ok(&["panes", "open", "--slots", "2"]);
    screen.ok(&["queue", "--id", "a", "--workspace", "shop", "--pane", "2", "true"]);
    let output = screen.in_pane("0", &["panes", "list"]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    SHOWS   PANE  TAB  WINDOW  WORKSPACE  MADE FOR
    slot 0    10   10       0  default    -
    slot 1    11   10       0  default    -
    task a    12    2       0  api        shop
    ");
}

#[test]
fn a_pane_on_another_machine_is_not_split() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    screen.write("hosts", "1 server.example.org\n0 server.example.org\n");
    let (code, said) = screen.refused(&["panes", "assign", "0", "1"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("pane 1 is on another machine, server.example.org"),
        "{said}"
    );
    let output = screen.outside(&["panes", "open", "--here"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let queued = screen.in_pane("0", &["queue", "--pane", "1", "echo"]);
    assert!(queued.status.success(), "{}", shown(&queued));
    assert!(String::from_utf8_lossy(&queued.stderr).contains("the task is queued"));
    assert_eq!(screen.calls(), Vec::<String>::new());
    // A shell in the caller's own pane may have gone elsewhere before.
    screen.ok(&["panes", "assign", "0", "current"]);
    assert_eq!(screen.listed(), ["slot 0@10"]);
}

#[test]
fn a_task_does_not_take_the_pane_for_its_own() {
    let screen = Screen::new();
    let _daemon = screen.home.daemon();
    let queued = screen.in_pane("0", &["queue", "--follow", "env"]);
    assert!(queued.status.success(), "{}", shown(&queued));
    let environment = String::from_utf8(queued.stdout).unwrap();
    assert!(environment.contains("\nPATH=") || environment.starts_with("PATH="));
    for name in ["WEZTERM_PANE=", "WEZTERM_UNIX_SOCKET="] {
        assert!(!environment.contains(name), "{environment}");
    }
}
