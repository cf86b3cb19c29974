//! Worktrees in the engine: who gets one, who shares one, and what the shim is told. git is not run here.

use std::path::{Path, PathBuf};

use super::claude_tests::*;
use super::tests::code;
use crate::executor::Found;
use crate::protocol::{ClaudeOptions, ErrorCode, Message};

/// A folder that looks like one of a repository.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let sub = folder.path().join("sub");
    std::fs::create_dir_all(&sub).expect("a folder");
    std::fs::write(folder.path().join(".git"), "").expect("a file");
    (folder, sub)
}

fn in_worktree(text: &str, cwd: &Path, worktree: Option<bool>, continue_from: Option<&str>) -> Message {
    let options = continue_from.map(|id| ClaudeOptions {
        continue_from: Some(id.to_owned()),
        ..ClaudeOptions::default()
    });
    let Message::TaskQueue(mut task) = prompt(text, options) else {
        unreachable!("it queues a task");
    };
    task.cwd = Some(cwd.display().to_string());
    task.worktree = worktree;
    Message::TaskQueue(task)
}

#[test]
fn the_order_is_the_same_for_all_attempts_and_after_a_restart() {
    let mut stage = stage();
    let (_folder, sub) = repository();
    stage.queue(in_worktree("one", &sub, Some(true), None));
    let first = stage.launch();
    let order = first.worktree.clone().expect("an order");
    assert_eq!(
        (order.task.as_str(), order.folder.as_path()),
        ("1", sub.as_path())
    );
    assert!(order.worktrees.ends_with("worktrees") && order.base.is_none());
    assert_eq!(first.cwd, sub, "where git begins to look");
    let id = first.id;
    let mut stage = stage.restart(quick(), |handle| handle.will_find(id, Found::Running));
    stage.finish(&first, &fixture("max_turns"), 1);
    let retry = crate::protocol::Retry {
        ids: vec!["1".to_owned()],
        ..crate::protocol::Retry::default()
    };
    stage.ask_one(Message::Retry(retry));
    let second = stage.until_launch();
    assert_eq!(second.worktree.as_ref(), Some(&order));
    let view = stage.task("1").worktree.expect("it is told");
    assert_eq!((view.task, view.base, view.path), (None, None, None));
}

#[test]
fn a_continued_session_stays_in_its_worktree() {
    let mut stage = stage();
    let (_folder, sub) = repository();
    stage.queue(in_worktree("one", &sub, Some(true), None));
    let first = stage.launch();
    let order = first.worktree.clone();
    stage.finish(&first, &fixture("success"), 0);
    stage.until_state(1, wezterm_parallel_scheduler::State::Succeeded);
    // Wherever it is queued, and whether it asks or not.
    stage.queue(in_worktree("two", Path::new("/"), None, Some("1")));
    let second = stage.until_launch();
    assert_eq!((second.worktree.as_ref(), &second.cwd), (order.as_ref(), &sub));
    assert_eq!(
        stage.task("2").worktree.and_then(|view| view.task).as_deref(),
        Some("1")
    );
    stage.finish(&second, &fixture("success"), 0);
    stage.until_state(2, wezterm_parallel_scheduler::State::Succeeded);
    stage.queue(in_worktree("three", Path::new("/"), Some(true), Some("2")));
    let third = stage.until_launch();
    assert_eq!(third.worktree, order, "it is still that of the first");
    stage.finish(&third, &fixture("success"), 0);
    // Unless that is not wanted; and one that has none cannot be continued in one.
    stage.queue(in_worktree("four", &sub, Some(false), Some("1")));
    let fourth = stage.until_launch();
    assert_eq!(fourth.worktree, None);
    stage.finish(&fourth, &fixture("success"), 0);
    let refused = stage.ask_one(in_worktree("five", &sub, Some(true), Some("4")));
    assert_eq!(code(&refused), Some(ErrorCode::InvalidValue));
}
