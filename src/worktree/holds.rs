//! What keeps a worktree from being removed. Whatever is not found elsewhere holds it, and whatever cannot be told does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::WorktreeError;
use super::git::Git;
use super::place::is_taken;
use super::record::Record;
use super::repository::{admin_dir, Entry};
use super::BRANCHES;

/// So many commits are asked about at once: they are arguments of a command.
const COMMITS_AT_ONCE: usize = 2_000;

/// A reason to keep a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A process works in it, or on it.
    Busy,
    /// Its task may run again.
    Unfinished(String),
    /// Somebody has locked it, with a reason, which may be empty.
    Locked(String),
    /// git is in the middle of something there.
    Operation(&'static str),
    /// Files that are changed or new, and not ignored.
    Uncommitted(usize),
    /// Files whose changes git was told not to look at.
    Hidden(usize),
    /// Commits that no other branch, tag or remote has.
    Unmerged(usize),
    /// Commits that were amended, rebased or reset away, and that only its log still knows.
    Rewritten(usize),
    /// A repository of its own among its ignored files.
    Nested(PathBuf),
    /// git would not remove it, or it cannot be told what is in it.
    Git(String),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: &usize, what: &str| {
            let plural = if *n == 1 { "" } else { "s" };
            format!("{n} {what}{plural}")
        };
        match self {
            Self::Busy => f.write_str("in use"),
            Self::Unfinished(state) => write!(f, "its task is {state}"),
            Self::Locked(reason) => write!(f, "locked{}", super::create::because(reason)),
            Self::Operation(what) => write!(f, "in the middle of a {what}"),
            Self::Uncommitted(files) => f.write_str(&count(files, "uncommitted file")),
            Self::Hidden(files) => write!(f, "{} that git is told to overlook", count(files, "file")),
            Self::Unmerged(commits) => write!(f, "{} nowhere else", count(commits, "commit")),
            Self::Rewritten(commits) => {
                write!(
                    f,
                    "{} amended or reset away, in its log only",
                    count(commits, "commit")
                )
            }
            Self::Nested(path) => write!(f, "a repository of its own in {}", path.display()),
            Self::Git(said) => f.write_str(said.lines().next().unwrap_or_default()),
        }
    }
}

/// What is uncommitted in a worktree, and where its HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) head: Option<String>,
    /// Without `refs/heads/`; `None` if HEAD is detached.
    pub(super) branch: Option<String>,
    pub(super) uncommitted: usize,
}

/// Asks git for it.
pub(super) fn status(path: &Path) -> Result<Status, WorktreeError> {
    let text = Git::within(path).alone().run(&[
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=none",
    ])?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Status {
    let mut status = Status::default();
    let mut pieces = text.split('\0');
    while let Some(piece) = pieces.next() {
        let (word, rest) = piece.split_once(' ').unwrap_or((piece, ""));
        match (word, rest.split_once(' ')) {
            ("#", Some(("branch.oid", oid))) if oid != "(initial)" => status.head = Some(oid.to_owned()),
            ("#", Some(("branch.head", name))) if name != "(detached)" => {
                status.branch = Some(name.to_owned());
            }
            ("1" | "u" | "?", _) => status.uncommitted += 1,
            ("2", _) => {
                status.uncommitted += 1;
                // Where it was before.
                pieces.next();
            }
            _ => {}
        }
    }
    status
}

/// How many commits can be reached from these and from nothing else that stays: branches other than those of tasks, tags,
/// remotes, and what is checked out where the task was queued. Branches of tasks do not count, since each of two that
/// hold the same work would be removed for the other's sake; `with_own` counts all.
pub(super) fn unmerged(record: &Record, from: &[&str], with_own: bool) -> Result<usize, WorktreeError> {
    let git = Git::of(&record.repository).alone();
    let mut found = 0;
    let source = Git::at(&record.source).alone();
    let source = super::repository::commit(&source, "HEAD").ok().flatten();
    let exclude = format!("--exclude={BRANCHES}*");
    for chunk in from.chunks(COMMITS_AT_ONCE) {
        let mut arguments = vec!["rev-list", "--count"];
        arguments.extend(chunk);
        arguments.push("--not");
        if !with_own {
            arguments.push(&exclude);
        }
        arguments.extend(["--branches", "--tags", "--remotes"]);
        arguments.extend(source.as_deref());
        arguments.push("--");
        let text = git.line(&arguments)?;
        found += text.parse::<usize>().map_err(|_| WorktreeError::Git {
            command: "rev-list --count".to_owned(),
            said: text,
        })?;
    }
    Ok(found)
}

/// All that holds a worktree that is there; nobody is at work in it. `head` and `tip` are where it and its branch are.
pub(super) fn holds(record: &Record, entry: &Entry, tip: Option<&str>) -> Result<Vec<Hold>, WorktreeError> {
    let mut holds = Vec::new();
    holds.extend(entry.locked.clone().map(Hold::Locked));
    let mut head = entry.head.clone();
    let is_there = record.path.join(".git").exists();
    if !is_there && is_taken(&record.path) {
        holds.push(Hold::Git("its .git file is missing".to_owned()));
    }
    if is_there {
        let status = status(&record.path)?;
        head = status.head;
        if status.uncommitted > 0 {
            holds.push(Hold::Uncommitted(status.uncommitted));
        }
    }
    let admin = admin_dir(&record.repository, &record.path);
    if let Some(admin) = &admin {
        holds.extend(operation(admin).map(Hold::Operation));
    }
    let ends: Vec<&str> = head.as_deref().into_iter().chain(tip).collect();
    let commits = unmerged(record, &ends, false)?;
    if commits > 0 {
        holds.push(Hold::Unmerged(commits));
    }
    let rewritten = rewritten(record, admin.as_deref(), &ends)?;
    if rewritten > 0 {
        holds.push(Hold::Rewritten(rewritten));
    }
    if is_there {
        let hidden = hidden(&record.path)?;
        if hidden > 0 {
            holds.push(Hold::Hidden(hidden));
        }
        holds.extend(nested(&record.path)?.map(Hold::Nested));
    }
    Ok(holds)
}

/// What git is in the middle of.
pub(super) fn operation(admin: &Path) -> Option<&'static str> {
    const MARKS: [(&str, &str); 7] = [
        ("MERGE_HEAD", "merge"),
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
        ("sequencer", "cherry-pick"),
    ];
    let found = MARKS.iter().find(|(file, _)| admin.join(file).exists());
    found.map(|(_, what)| *what)
}

/// How many commits only the logs of the worktree and of its branch still know. They go with it.
pub(super) fn rewritten(
    record: &Record,
    admin: Option<&Path>,
    ends: &[&str],
) -> Result<usize, WorktreeError> {
    let branch = format!("refs/heads/{}", record.branch);
    let mut logged = BTreeSet::new();
    let mut read = |git: Git, name: &str| -> Result<(), WorktreeError> {
        let output = git.output(&["reflog", "show", "--format=%H", name, "--"])?;
        // A log that is not kept knows nothing.
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            logged.extend(text.lines().map(str::to_owned));
        }
        Ok(())
    };
    if let Some(admin) = admin {
        read(Git::of(admin).alone(), "HEAD")?;
    }
    read(Git::of(&record.repository).alone(), &branch)?;
    let own = unmerged(record, ends, false)?;
    let logged: Vec<&str> = logged.iter().map(String::as_str).collect();
    if logged.is_empty() {
        return Ok(0);
    }
    let mut all = logged;
    all.extend(ends);
    Ok(unmerged(record, &all, false)?.saturating_sub(own))
}

/// Files that git does not look at, and that are there.
fn hidden(path: &Path) -> Result<usize, WorktreeError> {
    let text = Git::within(path).alone().run(&["ls-files", "-v", "-z"])?;
    let marked = text.split('\0').filter_map(|piece| piece.split_once(' '));
    let marked = marked.filter(|(tag, _)| *tag == "S" || tag.starts_with(|c: char| c.is_ascii_lowercase()));
    Ok(marked
        .filter(|(_, file)| path.join(file).symlink_metadata().is_ok())
        .count())
}

/// A repository of its own among the ignored files: its commits would go with them.
fn nested(path: &Path) -> Result<Option<PathBuf>, WorktreeError> {
    let arguments = [
        "ls-files",
        "--others",
        "--ignored",
        "--exclude-standard",
        "--directory",
        "-z",
    ];
    let text = Git::within(path).alone().run(&arguments)?;
    let mut folders: Vec<PathBuf> = text
        .split('\0')
        .filter(|name| name.ends_with('/'))
        .map(|name| path.join(name))
        .collect();
    while let Some(folder) = folders.pop() {
        if folder.join(".git").symlink_metadata().is_ok() {
            return Ok(Some(folder));
        }
        let entries = std::fs::read_dir(&folder).map_err(|error| WorktreeError::file(&folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| WorktreeError::file(&folder, error))?;
            // Links lead to files that stay.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_status_is_read() {
        let text = "# branch.oid aa1\0# branch.head wezterm-parallel/1\0\
                    1 .M N... 100644 100644 100644 a b one two\0\
                    2 R. N... 100644 100644 100644 a b R100 new\0? old\0? untracked\0u UU N... conflict\0";
        let status = parse(text);
        assert_eq!(status.head.as_deref(), Some("aa1"));
        assert_eq!(status.branch.as_deref(), Some("wezterm-parallel/1"));
        assert_eq!(
            status.uncommitted, 4,
            "what stands behind a rename is its old name"
        );
        let status = parse("# branch.oid (initial)\0# branch.head (detached)\0");
        assert_eq!((status.head, status.branch), (None, None));
    }
}
