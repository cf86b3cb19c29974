//! `panes` and `queue --pane` against a real WezTerm: a mux server of its own in a temporary home.
//!
//! `WEZTERM_E2E=1 cargo test --test wezterm_e2e -- --ignored`, with `wezterm` and `wezterm-mux-server` in
//! PATH.

mod support;

use std::process::{Child, Command, Output};

use support::{shown, wait_for, Home};

/// A home with a mux server that holds one shell.
struct Server {
    home: Home,
    child: Child,
}

impl Server {
    fn new() -> Self {
        let asked = std::env::var("WEZTERM_E2E").is_ok_and(|value| value == "1");
        assert!(asked, "set WEZTERM_E2E=1, with a WezTerm in PATH");
        let home = Home::with_config("[pool]\nslots = 2\ndefault_worker = \"shell\"\n");
        let config = home.path().join("wezterm.lua");
        // A viewer that ends keeps its pane, so that a test can see what it said.
        let text = "return { unix_domains = { { name = 'unix' } }, exit_behavior = 'Hold' }";
        std::fs::write(&config, text).unwrap();
        let mut command = home.command_of("wezterm-mux-server", [""; 0]);
        let child = command
            .env("WEZTERM_CONFIG_FILE", &config)
            .env("SHELL", "/bin/sh");
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
fn a_task_is_shown_beside_the_shell_and_the_shell_is_left_alone() {
    let server = Server::new();
    let _daemon = server.home.daemon();
    let shell = server.panes()[0];
    let queue = ["queue", "--pane", "current", "--shell", "echo shown-$((6 * 7))"];
    let output = server.ok(shell.0, &queue);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let beside = server
        .panes()
        .into_iter()
        .find(|pane| *pane != shell && pane.1 == shell.1);
    let (viewer, _) = beside.expect("a pane in the shell's tab");
    wait_for("the task's output", || {
        server.text(viewer).contains("shown-42").then_some(())
    });
    let text = server.text(shell.0);
    assert!(!text.contains("attach") && !text.contains("shown"), "{text}");
}
