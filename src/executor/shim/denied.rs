//! What a sandboxed command was denied, as far as the end of its output tells.
//!
//! The kernel tells nobody which access it refused. Programs do, in words like `sh: cannot create /x: Permission
//! denied`. What the shim itself, which is in no sandbox, could not do either was not the sandbox's doing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::Access;

use super::sandbox::{covers, is_readable};
use crate::executor::folder::AttemptFolder;
use crate::executor::{Launch, SandboxPlan};
use crate::protocol::{Denial, SandboxReport};

/// How much of the end of the output is looked at.
const TAIL_BYTES: u64 = 64 << 10;
/// A path is named so near to what is said of it.
const AROUND_BYTES: usize = 400;
/// More are of no use to whoever reads them.
const DENIALS_MAX: usize = 5;
/// More complaints than these are not looked into: a worker writes what it likes, and each costs system calls.
const COMPLAINTS_MAX: usize = 64;
/// Nor more words around one of them.
const PATHS_MAX: usize = 8;
/// What programs say: of a refused access, and of a rename between folders with different rights.
const WORDS: [&str; 7] = [
    "Permission denied",
    "permission denied",
    "EACCES",
    "Operation not permitted",
    "EPERM",
    "Read-only file system",
    "EXDEV",
];

/// Completes the report of an attempt that has ended; `cwd` is where its command was.
pub(super) fn look(launch: &Launch, cwd: &Path, attempt: &AttemptFolder, report: &mut SandboxReport) {
    let Some(plan) = &launch.room.sandbox else {
        return;
    };
    if report.words.starts_with("none") {
        return;
    }
    for name in ["stderr", "output"] {
        let text = tail(&attempt.file(name));
        for (before, after) in text.lines().rev().flat_map(complaints).take(COMPLAINTS_MAX) {
            // What is named nearest to the complaint is what it is about: `/bin/sh: line 1: /x: Permission denied`.
            let before = paths_in(before, launch, cwd);
            let before = before.into_iter().rev().take(PATHS_MAX);
            let after = paths_in(after, launch, cwd).into_iter().take(PATHS_MAX);
            let found = before
                .chain(after)
                .find_map(|path| denial(&path, plan, attempt, report));
            match found {
                Some(denial) if report.denied.len() < DENIALS_MAX => {
                    if !report.denied.contains(&denial) {
                        report.denied.push(denial);
                    }
                }
                Some(_) => {}
                None => report.denied_unnamed |= plan.connect_tcp.is_some() || plan.bind_tcp.is_some(),
            }
        }
    }
}

/// The places in a line that complain, each with what stands around it. A line may be a long one of JSON.
fn complaints(line: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for word in WORDS {
        for (at, _) in line.match_indices(word) {
            let start = (at.saturating_sub(AROUND_BYTES)..=at).find(|start| line.is_char_boundary(*start));
            let end = (at + AROUND_BYTES).min(line.len());
            let end = (at..=end).rev().find(|end| line.is_char_boundary(*end));
            found.push((&line[start.unwrap_or(at)..at], &line[at..end.unwrap_or(at)]));
        }
    }
    found
}

fn tail(path: &Path) -> String {
    let Ok(file) = File::open(path) else {
        return String::new();
    };
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let start = size.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    let read = file.read_at(&mut bytes, start).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// Words of a line that look like paths, as the command meant them.
fn paths_in(line: &str, launch: &Launch, cwd: &Path) -> Vec<PathBuf> {
    let is_border = |character: char| character.is_whitespace() || "\"'`‘’“”:;,()[]<>\\".contains(character);
    let words = line
        .split(is_border)
        .filter(|word| word.contains('/') && !word.contains(char::is_control));
    let paths = words.filter_map(|word| {
        let word = word.trim_end_matches(['.', '!', '?']);
        let path = match word.strip_prefix("~/") {
            Some(below) => Path::new(launch.env.get("HOME")?).join(below),
            None => cwd.join(word),
        };
        Some(plain(&path))
    });
    paths.collect()
}

/// The path without `.` and `..`; it may not exist.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// What would have to be added for this path; `None` if the sandbox was not in its way.
fn denial(
    path: &Path,
    plan: &SandboxPlan,
    attempt: &AttemptFolder,
    report: &SandboxReport,
) -> Option<Denial> {
    // Whoever commits in a worktree tries this one, and goes on without it.
    if path.ends_with(".git/packed-refs.lock") {
        return None;
    }
    // Files of no file system: a shell's way to open connections.
    if path.starts_with("/dev") || path.starts_with("/proc") {
        return None;
    }
    let there = path.ancestors().find(|path| path.exists())?;
    let real = there.canonicalize().ok()?;
    let is_usual = |real: &Path| {
        plan.usual
            .iter()
            .chain(&plan.make)
            .any(|root| real.starts_with(root))
    };
    if covers(&report.writable, &real) || is_usual(&real) || real.starts_with(attempt.path()) {
        return None;
    }
    let of_denial = |to_read| Denial {
        path: path.display().to_string(),
        add: real.display().to_string(),
        to_read,
    };
    // Who may not even read a file was refused that first.
    let to_read = there == path && !is_readable(plan, &real);
    let needed = if to_read {
        Access::READ_OK
    } else {
        Access::WRITE_OK
    };
    rustix::fs::access(&real, needed)
        .is_ok()
        .then(|| of_denial(to_read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_many_programs_are_understood() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (cwd, outside) = (home.join("in"), home.join("out"));
        for folder in [&cwd, &outside, &home.join("1")] {
            std::fs::create_dir(folder).unwrap();
        }
        let shown = outside.display();
        let text = format!(
            "sh: 1: cannot create {shown}/a: Permission denied\n\
             touch: cannot touch '{shown}/b': Permission denied\n\
             {{\"content\":\"Error: EACCES: permission denied, open '../out/c/d'\\n\"}}\n\
             sh: 1: cannot create ./own/file: Permission denied\n\
             /usr/bin/env: line 1: {shown}/e: Permission denied\n\
             bash: /dev/tcp/127.0.0.1/80: Permission denied\n\
             cat: /etc/shadow is fine\n"
        );
        std::fs::write(home.join("1/output"), text).unwrap();
        let mut launch = crate::executor::shim::program::tests::launch("true", None, &cwd);
        launch.room.sandbox = Some(SandboxPlan {
            connect_tcp: Some(Vec::new()),
            ..SandboxPlan::default()
        });
        let mut report = SandboxReport {
            writable: vec![cwd.display().to_string()],
            ..SandboxReport::default()
        };
        look(&launch, &cwd, &AttemptFolder::new(home.join("1")), &mut report);
        let found: Vec<(String, String)> = report
            .denied
            .iter()
            .map(|one| (one.path.clone(), one.add.clone()))
            .collect();
        let add = outside.display().to_string();
        let expected = ["e", "c/d", "b", "a"].map(|name| (format!("{add}/{name}"), add.clone()));
        assert_eq!(found, expected);
        assert!(report.denied_unnamed);
    }
}
