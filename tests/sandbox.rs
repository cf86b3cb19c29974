//! The sandbox, as workers run into it: Landlock really refuses, and what was refused is told with what to add.
//!
//! Where the kernel has no Landlock, a test says so and looks instead at what is said of that.
#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};

use support::{shown, Home};
use wezterm_parallel::executor::Means;
use wezterm_parallel::protocol::{TaskQueue, TaskView};

/// The version of Landlock, if it is at least this one; else the test says that it is skipped.
#[allow(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn landlock(at_least: u32) -> bool {
    match Means::of_this_system() {
        Means::Landlock(abi) if abi >= at_least => true,
        other => {
            eprintln!("SKIPPED: Landlock ABI {at_least} is needed, and this kernel has {other:?}");
            false
        }
    }
}

/// A home whose sandboxed profile `caged` has these lines; its folders `in` and `out` (which is not below `/tmp`).
struct Place {
    home: Home,
    outside: tempfile::TempDir,
    inside: PathBuf,
}

impl Place {
    fn new(sandbox: &str) -> Self {
        let outside = tempfile::tempdir_in(support::apart()).expect("a folder outside of /tmp");
        let real = outside.path().canonicalize().expect("its place");
        let inside = real.join("in");
        std::fs::create_dir_all(&inside).expect("a folder");
        std::fs::create_dir_all(real.join("out")).expect("a folder");
        let sandbox = sandbox.replace("OUT", &real.join("out").display().to_string());
        let config = format!("[workers.caged]\nkind = \"shell\"\n[workers.caged.sandbox]\n{sandbox}\n");
        let home = Home::with_config(&config);
        Self {
            home,
            outside,
            inside,
        }
    }

    fn out(&self) -> PathBuf {
        self.outside.path().canonicalize().expect("its place").join("out")
    }

    fn run_in(&self, cwd: &Path, worker: &str, line: &str) -> TaskView {
        let id = self.home.submit(TaskQueue {
            command: Some(line.to_owned()),
            worker: Some(worker.to_owned()),
            cwd: Some(cwd.display().to_string()),
            ..TaskQueue::default()
        });
        self.home.wait_idle_of(std::slice::from_ref(&id));
        self.home.task(&id)
    }

    fn run(&self, line: &str) -> TaskView {
        self.run_in(&self.inside, "caged", line)
    }

    fn output(&self, task: &TaskView) -> String {
        self.said(
            &self
                .home
                .output(&task.id, task.attempts.len().try_into().expect("few")),
        )
    }

    /// A text without the places of this run.
    fn said(&self, text: &str) -> String {
        let real = self.outside.path().canonicalize().expect("its place");
        text.replace(&real.display().to_string(), "~")
    }

    fn message(&self, task: &TaskView) -> String {
        self.said(
            task.attempts
                .last()
                .and_then(|last| last.message.as_deref())
                .unwrap_or_default(),
        )
    }
}

#[test]
fn a_write_outside_is_refused_and_the_log_says_what_to_add() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let out = place.out();
    let task = place.run(&format!(
        "echo own > mine && echo shared > /tmp/$WEZTERM_PARALLEL_TASK.$$ && rm /tmp/$WEZTERM_PARALLEL_TASK.$$ \
         && echo again > /dev/stdout && ls {out} > /dev/null && echo x > {out}/theirs",
        out = out.display()
    ));
    assert_eq!(task.state, "failed");
    assert_eq!(
        std::fs::read_to_string(place.inside.join("mine")).expect("it was written"),
        "own\n"
    );
    assert!(!out.join("theirs").exists(), "the kernel let it through");
    assert!(
        place.output(&task).starts_with("again\n"),
        "{}",
        place.output(&task)
    );
    insta::assert_snapshot!(place.message(&task), @r#"it ran in a sandbox, with ~/in writable; by its output, ~/out/theirs was denied: add "~/out" to `write` in [workers.caged.sandbox] to allow it"#);
    let log = place.home.log();
    assert!(log.contains("theirs was denied: add"), "{log}");
    let shown = place.home.ok(["show", task.id.as_str()]);
    let lines: Vec<String> = shown
        .lines()
        .filter(|line| {
            ["sandbox ", "writable ", "denied "]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .map(|line| place.said(line))
        .collect();
    assert!(
        lines[0].starts_with("sandbox     files (Landlock ABI "),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["writable    ~/in", "denied      ~/out/theirs"]);
    // The same task without a sandbox.
    let free = place.run_in(
        &place.inside,
        "shell",
        &format!("echo x > {}/theirs", out.display()),
    );
    assert_eq!(
        (free.state.as_str(), free.attempts[0].sandbox.is_none()),
        ("succeeded", true)
    );
}

#[test]
fn removing_renaming_and_changing_what_is_outside_is_refused_too() {
    if !landlock(3) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let file = place.out().join("file");
    std::fs::write(&file, "kept").expect("a file");
    let shown = file.display();
    for line in [
        format!("rm -f {shown}"),
        format!("mv {shown} ."),
        format!("mv {shown} {shown}2"),
        format!("truncate -s 0 {shown}"),
        format!("echo more >> {shown}"),
        format!("mkdir {shown}.d"),
        format!("ln -s x {shown}.l"),
        format!("ln {shown} hard && echo x > hard"),
        // A child, in a session of its own, is in the same sandbox.
        format!("setsid sh -c 'echo x > {shown}'"),
    ] {
        let task = place.run(&line);
        assert_eq!(task.state, "failed", "{line}");
        assert_eq!(
            std::fs::read_to_string(&file).expect("it is there"),
            "kept",
            "{line}"
        );
        assert_eq!(
            std::fs::read_dir(place.out()).expect("a folder").count(),
            1,
            "{line}"
        );
    }
    // Its own outcome cannot be forged either.
    let task = place.run("echo '{}' > $WEZTERM_PARALLEL_FOLDER/exit.json; exit 3");
    assert_eq!(task.attempts[0].exit_code, Some(3));
}

#[test]
fn what_is_named_is_open_and_what_is_missing_is_told() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("write = [\"OUT\", \"OUT/../gone\"]");
    assert!(
        !place.home.run(["config", "check"]).status.success(),
        "`..` is refused"
    );
    let place = Place::new("write = [\"OUT\", \"/nowhere/gone\"]");
    let _daemon = place.home.daemon();
    let task = place.run(&format!("echo x > {}/theirs; exit 1", place.out().display()));
    assert!(place.out().join("theirs").exists());
    insta::assert_snapshot!(place.message(&task), @"it ran in a sandbox, with ~/in, ~/out writable; not there, so not writable: /nowhere/gone; `write` in [workers.caged.sandbox] adds to that");
    assert!(place
        .home
        .log()
        .contains("not there, so not writable: /nowhere/gone"));
}

#[test]
fn little_is_read_where_only_little_may_be_read() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("read = []");
    let _daemon = place.home.daemon();
    let secret = place.out().join("secret");
    std::fs::write(&secret, "secret").expect("a file");
    std::fs::write(place.inside.join("own"), "own").expect("a file");
    let task = place.run(&format!("cat own; cat {}", secret.display()));
    assert!(!place.output(&task).contains("secret\n"));
    assert!(place.output(&task).starts_with("own"), "{}", place.output(&task));
    insta::assert_snapshot!(place.message(&task), @r#"it ran in a sandbox, with ~/in writable; by its output, ~/out/secret was denied: add "~/out/secret" to `read` in [workers.caged.sandbox] to allow it"#);
}

#[test]
fn ports_and_signals_are_limited_where_the_kernel_can() {
    if !landlock(6) {
        return;
    }
    let place = Place::new("connect_tcp = []\nbind_tcp = []");
    let daemon = place.home.daemon();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'");
    let task = place.run(&connect);
    assert_eq!(task.state, "failed", "{}", place.output(&task));
    assert!(
        place.message(&task).contains("perhaps a port: see `connect_tcp`"),
        "{}",
        place.message(&task)
    );
    assert_eq!(place.run_in(&place.inside, "shell", &connect).state, "succeeded");
    let task = place.run(&format!("kill -0 {}", daemon.pid()));
    assert_eq!(task.state, "failed", "it could signal the daemon");
    // Its own children it can, and the shim can end it.
    assert_eq!(place.run("sleep 600 & kill $!; wait; true").state, "succeeded");
    let id = place.home.submit(TaskQueue {
        command: Some("exec sleep 600".to_owned()),
        worker: Some("caged".to_owned()),
        cwd: Some(place.inside.display().to_string()),
        ..TaskQueue::default()
    });
    place.home.wait_state(&id, &["running"]);
    place.home.ok(["cancel", &id]);
    place.home.wait_state(&id, &["cancelled"]);
}

#[test]
fn the_daemon_can_be_reached_from_inside() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let task = place.run(&format!("{} status", support::PROGRAM));
    assert_eq!(task.state, "succeeded", "{}", place.output(&task));
}

#[test]
fn a_workspace_keeps_all_its_tasks_in_its_folder() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("enabled = false");
    let _daemon = place.home.daemon();
    let (inside, out) = (place.inside.display().to_string(), place.out());
    std::fs::create_dir(place.inside.join("deep")).expect("a folder");
    place
        .home
        .ok(["workspace", "create", "api", "--folder", &inside, "--sandbox"]);
    let deep = place.inside.join("deep");
    let line = format!("echo x > ../above && echo x > {}/x", out.display());
    let task = place.run_in(&deep, "shell", &line);
    assert_eq!(task.workspace, "api");
    assert!(place.inside.join("above").exists() && !out.join("x").exists());
    insta::assert_snapshot!(place.message(&task), @"it ran in a sandbox, with ~/in writable; by its output, ~/out/x was denied: `wezterm-parallel workspace edit api --sandbox-write ~/out` (with what it names already) allows it");
    let edit = [
        "workspace",
        "edit",
        "api",
        "--sandbox-write",
        &out.display().to_string(),
        "--sandbox-connect",
        "443,80",
    ];
    place.home.ok(edit);
    let shown_text = place.said(&place.home.ok(["workspace", "show", "api"]));
    assert!(
        shown_text.contains("sandbox          on; writes ~/out; connects to 443, 80\n"),
        "{shown_text}"
    );
    assert_eq!(place.run_in(&deep, "shell", &line).state, "succeeded");
    // Who queues a task for it chooses neither where it may write by its folder nor by its variables.
    place.home.ok(["workspace", "edit", "api", "--sandbox"]);
    let id = place.home.submit(TaskQueue {
        command: Some("echo x > by-cwd; echo x > $TMPDIR/by-variable; exit 1".to_owned()),
        cwd: Some(out.display().to_string()),
        env_add: [("TMPDIR".to_owned(), out.display().to_string())].into(),
        workspace: Some("api".to_owned()),
        ..TaskQueue::default()
    });
    place.home.wait_idle_of(std::slice::from_ref(&id));
    assert!(!out.join("by-cwd").exists() && !out.join("by-variable").exists());
    let message = place.message(&place.home.task(&id));
    assert!(
        message.contains("~/out (outside of its workspace's folder)"),
        "{message}"
    );
    // A folder of it that has become a link to somewhere else is not opened.
    place.home.ok(["workspace", "edit", "api", "--sandbox"]);
    std::fs::remove_dir(&deep).expect("it is empty");
    std::os::unix::fs::symlink(&out, &deep).expect("a link");
    let task = place.run_in(&deep, "shell", "echo x > by-link");
    assert!(!out.join("by-link").exists());
    assert!(
        place.message(&task).contains("~/in/deep (a link that leads out)"),
        "{}",
        place.message(&task)
    );
    place.home.ok(["workspace", "edit", "api", "--unset", "sandbox"]);
    assert_eq!(
        place.run_in(&deep, "shell", "echo x > by-link").state,
        "succeeded"
    );
    let wrong = place
        .home
        .run(["workspace", "edit", "api", "--sandbox-connect", "http"]);
    assert!(shown(&wrong).contains("is no port"), "{}", shown(&wrong));
}

#[test]
fn a_template_can_say_it_and_a_restarted_daemon_keeps_it() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("enabled = false");
    let templates = place.home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&templates).expect("a folder");
    let text = format!(
        "description = \"x\"\nworker = \"shell\"\n[sandbox]\nrequired = true\nwrite = [{:?}]\n",
        place.out()
    );
    std::fs::write(templates.join("kept.toml"), text).expect("a template");
    let daemon = place.home.daemon();
    let inside = place.inside.display().to_string();
    place.home.ok([
        "workspace",
        "create",
        "kept",
        "--template",
        "kept",
        "--folder",
        &inside,
    ]);
    daemon.kill();
    let _daemon = place.home.daemon();
    let up = place.outside.path().canonicalize().expect("its place");
    let line = format!(
        "echo x > {}/x && echo x > {}/y",
        place.out().display(),
        up.display()
    );
    let task = place.run_in(&place.inside, "shell", &line);
    assert!(place.out().join("x").exists() && !up.join("y").exists());
    assert_eq!(task.state, "failed");
    std::fs::write(templates.join("bad.toml"), "[sandbox]\nwrite = [\"src\"]\n").expect("a template");
    let output = place.home.run(["template", "check", "bad"]);
    let text = shown(&output).replace(&place.home.path().display().to_string(), "~");
    insta::assert_snapshot!(text, @r#"
    exit status: 2
    --- stdout
    --- stderr
    error: ~/.config/wezterm-parallel/templates/bad.toml:2:1: `sandbox.write` has "src", which is not a whole path
    hint: begin it with / or ~/, and leave out ..
    "#);
}

#[test]
fn a_git_worktree_can_commit_and_the_hooks_of_its_repository_stay() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let git = |line: &str| {
        let output = place
            .home
            .command_of("sh", ["-ec", &format!("cd {}; {line}", place.out().display())])
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{}", shown(&output));
    };
    git("git init -q -b main .; git config user.name x; git config user.email x@y; git commit -q --allow-empty -m one");
    git("git worktree add -q ../tree -b tree");
    let tree = place.inside.with_file_name("tree");
    let task = place.run_in(
        &tree,
        "caged",
        "echo 1 > a && git add a && git commit -q -m two && git log --oneline | wc -l",
    );
    assert_eq!(task.state, "succeeded", "{}", place.output(&task));
    // Before the number there may be a complaint of git's about `packed-refs.lock`, which changes nothing.
    assert_eq!(place.output(&task).lines().last(), Some("2"));
    let report = task.attempts[0].sandbox.clone();
    assert_eq!(report.expect("it was in one").denied, []);
    let hook = place.out().join(".git/hooks/post-checkout");
    let task = place.run_in(&tree, "caged", &format!("echo evil > {}", hook.display()));
    assert_eq!((task.state.as_str(), hook.exists()), ("failed", false));
    let task = place.run_in(&tree, "caged", "git config core.editor evil");
    assert_eq!(task.state, "failed");
}

#[test]
fn a_worktree_is_made_outside_of_the_sandbox_and_worked_in_inside() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let repository = &place.inside;
    let line = format!(
        "cd {}; git init -q -b main .; git config user.name x; git config user.email x@y; \
         echo one > one; git add one; git commit -q -m one",
        repository.display()
    );
    let made = place.home.command_of("sh", ["-ec", &line]).output();
    assert!(made.expect("git runs").status.success());
    let queue = |line: &str| {
        let words = ["queue", "--worker", "caged", "--worktree", line];
        let output = place.home.command(words).current_dir(repository).output();
        let id = String::from_utf8(output.expect("it starts").stdout).expect("UTF-8");
        let id = id.trim().to_owned();
        place.home.wait_idle_of(std::slice::from_ref(&id));
        place.home.task(&id)
    };
    let task = queue("echo two > two && git add two && git commit -q -m two && git log --oneline | wc -l");
    assert_eq!(
        task.state,
        "succeeded",
        "{}: {}",
        place.message(&task),
        place.output(&task)
    );
    assert!(place.output(&task).ends_with("2\n"), "{}", place.output(&task));
    let report = task.attempts[0].sandbox.clone().expect("it was in one");
    assert!(report.writable[0].contains("/worktrees/"), "{report:?}");
    // Where it was made from stays as it is, its hooks included.
    let there = repository.display();
    let task = queue(&format!(
        "echo x > {there}/three; echo x > {there}/.git/hooks/post-commit; exit 1"
    ));
    assert!(!repository.join("three").exists() && !repository.join(".git/hooks/post-commit").exists());
    assert!(
        place.message(&task).contains("in/three was denied"),
        "{}",
        place.message(&task)
    );
    // A program that is there when it is queued, and not in the worktree, is told as without a sandbox.
    let tool = repository.join("tool");
    std::fs::write(&tool, "#!/bin/sh\n").expect("a file");
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&tool, all).expect("it is ours");
    let missing = ["queue", "--worker", "bare", "--worktree", "--", "./tool"];
    let config = "[workers.bare]\nkind = \"exec\"\n[workers.bare.sandbox]\n";
    let other = Home::with_config(config);
    let _other = other.daemon();
    let output = other
        .command(missing)
        .current_dir(repository)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
    let id = String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned();
    other.wait_idle_of(std::slice::from_ref(&id));
    let task = other.task(&id);
    assert_eq!(task.reason.as_deref(), Some("spawn_error"));
    let message = task.attempts[0].message.clone().unwrap_or_default();
    assert!(
        message.starts_with("./tool: program not found from "),
        "{message}"
    );
}

#[test]
fn what_a_sandboxed_worker_queues_is_kept_as_it_is_itself() {
    if !landlock(1) {
        return;
    }
    let place = Place::new("");
    let _daemon = place.home.daemon();
    let out = place.out();
    // Another profile, another folder and other variables.
    let inner = format!("echo x > own; echo x > {}/theirs; exit 1", out.display());
    let line = format!(
        "cd {out} && TMPDIR={out} {} queue --worker shell --id child '{inner}' && {} queue --worker shell --id near --cwd {} 'echo x > near'",
        support::PROGRAM,
        support::PROGRAM,
        place.inside.display(),
        out = out.display(),
    );
    let task = place.run(&line);
    assert_eq!(task.state, "succeeded", "{}", place.output(&task));
    place.home.wait_idle_of(&["child".to_owned(), "near".to_owned()]);
    let child = place.home.task("child");
    assert_eq!(
        (child.parent.as_deref(), child.worker.as_str()),
        (Some(task.id.as_str()), "shell")
    );
    assert_eq!(std::fs::read_dir(&out).expect("a folder").count(), 0);
    assert!(child.attempts[0].sandbox.is_some());
    // Where its parent works it may write.
    assert_eq!(place.home.task("near").state, "succeeded");
    assert!(place.inside.join("near").exists());
}

#[test]
fn it_is_told_before_it_runs() {
    let place = Place::new("connect_tcp = [443]");
    let _daemon = place.home.daemon();
    let id = place.home.ok(["queue", "--hold", "--worker", "caged", "true"]);
    let shown = place.home.ok(["show", id.trim()]);
    let line = shown.lines().find(|line| line.starts_with("sandbox "));
    let line = line.expect("a line about it");
    let expected = match Means::of_this_system() {
        Means::Landlock(4..) => "connects to TCP port 443 only",
        Means::Landlock(_) => "network ports cannot be limited by this kernel",
        _ => "none: ",
    };
    assert!(line.contains(expected), "{line}");
    let output = place.home.run(["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("sandbox"));
    assert!(
        line.is_some_and(|line| line.contains(&Means::of_this_system().abilities())),
        "{text}"
    );
}
