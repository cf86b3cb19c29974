//! The CLI by itself, as the facts about it were measured: the prompt from a file, the output into a file.

use std::fs::{self, File};
use std::process::Child;

use serde_json::Value;

use super::stub::{Reply, Stub};
use super::{binary, project, with_stub, Account};
use crate::support::{wait_for, Home};

/// A run that may still go on; dropped, it is ended.
pub struct Running {
    process: Process,
    home: Home,
    stub: Stub,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Only what has not been waited for is still there to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a run left.
pub struct Run {
    /// `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Every line of its output.
    pub events: Vec<Value>,
    /// What it said on stderr.
    pub errors: String,
    /// The API that it spoke to.
    pub stub: Stub,
    /// Where it ran.
    pub home: Home,
}

/// Starts the CLI with one prompt.
pub fn start(account: Account, replies: impl IntoIterator<Item = Reply>, arguments: &[&str]) -> Running {
    start_in(Home::new(), account, replies, arguments)
}

/// The same in a home that an earlier run has left, which knows its sessions.
pub fn start_in(
    home: Home,
    account: Account,
    replies: impl IntoIterator<Item = Reply>,
    arguments: &[&str],
) -> Running {
    let stub = Stub::start(replies);
    let prompt = home.path().join("prompt");
    fs::write(&prompt, "do as scripted").expect("the prompt");
    let program = binary();
    let program = program.to_str().expect("a path in UTF-8");
    let mut command = home.command_of(program, ["-p", "--output-format", "stream-json", "--verbose"]);
    command
        .args(arguments)
        .current_dir(project(&home))
        .stdin(File::open(prompt).expect("the prompt"))
        .stdout(File::create(home.path().join("output")).expect("the output"))
        .stderr(File::create(home.path().join("errors")).expect("the errors"));
    let child = with_stub(&mut command, &home, &stub, account).spawn();
    Running {
        process: Process(child.expect("the CLI starts")),
        home,
        stub,
    }
}

/// Runs the CLI to its end.
pub fn run(account: Account, replies: impl IntoIterator<Item = Reply>, arguments: &[&str]) -> Run {
    start(account, replies, arguments).finish()
}

/// What the CLI says of its version.
pub fn version() -> String {
    let home = Home::new();
    let program = binary();
    let output = home
        .command_of(program.to_str().expect("a path in UTF-8"), ["--version"])
        .output();
    String::from_utf8(output.expect("the CLI starts").stdout).expect("UTF-8")
}

impl Running {
    /// The API that it speaks to.
    pub fn stub(&self) -> &Stub {
        &self.stub
    }

    /// Asks it to end.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process.0);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Run {
        let child = &mut self.process.0;
        let status = wait_for("the CLI's end", || child.try_wait().expect("it is ours"));
        let read = |name| fs::read_to_string(self.home.path().join(name)).expect("UTF-8");
        let events = read("output");
        let events = events
            .lines()
            .map(|line| serde_json::from_str(line).expect("an event"));
        Run {
            exit_code: status.code(),
            events: events.collect(),
            errors: read("errors"),
            stub: self.stub,
            home: self.home,
        }
    }
}

impl Run {
    /// The last line, which must be a `result`.
    pub fn result(&self) -> &Value {
        let last = self
            .events
            .last()
            .unwrap_or_else(|| panic!("no output; {}", self.errors));
        assert_eq!(last["type"], "result", "{last}");
        last
    }

    /// Events of a type, and of a subtype if one is named.
    pub fn events_of(&self, kind: &str, subtype: Option<&str>) -> Vec<&Value> {
        let is_one =
            |event: &&Value| event["type"] == kind && subtype.is_none_or(|name| event["subtype"] == name);
        self.events.iter().filter(is_one).collect()
    }

    /// The session that its first line names.
    pub fn session_id(&self) -> &str {
        self.events[0]["session_id"].as_str().expect("a session")
    }
}
