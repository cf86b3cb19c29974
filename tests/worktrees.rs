//! Worktrees of tasks end to end: the real program, its daemon, and the real git.

mod support;
mod worktree_support;

use std::path::Path;

use support::{shown, wait_for, Home};
use worktree_support::Repo;

/// The word for how a worktree stands, and what it holds.
fn standing(repo: &Repo<'_>, id: &str) -> (String, u64, u64) {
    let text = repo.ok(["worktree", "list", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut all = all.as_array().expect("a list").iter();
    let one = all.find(|one| one["task"] == id).expect("the task's worktree");
    let count = |name: &str| one[name].as_u64().expect("a number");
    let state = one["state"].as_str().expect("a state").to_owned();
    (state, count("commits"), count("uncommitted"))
}

/// Cleans, and what stayed: the reasons.
fn kept(repo: &Repo<'_>, id: &str) -> String {
    let output = repo.run(["worktree", "clean", id]);
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    let reasons = text
        .trim()
        .strip_prefix(&format!("kept the worktree of task {id}: "));
    assert!(repo.worktree(id).exists(), "{text}");
    reasons.unwrap_or_else(|| panic!("{text}")).to_owned()
}

fn is_removed(repo: &Repo<'_>, arguments: &[&str], id: &str) {
    let mut words = vec!["worktree", "clean"];
    words.extend(arguments);
    words.push(id);
    let output = repo.run(words);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(text.trim(), format!("removed the worktree of task {id}"));
    assert!(!repo.worktree(id).exists());
    assert!(!repo.has_branch(&format!("wezterm-parallel/{id}")));
}

#[test]
fn a_task_works_in_its_own_and_is_merged() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("pwd; echo more >> a; git commit -qam 'more'; echo new > new; echo log > x.log");
    let output = home.output(&id, 1);
    assert_eq!(output.trim(), repo.worktree(&id).display().to_string());
    assert_eq!(standing(&repo, &id), ("dirty".to_owned(), 1, 1));
    insta::assert_snapshot!(repo.said(["wait", &id]), @r"
    exit status: 0
    --- stdout
    --- stderr
    task 1: 1 commit, 1 uncommitted file in its worktree (wezterm-parallel worktree merge 1)
    ");
    let diff = repo.ok(["worktree", "diff", &id]);
    assert!(
        diff.contains("+more") && diff.contains("+new") && !diff.contains("log"),
        "{diff}"
    );
    assert!(repo
        .ok(["worktree", "diff", "--name-only", &id])
        .ends_with("a\nnew"));
    insta::assert_snapshot!(repo.said(["worktree", "merge", &id]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: the worktree holds 1 uncommitted file
    hint: commit in PLACE/1, or leave them there: --committed
    ");
    repo.git_in(&repo.worktree(&id), ["add", "new"]);
    repo.git_in(&repo.worktree(&id), ["commit", "--quiet", "-m", "new"]);
    insta::assert_snapshot!(repo.said(["worktree", "merge", &id]), @r"
    exit status: 0
    --- stdout
    --- stderr
    merged 2 commits of task 1 into main
    removed the worktree of task 1
    ");
    assert_eq!(
        std::fs::read_to_string(repo.path.join("new")).expect("merged"),
        "new\n"
    );
    assert!(!repo.worktree(&id).exists() && !repo.has_branch("wezterm-parallel/1"));
    let shown = repo.ok(["show", &id]);
    assert!(
        shown.contains("/1, removed\nbranch      wezterm-parallel/1\n"),
        "{shown}"
    );
    insta::assert_snapshot!(repo.said(["worktree", "diff", &id]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: task 1 has no worktree
    hint: `wezterm-parallel worktree list` lists them; one with nothing in it is removed when its task ends
    ");
}

#[test]
fn where_it_is_stands_in_show_and_explain() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.ok(["queue", "--hold", "--worktree", "touch f; exit 3"]);
    assert!(repo
        .ok(["show", &id])
        .ends_with("\nworktree    made when it starts"));
    assert!(repo
        .ok(["explain", &id])
        .ends_with("\nIt gets a git worktree when it starts."));
    repo.ok(["release", &id]);
    home.wait_idle();
    let path = repo.worktree(&id).display().to_string();
    let text = repo.ok(["show", &id]);
    assert!(
        text.contains(&format!("\nworktree    {path}\nbranch      wezterm-parallel/1\n")),
        "{text}"
    );
    let explained = repo.ok(["explain", &id]);
    let expected = format!("Its git worktree is {path}, on branch wezterm-parallel/1.");
    assert!(explained.ends_with(&expected), "{explained}");
    let view: serde_json::Value = serde_json::from_str(&repo.ok(["show", "--json", &id])).expect("JSON");
    assert_eq!(view["worktree"]["path"], path);
    let attached = shown(&repo.run(["attach", "--task", &id]));
    assert!(
        attached.contains(&format!("worktree {path} · branch wezterm-parallel/1")),
        "{attached}"
    );
    assert!(
        attached.contains("1 uncommitted file in its worktree"),
        "{attached}"
    );
}

#[test]
fn one_with_nothing_in_it_goes_by_itself_after_success_only() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let good = repo.task("echo only ignored > x.log");
    repo.wait_removed(&good);
    let bad = repo.task("echo why > x.log; exit 1");
    assert!(
        repo.worktree(&bad).join("x.log").exists(),
        "what it left may say why it failed"
    );
    assert_eq!(standing(&repo, &bad).0, "clean");
    is_removed(&repo, &[], &bad);
}

#[test]
fn whatever_is_not_elsewhere_holds_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("exit 1");
    let there = repo.worktree(&id);
    let git = |arguments: &[&str]| repo.git_in(&there, arguments.iter().copied());

    std::fs::write(there.join("new"), "untracked").expect("a file");
    assert_eq!(kept(&repo, &id), "1 uncommitted file");
    git(&["config", "status.showUntrackedFiles", "no"]);
    assert_eq!(
        kept(&repo, &id),
        "1 uncommitted file",
        "whatever the user's git shows"
    );
    std::fs::remove_file(there.join("new")).expect("it was there");

    git(&["update-index", "--skip-worktree", "a"]);
    std::fs::write(there.join("a"), "overlooked").expect("a file");
    assert_eq!(kept(&repo, &id), "1 file that git is told to overlook");
    std::fs::write(there.join("a"), "one\n").expect("a file");
    git(&["update-index", "--no-skip-worktree", "a"]);

    git(&["init", "--quiet", "vendor/deep/own"]);
    assert!(kept(&repo, &id).starts_with("a repository of its own in "));
    std::fs::remove_dir_all(there.join("vendor")).expect("it was there");

    repo.git([
        "worktree",
        "lock",
        "--reason",
        "on a stick",
        &there.display().to_string(),
    ]);
    assert_eq!(kept(&repo, &id), "locked (on a stick)");
    assert_eq!(standing(&repo, &id).0, "locked");
    repo.git(["worktree", "unlock", &there.display().to_string()]);

    git(&["commit", "--quiet", "--allow-empty", "-m", "unpushed"]);
    assert_eq!(kept(&repo, &id), "1 commit nowhere else");
    let remote = home.path().join("remote.git");
    repo.git(["init", "--quiet", "--bare", &remote.display().to_string()]);
    repo.git(["remote", "add", "origin", &remote.display().to_string()]);
    git(&["push", "--quiet", "origin", "HEAD:refs/heads/review"]);
    let before = git(&["rev-parse", "HEAD"]);
    git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", "amended"]);
    git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/review"]);
    assert_eq!(
        kept(&repo, &id),
        "1 commit amended or reset away, in its log only (wezterm-parallel worktree clean --rewritten 1 lets go of them)"
    );
    assert_ne!(git(&["rev-parse", "HEAD"]), before);
    is_removed(&repo, &["--rewritten"], &id);
}

#[test]
fn a_detached_head_and_a_rebase_hold_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("git switch -q --detach; git commit -q --allow-empty -m loose; exit 1");
    let there = repo.worktree(&id);
    assert_eq!(kept(&repo, &id), "1 commit nowhere else");
    insta::assert_snapshot!(repo.said(["worktree", "merge", &id]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: the worktree is on no branch, not on wezterm-parallel/1
    hint: bring its work there: `git -C 'PLACE/1' switch -C wezterm-parallel/1`
    ");
    repo.git_in(&there, ["switch", "--quiet", "-C", "wezterm-parallel/1"]);
    // Another task's branch at the same commit is no reason to let go of either.
    repo.git(["branch", "wezterm-parallel/other", "wezterm-parallel/1"]);
    assert_eq!(kept(&repo, &id), "1 commit nowhere else");
    repo.git(["tag", "safe", "wezterm-parallel/1"]);
    repo.write("a", "ours\n");
    repo.git(["commit", "--quiet", "-am", "ours"]);
    std::fs::write(there.join("a"), "theirs\n").expect("a file");
    repo.git_in(&there, ["commit", "--quiet", "-am", "theirs"]);
    let rebase = home
        .command_of("git", ["rebase", "main"])
        .current_dir(&there)
        .output();
    assert!(!rebase.expect("git starts").status.success(), "it conflicts");
    assert!(kept(&repo, &id).contains("in the middle of a rebase"));
    assert!(
        repo.said(["worktree", "merge", &id])
            .contains("error: the worktree is"),
        "nor is it merged"
    );
    repo.git_in(&there, ["rebase", "--abort"]);
    assert!(kept(&repo, &id).contains("1 commit nowhere else"));
}

#[test]
fn a_merge_that_conflicts_leaves_both_sides_untouched() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("echo theirs > a; echo 2 > sub/b; git commit -qam theirs");
    repo.write("a", "ours\n");
    repo.git(["commit", "--quiet", "-am", "ours"]);
    repo.write("untracked", "mine\n");
    let there = repo.worktree(&id);
    let before = (repo.everything(&repo.path), repo.everything(&there));
    insta::assert_snapshot!(repo.said(["worktree", "merge", &id]), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: wezterm-parallel/1 and main conflict in 1 file: neither was changed
      a
    hint: merge the other way first, and resolve it there: `git -C 'PLACE/1' merge main`
    ");
    repo.git(["branch", "elsewhere"]);
    repo.git(["branch", "-D", "elsewhere"]);
    assert!(before == (repo.everything(&repo.path), repo.everything(&there)));
    // Resolved as the hint says.
    let merge = home
        .command_of("git", ["merge", "main"])
        .current_dir(&there)
        .output();
    assert!(!merge.expect("git starts").status.success());
    std::fs::write(there.join("a"), "both\n").expect("a file");
    repo.git_in(&there, ["commit", "--quiet", "-am", "resolved"]);
    repo.ok(["worktree", "merge", &id]);
    assert_eq!(
        std::fs::read_to_string(repo.path.join("a")).expect("a file"),
        "both\n"
    );
    assert_eq!(
        std::fs::read_to_string(repo.path.join("untracked")).expect("a file"),
        "mine\n"
    );
}

#[test]
fn a_target_that_is_not_fit_is_left_alone() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("echo x > x; git add x; git commit -qm x; echo more >> a; git commit -qam more");
    repo.write("a", "changed\n");
    let before = repo.everything(&repo.path);
    insta::assert_snapshot!(repo.said(["worktree", "merge", &id]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: ~/repo, where main is checked out, has uncommitted changes
    hint: commit or stash them, then merge 1
    ");
    assert!(before == repo.everything(&repo.path));
    repo.git(["checkout", "--quiet", "a"]);
    // A file that git does not know is in the way.
    repo.write("x", "mine\n");
    let before = repo.everything(&repo.path);
    let said = repo.said(["worktree", "merge", &id]);
    assert!(
        said.contains("would be overwritten by merge") && said.contains("main is as it was"),
        "{said}"
    );
    assert!(before == repo.everything(&repo.path));
    std::fs::remove_file(repo.path.join("x")).expect("it was there");
    // A hook that refuses the commit.
    repo.write("sub/b", "ours\n");
    repo.git(["commit", "--quiet", "-am", "ours"]);
    let hook = repo.path.join(".git/hooks/pre-merge-commit");
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("a folder");
    std::fs::write(&hook, "#!/bin/sh\necho no merges on sundays >&2; exit 1\n").expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it runs");
    let (files, head) = (
        std::fs::read(repo.path.join("a")).expect("a file"),
        repo.commit("HEAD"),
    );
    let said = repo.said(["worktree", "merge", &id]);
    assert!(
        said.contains("no merges on sundays") && said.contains("main is as it was"),
        "{said}"
    );
    assert_eq!(head, repo.commit("HEAD"));
    assert_eq!(files, std::fs::read(repo.path.join("a")).expect("a file"));
    assert_eq!(
        repo.git(["status", "--porcelain"]),
        "",
        "no merge is left half done"
    );
    std::fs::remove_file(hook).expect("it was there");
    // A branch that is checked out nowhere, and one that is not there.
    repo.git(["branch", "release"]);
    let head = repo.commit("HEAD");
    repo.ok(["worktree", "merge", "--keep", "--into", "release", &id]);
    assert_eq!(head, repo.commit("HEAD"), "what is checked out is not touched");
    assert_eq!(repo.git(["show", "release:x"]), "x");
    assert_eq!(repo.git(["show", "release:sub/b"]), "ours");
    assert!(repo
        .said(["worktree", "merge", "--into", "nope", &id])
        .contains("error: there is no branch 'nope'"));
    assert!(repo
        .said(["worktree", "merge", "--into", "release", &id])
        .contains("release has all commits of task 1 already"));
}

#[test]
fn a_running_task_keeps_its_worktree() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.ok([
        "queue",
        "--worktree",
        "git commit -q --allow-empty -m x; touch go; while [ -f go ]; do sleep 0.01; done",
    ]);
    let go = wait_for("the worker", || {
        let go = repo.place()?.join(&id).join("go");
        go.exists().then_some(go)
    });
    assert_eq!(kept(&repo, &id), "its task is running");
    assert!(repo
        .said(["worktree", "merge", &id])
        .contains("error: task 1 is at work in its worktree"));
    // Without a word from the daemon the lock says the same.
    let listed = repo.ok(["worktree", "list"]);
    assert!(listed.contains("dirty, in use"), "{listed}");
    std::fs::remove_file(go).expect("it was there");
    home.wait_idle();
    assert_eq!(kept(&repo, &id), "1 commit nowhere else");
}

#[test]
fn attempts_of_a_task_share_one_and_tasks_do_not() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.ok([
        "queue",
        "--worktree",
        "--retries",
        "1",
        "--id",
        "x.lock",
        "pwd; ls kept 2>/dev/null && exit 0; touch kept; exit 1",
    ]);
    home.wait_state(&id, &["delayed"]);
    repo.ok(["edit", &id, "--delay", "0s"]);
    home.wait_idle();
    assert_eq!(home.output(&id, 2), format!("{}kept\n", home.output(&id, 1)));
    assert!(
        home.output(&id, 1).trim().ends_with("/x%2Elock"),
        "git takes no such branch"
    );
    let other = repo.task("ls kept; exit 1");
    assert!(!home.output(&other, 1).contains("kept\n"));
    // Removed in between, it is made anew at the same place, where sessions are looked for.
    repo.write("a", "newer\n");
    repo.git(["commit", "--quiet", "-am", "newer"]);
    is_removed(&repo, &[], &other);
    repo.ok(["retry", &other]);
    home.wait_idle();
    assert_eq!(
        std::fs::read_to_string(repo.worktree(&other).join("a")).expect("a file"),
        "newer\n"
    );
    // Its folder deleted by hand, its branch not: the branch is what it goes on with.
    let there = repo.worktree(&other);
    repo.git_in(&there, ["commit", "--quiet", "--allow-empty", "-m", "mine"]);
    let tip = repo.commit("wezterm-parallel/2");
    std::fs::remove_dir_all(&there).expect("it was there");
    assert_eq!(standing(&repo, &other), ("missing".to_owned(), 1, 0));
    repo.ok(["retry", &other]);
    home.wait_idle();
    assert_eq!(repo.git_in(&there, ["rev-parse", "HEAD"]), tip);
}

#[test]
fn a_new_journal_begins_with_old_ids_and_new_worktrees() {
    let home = Home::new();
    let repo = Repo::new(&home);
    {
        let daemon = home.daemon();
        repo.task("git commit -q --allow-empty -m old");
        daemon.kill();
    }
    let tip = repo.commit("wezterm-parallel/1");
    std::fs::remove_dir_all(home.data().join("journal")).expect("a journal");
    std::fs::remove_dir_all(home.data().join("tasks")).expect("tasks");
    let _daemon = home.daemon();
    let id = repo.task("pwd; git commit -q --allow-empty -m new");
    assert_eq!(id, "1");
    assert!(home.output(&id, 1).trim().ends_with("/1-2"));
    assert_eq!(repo.commit("wezterm-parallel/1"), tip);
    assert_ne!(repo.commit("wezterm-parallel/1-2"), tip);
    // The newer one is meant.
    repo.ok(["worktree", "merge", &id]);
    assert_eq!(repo.git(["log", "-1", "--format=%s"]), "new");
    assert_eq!(repo.commit("wezterm-parallel/1"), tip);
}

#[test]
fn it_begins_where_it_is_told_and_in_the_same_folder() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    repo.git(["tag", "v1"]);
    repo.write("a", "two\n");
    repo.git(["commit", "--quiet", "-am", "second"]);
    let sub = repo.path.join("sub");
    let mut queue = home.command([
        "queue",
        "--wait",
        "--worktree-base",
        "v1",
        "pwd; cat ../a; exit 1",
    ]);
    queue.current_dir(&sub).output().expect("it starts");
    assert_eq!(
        home.output("1", 1),
        format!("{}/sub\none\n", repo.worktree("1").display())
    );
    // A folder that was not committed is in no worktree.
    std::fs::create_dir(repo.path.join("fresh")).expect("a folder");
    let mut queue = home.command(["queue", "--wait", "--worktree", "true"]);
    queue
        .current_dir(repo.path.join("fresh"))
        .output()
        .expect("it starts");
    let message = home.task("2").attempts[0].message.clone().expect("a reason");
    assert!(
        message.starts_with("there is no folder fresh in the worktree "),
        "{message}"
    );
    assert_eq!(home.task("2").reason.as_deref(), Some("spawn_error"));
    let output = repo.run(["queue", "--worktree", "--worktree-base=-x", "true"]);
    assert!(shown(&output).contains("error: `worktree_base` names no commit: \"-x\""));
    let output = repo.run(["queue", "--wait", "--worktree-base", "v9", "true"]);
    assert_eq!(output.status.code(), Some(1));
    let message = home.task("3").attempts[0].message.clone().expect("a reason");
    assert!(message.starts_with("there is no commit 'v9' in "), "{message}");
}

#[test]
fn workspaces_and_templates_ask_for_them() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    repo.ok(["workspace", "create", "api", "--worktree"]);
    let pwd = |arguments: &[&str]| {
        let id = repo.ok(["queue", "--wait"]
            .iter()
            .chain(arguments)
            .chain(&["pwd; exit 0"])
            .copied());
        home.output(&id, 1).trim().to_owned()
    };
    assert_eq!(pwd(&[]), repo.worktree("1").display().to_string());
    assert_eq!(pwd(&["--no-worktree"]), repo.path.display().to_string());
    repo.ok(["workspace", "edit", "api", "--no-worktree"]);
    assert_eq!(pwd(&[]), repo.path.display().to_string());
    assert_eq!(pwd(&["--worktree"]), repo.worktree("4").display().to_string());
    repo.ok(["workspace", "edit", "api", "--unset", "worktree"]);
    assert!(!repo.ok(["workspace", "show", "api"]).contains("worktree"));
    let templates = home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&templates).expect("a folder");
    let template =
        "worktree = true\n[[tasks]]\ncommand = \"pwd\"\n[[tasks]]\ncommand = \"pwd\"\nworktree = false\n";
    std::fs::write(templates.join("own.toml"), template).expect("a template");
    let ids = repo.ok(["workspace", "create", "own", "--template", "own", "--folder", "."]);
    home.wait_idle();
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(
        home.output(ids[0], 1).trim(),
        repo.worktree(ids[0]).display().to_string()
    );
    assert_eq!(home.output(ids[1], 1).trim(), repo.path.display().to_string());
}

#[test]
fn a_worktree_of_its_own_is_not_led_astray() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    // As a hook of another repository would call it.
    let other = home.path().join("other");
    repo.git(["init", "--quiet", &other.display().to_string()]);
    let mut queue = home.command([
        "queue",
        "--wait",
        "--worktree",
        "git commit -q --allow-empty -m x; env | grep GIT_",
    ]);
    let queue = queue
        .current_dir(&repo.path)
        .env("GIT_DIR", other.join(".git"))
        .env("GIT_INDEX_FILE", other.join(".git/index"))
        .env("GIT_WORK_TREE", &other);
    queue.output().expect("it starts");
    assert_eq!(home.output("1", 1), "");
    assert_eq!(repo.git(["log", "-1", "--format=%s", "wezterm-parallel/1"]), "x");
    assert!(!Path::new(&other).join(".git/worktrees").exists());
}

#[test]
fn the_users_hook_is_run_and_cannot_prevent_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let hook = repo.path.join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("a folder");
    std::fs::write(
        &hook,
        "#!/bin/sh\necho set up > set-up.log\necho hook failed >&2\nexit 3\n",
    )
    .expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it runs");
    let id = repo.task("cat set-up.log; exit 1");
    let output = home.output(&id, 1);
    assert!(
        output.ends_with("set up\n") && output.contains("hook failed"),
        "{output}"
    );
}
