//! Sessions of Claude in the engine: chosen before the start, continued, forked, begun anew.

use wezterm_parallel_scheduler::{State, TaskKey};

use super::claude_tests::*;
use super::tests::{code, ids};
use crate::executor::Found;
use crate::protocol::{ClaudeOptions, ErrorCode, Ids, Message, Retry};

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
