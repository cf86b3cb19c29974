//! Limits of whole trees by control groups of version 2, on a kernel that has them: `.ci/run cgroup2` boots one, since
//! few machines lend a group to a test. In `given` the user may make groups; in `kept` nobody may.

#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};

use support::{wait_for, Daemon, Home, PROGRAM};
use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Answer, GroupReport, Message, TaskView};

/// A group that can be divided, with a home for a daemon in it.
struct Given {
    base: PathBuf,
    home: Home,
}

impl Given {
    /// Each test has its own, so that none meets another one's groups.
    fn new(name: &str, config: &str) -> Self {
        let given = std::env::var_os("WEZTERM_PARALLEL_GIVEN").expect("run this by .ci/run cgroup2");
        let base = Path::new(&given).join(name);
        std::fs::create_dir(&base).expect("a group in the one that was given");
        Self {
            base,
            home: Home::with_config(config),
        }
    }

    /// A daemon that is started in there, as by a service manager.
    fn daemon(&self) -> Daemon<'_> {
        self.daemon_in(&self.base)
    }

    fn daemon_in(&self, group: &Path) -> Daemon<'_> {
        let line = format!(
            "echo 0 > {}/cgroup.procs && exec {PROGRAM} daemon",
            group.display()
        );
        self.home.daemon_of(self.home.command_of("sh", ["-c", &line]))
    }

    fn leaf(&self) -> PathBuf {
        self.base.join("wezterm-parallel")
    }

    /// The groups of attempts.
    fn attempts(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(&self.base).expect("a group");
        let folders = all.flatten().map(|entry| entry.path());
        folders
            .filter(|path| path.is_dir() && *path != self.leaf())
            .collect()
    }

    /// The only one of them.
    fn attempt(&self) -> PathBuf {
        wait_for("one group of an attempt", || {
            let attempts = self.attempts();
            (attempts.len() == 1).then(|| attempts[0].clone())
        })
    }

    fn wait_until_empty(&self) {
        wait_for("the groups' end", || self.attempts().is_empty().then_some(()));
    }

    /// Queues a line and waits for its end.
    fn run(&self, line: &str) -> TaskView {
        let id = self.home.queue(line);
        self.home.wait_idle_of(std::slice::from_ref(&id));
        self.home.task(&id)
    }
}

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim()
        .to_owned()
}

fn groups_of(pid: impl std::fmt::Display) -> String {
    text(format!("/proc/{pid}/cgroup"))
}

/// How the only attempt ended.
fn ended(task: &TaskView) -> (String, String, GroupReport) {
    let attempt = &task.attempts[0];
    (
        format!("{} {}", task.state, attempt.outcome.clone().unwrap_or_default()),
        attempt.message.clone().unwrap_or_default(),
        attempt.group.clone().unwrap_or_default(),
    )
}

/// Limits for the profile `shell`.
fn limits(lines: &str) -> String {
    format!("[workers.shell.limits]\n{lines}\n")
}

/// A command that takes so much memory, touches all of it, and ends.
fn taking(mebibytes: u32) -> String {
    format!("dd if=/dev/zero of=/dev/null bs={mebibytes}M count=1")
}

mod given {
    use super::*;

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn memory_max_ends_a_worker_and_its_outcome_says_so() {
        let given = Given::new("max", &limits("memory_max = \"64MiB\""));
        let daemon = given.daemon();
        assert!(groups_of(daemon.pid()).ends_with("/max/wezterm-parallel"));
        let task = given.run(&format!("exec {}", taking(200)));
        let (end, message, report) = ended(&task);
        assert_eq!(end, "failed oom", "{message}");
        assert_eq!(task.reason.as_deref(), Some("oom"));
        assert_eq!(
            message,
            "the kernel ended it at its `memory_max` (see [workers.shell.limits]: memory_max 64MiB)"
        );
        assert_eq!((report.oom_kills, report.at_memory_max), (1, true));
        assert_eq!((report.held.as_str(), report.lack), ("memory_max 64MiB", None));
        assert!(task.attempts[0].peak_memory_bytes >= Some(64 << 20));
        given.wait_until_empty();
        // The kernel ends the largest process, and the others go on.
        let task = given.run(&format!("{}; echo \"ended with $?\"", taking(200)));
        let (end, _, report) = ended(&task);
        assert_eq!((end.as_str(), report.oom_kills), ("succeeded ok", 1));
        assert!(given.home.output(&task.id, 1).contains("ended with 137"));
        let shown = given.home.ok(["show", &task.id]);
        assert!(shown.contains("memory_max 64MiB"), "{shown}");
        assert!(shown.contains("1 × ended for want of memory"), "{shown}");
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn all_processes_of_a_tree_count_together() {
        let given = Given::new("tree", &limits("memory_max = \"64MiB\""));
        let _daemon = given.daemon();
        // Nobody reads what they write: each keeps its 40 MiB.
        let each = "dd if=/dev/zero bs=40M count=1 | sleep 1000";
        let id = given.home.queue(&format!("({each}) & ({each}) & wait"));
        let events = given.attempt().join("memory.events");
        wait_for("one of the two to be ended", || {
            text(&events).contains("oom_kill 1").then_some(())
        });
        given.home.ok(["cancel", &id]);
        given.home.wait_idle();
        assert_eq!(given.home.task(&id).state, "cancelled");
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn memory_high_slows_a_worker_down_and_it_survives() {
        let given = Given::new("high", &limits("memory_high = \"16MiB\""));
        let _daemon = given.daemon();
        let task = given.run(&taking(16));
        let (end, message, report) = ended(&task);
        assert_eq!(end, "succeeded ok", "{message}");
        assert!(report.throttled > 0, "{report:?}");
        assert_eq!(report.oom_kills, 0);
        assert!(report.peak_bytes.is_none_or(|peak| peak > 16 << 20), "{report:?}");
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn pids_max_stops_whoever_starts_too_many_processes() {
        let given = Given::new("pids", &limits("pids_max = 50"));
        let _daemon = given.daemon();
        let line = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo all";
        let task = given.run(line);
        let (end, message, report) = ended(&task);
        assert_eq!(end, "failed exit_code");
        assert!(
            message.contains("it could start no process at `pids_max` (see [workers.shell.limits])"),
            "{message}"
        );
        assert!(report.forks_refused > 0, "{report:?}");
        let output = given.home.output(&task.id, 1);
        assert!(output.contains("Resource temporarily unavailable"), "{output}");
        assert!(!output.contains("all"), "{output}");
        // The 49 that it could start are ended with it.
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn a_worker_and_its_limit_outlive_the_daemon() {
        let given = Given::new("kill", &limits("memory_max = \"64MiB\""));
        let daemon = given.daemon();
        let go = given.home.path().join("go");
        let line = format!(
            "until test -e {}; do sleep 0.1; done; exec {}",
            go.display(),
            taking(200)
        );
        let id = given.home.queue(&line);
        let group = given.attempt();
        let limit = || text(group.join("memory.max"));
        wait_for("the worker in its group", || {
            (!text(group.join("cgroup.procs")).is_empty()).then_some(())
        });
        assert_eq!(limit(), (64 << 20).to_string());
        daemon.kill();
        assert_eq!(limit(), (64 << 20).to_string());
        // A service manager that knows of the leaf starts the next one in it.
        given.daemon_in(&given.leaf()).kill();
        assert_eq!(limit(), (64 << 20).to_string());
        // One that does not takes the controllers away, and with them all limits, to start it where it was.
        std::fs::write(given.base.join("cgroup.subtree_control"), "-memory -pids").expect("they are ours");
        assert!(!group.join("memory.max").exists());
        let _daemon = given.daemon();
        wait_for("the limit", || (limit() == (64 << 20).to_string()).then_some(()));
        std::fs::write(&go, "").expect("a file");
        given.home.wait_idle();
        assert_eq!(ended(&given.home.task(&id)).0, "failed oom");
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn what_a_killed_shim_leaves_is_ended_with_its_group() {
        let given = Given::new("shim", &limits("pids_max = 50"));
        let daemon = given.daemon();
        // In a session of its own, and without the marks of its attempt: its group still tells whose it is.
        let id = given.home.queue("env -i setsid sleep 1000 & wait");
        let group = given.attempt();
        wait_for("both processes", || {
            let all = text(group.join("cgroup.procs"));
            let is_there = |pid: &str| text(format!("/proc/{pid}/comm")) == "sleep";
            (all.lines().count() == 2 && all.lines().any(is_there)).then_some(())
        });
        daemon.kill();
        let shim = support::process::shim_of(&given.home.attempt(&id, 1)).expect("a shim");
        support::process::kill(shim);
        wait_for("the shim's end", || {
            (!support::process::is_alive(shim)).then_some(())
        });
        let _daemon = given.daemon_in(&given.leaf());
        given.home.wait_state(&id, &["lost"]);
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn a_sandboxed_worker_cannot_leave_its_group() {
        let config = format!(
            "[workers.shell.sandbox]\nrequired = true\n{}",
            limits("pids_max = 50")
        );
        let given = Given::new("sandbox", &config);
        let _daemon = given.daemon();
        let leaf = given.leaf();
        let line = format!("echo 0 > {}/cgroup.procs; cat /proc/self/cgroup", leaf.display());
        let task = given.run(&line);
        let output = given.home.output(&task.id, 1);
        assert!(output.contains("ermission denied"), "{output}");
        assert!(output.contains("/sandbox/wezterm-parallel-"), "{output}");
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn a_daemon_that_a_worker_starts_is_not_in_the_workers_group() {
        let given = Given::new("inner", &limits("pids_max = 50"));
        let daemon = given.daemon();
        let go = given.home.path().join("go");
        let line = format!(
            "until test -e {}; do sleep 0.1; done; {PROGRAM} queue --shell true; sleep 1000",
            go.display()
        );
        let id = given.home.queue(&line);
        let group = given.attempt();
        daemon.kill();
        std::fs::write(&go, "").expect("a file");
        let pid = wait_for("another daemon", || {
            let answer = Client::connect(&given.home.socket()).ok()?.ask(&Message::Info {});
            match answer {
                Ok(Answer::Daemon(info)) => Some(info.pid),
                _ => None,
            }
        });
        assert!(
            groups_of(pid).ends_with("/inner/wezterm-parallel"),
            "{}",
            groups_of(pid)
        );
        assert!(!text(group.join("cgroup.procs")).contains(&pid.to_string()));
        given.home.ok(["cancel", &id]);
        given.home.wait_idle();
        given.wait_until_empty();
    }

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn admission_reads_the_limit_of_a_real_group() {
        let given = Given::new("reading", "[admission]\nenabled = true\n");
        std::fs::write(given.base.join("memory.max"), (300_u64 << 20).to_string()).expect("it is ours");
        let _daemon = given.daemon();
        let total = wait_for("a reading", || {
            let answer = given.home.client().ask(&Message::Admission {}).ok()?;
            let Answer::Admission(answer) = answer else {
                panic!("{answer:?}");
            };
            answer.reading?.memory_total_bytes
        });
        // The daemon is in a leaf below, and the limit of the group above counts.
        assert_eq!(total, 300 << 20);
    }
}

mod kept {
    use super::*;

    #[test]
    #[ignore = "needs a kernel with version 2: .ci/run cgroup2"]
    fn without_rights_the_worker_runs_and_everyone_is_told() {
        let home = Home::with_config(&format!(
            "{}[workers.strict]\nkind = \"shell\"\nlimits = {{ pids_max = 50, required = true }}\n",
            limits("memory_max = \"64MiB\"")
        ));
        let _daemon = home.daemon();
        let id = home.queue("true");
        home.wait_idle();
        let (end, _, report) = ended(&home.task(&id));
        assert_eq!((end.as_str(), report.held.as_str()), ("succeeded ok", ""));
        let lack = report.lack.expect("it did not hold");
        let begin = "memory_max is not in force: the daemon may not divide its own, /sys/fs/cgroup/kept/tests: Permission \
                     denied";
        assert!(lack.starts_with(begin), "{lack}");
        let shown = home.ok(["show", &id]);
        assert!(shown.contains("memory_max is not in force"), "{shown}");
        assert!(
            home.log().contains("memory_max is not in force"),
            "{}",
            home.log()
        );
        let doctor = String::from_utf8_lossy(&home.run(["doctor"]).stdout).into_owned();
        assert!(doctor.contains("of whole trees are not in force"), "{doctor}");
        let id = home.ok(["queue", "--worker", "strict", "true"]);
        home.wait_idle();
        let (end, message, _) = ended(&home.task(id.trim()));
        assert_eq!(end, "failed spawn_error");
        assert!(
            message.contains("it is required to be limited, but pids_max is not in force"),
            "{message}"
        );
    }
}
