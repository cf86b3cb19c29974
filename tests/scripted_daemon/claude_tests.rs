//! What the command line says of Claude: its questions, its costs, its log, and what doctor finds.

use std::io::Write as _;
use std::path::PathBuf;

use wezterm_parallel::claude::Tokens;
use wezterm_parallel::protocol::{
    Answer, BudgetView, Changed, CostAnswer, CostQuery, CostRow, ErrorCode, Ids, Message, QuestionView,
    Retry, TaskView,
};

use crate::scripted_daemon::*;

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
