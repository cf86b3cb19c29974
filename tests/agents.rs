//! What a worker may ask of the daemon: told by its parents, whatever it does to hide them.

mod support;

use std::process::Output;

use support::{shown, Home, PROGRAM};
use wezterm_parallel::protocol::{TaskQueue, TaskView};

/// Runs lines of shell in a worker, with the program under test as `$WP`; the task when it has ended.
fn worker(home: &Home, workspace: Option<&str>, lines: &str) -> TaskView {
    let task = TaskQueue {
        command: Some(format!("WP={PROGRAM}\n{lines}")),
        worker: Some("shell".to_owned()),
        workspace: workspace.map(str::to_owned),
        env: Some(environment(home)),
        ..TaskQueue::default()
    };
    let id = home.submit(task);
    home.wait_state(&id, &["succeeded", "failed"])
}

/// What a client in this home finds its daemon by.
fn environment(home: &Home) -> std::collections::BTreeMap<String, String> {
    let command = home.command(["status"]);
    let mut variables: std::collections::BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name == "PATH").collect();
    for (name, value) in command.get_envs() {
        if let (Some(name), Some(value)) = (name.to_str(), value.and_then(|value| value.to_str())) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables
}

/// Two tasks of the user that have not started, in workspace `api` and in none.
fn others(home: &Home) -> (String, String) {
    home.ok(["workspace", "create", "api", "--no-folder"]);
    let held = |workspace: &str| TaskQueue {
        command: Some("true".to_owned()),
        workspace: Some(workspace.to_owned()),
        hold: true,
        ..TaskQueue::default()
    };
    (home.submit(held("api")), home.submit(held("")))
}

fn output(home: &Home, task: &TaskView) -> String {
    home.output(&task.id, 1)
}

#[test]
fn it_looks_around_and_queues_in_its_own_workspace() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (other, _) = others(&home);
    let task = worker(
        &home,
        Some("api"),
        &format!(
            "$WP show {other} --json >/dev/null && $WP status --json >/dev/null && $WP queue --wait -- true"
        ),
    );
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
    let child = home.tasks().pop().expect("it has queued one");
    assert_eq!(
        (child.workspace.as_str(), child.state.as_str()),
        ("api", "succeeded")
    );
    assert_eq!(child.parent.as_deref(), Some(task.id.as_str()));
    let told = home.ok(["show", &child.id]);
    assert!(told.contains(&format!("task {}", task.id)), "{told}");
}

#[test]
fn it_changes_nothing_that_it_has_not_queued() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (other, _) = others(&home);
    for line in [
        format!("$WP cancel {other}"),
        format!("$WP release {other}"),
        format!("$WP edit {other} --priority 255"),
        "$WP pause".to_owned(),
        "$WP shutdown".to_owned(),
        "$WP workspace edit api --allow-agents daemon".to_owned(),
        "$WP workspace remove api --force".to_owned(),
        "$WP clean".to_owned(),
        "$WP queue --workspace '' -- true".to_owned(),
    ] {
        let task = worker(&home, Some("api"), &line);
        assert_eq!(task.state, "failed", "{line}: {}", output(&home, &task));
        assert!(
            output(&home, &task).contains("speak for task"),
            "{line}: {}",
            output(&home, &task)
        );
    }
    assert_eq!(home.task(&other).state, "held");
}

#[test]
fn what_it_has_queued_it_may_call_back() {
    let home = Home::new();
    let _daemon = home.daemon();
    let task = worker(
        &home,
        None,
        "id=$($WP queue --hold -- true) && $WP release $id && $WP wait $id && id=$($WP queue --hold -- true) && $WP cancel $id",
    );
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
    assert_eq!(home.tasks().pop().expect("one").state, "cancelled");
}

/// Agents run what they start in sessions of their own; and what is left alone by its parents has none of them in its line.
#[test]
fn neither_a_session_nor_a_parent_that_ends_hides_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (other, _) = others(&home);
    let hidden = format!(
        "(setsid sh -c '($WP cancel {other} >told 2>&1; echo $? >>told; mv told done) &' &) ; \
         until [ -e done ]; do sleep 0.05; done; cat done; rm done"
    );
    let task = worker(
        &home,
        Some("api"),
        &format!("export WP; cd {}; {hidden}", home.path().display()),
    );
    let told = output(&home, &task);
    assert!(told.contains("you speak for task"), "{told}");
    assert_eq!(home.task(&other).state, "held");
}

/// The worker goes on while the daemon does not; the next one knows it all the same.
#[test]
fn a_new_daemon_knows_the_workers_of_the_old_one() {
    let home = Home::new();
    let daemon = home.daemon();
    let (other, _) = others(&home);
    let script = format!(
        "WP={PROGRAM}; until [ -e {0}/go ]; do sleep 0.05; done; $WP cancel {other}",
        home.path().display()
    );
    let id = home.submit(TaskQueue {
        command: Some(script),
        worker: Some("shell".to_owned()),
        env: Some(environment(&home)),
        ..TaskQueue::default()
    });
    home.wait_state(&id, &["running"]);
    daemon.kill();
    let _daemon = home.daemon();
    std::fs::write(home.path().join("go"), "").expect("a file");
    let task = home.wait_state(&id, &["failed", "succeeded"]);
    assert!(
        output(&home, &task).contains("you speak for task"),
        "{}",
        output(&home, &task)
    );
    assert_eq!(home.task(&other).state, "held");
}

#[test]
fn rights_are_given_by_the_config_and_by_workspaces() {
    let home = Home::with_config("[agents]\nallow = [\"workspaces\"]\n");
    let _daemon = home.daemon();
    let (in_api, in_none) = others(&home);
    let task = worker(&home, None, "$WP queue --workspace api --wait -- true");
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
    let task = worker(&home, None, &format!("$WP cancel {in_none}"));
    assert_eq!(task.state, "failed");
    home.ok(["workspace", "edit", "api", "--allow-agents", "tasks"]);
    let shown = home.ok(["workspace", "show", "api"]);
    assert!(shown.contains("allow agents     tasks"), "{shown}");
    let task = worker(&home, Some("api"), &format!("$WP cancel {in_api}"));
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
    // The workspace's rights are in place of the config's.
    let task = worker(&home, Some("api"), "$WP queue --workspace '' -- true");
    assert_eq!(task.state, "failed");
    home.ok(["workspace", "edit", "api", "--allow-agents", "none"]);
    let task = worker(&home, Some("api"), &format!("$WP cancel {in_none}"));
    assert_eq!(task.state, "failed");
    home.ok(["workspace", "edit", "api", "--unset", "allow-agents"]);
    let task = worker(&home, Some("api"), "$WP queue --workspace '' -- true");
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
}

#[test]
fn what_is_refused_says_who_could_allow_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let (other, _) = others(&home);
    let task = worker(&home, Some("api"), &format!("$WP cancel {other}"));
    insta::assert_snapshot!(output(&home, &task), @r"
    error: a change of task 1 is not for a worker to ask for: you speak for task 3 only
    hint: `wezterm-parallel workspace edit api --allow-agents tasks` lets its workers; the user may do it from outside of workers
    ");
    let wrong: Output = home.run(["workspace", "edit", "api", "--allow-agents", "root"]);
    insta::assert_snapshot!(shown(&wrong), @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: invalid value 'root' for '--allow-agents <RIGHT>': there is no right "root", only workspaces, secrets, tasks and daemon, or none

    For more information, try '--help'.
    "#);
}

#[test]
fn a_secret_that_it_does_not_get_is_not_told_to_it_by_its_own_tasks() {
    let home = Home::with_config("[secrets]\ncommand = [\"echo\"]\n");
    let _daemon = home.daemon();
    let task = worker(&home, None, "$WP queue --env A=secret:other --wait -- true");
    assert_eq!(task.state, "failed");
    let told = output(&home, &task);
    assert!(
        told.contains("the secret other is not for a worker to ask for"),
        "{told}"
    );
    let mut env = environment(&home);
    env.insert("PATH".to_owned(), std::env::var("PATH").expect("a PATH"));
    let id = home.submit(TaskQueue {
        command: Some(format!("{PROGRAM} queue --env A=secret:own --wait -- true")),
        worker: Some("shell".to_owned()),
        env: Some(env),
        env_add: [("OWN".to_owned(), "secret:own".to_owned())].into(),
        ..TaskQueue::default()
    });
    let task = home.wait_state(&id, &["succeeded", "failed"]);
    assert_eq!(task.state, "succeeded", "{}", output(&home, &task));
}

/// What the right `tasks` does not give: other secrets, other workspaces, and a command that the daemon runs itself.
#[test]
fn a_process_is_no_way_around_what_a_worker_may() {
    let home = Home::with_config("[secrets]\ncommand = [\"echo\"]\n[agents]\nallow = [\"tasks\"]\n");
    let _daemon = home.daemon();
    home.ok(["workspace", "create", "api", "--no-folder"]);
    home.ok(["workspace", "create", "web", "--no-folder"]);
    let spawn = |arguments: &str| {
        let task = worker(&home, Some("api"), &format!("$WP process spawn {arguments}"));
        (task.state.clone(), output(&home, &task))
    };
    for (arguments, what) in [
        ("-w api --env A=secret:other 'sleep 600'", "the secret other"),
        ("-w web 'sleep 600'", "workspace web"),
        ("-w api --ready-command true 'sleep 600'", "a ready command"),
    ] {
        let (state, told) = spawn(arguments);
        assert_eq!(state, "failed", "{arguments}: {told}");
        assert!(
            told.contains(what) && told.contains("is not for a worker to ask for"),
            "{told}"
        );
    }
    assert_eq!(home.ok(["process", "list", "--json"]).trim(), "[]");
    let (state, told) = spawn("-w api --ready-line up 'echo up; sleep 600'");
    assert_eq!((state.as_str(), told.trim()), ("succeeded", "@1"));
}
