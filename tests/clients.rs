//! Many clients, slow clients, rude clients: each gets its answers, and none holds up another.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::wire::Wire;
use support::{wait_for, Home};
use wezterm_parallel::protocol::{Answer, Filter, Message, TaskQueue};

/// Slots are taken by nothing: what is queued stays queued.
const PAUSED: &str = r#"{"Pause":{}}"#;

fn info_is_answered(wire: &mut Wire) {
    let answer = wire.ask(r#"{"Info":{}}"#);
    assert!(answer.starts_with(r#"{"Daemon":"#), "{answer}");
}

#[test]
fn a_thousand_clients_at_once_are_all_answered() {
    let home = Home::new();
    let _daemon = home.daemon();
    Wire::connect(&home).ask(PAUSED);
    let mut clients: Vec<Wire> = (0..1_000).map(|_| Wire::connect(&home)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.say(format!(
            "{{\"TaskQueue\":{{\"id\":\"c{n}\",\"command\":\"true\"}}}}\n"
        ));
    }
    for (n, client) in clients.iter_mut().enumerate() {
        let expected = format!(r#"{{"StatusUpdate":{{"process_id":"c{n}","status":"Queued"}}}}"#);
        assert_eq!(client.hear().as_deref(), Some(expected.as_str()));
    }
    assert_eq!(home.summary().queued, 1_000);
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_holds_up_nobody() {
    let home = Home::with_config("[limits]\nwrite_timeout = \"300ms\"\n");
    let _daemon = home.daemon();
    let mut other = Wire::connect(&home);
    other.ask(PAUSED);
    for n in 0..300 {
        other.ask(format!(r#"{{"TaskQueue":{{"id":"t{n}","command":"true"}}}}"#));
    }
    let mut deaf = Wire::connect(&home);
    // Each answer is far larger than its question, so that the answers pile up.
    let mut asked = 0;
    while asked < 200 && deaf.try_say("{\"Status\":{}}\n") {
        asked += 1;
        info_is_answered(&mut other);
    }
    wait_for("the deaf one to be cut off", || {
        info_is_answered(&mut other);
        (!deaf.try_say("{\"Info\":{}}\n")).then_some(())
    });
    info_is_answered(&mut other);
}

#[test]
fn a_client_that_sends_byte_by_byte_holds_up_nobody() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (mut slow, mut other) = (Wire::connect(&home), Wire::connect(&home));
    for byte in br#"{"TaskQueue":{"id":"slow","command":"true","hold":true}}"# {
        slow.say([*byte]);
        info_is_answered(&mut other);
    }
    slow.say("\n");
    assert_eq!(
        slow.hear().as_deref(),
        Some(r#"{"StatusUpdate":{"process_id":"slow","status":"Held"}}"#)
    );
}

#[test]
fn half_a_line_and_a_closed_door_queue_nothing() {
    let home = Home::new();
    let _daemon = home.daemon();
    let mut wire = Wire::connect(&home);
    wire.say("{\"TaskQueue\":{\"id\":\"whole\",\"command\":\"true\"}}\n{\"TaskQueue\":{\"id\":\"half\",\"command\":\"true\"}}");
    wire.hear().expect("the whole line's answer");
    drop(wire);
    let ids: Vec<String> = home.tasks().into_iter().map(|task| task.id).collect();
    assert_eq!(ids, ["whole"]);
}

#[test]
fn a_subscriber_that_reads_too_slowly_is_told_and_can_catch_up() {
    let home = Home::with_config("[limits]\nevent_buffer = 4\n[pool]\nslots = 2\n");
    let _daemon = home.daemon();
    let mut slow = Wire::connect(&home);
    slow.say("{\"Subscribe\":{}}\n");
    let first = slow.hear().expect("the status at the beginning");
    assert!(first.starts_with(r#"{"Status":"#), "{first}");
    // Long commands make long events, which fill the socket's buffer as well.
    let filler = "x".repeat(20_000);
    let mut other = Wire::connect(&home);
    other.ask(PAUSED);
    for n in 0..100 {
        let answer = other.ask(format!(
            r#"{{"TaskQueue":{{"id":"t{n}","command":": {filler}"}}}}"#
        ));
        assert!(answer.contains("Queued"), "{answer}");
    }
    other.ask(r#"{"Resume":{}}"#);
    home.wait_idle();
    let mut ended = std::collections::HashSet::new();
    loop {
        let line = slow.hear().expect("it is not cut off");
        if line.contains(r#""lagged""#) {
            break;
        }
        if line.contains(r#""state":"succeeded""#) {
            ended.insert(line);
        }
    }
    assert!(
        ended.len() < 100,
        "everything arrived: the reader was not too slow"
    );
    let Ok(Answer::Status(status)) = home.client().ask(&Message::Status(Filter::default())) else {
        panic!("no status");
    };
    assert!(status.tasks.iter().all(|task| task.state == "succeeded"));
}

#[test]
fn one_client_too_many_is_told_so_and_has_a_place_later() {
    let home = Home::with_config("[limits]\nconnections = 3\n");
    let _daemon = home.daemon();
    let mut clients: Vec<Wire> = Vec::new();
    wait_for("three places", || {
        let mut wire = Wire::connect(&home);
        // The places of those who have just left are free in a moment.
        if wire.try_say("{\"Info\":{}}\n") && wire.hear()?.starts_with(r#"{"Daemon":"#) {
            clients.push(wire);
        }
        (clients.len() == 3).then_some(())
    });
    let refused = Wire::connect(&home).hear().expect("a word");
    insta::assert_snapshot!(refused, @r#"{"Error":{"code":"too_busy","message":"3 clients are connected already","hint":"try again in a moment, or raise limits.connections in the config"}}"#);
    let output = home.run(["status"]);
    insta::assert_snapshot!(support::shown(&output), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: 3 clients are connected already
    hint: try again in a moment, or raise limits.connections in the config
    ");
    clients.iter_mut().for_each(info_is_answered);
    clients.pop();
    wait_for("a place", || {
        let mut wire = Wire::connect(&home);
        (wire.try_say("{\"Info\":{}}\n") && wire.hear()?.starts_with(r#"{"Daemon":"#)).then_some(())
    });
}

#[test]
#[cfg(target_os = "linux")]
fn another_user_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let home = Home::new();
    let _daemon = home.daemon();
    // The doors that keep others out are opened, to see that there is a wall behind them.
    let open = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for folder in [
        home.path(),
        &home.path().join("run"),
        home.socket().parent().expect("a folder"),
    ] {
        open(folder, 0o755);
    }
    open(&home.socket(), 0o666);
    let program = home.path().join("program");
    std::fs::copy(support::PROGRAM, &program).expect("a copy that others can reach");
    open(&program, 0o755);
    let mut command = home.command_of(
        "setpriv",
        ["--reuid", "65534", "--regid", "65534", "--clear-groups"],
    );
    command
        .arg(&program)
        .arg("--no-autostart")
        .arg("--socket")
        .arg(home.socket());
    let output = match command.arg("status").output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: there is no setpriv: {error}"),
    };
    insta::assert_snapshot!(support::shown(&output), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: this daemon serves user 0 only, and you are user 65534
    hint: each user runs a daemon of their own
    ");
    home.ok(["status"]);
}

#[test]
fn ten_thousand_lines_with_errors_in_between_are_answered_in_order() {
    let home = Home::new();
    let _daemon = home.daemon();
    let mut wire = Wire::connect(&home);
    wire.ask(PAUSED);
    let lines: String = (0..10_000)
        .map(|n| match n % 10 {
            3 => format!("{{\"Show\":{{\"id\":\"missing-{n}\"}}}}\n"),
            7 => format!("{{\"TaskQueue\":{{\"id\":\"t{n}\",\"command\":\"true\",\"priority\":256}}}}\n"),
            _ => format!("{{\"TaskQueue\":{{\"id\":\"t{n}\",\"command\":\"true\"}}}}\n"),
        })
        .collect();
    let stream = UnixStream::connect(home.socket()).expect("a daemon");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout");
    std::thread::scope(|scope| {
        let mut writer = &stream;
        scope.spawn(move || std::io::Write::write_all(&mut writer, lines.as_bytes()).expect("it reads"));
        let mut answers = std::io::BufRead::lines(std::io::BufReader::new(&stream));
        for n in 0..10_000 {
            let answer = answers.next().expect("an answer").expect("UTF-8");
            let expected = match n % 10 {
                3 => format!("there is no task 'missing-{n}'"),
                7 => "priority".to_owned(),
                _ => format!("\"process_id\":\"t{n}\""),
            };
            assert!(answer.contains(&expected), "line {n}: {answer}");
        }
    });
    assert_eq!(home.summary().queued, 8_000);
}

#[test]
fn a_task_may_be_queued_by_a_client_that_does_not_wait_for_its_answer() {
    let home = Home::new();
    let _daemon = home.daemon();
    let task = TaskQueue {
        id: "left".to_owned(),
        command: Some("true".to_owned()),
        ..TaskQueue::default()
    };
    let mut line = Vec::new();
    wezterm_parallel::protocol::encode_message(&Message::TaskQueue(Box::new(task)), &mut line);
    Wire::connect(&home).say(&line);
    wait_for("the task", || {
        home.tasks().iter().any(|task| task.id == "left").then_some(())
    });
}
