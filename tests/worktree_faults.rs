//! What worktrees cannot be made of, and with: each a clear error, and nothing lost.

mod support;
mod worktree_support;

use std::path::Path;
use std::process::Command;

use support::{shown, Home};
use worktree_support::{real_git, Repo};

/// `queue` in a folder: what it said.
fn queued_in(home: &Home, folder: &Path, arguments: &[&str]) -> String {
    let words = ["queue", "--wait", "--worktree"].iter().chain(arguments);
    let mut command = home.command(words);
    let said = shown(&command.current_dir(folder).output().expect("it starts"));
    let real = home
        .path()
        .canonicalize()
        .expect("its place")
        .display()
        .to_string();
    said.replace(&real, "~")
}

/// Why the last attempt of a task never began.
fn reason(home: &Home, id: &str) -> String {
    let task = home.task(id);
    assert_eq!(task.reason.as_deref(), Some("spawn_error"));
    let message = task.attempts.last().and_then(|last| last.message.clone());
    let real = home
        .path()
        .canonicalize()
        .expect("its place")
        .display()
        .to_string();
    message.expect("a message").replace(&real, "~")
}

/// A PATH with a git of its own, or none.
fn path_with(repo: &Repo<'_>, git: Option<&str>) -> String {
    let folder = repo.home.path().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["sh", "true", "touch"] {
        let place = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .output();
        let place = String::from_utf8(place.expect("it starts").stdout).expect("UTF-8");
        let place = Path::new(place.trim());
        if place.is_absolute() {
            let _ = std::os::unix::fs::symlink(place, folder.join(name));
        }
    }
    if let Some(script) = git {
        repo.program("git", script);
    }
    folder.display().to_string()
}

#[test]
fn folders_that_are_in_no_repository() {
    let home = Home::new();
    let _daemon = home.daemon();
    insta::assert_snapshot!(queued_in(&home, home.path(), &["true"]), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: '~' is in no git repository, so there can be no worktree of it
    hint: queue it from a folder of a repository, or without a worktree: `--no-worktree`
    ");
    assert!(home.tasks().is_empty());
}

#[test]
fn a_repository_without_a_commit_and_one_that_is_bare() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let (empty, bare) = (home.path().join("empty"), home.path().join("bare.git"));
    repo.git(["init", "--quiet", &empty.display().to_string()]);
    queued_in(&home, &empty, &["true"]);
    insta::assert_snapshot!(
        reason(&home, "1"),
        @"there is no commit 'HEAD' in ~/empty (a worktree begins at a commit: make the first one, then retry the task)"
    );
    repo.git(["clone", "--quiet", "--bare", ".", &bare.display().to_string()]);
    queued_in(&home, &bare, &["true"]);
    insta::assert_snapshot!(
        reason(&home, "2"),
        @"~/bare.git is no working folder of a repository, but the inside of one (queue it from a worktree of that repository, or with --no-worktree)"
    );
    queued_in(&home, &repo.path.join(".git"), &["true"]);
    assert!(reason(&home, "3").starts_with("~/repo/.git is no working folder of a repository"));
    // A worktree of the bare one will do.
    let own = home.path().join("own");
    repo.git_in(&bare, ["worktree", "add", "--quiet", &own.display().to_string()]);
    let said = queued_in(&home, &own, &["git commit -q --allow-empty -m x"]);
    assert!(said.contains("task 4: 1 commit in its worktree"), "{said}");
    let merged = shown(&home.run(["worktree", "merge", "4"]));
    assert!(
        merged.contains("merged 1 commit of task 4 into own\n"),
        "{merged}"
    );
    assert_eq!(repo.git_in(&own, ["log", "-1", "--format=%s"]), "x");
}

#[test]
fn a_submodule_is_a_repository_and_holds_the_worktree_of_one_around_it() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let library = home.path().join("library");
    repo.git(["clone", "--quiet", ".", &library.display().to_string()]);
    repo.git([
        "submodule",
        "--quiet",
        "add",
        &library.display().to_string(),
        "lib",
    ]);
    repo.git(["commit", "--quiet", "-m", "with a submodule"]);
    // In the submodule: its own worktree, its own branch.
    let inside = repo.path.join("lib");
    queued_in(&home, &inside, &["pwd; echo more >> a; git commit -qam more"]);
    assert!(
        home.output("1", 1).contains("/worktrees/lib-"),
        "{}",
        home.output("1", 1)
    );
    let merged = shown(&home.run(["worktree", "merge", "1"]));
    assert!(
        merged.contains("merged 1 commit of task 1 into main\nremoved the worktree of task 1\n"),
        "{merged}"
    );
    assert_eq!(repo.git_in(&inside, ["log", "-1", "--format=%s"]), "more");
    assert!(!repo.has_branch("wezterm-parallel/1"));
    // Around it: the submodule's folder is empty there at first, and nothing in it can be lost.
    queued_in(&home, &repo.path, &["ls lib; exit 1"]);
    assert_eq!(home.output("2", 1), "");
    let cleaned = shown(&home.run(["worktree", "clean", "2"]));
    assert!(cleaned.contains("removed the worktree of task 2\n"), "{cleaned}");
    // Once it is there, git does not remove the worktree, and neither does this.
    queued_in(
        &home,
        &repo.path,
        &["git submodule --quiet update --init; ls lib; exit 1"],
    );
    assert_eq!(home.output("3", 1), "a\nsub\n");
    let cleaned = shown(&home.run(["worktree", "clean", "3"]));
    assert!(
        cleaned.contains(
            "kept the worktree of task 3: working trees containing submodules cannot be moved or removed"
        ),
        "{cleaned}"
    );
    let listed = repo.ok(["worktree", "list"]);
    assert!(listed.contains("clean"), "it is as it was: {listed}");
}

#[test]
fn no_git_when_it_is_queued_and_when_it_starts() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let path = path_with(&repo, None);
    let queue = |arguments: &[&str]| {
        let mut command = home.command(["queue", "--worktree"].iter().chain(arguments));
        let output = command.current_dir(&repo.path).env("PATH", &path).output();
        shown(&output.expect("it starts"))
    };
    assert!(queue(&["true"]).contains("error: there is no program 'git' (tried "));
    path_with(&repo, Some("#!/bin/sh\nexit 1\n"));
    assert!(queue(&["--hold", "true"]).contains("exit status: 0"));
    std::fs::remove_file(home.path().join("bin/git")).expect("it was there");
    repo.ok(["release", "1"]);
    home.wait_idle();
    assert_eq!(
        reason(&home, "1"),
        "there is no program 'git' in PATH (install git, or queue the task with --no-worktree)"
    );
    let output = home.command(["worktree", "list"]).env("PATH", &path).output();
    assert!(shown(&output.expect("it starts")).contains("there are no worktrees"));
}

#[test]
fn an_old_git_is_named() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let old = |version: &str| {
        let git = real_git();
        let known = "[ \"$1\" = version ] && echo \"git version $V\" && exit\n\
                     case \"$*\" in *'worktree add'*|*merge-tree*) echo 'usage: git' >&2; exit 129;; esac\n";
        let script = format!("#!/bin/sh\nV={version}\n{known}exec '{}' \"$@\"\n", git.display());
        let path = std::env::var("PATH").expect("a PATH");
        format!("{}:{path}", repo.program("git", &script).display())
    };
    let mut queue = home.command(["queue", "--wait", "--worktree", "true"]);
    queue
        .current_dir(&repo.path)
        .env("PATH", old("2.7.4"))
        .output()
        .expect("it starts");
    assert_eq!(
        reason(&home, "1"),
        "git 2.7.4 is too old: a worktree needs 2.31 or newer"
    );
    // The next attempt, with a git that can, begins as if nothing had been.
    let id = repo.task("git commit -q --allow-empty -m x");
    let before = repo.everything(&repo.path);
    let mut merge = home.command(["worktree", "merge", &id]);
    let merged = merge.env("PATH", old("2.34.1")).output();
    insta::assert_snapshot!(shown(&merged.expect("it starts")), @r"
    exit status: 4
    --- stdout
    --- stderr
    error: git 2.34.1 is too old: `worktree merge` needs 2.38 or newer
    ");
    assert!(before == repo.everything(&repo.path));
    let cleaned = shown(&repo.run(["worktree", "clean", "1"]));
    assert!(cleaned.contains("removed the worktree of task 1\n"), "{cleaned}");
}

#[test]
fn a_folder_that_is_in_the_way_and_a_record_that_is_damaged() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.task("exit 1");
    let there = repo.worktree(&id);
    // What git no longer knows is not touched.
    std::fs::write(there.join("work"), "mine").expect("a file");
    std::fs::remove_dir_all(repo.path.join(".git/worktrees")).expect("it was there");
    repo.ok(["retry", &id]);
    home.wait_idle();
    let why = reason(&home, &id);
    assert!(why.contains("is damaged: git does not know it any more"), "{why}");
    let cleaned = shown(&repo.run(["worktree", "clean", &id]));
    assert!(
        cleaned.contains("kept the worktree of task 1: git does not know it as a worktree any more"),
        "{cleaned}"
    );
    assert_eq!(
        std::fs::read_to_string(there.join("work")).expect("a file"),
        "mine"
    );
    // A name that is taken, by a folder or a branch, is not taken over.
    std::fs::create_dir(repo.worktree("2")).expect("a folder");
    std::fs::write(repo.worktree("2").join("theirs"), "").expect("a file");
    repo.git(["branch", "wezterm-parallel/2-2"]);
    let id = repo.task("pwd; exit 1");
    assert!(home.output(&id, 1).trim().ends_with("/2-3"));
    std::fs::write(repo.worktree(".records/2-3.json"), "{\"version\":").expect("a file");
    let listed = shown(&repo.run(["worktree", "list"]));
    assert!(listed.contains("2-3.json cannot be used: EOF"), "{listed}");
    assert!(repo.worktree("2-3").exists());
}
