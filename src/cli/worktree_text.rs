//! Worktrees for people to read, and what their end says about them.

use std::path::Path;

use serde::Serialize;

use super::text::{self, Cell, Table};
use crate::protocol::TaskView;
use crate::worktree::{self, Cleaned, Hold, Look, Record, Standing, WorktreeError};

/// A worktree, and how it stands if that could be told.
pub(crate) type Looked = (Record, Result<Look, WorktreeError>);

#[derive(Serialize)]
struct Listed<'a> {
    task: &'a str,
    repository: String,
    source: String,
    path: String,
    branch: &'a str,
    base: &'a str,
    #[serde(flatten)]
    look: Option<&'a Look>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// All of them for programs.
pub(crate) fn json(all: &[Looked]) -> impl Serialize + '_ {
    let listed = |(record, look): &'_ Looked| -> serde_json::Value {
        let listed = Listed {
            task: &record.task,
            repository: record.repository.display().to_string(),
            source: record.source.display().to_string(),
            path: record.path.display().to_string(),
            branch: &record.branch,
            base: &record.base,
            look: look.as_ref().ok(),
            error: look.as_ref().err().map(ToString::to_string),
        };
        serde_json::to_value(listed).unwrap_or_default()
    };
    all.iter().map(listed).collect::<Vec<_>>()
}

/// All of them, one a line.
pub(crate) fn table(all: &[Looked], width: Option<usize>) -> String {
    let mut table = Table::new(&["TASK", "STATE", "HOLDS", "CHANGES", "BRANCH", "PATH"], &[]);
    for (record, look) in all {
        let (state, holds, changes) = match look {
            Ok(look) => (state(look), or_dash(look.contents()), or_dash(size(look))),
            Err(_) => ("unknown".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        table.row(vec![
            Cell::plain(&record.task),
            Cell::plain(state),
            Cell::plain(holds),
            Cell::plain(changes),
            Cell::plain(&record.branch),
            Cell::plain(text::visible(&record.path.display().to_string())),
        ]);
    }
    table.render(width)
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "–".to_owned()
    } else {
        text
    }
}

fn state(look: &Look) -> String {
    let mut state = look.state.name().to_owned();
    if let Some(what) = look.operation {
        state = format!("{state}, {what}");
    }
    if look.in_use {
        state.push_str(", in use");
    }
    state
}

/// How much was changed since it began.
fn size(look: &Look) -> String {
    if look.files == 0 {
        return String::new();
    }
    let files = if look.files == 1 { "file" } else { "files" };
    format!("{} {files} +{} −{}", look.files, look.insertions, look.deletions)
}

/// What became of one.
pub(crate) fn cleaned(record: &Record, cleaned: &Cleaned) -> String {
    let task = &record.task;
    match cleaned {
        Cleaned::Removed { branch_stays: false } => format!("removed the worktree of task {task}"),
        Cleaned::Removed { branch_stays: true } => format!(
            "removed the worktree of task {task}; its branch {} is checked out elsewhere and stays",
            record.branch
        ),
        Cleaned::Kept(holds) => {
            let reasons: Vec<String> = holds
                .iter()
                .map(|hold| text::visible(&hold.to_string()))
                .collect();
            // Nothing but what the worker itself has replaced: whoever knows that can let it go.
            let next = match holds.as_slice() {
                [Hold::Rewritten(_)] => {
                    format!(" (wezterm-parallel worktree clean --rewritten {task} lets go of them)")
                }
                _ => String::new(),
            };
            format!("kept the worktree of task {task}: {}{next}", reasons.join(", "))
        }
    }
}

/// The worktree of the task's last attempt that had one.
fn record(task: &TaskView) -> Option<Record> {
    task.worktree.as_ref()?;
    let mut attempts = task.attempts.iter().rev();
    attempts.find_map(|attempt| worktree::read_pointer(Path::new(&attempt.folder)))
}

/// Adds where the worktree is, which the attempt has left in its folder.
pub(crate) fn fill_in(task: &mut TaskView) {
    let Some(record) = record(task) else { return };
    if let Some(worktree) = &mut task.worktree {
        worktree.path = Some(record.path.display().to_string());
        worktree.branch = Some(record.branch);
        worktree.folder = record.folder.map(|folder| folder.display().to_string());
    }
}

/// Path and branch, as `show` has them.
pub(crate) fn facts(task: &TaskView) -> Vec<(&'static str, String)> {
    let Some(worktree) = &task.worktree else {
        return Vec::new();
    };
    let owner = worktree.task.as_ref().map(|id| format!(" (of task {id})"));
    let path = match &worktree.path {
        Some(path) if !Path::new(path).exists() => format!("{path}, removed"),
        Some(path) => path.clone(),
        None if task.attempts.is_empty() => "made when it starts".to_owned(),
        None => "not made yet".to_owned(),
    };
    let path = ("worktree", format!("{path}{}", owner.unwrap_or_default()));
    let branch = worktree.branch.clone().map(|branch| ("branch", branch));
    std::iter::once(path).chain(branch).collect()
}

/// Path and branch, as `explain` has them; empty if there is no worktree.
pub(crate) fn sentence(task: &TaskView) -> String {
    let Some(worktree) = &task.worktree else {
        return String::new();
    };
    match (&worktree.path, &worktree.branch) {
        (Some(path), Some(branch)) => {
            let (path, branch) = (text::visible(path), text::visible(branch));
            format!("Its git worktree is {path}, on branch {branch}.\n")
        }
        _ => "It gets a git worktree when it starts.\n".to_owned(),
    }
}

/// Path and branch in a line, as a viewer has them; `None` if there is no worktree, or not yet.
pub(crate) fn line(task: &TaskView) -> Option<String> {
    let record = record(task)?;
    let path = text::visible(&record.path.display().to_string());
    Some(format!(
        "worktree {path} · branch {}",
        text::visible(&record.branch)
    ))
}

/// What a task has left behind, for the line of its end; `None` if that is nothing, or cannot be told.
pub(crate) fn left_behind(task: &TaskView) -> Option<String> {
    let record = record(task)?;
    let look = worktree::look(&record).ok()?;
    let contents = look.contents();
    if contents.is_empty() {
        return None;
    }
    let owner = &record.task;
    let next = if look.state == Standing::Dirty && look.commits == 0 {
        format!("wezterm-parallel worktree diff {owner}")
    } else {
        format!("wezterm-parallel worktree merge {owner}")
    };
    Some(format!("task {}: {contents} in its worktree ({next})", task.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let text = r#"{"version":1,"task":"12","queued_at_ms":1,"repository":"/r/.git","source":"/r","path":"/w/12",
            "branch":"wezterm-parallel/12","base":"abc","stage":"ready"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn look() -> Look {
        Look {
            state: Standing::Dirty,
            in_use: true,
            commits: 2,
            uncommitted: 1,
            operation: Some("rebase"),
            locked: None,
            files: 3,
            insertions: 10,
            deletions: 4,
        }
    }

    #[test]
    fn a_table_says_what_is_in_them() {
        let shown = table(&[(record(), Ok(look()))], None);
        insta::assert_snapshot!(anstream::adapter::strip_str(&shown), @r"
        TASK  STATE                  HOLDS                          CHANGES         BRANCH               PATH
        12    dirty, rebase, in use  2 commits, 1 uncommitted file  3 files +10 −4  wezterm-parallel/12  /w/12
        ");
    }

    #[test]
    fn programs_get_all_of_it() {
        let listed = serde_json::to_value(json(&[(record(), Ok(look()))])).unwrap();
        let expected = serde_json::json!([{
            "task": "12", "repository": "/r/.git", "source": "/r", "path": "/w/12", "branch": "wezterm-parallel/12",
            "base": "abc", "state": "dirty", "in_use": true, "commits": 2, "uncommitted": 1, "operation": "rebase",
            "files": 3, "insertions": 10, "deletions": 4,
        }]);
        assert_eq!(listed, expected);
    }

    #[test]
    fn all_reasons_read_well() {
        let holds = vec![
            Hold::Busy,
            Hold::Unfinished("queued".into()),
            Hold::Locked("on a stick".into()),
            Hold::Locked(String::new()),
            Hold::Operation("merge"),
            Hold::Uncommitted(2),
            Hold::Hidden(1),
            Hold::Unmerged(1),
            Hold::Rewritten(3),
            Hold::Nested("/w/12/vendor/x".into()),
            Hold::Git("working trees containing submodules cannot be moved or removed".into()),
        ];
        let kept = cleaned(&record(), &Cleaned::Kept(holds)).replace(", ", "\n");
        insta::assert_snapshot!(kept, @r"
        kept the worktree of task 12: in use
        its task is queued
        locked (on a stick)
        locked
        in the middle of a merge
        2 uncommitted files
        1 file that git is told to overlook
        1 commit nowhere else
        3 commits amended or reset away
        in its log only
        a repository of its own in /w/12/vendor/x
        working trees containing submodules cannot be moved or removed
        ");
    }
}
