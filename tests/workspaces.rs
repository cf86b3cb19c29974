//! Workspaces and templates as people and scripts use them: the real program, its daemon, files and restarts.

mod support;

use std::path::PathBuf;

use support::{shown, wait_for, wire::Wire, Home};

/// A folder in the home, by its real path.
fn folder(home: &Home, name: &str) -> PathBuf {
    let folder = home.path().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.canonicalize().expect("its place")
}

/// What the program says, with the home's path left out.
fn said(home: &Home, arguments: &[&str]) -> String {
    let real = home.path().canonicalize().expect("its place");
    let text = shown(&home.run(arguments));
    text.replace(&real.display().to_string(), "~")
        .replace(&home.path().display().to_string(), "~")
}

/// The workspace and folder of a task.
fn place(home: &Home, id: &str) -> (String, String) {
    let task = home.task(id.trim());
    let real = home.path().canonicalize().expect("its place");
    (task.workspace, task.cwd.replace(&real.display().to_string(), "~"))
}

fn queue_in(home: &Home, folder: &std::path::Path, arguments: &[&str]) -> String {
    let mut words = vec!["queue", "--shell", "--hold"];
    words.extend(arguments);
    words.push("true");
    let output = home
        .command(words)
        .current_dir(folder)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[test]
fn a_workspace_is_created_shown_and_changed() {
    let home = Home::new();
    let _daemon = home.daemon();
    folder(&home, "src/api");
    let create = [
        "workspace",
        "create",
        "api",
        "--folder",
        "src/api",
        "--max-parallel",
        "2",
        "--env",
        "A=1",
    ];
    insta::assert_snapshot!(said(&home, &create), @r"
    exit status: 0
    --- stdout
    --- stderr
    created workspace api in ~/src/api
    ");
    // The same again; and something else under the same name.
    assert!(home.run(create).status.success());
    insta::assert_snapshot!(said(&home, &["workspace", "create", "api", "--weight", "2"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: there is a workspace 'api' already
    hint: `wezterm-parallel workspace edit api` changes it; choose another name for another one
    ");
    home.ok([
        "workspace",
        "edit",
        "api",
        "--rate",
        "100/min burst 9",
        "--priority-offset",
        "-20",
        "--env",
        "B=2",
    ]);
    home.ok(["workspace", "edit", "api", "--unset", "max-parallel,env.A"]);
    let shown = said(&home, &["workspace", "show", "api"]);
    let lines = shown.lines().filter(|line| !line.starts_with("created"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    exit status: 0
    --- stdout
    workspace        api
    template         default
    folder           ~/src/api
    rate             100/min burst 9
    priority offset  -20
    env              B=2
    tasks            0 waiting, 0 running
    --- stderr
    ");
    insta::assert_snapshot!(said(&home, &["workspace", "list"]), @r"
    exit status: 0
    --- stdout
    WORKSPACE  WAITING  RUNNING  LIMITS           FOLDER
    api              0        0  100/min burst 9  ~/src/api
    --- stderr
    ");
    insta::assert_snapshot!(said(&home, &["workspace", "show", "apu"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: there is no workspace 'apu'
    hint: did you mean 'api'?
    ");
}

#[test]
fn a_workspace_with_work_is_removed_by_force_only() {
    let home = Home::new();
    let _daemon = home.daemon();
    home.ok(["workspace", "create", "api"]);
    let id = queue_in(&home, home.path(), &["--workspace", "api"]);
    insta::assert_snapshot!(said(&home, &["workspace", "remove", "api"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: workspace 'api' has work: 1 waiting, 0 running
    hint: with force (`--force`) it is removed all the same; its tasks go on, and keep its name
    ");
    insta::assert_snapshot!(said(&home, &["workspace", "remove", "api", "--force"]), @r"
    exit status: 0
    --- stdout
    --- stderr
    1 task goes on, and keeps the name api
    ");
    assert_eq!(home.task(&id).workspace, "api");
    insta::assert_snapshot!(said(&home, &["workspace", "edit", "api"]), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: there is nothing to change
    hint: name a value, as in --weight 3, or take one away, as in --unset weight
    ");
}

#[test]
fn a_task_belongs_where_it_is_queued() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (api, deep) = (folder(&home, "src/api"), folder(&home, "src/api/web/deep"));
    let beside = folder(&home, "src/api-old");
    home.ok(["workspace", "create", "api", "--folder", "src/api"]);
    home.ok(["workspace", "create", "web", "--folder", "src/api/web"]);
    home.ok(["workspace", "create", "tools", "--no-folder"]);
    let at = |folder: &std::path::Path, arguments: &[&str]| {
        let (workspace, cwd) = place(&home, &queue_in(&home, folder, arguments));
        format!("{workspace} {cwd}")
    };
    assert_eq!(at(&deep, &[]), "web ~/src/api/web/deep");
    assert_eq!(at(&api, &[]), "api ~/src/api");
    assert_eq!(at(&beside, &[]), " ~/src/api-old");
    assert_eq!(at(&deep, &["--workspace", ""]), " ~/src/api/web/deep");
    assert_eq!(at(&beside, &["--workspace", "api"]), "api ~/src/api");
    assert_eq!(
        at(&beside, &["--workspace", "api", "--cwd", "."]),
        "api ~/src/api-old"
    );
    assert_eq!(at(&deep, &["--workspace", "api"]), "api ~/src/api/web/deep");
    assert_eq!(
        at(&beside, &["--cwd", "../api/web"]),
        "web ~/src/api-old/../api/web"
    );
    assert_eq!(at(&beside, &["--workspace", "adhoc"]), "adhoc ~/src/api-old");
    // `use` is asked last.
    home.ok(["workspace", "use", "tools"]);
    assert_eq!(at(&beside, &[]), "tools ~/src/api-old");
    assert_eq!(at(&deep, &[]), "web ~/src/api/web/deep");
    assert!(home.ok(["workspace", "list"]).contains("tools *"));
    home.ok(["workspace", "use", "api"]);
    assert_eq!(at(&beside, &[]), "api ~/src/api");
    let list = home.path().join("list");
    std::fs::write(&list, "true\n{\"command\":\"true\",\"workspace\":\"tools\"}\n").expect("a list");
    let ids = home.ok(["batch", "--shell", list.to_str().expect("UTF-8")]);
    let names: Vec<String> = ids.lines().map(|id| place(&home, id).0).collect();
    assert_eq!(names, ["api", "tools"]);
    home.ok(["workspace", "use", "--none"]);
    assert_eq!(at(&beside, &[]), " ~/src/api-old");
    let unknown = said(&home, &["workspace", "use", "nobody"]);
    assert!(unknown.contains("there is no workspace 'nobody'"), "{unknown}");
    home.ok(["workspace", "use", "tools"]);
    home.ok(["workspace", "remove", "tools", "--force"]);
    assert_eq!(at(&beside, &[]), " ~/src/api-old", "it is not used any more");
}

#[test]
fn workspaces_survive_the_daemon_and_their_limits_hold_again() {
    let home = Home::with_config("[journal]\nsnapshot_bytes = \"1KiB\"\n");
    let daemon = home.daemon();
    let place = folder(&home, "src");
    home.ok([
        "workspace",
        "create",
        "one",
        "--folder",
        "src",
        "--max-parallel",
        "1",
        "--env",
        "WORD=kept",
    ]);
    home.ok(["workspace", "create", "gone", "--no-folder"]);
    home.ok(["workspace", "remove", "gone"]);
    // What they are must be in snapshots, too.
    wait_for("a snapshot", || {
        home.queue("true");
        let mut files = std::fs::read_dir(home.data().join("journal")).ok()?.flatten();
        files.find(|file| file.path().extension().is_some_and(|end| end == "snapshot"))
    });
    home.wait_idle();
    daemon.kill();
    let daemon = home.daemon();
    let names = home.ok(["workspace", "list", "--json"]);
    let names: serde_json::Value = serde_json::from_str(&names).expect("JSON");
    assert_eq!(names.as_array().expect("a list").len(), 1, "{names}");
    assert_eq!(names[0]["max_parallel"], 1);
    let queue = |command: &str| {
        let mut queue = home.command(["queue", "--shell", command]);
        let output = queue.current_dir(&place).output().expect("it starts");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    };
    let first = queue("echo $WORD; until [ -e go ]; do sleep 0.01; done");
    let second = queue("true");
    home.wait_state(&first, &["running"]);
    let why = wait_for("the reason", || {
        let why = home.ok(["explain", &second]);
        why.contains("limit").then_some(why)
    });
    assert!(why.contains("one"), "{why}");
    std::fs::write(place.join("go"), "").expect("the sign");
    home.wait_idle_of(&[first.clone(), second]);
    assert_eq!(home.output(&first, 1), "kept\n");
    drop(daemon);
}

#[test]
fn a_folder_that_vanished_is_said() {
    let home = Home::new();
    let _daemon = home.daemon();
    let place = folder(&home, "src");
    home.ok(["workspace", "create", "api", "--folder", "src"]);
    std::fs::remove_dir(place).expect("it was empty");
    let shown = said(&home, &["workspace", "show", "api"]);
    assert!(shown.contains("the folder does not exist"), "{shown}");
    assert!(said(&home, &["workspace", "list"]).contains("~/src (missing)"));
    insta::assert_snapshot!(said(&home, &["queue", "--shell", "--workspace", "api", "true"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: the folder '~/src' of workspace 'api' does not exist any more
    hint: create it, give the task another with cwd, or `wezterm-parallel workspace edit api --folder DIR`
    ");
    assert_eq!(home.tasks().len(), 0);
}

#[test]
fn names_are_checked_wherever_they_come_in() {
    let home = Home::new();
    let _daemon = home.daemon();
    let mut wire = Wire::connect(&home);
    let long = "x".repeat(300);
    for name in ["a/b", "..", "grün", &long, ""] {
        let line = serde_json::json!({ "WorkspaceCreate": { "name": name, "template": "default" } });
        let answer = wire.ask(line.to_string());
        assert!(
            answer.contains("invalid_value") && answer.contains("1 to 64"),
            "{answer}"
        );
    }
    let answer = wire.ask(r#"{"WorkspaceCreate":{"name":"api","template":"default"}}"#);
    assert!(
        answer.starts_with(r#"{"Workspace":{"name":"api","template":"default","#),
        "{answer}"
    );
    let answer = wire.ask(r#"{"WorkspaceCreate":{"name":"b","template":"../../etc/passwd"}}"#);
    assert!(answer.contains("invalid_value"), "{answer}");
    let answer = wire.ask(r#"{"WorkspaceEdit":{"name":"api","unset":["wieght"]}}"#); // typos:ignore
    assert!(answer.contains("did you mean `weight`?"), "{answer}");
    std::fs::write(home.data().join("current-workspace"), "a/b\n").expect("a file");
    let failure = said(&home, &["queue", "--shell", "true"]);
    assert!(
        failure.contains("does not hold the name of a workspace"),
        "{failure}"
    );
}

#[test]
fn templates_are_listed_begun_checked_and_used() {
    let home = Home::new();
    let _daemon = home.daemon();
    let own = home.path().join(".config/wezterm-parallel/templates");
    insta::assert_snapshot!(said(&home, &["template", "list"]), @r"
    exit status: 0
    --- stdout
    TEMPLATE     FROM      DESCRIPTION
    claude-pool  built in  Many prompts for Claude Code: four at once, started one after the other
    default      built in  Nothing but the folder, and what the options say
    fullstack    built in  A project with tests: they run first, and if they fail Claude Code looks for the cause
    review       built in  A review of one branch by Claude Code, before other work
    --- stderr
    ");
    let file = home.ok(["template", "new", "mine"]);
    assert_eq!(PathBuf::from(file.trim()), own.join("mine.toml"));
    insta::assert_snapshot!(said(&home, &["template", "check"]), @r"
    exit status: 0
    --- stdout
    --- stderr
    5 templates are right
    ");
    assert!(said(&home, &["template", "new", "mine"]).contains("there is a template in"));
    // Every line of it that is commented out is right, too.
    let text = std::fs::read_to_string(own.join("mine.toml")).expect("the file");
    let whole: Vec<&str> = text
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with(' '))
                .unwrap_or(line)
        })
        .collect();
    std::fs::write(own.join("mine.toml"), whole.join("\n")).expect("the file");
    home.ok(["template", "check", "mine"]);
    std::fs::write(
        own.join("default.yaml"),
        "env: {WHO: \"{who}\"}\nvariables: {who: {description: your name}}\ntasks:\n  - name: hello\n    \
         worker: shell\n    command: echo $WHO in {name}\n",
    )
    .expect("a template");
    folder(&home, "api");
    let create = ["workspace", "create", "api", "--folder", "api"];
    insta::assert_snapshot!(said(&home, &create), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: template 'default' needs a value for `who` (your name)
    hint: give it as a variable: `--set who=VALUE`
    ");
    let ids = home.ok(create.into_iter().chain(["--set", "who=me"]));
    assert_eq!(ids, "1\n");
    home.wait_state("1", &["succeeded"]);
    assert_eq!(home.output("1", 1), "me in api\n");
    assert_eq!(home.task("1").workspace, "api");
}

#[test]
fn a_template_that_includes_itself_is_refused() {
    let home = Home::new();
    let _daemon = home.daemon();
    let own = home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("round.toml"), "extends = \"about\"\n").expect("a template");
    std::fs::write(own.join("about.yml"), "\nextends: round\n").expect("a template");
    insta::assert_snapshot!(said(&home, &["template", "check", "round"]), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: ~/.config/wezterm-parallel/templates/about.yml:2:1: `extends`: the template includes itself: round → about → round
    hint: take one of these out
    ");
    let mut wire = Wire::connect(&home);
    let answer = wire.ask(r#"{"WorkspaceCreate":{"name":"b","template":"round"}}"#);
    assert!(
        answer.contains("invalid_config") && answer.contains("round → about → round"),
        "{answer}"
    );
    insta::assert_snapshot!(said(&home, &["template", "show", "claude-pool"]), @r#"
    exit status: 0
    --- stdout
    description = "Many prompts for Claude Code: four at once, started one after the other"
    worker = "claude"
    max_parallel = 4
    rate = "10/min burst 2"

    [[panes]]
    name = "slot-0"
    slot = 0

    [[panes]]
    name = "slot-1"
    slot = 1

    [[panes]]
    name = "slot-2"
    slot = 2

    [[panes]]
    name = "slot-3"
    slot = 3
    --- stderr
    "#);
}
