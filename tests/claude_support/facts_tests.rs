//! What the CLI does when nothing of ours is around it: each line here is one that a worker's outcome rests on.

use rustix::process::Signal;
use serde_json::{json, Value};

use super::claude_support::alone::{self, run, Run};
use super::claude_support::stub::{Reply, Usage};
use super::claude_support::{processes, Account};
use super::support::wait_for;

/// What most outcomes are read from.
fn verdict(run: &Run) -> Value {
    let result = run.result();
    let fields = [
        "subtype",
        "is_error",
        "stop_reason",
        "api_error_status",
        "terminal_reason",
    ];
    let fields = fields.map(|name| result.get(name).cloned().unwrap_or_default());
    json!([run.exit_code, fields])
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn it_is_the_version_that_is_pinned() {
    let pin: Value = serde_json::from_str(include_str!("../../.ci/claude-code/package.json")).unwrap();
    let pin = pin["dependencies"]["@anthropic-ai/claude-code"].as_str().unwrap();
    assert_eq!(alone::version(), format!("{pin} (Claude Code)\n"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_success_says_what_it_cost() {
    let usage = Usage {
        input: 1000,
        output: 200,
        cache_read: 30,
        cache_write: 40,
    };
    let session = "6a1f8c3e-5f7b-4b8e-9b5a-0c8f1d2e3f40";
    let arguments = ["--session-id", session, "--model", "claude-sonnet-5-5"];
    let run = run(Account::Key, [Reply::text("hi there").usage(usage)], &arguments);
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    let result = run.result();
    assert_eq!(
        (&result["result"], &result["num_turns"]),
        (&json!("hi there"), &json!(1))
    );
    assert_eq!(
        (run.session_id(), &result["session_id"]),
        (session, &json!(session))
    );
    let model = &result["modelUsage"]["claude-sonnet-5-5"];
    assert_eq!(
        result["model_usage_since_last_result"]["claude-sonnet-5-5"],
        *model
    );
    let tokens = [
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheCreationInputTokens",
    ];
    assert_eq!(
        tokens.map(|name| model[name].as_u64()),
        [1000, 200, 30, 40].map(Some)
    );
    assert!(result["total_cost_usd"].as_f64().unwrap() > 0.0);
    assert_eq!(result["total_cost_usd"], model["costUSD"]);

    let requests = run.stub.requests();
    assert_eq!(requests.len(), 1, "nothing is asked beside the prompt");
    assert_eq!(requests[0].model, "claude-sonnet-5-5");
    assert!(
        requests[0].last_user_text().ends_with("do as scripted"),
        "{requests:#?}"
    );
    assert_eq!(requests[0].headers["x-api-key"], "sk-ant-of-no-worth");
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_tool_that_is_allowed_runs() {
    let replies = [Reply::bash("echo of-the-tool"), Reply::text("done")];
    let run = run(Account::Key, replies, &["--allowedTools", "Bash(echo *)"]);
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    assert_eq!(run.result()["permission_denials"], json!([]));
    assert!(run.stub.requests()[1].last_user_text().contains("of-the-tool"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_denied_tool_shows_in_a_list_alone() {
    let replies = [Reply::bash("echo text > out.txt"), Reply::text("done")];
    let run = run(Account::Key, replies, &[]);
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    let denial = &run.result()["permission_denials"][0];
    assert_eq!(
        (&denial["tool_name"], &denial["tool_input"]["command"]),
        (&json!("Bash"), &json!("echo text > out.txt"))
    );
    assert_eq!(run.events_of("system", Some("permission_denied")).len(), 1);
    assert!(!run.home.path().join("project/out.txt").exists());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_usage_limit_names_its_reset_and_takes_no_second_try() {
    let run = run(Account::Subscription, [Reply::usage_limit(3600)], &[]);
    assert_eq!(
        verdict(&run),
        json!([1, ["success", true, "stop_sequence", 429, "api_error"]])
    );
    let limit = &run.events_of("rate_limit_event", None)[0]["rate_limit_info"];
    assert_eq!(
        (&limit["status"], &limit["rateLimitType"]),
        (&json!("rejected"), &json!("five_hour"))
    );
    assert!(limit["resetsAt"].is_u64(), "{limit}");
    assert_eq!(run.events_of("assistant", None)[0]["error"], "rate_limit");
    let requests = run.stub.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["authorization"], "Bearer sk-ant-of-no-worth");
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_usage_warning_says_how_much_is_used() {
    let warned = Reply::text("done").usage_warning("0.91", 3600);
    let run = run(Account::Subscription, [warned], &[]);
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    let limit = &run.events_of("rate_limit_event", None)[0]["rate_limit_info"];
    assert_eq!(
        (&limit["status"], &limit["utilization"]),
        (&json!("allowed_warning"), &json!(0.91))
    );
    assert!(limit["resetsAt"].is_u64(), "{limit}");
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_overloaded_api_is_tried_again_and_then_told() {
    let run = run(Account::Key, [Reply::overloaded()], &[]);
    assert_eq!(
        verdict(&run),
        json!([1, ["success", true, "stop_sequence", 529, "api_error"]])
    );
    let retries = run.events_of("system", Some("api_retry"));
    let told = retries.iter().map(|retry| retry["error_status"].as_u64());
    assert!(told.eq([Some(529), Some(529)]), "{retries:#?}");
    assert_eq!(run.stub.requests().len(), 3);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_key_that_is_refused_is_told_at_the_first_retry() {
    let run = run(Account::Key, [Reply::unauthorized()], &[]);
    assert_eq!(
        verdict(&run),
        json!([1, ["success", true, "stop_sequence", 401, "api_error"]])
    );
    let retry = run.events_of("system", Some("api_retry"))[0];
    assert_eq!(
        (&retry["attempt"], &retry["error_status"]),
        (&json!(1), &json!(401))
    );
    assert_eq!(
        run.events_of("assistant", None)[0]["error"],
        "authentication_failed"
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_budget_is_looked_at_after_the_call() {
    let dear = Usage {
        input: 100_000,
        output: 20_000,
        ..Usage::default()
    };
    let run = run(
        Account::Key,
        [Reply::text("done").usage(dear)],
        &["--max-budget-usd", "0.01"],
    );
    assert_eq!(
        verdict(&run),
        json!([
            1,
            ["error_max_budget_usd", true, "end_turn", null, "budget_exhausted"]
        ])
    );
    assert!(run.result()["total_cost_usd"].as_f64().unwrap() > 0.01);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn the_last_turn_ends_with_an_error() {
    let arguments = ["--max-turns", "1", "--allowedTools", "Bash(echo *)"];
    let run = run(Account::Key, [Reply::bash("echo again")], &arguments);
    assert_eq!(
        verdict(&run),
        json!([1, ["error_max_turns", true, "tool_use", null, "max_turns"]])
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_session_goes_on_in_another_process_and_is_forked_on_demand() {
    let first = run(
        Account::Key,
        [Reply::bash("echo of-the-tool"), Reply::text("one")],
        &[],
    );
    let session = first.session_id().to_owned();
    let resume = ["--resume", session.as_str()];
    let second = alone::start_in(first.home, Account::Key, [Reply::text("two")], &resume).finish();
    assert_eq!(second.session_id(), session);
    assert!(second.stub.requests()[0].says("of-the-tool"));
    // The account of the session goes on, that of the process begins anew.
    let result = second.result();
    let model = second.stub.requests()[0].model.clone();
    assert_eq!(result["modelUsage"][&model]["inputTokens"], json!(300));
    assert_eq!(
        result["model_usage_since_last_result"][&model]["inputTokens"],
        json!(100)
    );

    let own = "0b0e7c58-3c0f-4f0e-8f58-2d9a3e4b5c61";
    let fork = [
        "--resume",
        session.as_str(),
        "--fork-session",
        "--session-id",
        own,
    ];
    let third = alone::start_in(second.home, Account::Key, [Reply::text("three")], &fork).finish();
    assert_eq!(third.session_id(), own);
    assert!(third.stub.requests()[0].says("of-the-tool"));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_session_that_nobody_knows_is_told() {
    let unknown = ["--resume", "99999999-2222-4333-8444-555555555555"];
    let run = run(Account::Key, [Reply::text("never")], &unknown);
    assert_eq!(run.exit_code, Some(1));
    let error = run.result()["errors"][0].as_str().unwrap();
    assert!(
        error.starts_with("No conversation found with session ID"),
        "{error}"
    );
    assert!(run.stub.requests().is_empty());
}

/// An interrupted run exits like a success. A result comes in most cases, and then it says what happened.
fn assert_interrupted(run: &Run, said: &str, terminal_reason: &str) {
    assert_eq!(run.exit_code, Some(0));
    let last = run
        .events_of("user", None)
        .pop()
        .expect("the CLI speaks for the user");
    assert_eq!(last["message"]["content"][0]["text"], said);
    for result in run.events_of("result", None) {
        assert_eq!(
            (
                &result["subtype"],
                &result["is_error"],
                &result["terminal_reason"]
            ),
            (
                &json!("error_during_execution"),
                &json!(true),
                &json!(terminal_reason)
            )
        );
    }
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_interrupted_question_to_the_model_exits_like_a_success() {
    let running = alone::start(Account::Key, [Reply::hang()], &[]);
    running.stub().wait_for_requests(1);
    running.signal(Signal::INT);
    assert_interrupted(
        &running.finish(),
        "[Request interrupted by user]",
        "aborted_streaming",
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_interrupted_tool_exits_like_a_success_and_is_ended() {
    let replies = [Reply::bash("python3 -c 'import time; time.sleep(1000)'")];
    let running = alone::start(Account::Key, replies, &["--allowedTools", "Bash(python3 *)"]);
    running.wait_for_tool("python3 -c import time");
    running.signal(Signal::INT);
    let run = running.finish();
    assert_interrupted(
        &run,
        "[Request interrupted by user for tool use]",
        "aborted_tools",
    );
    wait_for("the tool's end", || processes(&run.home).is_empty().then_some(()));
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_session_outlives_sigkill_but_its_last_words_may_be_lost() {
    let replies = [Reply::bash("echo of-the-tool"), Reply::hang()];
    let running = alone::start(Account::Key, replies, &[]);
    running.stub().wait_for_requests(2);
    running.signal(Signal::KILL);
    let killed = running.finish();
    assert_eq!(
        (killed.exit_code, killed.events_of("result", None).len()),
        (None, 0)
    );
    let session = killed.session_id().to_owned();
    let resume = ["--resume", session.as_str()];
    let run = alone::start_in(killed.home, Account::Key, [Reply::text("done")], &resume).finish();
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    // The prompt is there. The use of the tool may be lost like its result; if it is known, the model is
    // told what came of it, or that nobody knows.
    let said = &run.stub.requests()[0].user_texts;
    assert!(said[0].ends_with("do as scripted"), "{said:#?}");
    let after = &said[1..said.len() - 1];
    assert!(
        after
            .iter()
            .all(|text| text.contains("of-the-tool") || text.contains("outcome is unknown")),
        "{said:#?}"
    );
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_question_waits_for_its_answer() {
    let mut running = alone::start_asking([Reply::bash("echo text > out.txt"), Reply::text("done")]);
    let question = running.wait_for_question();
    let request = &question["request"];
    assert_eq!(
        (
            &request["subtype"],
            &request["tool_name"],
            &request["input"]["command"]
        ),
        (
            &json!("can_use_tool"),
            &json!("Bash"),
            &json!("echo text > out.txt")
        )
    );
    running.answer(
        &question,
        &json!({"behavior": "allow", "updatedInput": request["input"]}),
    );
    running.wait_for_event("the result", |event| event["type"] == "result");
    let run = running.finish();
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    assert_eq!(run.result()["permission_denials"], json!([]));
    assert!(run.home.path().join("project/out.txt").exists());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn a_denied_question_tells_the_model_why() {
    let mut running = alone::start_asking([Reply::bash("echo text > out.txt"), Reply::text("done")]);
    let question = running.wait_for_question();
    running.answer(
        &question,
        &json!({"behavior": "deny", "message": "not on a Sunday"}),
    );
    running.wait_for_event("the result", |event| event["type"] == "result");
    let run = running.finish();
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    assert!(run.stub.requests()[1]
        .last_user_text()
        .contains("not on a Sunday"));
    // The list does not tell who denied it: whoever answered has to know.
    assert_eq!(run.result()["permission_denials"][0]["tool_name"], json!("Bash"));
    assert!(!run.home.path().join("project/out.txt").exists());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_input_that_is_closed_answers_an_open_question_with_no() {
    let running = alone::start_asking([Reply::bash("echo text > out.txt"), Reply::text("done")]);
    running.wait_for_question();
    let run = running.finish();
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    assert_eq!(run.result()["permission_denials"][0]["tool_name"], json!("Bash"));
    assert!(!run.home.path().join("project/out.txt").exists());
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn an_answer_longer_than_a_pipe_is_whole_in_a_file() {
    let text = "0123456789abcdef".repeat(1 << 16);
    let run = run(Account::Key, [Reply::text(&text)], &[]);
    assert_eq!(
        verdict(&run),
        json!([0, ["success", false, "end_turn", null, "completed"]])
    );
    assert_eq!(run.result()["result"].as_str().map(str::len), Some(1 << 20));
    assert_eq!(run.result()["result"], json!(text));
}
