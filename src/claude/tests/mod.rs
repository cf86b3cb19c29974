//! Tests on what the CLI really printed, in two versions, and on what it never should.

mod judging;
mod news;
mod rendering;
mod robust;

use std::fs;
use std::path::Path;

use super::*;

/// Every recorded run: `version/name`, and its bytes.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude");
    let mut found = Vec::new();
    for version in ["2.1.197", "2.1.330"] {
        for entry in fs::read_dir(root.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((format!("{version}/{name}"), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() >= 60, "{} fixtures", found.len());
    found
}

fn fixture(name: &str) -> Vec<u8> {
    fixtures()
        .into_iter()
        .find(|(found, _)| found == name)
        .unwrap_or_else(|| panic!("no {name}"))
        .1
}

/// Takes whole lines and the rest behind the last newline, as a reader of a file does.
fn transcript_of(bytes: &[u8]) -> Transcript {
    let mut transcript = Transcript::new();
    for line in lines(bytes) {
        transcript.line(line);
    }
    transcript
}

fn news_of(bytes: &[u8]) -> Vec<News> {
    let mut transcript = Transcript::new();
    lines(bytes).filter_map(|line| transcript.line(line)).collect()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn exited(code: i32) -> End<'static> {
    End {
        exit_code: Some(code),
        ..End::default()
    }
}

/// The end of a process whose output is `bytes`.
fn end_of(bytes: &[u8], code: i32) -> End<'static> {
    End {
        partial_line: !bytes.is_empty() && !bytes.ends_with(b"\n"),
        ..exited(code)
    }
}

fn conclude(bytes: &[u8], code: i32) -> Conclusion {
    transcript_of(bytes).conclude(&end_of(bytes, code))
}

/// Fixtures of runs that exited with 0; all others did so with something else, or by a signal.
fn exit_code(name: &str) -> i32 {
    const ZERO: [&str; 19] = [
        "background_task_two_results",
        "cut_then_success",
        "forked_session",
        "interrupted_no_result",
        "local_command",
        "no_visible_output",
        "partial_messages",
        "permission_denied",
        "question_allowed",
        "question_denied",
        "question_unanswered",
        "resumed_session",
        "stream_truncated_reported_as_success",
        "success",
        "tool_use",
        "two_questions",
        "usage_warning_subscription",
        "user_question",
        "question_open",
    ];
    i32::from(!ZERO.iter().any(|zero| name.ends_with(&format!("/{zero}"))))
}
