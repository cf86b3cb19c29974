//! The CLI by itself, as the facts about it were measured: the prompt from a file, the output into a file.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::{json, Value};

use super::stub::{Reply, Stub};
use super::{binary, processes, project, with_stub, Account, Sweeper};
use crate::support::{wait_for, Home};

/// What every run is asked.
const PROMPT: &str = "do as scripted";

/// A run that may still go on; dropped, it is ended.
pub struct Running {
    child: OwnedChild,
    input: Option<ChildStdin>,
    home: Home,
    stub: Stub,
    sweeper: Sweeper,
}

struct OwnedChild(Child);

impl Drop for OwnedChild {
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
    sweeper: Sweeper,
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
    let prompt = home.path().join("prompt");
    fs::write(&prompt, PROMPT).expect("the prompt");
    let prompt = File::open(prompt).expect("the prompt");
    spawn(home, account, replies, arguments, prompt.into())
}

/// Starts the CLI so that it asks for permissions, and says the prompt; its input stays open.
pub fn start_asking(replies: impl IntoIterator<Item = Reply>) -> Running {
    let arguments = [
        "--input-format",
        "stream-json",
        "--permission-prompt-tool",
        "stdio",
    ];
    let mut running = spawn(Home::new(), Account::Key, replies, &arguments, Stdio::piped());
    running.say(&json!({"type": "user", "message": {"role": "user", "content": PROMPT}}));
    running
}

fn spawn(
    home: Home,
    account: Account,
    replies: impl IntoIterator<Item = Reply>,
    arguments: &[&str],
    stdin: Stdio,
) -> Running {
    let stub = Stub::start(replies);
    let program = binary();
    let program = program.to_str().expect("a path in UTF-8");
    let mut command = home.command_of(program, ["-p", "--output-format", "stream-json", "--verbose"]);
    command
        .args(arguments)
        .current_dir(project(&home))
        .stdin(stdin)
        .stdout(File::create(home.path().join("output")).expect("the output"))
        .stderr(File::create(home.path().join("errors")).expect("the errors"));
    let mut child = with_stub(&mut command, &home, &stub, account)
        .spawn()
        .expect("the CLI starts");
    Running {
        input: child.stdin.take(),
        child: OwnedChild(child),
        sweeper: Sweeper::of(&home),
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

    /// Hands one line to it.
    pub fn say(&mut self, line: &Value) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Waits for a line of its output.
    pub fn wait_for_event(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let output = fs::read_to_string(self.home.path().join("output")).ok()?;
            // The last line may still be written.
            let whole = &output[..output.rfind('\n')?];
            let mut events = whole.lines().filter_map(|line| serde_json::from_str(line).ok());
            events.find(&is_it)
        })
    }

    /// Waits for a question.
    pub fn wait_for_question(&self) -> Value {
        self.wait_for_event("a question", |event| event["type"] == "control_request")
    }

    /// Answers a question.
    pub fn answer(&mut self, question: &Value, answer: &Value) {
        let id = &question["request_id"];
        let response = json!({"subtype": "success", "request_id": id, "response": answer});
        self.say(&json!({"type": "control_response", "response": response}));
    }

    /// Waits until it runs a tool with this in its command line.
    pub fn wait_for_tool(&self, line: &str) {
        wait_for("the tool", || {
            processes(&self.home)
                .into_iter()
                .find(|process| process.line.contains(line))
        });
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Closes its input and waits for its end.
    pub fn finish(mut self) -> Run {
        drop(self.input.take());
        let child = &mut self.child.0;
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
            sweeper: self.sweeper,
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
