//! What of an environment gets to a worker, and what of it is written down.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{shown, Home};

/// Whether any file below the folder holds the text.
fn holds(folder: &Path, text: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        let is_here = || {
            let bytes = std::fs::read(&path).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        if path.is_dir() {
            holds(&path, text)
        } else {
            is_here()
        }
    })
}

/// A home with a command that tells secrets: `tell NAME` prints `value of NAME`, once the vault is open.
fn with_vault() -> Home {
    let home = Home::new();
    let tell = home.path().join("tell");
    let vault = home.path().join("vault");
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> {0}/asked\n[ -e {1} ] || {{ echo 'the vault is locked' >&2; exit 2; }}\necho \"value of $1\"\n",
        home.path().display(),
        vault.display()
    );
    std::fs::write(&tell, script).expect("a script");
    std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::write(&vault, "").expect("a file");
    home.configure(&format!("[secrets]\ncommand = [\"{}\"]\n", tell.display()));
    home
}

#[test]
fn a_worker_gets_a_secret_that_is_written_nowhere() {
    let home = with_vault();
    let _daemon = home.daemon();
    let check = "test \"$TOKEN\" = \"$(printf 'value of %s' api/token)\" && test \"$AGAIN\" = \"$TOKEN\"";
    let id = home.ok([
        "queue",
        "--env",
        "TOKEN=secret:api/token",
        "--env",
        "AGAIN=secret:api/token",
        "--shell",
        check,
    ]);
    let id = id.trim();
    let task = home.wait_state(id, &["succeeded", "failed"]);
    assert_eq!(task.state, "succeeded", "{}", home.output(id, 1));
    home.ok(["retry", id]);
    home.wait_state(id, &["succeeded"]);
    home.ok(["show", id, "--json"]);
    let asked = std::fs::read_to_string(home.path().join("asked")).expect("it was asked");
    assert_eq!(
        asked, "api/token\napi/token\n",
        "once for each start, and never when it is queued"
    );
    assert!(!holds(&home.data(), "value of api/token"));
    assert!(!home.log().contains("value of api/token"));
    assert!(
        holds(&home.data(), "secret:api/token"),
        "the reference is what is kept"
    );
}

#[test]
fn a_ready_command_gets_the_secrets_of_its_process() {
    let home = with_vault();
    let daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder", "--env", "PLACE=here"]);
    let check =
        "test \"$TOKEN\" = \"$(printf 'value of %s' api/token)\" && test \"$PLACE $WEZTERM_PARALLEL_TASK\" = 'here @1' \
                 && test -e open";
    let cwd = home.path().display().to_string();
    let spawn = [
        "process",
        "spawn",
        "-w",
        "api",
        "--cwd",
        &cwd,
        "--env",
        "TOKEN=secret:api/token",
    ];
    home.ok(spawn
        .into_iter()
        .chain(["--ready-command", check, "exec sleep 600"]));
    let state = || {
        let list: serde_json::Value =
            serde_json::from_str(&home.ok(["process", "list", "--json"])).expect("JSON");
        list[0]["state"].as_str().map(str::to_owned)
    };
    // The process and its check have asked, each for itself.
    support::wait_for("both to ask", || {
        let asked = std::fs::read_to_string(home.path().join("asked")).unwrap_or_default();
        (asked.lines().count() >= 2).then_some(())
    });
    assert_eq!(state().as_deref(), Some("starting"));
    // The next daemon looks on, with all that it needs for that.
    daemon.kill();
    let _daemon = home.daemon();
    std::fs::write(home.path().join("open"), "").expect("a file");
    support::wait_for("it to be ready", || {
        (state().as_deref() == Some("ready")).then_some(())
    });
    assert!(!holds(&home.data(), "value of api/token"));
    assert!(!home.log().contains("value of api/token"));
}

#[test]
fn a_secret_that_cannot_be_told_is_no_start() {
    let home = with_vault();
    let _daemon = home.daemon();
    std::fs::remove_file(home.path().join("vault")).expect("it was there");
    let id = home.ok(["queue", "--env", "TOKEN=secret:x", "--shell", "touch ran"]);
    let task = home.wait_state(id.trim(), &["failed"]);
    assert_eq!(task.reason.as_deref(), Some("spawn_error"));
    let told = home.ok(["show", id.trim()]);
    assert!(told.contains("the secret x for TOKEN cannot be told"), "{told}");
    assert!(told.contains("the vault is locked"), "{told}");
    assert!(!home.path().join("ran").exists());
    // Once it is open, a retry is enough.
    std::fs::write(home.path().join("vault"), "").expect("a file");
    home.ok(["retry", id.trim()]);
    home.wait_state(id.trim(), &["succeeded"]);
}

#[test]
fn references_that_nobody_could_resolve_are_refused() {
    let home = Home::new();
    let _daemon = home.daemon();
    let refused = home.run(["queue", "--env", "TOKEN=secret:x", "--", "true"]);
    insta::assert_snapshot!(shown(&refused), @r#"
    exit status: 4
    --- stdout
    --- stderr
    error: the variable TOKEN is `secret:x`, and no command tells secrets
    hint: name one in the config: `[secrets] command = ["pass", "show"]`
    "#);
    let home = with_vault();
    let _daemon = home.daemon();
    let refused = home.run(["queue", "--env", "TOKEN=secret:--all", "--", "true"]);
    insta::assert_snapshot!(shown(&refused), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: the variable TOKEN is `secret:--all`, which names a secret that begins with a dash, like an option
    hint: write `secret:NAME`, with the NAME that your command for secrets takes
    ");
    // A task that waits when the command goes says so when it is started.
    let id = home.ok(["queue", "--hold", "--env", "TOKEN=secret:x", "--", "true"]);
    home.configure("[secrets]\ncommand = []\n");
    home.client()
        .ask(&wezterm_parallel::protocol::Message::Reload {})
        .expect("it is read");
    home.ok(["release", id.trim()]);
    let task = home.wait_state(id.trim(), &["failed"]);
    assert_eq!(task.reason.as_deref(), Some("spawn_error"));
    let told = home.ok(["show", id.trim()]);
    assert!(told.contains("no `secrets.command` any more"), "{told}");
}

#[test]
fn what_is_captured_is_what_the_config_names() {
    let home = Home::with_config(
        "[environment]\ncapture = [\"PATH\", \"HOME\", \"PLAIN_*\"]\ninherit = [\"LOGIN\"]\n",
    );
    let mut daemon = home.command(["daemon"]);
    daemon
        .env("LOGIN", "from the daemon")
        .env("OTHER", "of the daemon");
    let _daemon = home.daemon_of(daemon);
    let queue = |more: &[&str]| {
        let mut command = home.command(["queue"]);
        command.args(more).args(["--shell", "env"]);
        command
            .env("PLAIN_ONE", "is kept")
            .env("OTHER", "of the caller")
            .env("NAMED", "is named");
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", shown(&output));
        let id = String::from_utf8(output.stdout).expect("an id").trim().to_owned();
        home.wait_state(&id, &["succeeded"]);
        home.output(&id, 1)
    };
    let env = queue(&[]);
    assert!(
        env.contains("PLAIN_ONE=is kept") && env.contains("LOGIN=from the daemon"),
        "{env}"
    );
    assert!(!env.contains("OTHER=") && !env.contains("NAMED="), "{env}");
    // The newest call of the user has its way, and is remembered.
    let mut command = home.command(["queue", "--hold", "--", "true"]);
    let output = command
        .env("LOGIN", "of the caller's own")
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
    assert!(queue(&[]).contains("LOGIN=of the caller's own"));
    let env = queue(&["--env", "NAMED", "--env", "LOGIN=of its own"]);
    assert!(
        env.contains("NAMED=is named") && env.contains("LOGIN=of its own"),
        "{env}"
    );
    assert!(!holds(&home.data().join("journal"), "from the daemon"));
    assert!(!holds(&home.data().join("journal"), "of the caller"));
    assert!(!holds(&home.data().join("journal"), "of the caller's own"));
}
