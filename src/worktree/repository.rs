//! The repository that a folder belongs to, and what git knows of its worktrees.

use std::path::{Path, PathBuf};

use super::error::WorktreeError;
use super::git::{needs, said, Git, OLDEST};

/// A repository, seen from one of its working folders.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// Where its commits are: the same for all of its worktrees.
    pub(super) common_dir: PathBuf,
    /// The top of the working folder that it was found from.
    pub(super) top: PathBuf,
    /// Where below it the search began; may be empty.
    pub(super) prefix: PathBuf,
}

impl Repository {
    /// That of a folder.
    pub(super) fn find(folder: &Path) -> Result<Self, WorktreeError> {
        let question = [
            "rev-parse",
            "--path-format=absolute",
            "--is-inside-work-tree",
            "--git-common-dir",
            "--show-prefix",
            "--show-toplevel",
        ];
        let output = Git::at(folder).output(&question)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.split('\n');
        if text.starts_with("--path-format") {
            // An old git gives back what it does not know.
            needs(OLDEST, "a worktree")?;
            lines.next();
        }
        match lines.next() {
            Some("true") if output.status.success() => {}
            Some("false") => return Err(WorktreeError::Bare(folder.to_owned())),
            _ => {
                return Err(WorktreeError::NoRepository {
                    folder: folder.to_owned(),
                    said: said(&output),
                })
            }
        }
        let mut next = || lines.next().unwrap_or_default();
        let (common_dir, prefix, top) = (next(), next(), next());
        let real =
            |path: &Path| std::fs::canonicalize(path).map_err(|error| WorktreeError::file(path, error));
        Ok(Self {
            common_dir: real(Path::new(common_dir))?,
            top: real(Path::new(top))?,
            prefix: PathBuf::from(prefix.trim_end_matches('/')),
        })
    }

    /// A name for it, for people.
    pub(super) fn name(&self) -> String {
        let own = self.common_dir.file_name().unwrap_or_default();
        let folder = match own.to_str() {
            Some(".git") => self.common_dir.parent().and_then(Path::file_name),
            _ => Some(own),
        };
        let name = folder.unwrap_or_default().to_string_lossy();
        name.strip_suffix(".git").unwrap_or(&name).to_owned()
    }
}

/// A worktree as git lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// The commit it is at; `None` before its first.
    pub(super) head: Option<String>,
    /// The full name of its branch; `None` if its HEAD is detached.
    pub(super) branch: Option<String>,
    /// Locked, with the reason, which may be empty.
    pub(super) locked: Option<String>,
}

/// All worktrees of a repository.
pub(super) fn entries(common_dir: &Path) -> Result<Vec<Entry>, WorktreeError> {
    let text = Git::of(common_dir)
        .alone()
        .run(&["worktree", "list", "--porcelain"])?;
    Ok(parse(&text))
}

/// The one at this path. git tells paths behind all links, as the place of worktrees is told here.
pub(super) fn entry_at<'e>(entries: &'e [Entry], path: &Path) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.path == path)
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "worktree" {
            entries.push(Entry {
                path: rest.into(),
                ..Entry::default()
            });
            continue;
        }
        let Some(entry) = entries.last_mut() else { continue };
        match word {
            "HEAD" if rest.bytes().any(|byte| byte != b'0') => entry.head = Some(rest.to_owned()),
            "branch" => entry.branch = Some(rest.to_owned()),
            "locked" => entry.locked = Some(rest.to_owned()),
            _ => {}
        }
    }
    entries
}

/// The folder in the repository where git keeps what belongs to one worktree.
pub(super) fn admin_dir(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let link = path.join(".git");
    let all = std::fs::read_dir(common_dir.join("worktrees")).ok()?;
    let mut folders = all.filter_map(|entry| Some(entry.ok()?.path()));
    folders.find(|folder| {
        let text = std::fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
        let told = folder.join(text.trim_end());
        told == link
            || told
                .parent()
                .is_some_and(|parent| std::fs::canonicalize(parent).is_ok_and(|parent| parent == path))
    })
}

/// Whether there is such a branch: its commit.
pub(super) fn branch_tip(common_dir: &Path, branch: &str) -> Result<Option<String>, WorktreeError> {
    commit(&Git::of(common_dir).alone(), &format!("refs/heads/{branch}"))
}

/// What git calls a commit.
pub(super) fn commit(git: &Git, name: &str) -> Result<Option<String>, WorktreeError> {
    let wanted = format!("{name}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", wanted.as_str()];
    let output = git.output(&arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_list_is_read() {
        let text = "worktree /r\nHEAD aa1\nbranch refs/heads/main\n\n\
                    worktree /w/1 2\nHEAD bb2\ndetached\nlocked\n\n\
                    worktree /w/3\nHEAD 0000\nbranch refs/heads/x\nlocked on a stick\nprunable gone\n\n";
        let entries = parse(text);
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].branch.as_deref(), Some("refs/heads/main"));
        assert_eq!(entries[1].path, Path::new("/w/1 2"));
        assert_eq!(
            (&entries[1].branch, entries[1].locked.as_deref()),
            (&None, Some(""))
        );
        assert_eq!(entries[2].head, None);
        assert_eq!(entries[2].locked.as_deref(), Some("on a stick"));
    }
}
