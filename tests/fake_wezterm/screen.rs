//! A home with a WezTerm that only pretends, and what was done with it.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::fs::{flock, FlockOperation};

use crate::support::{shown, Home, PROGRAM};

/// The program that stands in for WezTerm's.
const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_wezterm");

/// A home with a WezTerm: window 0 has tab 0 with panes 0 and 1, and tab 2 with pane 2. Pane 1 has the
/// focus.
pub(super) struct Screen {
    pub(super) home: Home,
    pub(super) server: Option<UnixListener>,
}

/// The file by which a viewer says that it runs.
pub(super) struct Viewer(pub(super) PathBuf);

impl Viewer {
    /// It runs until this is dropped.
    pub(super) fn hold(&self, text: &str) -> File {
        std::fs::create_dir_all(self.0.parent().unwrap()).unwrap();
        std::fs::write(&self.0, text).unwrap();
        let file = File::open(&self.0).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        file
    }
}

impl Screen {
    pub(super) fn new() -> Self {
        let home = Home::with_config("[pool]\nslots = 3\ndefault_worker = \"shell\"\n");
        let runtime = home.path().join("run/wezterm");
        std::fs::create_dir_all(&runtime).unwrap();
        let server = UnixListener::bind(runtime.join("gui-sock-1")).unwrap();
        let screen = Self {
            home,
            server: Some(server),
        };
        std::fs::create_dir(screen.state("")).unwrap();
        screen.write(
            "panes",
            "0 0 0 false default\n0 0 1 true default\n0 2 2 true api\n",
        );
        screen.write("next", "10\n");
        screen.write("focus", "1\n");
        screen
    }

    /// A file of the stand-in.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.home.path().join("fake").join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.state(name), text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.state(name)).unwrap_or_default()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.home.path().join("run/wezterm/gui-sock-1")
    }

    /// The program, called from somewhere outside of WezTerm.
    pub(super) fn outside(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        let path = format!("{FAKE}:{}", std::env::var("PATH").unwrap());
        command.env("PATH", path).env("FAKE_WEZTERM", self.state(""));
        command
    }

    /// The program, called in a pane.
    pub(super) fn in_pane(&self, pane: &str, arguments: &[&str]) -> Output {
        let mut command = self.outside(arguments);
        command
            .env("WEZTERM_UNIX_SOCKET", self.socket())
            .env("WEZTERM_PANE", pane);
        command.output().unwrap()
    }

    /// What it says on stderr when it succeeds in pane 0.
    pub(super) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.in_pane("0", arguments);
        assert!(
            output.status.success(),
            "{}\n{}",
            shown(&output),
            self.read("calls")
        );
        String::from_utf8(output.stderr).unwrap()
    }

    /// Exit code and stderr of a call in pane 0 that fails.
    pub(super) fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.in_pane("0", arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// All calls until now but those that only look, with short paths.
    pub(super) fn calls(&self) -> Vec<String> {
        let calls = self.short(&self.read("calls"));
        let does = |line: &&str| !line.starts_with("list");
        calls.lines().filter(does).map(str::to_owned).collect()
    }

    pub(super) fn short(&self, text: &str) -> String {
        let home = self.home.path().to_str().unwrap();
        let mut words: Vec<&str> = text.split(' ').collect();
        // Each viewer has a name of its own.
        while let Some(at) = words.iter().position(|word| *word == "--viewer") {
            words.drain(at..at + 2);
        }
        words.join(" ").replace(PROGRAM, "PROGRAM").replace(home, "HOME")
    }

    /// The panes that show something: `slot 0@10`.
    pub(super) fn listed(&self) -> Vec<String> {
        let output = self.in_pane("0", &["panes", "list", "--json"]);
        assert!(output.status.success(), "{}", shown(&output));
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let line = |value: &serde_json::Value| {
            let shown = match (value.get("slot"), value.get("task")) {
                (Some(slot), _) => format!("slot {slot}"),
                (None, Some(task)) => format!("task {}", task.as_str().unwrap()),
                (None, None) => format!("shell {}", value["shell"].as_str().unwrap_or("-")),
            };
            format!("{shown}@{}", value["pane"])
        };
        listed.iter().map(line).collect()
    }

    /// The file of the viewer that was started in a pane.
    pub(super) fn viewer_in(&self, pane: u64) -> Viewer {
        let program = self.read(&format!("programs/{pane}"));
        let mut words = program.split_whitespace().skip_while(|word| *word != "--viewer");
        self.viewer(words.nth(1).expect("a viewer"))
    }

    pub(super) fn viewer(&self, name: &str) -> Viewer {
        Viewer(self.home.data().join("viewers").join(name))
    }

    /// Who has the focus, and which panes are the active ones of their tabs.
    pub(super) fn focus(&self) -> (String, Vec<String>) {
        let panes = self.read("panes");
        let columns = panes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let active = columns.filter(|columns| columns[3] == "true");
        let active = active.map(|columns| columns[2].to_owned()).collect();
        (self.read("focus").trim().to_owned(), active)
    }
}
