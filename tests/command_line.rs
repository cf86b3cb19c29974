//! The real binary against a daemon that follows a script: what goes over the wire, what is printed
//! where, and the exit code.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wezterm_parallel::claude::Tokens;
use wezterm_parallel::protocol::{
    decode, encode, Answer, AttemptView, BudgetView, Changed, CostAnswer, CostQuery, CostRow,
    EnvironmentStored, ErrorAnswer, ErrorCode, Event, Ids, Message, Permissions, QuestionView, Reserved,
    Retry, StatusAnswer, StatusUpdate, TaskQueue, TaskView,
};

/// No test takes longer, unless something hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the scripted daemon does about a message.
enum Reply {
    Say(Vec<Answer>),
    /// Closes the connection without an answer.
    HangUp,
}

/// A home of its own, and a daemon that answers as the test says.
struct Stage {
    home: TempDir,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Stage {
    fn new(script: impl FnMut(&Message, &mut dyn FnMut(Answer)) -> Reply + Send + 'static) -> Self {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(home.path().join("socket")).unwrap();
        let script = Arc::new(Mutex::new(script));
        let ear = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, ear) = (Arc::clone(&script), Arc::clone(&ear));
                std::thread::spawn(move || serve(&stream.unwrap(), &script, &ear));
            }
        });
        Self { home, heard }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wezterm-parallel"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("WEZTERM_PARALLEL_TASK", "7")
            .current_dir(self.home.path())
            .args(["--no-autostart", "--socket"])
            .arg(self.home.path().join("socket"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    fn queued(&self) -> Vec<TaskQueue> {
        let tasks = self.heard().into_iter().filter_map(|message| match message {
            Message::TaskQueue(task) => Some(*task),
            _ => None,
        });
        tasks.collect()
    }
}

fn serve<S>(stream: &UnixStream, script: &Mutex<S>, ear: &Mutex<Vec<Message>>)
where
    S: FnMut(&Message, &mut dyn FnMut(Answer)) -> Reply,
{
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let message = decode(line.strip_suffix(b"\n").unwrap_or(&line)).unwrap();
        line.clear();
        ear.lock().unwrap().push(message.clone());
        let mut say = |answer: Answer| {
            let mut bytes = Vec::new();
            encode(&answer, &mut bytes);
            // A client that has seen enough goes away.
            let mut stream = stream;
            let _ = stream.write_all(&bytes);
        };
        match (script.lock().unwrap())(&message, &mut say) {
            Reply::Say(answers) => answers.into_iter().for_each(&mut say),
            Reply::HangUp => {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

/// Queues everything, gives ids from 10 on, knows no other task.
fn obliging(message: &Message) -> Answer {
    match message {
        Message::TaskQueue(task) => Answer::StatusUpdate(StatusUpdate {
            process_id: if task.id.is_empty() {
                "1".into()
            } else {
                task.id.clone()
            },
            status: "Queued".into(),
        }),
        Message::ReserveIds(ids) => Answer::Reserved(Reserved {
            first: 10,
            last: 9 + ids.count,
        }),
        Message::Environment(_) => Answer::Environment(EnvironmentStored { hash: "00ff".into() }),
        Message::Status(_) => Answer::Status(StatusAnswer::default()),
        Message::Check(_) => Answer::Changed(Changed::default()),
        Message::Cancel(cancel) => Answer::Changed(Changed {
            ids: cancel.ids.clone(),
        }),
        other => refusal(ErrorCode::Unsupported, &format!("no script for {other:?}")),
    }
}

fn refusal(code: ErrorCode, message: &str) -> Answer {
    Answer::Error(ErrorAnswer {
        code,
        message: message.into(),
        hint: "do otherwise".into(),
    })
}

fn task(id: &str, state: &str, attempts: Vec<AttemptView>) -> TaskView {
    TaskView {
        id: id.into(),
        state: state.into(),
        worker: "shell".into(),
        command: Some("true".into()),
        reason: (state == "failed").then(|| "exit_code".into()),
        attempts,
        ..TaskView::default()
    }
}

fn attempt(n: u32, folder: &std::path::Path, exit_code: Option<i32>) -> AttemptView {
    AttemptView {
        n,
        outcome: exit_code.map(|code| if code == 0 { "ok" } else { "exit_code" }.into()),
        exit_code,
        started_at_ms: 1_000,
        ended_at_ms: exit_code.map(|_| 2_000),
        folder: folder.to_str().unwrap().into(),
        ..AttemptView::default()
    }
}

fn status(tasks: Vec<TaskView>) -> Answer {
    Answer::Status(StatusAnswer {
        tasks,
        ..StatusAnswer::default()
    })
}

fn event(task: TaskView) -> Answer {
    Answer::Event(Event::Task(Box::new(task)))
}

/// Stdout, stderr and exit code as one text.
fn shown(output: &Output) -> String {
    format!(
        "{}--- stderr\n{}--- exit {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

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

/// A daemon that knows one task and takes answers to its questions.
fn stage_with(view: TaskView) -> Stage {
    Stage::new(move |message, _| {
        Reply::Say(vec![match message {
            Message::Show(_) => Answer::Task(Box::new(view.clone())),
            Message::Status(_) => status(vec![view.clone()]),
            Message::Answer(answer) => Answer::Changed(Changed {
                ids: vec![answer.id.clone()],
            }),
            other => obliging(other),
        }])
    })
}

fn asking(tool: &str, input: serde_json::Value) -> TaskView {
    let mut view = task("7", "waiting", Vec::new());
    view.questions = vec![QuestionView {
        request_id: "r1".into(),
        tool: tool.into(),
        input,
        ..QuestionView::default()
    }];
    view
}

fn answers(stage: &Stage) -> Vec<serde_json::Value> {
    let heard = stage.heard().into_iter();
    heard
        .filter_map(|message| match message {
            Message::Answer(answer) => Some(serde_json::to_value(answer).unwrap()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_permission_is_given_or_not() {
    let stage = stage_with(asking(
        "Bash",
        serde_json::json!({"command": "echo hi > out.txt"}),
    ));
    let output = stage.run(&["answer", "7", "allow"]);
    assert_eq!(
        shown(&output),
        "--- stderr\nallowed Bash: echo hi > out.txt\n--- exit 0"
    );
    let output = stage.run(&["answer", "7", "deny", "--message", "not here", "--request", "r1"]);
    assert_eq!(
        shown(&output),
        "--- stderr\ndenied Bash: echo hi > out.txt\n--- exit 0"
    );
    assert_eq!(
        answers(&stage),
        [
            serde_json::json!({"id": "7", "allow": true, "request_id": "r1"}),
            serde_json::json!({"id": "7", "allow": false, "message": "not here", "request_id": "r1"}),
        ]
    );
}

#[test]
fn a_choice_is_made_by_its_label() {
    let question =
        r#"{"questions":[{"question":"Which?","header":"H","options":[{"label":"A"},{"label":"B"}]}]}"#;
    let stage = stage_with(asking("AskUserQuestion", serde_json::from_str(question).unwrap()));
    let output = stage.run(&["answer", "7", "allow", "--choose", "b"]);
    assert_eq!(shown(&output), "--- stderr\nanswered Which? → B\n--- exit 0");
    let output = stage.run(&["answer", "7", "allow"]);
    assert_eq!(
        shown(&output),
        "--- stderr\nerror: an answer is missing to: Which?\n\
         hint: `wezterm-parallel answer 7 allow --choose A`\n--- exit 2"
    );
    let expected =
        serde_json::json!({"id": "7", "allow": true, "request_id": "r1", "answers": {"Which?": "B"}});
    assert_eq!(answers(&stage), [expected]);
}

#[test]
fn an_answer_needs_a_question() {
    let stage = stage_with(task("7", "running", Vec::new()));
    insta::assert_snapshot!(shown(&stage.run(&["answer", "7", "allow"])), @r"
    --- stderr
    error: task 7 asks nothing: it is running
    hint: `wezterm-parallel status --state waiting` lists the tasks that ask
    --- exit 4
    ");
    insta::assert_snapshot!(shown(&stage.run(&["answer", "7", "allow", "--message", "x"])), @r"
    --- stderr
    error: a message goes with `deny`: a tool that is allowed says nothing to the model
    hint: leave --message out, or deny
    --- exit 2
    ");
    insta::assert_snapshot!(shown(&stage.run(&["answer", "7", "deny", "--choose", "x"])), @r"
    --- stderr
    error: `deny` chooses nothing
    hint: leave --choose out, or allow
    --- exit 2
    ");
    assert!(answers(&stage).is_empty());
    let unknown =
        Stage::new(|_, _| Reply::Say(vec![refusal(ErrorCode::UnknownTask, "there is no task `8`")]));
    assert_eq!(
        shown(&unknown.run(&["answer", "8", "allow"])),
        "--- stderr\nerror: there is no task `8`\nhint: do otherwise\n--- exit 4"
    );
}

#[test]
fn a_waiting_task_shows_its_question() {
    let stage = stage_with(asking(
        "Bash",
        serde_json::json!({"command": "echo hi > out.txt"}),
    ));
    let status = shown(&stage.run(&["status"]));
    assert!(status.contains(" waiting (Bash: echo hi > out.txt) "), "{status}");
    let show = shown(&stage.run(&["show", "7"]));
    for line in [
        "  command: echo hi > out.txt\n",
        "  wezterm-parallel answer 7 allow\n",
        "  wezterm-parallel answer 7 deny --message ",
    ] {
        assert!(show.contains(line), "{show}");
    }
}

#[test]
fn who_waits_for_a_task_hears_its_question() {
    let mut view = asking("Bash", serde_json::json!({"command": "make"}));
    view.attempts = vec![attempt(1, &PathBuf::from("/nowhere"), None)];
    let stage = Stage::new(move |_, say| {
        say(status(vec![view.clone()]));
        say(event(view.clone()));
        say(event(task("7", "cancelled", Vec::new())));
        Reply::Say(Vec::new())
    });
    for command in ["wait", "follow"] {
        assert_eq!(
            shown(&stage.run(&[command, "7"])),
            "--- stderr\ntask 7 asks: Bash: make (wezterm-parallel answer 7 allow, or deny)\ntask 7: cancelled\n--- exit 1",
            "{command}"
        );
    }
}

#[test]
fn costs_are_summed_up() {
    let row = |day: &str, model: &str, cost_usd| CostRow {
        day: day.into(),
        worker: "claude".into(),
        model: model.into(),
        attempts: 1,
        tokens: Tokens {
            input: 1_200,
            output: 34,
            cost_usd,
            ..Tokens::default()
        },
        ..CostRow::default()
    };
    let answer = CostAnswer {
        rows: vec![row("2026-11-21", "opus", 0.0123), row("2026-11-22", "opus", 1.5)],
        budgets: vec![BudgetView {
            limit_usd: 5.0,
            spent_usd: 1.5,
            ..BudgetView::default()
        }],
    };
    let said = answer.clone();
    let stage = Stage::new(move |_, _| Reply::Say(vec![Answer::Cost(said.clone())]));
    insta::assert_snapshot!(shown(&stage.run(&["cost"])), @r"
    DAY            COST  INPUT  OUTPUT  CACHE READ  CACHE WRITE
    2026-11-21  $0.0123   1.2k      34           0            0
    2026-11-22    $1.50   1.2k      34           0            0
    total         $1.51   2.4k      68           0            0

    budget of today: $1.50 of $5.00 spent
    --- stderr
    --- exit 0
    ");
    let json = stage.run(&["cost", "--json", "--since", "2026-11-01"]);
    assert_eq!(
        serde_json::from_slice::<CostAnswer>(&json.stdout).unwrap(),
        answer
    );
    let Message::Cost(CostQuery {
        since_ms: Some(since),
    }) = stage.heard()[1]
    else {
        panic!("{:?}", stage.heard());
    };
    // The test's own time zone is within a day of UTC.
    assert!(since.abs_diff(1_793_491_200_000) <= 86_400_000, "{since}");
}

#[test]
fn a_fresh_start_and_a_login_are_passed_on() {
    let stage = Stage::new(|_, _| Reply::Say(vec![Answer::Changed(Changed::default())]));
    assert!(stage.run(&["retry", "7", "--fresh"]).status.success());
    assert!(stage.run(&["resume", "--worker", "claude"]).status.success());
    let retry = Retry {
        ids: vec!["7".into()],
        fresh: true,
        ..Retry::default()
    };
    let resume = Ids {
        worker: Some("claude".into()),
        ..Ids::default()
    };
    assert_eq!(stage.heard(), [Message::Retry(retry), Message::Resume(resume)]);
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude/2.1.330");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn the_log_of_a_claude_worker_is_for_people() {
    let outputs = tempfile::tempdir().unwrap();
    let bytes = fixture("tool_use.jsonl");
    std::fs::write(outputs.path().join("output"), &bytes).unwrap();
    let view = task("7", "succeeded", vec![attempt(1, outputs.path(), Some(0))]);
    let stage = stage_with(view);
    insta::assert_snapshot!(shown(&stage.run(&["log", "7"])), @r"
    ▸ claude-opus-5-5 in /home/dev/project
    ● Bash(echo hello)
      ⎿ hello
    hi there
    ■ ok · 2 turns · 0.2 s · 200 in / 40 out · $0.0016
    --- stderr
    --- exit 0
    ");
    assert_eq!(stage.run(&["log", "7", "--raw"]).stdout, bytes);
    insta::assert_snapshot!(shown(&stage.run(&["log", "7", "--tail", "2"])), @r"
    hi there
    ■ ok · 2 turns · 0.2 s · 200 in / 40 out · $0.0016
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(shown(&stage.run(&["log", "7", "--result"])), @r"
    hi there
    --- stderr
    --- exit 0
    ");
    let colored = stage.run(&["--color", "always", "log", "7"]);
    assert!(colored.stdout.contains(&0x1b));
}

#[test]
fn a_run_that_was_cut_off_has_no_final_answer() {
    let outputs = tempfile::tempdir().unwrap();
    let bytes = fixture("tool_use.jsonl");
    std::fs::write(outputs.path().join("output"), &bytes[..bytes.len() - 40]).unwrap();
    let ended = task("7", "failed", vec![attempt(1, outputs.path(), Some(143))]);
    let stage = stage_with(ended);
    let log = String::from_utf8(stage.run(&["log", "7"]).stdout).unwrap();
    let last = log.lines().last().unwrap();
    assert_eq!(
        last,
        "… the output ends in the middle of an event; --raw shows it …"
    );
    let raw = stage.run(&["log", "7", "--raw"]).stdout;
    assert_eq!(raw, bytes[..bytes.len() - 40]);
    insta::assert_snapshot!(shown(&stage.run(&["log", "7", "--result"])), @r"
    --- stderr
    error: attempt 1 of task 7 gave no final answer
    hint: `wezterm-parallel log 7` shows what there is
    --- exit 4
    ");
    let running = stage_with(task("7", "running", vec![attempt(1, outputs.path(), None)]));
    let log = String::from_utf8(running.run(&["log", "7"]).stdout).unwrap();
    assert!(!log.contains("{\""), "a line in the making is not shown: {log}");
}

#[test]
fn claude_is_followed_as_it_writes() {
    let outputs = tempfile::tempdir().unwrap();
    let folder = outputs.path().to_owned();
    let bytes = fixture("tool_use.jsonl");
    let whole = bytes.clone();
    let stage = Stage::new(move |_, say| {
        let mut running = attempt(1, &folder, None);
        running.session_id = Some("5e55".into());
        std::fs::write(folder.join("output"), "").unwrap();
        say(status(vec![task("7", "running", vec![running])]));
        let mut file = std::fs::File::options()
            .append(true)
            .open(folder.join("output"))
            .unwrap();
        for piece in bytes.chunks(97) {
            file.write_all(piece).unwrap();
        }
        say(event(task("7", "succeeded", vec![attempt(1, &folder, Some(0))])));
        Reply::Say(Vec::new())
    });
    let followed = stage.run(&["follow", "7"]);
    let logged =
        stage_with(task("7", "succeeded", vec![attempt(1, outputs.path(), Some(0))])).run(&["log", "7"]);
    assert_eq!(shown(&followed), shown(&logged));
    assert_eq!(stage.run(&["follow", "--raw", "7"]).stdout, whole);
    let tail = stage.run(&["follow", "--tail", "1", "7"]).stdout;
    assert!(logged.stdout.ends_with(&tail) && !tail.is_empty());
}

#[test]
fn claude_and_others_are_followed_together() {
    let outputs = tempfile::tempdir().unwrap();
    let folder = |id: &str| outputs.path().join(id);
    for (id, bytes) in [
        ("a", fixture("success.jsonl")),
        ("b", b"{\"plain\":1}\nshell".to_vec()),
    ] {
        std::fs::create_dir(folder(id)).unwrap();
        std::fs::write(folder(id).join("output"), bytes).unwrap();
    }
    let tasks = vec![
        task("a", "succeeded", vec![attempt(1, &folder("a"), Some(0))]),
        task("b", "succeeded", vec![attempt(1, &folder("b"), Some(0))]),
    ];
    let stage = Stage::new(move |_, _| Reply::Say(vec![status(tasks.clone())]));
    insta::assert_snapshot!(shown(&stage.run(&["follow", "a", "b"])), @r#"
    [a] ▸ claude-opus-5-5 in /home/dev/project
    [a] hi there
    [a] ■ ok · 1 turn · 0.2 s · 100 in / 20 out · $0.0008
    [b] {"plain":1}
    [b] shell
    --- stderr
    --- exit 0
    "#);
}

/// What `doctor` says of Claude with this script in the place of the CLI; `None` for no CLI at all.
fn doctors_words(script: Option<&str>, key: Option<&str>) -> String {
    let stage = Stage::new(|message, _| Reply::Say(vec![obliging(message)]));
    let programs = stage.home.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    if let Some(script) = script {
        let path = programs.join("claude");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = stage.command(&["doctor"]);
    command.env("PATH", &programs).env("CLAUDECODE", "1");
    if let Some(key) = key {
        command.env("ANTHROPIC_API_KEY", key);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(key.is_none_or(|key| !text.contains(key)), "{text}");
    let lines = text.lines().filter(|line| line.contains("  claude  "));
    let words: Vec<&str> = lines.collect();
    words
        .join("\n")
        .replace(stage.home.path().to_str().unwrap(), "[home]")
}

#[test]
fn doctor_looks_at_claude() {
    let answers = |status: &str| {
        format!(
            "case $1 in --version) echo '2.1.330 (Claude Code)' ;; auth) {status} ;; esac; \
             test -z \"$CLAUDECODE\""
        )
    };
    let login = r#"echo '{"loggedIn":true,"authMethod":"claude.ai","email":"me@example.org"}'"#;
    let none = r#"echo '{"loggedIn":false,"authMethod":"none"}'; exit 1"#;
    let shown = [
        doctors_words(Some(&answers(login)), None),
        doctors_words(Some(&answers(none)), None),
        doctors_words(Some(&answers(none)), Some("sk-secret")),
        doctors_words(Some(&answers("exit 2")), None),
        doctors_words(Some("exit 2"), None),
        doctors_words(None, None),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r"
    ok    claude    profile claude: [home]/bin/claude, 2.1.330 (Claude Code), logged in (claude.ai)
    warn  claude    profile claude: [home]/bin/claude, 2.1.330 (Claude Code), not logged in: start `claude` and type /login
    ok    claude    profile claude: [home]/bin/claude, 2.1.330 (Claude Code), API key from the environment
    warn  claude    profile claude: [home]/bin/claude, 2.1.330 (Claude Code), the login cannot be told: `auth status` says nothing that can be read
    warn  claude    profile claude: [home]/bin/claude --version fails
    warn  claude    profile claude: there is no program claude: install Claude Code (npm install -g @anthropic-ai/claude-code), or name it as `binary` in [workers.claude]
    ");
}
