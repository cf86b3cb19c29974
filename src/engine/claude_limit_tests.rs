//! What closes an account to Claude in the engine: limits, refused logins, trouble of the API, spent budgets.

use std::time::Duration;

use serde_json::{json, Value};
use wezterm_parallel_scheduler::{State, TaskKey};

use super::claude_tests::*;
use super::tests::{code, Stage};
use crate::protocol::{Answer, ClaudeOptions, CostQuery, ErrorCode, Ids, Message, Permissions};

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
