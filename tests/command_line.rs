//! The real binary against a daemon that follows a script: what goes over the wire, what is printed
//! where, and the exit code.

#[path = "scripted_daemon/claude_tests.rs"]
mod claude_tests;
mod scripted_daemon;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Instant;

use wezterm_parallel::protocol::{Answer, ErrorCode, Event, Message, Permissions, StatusAnswer};

use scripted_daemon::*;

#[test]
fn queue_prints_the_id_alone() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let output = stage.run(&["queue", "-p", "high", "--env", "A=b", "echo hi"]);
    assert_eq!(shown(&output), "1\n--- stderr\n--- exit 0");
    let task = stage.queued().remove(0);
    assert_eq!(
        (task.command.as_deref(), task.priority),
        (Some("echo hi"), Some(150))
    );
    let cwd = stage.home.path().canonicalize().unwrap();
    assert_eq!(task.cwd.map(PathBuf::from), Some(cwd));
    assert_eq!(task.env_add["A"], "b");
    let env = task.env.unwrap();
    assert_eq!(env["PATH"], "/usr/bin:/bin");
    assert!(!env.contains_key("WEZTERM_PARALLEL_TASK"));
}

#[test]
fn queue_takes_an_argv_or_stdin() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    assert!(stage
        .run(&["queue", "--", "ls", "--color", "always"])
        .status
        .success());
    assert!(stage
        .run_with_input(&["queue", "-"], "line one\nline two\n")
        .status
        .success());
    let tasks = stage.queued();
    assert_eq!(tasks[0].argv.as_deref().unwrap(), ["ls", "--color", "always"]);
    assert_eq!(tasks[1].command.as_deref(), Some("line one\nline two"));
}

#[test]
fn queue_takes_options_for_claude() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let rules = "Bash(git log:*, git show:*)";
    for arguments in [
        &[
            "queue",
            "--model",
            "opus",
            "--allowed-tools",
            rules,
            "--ask",
            "fix it",
        ][..],
        &["queue", "--continue-from", "7", "--fork", "go on"],
        &["queue", "-s", "make test"],
        &["queue", "plain"],
    ] {
        let output = stage.run(arguments);
        assert!(output.status.success(), "{}", shown(&output));
    }
    let tasks = stage.queued();
    let claude = tasks[0].claude.as_deref().unwrap();
    assert_eq!(claude.model.as_deref(), Some("opus"));
    assert_eq!(claude.allowed_tools.as_deref().unwrap(), [rules]);
    assert_eq!(claude.permissions, Some(Permissions::Ask));
    let claude = tasks[1].claude.as_deref().unwrap();
    assert_eq!((claude.continue_from.as_deref(), claude.fork), (Some("7"), true));
    assert_eq!(
        (tasks[2].worker.as_deref(), &tasks[2].claude),
        (Some("shell"), &None)
    );
    assert_eq!((&tasks[3].worker, &tasks[3].claude), (&None, &None));
}

#[test]
fn several_words_are_no_prompt() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    insta::assert_snapshot!(shown(&stage.run(&["queue", "make", "test"])), @r"
    --- stderr
    error: a prompt is one argument, and `make test` is several
    hint: write `queue 'make test'` for a prompt, `queue --shell 'make test'` for a shell line, or `queue -- make test` for a program with its arguments
    --- exit 2
    ");
    assert_eq!(stage.heard(), []);
}

#[test]
fn a_refusal_is_exit_code_4() {
    let stage = Stage::new(|_, _| Reply::Say(vec![refusal(ErrorCode::Conflict, "the id a was used")]));
    let output = stage.run(&["queue", "--id", "a", "true"]);
    assert_eq!(
        shown(&output),
        "--- stderr\nerror: the id a was used\nhint: do otherwise\n--- exit 4"
    );
}

#[test]
fn no_daemon_is_exit_code_3() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    std::fs::remove_file(stage.home.path().join("socket")).unwrap();
    for arguments in [&["status"][..], &["shutdown"], &["cancel", "7"]] {
        assert_eq!(stage.run(arguments).status.code(), Some(3), "{arguments:?}");
    }
}

#[test]
fn commands_without_a_daemon_need_none() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["config", "show"],
        &["config", "show", "--default"],
        &["config", "path"],
        &["service", "install", "--print"],
        &["--version"],
        &["queue", "--help"],
    ] {
        let output = stage.run(arguments);
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
    assert_eq!(stage.heard(), []);
}

#[test]
fn a_wrong_line_queues_nothing() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let input = "true\n{\"command\":\"true\",\"priority\":300}\n";
    let output = stage.run_with_input(&["batch", "-"], input);
    insta::assert_snapshot!(shown(&output), @r"
    --- stderr
    error: stdin:2:32: `priority` of `TaskQueue` must be a whole number from 0 to 255, not 300
    hint: docs/protocol.md shows `TaskQueue` with all its fields; nothing was queued
    --- exit 2
    ");
    assert_eq!(stage.heard(), []);
}

#[test]
fn an_unknown_dependency_queues_nothing() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let output = stage.run_with_input(
        &["batch", "-"],
        "{\"command\":\"true\",\"after\":[\"gone:any\"]}\n",
    );
    insta::assert_snapshot!(shown(&output), @r"
    --- stderr
    error: stdin:1:1: `after` names gone, which is neither in this batch nor in the queue
    hint: `wezterm-parallel status` lists the tasks; nothing was queued
    --- exit 2
    ");
    assert_eq!(stage.queued(), []);
}

#[test]
fn an_unknown_profile_queues_nothing() {
    let stage = Stage::new(|message, _| {
        Reply::Say(vec![match message {
            Message::Check(task) if task.worker.as_deref() == Some("nobody") => {
                refusal(ErrorCode::UnknownWorker, "there is no worker profile nobody")
            }
            other => obliging(other),
        }])
    });
    let lines =
        "{\"argv\":[\"ls\"]}\n{\"argv\":[\"ls\",\"-l\"]}\n{\"command\":\"x\",\"worker\":\"nobody\"}\n";
    let output = stage.run_with_input(&["batch", "-"], lines);
    assert_eq!(
        shown(&output),
        "--- stderr\nerror: stdin:3:1: there is no worker profile nobody\n\
         hint: do otherwise; nothing was queued\n--- exit 2"
    );
    // What the daemon would judge alike is asked once.
    assert_eq!(stage.heard().len(), 2);
}

#[test]
fn a_missing_default_worker_queues_nothing() {
    let stage = Stage::new(|message, _| {
        Reply::Say(vec![match message {
            Message::Check(task) if task.worker.is_none() && task.argv.is_none() => {
                refusal(ErrorCode::MissingProgram, "there is no program 'claude'")
            }
            other => obliging(other),
        }])
    });
    let output = stage.run_with_input(&["batch", "-"], "fix it\nthen fix that\n");
    assert_eq!(
        shown(&output),
        "--- stderr\nerror: stdin:1:1: there is no program 'claude'\n\
         hint: do otherwise; nothing was queued\n--- exit 2"
    );
    assert_eq!(stage.queued(), []);
    let output = stage.run_with_input(&["batch", "--shell", "-"], "make a\n{\"argv\":[\"ls\"]}\n");
    assert!(output.status.success(), "{}", shown(&output));
    let tasks = stage.queued();
    let workers: Vec<_> = tasks.iter().map(|task| task.worker.as_deref()).collect();
    assert_eq!(workers, [Some("shell"), None]);
}

#[test]
fn a_batch_goes_in_the_order_of_its_dependencies() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let input =
        "{\"command\":\"second\",\"after\":[\"one\"]}\nthird\n{\"id\":\"one\",\"command\":\"first\"}\n\
                 {\"id\":\"11\",\"command\":\"its own number\",\"env\":{}}\n";
    let output = stage.run_with_input(&["batch", "-"], input);
    assert_eq!(
        shown(&output),
        "10\n12\none\n11\n--- stderr\nqueued 4 tasks: 10 12 one 11\n--- exit 0"
    );
    let tasks = stage.queued();
    let commands: Vec<_> = tasks.iter().filter_map(|task| task.command.as_deref()).collect();
    assert_eq!(commands, ["third", "first", "second", "its own number"]);
    let environments: Vec<_> = tasks.iter().map(|task| task.env_ref.as_deref()).collect();
    assert_eq!(environments, [Some("00ff"), Some("00ff"), Some("00ff"), None]);
}

#[test]
fn a_batch_survives_a_broken_connection() {
    let mut answered = 0;
    let stage = Stage::new(move |message, _| {
        if matches!(message, Message::TaskQueue(_)) {
            answered += 1;
            if answered == 3 || answered == 6 {
                return Reply::HangUp;
            }
        }
        Reply::Say(vec![obliging(message)])
    });
    let output = stage.run_with_input(&["batch", "--quiet", "-"], "a\nb\nc\nd\ne\nf\n");
    assert_eq!(shown(&output), "--- stderr\n--- exit 0");
    let mut sent: Vec<_> = stage
        .queued()
        .into_iter()
        .map(|task| (task.id, task.command.unwrap()))
        .collect();
    sent.sort();
    sent.dedup();
    let ids = ["10", "11", "12", "13", "14", "15"].map(String::from);
    let commands = ["a", "b", "c", "d", "e", "f"].map(String::from);
    assert_eq!(sent, ids.into_iter().zip(commands).collect::<Vec<_>>());
}

#[test]
fn wait_tells_by_its_exit_code_how_it_went() {
    let stage = Stage::new(|message, say| match message {
        Message::Subscribe(subscribe) => {
            let folder = PathBuf::from("/nowhere");
            let tasks = subscribe.ids.iter().filter(|id| *id != "gone");
            say(status(
                tasks
                    .map(|id| task(id, "running", vec![attempt(1, &folder, None)]))
                    .collect(),
            ));
            say(event(task(
                "good",
                "succeeded",
                vec![attempt(1, &folder, Some(0))],
            )));
            say(event(task("bad", "failed", vec![attempt(1, &folder, Some(3))])));
            Reply::Say(Vec::new())
        }
        other => Reply::Say(vec![obliging(other)]),
    });
    assert_eq!(shown(&stage.run(&["wait", "good"])), "--- stderr\n--- exit 0");
    assert_eq!(
        shown(&stage.run(&["wait", "good", "bad"])),
        "--- stderr\ntask bad: failed (exit 3) (wezterm-parallel log bad)\n--- exit 1"
    );
    assert_eq!(
        shown(&stage.run(&["wait", "good", "gone"])),
        "--- stderr\nerror: there is no task gone\nhint: `wezterm-parallel status` lists the tasks\n--- exit 4"
    );
}

#[test]
fn wait_survives_a_restart_of_the_daemon() {
    let mut times = 0;
    let stage = Stage::new(move |_, _| {
        times += 1;
        let folder = PathBuf::from("/nowhere");
        match times {
            1 => Reply::Say(vec![
                status(vec![task("7", "running", vec![attempt(1, &folder, None)])]),
                Answer::Event(Event::Lagged { dropped: 3 }),
            ]),
            2 | 3 => Reply::HangUp,
            _ => Reply::Say(vec![status(vec![task(
                "7",
                "succeeded",
                vec![attempt(1, &folder, Some(0))],
            )])]),
        }
    });
    let output = stage.run(&["wait", "7"]);
    assert_eq!(shown(&output), "--- stderr\n--- exit 0");
}

#[test]
fn ctrl_c_ends_the_waiting_only() {
    let stage = Stage::new(|_, _| Reply::Say(vec![status(vec![task("7", "queued", vec![])])]));
    let mut command = stage.command(&["wait", "7"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let begun = Instant::now();
    while !catches_sigint(child.id()) {
        assert!(begun.elapsed() < DEADLINE, "it does not watch for Ctrl-C");
        std::thread::yield_now();
    }
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        shown(&output),
        "--- stderr\nerror: interrupted; task 7 goes on\n--- exit 130"
    );
}

/// Whether the process has a handler for SIGINT, the second signal.
fn catches_sigint(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 0b10 != 0)
}

#[test]
fn follow_shows_everything_across_attempts() {
    let outputs = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = (1..=2).map(|n| outputs.path().join(n.to_string())).collect();
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::write(folders[0].join("output"), "first half, ").unwrap();
    let (one, two) = (folders[0].clone(), folders[1].clone());
    let stage = Stage::new(move |_, say| {
        say(status(vec![task("7", "running", vec![attempt(1, &one, None)])]));
        let mut file = std::fs::File::options()
            .append(true)
            .open(one.join("output"))
            .unwrap();
        file.write_all(b"second half\n").unwrap();
        let failed = attempt(1, &one, Some(1));
        say(event(task("7", "queued", vec![failed.clone()])));
        std::fs::write(two.join("output"), "again\n").unwrap();
        say(event(task(
            "7",
            "running",
            vec![failed.clone(), attempt(2, &two, None)],
        )));
        say(event(task(
            "7",
            "succeeded",
            vec![failed, attempt(2, &two, Some(0))],
        )));
        Reply::Say(Vec::new())
    });
    let output = stage.run(&["follow", "7"]);
    insta::assert_snapshot!(shown(&output), @r"
    first half, second half
    again
    --- stderr
    attempt 1 ended: exit 1
    --- task 7, attempt 2 ---
    --- exit 0
    ");
}

#[test]
fn followed_tasks_are_kept_apart() {
    let outputs = tempfile::tempdir().unwrap();
    let folder = |id: &str| outputs.path().join(id);
    for (id, text) in [("a", "one\ntwo\n"), ("b", "no newline")] {
        std::fs::create_dir(folder(id)).unwrap();
        std::fs::write(folder(id).join("output"), text).unwrap();
    }
    let tasks = vec![
        task("a", "succeeded", vec![attempt(1, &folder("a"), Some(0))]),
        task("b", "failed", vec![attempt(1, &folder("b"), Some(2))]),
    ];
    let stage = Stage::new(move |_, _| Reply::Say(vec![status(tasks.clone())]));
    let output = stage.run(&["follow", "a", "b"]);
    insta::assert_snapshot!(shown(&output), @r"
    [a] one
    [a] two
    [b] no newline
    --- stderr
    task b: failed (exit 2) (wezterm-parallel log b)
    --- exit 1
    ");
    assert_eq!(stage.run(&["follow", "a"]).stdout, b"one\ntwo\n");
    assert_eq!(stage.run(&["follow", "--tail", "1", "a"]).stdout, b"two\n");
}

#[test]
fn log_prints_an_attempts_output() {
    let outputs = tempfile::tempdir().unwrap();
    std::fs::write(outputs.path().join("output"), b"1\n2\n3\n\xff").unwrap();
    std::fs::write(outputs.path().join("stderr"), "apart\n").unwrap();
    let view = task("7", "succeeded", vec![attempt(1, outputs.path(), Some(0))]);
    let stage = Stage::new(move |_, _| Reply::Say(vec![Answer::Task(Box::new(view.clone()))]));
    let output = stage.run(&["log", "7"]);
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"1\n2\n3\n\xff"[..], &b"apart\n"[..])
    );
    assert_eq!(stage.run(&["log", "7", "--tail", "2"]).stdout, b"3\n\xff");
    assert_eq!(stage.run(&["log", "7", "--attempt", "2"]).status.code(), Some(4));
}

#[test]
fn json_is_the_answer_itself() {
    let folder = PathBuf::from("/nowhere");
    let answer = StatusAnswer {
        tasks: vec![task("7", "running", vec![attempt(1, &folder, None)])],
        ..StatusAnswer::default()
    };
    let said = answer.clone();
    let stage = Stage::new(move |_, _| Reply::Say(vec![Answer::Status(said.clone())]));
    let output = stage.run(&["status", "--json", "--color", "always"]);
    assert_eq!(
        serde_json::from_slice::<StatusAnswer>(&output.stdout).unwrap(),
        answer
    );
    let expected = "{\"Status\":{}}";
    assert_eq!(serde_json::to_string(&stage.heard()[0]).unwrap(), expected);
}

#[test]
fn colours_come_when_asked_for() {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let has_escape = |output: &Output| output.stdout.contains(&0x1b);
    assert!(!has_escape(&stage.run(&["status"])));
    assert!(has_escape(&stage.run(&["--color", "always", "status"])));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let many = (0..20_000)
        .map(|n| task(&n.to_string(), "queued", Vec::new()))
        .collect();
    let answer = status(many);
    let stage = Stage::new(move |_, _| Reply::Say(vec![answer.clone()]));
    for arguments in [&["status"][..], &["status", "--json"]] {
        let mut command = stage.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(shown(&output), "--- stderr\n--- exit 0");
    }
}
