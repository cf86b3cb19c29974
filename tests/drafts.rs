//! `queue --edit`: what is written in an editor is queued, and never lost.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use support::{shown, Home};

/// `queue --edit` with a shell script for an editor, which has the file as `$1`.
fn edit(home: &Home, script: &str, more: &[&str]) -> Output {
    let editor = home.path().join("editor");
    fs::write(&editor, script).unwrap();
    let arguments = ["queue", "--edit"].iter().chain(more);
    let mut command = home.command(arguments);
    command.env_remove("VISUAL");
    command.env("EDITOR", format!("sh '{}'", editor.display()));
    command.output().unwrap()
}

/// A script that puts a text above what the file holds.
fn writes(text: &str) -> String {
    format!("cat - \"$1\" > \"$1.all\" <<'END'\n{text}\nEND\nmv \"$1.all\" \"$1\"")
}

fn drafts(home: &Home) -> Vec<PathBuf> {
    let folder = home.data().join("drafts");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_written_is_queued() {
    let home = Home::new();
    let _daemon = home.daemon();
    let text = "!high @api # a heading\necho two lines";
    let output = edit(&home, &writes(text), &["--hold", "--label", "l"]);
    assert!(output.status.success(), "{}", shown(&output));
    let id = String::from_utf8(output.stdout).unwrap();
    let task = home.task(id.trim());
    assert_eq!(task.command.as_deref(), Some("# a heading\necho two lines"));
    assert_eq!((task.priority, task.workspace.as_str()), (150, "api"));
    assert_eq!(task.label.as_deref(), Some("l"));
    assert!(drafts(&home).is_empty());
    // What is said in the text goes before what the command line says, which goes before nothing.
    let output = edit(
        &home,
        &writes("echo"),
        &["--hold", "-p", "7", "--workspace", "web", "--shell"],
    );
    let task = home.task(String::from_utf8(output.stdout).unwrap().trim());
    assert_eq!((task.priority, task.workspace.as_str()), (7, "web"));
    assert_eq!(task.worker, "shell");
}

#[test]
fn the_file_says_what_it_is_for_and_where_the_task_will_run() {
    let home = Home::new();
    let _daemon = home.daemon();
    edit(
        &home,
        "cp \"$1\" template; ls -l \"$1\" > modes; ls -ld \"$(dirname \"$1\")\" >> modes",
        &[],
    );
    let template = fs::read_to_string(home.path().join("template")).unwrap();
    let folder = home.path().canonicalize().unwrap();
    let lines: Vec<&str> = template.lines().collect();
    assert_eq!(lines[0], "", "{template}");
    assert!(lines[1].starts_with("# ---"), "{template}");
    assert!(
        template.ends_with(&format!("# Folder: {}\n", folder.display())),
        "{template}"
    );
    let modes = fs::read_to_string(home.path().join("modes")).unwrap();
    let modes: Vec<&str> = modes.lines().map(|line| &line[..10]).collect();
    assert_eq!(modes, ["-rw-------", "drwx------"]);
}

#[test]
fn nothing_written_is_nothing_queued() {
    let home = Home::new();
    let _daemon = home.daemon();
    for script in ["true", "printf ' \\n\\n' > \"$1\"", "rm \"$1\""] {
        let output = edit(&home, script, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(drafts(&home).is_empty(), "{script}");
    }
    assert!(home.tasks().is_empty());
}

#[test]
fn what_cannot_be_queued_is_kept() {
    let home = Home::new();
    let _daemon = home.daemon();
    let failing = writes("much work") + "\nexit 3";
    let cases = [
        (
            writes("!999 much work"),
            &[][..],
            2,
            "a priority is 0 to 255, not 999",
        ),
        (writes("much work"), &["--worker", "nobody"], 4, "nobody"),
        (
            writes("much work"),
            &["--no-autostart", "--socket", "/nowhere/sock"],
            3,
            "no daemon",
        ),
        (failing, &[], 2, "exit status: 3"),
    ];
    for (script, more, code, words) in cases {
        let output = edit(&home, &script, more);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
        assert!(said.contains(words), "{said}");
        let kept = drafts(&home);
        assert_eq!(kept.len(), 1, "{said}");
        assert!(
            said.contains(&format!("the text is kept in {}", kept[0].display())),
            "{said}"
        );
        let text = fs::read_to_string(&kept[0]).unwrap();
        assert!(text.ends_with("much work\n"), "the text and no more: {text}");
        fs::remove_file(&kept[0]).unwrap();
    }
    assert!(home.tasks().is_empty());
}

#[test]
fn what_was_left_behind_is_named() {
    let home = Home::new();
    let _daemon = home.daemon();
    let folder = home.data().join("drafts");
    fs::create_dir_all(&folder).unwrap();
    let [old, empty] = ["prompt-7.md", "prompt-8.md"].map(|name| folder.join(name));
    fs::write(&old, "much work\n").unwrap();
    fs::write(&empty, "\n").unwrap();
    // A draft that is being written is nobody else's business.
    let other = "wezterm-parallel queue --edit";
    let other = other.replace("wezterm-parallel", support::PROGRAM);
    let script = format!("EDITOR=true {other} 2> other; {}", writes("echo done"));
    let output = edit(&home, &script, &["--hold"]);
    assert!(output.status.success(), "{}", shown(&output));
    let said = format!("a draft that was not queued is in {}\n", old.display());
    assert_eq!(stderr(&output), said);
    let said_to_other = fs::read_to_string(home.path().join("other")).unwrap();
    assert!(said_to_other.starts_with(&said), "{said_to_other}");
    assert_eq!(drafts(&home), std::slice::from_ref(&old));
    let kept = edit(&home, &(writes("more work") + "\nexit 3"), &[]);
    assert!(stderr(&kept).starts_with(&said), "{}", shown(&kept));
    let again = stderr(&edit(&home, "true", &[]));
    assert!(
        again.starts_with("2 drafts that were not queued are in ") && again.contains(", the newest is "),
        "{again}"
    );
    assert_eq!(fs::read_to_string(old).unwrap(), "much work\n");
}

#[test]
fn an_editor_that_was_left_says_what_became_of_the_text() {
    let home = Home::new();
    let _daemon = home.daemon();
    // As `:cq` does it.
    let nothing = edit(&home, "exit 1", &[]);
    let said = stderr(&nothing);
    assert_eq!(nothing.status.code(), Some(2), "{said}");
    assert!(
        said.contains("exit status: 1") && said.contains("nothing was written"),
        "{said}"
    );
    assert!(!said.contains("kept") && drafts(&home).is_empty(), "{said}");
    let folder = edit(&home, "rm \"$1\"; mkdir \"$1\"; echo work > \"$1/text\"", &[]);
    let said = stderr(&folder);
    let path = drafts(&home).pop().unwrap();
    assert_eq!(folder.status.code(), Some(2), "{said}");
    let words = format!("the editor has left a folder at {}, not a file", path.display());
    assert!(said.contains(&words) && !said.contains("kept"), "{said}");
    assert!(path.join("text").exists());
}

#[test]
fn a_mark_of_the_encoding_is_no_part_of_the_prompt() {
    let home = Home::new();
    let _daemon = home.daemon();
    let output = edit(
        &home,
        "printf '\\357\\273\\277!high echo\\n' > \"$1\"",
        &["--hold"],
    );
    assert!(output.status.success(), "{}", shown(&output));
    let task = home.task(String::from_utf8(output.stdout).unwrap().trim());
    assert_eq!((task.command.as_deref(), task.priority), (Some("echo"), 150));
}

#[test]
fn an_interrupt_is_for_the_editor() {
    let home = Home::new();
    let _daemon = home.daemon();
    for signal in ["INT", "QUIT"] {
        let ended = edit(&home, &format!("{}; kill -{signal} $$", writes("echo done")), &[]);
        let said = stderr(&ended);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(
            said.contains(signal) && said.contains("the text is kept in"),
            "{said}"
        );
        let script = format!("kill -{signal} $PPID; {}", writes("echo done"));
        let output = edit(&home, &script, &["--hold"]);
        assert!(output.status.success(), "{}", shown(&output));
    }
}

#[test]
fn a_missing_editor_is_named() {
    let home = Home::new();
    let _daemon = home.daemon();
    let mut command = home.command(["queue", "--edit"]);
    let output = command.env("VISUAL", "no-such-editor --wait").output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(
        said.contains("`no-such-editor --wait`") && said.contains("set VISUAL"),
        "{said}"
    );
    assert!(drafts(&home).is_empty());
}
