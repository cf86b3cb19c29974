//! What tests of the history have in common.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

use std::path::PathBuf;

use wezterm_parallel::protocol::{Answer, HistoryInfo, Message};

use crate::support::{shown, wait_for, Home};

pub const ON: &str = "[state]\nsqlite = true\n";

pub fn file(home: &Home) -> PathBuf {
    home.data().join("history.sqlite")
}

/// What the program says, with the home's path left out.
pub fn said(home: &Home, arguments: &[&str]) -> String {
    shown(&home.run(arguments)).replace(&home.path().display().to_string(), "~")
}

pub fn queue(home: &Home, arguments: &[&str]) -> String {
    let words = ["queue"].iter().chain(arguments);
    home.ok(words).trim().to_owned()
}

/// How the daemon's writer is.
pub fn writer(home: &Home) -> HistoryInfo {
    match home.client().ask(&Message::Info {}) {
        Ok(Answer::Daemon(daemon)) => daemon.history.expect("it writes one"),
        other => panic!("{other:?}"),
    }
}

/// The ids in the history, newest first.
pub fn listed(home: &Home, arguments: &[&str]) -> Vec<String> {
    let words = ["history", "--json"].iter().chain(arguments);
    let lines = home.ok(words);
    let id = |line: &str| {
        let task: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        task["id"].as_str().expect("an id").to_owned()
    };
    lines.lines().map(id).collect()
}

/// Waits until the history has exactly these, in whatever order.
pub fn wait_listed(home: &Home, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    wait_for(&format!("{expected:?} in the history"), || {
        let output = home.run(["history", "--json", "--limit", "1000"]);
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut ids: Vec<String> = lines
            .lines()
            .filter_map(|line| {
                let task: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(task["id"].as_str()?.to_owned())
            })
            .collect();
        ids.sort_unstable();
        (ids == expected).then_some(())
    });
}
