//! The panes of workspaces, with the real binary and a `wezterm` that only pretends: what a template wants is opened once,
//! what is missing comes back, and a workspace is created whether WezTerm does its part or not.

#[path = "fake_wezterm/screen.rs"]
mod screen;
mod support;

use screen::Screen;
use support::{shown, wait_for};

const TEMPLATE: &str = r#"
description = "A server and its tests"
layout = "columns"
[variables.editor]
default = "vi"
[[tasks]]
name = "test"
worker = "shell"
command = "true"
[[processes]]
name = "dev"
command = "sleep 600"
[[panes]]
process = "dev"
[[panes]]
task = "test"
[[panes]]
name = "edit"
command = "{editor} {folder}"
cwd = "sub"
[[panes]]
"#;

/// A home with WezTerm, the folder `src/sub`, and templates.
fn with_templates(templates: &[(&str, &str)]) -> Screen {
    let screen = Screen::new();
    let own = screen.home.path().join(".config/wezterm-parallel/templates");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::create_dir_all(screen.home.path().join("src/sub")).expect("a folder");
    for (name, text) in templates {
        std::fs::write(own.join(format!("{name}.toml")), text).expect("a template");
    }
    screen
}

const CREATE: [&str; 7] = ["workspace", "create", "api", "-t", "web", "--folder", "src"];

/// What runs in a pane, with short paths: its folder and its program.
fn program(screen: &Screen, pane: u64) -> String {
    let real = screen.home.path().canonicalize().expect("its place");
    let program = screen.read(&format!("programs/{pane}"));
    screen
        .short(&program.replace(real.to_str().expect("UTF-8"), "HOME"))
        .trim()
        .to_owned()
}

#[test]
fn a_template_opens_its_panes_in_a_tab_of_the_workspace() {
    let screen = with_templates(&[("web", TEMPLATE)]);
    let _daemon = screen.home.daemon();
    let words = screen.ok(&CREATE);
    assert!(words.ends_with("processes: @1\nopened 4 panes\n"), "{words}");
    assert_eq!(
        screen.listed(),
        ["task @1@10", "task 1@11", "shell vi HOME/src@12", "shell -@13"].map(|line| {
            let real = screen.home.path().canonicalize().expect("its place");
            line.replace("HOME", real.to_str().expect("UTF-8"))
        })
    );
    assert_eq!(program(&screen, 10), "HOME/src: PROGRAM attach --task @1");
    assert_eq!(program(&screen, 11), "HOME/src: PROGRAM attach --task 1");
    let editor = program(&screen, 12);
    assert!(
        editor.starts_with("HOME/src/sub: /bin/sh -c ") && editor.ends_with(" sh vi HOME/src"),
        "{editor}"
    );
    assert_eq!(program(&screen, 13), "HOME/src:");
    let calls = screen.calls();
    assert!(calls[1].contains("--right --percent 75"), "{calls:?}");
    assert!(
        calls.contains(&"set-tab-title --pane-id 10 -- api".to_owned()),
        "{calls:?}"
    );
    // The first pane of the tab, and whoever was looked at before.
    assert_eq!(
        screen.focus(),
        ("1".into(), ["1", "2", "10"].map(str::to_owned).to_vec())
    );
    // All of them belong to it.
    let list = screen.in_pane("0", &["panes", "list", "--json"]);
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    assert_eq!(list.matches(r#""made_for":"api""#).count(), 4, "{list}");
    let view = screen.home.ok(["workspace", "show", "api", "--json"]);
    assert!(
        view.contains(r#""layout":"columns","panes":[{"process":"@1"},{"task":"1"},"#),
        "{view}"
    );
    // Once more: nothing is opened twice, by either command.
    assert!(screen
        .ok(&CREATE)
        .ends_with("opened no pane; 4 were there already\n"));
    let open = screen.ok(&["workspace", "open", "api"]);
    assert_eq!(open, "opened no pane; 4 were there already\n");
}

#[test]
fn what_was_closed_comes_back_where_it_was() {
    let screen = with_templates(&[("web", TEMPLATE)]);
    let _daemon = screen.home.daemon();
    screen.ok(&CREATE);
    let close = |panes: &[&str]| {
        let text = screen.read("panes");
        let is_closed = |line: &str| panes.contains(&line.split(' ').nth(2).expect("a number"));
        let kept: String = text
            .lines()
            .filter(|line| !is_closed(line))
            .map(|line| format!("{line}\n"))
            .collect();
        screen.write("panes", &kept);
    };
    // The task's viewer and the editor: beside the panes that they were split from.
    close(&["11", "12"]);
    screen.write("calls", "");
    let open = screen.ok(&["workspace", "open", "api"]);
    assert_eq!(open, "opened 2 panes; 2 were there already\n");
    let calls = screen.calls();
    assert!(
        calls[0].starts_with("split-pane --pane-id 10 --right --percent 75"),
        "{calls:?}"
    );
    assert!(
        calls[1].starts_with("split-pane --pane-id 14 --right"),
        "{calls:?}"
    );
    assert_eq!(screen.focus().0, "1");
    // A viewer that has ended in a pane that WezTerm holds gets another one in its place.
    let _alive = screen.viewer_in(14).hold("");
    drop(screen.viewer_in(10).hold(""));
    screen.write("calls", "");
    let open = screen.ok(&["workspace", "open", "api"]);
    assert_eq!(open, "opened 1 pane; 3 were there already\n");
    assert!(
        screen.calls().contains(&"kill-pane --pane-id 10".to_owned()),
        "{:?}",
        screen.calls()
    );
    // Everything: the tab is made anew.
    close(&["13", "14", "15", "16"]);
    assert_eq!(screen.ok(&["workspace", "open", "api"]), "opened 4 panes\n");
    // A shell of one's own beside them counts for the plain one.
    close(&["20"]);
    let shell = screen
        .read("panes")
        .lines()
        .last()
        .expect("a pane")
        .replace(" 19 ", " 90 ");
    screen.write("panes", &format!("{}{shell}\n", screen.read("panes")));
    let open = screen.ok(&["workspace", "open", "api"]);
    assert_eq!(open, "opened no pane; 4 were there already\n");
    // `panes close` closes viewers, and no shell, in which there may be work.
    assert_eq!(screen.ok(&["panes", "close"]), "closed 2 panes\n");
}

#[test]
fn tabs_are_one_for_each_pane() {
    let template =
        "layout = \"tabs\"\n[[panes]]\nslot = 0\n[[panes]]\nname = \"own\"\n[[panes]]\ncommand = \"top\"\n";
    let screen = with_templates(&[("web", template)]);
    let _daemon = screen.home.daemon();
    screen.ok(&CREATE);
    let titles = screen.read("titles");
    assert_eq!(titles, "10 api: slot 0\n11 api: own\n12 api: top\n");
    let calls = screen.calls();
    assert_eq!(
        calls.iter().filter(|call| call.starts_with("spawn ")).count(),
        3,
        "{calls:?}"
    );
    assert!(screen
        .ok(&["workspace", "open", "api"])
        .contains("3 were there already"));
}

#[test]
fn a_tab_is_made_whole_or_not_at_all() {
    let screen = with_templates(&[("web", TEMPLATE)]);
    let _daemon = screen.home.daemon();
    screen.write("fail_split-pane", "No space for split!");
    let output = screen.in_pane("0", &CREATE);
    assert!(output.status.success(), "{}", shown(&output));
    let words = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        words.contains(
            "warning: `wezterm cli split-pane` failed: No space for split!: the workspace is there, \
             `wezterm-parallel workspace open api` opens its panes\nhint: "
        ),
        "{words}"
    );
    assert!(screen.calls().contains(&"kill-pane --pane-id 10".to_owned()));
    assert_eq!(screen.listed(), [""; 0]);
    let (code, words) = screen.refused(&["workspace", "open", "api"]);
    assert_eq!(
        (code, words.contains("make the window larger")),
        (Some(4), true),
        "{words}"
    );
    // A tab without a title is a tab.
    std::fs::remove_file(screen.state("fail_split-pane")).expect("the failure ends");
    screen.write("fail_set-tab-title", "no titles here");
    let words = screen.ok(&["workspace", "open", "api"]);
    assert!(words.starts_with("warning: the tab has no title: "), "{words}");
    assert!(words.ends_with("opened 4 panes\n"), "{words}");
}

#[test]
fn a_workspace_needs_no_wezterm() {
    let mut screen = with_templates(&[("web", TEMPLATE)]);
    let _daemon = screen.home.daemon();
    screen.server = None;
    let words = screen.ok(&CREATE);
    assert!(
        words
            .ends_with("its panes can be opened where WezTerm runs: `wezterm-parallel workspace open api`\n"),
        "{words}"
    );
    let (code, words) = screen.refused(&["workspace", "open", "api"]);
    assert_eq!(
        (code, words.lines().next()),
        (Some(4), Some("error: WezTerm is not running"))
    );
    let without = [
        "workspace",
        "create",
        "b",
        "-t",
        "web",
        "--folder",
        "src",
        "--no-panes",
    ];
    assert!(!screen.ok(&without).contains("panes"));
    screen.ok(&["workspace", "edit", "b", "--unset", "panes,layout"]);
    let (code, words) = screen.refused(&["workspace", "open", "b"]);
    assert_eq!(
        (code, words.lines().next()),
        (Some(4), Some("error: workspace b has no panes"))
    );
    let (code, words) = screen.refused(&["workspace", "open", "c"]);
    assert_eq!(code, Some(4), "{words}");
    assert_eq!(screen.calls(), [""; 0]);
}

#[test]
fn a_folder_that_is_gone_is_said_and_the_workspaces_is_taken() {
    let screen = with_templates(&[("web", TEMPLATE)]);
    let _daemon = screen.home.daemon();
    std::fs::remove_dir(screen.home.path().join("src/sub")).expect("it is there");
    let words = screen.ok(&CREATE);
    assert!(words.contains("warning: there is no folder "), "{words}");
    assert!(
        words.contains("/src/sub: what belongs there is opened in "),
        "{words}"
    );
    assert!(
        program(&screen, 12).starts_with("HOME/src: "),
        "{}",
        program(&screen, 12)
    );
    // A process that is gone has no pane.
    screen.home.ok(["process", "stop", "--remove", "@1"]);
    let view = || screen.home.ok(["workspace", "show", "api", "--json"]);
    wait_for("the pane of the process to go", || {
        (!view().contains(r#""process":"@1""#)).then_some(())
    });
}
