//! Processes as people and scripts use them: the real program, its daemon, real commands, and daemons that are killed.

mod support;

use std::path::PathBuf;

use support::{shown, wait_for, wire::Wire, Home};
use wezterm_parallel::protocol::{Answer, Message, ProcessFilter, ProcessView};

/// Restarts come soon, and there are few of them.
const SOON: &str = "[processes]\nbackoff = \"20ms\"\nbackoff_max = \"40ms\"\nmax_restarts = 3\n";

/// A home with a daemon's config and a workspace of its own folder.
fn home() -> Home {
    let home = Home::with_config(SOON);
    std::fs::create_dir_all(home.path().join("api")).expect("a folder");
    home
}

/// The workspace `api`, in the folder of the same name.
fn workspace(home: &Home) {
    home.ok(["workspace", "create", "api", "--folder", "api"]);
}

fn spawn(home: &Home, arguments: &[&str]) -> String {
    let mut words = vec!["process", "spawn", "--workspace", "api"];
    words.extend(arguments);
    home.ok(words).trim().to_owned()
}

fn processes(home: &Home) -> Vec<ProcessView> {
    match home.client().ask(&Message::ProcessList(ProcessFilter::default())) {
        Ok(Answer::Processes(answer)) => answer.processes,
        other => panic!("{other:?}"),
    }
}

fn process(home: &Home, id: &str) -> Option<ProcessView> {
    processes(home).into_iter().find(|view| view.id == id)
}

fn wait_state(home: &Home, id: &str, state: &str) -> ProcessView {
    wait_for(&format!("process {id} to be {state}"), || {
        process(home, id).filter(|view| view.state == state)
    })
}

fn folder_of(home: &Home, id: &str, run: u32) -> PathBuf {
    home.data().join("processes").join(id).join(run.to_string())
}

fn output(home: &Home, id: &str, run: u32) -> String {
    std::fs::read_to_string(folder_of(home, id, run).join("output")).unwrap_or_default()
}

/// What the program says, with the home's path left out.
fn said(home: &Home, arguments: &[&str]) -> String {
    let real = home.path().canonicalize().expect("its place");
    let text = shown(&home.run(arguments));
    text.replace(&real.display().to_string(), "~")
        .replace(&home.path().display().to_string(), "~")
}

#[test]
fn a_process_runs_in_its_workspace_and_takes_no_slot() {
    let home = Home::with_config(&format!("[pool]\nslots = 1\n{SOON}"));
    std::fs::create_dir_all(home.path().join("api")).expect("a folder");
    let _daemon = home.daemon();
    home.ok([
        "workspace",
        "create",
        "api",
        "--folder",
        "api",
        "--env",
        "PLACE=here",
    ]);
    let id = spawn(
        &home,
        &[
            "--env",
            "MORE=too",
            "echo $PLACE $MORE $WEZTERM_PARALLEL_TASK; pwd; exec sleep 600",
        ],
    );
    assert_eq!(id, "@1");
    let written = wait_for("its output", || {
        Some(output(&home, &id, 1)).filter(|text| text.ends_with("/api\n"))
    });
    assert!(written.starts_with("here too @1\n"), "{written}");
    assert_eq!(
        process(&home, &id).map(|view| view.state).as_deref(),
        Some("running")
    );
    // The one slot is free for a task.
    assert_eq!(
        home.run(["queue", "--wait", "--shell", "true"]).status.code(),
        Some(0)
    );
    // Its workspace is found by the folder, too.
    let here = home
        .command(["process", "spawn", "--name", "second", "--", "sleep", "600"])
        .current_dir(home.path().join("api"))
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&here.stdout), "@2\n", "{}", shown(&here));
    let list = home.ok(["process", "list"]);
    assert!(
        list.contains("@1") && list.contains("second") && list.contains("sleep 600"),
        "{list}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&home.ok(["process", "list", "--json", "@2"])).expect("JSON");
    assert_eq!(json[0]["name"], "second");
    assert_eq!(home.ok(["process", "log", "@1"]), written);
    assert!(said(&home, &["log", "@1"]).contains("here too @1"));
}

#[test]
fn ready_is_seen_by_port_by_line_and_by_command() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    // Taken by nobody at the moment it is looked for.
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("its address").port()
    };
    let by_port = spawn(&home, &["--ready-port", &port.to_string(), "sleep 600"]);
    let by_line = spawn(
        &home,
        &[
            "--ready-line",
            "listening on",
            "echo begins; until test -e go; do sleep 0.01; done; echo listening on 1; sleep 600",
        ],
    );
    let by_command = spawn(&home, &["--ready-command", "test -e go", "sleep 600"]);
    for id in [&by_port, &by_line, &by_command] {
        wait_state(&home, id, "starting");
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    wait_state(&home, &by_port, "ready");
    drop(listener);
    assert_eq!(
        process(&home, &by_line).map(|view| view.state).as_deref(),
        Some("starting")
    );
    std::fs::write(home.path().join("api/go"), "").expect("a file");
    wait_state(&home, &by_line, "ready");
    wait_state(&home, &by_command, "ready");
}

#[test]
fn one_that_is_not_ready_in_time_is_stopped_and_tried_again() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let words = [
        "--ready-line",
        "up",
        "--ready-timeout",
        "50ms",
        "--max-restarts",
        "1",
    ];
    let id = spawn(&home, &[&words[..], &["sleep 600"]].concat());
    let view = wait_state(&home, &id, "failed");
    assert_eq!(
        view.message.as_deref(),
        Some("it was not ready in time, also after 1 restarts in a row")
    );
}

#[test]
fn a_crash_is_followed_by_restarts_until_it_is_given_up() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["--name", "dev", "echo run >> runs; exit 7"]);
    let view = wait_state(&home, &id, "failed");
    assert_eq!(
        view.message.as_deref(),
        Some("it ended with exit code 7, also after 3 restarts in a row")
    );
    let runs = || std::fs::read_to_string(home.path().join("api/runs")).unwrap_or_default();
    assert_eq!(runs().lines().count(), 4);
    // It stays failed, and is started by hand.
    home.ok(["process", "restart", "dev"]);
    wait_for("four more runs", || (runs().lines().count() == 8).then_some(()));
    wait_state(&home, &id, "failed");
    // A success is no reason to start it again; with `always` it is.
    let once = spawn(&home, &["echo once >> once"]);
    wait_state(&home, &once, "stopped");
    let always = spawn(&home, &["--restart", "always", "echo always >> always"]);
    wait_state(&home, &always, "failed");
    let count = |name: &str| {
        let text = std::fs::read_to_string(home.path().join("api").join(name)).unwrap_or_default();
        text.lines().count()
    };
    assert_eq!((count("once"), count("always")), (1, 4));
}

#[test]
#[cfg(target_os = "linux")]
fn a_stop_ends_the_whole_tree_and_a_removal_its_folder() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let script =
        "sleep 600 & echo $! > child; setsid sh -c 'echo $$ > escaped; exec sleep 600' & echo $$ > own; wait";
    let id = spawn(&home, &[script]);
    let pid = |name: &str| {
        let file = home.path().join("api").join(name);
        wait_for(name, || pid_in(&file))
    };
    let pids = ["own", "child", "escaped"].map(pid);
    home.ok(["process", "stop", &id]);
    wait_state(&home, &id, "stopped");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    home.ok(["process", "stop", "--remove", &id]);
    assert!(process(&home, &id).is_none());
    let folder = home.data().join("processes").join(&id);
    wait_for("its folder to go", || (!folder.exists()).then_some(()));
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_spawned_survives_its_daemon_and_is_not_started_twice() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(
        &home,
        &["--ready-line", "up", "echo $$ >> pids; echo up; exec sleep 600"],
    );
    wait_state(&home, &id, "ready");
    let file = home.path().join("api/pids");
    let pid = wait_for("its process", || pid_in(&file));
    // Acknowledged, and nothing else is known of it yet.
    let other = spawn(&home, &["exec sleep 601"]);
    daemon.kill();
    assert!(is_alive(pid));
    let daemon = home.daemon();
    let view = process(&home, &id).expect("it is known");
    assert_eq!((view.state.as_str(), view.runs.len()), ("ready", 1));
    assert!(is_alive(pid));
    wait_state(&home, &other, "running");
    // Its end is noticed by the daemon that has adopted it.
    support::process::kill(pid);
    wait_for("its second run", || {
        process(&home, &id).filter(|view| view.state == "ready" && view.runs.len() == 2)
    });
    let pids = std::fs::read_to_string(&file).expect("the pids");
    assert_eq!(pids.lines().count(), 2, "{pids}");
    // One that ended while there was no daemon is started by the next one.
    let second: i32 = pids
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("a pid");
    daemon.kill();
    support::process::kill(second);
    let _daemon = home.daemon();
    wait_for("its third run", || {
        process(&home, &id).filter(|view| view.state == "ready" && view.runs.len() == 3)
    });
}

#[test]
#[cfg(target_os = "linux")]
fn every_spawn_that_was_acknowledged_runs_once_however_soon_its_daemon_is_killed() {
    use support::process::{is_alive, pid_in};
    let home = home();
    let mut daemon = home.daemon();
    workspace(&home);
    let mut files = Vec::new();
    for n in 0..10 {
        let command = format!("echo $$ >> pids-{n}; exec sleep 600");
        let id = spawn(&home, &["--restart", "never", &command]);
        daemon.kill();
        daemon = home.daemon();
        files.push((id, home.path().join(format!("api/pids-{n}"))));
    }
    for (id, file) in files {
        wait_state(&home, &id, "running");
        let written = wait_for("its process", || pid_in(&file).map(|pid| (pid, is_alive(pid))));
        assert!(written.1, "{id}: {written:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_whose_shim_was_killed_leaves_nothing_beside_the_next_one() {
    use support::process::{is_alive, kill, pid_in, shim_of};
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["echo $$ > pid; exec sleep 600"]);
    let file = home.path().join("api/pid");
    let pid = wait_for("its process", || pid_in(&file));
    let shim = wait_for("its shim", || shim_of(&folder_of(&home, &id, 1)));
    // As after a reboot: the daemon and the shim are gone.
    daemon.kill();
    kill(shim);
    let _daemon = home.daemon();
    wait_for("its second run", || {
        process(&home, &id).filter(|view| view.state == "running" && view.runs.len() == 2)
    });
    assert!(!is_alive(pid), "what the lost run left was ended before");
}

#[test]
fn a_log_is_followed_through_a_restart_and_ends_with_the_process() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let id = spawn(
        &home,
        &[
            "--name",
            "dev",
            "echo line of run $WEZTERM_PARALLEL_ATTEMPT; exec sleep 600",
        ],
    );
    let follower = home
        .command(["process", "log", "dev", "-f"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for("the first line", || {
        output(&home, &id, 1).contains("run 1").then_some(())
    });
    home.ok(["process", "restart", "dev"]);
    wait_for("the second run", || {
        output(&home, &id, 2).contains("run 2").then_some(())
    });
    home.ok(["process", "stop", "dev"]);
    let output = follower.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.ends_with("line of run 2\n"), "{}", shown(&output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("process @1: cancelled"), "{}", shown(&output));
    assert_eq!(
        home.ok(["process", "log", "dev", "--run", "1"]),
        "line of run 1\n"
    );
}

#[test]
fn a_daemon_that_ends_gently_leaves_them_and_one_that_kills_ends_them() {
    let home = home();
    let daemon = home.daemon();
    workspace(&home);
    let id = spawn(&home, &["exec sleep 600"]);
    wait_state(&home, &id, "running");
    home.ok(["shutdown"]);
    assert!(daemon.wait().success());
    let daemon = home.daemon();
    assert_eq!(process(&home, &id).map(|view| view.runs.len()), Some(1));
    home.ok(["shutdown", "--kill"]);
    assert!(daemon.wait().success());
    let _daemon = home.daemon();
    assert_eq!(
        process(&home, &id).map(|view| view.state).as_deref(),
        Some("stopped")
    );
}

#[test]
fn subscribers_hear_of_each_change_in_one_line() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let mut wire = Wire::connect(&home);
    assert!(wire
        .ask(r#"{"Subscribe":{"statuses":true}}"#)
        .starts_with(r#"{"Status":"#));
    let id = spawn(&home, &["--ready-line", "up", "echo up; exec sleep 600"]);
    let mut heard = Vec::new();
    let mut hear_until = |last: &str| {
        while heard.last().map(String::as_str) != Some(last) {
            heard.push(wire.hear().expect("a line"));
        }
    };
    hear_until(r#"{"StatusUpdate":{"process_id":"@1","status":"Ready"}}"#);
    home.ok(["report", "waiting", "--task", &id, "--note", "which port?"]);
    hear_until(r#"{"StatusUpdate":{"process_id":"@1","status":"Waiting","note":"which port?"}}"#);
    home.ok(["process", "stop", "--remove", &id]);
    hear_until(r#"{"StatusUpdate":{"process_id":"@1","status":"Removed"}}"#);
    home.ok(["queue", "--id", "t1", "--shell", "true"]);
    hear_until(r#"{"StatusUpdate":{"process_id":"t1","status":"Succeeded"}}"#);
    assert_eq!(
        heard[0],
        r#"{"StatusUpdate":{"process_id":"@1","status":"Starting"}}"#
    );
}

#[test]
fn a_worker_reports_and_the_mark_is_seen_and_goes() {
    let home = home();
    let _daemon = home.daemon();
    let program = support::PROGRAM;
    let script = format!(
        "{program} report waiting --note 'needs a decision' && touch told; \
         until test -e go; do sleep 0.01; done; {program} report working; touch went; \
         until test -e end; do sleep 0.01; done"
    );
    let id = home.queue(&script);
    let file = |name: &str| home.path().join(name);
    wait_for("its report", || file("told").exists().then_some(()));
    let task = home.task(&id);
    assert_eq!(task.state, "running");
    let report = task.report.expect("it has reported");
    assert_eq!(
        (report.status.as_str(), report.note.as_deref()),
        ("waiting", Some("needs a decision"))
    );
    assert_eq!(home.summary().attention, 1);
    assert!(home
        .ok(["status"])
        .contains("running (waits for you: needs a decision)"));
    assert!(home.ok(["show", &id]).contains("needs a decision"));
    let status = home.path().join("run/wezterm-parallel/status.json");
    let attention = || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        value["attention"].as_u64()
    };
    wait_for("the mark in the status file", || {
        (attention() == Some(1)).then_some(())
    });
    std::fs::write(file("go"), "").expect("a file");
    wait_for("its second report", || file("went").exists().then_some(()));
    assert_eq!(home.task(&id).report, None);
    wait_for("the mark to go", || (attention() == Some(0)).then_some(()));
    std::fs::write(file("end"), "").expect("a file");
    home.wait_state(&id, &["succeeded"]);
    insta::assert_snapshot!(said(&home, &["report", "waiting", "--task", &id]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: task '1' is succeeded: only what runs can report its status
    hint: nothing was changed
    ");
    insta::assert_snapshot!(said(&home, &["report", "waiting"]), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: this is not inside of a task
    hint: `--task ID` names one; a worker finds its own in WEZTERM_PARALLEL_TASK
    ");
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_speaks_for_itself_only() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let other = home.queue("exec sleep 600");
    home.wait_state(&other, &["running"]);
    let program = support::PROGRAM;
    let script = format!(
        "{program} report waiting --note here; {program} cancel {other}; {program} process stop @1; \
         {program} report waiting --task {other}; echo said all; exec sleep 600"
    );
    let id = spawn(&home, &[&script]);
    let said = wait_for("what it was told", || {
        Some(output(&home, &id, 1)).filter(|text| text.contains("said all"))
    });
    assert_eq!(
        said.matches("is not for a worker to ask for").count(),
        3,
        "{said}"
    );
    let report = process(&home, &id).and_then(|view| view.report);
    assert_eq!(report.and_then(|report| report.note).as_deref(), Some("here"));
    assert_eq!(home.task(&other).report, None);
    assert_eq!(home.task(&other).state, "running");
}

/// The hooks of docs/claude-hooks.json, by event.
fn hooks() -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/claude-hooks.json");
    let text = std::fs::read_to_string(path).expect("the file is there");
    let file: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let events = file["hooks"].as_object().expect("hooks by event");
    let mut found = Vec::new();
    for (event, matchers) in events {
        for matcher in matchers.as_array().expect("a list of matchers") {
            for hook in matcher["hooks"].as_array().expect("a list of hooks") {
                assert_eq!(hook["type"], "command", "{event}");
                let command = hook["command"].as_str().expect("a command").to_owned();
                found.push((event.clone(), command));
            }
        }
    }
    found
}

#[test]
fn the_hooks_file_does_what_it_promises() {
    use std::io::Write as _;
    let home = home();
    let _daemon = home.daemon();
    let id = home.queue("exec sleep 600");
    home.wait_state(&id, &["running"]);
    let hooks = hooks();
    let events: Vec<&str> = hooks.iter().map(|(event, _)| event.as_str()).collect();
    for event in [
        "Notification",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "Stop",
    ] {
        assert!(events.contains(&event), "{events:?}");
    }
    // As Claude Code runs a hook: by a shell, with its input on stdin and the program in PATH.
    let bin = PathBuf::from(support::PROGRAM)
        .parent()
        .expect("a folder")
        .to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let run = |command: &str, input: &str, task: Option<&str>| {
        let mut shell = home.command_of("sh", ["-c", command]);
        shell.env("PATH", &path).stdin(std::process::Stdio::piped());
        shell
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        if let Some(task) = task {
            shell.env("WEZTERM_PARALLEL_TASK", task);
        }
        let mut child = shell.spawn().expect("a shell");
        let mut stdin = child.stdin.take().expect("its stdin");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{command}: {}", shown(&output));
        assert!(
            output.stdout.is_empty(),
            "what a hook prints, the agent reads: {}",
            shown(&output)
        );
    };
    let of = |event: &str| {
        hooks
            .iter()
            .find(|(known, _)| known == event)
            .map(|(_, command)| command.as_str())
    };
    let report = || home.task(&id).report;
    for event in ["UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"] {
        let input = r#"{"hook_event_name":"Notification","message":"Claude needs your permission"}"#;
        run(of("Notification").expect("a hook"), input, Some(&id));
        let marked = report().expect("it is marked");
        assert!(marked.is_waiting());
        assert_eq!(marked.note.as_deref(), Some("Claude needs your permission"));
        run(
            of(event).expect("a hook"),
            r#"{"hook_event_name":"x"}"#,
            Some(&id),
        );
        assert_eq!(report(), None, "{event}");
    }
    // In a session that no task has started, and of a task that has ended: nothing, and no error.
    run(of("Notification").expect("a hook"), "{}", None);
    run(of("Notification").expect("a hook"), "{}", Some("no-such-task"));
    assert_eq!(report(), None);
}

#[test]
fn admission_counts_what_they_use_and_keeps_free_what_they_declare() {
    let home = Home::with_config("[admission]\nenabled = true\n");
    let _daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder"]);
    let id = spawn(&home, &["--memory", "3GiB", "exec sleep 600"]);
    spawn(&home, &["exec sleep 600"]);
    let admission: serde_json::Value = serde_json::from_str(&home.ok(["admission", "--json"])).expect("JSON");
    let held = admission["reservations"].as_array().expect("a list");
    assert_eq!(
        held.len(),
        1,
        "who declares nothing holds nothing back: {admission:#}"
    );
    assert_eq!(
        (held[0]["id"].as_str(), held[0]["reserved_bytes"].as_u64()),
        (Some("@1"), Some(3 << 30))
    );
    let used = wait_for("both to be measured", || {
        let used: Vec<u64> = processes(&home)
            .iter()
            .filter_map(|view| view.used_bytes)
            .collect();
        (used.len() == 2).then_some(used)
    });
    assert!(
        used.iter().all(|bytes| *bytes > 0 && *bytes < 1 << 30),
        "{used:?}"
    );
    home.ok(["process", "stop", &id]);
    wait_state(&home, &id, "stopped");
    let admission: serde_json::Value = serde_json::from_str(&home.ok(["admission", "--json"])).expect("JSON");
    assert_eq!(admission["reservations"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_template_starts_its_processes() {
    let home = home();
    let templates = home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&templates).expect("a folder");
    let template = "description = \"a server\"\n[[processes]]\nname = \"dev\"\n\
                    command = \"echo serving {name}; exec sleep 600\"\nready_line = \"serving {name}\"\n\
                    [[processes]]\nname = \"watch\"\ncommand = \"exec sleep 600\"\nrestart = \"always\"\n";
    std::fs::write(templates.join("web.toml"), template).expect("a template");
    let _daemon = home.daemon();
    let output = home.run([
        "workspace",
        "create",
        "shop",
        "--folder",
        "api",
        "--template",
        "web",
    ]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("processes: @1 @2"),
        "{}",
        shown(&output)
    );
    let dev = wait_state(&home, "@1", "ready");
    assert_eq!(
        (dev.name.as_deref(), dev.workspace.as_str()),
        (Some("dev"), "shop")
    );
    assert!(home.ok(["workspace", "show", "shop"]).contains("@1 @2"));
    insta::assert_snapshot!(said(&home, &["workspace", "remove", "shop"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: workspace 'shop' has work: 0 waiting, 0 running, 2 processes
    hint: with force (`--force`) it is removed all the same; its tasks go on, and keep its name; its processes are stopped and removed
    ");
    home.ok(["workspace", "remove", "--force", "shop"]);
    wait_for("them to go", || processes(&home).is_empty().then_some(()));
    let wrong = template.replace("ready_line = \"serving {name}\"", "ready_line = \"{port}\"");
    std::fs::write(templates.join("wrong.toml"), wrong).expect("a template");
    let shown = said(&home, &["template", "check", "wrong"]);
    assert!(
        shown.contains("wrong.toml:5") && shown.contains("processes.0.ready_line"),
        "{shown}"
    );
    let both = template.replace("ready_line", "ready_port = 80\nready_line");
    std::fs::write(templates.join("both.toml"), both).expect("a template");
    assert!(said(&home, &["template", "check", "both"]).contains("several ways"));
}

#[test]
fn wrong_uses_are_told_apart() {
    let home = home();
    let _daemon = home.daemon();
    let mut told = Vec::new();
    let mut tell = |arguments: &[&str]| {
        let mut words = vec!["process"];
        words.extend(arguments);
        let output = home.run(&words);
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " · ");
        told.push(format!(
            "{} → {}: {said}",
            words.join(" "),
            output.status.code().unwrap_or(-1)
        ));
    };
    tell(&["spawn", "true"]);
    workspace(&home);
    tell(&["spawn", "-w", "apu", "true"]);
    tell(&["spawn", "-w", "api", "--", "/no/such/program"]);
    tell(&["spawn", "-w", "api", "--name", "a/b", "true"]);
    tell(&["stop", "@7"]);
    tell(&["stop", "@x"]);
    spawn(&home, &["--name", "dev", "true"]);
    wait_state(&home, "@1", "stopped");
    tell(&["restart", "de"]);
    tell(&["stop", "dev"]);
    tell(&["stop", "dev", "--remove", "--signal", "NOSE"]);
    tell(&["spawn", "-w", "api", "--name", "dev", "false"]);
    tell(&["log", "dev", "--run", "9"]);
    home.ok(["workspace", "create", "web", "--no-folder"]);
    home.ok(["process", "spawn", "-w", "web", "--name", "dev", "true"]);
    tell(&["restart", "dev"]);
    let gone = home.run(["cancel", "@1"]);
    told.push(String::from_utf8_lossy(&gone.stderr).into_owned());
    insta::assert_snapshot!(told.join("\n"), @r"
    process spawn true → 2: error: a process belongs to a workspace, and this folder is in none · hint: name one with `--workspace NAME`, or make one of this folder: `wezterm-parallel workspace create NAME`
    process spawn -w apu true → 4: error: there is no workspace 'apu' · hint: did you mean 'api'?
    process spawn -w api -- /no/such/program → 4: error: there is no program '/no/such/program' (tried /no/such/program) · hint: check the spelling, install it, or give its full path
    process spawn -w api --name a/b true → 2: error: invalid value 'a/b' for '--name <NAME>': `id` contains '/' (1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -) ·  · For more information, try '--help'.
    process stop @7 → 4: error: there is no process '@7' · hint: `wezterm-parallel process list` shows them all, with their ids
    process stop @x → 4: error: there is no process '@x' · hint: `wezterm-parallel process list` shows them all, with their ids
    process restart de → 4: error: there is no process 'de' · hint: did you mean 'dev'?
    process stop dev → 4: error: process '@1' is stopped already · hint: nothing was changed; `process restart` starts it, `process stop --remove` forgets it
    process stop dev --remove --signal NOSE → 4: error: there is no signal 'NOSE' · hint: give a name such as INT, TERM, HUP, KILL, or a number
    process spawn -w api --name dev false → 4: error: workspace 'api' has another process 'dev' already, which is @1 · hint: `wezterm-parallel process stop --remove @1` removes it; choose another name for another one
    process log dev --run 9 → 4: error: process @1 has no run 9 · hint: its last run is 1
    process restart dev → 4: error: several processes have the name 'dev': @1, @2 · hint: name one by its id
    error: invalid value '@1' for '<ID>...': that is a process: `wezterm-parallel process` stops and restarts it

    For more information, try '--help'.
    ");
}
