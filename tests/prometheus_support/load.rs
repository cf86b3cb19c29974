//! A load that touches everything that the metrics tell of, and leaves a task in each state that lasts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use wezterm_parallel::client::{ClientError, Events};
use wezterm_parallel::protocol::{
    AnswerQuestion, Cancel, ClaudeOptions, Ids, Message, Permissions, Subscribe, TaskQueue,
};

use super::Prometheus;
use crate::support::wire::Wire;
use crate::support::{wait_for, Home};

const SLOTS: usize = 4;
const CONNECTIONS: usize = 16;
/// More than any machine has available.
const NO_ROOM: &str = "memory_floor = \"900TiB\"";
/// Slots alone decide, whatever else this machine has to do.
const SLOTS_ALONE: &str = "enabled = false";
const USUAL: &str = "";
/// Runs until the test says so.
const UNTIL_GO: &str = "until [ -e go ]; do sleep 0.02; done";

/// A home whose daemon tells its metrics at this port, with a stand-in for Claude.
pub(crate) fn home(port: u16) -> Home {
    let home = Home::new();
    home.configure(&config(&home, port, USUAL));
    executable(
        &claude(&home),
        &format!(
            r#"#!/bin/sh
# Prints the recording that the task names, with limits that are reset in an hour; a question waits for its answer.
exec 3<&0
case $* in *--permission-prompt-tool*) read -r prompt <&3 ;; esac
sed "s/\"resetsAt\":[0-9]*/\"resetsAt\":$(($(date +%s) + 3600))/g" "{}/$RECORDING.jsonl" |
    while read -r line; do
        printf '%s\n' "$line"
        case $line in *'"can_use_tool"'*) read -r answer <&3 || exit ;; esac
    done
"#,
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures/claude/2.1.330")
                .display()
        ),
    );
    home
}

fn claude(home: &Home) -> PathBuf {
    home.path().join("claude")
}

fn executable(path: &Path, script: &str) {
    std::fs::write(path, script).expect("the script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// With marks that other programs on this machine hardly reach.
fn config(home: &Home, port: u16, admission: &str) -> String {
    format!(
        r#"
[pool]
slots = {SLOTS}
[metrics]
listen = "127.0.0.1:{port}"
[state]
sqlite = true
[admission]
cpu_high = 1.0
cpu_low = 1.0
stall_high = 1.0
stall_low = 1.0
{admission}
[processes]
backoff = "20ms"
[limits]
connections = {CONNECTIONS}
[limits.rates]
slow = "1/h"
[journal]
snapshot_bytes = "16KiB"
[budget]
day_usd = 100.0
[budget.workspaces]
api = 50.0
[workers.shell]
retry_delay = "10ms"
[workers.claude]
binary = {binary:?}
[workers.second]
kind = "claude"
account = "second"
binary = {binary:?}
"#,
        binary = claude(home)
    )
}

/// The load, and what it leaves behind.
pub(crate) struct Load<'a> {
    home: &'a Home,
    prometheus: &'a Prometheus,
    port: u16,
    /// Somebody watches all the time.
    _events: Events,
}

impl<'a> Load<'a> {
    /// Runs all of it.
    pub(crate) fn run(home: &'a Home, prometheus: &'a Prometheus, port: u16) -> Self {
        let (_, events) = home.client().subscribe(Subscribe::default()).expect("events");
        let load = Self {
            home,
            prometheus,
            port,
            _events: events,
        };
        // In two rounds, so that no counter has its only change before it is read for the first time.
        for _ in 0..2 {
            load.good_ends();
            load.bad_ends();
            load.processes();
            load.claude_tasks();
            load.wrong_clients();
            load.full_slots();
            load.memory_short();
        }
        load.rate();
        load.pause();
        load.leave_one_of_each();
        load
    }

    fn ask(&self, message: &Message) {
        self.home.client().ask(message).expect("the daemon does so");
    }

    fn wait_end(&self, ids: &[String], state: &str) {
        for id in ids {
            self.home.wait_state(id, &[state]);
        }
    }

    fn shell(&self, command: &str, more: TaskQueue) -> String {
        self.home.submit(TaskQueue {
            command: Some(command.to_owned()),
            worker: Some("shell".to_owned()),
            cwd: Some(self.home.path().display().to_string()),
            ..more
        })
    }

    fn go(&self, ids: &[String]) {
        let sign = self.home.path().join("go");
        std::fs::write(&sign, "").expect("the sign");
        self.wait_end(ids, "succeeded");
        std::fs::remove_file(&sign).expect("the sign");
    }

    /// Every class of priority, several workspaces, two kinds of workers, output, memory that is learned.
    fn good_ends(&self) {
        let mut ids = Vec::new();
        for (priority, workspace) in [
            (50, None),
            (100, Some("api")),
            (150, Some("web")),
            (200, Some("api")),
        ] {
            let workspace = workspace.map(str::to_owned);
            ids.push(self.shell(
                "seq 1000; sleep 0.3",
                TaskQueue {
                    priority: Some(priority),
                    workspace: workspace.clone(),
                    ..TaskQueue::default()
                },
            ));
            ids.push(self.home.submit(TaskQueue {
                argv: Some(vec!["true".to_owned()]),
                workspace,
                ..TaskQueue::default()
            }));
        }
        self.wait_end(&ids, "succeeded");
    }

    fn bad_ends(&self) {
        let failing = self.shell("exit 3", TaskQueue::default());
        let retried = self.shell(
            "exit 4",
            TaskQueue {
                retries: Some(1),
                workspace: Some("web".to_owned()),
                ..TaskQueue::default()
            },
        );
        let killed = self.shell("kill -9 $$", TaskQueue::default());
        let late = self.shell(
            "sleep 60",
            TaskQueue {
                timeout_ms: Some(50),
                ..TaskQueue::default()
            },
        );
        let skipped = self.shell(
            "true",
            TaskQueue {
                after: vec![failing.clone()],
                ..TaskQueue::default()
            },
        );
        self.wait_end(&[failing, retried, killed, late, self.gone()], "failed");
        self.wait_end(&[skipped], "skipped");
        let running = self.shell("sleep 60", TaskQueue::default());
        self.home.wait_state(&running, &["running"]);
        let waiting = self.shell(
            "true",
            TaskQueue {
                hold: true,
                ..TaskQueue::default()
            },
        );
        let ids = vec![running, waiting];
        self.ask(&Message::Cancel(Cancel {
            ids: ids.clone(),
            ..Cancel::default()
        }));
        self.wait_end(&ids, "cancelled");
    }

    /// Processes that get ready, and that fail after a restart.
    fn processes(&self) {
        let is_first = self.home.ok(["process", "list", "--json"]).trim() == "[]";
        if is_first {
            self.home.ok(["workspace", "create", "site", "--no-folder"]);
        }
        let spawn = |words: &[&str]| {
            let words = ["process", "spawn", "--workspace", "site"].iter().chain(words);
            self.home.ok(words.copied()).trim().to_owned()
        };
        let good = spawn(&["--ready-line", "up", "echo up; exec sleep 600"]);
        let bad = spawn(&["--max-restarts", "1", "exit 3"]);
        for (id, state) in [(good, "ready"), (bad, "failed")] {
            wait_for("the process", || {
                let shown = self.home.ok(["process", "list", id.as_str()]);
                shown.contains(state).then_some(())
            });
        }
    }

    /// A program that is removed before it is started.
    fn gone(&self) -> String {
        let program = self.home.path().join("gone");
        executable(&program, "#!/bin/sh\n");
        let id = self.home.submit(TaskQueue {
            argv: Some(vec![program.display().to_string()]),
            hold: true,
            ..TaskQueue::default()
        });
        std::fs::remove_file(&program).expect("it was there");
        self.ask(&Message::Release(Ids {
            ids: vec![id.clone()],
            ..Ids::default()
        }));
        id
    }

    fn claude(&self, worker: &str, recording: &str) -> String {
        let asks = recording.starts_with("question").then_some(Permissions::Ask);
        self.home.submit(TaskQueue {
            command: Some("do as recorded".to_owned()),
            worker: Some(worker.to_owned()),
            workspace: Some("api".to_owned()),
            env_add: BTreeMap::from([("RECORDING".to_owned(), recording.to_owned())]),
            claude: Some(Box::new(ClaudeOptions {
                permissions: asks,
                ..ClaudeOptions::default()
            })),
            ..TaskQueue::default()
        })
    }

    fn claude_tasks(&self) {
        let good =
            ["tool_use", "usage_warning_subscription"].map(|recording| self.claude("claude", recording));
        self.wait_end(&good, "succeeded");
        self.wait_end(&[self.claude("claude", "max_turns")], "failed");
        let asking = self.claude("claude", "question_allowed");
        self.home.wait_state(&asking, &["waiting"]);
        self.ask(&Message::Answer(AnswerQuestion {
            id: asking.clone(),
            allow: true,
            ..AnswerQuestion::default()
        }));
        self.wait_end(&[asking], "succeeded");
    }

    /// Lines that are wrong, and more connections than there may be.
    fn wrong_clients(&self) {
        let mut wire = Wire::connect(self.home);
        for line in ["no JSON", r#"{"Nonsense":{}}"#, r#"{"Show":{"id":"nobody"}}"#] {
            assert!(wire.ask(line).contains("Error"), "{line}");
        }
        let mut crowd: Vec<_> = (0..CONNECTIONS).map(|_| Wire::connect(self.home)).collect();
        let refusal = crowd.last_mut().and_then(Wire::hear).expect("a refusal");
        assert!(refusal.contains("too_busy"), "{refusal}");
    }

    /// More tasks than slots.
    fn full_slots(&self) {
        self.admit(SLOTS_ALONE);
        let ids: Vec<_> = (0..=SLOTS)
            .map(|_| self.shell(UNTIL_GO, TaskQueue::default()))
            .collect();
        self.wait_blocked("slots");
        self.go(&ids);
        self.admit(USUAL);
    }

    /// A machine that has room for one task, until its config is another one.
    fn memory_short(&self) {
        self.admit(NO_ROOM);
        let ids = [0, 1].map(|_| self.shell(UNTIL_GO, TaskQueue::default()));
        self.wait_blocked("memory");
        self.prometheus
            .wait_for("wezterm_parallel_gate_open{gate=\"memory\"} == 0");
        self.reconfigure("[pool]\nslotz = 4\n")
            .expect_err("a wrong config");
        self.admit(USUAL);
        self.go(&ids);
    }

    fn admit(&self, admission: &str) {
        self.reconfigure(&config(self.home, self.port, admission))
            .expect("a right config");
    }

    fn reconfigure(&self, config: &str) -> Result<(), ClientError> {
        self.home.configure(config);
        self.home.client().ask(&Message::Reload {}).map(|_| ())
    }

    fn wait_blocked(&self, gate: &str) {
        self.prometheus
            .wait_for(&format!("wezterm_parallel_queue_blocked{{gate=\"{gate}\"}} == 1"));
    }

    /// A workspace that may start one task an hour.
    fn rate(&self) {
        let slow = || TaskQueue {
            workspace: Some("slow".to_owned()),
            ..TaskQueue::default()
        };
        let (first, second) = (self.shell("true", slow()), self.shell("true", slow()));
        self.wait_end(&[first], "succeeded");
        self.wait_blocked("rate");
        self.ask(&Message::Cancel(Cancel {
            ids: vec![second],
            ..Cancel::default()
        }));
    }

    fn pause(&self) {
        self.ask(&Message::Pause(Ids::default()));
        let id = self.shell("true", TaskQueue::default());
        self.prometheus.wait_for("wezterm_parallel_paused == 1");
        self.wait_blocked("pause");
        self.ask(&Message::Resume(Ids::default()));
        self.wait_end(&[id], "succeeded");
    }

    /// Tasks that stay as they are: waiting, queued (by a usage limit), paused, running, held, blocked, delayed.
    fn leave_one_of_each(&self) {
        self.admit(SLOTS_ALONE);
        let asking = self.claude("claude", "question_open");
        self.home.wait_state(&asking, &["waiting"]);
        let limited = self.claude("second", "usage_limit_subscription");
        self.wait_blocked("quota");
        self.home.wait_state(&limited, &["queued"]);
        let (paused, running) = (
            self.shell(UNTIL_GO, TaskQueue::default()),
            self.shell(UNTIL_GO, TaskQueue::default()),
        );
        self.home.wait_state(&running, &["running"]);
        self.home.wait_state(&paused, &["running"]);
        self.ask(&Message::Pause(Ids {
            ids: vec![paused.clone()],
            ..Ids::default()
        }));
        self.home.wait_state(&paused, &["paused"]);
        let held = self.shell(
            "true",
            TaskQueue {
                hold: true,
                ..TaskQueue::default()
            },
        );
        self.shell(
            "true",
            TaskQueue {
                after: vec![held],
                ..TaskQueue::default()
            },
        );
        self.shell(
            "true",
            TaskQueue {
                delay_ms: Some(3_600_000),
                ..TaskQueue::default()
            },
        );
        self.admit(USUAL);
    }
}
