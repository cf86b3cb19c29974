//! What a git worktree needs of its repository, which is elsewhere: without it nothing could be committed there.

use std::fs;
use std::path::{Path, PathBuf};

/// What `git commit` writes in the repository's folder. Not `hooks` and `config`: what stands there is run later, by
/// somebody outside of the sandbox.
const WRITTEN: [&str; 3] = ["objects", "refs", "logs"];
/// A `.git` file is one line with a path.
const POINTER_BYTES_MAX: u64 = 8192;

/// The folders outside of a worktree that belong to it; nothing for any other folder.
pub(super) fn shared_folders(cwd: &Path) -> Vec<PathBuf> {
    let pointer = cwd.ancestors().map(|folder| folder.join(".git"));
    let Some(pointer) = pointer.into_iter().find(|path| path.exists()) else {
        return Vec::new();
    };
    let Some(own) = target(&pointer, "gitdir:") else {
        return Vec::new();
    };
    let Some(common) = target(&own.join("commondir"), "") else {
        return Vec::new();
    };
    // A pointer can be written by whoever made the folder: only a worktree that its repository knows of counts.
    let back = target(&own.join("gitdir"), "");
    let is_mutual = back.and_then(|back| back.canonicalize().ok()) == pointer.canonicalize().ok();
    if !is_mutual || own.parent() != Some(common.join("worktrees").as_path()) {
        return Vec::new();
    }
    // Neither may they be links to what is no part of the repository.
    let written = WRITTEN
        .iter()
        .filter_map(|name| common.join(name).canonicalize().ok());
    let written = written.filter(|path| path.starts_with(&common));
    written.chain([own]).collect()
}

/// The path that a file of git's holds, whole and without links.
fn target(file: &Path, prefix: &str) -> Option<PathBuf> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > POINTER_BYTES_MAX {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let path = text.trim_end().strip_prefix(prefix)?.trim_start();
    file.parent()?.join(path).canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_is_found_and_a_forged_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (main, tree) = (home.join("main/.git"), home.join("tree"));
        let own = main.join("worktrees/tree");
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(home.join("secret")).unwrap();
        fs::create_dir_all(main.join("objects")).unwrap();
        fs::create_dir_all(main.join("refs")).unwrap();
        std::os::unix::fs::symlink(home.join("secret"), main.join("logs")).unwrap();
        fs::create_dir_all(tree.join("deep")).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        fs::write(own.join("gitdir"), format!("{}\n", tree.join(".git").display())).unwrap();
        let expected = [main.join("objects"), main.join("refs"), own.clone()];
        assert_eq!(shared_folders(&tree.join("deep")), expected);

        let forged = home.join("forged");
        fs::create_dir_all(&forged).unwrap();
        fs::write(forged.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert!(shared_folders(&forged).is_empty());
        assert!(shared_folders(&home.join("main")).is_empty());
    }
}
