//! `top` in a real terminal multiplexer: what tmux shows of it is what a person sees.
//!
//! Needs `tmux`, so it is run by name: `cargo test --test top_tmux -- --ignored`.

use std::process::Command;

use support::{wait_for, Home, DEADLINE, PROGRAM};
use terminal::Terminal;

mod support;
mod terminal;

const CONFIG: &str = "[pool]\nslots = 2\ndefault_worker = \"shell\"\n[admission]\nenabled = false\n";

/// A tmux of its own, with one window of 100 by 30 and a shell in it.
struct Tmux<'a> {
    home: &'a Home,
}

impl<'a> Tmux<'a> {
    fn start(home: &'a Home) -> Self {
        let tmux = Self { home };
        tmux.call(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            "sh",
        ]);
        tmux
    }

    fn call(&self, arguments: &[&str]) -> String {
        let socket = self.home.path().join("tmux.sock");
        let mut command: Command = self.home.command_of("tmux", ["-S", socket.to_str().unwrap()]);
        let output = command
            .env("SHELL", "/bin/sh")
            .env("PS1", "$ ")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", support::shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.call(&["capture-pane", "-p"])
    }

    fn type_line(&self, line: &str) {
        self.call(&["send-keys", "-l", line]);
        self.call(&["send-keys", "Enter"]);
    }

    fn press(&self, keys: &[&str]) {
        self.call(&[&["send-keys"], keys].concat());
    }

    fn wait_for(&self, texts: &[&str]) {
        let begin = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "not all of {texts:?} in\n{screen}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let socket = self.home.path().join("tmux.sock");
        let mut command = self
            .home
            .command_of("tmux", ["-S", socket.to_str().unwrap(), "kill-server"]);
        let _ = command.output();
    }
}

#[test]
#[ignore = "needs tmux"]
fn top_is_seen_in_tmux() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    for n in 0..5 {
        home.queue(&format!("echo this is {n}; sleep 600"));
    }
    let tmux = Tmux::start(&home);
    tmux.type_line("echo before");
    tmux.type_line(&format!("{PROGRAM} top"));
    tmux.wait_for(&["2/2 running, 3 queued", "2 of 2", "echo this is 4", "COMMAND"]);
    tmux.press(&["Down", "Down", "Enter"]);
    tmux.wait_for(&["task 2 running", "this is 1"]);
    tmux.press(&["Escape"]);
    tmux.wait_for(&["echo this is 4"]);
    tmux.press(&["c"]);
    tmux.wait_for(&["sure?", "task 2 is running"]);
    tmux.press(&["y"]);
    home.wait_state("2", &["cancelled"]);
    tmux.wait_for(&["cancelled"]);
    // To the shell and back.
    tmux.press(&["C-z"]);
    tmux.wait_for(&["echo before", "Stopped"]);
    tmux.type_line("fg");
    tmux.wait_for(&["2/2 running, 2 queued, 1 cancelled", "echo this is 4"]);
    tmux.press(&["q"]);
    tmux.wait_for(&["echo before", "fg"]);
    tmux.type_line("echo ended with $?");
    tmux.wait_for(&["ended with 0"]);
    let screen = tmux.screen();
    assert!(!screen.contains("COMMAND"), "the own screen is back:\n{screen}");
}

#[test]
#[ignore = "needs tmux"]
fn a_line_for_the_status_bar_of_tmux() {
    let home = Home::with_config(CONFIG);
    let _daemon = home.daemon();
    home.queue("sleep 600");
    wait_for("a status file with it", || {
        let line = home.ok(["status", "--format", "{running}/{slots}"]);
        (line.trim() == "1/2").then_some(())
    });
    let tmux = Tmux::start(&home);
    // As docs/bars.md has it, with the program's own path.
    let line = format!("#({PROGRAM} status --format '{{state}} {{running}}/{{slots}}' --off 'no daemon')");
    for (option, value) in [
        ("status-interval", "1"),
        ("status-right-length", "60"),
        ("status-right", &line),
    ] {
        tmux.call(&["set", "-g", option, value]);
    }
    // The bar is there for somebody who looks at it.
    let socket = home.path().join("tmux.sock");
    let attach = home.command_of("tmux", ["-S", socket.to_str().unwrap(), "attach"]);
    let client = Terminal::run(attach, (100, 30));
    client.wait_for(&["running 1/2"]);
}
