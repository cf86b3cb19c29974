//! Claude workers in the engine: the executor is a fake, the output is what the real CLI prints.

use std::time::{Duration, Instant};

use serde_json::{json, Value};
use wezterm_parallel_scheduler::{State, TaskKey};

use super::tests::{code, config, ids, Stage};
use super::*;
use crate::executor::{Exit, FakeHandle, Found, Launch, StopCause};
use crate::protocol::{
    Answer, AnswerQuestion, ClaudeOptions, CostQuery, ErrorCode, ExplanationView, Ids, Message, OneTask,
    Permissions, Retry, TaskQueue,
};

/// Long enough for a loaded machine; a test that hits it has failed.
const DEADLINE: Duration = Duration::from_secs(30);
const ASKED: &str = "question_open";

/// Claude profiles as quick as tests want them; the CLI itself is never run.
fn quick() -> Config {
    let mut config = config("2");
    config.quota.jitter = Duration::ZERO;
    config.quota.ramp_step = Duration::ZERO;
    let claude = claude_of(&mut config);
    claude.binary = Some("true".to_owned());
    claude.retry_delay = Some(Duration::from_millis(1));
    claude.retry_max_delay = Some(Duration::from_millis(1));
    config
}

/// The profile `claude` of a config.
fn claude_of(config: &mut Config) -> &mut crate::config::WorkerConfig {
    config.workers.get_mut("claude").expect("the profile")
}

/// Trouble is waited out for longer than a test lasts.
fn slow() -> Config {
    let mut config = quick();
    let claude = claude_of(&mut config);
    claude.retry_delay = Some(Duration::from_secs(60));
    claude.retry_max_delay = Some(Duration::from_secs(60));
    config
}

fn stage_with(config: Config) -> Stage {
    Stage::open_with(tempfile::tempdir().expect("a folder"), config, |_| {})
}

fn stage() -> Stage {
    stage_with(quick())
}

fn prompt(text: &str, claude: Option<ClaudeOptions>) -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        command: Some(text.to_owned()),
        worker: Some("claude".to_owned()),
        cwd: Some("/".to_owned()),
        claude: claude.map(Box::new),
        ..TaskQueue::default()
    }))
}

fn shell() -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        ..TaskQueue::default()
    }))
}

fn fixture(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/tests/fixtures/claude/2.1.330/{name}.jsonl")).expect("a fixture")
}

impl Stage {
    /// Queues a task: its number.
    fn queue(&mut self, message: Message) -> u64 {
        match self.ask_one(message) {
            Answer::StatusUpdate(update) => update.process_id.parse().expect("a number"),
            other => panic!("{other:?}"),
        }
    }

    /// The one launch since the last call.
    fn launch(&mut self) -> Launch {
        let mut launches = self.handle.take_launches();
        assert_eq!(launches.len(), 1, "{launches:?}");
        launches.remove(0)
    }

    /// The worker prints this.
    fn print(&self, launch: &Launch, text: &str) {
        std::fs::create_dir_all(&launch.folder).expect("the attempt's folder");
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(launch.folder.join("output"));
        std::io::Write::write_all(&mut output.expect("the output"), text.as_bytes()).expect("written");
    }

    /// The worker prints this and ends.
    fn finish(&mut self, launch: &Launch, text: &str, exit_code: i32) {
        self.print(launch, text);
        self.handle.end_with_code(launch.id, exit_code);
        self.until("the judgement", |stage| {
            let attempts = &stage.engine.store.get(launch.id.key)?.attempts;
            attempts
                .iter()
                .find(|attempt| attempt.attempt == launch.id.attempt)?
                .outcome
                .clone()
        });
    }

    /// Plays rounds as they come until the condition holds.
    fn until<T>(&mut self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.expect("a runtime");
        let begin = Instant::now();
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            assert!(begin.elapsed() < DEADLINE, "waited in vain: {what}");
            let round = runtime.block_on(self.engine.next_round());
            self.engine.play(round);
        }
    }

    fn until_state(&mut self, key: u64, state: State) {
        self.until(state.name(), |stage| {
            (stage.engine.scheduler.state(TaskKey(key)) == Some(state)).then_some(())
        });
    }

    fn until_launch(&mut self) -> Launch {
        let launches = self.until("a launch", |stage| {
            Some(stage.handle.take_launches()).filter(|launches| !launches.is_empty())
        });
        assert_eq!(launches.len(), 1, "{launches:?}");
        launches.into_iter().next().expect("one")
    }

    fn gates(&mut self, key: u64) -> Vec<(String, String)> {
        let explained = self.ask_one(Message::Explain(OneTask { id: key.to_string() }));
        let Answer::Explanation(ExplanationView { gates, .. }) = explained else {
            panic!("{explained:?}");
        };
        gates.into_iter().map(|gate| (gate.gate, gate.message)).collect()
    }

    /// Stops the engine and starts another one on the same journal.
    fn restart(self, config: Config, found: impl Fn(&FakeHandle)) -> Self {
        let Self { engine, folder, .. } = self;
        drop(engine);
        Self::open_with(folder, config, found)
    }
}

fn argument<'a>(launch: &'a Launch, flag: &str) -> Option<&'a str> {
    let at = launch.argv.iter().position(|argument| argument == flag)?;
    launch.argv.get(at + 1).map(String::as_str)
}

/// The fixture of a reached limit, with a reset of our own.
fn limited(resets_in_s: u64) -> String {
    let reset = jiff::Timestamp::now().as_second().cast_unsigned() + resets_in_s;
    let patched = fixture("usage_limit_after_tool")
        .lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).expect("an event");
            if event["rate_limit_info"]["status"] == json!("rejected") {
                event["rate_limit_info"]["resetsAt"] = json!(reset);
            }
            format!("{event}\n")
        })
        .collect();
    patched
}

#[test]
fn the_session_is_chosen_and_journaled_before_the_start_and_told_in_the_arguments() {
    let mut stage = stage();
    let options = ClaudeOptions {
        model: Some("opus".to_owned()),
        allowed_tools: Some(vec!["Bash(git *)".to_owned(), "Edit".to_owned()]),
        max_turns: Some(3),
        max_budget_usd: Some(0.5),
        ..ClaudeOptions::default()
    };
    let key = stage.queue(prompt("-fix it", Some(options)));
    let launch = stage.launch();
    let session = argument(&launch, "--session-id").expect("a session").to_owned();
    assert_eq!(
        stage.task(&key.to_string()).attempts[0].session_id,
        Some(session.clone())
    );
    assert_eq!(launch.stdin.as_deref(), Some("-fix it"));
    assert!(!launch.argv.iter().any(|argument| argument.contains("fix it")));
    for wanted in [
        "--model=opus",
        "--allowed-tools=Bash(git *)",
        "--allowed-tools=Edit",
        "--max-turns=3",
        "--max-budget-usd=0.5",
    ] {
        assert!(
            launch.argv.iter().any(|argument| argument == wanted),
            "{wanted}: {:?}",
            launch.argv
        );
    }
    let id = launch.id;
    let mut stage = stage.restart(quick(), |handle| handle.will_find(id, Found::Running));
    assert_eq!(stage.task(&key.to_string()).attempts[0].session_id, Some(session));
    stage.finish(&launch, &fixture("success"), 0);
    stage.until_state(key, State::Succeeded);
    let attempt = stage.task(&key.to_string()).attempts.remove(0);
    assert_eq!(
        (attempt.outcome.as_deref(), attempt.cost_usd),
        (Some("ok"), Some(0.0008))
    );
    assert_eq!(attempt.tokens["claude-opus-5-5"].input, 100);
    stage.handle.assert_empty();
}

#[test]
fn a_reached_limit_closes_the_account_and_the_same_session_goes_on_after_it() {
    let mut stage = stage();
    let key = stage.queue(prompt("a long piece of work", None));
    let first = stage.launch();
    stage.finish(&first, &limited(2), 1);
    let task = stage.task(&key.to_string());
    assert_eq!(
        (task.state.as_str(), task.reason.as_deref(), task.retries_used),
        ("queued", Some("limited"), 0)
    );
    let second = stage.queue(prompt("another", None));
    assert_eq!(stage.gates(second)[0].0, "quota");
    assert!(
        stage.gates(key)[0].1.contains("five hour"),
        "{:?}",
        stage.gates(key)
    );
    // Other lanes go on.
    stage.queue(shell());
    let beside = stage.launch();
    assert_eq!(beside.argv[0], "sh");
    stage.handle.end_with_code(beside.id, 0);
    // One at first, and the one that came first.
    let again = stage.until_launch();
    assert_eq!(again.id.key, TaskKey(key));
    assert_eq!(argument(&again, "--resume"), argument(&first, "--session-id"));
    assert!(again
        .stdin
        .as_deref()
        .unwrap_or_default()
        .contains("Continue where you left off"));
    assert_eq!(stage.handle.take_launches().len(), 0);
    // Once the service has answered it, more follow.
    stage.print(&again, &fixture("success"));
    let other = stage.until_launch();
    assert_eq!(other.id.key, TaskKey(second));
}

#[test]
fn a_limit_holds_through_a_restart() {
    let mut stage = stage();
    stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.finish(&launch, &limited(3600), 1);
    let mut stage = stage.restart(quick(), |_| {});
    assert_eq!(stage.gates(1)[0].0, "quota");
    assert_eq!(stage.handle.take_launches(), []);
}

#[test]
fn a_refused_login_holds_the_profile_and_fails_nothing() {
    let mut stage = stage();
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.finish(&launch, &fixture("invalid_api_key"), 1);
    let (gate, message) = stage.gates(key).remove(0);
    assert_eq!(gate, "auth");
    assert!(
        message.contains("Invalid API key") && message.contains("resume --worker claude"),
        "{message}"
    );
    let resume = |worker: &str| {
        Message::Resume(Ids {
            worker: Some(worker.to_owned()),
            ..Ids::default()
        })
    };
    assert_eq!(code(&stage.ask_one(resume("shell"))), Some(ErrorCode::WrongState));
    assert_eq!(
        code(&stage.ask_one(resume("cluade"))),
        Some(ErrorCode::UnknownWorker)
    );
    assert!(matches!(stage.ask_one(resume("claude")), Answer::Changed(_)));
    assert_eq!(stage.launch().id.attempt, 2);
    assert_eq!(stage.task(&key.to_string()).retries_used, 0);
}

#[test]
fn trouble_of_the_api_is_waited_out_in_the_same_session_until_patience_is_over() {
    let mut config = quick();
    claude_of(&mut config).patience = Some(Duration::ZERO);
    let mut stage = stage_with(config);
    let key = stage.queue(prompt("work", None));
    let first = stage.launch();
    stage.finish(&first, &fixture("overloaded"), 1);
    // The first time is no streak yet.
    let second = stage.until_launch();
    assert_eq!(argument(&second, "--resume"), argument(&first, "--session-id"));
    let began = stage.engine.clock.now();
    stage.until("the next millisecond", |stage| {
        (stage.engine.clock.now() > began).then_some(())
    });
    stage.finish(&second, &fixture("server_error"), 1);
    let task = stage.task(&key.to_string());
    assert_eq!(
        (task.state.as_str(), task.reason.as_deref()),
        ("failed", Some("api_error"))
    );
    assert!(task.attempts[1]
        .message
        .as_deref()
        .unwrap_or_default()
        .contains("500"));
}

#[test]
fn a_question_lends_its_slot_and_its_answer_is_handed_on() {
    let mut config = quick();
    config.pool.slots = crate::config::Slots::Count(1);
    config.pool.lend = 1;
    let mut stage = stage_with(config);
    let asking = ClaudeOptions {
        permissions: Some(Permissions::Ask),
        ..ClaudeOptions::default()
    };
    let key = stage.queue(prompt("write it", Some(asking)));
    let launch = stage.launch();
    assert!(
        launch.stdin_open
            && launch
                .argv
                .iter()
                .any(|argument| argument == "--permission-prompt-tool")
    );
    let told: Value = serde_json::from_str(launch.stdin.as_deref().expect("a prompt")).expect("a line");
    assert_eq!(told["message"]["content"], json!("write it"));
    stage.print(&launch, &fixture(ASKED));
    stage.until_state(key, State::Waiting);
    let question = stage.task(&key.to_string()).questions.remove(0);
    assert_eq!(
        (question.tool.as_str(), &question.input["command"]),
        ("Bash", &json!("echo hi > out.txt"))
    );
    stage.queue(shell());
    assert_eq!(stage.launch().argv[0], "sh");
    let answer = |id: &str, request_id: Option<String>| {
        Message::Answer(AnswerQuestion {
            id: id.to_owned(),
            allow: true,
            request_id,
            ..AnswerQuestion::default()
        })
    };
    assert_eq!(
        code(&stage.ask_one(answer("2", None))),
        Some(ErrorCode::WrongState)
    );
    let wrong = stage.ask_one(answer("1", Some("nobody".to_owned())));
    assert_eq!(code(&wrong), Some(ErrorCode::WrongState));
    assert!(matches!(stage.ask_one(answer("1", None)), Answer::Changed(_)));
    let (fed, line) = stage.handle.take_feeds().remove(0);
    let line: Value = serde_json::from_slice(&line).expect("a line");
    assert_eq!(fed, launch.id);
    assert_eq!(line["response"]["response"]["behavior"], json!("allow"));
    assert_eq!(line["response"]["request_id"], json!(question.request_id));
    assert_eq!(stage.engine.scheduler.state(TaskKey(key)), Some(State::Running));
    // The input is closed after the last turn, and not before.
    assert_eq!(stage.handle.take_closed_inputs(), []);
    let end = fixture("success");
    stage.print(
        &launch,
        end.lines()
            .last()
            .map(|line| format!("{line}\n"))
            .expect("a result")
            .as_str(),
    );
    stage.until("the closed input", |stage| {
        (stage.handle.take_closed_inputs() == [launch.id]).then_some(())
    });
}

#[test]
fn a_question_outlives_the_daemon_and_an_answer_is_not_asked_for_twice() {
    let mut stage = stage();
    let asking = ClaudeOptions {
        permissions: Some(Permissions::Ask),
        ..ClaudeOptions::default()
    };
    let key = stage.queue(prompt("write it", Some(asking)));
    let launch = stage.launch();
    stage.print(&launch, &fixture(ASKED));
    stage.until_state(key, State::Waiting);
    let running = |handle: &FakeHandle| handle.will_find(launch.id, Found::Running);
    let mut stage = stage.restart(quick(), running);
    let question = stage.until("the question", |stage| {
        Engine::questions_of(&stage.engine.questions, TaskKey(key)).pop()
    });
    assert_eq!(stage.task(&key.to_string()).state, "waiting");
    // The answer was written, and the daemon died before it could say so in the journal.
    let line = crate::claude::deny_line(&question.request_id, "no");
    std::fs::write(launch.folder.join("stdin"), line).expect("written");
    let mut stage = stage.restart(quick(), running);
    stage.until_state(key, State::Running);
    assert_eq!(stage.task(&key.to_string()).questions, []);
}

#[test]
fn silence_is_ended_and_the_session_goes_on() {
    let mut config = quick();
    claude_of(&mut config).stall_timeout = Some(Duration::from_millis(1));
    let mut stage = stage_with(config);
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    let begun = fixture("success");
    let begun = format!("{}\n", begun.lines().next().expect("a line"));
    stage.print(&launch, &begun);
    let (id, plan) = stage.until("the stop", |stage| stage.handle.take_stops().pop());
    assert_eq!(
        (id, plan.signal, plan.then),
        (launch.id, libc::SIGINT, Some(libc::SIGTERM))
    );
    let exit = Exit {
        exit_code: Some(0),
        stopped: Some(StopCause::Request),
        ..Exit::default()
    };
    stage.handle.end(launch.id, exit);
    let again = stage.until_launch();
    assert_eq!(argument(&again, "--resume"), argument(&launch, "--session-id"));
    let task = stage.task(&key.to_string());
    assert_eq!(
        (task.attempts[0].outcome.as_deref(), task.retries_used),
        (Some("stalled"), 0)
    );
}

#[test]
fn a_task_left_in_the_background_does_not_make_a_finished_run_a_stalled_one() {
    let mut config = quick();
    claude_of(&mut config).stall_timeout = Some(Duration::from_millis(1));
    let mut stage = stage_with(config);
    let key = stage.queue(prompt("start the server", None));
    let launch = stage.launch();
    let run = fixture("background_task_two_results");
    let first_result = run
        .lines()
        .position(|line| line.contains("result_index"))
        .expect("a result");
    let begun: Vec<&str> = run.lines().take(first_result + 1).collect();
    stage.print(&launch, &format!("{}\n", begun.join("\n")));
    stage.until("the stop", |stage| stage.handle.take_stops().pop());
    let exit = Exit {
        signal: Some(libc::SIGKILL),
        stopped: Some(StopCause::Request),
        ..Exit::default()
    };
    stage.handle.end(launch.id, exit);
    stage.until_state(key, State::Succeeded);
    let attempt = stage.task(&key.to_string()).attempts.remove(0);
    assert_eq!(attempt.outcome.as_deref(), Some("ok"));
    assert!(attempt.message.expect("a word on it").contains("background"));
}

#[test]
fn a_cancel_is_a_cancel_whatever_the_worker_says_last() {
    let mut stage = stage();
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.ask_one(Message::Cancel(crate::protocol::Cancel {
        ids: ids(&["1"]),
        ..crate::protocol::Cancel::default()
    }));
    assert_eq!(stage.handle.take_stops().len(), 1);
    stage.finish(&launch, &limited(60), 1);
    assert_eq!(stage.task(&key.to_string()).state, "cancelled");
}

#[test]
fn two_tasks_of_one_session_take_turns_and_a_fork_has_its_own() {
    let mut stage = stage();
    let first = stage.queue(prompt("one", None));
    let launch = stage.launch();
    let session = argument(&launch, "--session-id").expect("a session").to_owned();
    let continuing = |fork| ClaudeOptions {
        continue_from: Some("1".to_owned()),
        fork,
        ..ClaudeOptions::default()
    };
    let second = stage.queue(prompt("two", Some(continuing(false))));
    let gates = stage.gates(second);
    let session_gate = gates.iter().find(|(gate, _)| gate == "session");
    assert!(
        session_gate.is_some_and(|(_, message)| message.contains("task 1")),
        "{gates:?}"
    );
    stage.finish(&launch, &fixture("success"), 0);
    let next = stage.until_launch();
    assert_eq!(next.id.key, TaskKey(second));
    assert_eq!(argument(&next, "--resume"), Some(session.as_str()));
    assert_eq!(next.stdin.as_deref(), Some("two"));
    stage.queue(prompt("three", Some(continuing(true))));
    stage.finish(&next, &fixture("success"), 0);
    let fork = stage.until_launch();
    assert_eq!(argument(&fork, "--resume"), Some(session.as_str()));
    assert!(fork.argv.iter().any(|argument| argument == "--fork-session"));
    assert_ne!(argument(&fork, "--session-id"), Some(session.as_str()));
    assert_eq!(stage.task(&first.to_string()).state, "succeeded");
}

#[test]
fn a_task_can_continue_one_that_has_not_begun() {
    let mut config = quick();
    config.pool.slots = crate::config::Slots::Count(1);
    let mut stage = stage_with(config);
    stage.queue(shell());
    let blocker = stage.launch();
    stage.queue(prompt("one", None));
    let options = ClaudeOptions {
        continue_from: Some("2".to_owned()),
        ..ClaudeOptions::default()
    };
    let third = stage.queue(prompt("two", Some(options.clone())));
    assert_eq!(stage.gates(third)[0].0, "dependency");
    stage.handle.end_with_code(blocker.id, 0);
    let launch = stage.until_launch();
    stage.finish(&launch, &fixture("success"), 0);
    let next = stage.until_launch();
    assert_eq!(argument(&next, "--resume"), argument(&launch, "--session-id"));
    // One that ended without ever having run has nothing to continue.
    stage.queue(shell());
    let never = ClaudeOptions {
        continue_from: Some("1".to_owned()),
        ..options
    };
    assert_eq!(
        code(&stage.ask_one(prompt("x", Some(never)))),
        Some(ErrorCode::WrongState)
    );
}

#[test]
fn a_retry_goes_on_or_begins_anew() {
    let mut stage = stage();
    stage.queue(prompt("work", None));
    let first = stage.launch();
    stage.finish(&first, &fixture("max_turns"), 1);
    let retry = |fresh| {
        Message::Retry(Retry {
            ids: ids(&["1"]),
            fresh,
            ..Retry::default()
        })
    };
    stage.ask_one(retry(false));
    let second = stage.launch();
    assert_eq!(argument(&second, "--resume"), argument(&first, "--session-id"));
    stage.finish(&second, &fixture("max_turns"), 1);
    stage.ask_one(retry(true));
    let third = stage.launch();
    assert_ne!(argument(&third, "--session-id"), argument(&first, "--session-id"));
    assert_eq!(third.stdin.as_deref(), Some("work"));
}

#[test]
fn a_start_that_came_to_nothing_leaves_no_session_behind() {
    let mut stage = stage();
    stage.queue(prompt("work", None));
    let first = stage.launch();
    stage.handle.not_started(first.id, "no room");
    let second = stage.until_launch();
    assert!(argument(&second, "--session-id").is_some());
    assert_ne!(
        argument(&second, "--session-id"),
        argument(&first, "--session-id")
    );
    // A session that the CLI cannot find, though it was to be there: the same.
    stage.finish(&second, &fixture("overloaded"), 1);
    let third = stage.until_launch();
    assert!(argument(&third, "--resume").is_some());
    stage.finish(&third, &fixture("resume_unknown_session"), 1);
    let fourth = stage.until_launch();
    assert!(argument(&fourth, "--session-id").is_some());
    assert_eq!(fourth.stdin.as_deref(), Some("work"));
}

#[test]
fn costs_are_kept_when_tasks_go_and_budgets_close_when_they_are_spent() {
    let mut config = quick();
    config.budget.day_usd = Some(1.0);
    let mut stage = stage_with(config.clone());
    let one = stage.queue(prompt("cheap", None));
    let launch = stage.launch();
    assert!(
        launch
            .argv
            .iter()
            .any(|argument| argument == "--max-budget-usd=1"),
        "{:?}",
        launch.argv
    );
    stage.finish(&launch, &fixture("max_budget"), 1);
    assert_eq!(stage.task(&one.to_string()).attempts[0].cost_usd, Some(0.8));
    // The day's budget ended it, not its own: it waits, and it is too dear for what is left.
    let dear = ClaudeOptions {
        max_budget_usd: Some(0.5),
        ..ClaudeOptions::default()
    };
    let two = stage.queue(prompt("dear", Some(dear)));
    stage.ask_one(Message::Cancel(crate::protocol::Cancel {
        ids: vec![one.to_string()],
        ..crate::protocol::Cancel::default()
    }));
    for launch in stage.handle.take_launches() {
        stage.finish(&launch, &fixture("success"), 0);
    }
    let (gate, message) = stage.gates(two).remove(0);
    assert_eq!(gate, "budget");
    assert!(message.contains("$1.00"), "{message}");
    stage.queue(shell());
    assert_eq!(stage.launch().argv[0], "sh");
    let costs = |stage: &mut Stage| match stage.ask_one(Message::Cost(CostQuery::default())) {
        Answer::Cost(costs) => costs,
        other => panic!("{other:?}"),
    };
    let before = costs(&mut stage);
    let sum: f64 = before.rows.iter().map(|row| row.tokens.cost_usd).sum();
    assert!(
        (sum - before.budgets[0].spent_usd).abs() < 1e-9 && sum >= 0.8,
        "{before:?}"
    );
    stage.ask_one(Message::Clean(crate::protocol::Clean::default()));
    let mut stage = stage.restart(config, |_| {});
    assert_eq!(costs(&mut stage).rows, before.rows);
}

#[test]
fn options_for_claude_are_refused_elsewhere_and_a_missing_cli_says_how_to_install_it() {
    let mut config = quick();
    claude_of(&mut config).binary = Some("no-such-claude".to_owned());
    let mut stage = stage_with(config);
    let Answer::Error(error) = stage.ask_one(prompt("x", None)) else {
        panic!("accepted");
    };
    assert_eq!(error.code, ErrorCode::MissingProgram);
    assert!(
        error.hint.contains("npm install -g @anthropic-ai/claude-code"),
        "{}",
        error.hint
    );
    let mut message = shell();
    if let Message::TaskQueue(task) = &mut message {
        task.claude = Some(Box::default());
    }
    assert_eq!(code(&stage.ask_one(message)), Some(ErrorCode::InvalidValue));
}

/// The same run, as if its limit had been reset at this moment, in seconds since the epoch.
fn limited_until(reset_s: i64) -> String {
    let lines = fixture("usage_limit_after_tool");
    let patched = lines.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).expect("an event");
        if event["rate_limit_info"]["status"] == json!("rejected") {
            event["rate_limit_info"]["resetsAt"] = json!(reset_s);
        }
        format!("{event}\n")
    });
    patched.collect()
}

fn continuing(other: u64) -> Option<ClaudeOptions> {
    Some(ClaudeOptions {
        continue_from: Some(other.to_string()),
        ..ClaudeOptions::default()
    })
}

#[test]
fn two_tasks_that_continue_the_same_one_take_turns() {
    let mut stage = stage();
    let mut held = prompt("one", None);
    if let Message::TaskQueue(task) = &mut held {
        task.hold = true;
    }
    let first = stage.queue(held);
    let second = stage.queue(prompt("two", continuing(first)));
    stage.queue(prompt("three", continuing(first)));
    // Waiting for something else does not free it from waiting for what it continues.
    stage.ask_one(Message::Edit(Box::new(crate::protocol::EditTask {
        id: second.to_string(),
        after: Some(Vec::new()),
        ..crate::protocol::EditTask::default()
    })));
    let release = Message::Release(Ids {
        ids: vec![first.to_string()],
        ..Ids::default()
    });
    stage.ask_one(release);
    let one = stage.launch();
    let two = {
        stage.finish(&one, &fixture("success"), 0);
        stage.until_launch()
    };
    assert_eq!(argument(&two, "--resume"), argument(&one, "--session-id"));
    assert_eq!(stage.handle.take_launches(), []);
    stage.finish(&two, &fixture("success"), 0);
    let three = stage.until_launch();
    assert_eq!(argument(&three, "--resume"), argument(&one, "--session-id"));
}

#[test]
fn what_continues_a_task_waits_for_its_end_not_for_a_pause() {
    let mut config = quick();
    config.pool.slots = crate::config::Slots::Count(1);
    let mut stage = stage_with(config);
    let first = stage.queue(prompt("one", None));
    let launch = stage.launch();
    let second = stage.queue(prompt("two", continuing(first)));
    stage.finish(&launch, &fixture("overloaded"), 1);
    let again = stage.until_launch();
    assert_eq!(again.id.key, TaskKey(first));
    let gates: Vec<String> = stage.gates(second).into_iter().map(|(gate, _)| gate).collect();
    assert!(gates.contains(&"dependency".to_owned()), "{gates:?}");
    stage.finish(&again, &fixture("success"), 0);
    assert_eq!(stage.until_launch().id.key, TaskKey(second));
}

#[test]
fn a_session_that_never_came_to_be_is_not_continued_again_and_again() {
    let mut stage = stage();
    let first = stage.queue(prompt("one", None));
    let launch = stage.launch();
    let second = stage.queue(prompt("two", continuing(first)));
    // It ended before it had a session.
    stage.finish(&launch, "", 1);
    stage.until_state(second, State::Failed);
    assert_eq!(stage.task(&second.to_string()).attempts.len(), 1);
    // A session that the user named and that is not there.
    let options = ClaudeOptions {
        resume: Some("99999999-2222-4333-8444-555555555555".to_owned()),
        ..ClaudeOptions::default()
    };
    let third = stage.queue(prompt("three", Some(options)));
    let launch = stage.until_launch();
    stage.finish(&launch, &fixture("resume_unknown_session"), 1);
    let task = stage.task(&third.to_string());
    assert_eq!(
        (task.state.as_str(), task.reason.as_deref()),
        ("failed", Some("no_session"))
    );
}

#[test]
fn a_limit_that_was_reset_by_our_clock_is_waited_out_like_other_trouble() {
    let mut stage = stage_with(slow());
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.finish(&launch, &limited_until(1_000_000_000), 1);
    assert_eq!(stage.task(&key.to_string()).state, "delayed");
    assert_eq!(stage.handle.take_launches(), []);
}

#[test]
fn a_budget_that_nobody_set_ends_the_task() {
    let mut stage = stage();
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.finish(&launch, &fixture("max_budget"), 1);
    let task = stage.task(&key.to_string());
    assert_eq!(
        (task.state.as_str(), task.reason.as_deref()),
        ("failed", Some("budget"))
    );
}

#[test]
fn what_is_spent_counts_before_the_next_start_is_decided() {
    let mut config = quick();
    config.pool.slots = crate::config::Slots::Count(1);
    config.budget.day_usd = Some(0.5);
    let mut stage = stage_with(config);
    stage.queue(prompt("one", None));
    let launch = stage.launch();
    let second = stage.queue(prompt("two", None));
    stage.finish(&launch, &fixture("max_budget"), 1);
    assert_eq!(stage.handle.take_launches(), []);
    assert_eq!(stage.gates(second)[0].0, "budget");
}

#[test]
fn what_a_task_may_cost_is_set_aside_from_what_others_are_given() {
    let mut config = quick();
    config.budget.day_usd = Some(1.0);
    config.budget.task_usd = Some(0.6);
    let mut stage = stage_with(config);
    stage.queue(prompt("one", None));
    let one = stage.launch();
    assert!(
        one.argv.iter().any(|argument| argument == "--max-budget-usd=0.6"),
        "{:?}",
        one.argv
    );
    // 0.4 are left, and it may take 0.6.
    let second = stage.queue(prompt("two", None));
    assert_eq!(stage.handle.take_launches(), []);
    assert!(
        stage.gates(second)[0].1.contains("$0.60 are set aside"),
        "{:?}",
        stage.gates(second)
    );
}

#[test]
fn a_start_that_was_not_made_keeps_the_session_in_which_work_was_done() {
    let mut stage = stage();
    stage.queue(prompt("work", None));
    let first = stage.launch();
    stage.finish(&first, &fixture("overloaded"), 1);
    let second = stage.until_launch();
    stage.handle.not_started(second.id, "no room");
    let third = stage.until_launch();
    assert_eq!(argument(&third, "--resume"), argument(&first, "--session-id"));
    let told = third.stdin.as_deref().unwrap_or_default();
    assert!(told.contains("Continue where you left off"), "{told}");
}

#[test]
fn a_prompt_that_was_said_cannot_be_edited() {
    let mut stage = stage_with(slow());
    let key = stage.queue(prompt("work", None));
    let launch = stage.launch();
    stage.finish(&launch, &fixture("overloaded"), 1);
    let edit = Message::Edit(Box::new(crate::protocol::EditTask {
        id: key.to_string(),
        command: Some("something else".to_owned()),
        ..crate::protocol::EditTask::default()
    }));
    assert_eq!(code(&stage.ask_one(edit)), Some(ErrorCode::WrongState));
}

#[test]
fn a_login_that_was_mended_and_is_refused_again_is_the_tasks_own() {
    let mut stage = stage();
    let key = stage.queue(prompt("work", None));
    for expected in ["queued", "failed"] {
        let launch = stage.until_launch();
        stage.finish(&launch, &fixture("invalid_api_key"), 1);
        assert_eq!(stage.task(&key.to_string()).state, expected);
        stage.ask_one(Message::Resume(Ids {
            worker: Some("claude".to_owned()),
            ..Ids::default()
        }));
    }
}

#[test]
fn a_task_that_waits_for_an_answer_does_not_hold_up_an_account_after_its_reset() {
    let mut config = quick();
    config.pool.slots = crate::config::Slots::Count(3);
    let mut stage = stage_with(config);
    let asking = ClaudeOptions {
        permissions: Some(Permissions::Ask),
        ..ClaudeOptions::default()
    };
    let waiting = stage.queue(prompt("write it", Some(asking)));
    let launch = stage.launch();
    stage.print(&launch, &fixture(ASKED));
    stage.until_state(waiting, State::Waiting);
    let limited_task = stage.queue(prompt("work", None));
    let first = stage.until_launch();
    stage.finish(&first, &limited(1), 1);
    let again = stage.until_launch();
    assert_eq!(again.id.key, TaskKey(limited_task));
}

#[test]
fn reasons_to_wait_name_tasks_as_their_users_do() {
    let mut stage = stage();
    let mut named = prompt("one", None);
    if let Message::TaskQueue(task) = &mut named {
        task.id = "slow".to_owned();
    }
    stage.ask_one(named);
    let options = ClaudeOptions {
        continue_from: Some("slow".to_owned()),
        ..ClaudeOptions::default()
    };
    let second = stage.queue(prompt("two", Some(options)));
    let gates = stage.gates(second);
    assert_eq!(gates.len(), 2, "{gates:?}");
    assert!(
        gates.iter().all(|(_, message)| message.contains("task slow")),
        "{gates:?}"
    );
    stage.launch();
}
