//! Processes as people and scripts use them: where they run, what is shown of them, templates, and wrong uses.

mod process_support;
mod support;

use std::path::PathBuf;

use process_support::{home, output, process, processes, said, spawn, wait_state, workspace, SOON};
use support::{shown, wait_for, Home};

#[test]
fn a_process_runs_in_its_workspace_and_takes_no_slot() {
    let home = Home::with_config(&format!("[pool]\nslots = 1\n{SOON}"));
    std::fs::create_dir_all(home.path().join("api")).expect("a folder");
    let _daemon = home.daemon();
    home.ok([
        "workspace",
        "create",
        "api",
        "--folder",
        "api",
        "--env",
        "PLACE=here",
    ]);
    let id = spawn(
        &home,
        &[
            "--env",
            "MORE=too",
            "echo $PLACE $MORE $WEZTERM_PARALLEL_TASK; pwd; exec sleep 600",
        ],
    );
    assert_eq!(id, "@1");
    let written = wait_for("its output", || {
        Some(output(&home, &id, 1)).filter(|text| text.ends_with("/api\n"))
    });
    assert!(written.starts_with("here too @1\n"), "{written}");
    assert_eq!(
        process(&home, &id).map(|view| view.state).as_deref(),
        Some("running")
    );
    // The one slot is free for a task.
    assert_eq!(
        home.run(["queue", "--wait", "--shell", "true"]).status.code(),
        Some(0)
    );
    // Its workspace is found by the folder, too.
    let here = home
        .command(["process", "spawn", "--name", "second", "--", "sleep", "600"])
        .current_dir(home.path().join("api"))
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&here.stdout), "@2\n", "{}", shown(&here));
    let list = home.ok(["process", "list"]);
    assert!(
        list.contains("@1") && list.contains("second") && list.contains("sleep 600"),
        "{list}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&home.ok(["process", "list", "--json", "@2"])).expect("JSON");
    assert_eq!(json[0]["name"], "second");
    assert_eq!(home.ok(["process", "log", "@1"]), written);
    assert!(said(&home, &["log", "@1"]).contains("here too @1"));
}

#[test]
fn a_log_is_followed_through_a_restart_and_ends_with_the_process() {
    let home = home();
    let _daemon = home.daemon();
    workspace(&home);
    let id = spawn(
        &home,
        &[
            "--name",
            "dev",
            "echo line of run $WEZTERM_PARALLEL_ATTEMPT; exec sleep 600",
        ],
    );
    let follower = home
        .command(["process", "log", "dev", "-f"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for("the first line", || {
        output(&home, &id, 1).contains("run 1").then_some(())
    });
    home.ok(["process", "restart", "dev"]);
    wait_for("the second run", || {
        output(&home, &id, 2).contains("run 2").then_some(())
    });
    home.ok(["process", "stop", "dev"]);
    let output = follower.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.ends_with("line of run 2\n"), "{}", shown(&output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("process @1: cancelled"), "{}", shown(&output));
    assert_eq!(
        home.ok(["process", "log", "dev", "--run", "1"]),
        "line of run 1\n"
    );
}

#[test]
fn admission_counts_what_they_use_and_keeps_free_what_they_declare() {
    let home = Home::with_config("[admission]\nenabled = true\n");
    let _daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder"]);
    let id = spawn(&home, &["--memory", "3GiB", "exec sleep 600"]);
    spawn(&home, &["exec sleep 600"]);
    let admission: serde_json::Value = serde_json::from_str(&home.ok(["admission", "--json"])).expect("JSON");
    let held = admission["reservations"].as_array().expect("a list");
    assert_eq!(
        held.len(),
        1,
        "who declares nothing holds nothing back: {admission:#}"
    );
    assert_eq!(
        (held[0]["id"].as_str(), held[0]["reserved_bytes"].as_u64()),
        (Some("@1"), Some(3 << 30))
    );
    let used = wait_for("both to be measured", || {
        let used: Vec<u64> = processes(&home)
            .iter()
            .filter_map(|view| view.used_bytes)
            .collect();
        (used.len() == 2).then_some(used)
    });
    assert!(
        used.iter().all(|bytes| *bytes > 0 && *bytes < 1 << 30),
        "{used:?}"
    );
    home.ok(["process", "stop", &id]);
    wait_state(&home, &id, "stopped");
    let admission: serde_json::Value = serde_json::from_str(&home.ok(["admission", "--json"])).expect("JSON");
    assert_eq!(admission["reservations"].as_array().map(Vec::len), Some(0));
}

/// A workspace with a server and a watcher.
const TEMPLATE: &str = "description = \"a server\"\n[[processes]]\nname = \"dev\"\n\
                    command = \"echo serving {name}; exec sleep 600\"\nready_line = \"serving {name}\"\n\
                    [[processes]]\nname = \"watch\"\ncommand = \"exec sleep 600\"\nrestart = \"always\"\n";

fn templates(home: &Home) -> PathBuf {
    let templates = home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&templates).expect("a folder");
    templates
}

#[test]
fn a_template_starts_its_processes() {
    let home = home();
    let templates = templates(&home);
    std::fs::write(templates.join("web.toml"), TEMPLATE).expect("a template");
    let _daemon = home.daemon();
    let output = home.run([
        "workspace",
        "create",
        "shop",
        "--folder",
        "api",
        "--template",
        "web",
    ]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("processes: @1 @2"),
        "{}",
        shown(&output)
    );
    let dev = wait_state(&home, "@1", "ready");
    assert_eq!(
        (dev.name.as_deref(), dev.workspace.as_str()),
        (Some("dev"), "shop")
    );
    let shown = home.ok(["workspace", "show", "shop"]);
    assert!(
        shown.contains("@1  dev") && shown.contains("ready") && shown.contains("@2  watch"),
        "{shown}"
    );
    let shown = home.ok(["show", "@1"]);
    assert!(
        shown.contains("on-failure, 0 of 3 in a row") && shown.contains("a line has \"serving shop\" in it"),
        "{shown}"
    );
    assert!(!shown.contains("priority"), "{shown}");
    insta::assert_snapshot!(said(&home, &["workspace", "remove", "shop"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: workspace 'shop' has work: 0 waiting, 0 running, 2 processes
    hint: with force (`--force`) it is removed all the same; its tasks go on, and keep its name; its processes are stopped and removed
    ");
    home.ok(["workspace", "remove", "--force", "shop"]);
    wait_for("them to go", || processes(&home).is_empty().then_some(()));
}

#[test]
fn a_template_names_what_is_wrong_with_its_processes() {
    let home = home();
    let templates = templates(&home);
    let template = TEMPLATE;
    let _daemon = home.daemon();
    let wrong = template.replace("ready_line = \"serving {name}\"", "ready_line = \"{port}\"");
    std::fs::write(templates.join("wrong.toml"), wrong).expect("a template");
    let shown = said(&home, &["template", "check", "wrong"]);
    assert!(
        shown.contains("wrong.toml:5") && shown.contains("processes.0.ready_line"),
        "{shown}"
    );
    let both = template.replace("ready_line", "ready_port = 80\nready_line");
    std::fs::write(templates.join("both.toml"), both).expect("a template");
    assert!(said(&home, &["template", "check", "both"]).contains("several ways"));
    // A value stands for itself in a pattern, and is no part of it.
    let pattern = template.replace(
        "ready_line = \"serving {name}\"",
        "ready_pattern = \"^serving {name}$\"",
    );
    std::fs::write(templates.join("pattern.toml"), &pattern).expect("a template");
    home.ok([
        "workspace",
        "create",
        "a.b",
        "--folder",
        "api",
        "--template",
        "pattern",
    ]);
    let ready = wait_for("its process", || {
        processes(&home)
            .into_iter()
            .find(|view| view.name.as_deref() == Some("dev"))
    });
    let ready = wait_state(&home, &ready.id, "ready").ready.expect("its check");
    assert_eq!(ready.pattern.as_deref(), Some(r"^serving a\.b$"));
    std::fs::write(
        templates.join("pattern.toml"),
        pattern.replace("{name}$", "({name}$"),
    )
    .expect("a template");
    let shown = said(&home, &["template", "check", "pattern"]);
    assert!(
        shown.contains("pattern.toml:5") && shown.contains("processes.0.ready_pattern"),
        "{shown}"
    );
    assert!(shown.contains("at character 10: unclosed group"), "{shown}");
}

#[test]
fn wrong_uses_are_told_apart() {
    let home = home();
    let _daemon = home.daemon();
    let mut told = Vec::new();
    let mut tell = |arguments: &[&str]| {
        let mut words = vec!["process"];
        words.extend(arguments);
        let output = home.run(&words);
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " · ");
        told.push(format!(
            "{} → {}: {said}",
            words.join(" "),
            output.status.code().unwrap_or(-1)
        ));
    };
    tell(&["spawn", "true"]);
    workspace(&home);
    tell(&["spawn", "-w", "apu", "true"]);
    tell(&["spawn", "-w", "api", "--", "/no/such/program"]);
    tell(&["spawn", "-w", "api", "--name", "a/b", "true"]);
    tell(&["stop", "@7"]);
    tell(&["stop", "@x"]);
    spawn(&home, &["--name", "dev", "true"]);
    wait_state(&home, "@1", "stopped");
    tell(&["restart", "de"]);
    tell(&["stop", "dev"]);
    tell(&["stop", "dev", "--remove", "--signal", "NOSE"]);
    tell(&["spawn", "-w", "api", "--name", "dev", "false"]);
    tell(&["log", "dev", "--run", "9"]);
    home.ok(["workspace", "create", "web", "--no-folder"]);
    home.ok(["process", "spawn", "-w", "web", "--name", "dev", "true"]);
    tell(&["restart", "dev"]);
    let gone = home.run(["cancel", "@1"]);
    told.push(String::from_utf8_lossy(&gone.stderr).into_owned());
    insta::assert_snapshot!(told.join("\n"), @r"
    process spawn true → 2: error: a process belongs to a workspace, and this folder is in none · hint: name one with `--workspace NAME`, or make one of this folder: `wezterm-parallel workspace create NAME`
    process spawn -w apu true → 4: error: there is no workspace 'apu' · hint: did you mean 'api'?
    process spawn -w api -- /no/such/program → 4: error: there is no program '/no/such/program' (tried /no/such/program) · hint: check the spelling, install it, or give its full path
    process spawn -w api --name a/b true → 2: error: invalid value 'a/b' for '--name <NAME>': `id` contains '/' (1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with . or -) ·  · For more information, try '--help'.
    process stop @7 → 4: error: there is no process '@7' · hint: `wezterm-parallel process list` shows them all, with their ids
    process stop @x → 4: error: there is no process '@x' · hint: `wezterm-parallel process list` shows them all, with their ids
    process restart de → 4: error: there is no process 'de' · hint: did you mean 'dev'?
    process stop dev → 4: error: process '@1' is stopped already · hint: nothing was changed; `process restart` starts it, `process stop --remove` forgets it
    process stop dev --remove --signal NOSE → 4: error: there is no signal 'NOSE' · hint: give a name such as INT, TERM, HUP, KILL, or a number
    process spawn -w api --name dev false → 4: error: workspace 'api' has another process 'dev' already, which is @1 · hint: `wezterm-parallel process stop --remove @1` removes it; choose another name for another one
    process log dev --run 9 → 4: error: process @1 has no run 9 · hint: its last run is 1
    process restart dev → 4: error: several processes have the name 'dev': @1, @2 · hint: name one by its id
    error: invalid value '@1' for '<ID>...': that is a process: `wezterm-parallel process` stops and restarts it

    For more information, try '--help'.
    ");
}
