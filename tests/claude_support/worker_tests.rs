//! The CLI as a worker: prompts queued through the real program, the real daemon, real processes.

use serde_json::{json, Value};

use super::claude_support::queued::{Desk, ENDS};
use super::claude_support::stub::{Reply, Script, Stub, Usage};
use super::claude_support::{project, Account};
use super::support::{apart, wait_for};

/// Runs until it is stopped; the CLI refuses a plain `sleep`.
const SLEEPER: &str = "python3 -c 'import time; time.sleep(1000)'";
/// The profile's line that lets [`SLEEPER`] run.
const ALLOW_PYTHON: &str = "allowed_tools = [\"Bash(python3 *)\"]";
/// The profile's line that lets `echo` run.
const ALLOW_ECHO: &str = "allowed_tools = [\"Bash(echo *)\"]";
/// The profile's line that turns what is not allowed into questions.
const ASK: &str = "permissions = \"ask\"";
/// Needs a permission: it writes a file.
const WRITER: &str = "echo written > out.txt";

/// What a call costs that is far above any small budget.
const DEAR: Usage = Usage {
    input: 100_000,
    output: 20_000,
    cache_read: 0,
    cache_write: 0,
};

fn attempts(task: &Value) -> &Vec<Value> {
    task["attempts"].as_array().expect("attempts")
}

fn outcomes(task: &Value) -> Vec<&str> {
    let outcomes = attempts(task).iter().map(|attempt| attempt["outcome"].as_str());
    outcomes.map(|outcome| outcome.unwrap_or("running")).collect()
}

fn session(task: &Value, attempt: usize) -> &str {
    attempts(task)[attempt - 1]["session_id"]
        .as_str()
        .expect("a session")
}

/// Every attempt went on with the session of the first.
fn assert_one_session(task: &Value) {
    for attempt in 2..=attempts(task).len() {
        assert_eq!(session(task, attempt), session(task, 1), "{task:#}");
    }
}

/// Whether the account has this sum in it, as of millionths of a dollar.
fn assert_accounted(desk: &Desk, cost_usd: &Value) {
    let cost_usd = cost_usd.as_f64().expect("a cost");
    let account = desk.json(&["cost", "--json"]);
    let is_it = |number: &f64| (number - cost_usd).abs() < 1e-6;
    assert!(
        numbers(&account).iter().any(is_it),
        "no {cost_usd} in {account:#}"
    );
}

/// Every number in there, however deep.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_success_is_told_with_its_session_and_its_cost() {
    let usage = Usage {
        input: 1000,
        output: 200,
        cache_read: 30,
        cache_write: 40,
    };
    let desk = Desk::with_key(Stub::start([Reply::text("all is well").usage(usage)]), "");
    let _daemon = desk.daemon();
    let id = desk.queue("mend the test", &["--model", "claude-sonnet-5-5"]);
    let task = desk.wait_success(&id);
    let attempt = &attempts(&task)[0];
    assert_eq!((outcomes(&task), &attempt["turns"]), (vec!["ok"], &json!(1)));
    let events = desk.events(&id, 1);
    let result = events.last().unwrap();
    assert_eq!(session(&task, 1), result["session_id"]);
    assert_eq!(attempt["cost_usd"], result["total_cost_usd"]);
    let tokens = &attempt["tokens"]["claude-sonnet-5-5"];
    let kinds = ["input", "output", "cache_read", "cache_write"];
    assert_eq!(
        kinds.map(|kind| tokens[kind].as_u64()),
        [1000, 200, 30, 40].map(Some)
    );
    assert_eq!(tokens["cost_usd"], attempt["cost_usd"]);
    let requests = desk.stub.requests();
    assert_eq!(
        (requests.len(), requests[0].model.as_str()),
        (1, "claude-sonnet-5-5")
    );
    assert!(requests[0].last_user_text().ends_with("mend the test"));
    let spent = numbers(&desk.json(&["cost", "--json"]));
    assert!(
        spent.contains(&attempt["cost_usd"].as_f64().unwrap()),
        "{spent:?}"
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_prompt_may_look_like_an_option_or_be_very_long() {
    let desk = Desk::with_key(Stub::start([Reply::text("ok")]), "");
    let _daemon = desk.daemon();
    let option = "--version\n- and more, with 'quotes', \"quotes\", $HOME and naïve letters";
    let long = "mend the test again. ".repeat(10_000);
    for prompt in [option, long.trim_end()] {
        let id = desk.queue_from_stdin(prompt, &[]);
        desk.wait_success(&id);
        assert!(desk
            .stub
            .requests()
            .last()
            .unwrap()
            .last_user_text()
            .ends_with(prompt));
    }
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn the_callers_own_session_is_not_handed_on() {
    let desk = Desk::with_key(Stub::start([Reply::text("ok").held("go")]), "");
    let _daemon = desk.daemon();
    let id = desk.queue("mend the test", &[]);
    desk.stub.wait_for_requests(1);
    let processes = desk.processes();
    assert!(!processes.is_empty());
    for process in processes {
        let is_it = |variable: &String| variable.starts_with("CLAUDECODE=");
        assert!(!process.environment.iter().any(is_it), "{process:?}");
    }
    desk.stub.release("go");
    desk.wait_success(&id);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_denied_tool_is_a_failure_unless_the_profile_only_warns() {
    for (profile, state, reason) in [
        ("", "failed", "denied"),
        ("denied = \"warn\"", "succeeded", "denied"),
    ] {
        let desk = Desk::with_key(Stub::start([Reply::bash(WRITER), Reply::text("done")]), profile);
        let _daemon = desk.daemon();
        let id = desk.queue("write the file", &[]);
        let task = desk.wait_end(&id);
        assert_eq!(
            (&task["state"], &task["reason"]),
            (&json!(state), &json!(reason)),
            "{task:#}"
        );
        let message = attempts(&task)[0]["message"].as_str().expect("a message");
        assert!(message.contains("Bash") && message.contains(WRITER), "{message}");
        assert_eq!(attempts(&task).len(), 1);
    }
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_tool_is_allowed_by_the_profile_or_for_one_task() {
    let replies = [
        Reply::bash("echo of-the-tool"),
        Reply::bash(SLEEPER),
        Reply::text("done"),
    ];
    let desk = Desk::with_key(Stub::start(replies), ALLOW_ECHO);
    let _daemon = desk.daemon();
    let id = desk.queue("run both", &["--allowed-tools", "Bash(python3 *)"]);
    let requests = desk.stub.wait_for_requests(2);
    assert!(
        requests[1].last_user_text().contains("of-the-tool"),
        "{:?}",
        requests[1].user_texts
    );
    wait_for("the sleeper", || {
        desk.processes()
            .into_iter()
            .find(|process| process.line.contains("python3 -c import time"))
    });
    desk.ok(&["cancel", &id]);
    desk.wait_state(&id, &["cancelled"]);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_sandboxed_run_keeps_its_session_and_what_its_tools_were_denied_is_told() {
    use wezterm_parallel::executor::Means;
    let outside = tempfile::tempdir_in(apart()).expect("a folder");
    let outside = outside.path().canonicalize().expect("its place");
    // The folder of the CLI is outside of `/tmp`, too, and not there yet.
    let own = outside.join("own");
    let profile = format!(
        "allowed_tools = [\"Bash\"]\n[workers.claude.env]\nCLAUDE_CONFIG_DIR = {own:?}\n[workers.claude.sandbox]\n"
    );
    let line = format!(
        "echo in > inside; echo out > {}/theirs; echo go on",
        outside.display()
    );
    let desk = Desk::with_key(Stub::start([Reply::bash(&line), Reply::text("done")]), &profile);
    let _daemon = desk.daemon();
    let id = desk.queue("write both", &[]);
    let task = desk.wait_success(&id);
    assert!(project(&desk.home).join("inside").exists());
    let project = own.join("projects");
    let sessions = std::fs::read_dir(project).expect("the CLI's sessions").count();
    assert_eq!(sessions, 1);
    if matches!(Means::of_this_system(), Means::None(_)) {
        assert!(outside.join("theirs").exists(), "nothing was there to refuse it");
        return;
    }
    assert!(!outside.join("theirs").exists());
    let denied = &attempts(&task)[0]["sandbox"]["denied"];
    assert_eq!(denied[0]["add"], json!(outside), "{task:#}");
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_usage_limit_is_waited_out_and_the_session_goes_on() {
    let replies = [
        Reply::bash("echo of-the-tool"),
        Reply::usage_limit(8),
        Reply::text("done"),
    ];
    let desk = Desk::new(Stub::start(replies), Account::Subscription, ALLOW_ECHO);
    let _daemon = desk.daemon();
    let id = desk.queue("a long piece of work", &[]);
    let waiting = desk.wait(&id, "put back", |task| outcomes(task) == ["limited"]);
    assert_eq!(
        (&waiting["state"], &waiting["retries_used"]),
        (&json!("queued"), &json!(0))
    );
    let gate = desk.wait_gate(&id, "quota");
    let limits = desk.events(&id, 1);
    let limit = limits
        .iter()
        .rfind(|event| event["rate_limit_info"]["status"] == "rejected")
        .unwrap();
    let reset_ms = limit["rate_limit_info"]["resetsAt"].as_u64().unwrap() * 1000;
    assert!(
        gate["opens_at_ms"].as_u64().unwrap() >= reset_ms,
        "{gate} {limit}"
    );
    let other = desk.queue("echo meanwhile", &["--worker", "shell"]);
    let other = desk.wait_success(&other);

    let task = desk.wait_success(&id);
    assert_eq!(
        (outcomes(&task), &task["retries_used"]),
        (vec!["limited", "ok"], &json!(0))
    );
    assert_one_session(&task);
    let second_start_ms = attempts(&task)[1]["started_at_ms"].as_u64().unwrap();
    assert!(second_start_ms >= reset_ms);
    assert!(attempts(&other)[0]["ended_at_ms"].as_u64().unwrap() < second_start_ms);
    let requests = desk.stub.requests();
    let last = requests.last().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(last.says("a long piece of work") && last.says("of-the-tool"));
    assert!(
        last.last_user_text().contains("Continue where you left off"),
        "a continuation was said"
    );
    assert!(
        !last.last_user_text().contains("a long piece of work"),
        "the prompt is not said twice"
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_overloaded_api_is_asked_again_later_in_the_same_session() {
    let overloaded = [(); 3].map(|()| Reply::overloaded());
    let replies = [
        vec![Reply::bash("echo of-the-tool")],
        overloaded.to_vec(),
        vec![Reply::text("done")],
    ];
    let desk = Desk::with_key(Stub::start(replies.concat()), ALLOW_ECHO);
    let _daemon = desk.daemon();
    let id = desk.queue("a long piece of work", &["--retries", "3"]);
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["overloaded", "ok"]);
    assert_one_session(&task);
    let last = desk.stub.requests().pop().unwrap();
    assert!(last.says("a long piece of work") && last.says("of-the-tool"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_refused_key_closes_the_profile_and_fails_nothing() {
    let desk = Desk::with_key(Stub::start([Reply::unauthorized().held("go")]), "");
    let _daemon = desk.daemon();
    let ids: Vec<String> = (0..4).map(|n| desk.queue(&format!("work {n}"), &[])).collect();
    desk.stub.wait_for_requests(2);
    desk.stub.release("go");
    for id in &ids {
        let gate = desk.wait_gate(id, "auth");
        assert!(!gate["message"].as_str().unwrap().is_empty());
    }
    let tried = |desk: &Desk| -> usize { ids.iter().map(|id| attempts(&desk.show(id)).len()).sum() };
    for id in &ids {
        let task = desk.wait_state(id, &["queued"]);
        assert_eq!(task["retries_used"], 0, "{task:#}");
    }
    assert_eq!(tried(&desk), 2, "only those that ran when it was noticed");

    desk.stub.replace([Reply::text("done")]);
    desk.ok(&["resume", "--worker", "claude"]);
    for id in &ids {
        desk.wait_success(id);
    }
    assert_eq!(tried(&desk), 2 + ids.len());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_cancelled_task_leaves_no_process() {
    let desk = Desk::with_key(
        Stub::start([Reply::bash(SLEEPER), Reply::text("never")]),
        ALLOW_PYTHON,
    );
    let _daemon = desk.daemon();
    let id = desk.queue("sleep", &[]);
    wait_for("the tool", || {
        desk.processes()
            .into_iter()
            .find(|process| process.line.contains("python3 -c import time"))
    });
    assert!(desk.processes().len() >= 2, "the CLI and its tool");
    desk.ok(&["cancel", &id]);
    let task = desk.wait_state(&id, &["cancelled"]);
    assert_eq!(outcomes(&task), ["cancelled"]);
    assert_eq!(desk.processes(), []);
}

/// Queues a prompt that leads to one question, and waits until it is asked.
fn asked(desk: &Desk) -> (String, Value) {
    let id = desk.queue("write the file", &[]);
    let task = desk.wait_state(&id, &["waiting"]);
    let question = task["questions"][0].clone();
    assert_eq!(
        (&question["tool"], &question["input"]["command"]),
        (&json!("Bash"), &json!(WRITER))
    );
    (id, question)
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_question_that_is_allowed_lets_the_tool_run() {
    let desk = Desk::with_key(Stub::start([Reply::bash(WRITER), Reply::text("done")]), ASK);
    let _daemon = desk.daemon();
    let (id, _) = asked(&desk);
    let file = project(&desk.home).join("out.txt");
    assert!(!file.exists());
    desk.ok(&["answer", &id, "allow"]);
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["ok"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "written\n");
    assert!(task["questions"].as_array().is_none_or(Vec::is_empty));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_question_that_is_denied_tells_the_model_why() {
    let desk = Desk::with_key(Stub::start([Reply::bash(WRITER), Reply::text("then not")]), ASK);
    let _daemon = desk.daemon();
    let (id, _) = asked(&desk);
    desk.ok(&["answer", &id, "deny", "--message", "not on a Sunday"]);
    desk.wait_end(&id);
    assert!(!project(&desk.home).join("out.txt").exists());
    let requests = desk.stub.requests();
    assert!(
        requests[1].last_user_text().contains("not on a Sunday"),
        "{:?}",
        requests[1].user_texts
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_question_outlives_the_daemon() {
    let desk = Desk::with_key(Stub::start([Reply::bash(WRITER), Reply::text("done")]), ASK);
    let daemon = desk.daemon();
    let (id, question) = asked(&desk);
    daemon.kill();
    let _daemon = desk.daemon();
    let task = desk.wait_state(&id, &["waiting"]);
    assert_eq!(task["questions"][0]["request_id"], question["request_id"]);
    desk.ok(&["answer", &id, "allow"]);
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["ok"]);
    assert!(project(&desk.home).join("out.txt").exists());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_budget_ends_a_task_and_shows_in_the_account() {
    let desk = Desk::with_key(Stub::start([Reply::text("dear").usage(DEAR)]), "");
    let _daemon = desk.daemon();
    let id = desk.queue("something dear", &["--max-budget-usd", "0.01"]);
    let task = desk.wait_end(&id);
    assert_eq!(
        (&task["state"], &task["reason"]),
        (&json!("failed"), &json!("budget")),
        "{task:#}"
    );
    let cost_usd = &attempts(&task)[0]["cost_usd"];
    assert!(cost_usd.as_f64().unwrap() > 0.01, "{cost_usd}");
    assert_accounted(&desk, cost_usd);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn the_last_turn_ends_a_task_and_a_retry_goes_on_or_begins_anew() {
    let desk = Desk::with_key(Stub::start([Reply::bash("echo of-the-tool")]), ALLOW_ECHO);
    let _daemon = desk.daemon();
    let id = desk.queue("a long piece of work", &["--max-turns", "1"]);
    let task = desk.wait_end(&id);
    assert_eq!(
        (&task["state"], &task["reason"]),
        (&json!("failed"), &json!("max_turns")),
        "{task:#}"
    );

    desk.stub.replace([Reply::text("done")]);
    desk.ok(&["retry", &id]);
    let task = desk.wait_success(&id);
    assert_one_session(&task);
    assert!(desk.stub.requests().last().unwrap().says("of-the-tool"));

    desk.ok(&["retry", "--fresh", &id]);
    let task = desk.wait(&id, "done a third time", |task| {
        outcomes(task) == ["max_turns", "ok", "ok"]
    });
    assert_ne!(session(&task, 3), session(&task, 1));
    let last = desk.stub.requests().pop().unwrap();
    assert!(last.last_user_text().ends_with("a long piece of work") && !last.says("of-the-tool"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn two_sessions_run_side_by_side() {
    let stub = Stub::with_scripts([
        Script::of("the apples", [Reply::text("red").held("go")]),
        Script::of("the pears", [Reply::text("yellow").held("go")]),
    ]);
    let desk = Desk::with_key(stub, "");
    let _daemon = desk.daemon();
    let ids = ["the apples", "the pears"].map(|prompt| desk.queue(prompt, &[]));
    let requests = desk.stub.wait_for_requests(2);
    assert_ne!(requests[0].says("the apples"), requests[1].says("the apples"));
    assert_ne!(requests[0].says("the pears"), requests[1].says("the pears"));
    desk.stub.release("go");
    let tasks = ids.each_ref().map(|id| desk.wait_success(id));
    assert_ne!(session(&tasks[0], 1), session(&tasks[1], 1));
    let said = ids
        .each_ref()
        .map(|id| desk.events(id, 1).last().unwrap()["result"].clone());
    assert_eq!(said, ["red", "yellow"]);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_task_that_continues_another_waits_for_its_session() {
    let desk = Desk::with_key(
        Stub::start([Reply::text("one").held("go"), Reply::text("two")]),
        "",
    );
    let _daemon = desk.daemon();
    let first = desk.queue("the first part", &[]);
    desk.stub.wait_for_requests(1);
    let second = desk.queue("the second part", &["--continue-from", &first]);
    let gate = desk.wait_gate(&second, "session");
    assert!(gate["message"].as_str().unwrap().contains(&first), "{gate}");
    assert_eq!(desk.stub.requests().len(), 1);
    desk.stub.release("go");
    let (first, second) = (desk.wait_success(&first), desk.wait_success(&second));
    assert_eq!(session(&first, 1), session(&second, 1));
    let last = desk.stub.requests().pop().unwrap();
    assert!(last.says("the first part") && last.last_user_text().ends_with("the second part"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_session_is_resumed_or_forked_by_its_name() {
    let desk = Desk::with_key(Stub::start([Reply::text("ok")]), "");
    let _daemon = desk.daemon();
    let first = desk.queue("the first part", &[]);
    let origin = session(&desk.wait_success(&first), 1).to_owned();
    let forked = desk.queue("the other part", &["--resume", &origin, "--fork"]);
    assert_ne!(session(&desk.wait_success(&forked), 1), origin);
    assert!(desk.stub.requests().last().unwrap().says("the first part"));
    let resumed = desk.queue("the second part", &["--resume", &origin]);
    assert_eq!(session(&desk.wait_success(&resumed), 1), origin);
    let last = desk.stub.requests().pop().unwrap();
    assert!(last.says("the first part") && !last.says("the other part"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_run_outlives_the_daemon() {
    let desk = Desk::with_key(Stub::start([Reply::text("done").held("go")]), "");
    let daemon = desk.daemon();
    let id = desk.queue("mend the test", &[]);
    desk.stub.wait_for_requests(1);
    let before = desk.show(&id);
    daemon.kill();
    let _daemon = desk.daemon();
    assert_eq!(desk.show(&id)["state"], "running");
    desk.stub.release("go");
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["ok"]);
    // The session was written down before the run began, not learned from its output.
    assert_eq!(session(&task, 1), session(&before, 1));
    assert_eq!(session(&task, 1), desk.events(&id, 1)[0]["session_id"]);
    assert_eq!(desk.stub.requests().len(), 1);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_run_that_ends_while_no_daemon_is_there_is_judged_by_the_next() {
    let desk = Desk::with_key(Stub::start([Reply::text("done").held("go")]), "");
    let daemon = desk.daemon();
    let id = desk.queue("mend the test", &[]);
    desk.stub.wait_for_requests(1);
    daemon.kill();
    desk.stub.release("go");
    wait_for("the CLI's end", || desk.processes().is_empty().then_some(()));
    let _daemon = desk.daemon();
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["ok"]);
    assert!(attempts(&task)[0]["cost_usd"].as_f64().unwrap() > 0.0);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_run_that_says_nothing_is_stalled_and_resumed() {
    let replies = [
        Reply::bash("echo of-the-tool"),
        Reply::hang(),
        Reply::text("done"),
    ];
    let desk = Desk::with_key(
        Stub::start(replies),
        &format!("stall_timeout = \"5s\"\n{ALLOW_ECHO}"),
    );
    let _daemon = desk.daemon();
    let id = desk.queue("a long piece of work", &["--retries", "3"]);
    let task = desk.wait_success(&id);
    assert_eq!(outcomes(&task), ["stalled", "ok"]);
    assert_one_session(&task);
    assert!(desk.stub.requests().last().unwrap().says("of-the-tool"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_answer_longer_than_a_pipe_is_kept_whole() {
    let text = "0123456789abcdef".repeat(1 << 16);
    let desk = Desk::with_key(Stub::start([Reply::text(&text)]), "");
    let _daemon = desk.daemon();
    let id = desk.queue("write much", &[]);
    desk.wait_success(&id);
    let events = desk.events(&id, 1);
    assert_eq!(events.last().unwrap()["result"], json!(text));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_unknown_session_is_told_and_not_tried_again() {
    let desk = Desk::with_key(Stub::start([Reply::text("never")]), "");
    let _daemon = desk.daemon();
    let unknown = "99999999-2222-4333-8444-555555555555";
    let id = desk.queue("go on", &["--resume", unknown, "--retries", "3"]);
    let task = desk.wait_state(&id, &ENDS);
    assert_eq!(
        (&task["state"], &task["reason"]),
        (&json!("failed"), &json!("no_session")),
        "{task:#}"
    );
    assert_eq!(outcomes(&task), ["no_session"]);
    assert!(attempts(&task)[0]["message"].as_str().unwrap().contains(unknown));
}
