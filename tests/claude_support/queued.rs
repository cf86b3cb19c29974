//! The CLI as the worker of a daemon: prompts go in through the real program, and what is known of them comes out
//! of it.

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::stub::Stub;
use super::{binary, processes, project, with_stub, Account, Process, Sweeper};
use crate::support::{shown, wait_for, Daemon, Home, DEADLINE};

/// What a task can end as.
pub const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "skipped", "lost"];

/// A home whose default worker is the CLI.
pub struct Desk {
    /// The home; the CLI's own files are in it too.
    pub home: Home,
    /// The API that the CLI speaks to.
    pub stub: Stub,
    account: Account,
    /// Comes after the home: its daemon would start again what is ended too early.
    sweeper: Sweeper,
}

impl Desk {
    /// A desk with the usual profile, and these lines in it besides.
    pub fn new(stub: Stub, account: Account, profile: &str) -> Self {
        let home = Home::with_config(&config(profile));
        let sweeper = Sweeper::of(&home);
        Self {
            home,
            stub,
            account,
            sweeper,
        }
    }

    /// One with a key of the API.
    pub fn with_key(stub: Stub, profile: &str) -> Self {
        Self::new(stub, Account::Key, profile)
    }

    /// Starts the daemon.
    pub fn daemon(&self) -> Daemon<'_> {
        // A daemon that does not like its config would be waited for in vain.
        self.ok(&["config", "check"]);
        self.home.daemon()
    }

    /// Runs the program in the project's folder, with what the CLI needs in its environment.
    pub fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.home.command(arguments);
        command.current_dir(project(&self.home));
        let command = with_stub(&mut command, &self.home, &self.stub, self.account);
        // As it is for one who queues from within another session.
        command.env("CLAUDECODE", "1");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // Whether it is read shows in what the program says.
        let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
        child.wait_with_output().expect("it was ours")
    }

    /// Runs the program, which must succeed: its stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The JSON that the program prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).expect("JSON")
    }

    /// Queues a prompt: the task's id.
    pub fn queue(&self, prompt: &str, options: &[&str]) -> String {
        let mut arguments = vec!["queue", prompt];
        arguments.extend(options);
        self.ok(&arguments).trim().to_owned()
    }

    /// Queues a prompt that is handed over on stdin.
    pub fn queue_from_stdin(&self, prompt: &str, options: &[&str]) -> String {
        let mut arguments = vec!["queue", "-"];
        arguments.extend(options);
        let output = self.run(&arguments, prompt);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// A task as `show --json` tells it.
    pub fn show(&self, id: &str) -> Value {
        self.json(&["show", id, "--json"])
    }

    /// Waits until a task is in one of these states.
    pub fn wait_state(&self, id: &str, states: &[&str]) -> Value {
        self.wait(id, &format!("{states:?}"), |task| {
            states.iter().any(|state| task["state"] == *state)
        })
    }

    /// Waits until a task is as it should be; an end that is another one is a failure at once.
    pub fn wait(&self, id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let task = self.show(id);
            if condition(&task) {
                return task;
            }
            let may_still = !is_ended(&task) && begin.elapsed() < DEADLINE;
            assert!(may_still, "not {what}: {task:#}\n{}", self.outputs(id));
            // Between two looks, each of which is a process of its own.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a task has ended.
    pub fn wait_end(&self, id: &str) -> Value {
        self.wait_state(id, &ENDS)
    }

    /// Waits until a task has succeeded.
    pub fn wait_success(&self, id: &str) -> Value {
        self.wait_state(id, &["succeeded"])
    }

    /// The closed gates of this name in a task's way.
    pub fn gates(&self, id: &str, name: &str) -> Vec<Value> {
        let explanation = self.json(&["explain", id, "--json"]);
        let gates = explanation["gates"].as_array().expect("gates").iter();
        gates.filter(|gate| gate["gate"] == name).cloned().collect()
    }

    /// Waits until a gate of this name is in a task's way.
    pub fn wait_gate(&self, id: &str, name: &str) -> Value {
        wait_for(&format!("gate {name} in the way of {id}"), || {
            self.gates(id, name).pop()
        })
    }

    /// The lines that an attempt's CLI printed.
    pub fn events(&self, id: &str, attempt: u32) -> Vec<Value> {
        let output = self.home.output(id, attempt);
        let lines = output
            .lines()
            .map(|line| serde_json::from_str(line).expect("an event"));
        lines.collect()
    }

    /// Processes of the CLI and its tools.
    pub fn processes(&self) -> Vec<Process> {
        processes(&self.home)
    }

    /// What a task's attempts printed, for a test that fails.
    fn outputs(&self, id: &str) -> String {
        let mut text = String::new();
        for attempt in 1.. {
            let folder = self.home.attempt(id, attempt);
            if !folder.exists() {
                break;
            }
            for file in ["output", "stderr"] {
                let content = fs::read_to_string(folder.join(file)).unwrap_or_default();
                text.push_str(&format!("--- {attempt}/{file}\n{content}"));
            }
        }
        text
    }
}

fn is_ended(task: &Value) -> bool {
    ENDS.iter().any(|end| task["state"] == *end)
}

fn config(profile: &str) -> String {
    let binary = binary();
    let binary = Value::from(binary.to_str().expect("a path in UTF-8"));
    format!(
        "[pool]\nslots = 2\ndefault_worker = \"claude\"\n\
         [quota]\njitter = \"0s\"\nramp_step = \"1s\"\n\
         [workers.claude]\nkind = \"claude\"\nbinary = {binary}\nretry_delay = \"100ms\"\n{profile}\n"
    )
}
