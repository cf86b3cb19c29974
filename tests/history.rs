//! The history as people use it: the real program and its daemon, files that are locked, damaged, read-only or gone,
//! and a journal that gets back from it what it has lost.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::disk::SmallDisk;
use support::{shown, wait_for, Home};
use wezterm_parallel::protocol::{Answer, HistoryInfo, Message};

const ON: &str = "[state]\nsqlite = true\n";

fn file(home: &Home) -> PathBuf {
    home.data().join("history.sqlite")
}

/// What the program says, with the home's path left out.
fn said(home: &Home, arguments: &[&str]) -> String {
    shown(&home.run(arguments)).replace(&home.path().display().to_string(), "~")
}

fn queue(home: &Home, arguments: &[&str]) -> String {
    let words = ["queue"].iter().chain(arguments);
    home.ok(words).trim().to_owned()
}

/// How the daemon's writer is.
fn writer(home: &Home) -> HistoryInfo {
    match home.client().ask(&Message::Info {}) {
        Ok(Answer::Daemon(daemon)) => daemon.history.expect("it writes one"),
        other => panic!("{other:?}"),
    }
}

/// The ids in the history, newest first.
fn listed(home: &Home, arguments: &[&str]) -> Vec<String> {
    let words = ["history", "--json"].iter().chain(arguments);
    let lines = home.ok(words);
    let id = |line: &str| {
        let task: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        task["id"].as_str().expect("an id").to_owned()
    };
    lines.lines().map(id).collect()
}

/// Waits until the history has exactly these, in whatever order.
fn wait_listed(home: &Home, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    wait_for(&format!("{expected:?} in the history"), || {
        let output = home.run(["history", "--json", "--limit", "1000"]);
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut ids: Vec<String> = lines
            .lines()
            .filter_map(|line| {
                let task: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(task["id"].as_str()?.to_owned())
            })
            .collect();
        ids.sort_unstable();
        (ids == expected).then_some(())
    });
}

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

/// A home with one task of each kind, whose daemon was killed.
fn home_with_all() -> Home {
    let home = Home::with_config(ON);
    let daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder", "--weight", "3"]);
    queue(&home, &["--wait", "--id", "done", "true"]);
    queue(&home, &["--wait", "--id", "gone", "true"]);
    queue(
        &home,
        &[
            "--hold",
            "--id",
            "later",
            "--env",
            "A=kept",
            "--workspace",
            "api",
            "echo $A >>$HOME/ran",
        ],
    );
    queue(
        &home,
        &["--id", "after", "--after", "later", "echo after >>$HOME/ran"],
    );
    queue(
        &home,
        &[
            "--id",
            "long",
            "echo began >>$HOME/ran; until [ -e $HOME/go ]; do sleep 0.01; done; echo over >>$HOME/ran",
        ],
    );
    wait_for("its start", || {
        std::fs::read_to_string(home.path().join("ran")).ok()
    });
    home.ok(["clean", "gone"]);
    home.ok(["pause", "--workspace", "other"]);
    wait_for("all is written", || {
        let written = rusqlite::Connection::open(file(&home)).ok()?;
        let count = |sql: &str| written.query_row(sql, [], |row| row.get::<_, u64>(0)).ok();
        let tasks = count(
            "SELECT count(*) FROM backup_tasks WHERE state IN ('running', 'held', 'blocked', 'succeeded')",
        )?;
        let paused = count("SELECT count(*) FROM backup_state WHERE record LIKE '%paused%'")?;
        let caught_up = count("SELECT count(*) FROM meta")?;
        ((tasks, paused, caught_up) == (4, 1, 1)).then_some(())
    });
    daemon.kill();
    home
}

/// All is there again, runs once, and no id is used twice.
fn assert_restored(home: &Home) {
    let _daemon = home.daemon();
    assert_eq!(home.task("done").state, "succeeded");
    assert_eq!(home.task("later").workspace, "api");
    assert_eq!(home.task("after").state, "blocked");
    assert_eq!(home.task("long").state, "running");
    for used in ["gone", "done"] {
        let again = said(home, &["queue", "--id", used, "echo other"]);
        assert!(again.contains("was used before"), "{again}");
    }
    assert_eq!(queue(home, &["--hold", "true"]), "6");
    std::fs::write(home.path().join("go"), "").expect("it may go on");
    home.wait_state("long", &["succeeded"]);
    home.ok(["release", "later"]);
    home.wait_state("after", &["succeeded"]);
    let ran = std::fs::read_to_string(home.path().join("ran")).expect("they ran");
    assert_eq!(ran, "began\nover\nkept\nafter\n");
    assert!(
        home.ok(["workspace", "show", "api"]).contains("weight"),
        "its workspace"
    );
}

/// Puts a database that nobody has open in the place of another one, with what belongs to it.
#[cfg(target_os = "linux")]
fn copy_database(from: &std::path::Path, to: &std::path::Path) {
    for end in ["", "-wal", "-shm"] {
        let part = |path: &std::path::Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        // Not all of them need be there.
        let _ = std::fs::remove_file(part(to));
        let _ = std::fs::copy(part(from), part(to));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn processes_come_back_and_go_on_where_they_run() {
    use support::process::{is_alive, pid_in};
    let home = Home::with_config(&format!("{ON}[processes]\nbackoff = \"20ms\"\n"));
    let daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder"]);
    let spawn = |words: &[&str]| {
        let begin = ["process", "spawn", "--workspace", "api", "--env", "A=kept"];
        home.ok(begin.iter().chain(words).copied());
    };
    let cwd = home.path().display().to_string();
    spawn(&["--name", "dev", "--cwd", &cwd, "echo $$ >dev; exec sleep 600"]);
    let again = "echo $A >>again; test -e go || exec sleep 600; exec sleep 601";
    spawn(&["--name", "again", "--cwd", &cwd, again]);
    spawn(&["--name", "done", "true"]);
    let pid = wait_for("its process", || pid_in(&home.path().join("dev")));
    wait_for("all is written", || {
        let written = rusqlite::Connection::open(file(&home)).ok()?;
        let count = |sql: &str| written.query_row(sql, [], |row| row.get::<_, u64>(0)).ok();
        let ended = count("SELECT count(*) FROM backup_state WHERE record LIKE '%\"stopped\"%'")?;
        let caught_up = count("SELECT count(*) FROM meta")?;
        ((ended, caught_up) == (1, 1)).then_some(())
    });
    let list = |home: &Home| -> serde_json::Value {
        serde_json::from_str(&home.ok(["process", "list", "--json"])).expect("JSON")
    };
    let before = list(&home);
    daemon.kill();
    // The backup is behind: a run of `again` ended, and another one began, that it does not know.
    let backup = home.path().join("backup.sqlite");
    copy_database(&file(&home), &backup);
    let daemon = home.daemon();
    std::fs::write(home.path().join("go"), "").expect("a file");
    home.ok(["process", "restart", "again"]);
    wait_for("its second run", || {
        (list(&home)[1]["runs"].as_array()?.len() == 2 && list(&home)[1]["state"] == "running").then_some(())
    });
    daemon.kill();
    copy_database(&backup, &file(&home));
    std::fs::remove_dir_all(home.data().join("journal")).expect("it was there");
    let restored = said(&home, &["history", "restore"]);
    assert!(restored.contains("processes put back: 3"), "{restored}");
    let _daemon = home.daemon();
    let after = list(&home);
    for what in ["state", "runs", "created_at_ms", "name"] {
        assert_eq!(after[0][what], before[0][what], "it is taken over as it was");
    }
    assert!(is_alive(pid));
    assert_eq!(after[2]["state"], "stopped");
    assert_eq!(
        (&after[1]["state"], &after[1]["runs"][1]["n"]),
        (&serde_json::json!("running"), &serde_json::json!(2))
    );
    let ran = std::fs::read_to_string(home.path().join("again")).expect("it ran");
    assert_eq!(ran, "kept\nkept\n", "no third run beside the second");
    // With its environment, and a number of its own for the next run.
    home.ok(["process", "restart", "again"]);
    wait_for("its third run", || {
        let ran = std::fs::read_to_string(home.path().join("again")).unwrap_or_default();
        (ran == "kept\nkept\nkept\n").then_some(())
    });
    assert_eq!(home.ok(["process", "spawn", "-w", "api", "true"]), "@4\n");
}

#[test]
fn a_journal_that_is_gone_comes_back() {
    let home = home_with_all();
    std::fs::remove_dir_all(home.data().join("journal")).expect("it was there");
    let restored = said(&home, &["history", "restore"]);
    let lines = restored.lines().filter(|line| !line.starts_with("the newest"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    exit status: 0
    --- stdout
    --- stderr
    tasks that the journal has itself: 0
    tasks put back: 2 waiting, 1 running, 1 ended
    workspaces put back: 1
    ids that stay used though their tasks are gone: 1
    ");
    assert_restored(&home);
}

#[test]
fn a_damaged_journal_keeps_what_it_has_and_gets_the_rest() {
    let home = home_with_all();
    let whole = said(&home, &["history", "restore"]);
    let whole: Vec<&str> = whole.lines().skip(2).collect();
    insta::assert_snapshot!(whole.join("\n"), @r"
    --- stderr
    error: the journal in ~/.local/share/wezterm-parallel/journal is whole
    hint: there is nothing to restore; --force adds tasks that only the history has
    ");
    let journal = home.data().join("journal/00000001.wal");
    let bytes = std::fs::read(&journal).expect("a segment");
    // The record that queues a task, and what is about it, is lost with its first byte.
    let needle = b"\"later\"";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .expect("its record");
    let mut damaged = bytes.clone();
    damaged[at] = b'?';
    std::fs::write(&journal, &damaged).expect("it is damaged");
    let refused = home.run(["daemon"]);
    assert!(!refused.status.success(), "{}", shown(&refused));
    let restored = said(&home, &["history", "restore"]);
    assert!(
        restored.contains("tasks put back: 1 waiting, 0 running, 0 ended"),
        "{restored}"
    );
    let kept = home.data().join("journal/damaged-1/00000001.wal");
    assert_eq!(std::fs::read(kept).expect("it is kept"), damaged);
    assert_restored(&home);
}

#[test]
fn tasks_that_a_repair_has_lost_can_still_be_added() {
    let home = home_with_all();
    std::fs::remove_dir_all(home.data().join("journal")).expect("it was there");
    // Somebody starts a daemon before anything is restored, and its tasks take the old ones' numbers.
    let daemon = home.daemon();
    queue(&home, &["--wait", "true"]);
    wait_for("the comparison", || {
        let contents = wezterm_parallel::history::Reader::open(&file(&home))
            .ok()?
            .contents()
            .ok()?;
        (contents.strays == 3).then_some(())
    });
    let doctor = home.run(["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        doctor.contains("3 tasks had not ended when the journal lost them"),
        "{doctor}"
    );
    let refused = said(&home, &["history", "restore", "--force"]);
    assert!(refused.contains("a daemon runs on this journal"), "{refused}");
    drop(daemon);
    let restored = said(&home, &["history", "restore", "--force", "--strays"]);
    assert!(
        restored.contains("tasks put back: 2 waiting, 1 running, 0 ended"),
        "{restored}"
    );
    let _daemon = home.daemon();
    assert_eq!(home.task("later").state, "held");
    std::fs::write(home.path().join("go"), "").expect("it may go on");
    home.wait_state("long", &["succeeded"]);
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
