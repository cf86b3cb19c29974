//! SIGKILL in every step of making, removing and merging a worktree: before and after each of git's commands, in the
//! middle of a checkout, and in the middle of a removal. The next try ends well, and no commit is ever lost.

mod support;
mod worktree_support;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{shown, Home, PROGRAM};
use wezterm_parallel::entrance::{Orders, ENTRANCE_ARGUMENT};
use wezterm_parallel::worktree::Order;
use worktree_support::{real_git, Repo};

/// More commands than any step has.
const CALLS_MAX: u32 = 60;

/// A git that kills whoever called it, at a call that the test chooses.
fn killing_git(repo: &Repo<'_>) -> PathBuf {
    let script = format!(
        "#!/bin/sh\n\
         n=$(($(cat \"$KILL_COUNT\" 2>/dev/null || echo 0) + 1))\n\
         echo $n > \"$KILL_COUNT\"\n\
         [ \"$n $KILL_WHEN\" = \"$KILL_AT before\" ] && kill -9 $PPID && exit 137\n\
         '{}' \"$@\"\n\
         code=$?\n\
         [ \"$n $KILL_WHEN\" = \"$KILL_AT after\" ] && kill -9 $PPID\n\
         exit $code\n",
        real_git().display()
    );
    repo.program("git", &script)
}

/// Runs a command with that git: how it ended, and after how many calls.
fn killed(repo: &Repo<'_>, mut command: Command, at: u32, when: &str) -> (Output, u32) {
    let count = repo.home.path().join("count");
    let _ = std::fs::remove_file(&count);
    let path = std::env::var("PATH").expect("a PATH");
    let folder = killing_git(repo);
    command
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("KILL_COUNT", &count)
        .env("KILL_AT", at.to_string())
        .env("KILL_WHEN", when);
    let output = command.output().expect("it starts");
    let count = std::fs::read_to_string(count).unwrap_or_default();
    (output, count.trim().parse().unwrap_or(0))
}

/// The process that makes a worktree and becomes a worker there, without a daemon.
fn entrance(repo: &Repo<'_>, task: &str, worker: &str) -> Command {
    let data = repo.home.data();
    std::fs::create_dir_all(&data).expect("a folder");
    let order = Order {
        worktrees: data.join("worktrees"),
        task: task.to_owned(),
        queued_at_ms: 7,
        folder: repo.path.clone(),
        base: None,
    };
    let orders = Orders {
        worktree: Some(order),
        ..Orders::default()
    };
    let orders = serde_json::to_string(&orders).expect("JSON");
    let mut command = repo
        .home
        .command_of(PROGRAM, [ENTRANCE_ARGUMENT, &orders, "sh", "-c", worker]);
    // It may kill its whole group.
    command.current_dir(&repo.path).process_group(0);
    command
}

fn works(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn lost(before: &BTreeSet<String>, repo: &Repo<'_>) -> Vec<String> {
    before.difference(&repo.reachable()).cloned().collect()
}

/// Kills at each call in turn. `check` looks at what is left; `begin` makes what the next one needs.
fn at_each_call(
    repo: &Repo<'_>,
    mut begin: impl FnMut(u32) -> Command,
    mut check: impl FnMut(u32, &str),
) -> u32 {
    let mut kills = 0;
    for when in ["before", "after"] {
        for at in 1..=CALLS_MAX {
            let n = kills + 1;
            let (output, calls) = killed(repo, begin(n), at, when);
            let what = format!("killed {when} call {at}");
            if calls < at {
                assert!(output.status.success(), "{what}: {}", shown(&output));
                check(n, &what);
                kills += 1;
                break;
            }
            assert!(!output.status.success(), "{what}: {}", shown(&output));
            check(n, &what);
            kills += 1;
            assert!(at < CALLS_MAX, "it makes no end of calls");
        }
    }
    kills
}

const WORK: &str = "pwd; git rev-parse --abbrev-ref HEAD; git commit -q --allow-empty -m work";

#[test]
fn making_one_survives_a_kill_at_each_step() {
    let home = Home::new();
    let repo = Repo::new(&home);
    let kills = at_each_call(
        &repo,
        |n| entrance(&repo, &n.to_string(), WORK),
        |n, what| {
            let before = repo.reachable();
            let said = works(entrance(&repo, &n.to_string(), WORK));
            let expected = format!(
                "{}\nwezterm-parallel/{n}",
                repo.worktree(&n.to_string()).display()
            );
            assert_eq!(said, expected, "{what}");
            assert_eq!(lost(&before, &repo), [""; 0], "{what}");
            let there = repo.worktree(&n.to_string());
            assert_eq!(repo.git_in(&there, ["status", "--porcelain"]), "", "{what}");
            assert_eq!(
                repo.git_in(&there, ["log", "-1", "--format=%s"]),
                "work",
                "{what}"
            );
        },
    );
    assert!(kills >= 8, "{kills} kills");
    assert!(!repo.worktree(".aside").exists(), "nothing was left half made");
    assert_eq!(repo.git(["fsck", "--connectivity-only", "--no-dangling"]), "");
}

/// A repository whose checkout kills everything at its second file, as often as there is a file that says so.
fn deadly_checkout<'h>(home: &'h Home) -> Repo<'h> {
    let repo = Repo::new(home);
    repo.write(".gitattributes", "sub/* filter=deadly\n");
    repo.git(["add", "."]);
    repo.git(["commit", "--quiet", "-m", "with a filter"]);
    let flag = home.path().join("deadly");
    let smudge = format!(
        "[ ! -e '{0}' ] || {{ rm '{0}'; kill -9 0; }}; cat",
        flag.display()
    );
    repo.git(["config", "filter.deadly.smudge", &smudge]);
    repo.git(["config", "filter.deadly.clean", "cat"]);
    std::fs::write(flag, "").expect("a file");
    repo
}

#[test]
fn a_checkout_that_is_cut_off_is_made_anew() {
    let home = Home::new();
    let repo = deadly_checkout(&home);
    let output = entrance(&repo, "1", WORK).output().expect("it starts");
    assert!(!output.status.success());
    let there = repo.worktree("1");
    assert!(
        there.join("a").exists() && !there.join("sub/b").exists(),
        "half made"
    );
    assert!(repo
        .git(["worktree", "list", "--porcelain"])
        .contains("locked initializing"));
    let listed = repo.ok(["worktree", "list"]);
    assert!(listed.contains("half-created"), "{listed}");
    // Somebody found it, and wrote into it.
    std::fs::write(there.join("notes"), "mine").expect("a file");
    works(entrance(&repo, "1", WORK));
    assert!(there.join("sub/b").exists());
    let aside = std::fs::read_dir(repo.worktree(".aside"))
        .expect("a folder")
        .flatten();
    let aside: Vec<PathBuf> = aside.map(|entry| entry.path()).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(
        std::fs::read_to_string(aside[0].join("notes")).expect("it is kept"),
        "mine"
    );
    let listed = shown(&repo.run(["worktree", "list"]));
    assert!(
        listed.contains("a worktree that was never completed lies in "),
        "{listed}"
    );
    assert_eq!(repo.git(["fsck", "--connectivity-only", "--no-dangling"]), "");
}

#[test]
fn a_checkout_that_is_cut_off_is_cleaned() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = deadly_checkout(&home);
    let before = repo.reachable();
    assert!(!entrance(&repo, "1", WORK)
        .output()
        .expect("it starts")
        .status
        .success());
    let output = repo.run(["worktree", "clean"]);
    assert!(
        shown(&output).contains("removed the worktree of task 1"),
        "{}",
        shown(&output)
    );
    assert!(!repo.worktree("1").exists() && !repo.has_branch("wezterm-parallel/1"));
    assert_eq!(
        repo.git(["worktree", "list", "--porcelain"])
            .matches("worktree ")
            .count(),
        1
    );
    assert_eq!(lost(&before, &repo), [""; 0]);
}

/// A worktree whose commit is merged.
fn merged(repo: &Repo<'_>, n: u32) -> PathBuf {
    let id = n.to_string();
    works(entrance(
        repo,
        &id,
        &format!("echo {n} > f{n}; git add .; git commit -q -m {n}; echo > x.log"),
    ));
    repo.git(["merge", "--quiet", "--no-edit", &format!("wezterm-parallel/{n}")]);
    repo.worktree(&id)
}

fn clean(repo: &Repo<'_>, n: u32) -> Command {
    let mut command = repo.home.command(["worktree", "clean", &n.to_string()]);
    command.current_dir(&repo.path);
    command
}

#[test]
fn removing_one_survives_a_kill_at_each_step() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let mut before = BTreeSet::new();
    let kills = at_each_call(
        &repo,
        |n| {
            merged(&repo, n);
            before = repo.reachable();
            clean(&repo, n)
        },
        |n, what| {
            let id = n.to_string();
            if repo.worktree(&format!(".records/{id}.json")).exists() {
                let output = clean(&repo, n).output().expect("it starts");
                let text = shown(&output);
                assert!(
                    text.contains(&format!("removed the worktree of task {n}\n")),
                    "{what}: {text}"
                );
            }
            assert!(!repo.worktree(&id).exists(), "{what}");
            assert!(!repo.has_branch(&format!("wezterm-parallel/{n}")), "{what}");
        },
    );
    assert!(kills >= 16, "{kills} kills");
    assert_eq!(lost(&before, &repo), [""; 0]);
    assert_eq!(
        repo.git(["worktree", "list", "--porcelain"])
            .matches("worktree ")
            .count(),
        1
    );
    assert_eq!(repo.git(["status", "--porcelain"]), "");
}

#[test]
fn a_start_after_a_killed_removal_ends_well_at_each_step() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    at_each_call(
        &repo,
        |n| {
            merged(&repo, n);
            clean(&repo, n)
        },
        |n, what| {
            let before = repo.reachable();
            let said = works(entrance(&repo, &n.to_string(), WORK));
            assert!(said.ends_with(&format!("wezterm-parallel/{n}")), "{what}: {said}");
            let there = repo.worktree(&n.to_string());
            assert_eq!(repo.git_in(&there, ["status", "--porcelain"]), "", "{what}");
            assert!(there.join(format!("f{n}")).exists(), "{what}");
            assert_eq!(lost(&before, &repo), [""; 0], "{what}");
        },
    );
}

/// What a removal leaves that was killed while it deleted files.
fn half_removed(repo: &Repo<'_>, there: &Path) {
    let id = there.file_name().expect("a name").to_string_lossy().into_owned();
    let record = repo.worktree(&format!(".records/{id}.json"));
    let text = std::fs::read_to_string(&record).expect("a record");
    std::fs::write(&record, text.replace("\"ready\"", "\"removing\"")).expect("a record");
    std::fs::remove_dir_all(there.join("sub")).expect("it was there");
    std::fs::remove_file(there.join(".git")).expect("it was there");
}

#[test]
fn files_that_a_killed_removal_has_deleted_are_no_work() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    half_removed(&repo, &merged(&repo, 1));
    assert!(repo.ok(["worktree", "list"]).contains("half-removed"));
    let output = shown(&clean(&repo, 1).output().expect("it starts"));
    assert!(output.contains("removed the worktree of task 1\n"), "{output}");
    assert!(!repo.worktree("1").exists() && !repo.has_branch("wezterm-parallel/1"));
    // Somebody has written there since: that holds it, and the rest is put back.
    let there = merged(&repo, 2);
    half_removed(&repo, &there);
    std::fs::write(there.join("f2"), "edited").expect("a file");
    let output = shown(&clean(&repo, 2).output().expect("it starts"));
    assert!(
        output.contains("kept the worktree of task 2: 1 uncommitted file\n"),
        "{output}"
    );
    assert_eq!(
        std::fs::read_to_string(there.join("f2")).expect("a file"),
        "edited"
    );
    assert_eq!(repo.git_in(&there, ["status", "--porcelain"]), " M f2");
    // And a start makes a new one of what is only half there.
    let there = merged(&repo, 3);
    half_removed(&repo, &there);
    works(entrance(&repo, "3", WORK));
    assert_eq!(repo.git_in(&there, ["status", "--porcelain"]), "");
    assert!(!there.join("x.log").exists(), "nothing is left of the old one");
}

#[test]
fn merging_survives_a_kill_at_each_step() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    repo.git(["branch", "release"]);
    for into in ["main", "release"] {
        let offset = if into == "main" { 0 } else { 1_000 };
        let merge = |n: u32| {
            let mut command = home.command(["worktree", "merge", "--into", into, &(n + offset).to_string()]);
            command.current_dir(&repo.path);
            command
        };
        at_each_call(
            &repo,
            |n| {
                let n = n + offset;
                let work = format!("echo {n} > m{n}; git add .; git commit -q -m {n}");
                works(entrance(&repo, &n.to_string(), &work));
                // Both sides have gone on: no fast forward.
                repo.write(&format!("own{n}"), "");
                repo.git(["add", "."]);
                repo.git(["commit", "--quiet", "-m", "own"]);
                merge(n - offset)
            },
            |n, what| {
                let id = (n + offset).to_string();
                let before = repo.reachable();
                assert_eq!(repo.git(["status", "--porcelain"]), "", "{what}");
                if repo.worktree(&format!(".records/{id}.json")).exists() {
                    let output = merge(n).output().expect("it starts");
                    assert!(output.status.success(), "{what}: {}", shown(&output));
                }
                assert_eq!(repo.git(["show", &format!("{into}:m{id}")]), id, "{what}");
                assert_eq!(lost(&before, &repo), [""; 0], "{what}");
                assert!(!repo.worktree(&id).exists(), "{what}");
            },
        );
    }
    assert_eq!(repo.git(["fsck", "--connectivity-only", "--no-dangling"]), "");
}

#[test]
fn a_daemon_that_is_killed_takes_no_worktree_with_it() {
    let home = Home::new();
    let daemon = home.daemon();
    let repo = Repo::new(&home);
    let id = repo.ok([
        "queue",
        "--worktree",
        "git commit -q --allow-empty -m x; touch go; while [ -f go ]; do sleep 0.01; done",
    ]);
    let go = support::wait_for("the worker", || {
        let go = repo.place()?.join(&id).join("go");
        go.exists().then_some(go)
    });
    let before = repo.reachable();
    daemon.kill();
    let _next = home.daemon();
    std::fs::remove_file(go).expect("it was there");
    home.wait_idle();
    assert_eq!(home.task(&id).state, "succeeded");
    assert_eq!(lost(&before, &repo), [""; 0]);
    let output = shown(&repo.run(["worktree", "merge", &id]));
    assert!(
        output.contains("merged 1 commit of task 1 into main\n"),
        "{output}"
    );
}

#[test]
fn many_at_once_do_not_get_into_each_others_way() {
    let home = Home::new();
    let repo = Repo::new(&home);
    let begun: Vec<_> = (1..=16)
        .map(|n: u32| {
            let mut command = entrance(&repo, &n.to_string(), WORK);
            let piped = command
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            piped.spawn().expect("it starts")
        })
        .collect();
    for (n, child) in (1..).zip(begun) {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", shown(&output));
        assert_eq!(
            repo.git(["log", "-1", "--format=%s", &format!("wezterm-parallel/{n}")]),
            "work"
        );
    }
}

#[test]
fn two_workers_share_one_and_neither_takes_it_from_the_other() {
    let home = Home::new();
    let _daemon = home.daemon();
    let repo = Repo::new(&home);
    let waiting = "touch $0; while [ -e $0 ]; do sleep 0.01; done";
    let mut children = Vec::new();
    for name in ["one.log", "two.log"] {
        let mut command = entrance(&repo, "1", &waiting.replace("$0", name));
        children.push((command.spawn().expect("it starts"), name));
        let path = || {
            repo.place()
                .map(|place| place.join("1").join(name))
                .filter(|path| path.exists())
        };
        support::wait_for("the worker", path);
    }
    for (mut child, name) in children {
        let output = shown(&clean(&repo, 1).output().expect("it starts"));
        assert!(
            output.contains("kept the worktree of task 1: in use\n"),
            "{output}"
        );
        std::fs::remove_file(repo.worktree("1").join(name)).expect("it was there");
        assert!(child.wait().expect("it ends").success());
    }
    let output = shown(&clean(&repo, 1).output().expect("it starts"));
    assert!(output.contains("removed the worktree of task 1\n"), "{output}");
}
