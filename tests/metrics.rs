//! Metrics of the real daemon: over HTTP, through the socket, as a file.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use support::{shown, wait_for, Home, DEADLINE};
use wezterm_parallel::protocol::{Answer, DaemonInfo, Message, TaskQueue, TaskView};

/// Any free port of loopback.
const ANYWHERE: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

fn info(home: &Home) -> DaemonInfo {
    match home.client().ask(&Message::Info {}) {
        Ok(Answer::Daemon(info)) => info,
        other => panic!("{other:?}"),
    }
}

/// Where the metrics are served.
fn address(home: &Home) -> SocketAddr {
    info(home)
        .metrics
        .expect("an address")
        .parse()
        .expect("an address")
}

/// One request as it is, and the whole answer.
fn talk(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let answer = talk(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    );
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// What a scrape brings.
fn scrape(address: SocketAddr) -> String {
    let (head, body) = get(address, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    body
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

#[test]
fn a_scrape_brings_every_family_with_its_help_and_type() {
    let home = Home::with_config(ANYWHERE);
    let _daemon = home.daemon();
    let text = scrape(address(&home));
    assert!(value(&text, "wezterm_parallel_start_timestamp_seconds") > Some(1.7e9));
    assert!(value(&text, "wezterm_parallel_connections_total") >= Some(1.0));
    assert!(value(&text, "process_resident_memory_bytes") > Some(1e6));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        let bare = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let is_told = |family: &str| {
            text.contains(&format!("# HELP {family} ")) && text.contains(&format!("# TYPE {family} "))
        };
        assert!(is_told(name) || bare.is_some_and(is_told), "{line}");
    }
}

#[test]
fn other_pages_and_methods_are_told_where_the_metrics_are() {
    let home = Home::with_config(ANYWHERE);
    let _daemon = home.daemon();
    let address = address(&home);
    let status = |request: &str| {
        talk(address, request)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(get(address, "/").1.contains("/metrics"));
    assert!(get(address, "/favicon.ico").0.starts_with("HTTP/1.1 404 "));
    assert_eq!(
        status("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "HTTP/1.1 405 Method Not Allowed"
    );
    assert_eq!(
        status("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        "HTTP/1.1 403 Forbidden"
    );
    assert_eq!(status("GET /metrics HTTP/1.0\r\n\r\n"), "HTTP/1.0 200 OK");
    let head = talk(address, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(status("\r\r\0garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn over_ipv6_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let home = Home::with_config("[metrics]\nlisten = \"[::1]:0\"\n");
    let _daemon = home.daemon();
    assert!(scrape(address(&home)).contains("wezterm_parallel_build_info{version=\""));
}

#[test]
fn a_busy_port_is_told_and_the_daemon_goes_on() {
    // The other tests take any free port of 127.0.0.1: this one's must still be free when it is let go.
    let apart = if cfg!(target_os = "linux") {
        "127.0.0.2:0"
    } else {
        "127.0.0.1:0"
    };
    let taken = TcpListener::bind(apart).expect("a port");
    let taken_at = taken.local_addr().expect("an address");
    let home = Home::with_config(&format!("[metrics]\nlisten = \"{taken_at}\"\n"));
    let _daemon = home.daemon();
    let told = info(&home);
    assert_eq!(told.metrics, None);
    assert!(
        told.warnings
            .iter()
            .any(|warning| warning.contains(&taken_at.to_string())),
        "{told:?}"
    );
    assert!(home.log().contains(&taken_at.to_string()), "{}", home.log());
    let doctor = home.ok(["doctor"]);
    assert!(doctor.contains("metrics cannot be served at"), "{doctor}");
    let id = home.queue("true");
    home.wait_state(&id, &["succeeded"]);
    assert!(home.ok(["metrics"]).contains("wezterm_parallel_connections "));
    // Once the port is free, reading the config again is enough.
    drop(taken);
    home.client().ask(&Message::Reload {}).expect("it is as it was");
    assert_eq!(address(&home), taken_at);
    assert!(info(&home).warnings.is_empty());
    scrape(taken_at);
}

#[test]
fn others_are_let_in_only_by_whoever_says_so() {
    let home = Home::with_config("[metrics]\nlisten = \"0.0.0.0:0\"\n");
    let refused = home.run(["daemon"]);
    insta::assert_snapshot!(shown(&refused).replace(&home.path().display().to_string(), "HOME"), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: HOME/.config/wezterm-parallel/config.toml:2:1: `metrics.listen`: other machines may reach 0.0.0.0:0, and could read the metrics
    hint: take a loopback address (127.0.0.1, [::1]), or set metrics.allow_remote = true
    ");
    home.configure("[metrics]\nlisten = \"0.0.0.0:0\"\nallow_remote = true\n");
    let _daemon = home.daemon();
    let port = address(&home).port();
    let answer = talk(
        SocketAddr::from(([127, 0, 0, 1], port)),
        "GET /metrics HTTP/1.1\r\nHost: a-name-of-this-machine\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn without_a_port_the_command_still_tells() {
    let home = Home::new();
    let _daemon = home.daemon();
    assert_eq!(info(&home).metrics, None);
    let text = home.ok(["metrics"]);
    assert_eq!(
        value(&text, "wezterm_parallel_messages_total{message=\"Metrics\"}"),
        Some(1.0)
    );
    let doctor = home.ok(["doctor"]);
    assert!(doctor.contains("metrics   served nowhere"), "{doctor}");
}

#[test]
fn another_address_takes_effect_with_the_config() {
    let home = Home::with_config("[metrics]\nlisten = \"off\"\n");
    let daemon = home.daemon();
    home.ok(["metrics"]);
    home.configure(ANYWHERE);
    let pid = rustix::process::Pid::from_raw(daemon.pid() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    let first = wait_for("the port", || info(&home).metrics);
    let first: SocketAddr = first.parse().expect("an address");
    let text = scrape(first);
    assert!(
        value(&text, "wezterm_parallel_messages_total{message=\"Metrics\"}") == Some(1.0),
        "counters go on"
    );
    assert_eq!(
        value(&text, "wezterm_parallel_config_reloads_total{result=\"ok\"}"),
        Some(1.0)
    );
    home.configure("[metrics]\nlisten = \"nowhere\"\n");
    assert!(home.client().ask(&Message::Reload {}).is_err());
    let failed = value(
        &scrape(first),
        "wezterm_parallel_config_reloads_total{result=\"failed\"}",
    );
    assert_eq!(failed, Some(1.0), "and it is served where it was");
    home.configure("[metrics]\nlisten = \"off\"\n");
    home.client().ask(&Message::Reload {}).expect("a config");
    assert_eq!(info(&home).metrics, None);
    assert!(TcpStream::connect(first).is_err());
}

#[test]
fn a_textfile_is_there_in_one_step_and_for_all_to_read() {
    let home = Home::new();
    let _daemon = home.daemon();
    let folder = home.path().join("textfile");
    std::fs::create_dir(&folder).expect("a folder");
    let file = folder.join("queue.prom");
    for _ in 0..2 {
        let path = file.display().to_string();
        assert_eq!(home.ok(["metrics", "--textfile", path.as_str()]), "");
    }
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(text.contains("wezterm_parallel_connections "), "{text}");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(
        std::fs::read_dir(&folder).expect("the folder").count(),
        1,
        "nothing else is left"
    );
    let refused = home.run(["metrics", "--textfile", "queue.txt"]);
    insta::assert_snapshot!(shown(&refused), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: queue.txt does not end in .prom
    hint: the node exporter reads no other files
    ");
    let refused = home.run(["metrics", "--textfile", "missing/queue.prom"]);
    insta::assert_snapshot!(shown(&refused), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: cannot write the metrics to missing/queue.prom: No such file or directory (os error 2)
    ");
}

/// All series of the families that count tasks, but for those that are 0.
fn task_counters(text: &str) -> BTreeMap<String, f64> {
    const FAMILIES: [&str; 6] = [
        "tasks_submitted_total",
        "attempts_started_total",
        "attempts_ended_total",
        "tasks_ended_total",
        "task_retries_total",
        "task_requeues_total",
    ];
    let ours = text
        .lines()
        .filter_map(|line| line.strip_prefix("wezterm_parallel_"));
    ours.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let family = series.split('{').next()?;
        let value: f64 = value.parse().ok()?;
        (FAMILIES.contains(&family) && value > 0.0).then(|| (series.to_owned(), value))
    })
    .collect()
}

/// The same, worked out from the tasks.
fn expected_counters(tasks: &[TaskView]) -> BTreeMap<String, f64> {
    let mut expected = BTreeMap::new();
    let mut count = |series: String, count: u32| {
        if count > 0 {
            *expected.entry(series).or_default() += f64::from(count);
        }
    };
    for task in tasks {
        let worker = &task.worker;
        let workspace = if task.workspace.is_empty() {
            "none"
        } else {
            &task.workspace
        };
        let lane = format!("{{workspace=\"{workspace}\",worker=\"{worker}\"}}");
        count(format!("tasks_submitted_total{lane}"), 1);
        count(
            format!("attempts_started_total{lane}"),
            task.attempts.len() as u32,
        );
        for attempt in &task.attempts {
            let outcome = attempt.outcome.as_deref().expect("all are over");
            count(
                format!("attempts_ended_total{{worker=\"{worker}\",outcome=\"{outcome}\"}}"),
                1,
            );
        }
        let reason = task.reason.as_deref().expect("a reason");
        let reason = reason.split(' ').next().expect("a word");
        let state = &task.state;
        count(
            format!("tasks_ended_total{{workspace=\"{workspace}\",state=\"{state}\",reason=\"{reason}\"}}"),
            1,
        );
        count(
            format!("task_retries_total{{worker=\"{worker}\",reason=\"exit_code\"}}"),
            task.retries_used,
        );
    }
    expected
}

/// Tasks that succeed, fail, are tried again, run out of time, are skipped, and are cancelled before and after their start.
fn mixed_load(home: &Home) {
    let shell = |command: &str, workspace: &str| TaskQueue {
        command: Some(command.to_owned()),
        workspace: Some(workspace.to_owned()).filter(|name| !name.is_empty()),
        ..TaskQueue::default()
    };
    for workspace in ["api", "", "api", "", "api", ""] {
        home.submit(shell("echo hello", workspace));
    }
    let failed = home.submit(shell("exit 3", "web"));
    home.submit(TaskQueue {
        after: vec![failed],
        ..shell("true", "web")
    });
    home.submit(TaskQueue {
        retries: Some(1),
        ..shell("[ -e second ] || { touch second; exit 1; }", "api")
    });
    home.submit(TaskQueue {
        timeout_ms: Some(50),
        ..shell("sleep 600", "")
    });
    home.submit(TaskQueue {
        argv: Some(vec!["sleep".to_owned(), "0".to_owned()]),
        ..TaskQueue::default()
    });
    let waiting = home.submit(TaskQueue {
        hold: true,
        ..shell("true", "api")
    });
    home.ok(["cancel", waiting.as_str()]);
    let running = home.submit(shell("sleep 600", "api"));
    home.wait_state(&running, &["running"]);
    home.ok(["cancel", running.as_str()]);
    home.wait_idle();
}

#[test]
fn counters_agree_with_what_the_journal_says() {
    let home = Home::with_config(&format!("[pool]\nslots = 2\n{ANYWHERE}"));
    let daemon = home.daemon();
    mixed_load(&home);
    let tasks = home.tasks();
    let text = scrape(address(&home));
    assert_eq!(task_counters(&text), expected_counters(&tasks));
    let starts: usize = tasks.iter().map(|task| task.attempts.len()).sum();
    let sum_of = |series: &str| -> f64 {
        let ours = text
            .lines()
            .filter_map(|line| line.strip_prefix("wezterm_parallel_")?.strip_prefix(series));
        ours.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert_eq!(sum_of("submit_ack_seconds_count"), tasks.len() as f64);
    for each_start in ["dispatch_latency", "task_wait", "attempt_run"] {
        assert_eq!(
            sum_of(&format!("{each_start}_seconds_count")),
            starts as f64,
            "{each_start}"
        );
    }
    assert_eq!(sum_of("output_bytes_total"), 36.0);
    assert!(sum_of("journal_fsync_seconds_count") > 0.0);
    // Gauges follow a moment later.
    wait_for("an empty queue", || {
        let text = scrape(address(&home));
        let mut tasks = text
            .lines()
            .filter(|line| line.starts_with("wezterm_parallel_tasks{"));
        tasks.all(|line| line.ends_with(" 0")).then_some(())
    });
    // The next daemon counts from 0, whatever it finds in the journal.
    daemon.kill();
    let _daemon = home.daemon();
    assert_eq!(task_counters(&scrape(address(&home))), BTreeMap::new());
}

#[test]
fn what_holds_up_the_queue_shows() {
    let home = Home::with_config(ANYWHERE);
    let _daemon = home.daemon();
    home.ok(["pause"]);
    for priority in [10, 100, 100] {
        home.submit(TaskQueue {
            priority: Some(priority),
            command: Some("true".to_owned()),
            ..TaskQueue::default()
        });
    }
    let shows = |text: &str, series: &str, expected: f64| value(text, series) == Some(expected);
    wait_for("the gauges", || {
        let text = scrape(address(&home));
        let queued = |class| {
            format!("wezterm_parallel_tasks{{state=\"queued\",workspace=\"none\",priority=\"{class}\"}}")
        };
        let is_told = shows(&text, &queued("normal"), 2.0)
            && shows(&text, &queued("low"), 1.0)
            && shows(&text, "wezterm_parallel_paused", 1.0)
            && shows(&text, "wezterm_parallel_queue_blocked{gate=\"pause\"}", 1.0)
            && shows(&text, "wezterm_parallel_queue_blocked{gate=\"slots\"}", 0.0);
        is_told.then_some(())
    });
    home.ok(["resume"]);
    home.wait_idle();
    let blocked = "wezterm_parallel_queue_blocked_seconds_total{gate=\"pause\"}";
    wait_for("the time that it took", || {
        let text = scrape(address(&home));
        let is_over = shows(&text, "wezterm_parallel_queue_blocked{gate=\"pause\"}", 0.0);
        (is_over && value(&text, blocked) > Some(0.0)).then_some(())
    });
}
