//! A repository of its own in a test's home, and worktrees as the program and git tell of them.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{shown, wait_for, Home};

/// A repository with one commit on `main`: files `a` and `sub/b`, and `*.log` ignored.
pub struct Repo<'h> {
    pub home: &'h Home,
    pub path: PathBuf,
}

impl<'h> Repo<'h> {
    pub fn new(home: &'h Home) -> Self {
        let config = "[user]\nname = me\nemail = me@example.org\n[init]\ndefaultBranch = main\n\
                      [commit]\ngpgSign = false\n[protocol \"file\"]\nallow = always\n[gc]\nauto = 0\n\
                      [advice]\ndetachedHead = false\n";
        std::fs::write(home.path().join(".gitconfig"), config).expect("git's config");
        let path = home.path().canonicalize().expect("its place").join("repo");
        std::fs::create_dir_all(path.join("sub")).expect("a folder");
        let repo = Self { home, path };
        repo.git(["init", "--quiet"]);
        repo.write("a", "one\n");
        repo.write("sub/b", "two\n");
        repo.write(".gitignore", "*.log\nvendor/\n");
        repo.git(["add", "."]);
        repo.git(["commit", "--quiet", "-m", "first"]);
        repo
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).expect("a file");
    }

    /// git in the repository, which must succeed.
    pub fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        self.git_in(&self.path, arguments)
    }

    pub fn git_in<'a>(&self, folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.home.command_of("git", arguments);
        let output = { output }.current_dir(folder).output().expect("git starts");
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .trim_end()
            .to_owned()
    }

    /// The commit that a name stands for.
    pub fn commit(&self, name: &str) -> String {
        self.git(["rev-parse", name])
    }

    /// Whether there is such a branch.
    pub fn has_branch(&self, branch: &str) -> bool {
        !self.git(["branch", "--list", branch]).is_empty()
    }

    /// The program, called in the repository.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.home.command(arguments);
        command.current_dir(&self.path).output().expect("it starts")
    }

    /// The same; it must succeed: its stdout.
    pub fn ok<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .trim_end()
            .to_owned()
    }

    /// What it says, with changing parts left out.
    pub fn said<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let text = shown(&self.run(arguments));
        let place = self.place().map(|place| place.display().to_string());
        let text = place.map_or(text.clone(), |place| text.replace(&place, "PLACE"));
        let home = self.home.path().canonicalize().expect("its place");
        text.replace(&home.display().to_string(), "~")
    }

    /// Runs a task in a worktree to its end: its id.
    pub fn task(&self, command: &str) -> String {
        let id = self.ok(["queue", "--worktree", command]);
        self.home.wait_idle();
        id
    }

    /// The folder of this repository's worktrees, once there is one.
    pub fn place(&self) -> Option<PathBuf> {
        let folder = self.home.data().canonicalize().ok()?.join("worktrees");
        let mut all = std::fs::read_dir(folder)
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        all.find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("repo-"))
        })
    }

    /// A task's worktree, whether it is there or not.
    pub fn worktree(&self, id: &str) -> PathBuf {
        self.place().expect("a place for worktrees").join(id)
    }

    /// Waits until a worktree that nothing holds has been removed after its task.
    pub fn wait_removed(&self, id: &str) {
        let record = self.worktree(&format!(".records/{id}.json"));
        wait_for("the worktree to be removed", || (!record.exists()).then_some(()));
        assert!(!self.worktree(id).exists());
        assert!(!self.has_branch(&format!("wezterm-parallel/{id}")));
    }

    /// All commits that a branch, a tag, a remote or the HEAD of a worktree keeps.
    pub fn reachable(&self) -> BTreeSet<String> {
        let text = self.git(["rev-list", "--all"]);
        text.lines().map(str::to_owned).collect()
    }

    /// Every file of a working folder, the index and all branches: what must not change.
    pub fn everything(&self, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() && path.file_name() != Some(".git".as_ref()) {
                    folders.push(path);
                } else if path.is_file() {
                    all.insert(path.clone(), std::fs::read(path).expect("a file"));
                }
            }
        }
        let index = self.git_in(
            folder,
            ["rev-parse", "--path-format=absolute", "--git-path", "index"],
        );
        all.insert("index".into(), std::fs::read(index).expect("an index"));
        all.insert(
            "HEAD".into(),
            self.git_in(folder, ["symbolic-ref", "HEAD"]).into_bytes(),
        );
        all.insert("refs".into(), self.git(["for-each-ref"]).into_bytes());
        all
    }

    /// A program of this name in a folder of its own: the folder.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let folder = self.home.path().join("bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        std::fs::write(&path, script).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
        folder
    }
}

/// Where the real git is.
pub fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join("git"));
    folders.find(|git| git.is_file()).expect("git is installed")
}
