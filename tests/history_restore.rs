//! A journal that gets back from the history what it has lost, with the real program and its daemon.
#![cfg(target_os = "linux")]

mod history_support;
mod support;

use std::path::PathBuf;

use history_support::{file, queue, said, ON};
use support::{shown, wait_for, Home};

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
