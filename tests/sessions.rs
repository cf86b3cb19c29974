//! Sessions as people meet them: a workspace with panes and processes is saved, everything is killed, and it is built up
//! again. With the real program, its daemon, real processes, and a `wezterm` that only pretends.

#[path = "fake_wezterm/screen.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod screen;
mod support;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use screen::Screen;
use serde_json::Value;
use support::process::{is_alive, kill, pid_in, shim_of};
use support::{disk::SmallDisk, shown, wait_for, Daemon};

/// A WezTerm, a daemon that can ask it, and the workspace `api` in a folder of its own.
fn stage() -> Screen {
    let screen = Screen::new();
    fs::create_dir(screen.home.path().join("api")).expect("a folder");
    screen
}

fn daemon(screen: &Screen) -> Daemon<'_> {
    screen.home.daemon_of(screen.outside(&["daemon"]))
}

fn file(screen: &Screen, workspace: &str) -> PathBuf {
    screen
        .home
        .data()
        .join("sessions")
        .join(format!("{workspace}.json"))
}

fn session(screen: &Screen, workspace: &str) -> Option<Value> {
    serde_json::from_slice(&fs::read(file(screen, workspace)).ok()?).ok()
}

/// Changes the workspace twice, and waits until each stands in its session: the second look at WezTerm came after the first
/// was written, so it has been made since.
fn look(screen: &Screen) -> Value {
    changed(screen, 998);
    changed(screen, 999)
}

fn changed(screen: &Screen, weight: u32) -> Value {
    let edit = ["workspace", "edit", "api", "--weight", &weight.to_string()];
    let output = screen.outside(&edit).output().expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
    wait_for("the session to be saved", || {
        session(screen, "api").filter(|session| session["settings"]["weight"] == weight)
    })
}

/// What the panes of each tab show.
fn tabs(session: &Value) -> Vec<Vec<String>> {
    let pane = |pane: &Value| match (&pane["slot"], &pane["task"], &pane["shell"]) {
        (Value::Number(slot), ..) => format!("slot {slot}"),
        (_, Value::String(id), _) => id.clone(),
        (.., Value::String(line)) => line.clone(),
        _ => "shell".to_owned(),
    };
    let tabs = session["tabs"].as_array().expect("tabs").iter();
    let panes = tabs.map(|tab| tab["panes"].as_array().expect("panes").iter().map(pane).collect());
    panes.collect()
}

/// The stand-in's own command line, as a person in a pane would use it.
fn wezterm(screen: &Screen, arguments: &[&str]) {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_wezterm/wezterm"));
    command
        .args(["cli", "--no-auto-start"])
        .args(arguments)
        .env("FAKE_WEZTERM", screen.state(""))
        .env("WEZTERM_UNIX_SOCKET", screen.socket())
        .env_remove("WEZTERM_PANE");
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
}

/// A command that writes down its process id, and runs on.
fn long(screen: &Screen, name: &str) -> (String, PathBuf) {
    let pid = screen.home.path().join(format!("{name}.pid"));
    (format!("echo $$ > {}; exec sleep 600", pid.display()), pid)
}

fn running(pid: &std::path::Path) -> i32 {
    wait_for("its process id", || pid_in(pid).filter(|pid| is_alive(*pid)))
}

/// As a power failure does: the daemon, all shims and workers.
fn everything_is_killed(screen: &Screen, daemon: Daemon<'_>, pids: &[&PathBuf]) {
    daemon.kill();
    for folder in ["processes/@1/1", "processes/@2/1", "tasks/1/1"] {
        if let Some(shim) = shim_of(&screen.home.data().join(folder)) {
            kill(shim);
        }
    }
    for pid in pids {
        kill(pid_in(pid).expect("it ran"));
        fs::remove_file(pid).expect("it was there");
    }
}

/// Another WezTerm in the place of the one that has died, with one pane that is nobody's: its socket, and where to find it.
fn another_wezterm(screen: &Screen) -> (UnixListener, PathBuf) {
    fs::remove_file(screen.socket()).expect("the old socket");
    fs::remove_dir_all(screen.state("")).expect("what the old one had");
    fs::create_dir(screen.state("")).expect("a folder");
    screen.write("panes", "3 5 1 true default\n");
    screen.write("next", "20\n");
    screen.write("focus", "1\n");
    let socket = screen.home.path().join("run/wezterm/gui-sock-2");
    (UnixListener::bind(&socket).expect("a socket"), socket)
}

/// What the program says in a pane of that one.
fn said_in(screen: &Screen, socket: &std::path::Path, arguments: &[&str]) -> String {
    let mut command = screen.outside(arguments);
    command
        .env("WEZTERM_UNIX_SOCKET", socket)
        .env("WEZTERM_PANE", "1");
    let output = command.output().expect("it starts");
    assert!(
        output.status.success(),
        "{}\n{}",
        shown(&output),
        screen.read("calls")
    );
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The workspace at work: a process and a task in panes of their own, a process without, and a shell that a person has split
/// off below the viewer of the task, which has pane 11. The files with the process ids of the three.
fn busy(screen: &Screen) -> [PathBuf; 3] {
    let (server, server_pid) = long(screen, "server");
    let (once, once_pid) = long(screen, "once");
    let (worker, worker_pid) = long(screen, "worker");
    screen.ok(&[
        "process", "spawn", "-w", "api", "--name", "dev", "--pane", "new", &server,
    ]);
    screen.ok(&["process", "spawn", "-w", "api", "--restart", "never", &once]);
    screen.ok(&[
        "queue",
        "--workspace",
        "api",
        "--retries",
        "1",
        "--pane",
        "new",
        "--shell",
        &worker,
    ]);
    let folder = screen.home.path().join("api").display().to_string();
    wezterm(
        screen,
        &[
            "split-pane",
            "--pane-id",
            "11",
            "--bottom",
            "--percent",
            "25",
            "--cwd",
            &folder,
            "--",
            "sh",
        ],
    );
    [server_pid, once_pid, worker_pid]
}

#[test]
fn a_workspace_is_built_up_again_after_everything_was_killed() {
    let mut screen = stage();
    let wezterm_server = screen.server.take();
    let before = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    let [server_pid, once_pid, worker_pid] = busy(&screen);
    let killed = [&server_pid, &once_pid, &worker_pid];
    for pid in killed {
        running(pid);
    }
    let saved = look(&screen);
    assert_eq!(tabs(&saved), [vec!["@1"], vec!["1", "shell"]]);
    assert_eq!(saved["attached"], serde_json::json!(["1", "@1"]));
    everything_is_killed(&screen, before, &killed);
    drop(wezterm_server);

    let _after = daemon(&screen);
    // The next daemon looks, finds no WezTerm, and forgets nothing.
    assert_eq!(tabs(&look(&screen)), tabs(&saved));
    let (_wezterm_server, socket) = another_wezterm(&screen);
    // Neither does one that finds another WezTerm.
    assert_eq!(tabs(&look(&screen)), tabs(&saved));
    let said = said_in(&screen, &socket, &["workspace", "use", "api", "--restore"]);
    assert!(said.contains("started process @2 again"), "{said}");
    assert!(said.ends_with("opened 3 panes\n"), "{said}");
    // By its policy the server has come back without being asked, the other one by the restore.
    running(&server_pid);
    running(&once_pid);
    let calls = screen.calls();
    let opened: Vec<&String> = calls
        .iter()
        .filter(|call| !call.starts_with("activate-pane"))
        .collect();
    let shell = "split-pane --pane-id 21 --bottom --percent 25 --cwd HOME/api";
    assert_eq!(opened.len(), 3, "{calls:?}");
    assert!(
        opened[0].starts_with("spawn --window-id 3 ") && opened[0].ends_with("attach --task @1"),
        "{calls:?}"
    );
    assert!(
        opened[1].starts_with("spawn --window-id 3 ") && opened[1].ends_with("attach --task 1"),
        "{calls:?}"
    );
    assert_eq!(*opened[2], shell);
    assert_eq!(screen.focus().0, "1");
    // What is queued from anywhere is the workspace's now.
    let id = screen.home.ok(["queue", "--shell", "true"]).trim().to_owned();
    assert_eq!(screen.home.task(&id).workspace, "api");
    // Once more: all is there.
    let again = said_in(&screen, &socket, &["session", "restore", "api"]);
    assert_eq!(again, "opened no pane; 3 were there already\n");
    assert_eq!(tabs(&look(&screen)), tabs(&saved));
}

#[test]
fn a_workspace_whose_journal_is_gone_is_created_again_with_its_processes() {
    let screen = stage();
    let before = daemon(&screen);
    screen.ok(&[
        "workspace",
        "create",
        "api",
        "--folder",
        "api",
        "--max-parallel",
        "3",
        "--env",
        "KEY=value",
    ]);
    let (server, server_pid) = long(&screen, "server");
    let spawn = [
        "process", "spawn", "-w", "api", "--name", "dev", "--env", "LOST=1", &server,
    ];
    screen.ok(&spawn);
    screen.ok(&["process", "spawn", "-w", "api", "--name", "idle", "sleep 600"]);
    screen.ok(&["process", "stop", "idle"]);
    running(&server_pid);
    wait_for("both processes in the session", || {
        let session = session(&screen, "api")?;
        let processes = session["processes"].as_array()?;
        let wanted: Vec<bool> = processes
            .iter()
            .filter_map(|process| process["wanted"].as_bool())
            .collect();
        (wanted == [true, false]).then_some(())
    });
    screen.ok(&["shutdown", "--kill"]);
    before.wait();
    fs::remove_dir_all(screen.home.data().join("journal")).expect("the journal");
    fs::remove_file(&server_pid).expect("it ran");

    let _after = daemon(&screen);
    assert_eq!(
        screen.home.run(["workspace", "show", "api"]).status.code(),
        Some(4)
    );
    // `shutdown --kill` has stopped the server for good, which is what the session would say by now.
    let text = fs::read_to_string(file(&screen, "api")).expect("the session");
    let mut saved: Value = serde_json::from_str(&text).expect("JSON");
    let processes = saved["processes"].as_array_mut().expect("processes");
    let dev = processes.iter_mut().find(|process| process["name"] == "dev");
    dev.expect("the server")["wanted"] = true.into();
    fs::write(file(&screen, "api"), saved.to_string()).expect("written");
    // Whoever creates the workspace before the restore, and whatever is saved then: nothing of it is lost.
    let said = screen.ok(&["workspace", "use", "api", "--restore"]);
    assert!(
        said.starts_with("created workspace api again\nspawned process dev as @"),
        "{said}"
    );
    running(&server_pid);
    let workspace: Value =
        serde_json::from_str(&screen.home.ok(["workspace", "show", "api", "--json"])).unwrap();
    assert_eq!(workspace["max_parallel"], 3);
    assert_eq!(workspace["env"]["KEY"], "value");
    assert_eq!(screen.ok(&["session", "restore", "api", "--no-panes"]), "");
    // The one that was stopped is remembered, though the daemon does not know it.
    let saved = look(&screen);
    let idle = saved["processes"]
        .as_array()
        .expect("processes")
        .iter()
        .find(|process| process["name"] == "idle");
    assert_eq!(idle.expect("it is kept")["unknown"], true);
    screen.ok(&["process", "spawn", "-w", "api", "--name", "idle", "sleep 600"]);
    let saved = look(&screen);
    let processes = saved["processes"].as_array().expect("processes").iter();
    let known: Vec<bool> = processes.map(|process| process["unknown"].is_null()).collect();
    assert_eq!(known, [true, true]);
}

#[test]
fn a_tab_that_its_user_closes_is_forgotten() {
    let screen = stage();
    let _daemon = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    for id in ["a", "b"] {
        screen.ok(&[
            "queue",
            "--workspace",
            "api",
            "--id",
            id,
            "--hold",
            "--pane",
            "new",
            "--shell",
            "true",
        ]);
    }
    assert_eq!(tabs(&look(&screen)), [["a"], ["b"]]);
    wezterm(&screen, &["kill-pane", "--pane-id", "10"]);
    // A WezTerm that is just ending closes panes, too: so it takes a while.
    wait_for("the closed tab to be forgotten", || {
        session(&screen, "api").filter(|session| tabs(session) == [["b"]])
    });
    screen.home.ok(["session", "forget", "api"]);
    assert!(!file(&screen, "api").exists());
    assert_eq!(tabs(&look(&screen)), [["b"]]);
}

#[test]
fn a_tab_whose_task_is_gone_is_not_opened() {
    let mut screen = stage();
    let wezterm_server = screen.server.take();
    let _daemon = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    for id in ["a", "b"] {
        screen.ok(&[
            "queue",
            "--workspace",
            "api",
            "--id",
            id,
            "--pane",
            "new",
            "--shell",
            "true",
        ]);
    }
    screen.home.wait_idle();
    assert_eq!(tabs(&look(&screen)), [["a"], ["b"]]);
    drop(wezterm_server);
    screen.home.ok(["clean", "a"]);
    let (_wezterm_server, socket) = another_wezterm(&screen);
    let restored = said_in(&screen, &socket, &["session", "restore", "api"]);
    assert_eq!(restored, "warning: task a is no longer known\nopened 1 pane\n");
    let again = said_in(&screen, &socket, &["session", "restore", "api"]);
    assert!(
        again.ends_with("opened no pane; 1 was there already\n"),
        "{again}"
    );
}

#[test]
fn panes_are_saved_without_any_other_change() {
    let screen = stage();
    let _daemon = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    screen.ok(&[
        "queue",
        "--workspace",
        "api",
        "--id",
        "a",
        "--hold",
        "--shell",
        "true",
    ]);
    wait_for("the first session", || session(&screen, "api"));
    let before = session(&screen, "api").expect("a session");
    assert!(tabs(&before).is_empty());
    // The same again, with a pane: of this the engine knows nothing.
    screen.ok(&[
        "queue",
        "--workspace",
        "api",
        "--id",
        "a",
        "--hold",
        "--pane",
        "new",
        "--shell",
        "true",
    ]);
    let saved = wait_for("the pane in the session", || {
        session(&screen, "api").filter(|session| !tabs(session).is_empty())
    });
    assert_eq!(tabs(&saved), [["a"]]);
}

#[test]
fn wrong_names_and_files_get_clear_errors() {
    let screen = stage();
    let refused = |arguments: &[&str]| {
        let (code, words) = screen.refused(arguments);
        (
            code,
            words.replace(&screen.home.path().display().to_string(), "~"),
        )
    };
    assert_eq!(
        refused(&["session", "show", "api"]),
        (
            Some(4),
            "error: no session of workspace \"api\" was saved\n\
             hint: the daemon saves one for each workspace that was created\n"
                .to_owned()
        )
    );
    assert_eq!(
        screen.ok(&["session", "list"]),
        "there are no sessions: the daemon saves one for each workspace that was created\n"
    );
    fs::create_dir_all(screen.home.data().join("sessions")).expect("a folder");
    fs::write(file(&screen, "api"), "{\"version\":1,").expect("a file");
    let (code, words) = refused(&["session", "show", "api"]);
    assert_eq!(code, Some(2));
    assert!(words.contains("api.json is damaged: "), "{words}");
    let list = screen.in_pane("0", &["session", "list"]);
    assert_eq!(list.status.code(), Some(1), "{}", shown(&list));
    let (code, words) = refused(&["workspace", "use", "apo", "--restore"]);
    assert_eq!(
        (code, words.contains("hint: did you mean api?")),
        (Some(4), true),
        "{words}"
    );
    let (code, _) = refused(&["session", "show", "../api"]);
    assert_eq!(code, Some(2));
    // Nothing is forgotten if one of the names is wrong.
    assert_eq!(refused(&["session", "forget", "api", "web"]).0, Some(4));
    assert!(file(&screen, "api").exists());

    let _daemon = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    screen.ok(&["workspace", "create", "web", "--folder", "api"]);
    wait_for("a session in the place of the damaged one", || {
        session(&screen, "api")
    });
    let kept = file(&screen, "api").with_extension("json.damaged-1");
    assert_eq!(
        fs::read_to_string(kept).expect("the damaged one"),
        "{\"version\":1,"
    );
    // A newer program's file is not overwritten.
    wait_for("the other session", || session(&screen, "web"));
    let newer = "{\"version\":9,\"works\":\"otherwise\"}";
    fs::write(file(&screen, "web"), newer).expect("a file");
    screen.ok(&["workspace", "edit", "web", "--weight", "2"]);
    look(&screen);
    assert_eq!(fs::read_to_string(file(&screen, "web")).expect("the file"), newer);
    let doctor = wait_for("the warning", || {
        let text = shown(&screen.in_pane("0", &["doctor"]));
        text.contains("the session of workspace web is not saved")
            .then_some(text)
    });
    assert!(doctor.contains("has the form 9"), "{doctor}");
}

#[test]
fn a_full_disk_costs_no_session_and_is_told() {
    let screen = stage();
    let Some(disk) = SmallDisk::mount_at(screen.home.data().join("sessions")) else {
        return;
    };
    let _daemon = daemon(&screen);
    screen.ok(&["workspace", "create", "api", "--folder", "api"]);
    let before = wait_for("the first session", || session(&screen, "api"));
    disk.fill();
    screen.ok(&["workspace", "edit", "api", "--weight", "2"]);
    wait_for("the warning", || {
        let text = shown(&screen.in_pane("0", &["doctor"]));
        text.contains("the session of workspace api is not saved")
            .then_some(())
    });
    assert_eq!(session(&screen, "api"), Some(before));
    // The queue goes on.
    assert_eq!(
        screen
            .home
            .run(["queue", "--wait", "--shell", "true"])
            .status
            .code(),
        Some(0)
    );
    disk.make_room();
    look(&screen);
    wait_for("the end of the warning", || {
        let text = shown(&screen.in_pane("0", &["doctor"]));
        (!text.contains("the session of workspace")).then_some(())
    });
}
