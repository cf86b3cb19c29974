//! What happens in panes, against a real WezTerm: a mux server of its own in a temporary home, with the plugin.
//!
//! `WEZTERM_E2E=1 cargo test --test wezterm_e2e -- --ignored`, with `wezterm` and `wezterm-mux-server` in
//! PATH.

mod support;

use std::fs::File;
use std::process::{Child, Command, Output};

use support::{shown, wait_for, Home};
use wezterm_parallel::protocol::TaskQueue;

/// The plugin is what the newest commit has: WezTerm clones it.
const CONFIG: &str = "
    local wezterm = require 'wezterm'
    local config = wezterm.config_builder()
    config.unix_domains = { { name = 'unix' } }
    wezterm.plugin.require('file://FOLDER').apply_to_config(config, { status = { icons = 'ascii' } })
    MORE
    return config
";

/// A home with a mux server that holds one shell.
struct Server {
    home: Home,
    child: Child,
}

impl Server {
    fn new() -> Self {
        Self::with_config("")
    }

    /// With more lines in its configuration.
    fn with_config(more: &str) -> Self {
        let asked = std::env::var("WEZTERM_E2E").is_ok_and(|value| value == "1");
        assert!(asked, "set WEZTERM_E2E=1, with a WezTerm in PATH");
        let home = Home::with_config("[pool]\nslots = 2\ndefault_worker = \"shell\"\n");
        let config = home.path().join("wezterm.lua");
        std::fs::write(
            &config,
            CONFIG
                .replace("FOLDER", env!("CARGO_MANIFEST_DIR"))
                .replace("MORE", more),
        )
        .unwrap();
        let mut command = home.command_of("wezterm-mux-server", [""; 0]);
        let child = command
            .env("WEZTERM_CONFIG_FILE", &config)
            .env("SHELL", "/bin/sh")
            .stderr(File::create(home.path().join("server.log")).unwrap());
        let child = child.spawn().expect("wezterm-mux-server in PATH");
        let server = Self { home, child };
        wait_for("the server's shell", || {
            Some(server.panes()).filter(|panes| !panes.is_empty())
        });
        server
    }

    fn in_home(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.command_of(program, arguments);
        command
            .env("WEZTERM_CONFIG_FILE", self.home.path().join("wezterm.lua"))
            .env("WEZTERM_UNIX_SOCKET", self.home.path().join("run/wezterm/sock"));
        command
    }

    fn wezterm(&self, arguments: &[&str]) -> Output {
        let cli = ["cli", "--no-auto-start"].iter().chain(arguments).copied();
        let cli: Vec<&str> = cli.collect();
        self.in_home("wezterm", &cli).output().expect("wezterm in PATH")
    }

    /// Number and tab of every pane.
    fn panes(&self) -> Vec<(u64, u64)> {
        let listing = self.wezterm(&["list", "--format", "json"]).stdout;
        let panes: Vec<serde_json::Value> = serde_json::from_slice(&listing).unwrap_or_default();
        let number = |pane: &serde_json::Value, field: &str| pane[field].as_u64().unwrap();
        panes
            .iter()
            .map(|pane| (number(pane, "pane_id"), number(pane, "tab_id")))
            .collect()
    }

    fn text(&self, pane: u64) -> String {
        let output = self.wezterm(&["get-text", "--pane-id", &pane.to_string()]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn title(&self, pane: u64) -> String {
        let listing = self.wezterm(&["list", "--format", "json"]).stdout;
        let panes: Vec<serde_json::Value> = serde_json::from_slice(&listing).unwrap();
        let found = panes.iter().find(|info| info["pane_id"] == pane);
        found.expect("the pane")["title"].as_str().unwrap().to_owned()
    }

    /// Types into a pane, as a person does.
    fn press(&self, pane: u64, keys: &str) {
        let output = self.wezterm(&["send-text", "--no-paste", "--pane-id", &pane.to_string(), keys]);
        assert!(output.status.success(), "{}", shown(&output));
    }

    fn wait_text(&self, pane: u64, text: &str) -> String {
        wait_for(text, || {
            Some(self.text(pane)).filter(|shown| shown.contains(text))
        })
    }

    /// Queues a shell line beside the first pane: the pane of its viewer.
    fn beside(&self, command: &str) -> u64 {
        let before = self.panes();
        let output = self.ok(before[0].0, &["queue", "--pane", "current", command]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let after = self.panes();
        let made = after.iter().find(|pane| !before.contains(pane));
        made.expect("a pane in the shell's tab").0
    }

    /// The program, called in a pane: what it says.
    fn ok(&self, pane: u64, arguments: &[&str]) -> Output {
        let mut command = self.in_home(support::PROGRAM, arguments);
        let output = command.env("WEZTERM_PANE", pane.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        output
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn panes_are_opened_listed_and_closed() {
    let server = Server::new();
    let before = server.panes();
    let shell = before[0].0;
    for layout in ["grid", "columns", "rows", "tabs"] {
        server.ok(shell, &["panes", "open", "--slots", "3", "--layout", layout]);
        let opened: Vec<_> = server
            .panes()
            .into_iter()
            .filter(|pane| !before.contains(pane))
            .collect();
        assert_eq!(opened.len(), 3, "{layout}: {opened:?}");
        let one_tab = opened.iter().all(|(_, tab)| *tab == opened[0].1);
        assert_eq!(one_tab, layout != "tabs", "{layout}: {opened:?}");
        let listed = server.ok(shell, &["panes", "list", "--json"]).stdout;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
        assert_eq!(listed.len(), 3, "{layout}: {listed:?}");
        server.ok(shell, &["panes", "close"]);
        wait_for("the panes' end", || (server.panes() == before).then_some(()));
    }
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_pane_that_is_held_after_its_viewer_is_not_taken_for_one() {
    let server = Server::with_config("config.exit_behavior = 'Hold'");
    let _daemon = server.home.daemon();
    let before = server.panes();
    let shell = before[0].0;
    let listed = || -> Vec<serde_json::Value> {
        serde_json::from_slice(&server.ok(shell, &["panes", "list", "--json"]).stdout).unwrap()
    };
    server.ok(shell, &["panes", "open"]);
    let first = listed()[0]["pane"].as_u64().unwrap();
    server.wait_text(first, "waits for the next task");
    let open = server.panes().len();
    server.press(first, "q");
    wait_for("the viewer's end", || (listed().len() == 1).then_some(()));
    assert_eq!(server.panes().len(), open, "it is held");
    let again = server.ok(shell, &["panes", "open"]).stderr;
    assert_eq!(
        String::from_utf8_lossy(&again),
        "opened 1 pane; 1 slot has its pane already\n"
    );
    let new = listed()[0]["pane"].as_u64().unwrap();
    server.wait_text(new, "waits for the next task");
    assert_eq!((listed().len(), server.panes().len()), (2, open));
    // One that was started by hand in a pane of its own is known as well.
    let pane = shell.to_string();
    let menu = [
        "spawn",
        "--pane-id",
        &pane,
        "--",
        support::PROGRAM,
        "attach",
        "--slot",
        "0",
    ];
    assert!(server.wezterm(&menu).status.success());
    wait_for("a third viewer", || (listed().len() == 3).then_some(()));
    server.ok(shell, &["panes", "close"]);
    wait_for("the panes' end", || (server.panes() == before).then_some(()));
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_narrow_viewer_can_be_replaced_and_a_narrow_shell_says_why_not() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let shell = server.panes()[0].0;
    server.ok(shell, &["panes", "assign", "0", "current"]);
    let listed = server.ok(shell, &["panes", "list", "--json"]).stdout;
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
    let viewer = listed[0]["pane"].as_u64().unwrap();
    // Each split leaves half, until there is no room for another.
    for pane in [viewer, shell] {
        for _ in 0..20 {
            server.wezterm(&[
                "split-pane",
                "--pane-id",
                &pane.to_string(),
                "--right",
                "--",
                "sleep",
                "1000",
            ]);
        }
    }
    server.ok(shell, &["panes", "assign", "1", &viewer.to_string()]);
    let mut command = server.in_home(support::PROGRAM, &["panes", "assign", "0", &shell.to_string()]);
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(
        said.contains("No space for split") && !said.contains("ErrorResponse"),
        "{said}"
    );
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn what_was_printed_before_the_panes_came_is_whole() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let shell = server.panes()[0].0;
    let label = "a label that is longer than half of the screen, so that its line would wrap";
    let id = server.home.submit(TaskQueue {
        command: Some("printf 'FIRST\\nSECOND\\n'; sleep 1000".into()),
        label: Some(label.into()),
        ..TaskQueue::default()
    });
    wait_for("its output", || {
        server.home.output(&id, 1).contains("SECOND").then_some(())
    });
    // More panes than the daemon has slots: the more there are, the later the first one has its size.
    for (slots, layout) in [("2", "columns"), ("6", "grid"), ("6", "rows")] {
        server.ok(shell, &["panes", "open", "--slots", slots, "--layout", layout]);
        let listed = server.ok(shell, &["panes", "list", "--json"]).stdout;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
        let first = listed[0]["pane"].as_u64().unwrap();
        let text = server.wait_text(first, "SECOND");
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("── task 1 · "), "{layout}: {text}");
        assert_eq!(&rows[1..3], ["FIRST", "SECOND"], "{layout}: {text}");
        server.ok(shell, &["panes", "close"]);
    }
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_task_is_shown_beside_the_shell_and_the_shell_is_left_alone() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let shell = server.panes()[0];
    let viewer = server.beside("echo shown-$((6 * 7))");
    assert!(server.panes().contains(&(viewer, shell.1)), "in the shell's tab");
    server.wait_text(viewer, "shown-42");
    let text = server.text(shell.0);
    assert!(!text.contains("attach") && !text.contains("shown"), "{text}");
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_viewer_stays_after_the_end_and_obeys_keys() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let before = server.panes();
    let viewer = server.beside("echo run; exit 3");
    let text = server.wait_text(viewer, "r runs it again");
    assert!(text.contains("exit"), "{text}");
    server.press(viewer, "r");
    wait_for("the second attempt", || {
        Some(server.text(viewer)).filter(|text| text.matches("run\n").count() >= 2)
    });
    server.wait_text(viewer, "attempt 2");
    server.press(viewer, "\r");
    wait_for("the pane's end", || (server.panes() == before).then_some(()));
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_paste_into_a_viewer_presses_no_key() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let viewer = server.beside("echo be\"\"gin; sleep 1000");
    server.wait_text(viewer, "begin");
    for pasted in ["cc", "q", "c\nc\nq\n"] {
        let pane = viewer.to_string();
        let output = server.wezterm(&["send-text", "--pane-id", &pane, pasted]);
        assert!(output.status.success(), "{}", shown(&output));
    }
    // What comes within 100 ms of a paste is taken for a part of it.
    std::thread::sleep(std::time::Duration::from_millis(500));
    server.press(viewer, "c");
    let text = server.wait_text(viewer, "press c again");
    assert_eq!(text.matches("press c again").count(), 1, "{text}");
    assert_eq!(server.home.tasks()[0].state, "running");
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn what_a_worker_prints_cannot_leave_its_pane() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let title = r"printf '\033]0;e\166il\007\033]1;e\166il\007\033]2;e\166il\007\033[2J\033c'";
    let viewer = server.beside(&format!("echo above; {title}; echo below"));
    let text = server.wait_text(viewer, "below");
    assert!(text.contains("above"), "the screen was cleared: {text}");
    assert!(!server.title(viewer).contains("evil"), "{}", server.title(viewer));
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn a_prompt_is_written_in_an_editor_in_a_tab() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let before = server.panes();
    let editor = server.home.path().join("editor");
    let script = "read -r line; printf '%s\\n' \"$line\" > \"$1\"";
    std::fs::write(&editor, script).unwrap();
    let visual = format!("VISUAL=sh {}", editor.display());
    let pane = before[0].0.to_string();
    let spawned = server.wezterm(&[
        "spawn",
        "--pane-id",
        &pane,
        "--",
        "env",
        &visual,
        support::PROGRAM,
        "queue",
        "--edit",
        "--hold",
    ]);
    let pane: u64 = String::from_utf8_lossy(&spawned.stdout)
        .trim()
        .parse()
        .expect("a pane");
    server.press(pane, "!999 too much\r");
    server.wait_text(pane, "a priority is 0 to 255, not 999");
    server.press(pane, "\r");
    server.press(pane, "!high better\r");
    wait_for("the tab's end", || (server.panes() == before).then_some(()));
    let tasks = server.home.tasks();
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (tasks[0].command.as_deref(), tasks[0].priority),
        (Some("better"), 150)
    );
}

#[test]
#[ignore = "needs WezTerm: WEZTERM_E2E=1"]
fn the_plugin_gets_along_with_the_server() {
    let server = Server::new();
    let clones = server.home.path().join(".local/share/wezterm/plugins");
    wait_for("the clone", || {
        let count = clones.read_dir().ok()?.count();
        (count == 1).then_some(())
    });
    let log = std::fs::read_to_string(server.home.path().join("server.log")).unwrap();
    assert!(log.contains("Cloned"), "{log}");
    assert!(
        !log.contains("wezterm-parallel:") && !log.contains("lua"),
        "{log}"
    );
}
