//! Claude workers in the engine: the executor is a fake, the output is what the real CLI prints.

use std::time::{Duration, Instant};

use serde_json::{json, Value};
use wezterm_parallel_scheduler::{State, TaskKey};

use super::tests::{code, config, ids, Stage};
use super::*;
use crate::executor::{Exit, FakeHandle, Found, Launch, StopCause};
use crate::protocol::{
    Answer, AnswerQuestion, ClaudeOptions, ErrorCode, ExplanationView, Message, OneTask, Permissions,
    TaskQueue,
};

/// Long enough for a loaded machine; a test that hits it has failed.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
pub(super) const ASKED: &str = "question_open";

/// Claude profiles as quick as tests want them; the CLI itself is never run.
pub(super) fn quick() -> Config {
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
pub(super) fn claude_of(config: &mut Config) -> &mut crate::config::WorkerConfig {
    config.workers.get_mut("claude").expect("the profile")
}

/// Trouble is waited out for longer than a test lasts.
pub(super) fn slow() -> Config {
    let mut config = quick();
    let claude = claude_of(&mut config);
    claude.retry_delay = Some(Duration::from_secs(60));
    claude.retry_max_delay = Some(Duration::from_secs(60));
    config
}

pub(super) fn stage_with(config: Config) -> Stage {
    Stage::open_with(tempfile::tempdir().expect("a folder"), config, |_| {})
}

pub(super) fn stage() -> Stage {
    stage_with(quick())
}

pub(super) fn prompt(text: &str, claude: Option<ClaudeOptions>) -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        command: Some(text.to_owned()),
        worker: Some("claude".to_owned()),
        cwd: Some("/".to_owned()),
        claude: claude.map(Box::new),
        ..TaskQueue::default()
    }))
}

pub(super) fn shell() -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        ..TaskQueue::default()
    }))
}

pub(super) fn fixture(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/tests/fixtures/claude/2.1.330/{name}.jsonl")).expect("a fixture")
}

impl Stage {
    /// Queues a task: its number.
    pub(super) fn queue(&mut self, message: Message) -> u64 {
        match self.ask_one(message) {
            Answer::StatusUpdate(update) => update.process_id.parse().expect("a number"),
            other => panic!("{other:?}"),
        }
    }

    /// The one launch since the last call.
    pub(super) fn launch(&mut self) -> Launch {
        let mut launches = self.handle.take_launches();
        assert_eq!(launches.len(), 1, "{launches:?}");
        launches.remove(0)
    }

    /// The worker prints this.
    pub(super) fn print(&self, launch: &Launch, text: &str) {
        std::fs::create_dir_all(&launch.folder).expect("the attempt's folder");
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(launch.folder.join("output"));
        std::io::Write::write_all(&mut output.expect("the output"), text.as_bytes()).expect("written");
    }

    /// The worker prints this and ends.
    pub(super) fn finish(&mut self, launch: &Launch, text: &str, exit_code: i32) {
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
    pub(super) fn until<T>(&mut self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> T {
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

    pub(super) fn until_state(&mut self, key: u64, state: State) {
        self.until(state.name(), |stage| {
            (stage.engine.scheduler.state(TaskKey(key)) == Some(state)).then_some(())
        });
    }

    pub(super) fn until_launch(&mut self) -> Launch {
        let launches = self.until("a launch", |stage| {
            Some(stage.handle.take_launches()).filter(|launches| !launches.is_empty())
        });
        assert_eq!(launches.len(), 1, "{launches:?}");
        launches.into_iter().next().expect("one")
    }

    pub(super) fn gates(&mut self, key: u64) -> Vec<(String, String)> {
        let explained = self.ask_one(Message::Explain(OneTask { id: key.to_string() }));
        let Answer::Explanation(ExplanationView { gates, .. }) = explained else {
            panic!("{explained:?}");
        };
        gates.into_iter().map(|gate| (gate.gate, gate.message)).collect()
    }

    /// Stops the engine and starts another one on the same journal.
    pub(super) fn restart(self, config: Config, found: impl Fn(&FakeHandle)) -> Self {
        let Self { engine, folder, .. } = self;
        drop(engine);
        Self::open_with(folder, config, found)
    }
}

pub(super) fn argument<'a>(launch: &'a Launch, flag: &str) -> Option<&'a str> {
    let at = launch.argv.iter().position(|argument| argument == flag)?;
    launch.argv.get(at + 1).map(String::as_str)
}

/// The fixture of a reached limit, with a reset of our own.
pub(super) fn limited(resets_in_s: u64) -> String {
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
fn an_answer_takes_away_the_mark_that_a_hook_has_made() {
    let mut stage = stage_with(quick());
    let asking = ClaudeOptions {
        permissions: Some(Permissions::Ask),
        ..ClaudeOptions::default()
    };
    let key = stage.queue(prompt("write it", Some(asking)));
    let launch = stage.launch();
    stage.print(&launch, &fixture(ASKED));
    stage.until_state(key, State::Waiting);
    stage.ask_one(Message::StatusUpdate(crate::protocol::StatusUpdate {
        process_id: "1".to_owned(),
        status: "waiting".to_owned(),
        note: Some("Claude needs your permission".to_owned()),
    }));
    let attention = |stage: &Stage| stage.engine.views().summary(Tick(0)).attention;
    assert_eq!(attention(&stage), 1, "it is one task, however often it says so");
    assert!(stage.task("1").report.is_some());
    stage.ask_one(Message::Answer(AnswerQuestion {
        id: "1".to_owned(),
        allow: true,
        ..AnswerQuestion::default()
    }));
    assert_eq!(stage.task("1").report, None);
    assert_eq!(attention(&stage), 0);
    stage.handle.take_feeds();
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
