//! The history as people use it: the real program and its daemon, and files that are locked, damaged or read-only.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod history_support;
mod support;

use std::process::Command;

use history_support::{file, listed, queue, said, wait_listed, writer, ON};
use support::disk::SmallDisk;
use support::{shown, wait_for, Home};
use wezterm_parallel::protocol::Message;

#[test]
fn what_has_ended_is_found_with_and_without_a_daemon() {
    let home = Home::with_config(ON);
    let daemon = home.daemon();
    queue(&home, &["--wait", "echo a flaky test"]);
    assert_eq!(
        home.run([
            "queue",
            "--wait",
            "--label",
            "nightly",
            "--retries",
            "1",
            "exit 3"
        ])
        .status
        .code(),
        Some(1)
    );
    queue(
        &home,
        &[
            "--wait",
            "--workspace",
            "api",
            "--id",
            "build",
            "--",
            "/bin/echo",
            "two words",
        ],
    );
    queue(&home, &["--hold", "echo never"]);
    wait_listed(&home, &["1", "2", "build"]);
    // Retention and `clean` take nothing from it.
    home.ok(["clean"]);
    assert_eq!(home.tasks().len(), 1);
    let check = |home: &Home| {
        assert_eq!(listed(home, &[]), ["build", "2", "1"]);
        assert_eq!(listed(home, &["--state", "failed,lost"]), ["2"]);
        assert_eq!(listed(home, &["--outcome", "exit_code"]), ["2"]);
        assert_eq!(listed(home, &["--reason", "ok"]), ["build", "1"]);
        assert_eq!(listed(home, &["--label", "nightly"]), ["2"]);
        assert_eq!(listed(home, &["--workspace", "api"]), ["build"]);
        assert_eq!(listed(home, &["--workspace", ""]), ["2", "1"]);
        assert_eq!(listed(home, &["--worker", "exec"]), ["build"]);
        assert_eq!(listed(home, &["--id", "1"]), ["1"]);
        assert_eq!(listed(home, &["--search", "FLAKY"]), ["1"]);
        assert_eq!(
            listed(home, &["--command", "echo two", "--state", "succeeded"]),
            ["build"]
        );
        assert_eq!(listed(home, &["--search", "never"]), [""; 0]);
        assert_eq!(listed(home, &["--since", "today"]).len(), 3);
        assert_eq!(listed(home, &["--until", "2020-01-01 12:00"]), [""; 0]);
        let page = home.run(["history", "--json", "--limit", "2"]);
        let note = String::from_utf8_lossy(&page.stderr).into_owned();
        let next = note.trim().rsplit(' ').next().expect("the next page");
        assert_eq!(listed(home, &["--limit", "2", "--page", next]), ["1"]);
    };
    check(&home);
    drop(daemon);
    check(&home);
    let table = home.ok(["history", "--label", "nightly"]);
    let cells: Vec<&str> = table.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(
        cells[2..9],
        ["2", "failed", "(exit", "3)", "-", "shell/nightly", "2"]
    );
    // Nobody had to start a daemon for that.
    assert!(home.run(["--no-autostart", "status"]).status.code() == Some(3));
}

#[test]
fn without_one_it_is_said_how_to_get_one() {
    let home = Home::new();
    insta::assert_snapshot!(said(&home, &["history"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: there is no history: ~/.local/share/wezterm-parallel/history.sqlite does not exist
    hint: `sqlite = true` below `[state]` in the config lets the daemon write one, from its next start on or at SIGHUP; `history import` makes one from a file
    ");
    let _daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    assert!(!file(&home).exists());
    // Switched on while the daemon runs: what has ended before is in it, too.
    home.configure(ON);
    let reload = home.client().ask(&Message::Reload {});
    assert!(reload.is_ok(), "{reload:?}");
    queue(&home, &["--wait", "true"]);
    wait_listed(&home, &["1", "2"]);
    home.configure("");
    assert!(home.client().ask(&Message::Reload {}).is_ok());
    queue(&home, &["--wait", "true"]);
    assert_eq!(listed(&home, &[]), ["2", "1"]);
    let doctor = home.run(["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("; `state.sqlite` is off"), "{doctor}");
}

#[test]
fn a_kill_loses_nothing_of_it() {
    let home = Home::with_config(ON);
    let mut expected = Vec::new();
    for round in 0..4 {
        let daemon = home.daemon();
        let ids: Vec<String> = (0..30).map(|_| queue(&home, &["true"])).collect();
        if round == 3 {
            home.wait_idle_of(&ids);
        }
        expected.extend(ids);
        // In the middle of writing, or before it has begun.
        daemon.kill();
    }
    let _daemon = home.daemon();
    home.wait_idle_of(&expected);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    wait_listed(&home, &expected);
    let check = rusqlite::Connection::open(file(&home)).expect("it can be read");
    let verdict: String = check
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("a verdict");
    assert_eq!(verdict, "ok");
}

#[test]
fn a_file_that_is_locked_holds_up_nothing_and_is_filled_up() {
    let home = Home::with_config(ON);
    let _daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    wait_listed(&home, &["1"]);
    let other = rusqlite::Connection::open(file(&home)).expect("it can be read");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let ids: Vec<String> = (0..5).map(|_| queue(&home, &["--wait", "echo more"])).collect();
    wait_for("the error", || writer(&home).error);
    let doctor = home.run(["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("is locked by another program"), "{doctor}");
    assert!(
        home.log().contains("the history cannot be written"),
        "{}",
        home.log()
    );
    let metrics = home.ok(["metrics"]);
    assert!(
        metrics.contains("wezterm_parallel_history_failing 1"),
        "{metrics}"
    );
    // What is removed meanwhile is not forgotten, either.
    home.ok(["clean", &ids[0]]);
    queue(&home, &["--wait", "echo yet more"]);
    // Reading goes on beside a lock.
    assert_eq!(listed(&home, &[]), ["1"]);
    other.execute_batch("ROLLBACK").expect("it is let go");
    wait_listed(&home, &["1", "2", "3", "4", "5", "6", "7"]);
    wait_for("the end of the trouble", || {
        writer(&home).error.is_none().then_some(())
    });
}

#[test]
fn a_damaged_file_is_moved_aside_and_begun_anew() {
    let home = Home::with_config(ON);
    let daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    wait_listed(&home, &["1"]);
    drop(daemon);
    let mut bytes = std::fs::read(file(&home)).expect("the file");
    let middle = bytes.len() / 4;
    bytes[16..middle].fill(0x5a);
    std::fs::write(file(&home), &bytes).expect("it is damaged");
    let output = said(&home, &["history"]);
    assert!(
        output.contains("exit status: 4") && output.contains("is damaged"),
        "{output}"
    );
    let _daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    wait_listed(&home, &["1", "2"]);
    let aside = home.data().join("history.sqlite.damaged-1");
    assert_eq!(writer(&home).moved, [aside.display().to_string()]);
    assert_eq!(std::fs::read(&aside).expect("it is kept"), bytes);
    let doctor = home.run(["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("the old file is now"), "{doctor}");
}

#[test]
fn a_disk_that_takes_nothing_is_named_and_read() {
    let home = Home::with_config(ON);
    let Some(disk) = SmallDisk::mount_at(home.path().join("small")) else {
        return;
    };
    let daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    wait_listed(&home, &["1"]);
    drop(daemon);
    let kept = home.path().join("small/history.sqlite");
    std::fs::copy(file(&home), &kept).expect("a copy");
    std::fs::remove_file(file(&home)).expect("it is there");
    std::os::unix::fs::symlink(&kept, file(&home)).expect("a link");
    disk.remount("ro");
    assert_eq!(listed(&home, &[]), ["1"]);
    let _daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    let error = wait_for("the error", || writer(&home).error);
    assert!(error.contains("cannot be used"), "{error}");
    assert_eq!(listed(&home, &[]), ["1"]);
    let import = said(&home, &["history", "import", "/dev/null"]);
    assert!(
        import.contains("exit status: 4") && import.contains("cannot be used"),
        "{import}"
    );
    disk.remount("rw");
    wait_listed(&home, &["1", "2"]);
    disk.fill();
    queue(&home, &["--wait", &format!("true {}", "x".repeat(100_000))]);
    let error = wait_for("the error", || writer(&home).error);
    assert!(error.contains("full"), "{error}");
    disk.make_room();
    wait_listed(&home, &["1", "2", "3"]);
}

#[test]
fn an_export_can_be_imported_elsewhere_and_again() {
    let home = Home::with_config(ON);
    let daemon = home.daemon();
    queue(&home, &["--wait", "echo \u{65e5}\u{672c}"]);
    home.run(["queue", "--wait", "--id", "bad", "exit 9"]);
    wait_listed(&home, &["1", "bad"]);
    drop(daemon);
    let out = home.path().join("old.jsonl");
    home.ok(["history", "export", out.to_str().expect("UTF-8")]);
    let exported = std::fs::read_to_string(&out).expect("a file");
    assert_eq!(home.ok(["history", "export"]), exported);
    let elsewhere = Home::new();
    let import = |file: &str| said(&elsewhere, &["history", "import", file]);
    let file = out.to_str().expect("UTF-8");
    insta::assert_snapshot!(import(file), @r"
    exit status: 0
    --- stdout
    --- stderr
    added 2 tasks to the history; 0 more were there already
    ");
    insta::assert_snapshot!(import(file), @r"
    exit status: 0
    --- stdout
    --- stderr
    added 0 tasks to the history; 2 more were there already
    ");
    assert_eq!(elsewhere.ok(["history", "export"]), exported);
    // Wrong lines are named, and nothing of such a file is taken.
    let first = exported.lines().next().expect("a line");
    let wrong = |line: &str| {
        let text = format!("{}\n\n{line}\n", first.replace("\"key\":1", "\"key\":77"));
        let file = elsewhere.path().join("w.jsonl");
        std::fs::write(&file, text).expect("a file");
        import(file.to_str().expect("UTF-8"))
    };
    insta::assert_snapshot!(wrong("{\"version\":1,\"kee\":1}"), @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: ~/w.jsonl:3:18: unknown field `kee`, expected one of `version`, `key`, `id`, `state`, `reason`, `priority`, `worker`, `workspace`, `label`, `command`, `argv`, `cwd`, `submitted_at_ms`, `ended_at_ms`, `attempts`, `cursor`
    hint: a line is what `history export` writes for one task; nothing was imported
    "#);
    insta::assert_snapshot!(wrong("{\"version\":1,"), @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: ~/w.jsonl:3:13: EOF while parsing a value
    hint: a line is what `history export` writes for one task; nothing was imported
    "#);
    insta::assert_snapshot!(wrong(&first.replace("\"version\":1", "\"version\":2")), @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: ~/w.jsonl:3: `version` is 2; this program knows 1
    hint: a line is what `history export` writes for one task; nothing was imported
    "#);
    insta::assert_snapshot!(import("/nowhere"), @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: cannot read /nowhere: No such file or directory (os error 2)
    "#);
    assert_eq!(elsewhere.ok(["history", "export"]), exported);
}

#[test]
#[ignore = "needs Debian's sqlite3; `.ci/run history` runs it"]
fn the_sqlite3_of_the_system_reads_it_beside_the_daemon() {
    let home = Home::with_config(ON);
    let _daemon = home.daemon();
    queue(&home, &["--wait", "echo for everybody"]);
    home.run(["queue", "--wait", "exit 4"]);
    wait_listed(&home, &["1", "2"]);
    let ask = |sql: &str| {
        let output = Command::new("sqlite3")
            .arg("-readonly")
            .arg(file(&home))
            .arg(sql)
            .output();
        let output = output.expect("sqlite3 is installed");
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    eprintln!("sqlite3 {}", ask("SELECT sqlite_version()").trim());
    assert_eq!(
        ask("SELECT id, state, exit_code FROM tasks JOIN attempts ON task = number ORDER BY number"),
        "1|succeeded|0\n2|failed|4\n"
    );
    assert_eq!(
        ask("SELECT count(*) FROM search WHERE search MATCH '\"for\" AND \"eve\"'"),
        "1\n"
    );
    assert_eq!(ask("PRAGMA integrity_check"), "ok\n");
}
