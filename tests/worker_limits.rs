//! Nice values and limits of the system, as the worker itself finds them set.

mod support;

use support::{shown, wait_for, Home, PROGRAM};
use wezterm_parallel::client::Client;
use wezterm_parallel::protocol::{Message, TaskQueue};

const CONFIG: &str = r#"
[workers.small]
kind = "shell"
nice = 7
oom_score = 450
[workers.small.limits]
open_files = 77
processes = 4000
file_size = "64KiB"
address_space = "512MiB"
core = 0
cpu_time = "1s"
"#;

/// Runs a shell line under a profile to its end: its id.
fn run(home: &Home, worker: &str, line: &str) -> String {
    let id = home.submit(TaskQueue {
        command: Some(line.to_owned()),
        worker: Some(worker.to_owned()),
        ..TaskQueue::default()
    });
    home.wait_idle_of(std::slice::from_ref(&id));
    id
}

#[test]
fn a_worker_finds_its_limits_set() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let own_nice = rustix::process::getpriority_process(None).expect("a nice value");
    let id = run(
        &home,
        "small",
        "nice; ulimit -n; ulimit -Hn; ulimit -v; ulimit -c; ulimit -f; ulimit -t; ulimit -Ht",
    );
    let expected = format!("{}\n77\n77\n524288\n0\n128\n1\n6\n", (own_nice + 7).min(19));
    assert_eq!(home.output(&id, 1), expected);
    // The next worker, perhaps of the same shim, has none of them.
    let id = run(&home, "shell", "nice; ulimit -c; ulimit -t");
    let output = home.output(&id, 1);
    assert!(output.starts_with(&format!("{own_nice}\n")), "{output}");
    assert!(output.ends_with("unlimited\n"), "{output}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_ends_it_sooner_than_others() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").expect("a score");
    let own: i32 = own.trim().parse().expect("a number");
    let wanted = (own + 450).min(1_000);
    // It is set once the worker has run for a moment.
    let line = format!("until test $(cat /proc/$$/oom_score_adj) = {wanted}; do sleep 0.01; done");
    let id = run(&home, "small", &line);
    assert_eq!(home.task(&id).state, "succeeded");
}

#[test]
fn what_goes_beyond_a_limit_is_ended_and_the_limit_is_named() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    let id = run(&home, "small", "exec sh -c 'while :; do :; done'");
    insta::assert_snapshot!(message(&home, &id), @"failed signal Some(24): its CPU time was over: `cpu_time` in [workers.small.limits]");
    let id = run(&home, "small", "exec head -c 1000000 /dev/zero");
    insta::assert_snapshot!(message(&home, &id), @"failed signal Some(25): it wrote too large a file: `file_size` in [workers.small.limits]");
}

fn message(home: &Home, id: &str) -> String {
    let task = home.task(id);
    let attempt = &task.attempts[0];
    format!(
        "{} {} {:?}: {}",
        task.state,
        attempt.outcome.clone().unwrap_or_default(),
        attempt.signal,
        attempt.message.clone().unwrap_or_default()
    )
}

#[test]
fn a_limit_above_the_systems_is_a_spawn_error_and_limits_are_shown() {
    let config = "[workers.large]\nkind = \"shell\"\n[workers.large.limits]\nopen_files = 1000\n\
                  [workers.small]\nkind = \"shell\"\nnice = 3\n[workers.small.limits]\nopen_files = 100\n";
    let home = Home::with_config(config);
    // A daemon that was started by somebody with a limit of their own.
    let line = "ulimit -n 512; exec \"$0\" daemon";
    let mut daemon = home
        .command_of("sh", ["-c", line, PROGRAM])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the daemon starts");
    wait_for("the daemon's answer", || {
        Client::connect(&home.socket()).ok()?.ask(&Message::Info {}).ok()
    });
    let id = run(&home, "large", "true");
    insta::assert_snapshot!(message(&home, &id), @"failed spawn_error None: its limit open_files = 1000 is above the system's hard limit of 512: lower it, or raise the system's (`ulimit -H`, limits.conf, `Limit…=` of the service)");
    let id = home.ok(["queue", "--hold", "--worker", "small", "true"]);
    let text = home.ok(["show", id.trim()]);
    assert!(text.contains("limits      nice 3; open_files 100\n"), "{text}");
    home.ok(["shutdown"]);
    daemon.wait().expect("it was ours");
}

/// The tests are in the daemon's control group, too, if there are any here: it is not the daemon's to divide.
#[test]
fn limits_of_a_tree_that_do_not_hold_are_told_and_may_be_required() {
    let config = "[workers.tree]\nkind = \"shell\"\nlimits = { memory_max = \"64MiB\", pids_max = 50 }\n\
                  [workers.strict]\nkind = \"shell\"\nlimits = { memory_high = \"64MiB\", required = true }\n";
    let home = Home::with_config(config);
    let _daemon = home.daemon();
    let id = run(&home, "tree", "echo it ran");
    assert_eq!(home.output(&id, 1), "it ran\n");
    let task = home.task(&id);
    let report = task.attempts[0].group.as_ref().expect("a report");
    let lack = report.lack.as_deref().unwrap_or_default();
    let begin = "memory_max and pids_max are not in force: ";
    assert!(report.held.is_empty() && lack.starts_with(begin), "{report:?}");
    for text in [home.ok(["show", &id]), home.log()] {
        assert!(text.contains(begin), "{text}");
    }
    let held = home.ok(["queue", "--hold", "--worker", "tree", "true"]);
    assert!(home.ok(["show", held.trim()]).contains(begin));
    let doctor = shown(&home.run(["doctor"]));
    assert!(
        doctor.contains("limits    of whole trees are not in force: "),
        "{doctor}"
    );
    let id = run(&home, "strict", "true");
    let told = message(&home, &id);
    let begin = "failed spawn_error None: it is required to be limited, but memory_high is not in force: ";
    assert!(told.starts_with(begin), "{told}");
}

#[test]
fn values_that_nobody_can_mean_are_refused() {
    let wrong = [
        "nice = 20",
        "nice = -5",
        "oom_score = 1001",
        "limits.open_files = 3",
        "limits.file_size = 100",
        "limits.address_space = \"1MiB\"",
        "limits.cpu_time = \"0s\"",
        "limits.open_file = 100",
        "limits.memory_max = \"1MiB\"",
        "limits.pids_max = 0",
        "limits = { memory_high = \"2GiB\", memory_max = \"1GiB\" }",
        "limits.required = true",
        "sandbox.write = [\"src\"]",
        "sandbox.connect_tcp = [70000]",
        "sandbox.reads = []",
    ];
    let mut said = String::new();
    for line in wrong {
        let home = Home::with_config(&format!("[workers.w]\nkind = \"shell\"\n{line}\n"));
        let output = home.run(["config", "check"]);
        let text = shown(&output).replace(&home.path().display().to_string(), "~");
        let lines = text
            .lines()
            .filter(|line| line.starts_with("error") || line.starts_with("hint"));
        for line in lines {
            said += &line.replace("~/.config/wezterm-parallel/", "");
            said += "\n";
        }
    }
    insta::assert_snapshot!(said);
}
