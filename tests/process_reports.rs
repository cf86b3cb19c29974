//! What workers and processes report of themselves, who hears of it, and the hooks of Claude Code.

mod process_support;
mod support;

use std::path::PathBuf;

use process_support::{home, output, process, said, spawn, workspace};
use support::{shown, wait_for, wire::Wire};

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
