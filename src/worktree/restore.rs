//! Puts back the files that a killed removal has deleted, so that git can tell whether anything else is there.
//!
//! It overwrites nothing: whoever wrote there since shows as uncommitted. And it can be killed itself: a file comes
//! whole, under its name, or not at all.

use std::io;
use std::path::Path;

use super::error::WorktreeError;
use super::git::Git;
use super::place::Spot;
use super::record::Record;
use super::repository::admin_dir;

/// Restores a worktree, for who holds its lock alone.
pub(super) fn restore(record: &Record, spot: &Spot) -> Result<(), WorktreeError> {
    let Some(admin) = admin_dir(&record.repository, &record.path) else {
        return Ok(());
    };
    let scratch = spot.scratch("restored");
    let done = clear(&scratch)
        .and_then(|()| std::fs::create_dir(&scratch))
        .and_then(|()| restore_link(&record.path, &admin, &scratch));
    done.map_err(|error| WorktreeError::file(&scratch, error))?;
    let git = Git::within(&record.path).alone();
    let deleted = git.run(&["ls-files", "--deleted", "-z"])?;
    let mut prefix = std::ffi::OsString::from("--prefix=");
    prefix.push(&scratch);
    prefix.push("/");
    git.feed(
        &[
            "checkout-index".as_ref(),
            "-z".as_ref(),
            "--stdin".as_ref(),
            prefix.as_os_str(),
        ],
        deleted.as_bytes(),
    )?;
    for name in deleted.split('\0').filter(|name| !name.is_empty()) {
        let place = record.path.join(name);
        put(&scratch.join(name), &place).map_err(|error| WorktreeError::file(&place, error))?;
    }
    clear(&scratch).map_err(|error| WorktreeError::file(&scratch, error))
}

/// Where git keeps what belongs to this worktree, as its `.git` file says.
fn restore_link(worktree: &Path, admin: &Path, scratch: &Path) -> io::Result<()> {
    let new = scratch.join(".git");
    std::fs::write(&new, format!("gitdir: {}\n", admin.display()))?;
    put(&new, &worktree.join(".git"))?;
    std::fs::remove_file(new)
}

/// Gives a file its place, unless there is something already.
fn put(new: &Path, place: &Path) -> io::Result<()> {
    if new.is_dir() && !new.is_symlink() {
        // A submodule, which is an empty folder here.
        return std::fs::create_dir_all(place);
    }
    let folder = place.parent().unwrap_or(place);
    match std::fs::create_dir_all(folder).and_then(|()| std::fs::hard_link(new, place)) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn clear(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
