//! Processes of a test's home, as the program tells of them.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

use std::path::PathBuf;

use wezterm_parallel::protocol::{Answer, Message, ProcessFilter, ProcessView};

use crate::support::{shown, wait_for, Home};

/// Restarts come soon, and there are few of them.
pub const SOON: &str = "[processes]\nbackoff = \"20ms\"\nbackoff_max = \"40ms\"\nmax_restarts = 3\n";

/// A home with a daemon's config and a workspace of its own folder.
pub fn home() -> Home {
    let home = Home::with_config(SOON);
    std::fs::create_dir_all(home.path().join("api")).expect("a folder");
    home
}

/// The workspace `api`, in the folder of the same name.
pub fn workspace(home: &Home) {
    home.ok(["workspace", "create", "api", "--folder", "api"]);
}

pub fn spawn(home: &Home, arguments: &[&str]) -> String {
    let mut words = vec!["process", "spawn", "--workspace", "api"];
    words.extend(arguments);
    home.ok(words).trim().to_owned()
}

pub fn processes(home: &Home) -> Vec<ProcessView> {
    match home.client().ask(&Message::ProcessList(ProcessFilter::default())) {
        Ok(Answer::Processes(answer)) => answer.processes,
        other => panic!("{other:?}"),
    }
}

pub fn process(home: &Home, id: &str) -> Option<ProcessView> {
    processes(home).into_iter().find(|view| view.id == id)
}

pub fn wait_state(home: &Home, id: &str, state: &str) -> ProcessView {
    wait_for(&format!("process {id} to be {state}"), || {
        process(home, id).filter(|view| view.state == state)
    })
}

pub fn folder_of(home: &Home, id: &str, run: u32) -> PathBuf {
    home.data().join("processes").join(id).join(run.to_string())
}

pub fn output(home: &Home, id: &str, run: u32) -> String {
    std::fs::read_to_string(folder_of(home, id, run).join("output")).unwrap_or_default()
}

/// What the program says, with the home's path left out.
pub fn said(home: &Home, arguments: &[&str]) -> String {
    let real = home.path().canonicalize().expect("its place");
    let text = shown(&home.run(arguments));
    text.replace(&real.display().to_string(), "~")
        .replace(&home.path().display().to_string(), "~")
}
