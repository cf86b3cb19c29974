//! docs/claude-hooks.json in the hands of the CLI: its hooks run in a worker, and reach the task that it works on.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claude_support::queued::Desk;
use super::claude_support::stub::{Reply, Stub};
use super::support::PROGRAM;

/// The file that users are given.
fn hooks_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/claude-hooks.json")
}

/// The profile's line that hands a settings file to the CLI.
fn settings(file: &Path) -> String {
    let file = file.to_str().expect("a path in UTF-8");
    format!("allowed_tools = [\"Bash(echo *)\"]\nextra_args = [\"--settings\", {file:?}]")
}

/// The program under test first in PATH, where hooks look for it.
fn path() -> String {
    let folder = Path::new(PROGRAM).parent().expect("a folder").display();
    format!("PATH={folder}:{}", std::env::var("PATH").unwrap_or_default())
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn the_hooks_take_a_mark_away_when_the_agent_works_on() {
    let replies = [
        Reply::bash("echo of-the-tool").held("tool"),
        Reply::text("done").held("end"),
    ];
    let desk = Desk::with_key(Stub::start(replies), &settings(&hooks_file()));
    let _daemon = desk.daemon();
    let id = desk.queue("mend the test", &["--env", &path()]);
    desk.stub.wait_for_requests(1);
    desk.ok(&["report", "waiting", "--task", &id, "--note", "needs a decision"]);
    assert_eq!(desk.show(&id)["report"]["note"], "needs a decision");
    desk.stub.release("tool");
    desk.stub.wait_for_requests(2);
    let task = desk.show(&id);
    assert_eq!(
        (&task["state"], &task["report"]),
        (&Value::from("running"), &Value::Null)
    );
    desk.stub.release("end");
    desk.wait_success(&id);
}

#[test]
#[ignore = "needs the Claude Code CLI: .ci/run claude"]
fn the_events_that_the_hooks_are_for_happen_in_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let fired = folder.path().join("fired");
    let mut file: Value = serde_json::from_slice(&std::fs::read(hooks_file()).unwrap()).unwrap();
    for (event, matchers) in file["hooks"].as_object_mut().expect("hooks by event") {
        for matcher in matchers.as_array_mut().expect("a list") {
            let note = format!("echo {event} $WEZTERM_PARALLEL_TASK >> '{}'", fired.display());
            matcher["hooks"][0]["command"] = Value::from(note);
        }
    }
    let noting = folder.path().join("noting.json");
    std::fs::write(&noting, file.to_string()).unwrap();
    let replies = [Reply::bash("echo of-the-tool"), Reply::text("done")];
    let desk = Desk::with_key(Stub::start(replies), &settings(&noting));
    let _daemon = desk.daemon();
    let id = desk.queue("mend the test", &[]);
    desk.wait_success(&id);
    let fired = std::fs::read_to_string(fired).unwrap_or_default();
    let expected =
        ["UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"].map(|event| format!("{event} {id}"));
    assert_eq!(fired.lines().collect::<Vec<_>>(), expected);
}
