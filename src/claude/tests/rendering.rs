//! What people see of each recorded run, and of what should not be shown to anybody.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn rendered(bytes: &[u8], style: Style) -> String {
    let mut renderer = Renderer::new(style).with_moments(|moment_s| format!("@{moment_s}"));
    let mut out = String::new();
    for line in lines(bytes) {
        renderer.line(line, &mut out);
    }
    renderer.finish(&mut out);
    out
}

fn plain(bytes: &[u8]) -> String {
    rendered(
        bytes,
        Style {
            partial: true,
            ..Style::default()
        },
    )
}

fn all_of(version: &str) -> String {
    let mut shown = String::new();
    for (name, bytes) in fixtures().iter().filter(|(name, _)| name.starts_with(version)) {
        let _ = writeln!(shown, "======== {name}\n{}", plain(bytes));
    }
    shown
}

#[test]
fn runs_of_the_older_version() {
    insta::assert_snapshot!(all_of("2.1.197"));
}

#[test]
fn runs_of_the_newer_version() {
    insta::assert_snapshot!(all_of("2.1.330"));
}

#[test]
fn a_run_with_colours() {
    let style = Style {
        color: true,
        width: Some(60),
        partial: true,
    };
    let shown = rendered(&fixture("2.1.330/permission_denied"), style);
    insta::assert_snapshot!(shown.replace('\u{1b}', "<esc>"));
}

fn said(lines: &[&str]) -> String {
    plain(lines.join("\n").as_bytes())
}

const START: &str = r#"{"type":"stream_event","event":{"type":"message_start","message":{"model":"m"}}}"#;

fn piece(text: &str) -> String {
    format!(
        r#"{{"type":"stream_event","event":{{"type":"content_block_delta","delta":{{"type":"text_delta","text":"{text}"}}}}}}"#
    )
}

fn whole(text: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"model":"m","content":[{{"type":"text","text":"{text}"}}]}}}}"#
    )
}

const STOP: &str = r#"{"type":"stream_event","event":{"type":"content_block_stop"}}"#;

#[test]
fn a_text_that_was_streamed_is_not_repeated() {
    let (a, b, all) = (
        piece("Hello "),
        piece("world\\n\\nbye"),
        whole("Hello world\\n\\nbye"),
    );
    let expected = "Hello world\n\nbye\n";
    assert_eq!(said(&[START, &a, &b, &all, STOP]), expected);
    assert_eq!(
        said(&[START, &a, &b, STOP, &all]),
        expected,
        "whole after its end"
    );
    assert_eq!(said(&[START, &a, &all]), expected, "with its last pieces missing");
    assert_eq!(said(&[&all]), expected, "without any pieces");
    let style = Style::default();
    let lines = [START, &a, &b, &all, STOP].join("\n");
    assert_eq!(rendered(lines.as_bytes(), style), expected, "pieces not wanted");
}

#[test]
fn a_text_that_was_given_up_is_followed_by_the_one_that_counts() {
    let (a, all) = (piece("Helo"), whole("Other"));
    assert_eq!(said(&[START, &a, START, &all]), "Helo\nOther\n");
    assert_eq!(said(&[START, &a, &all]), "Helo\nOther\n");
}

#[test]
fn the_same_text_twice_is_shown_twice() {
    let (a, all) = (piece("ok"), whole("ok"));
    assert_eq!(said(&[START, &a, &all, STOP, START, &a, &all, STOP]), "ok\nok\n");
    assert_eq!(said(&[&all, &all]), "ok\nok\n");
}

#[test]
fn agents_of_agents_are_indented() {
    let text = r#"{"type":"assistant","parent_tool_use_id":"t","message":{"model":"m","content":[
        {"type":"thinking","thinking":"\n hm \n"},{"type":"text","text":"one\ntwo"},
        {"type":"tool_use","id":"a","name":"Grep","input":{"path":"src","pattern":"fn x"}}]}}"#;
    let result = r#"{"type":"user","parent_tool_use_id":"t","message":{"content":[
        {"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1\n2\n3\n"}]}]}}"#;
    let lines = [text.replace('\n', ""), result.replace('\n', "")];
    insta::assert_snapshot!(said(&[&lines[0], &lines[1]]), @r"
        ∴ hm
        one
        two
        ● Grep(fn x)
          ⎿ 3 lines
    ");
}

#[test]
fn results_out_of_order_name_their_call() {
    let call = |id: &str| {
        format!(
            r#"{{"type":"assistant","message":{{"model":"m","content":[{{"type":"tool_use","id":"{id}","name":"Bash","input":{{"command":"run {id}"}}}}]}}}}"#
        )
    };
    let result = |id: &str| {
        format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{id}","content":"did {id}"}}]}}}}"#
        )
    };
    insta::assert_snapshot!(said(&[&call("a"), &call("b"), &result("b"), &result("a"), &call("c"), &result("c")]), @r"
    ● Bash(run a)
    ● Bash(run b)
      ⎿ did b
      ⎿ Bash(run a): did a
    ● Bash(run c)
      ⎿ did c
    ");
}

#[test]
fn lines_that_are_no_events_are_shown_as_they_are() {
    let shown = said(&[
        "(node:1) Warning: \u{1b}[31mred\u{1b}[0m",
        "{\"type\":\"result\",",
        "{\"a\":1}",
        "{\"type\":\"new\"}",
    ]);
    assert_eq!(shown, "(node:1) Warning: red\n{\"type\":\"result\",\n{\"a\":1}\n");
    assert_eq!(plain(b"caf\xe9\n"), "caf\u{fffd}\n");
}

#[test]
fn lines_about_tools_fit_the_screen() {
    let long = whole("x").replace(
        r#"{"type":"text","text":"x"}"#,
        &format!(
            r#"{{"type":"tool_use","id":"a","name":"Bash","input":{{"command":"{}"}}}}"#,
            "日本".repeat(99)
        ),
    );
    for width in [0, 1, 7, 40] {
        let shown = rendered(
            long.as_bytes(),
            Style {
                width: Some(width),
                ..Style::default()
            },
        );
        let columns = unicode_width::UnicodeWidthStr::width(shown.trim_end());
        assert!(columns <= width, "{columns} columns of {width}");
    }
}

/// Nothing but text and our own colours.
fn is_safe(shown: &str) -> bool {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !shown.contains(bad)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_escape_gets_through(
        text in "[\\x00-\\x1f\\x7f-\\u{9f}\\u{202a}-\\u{202e}\\u{2066}\\[\\]a-z0-9;m\\\\\"日]{0,60}",
        place in 0..9_usize,
    ) {
        let quoted = serde_json::to_string(&text).unwrap();
        let line = match place {
            0 => format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":{quoted}}}]}}}}"#),
            1 => format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":{quoted},"input":{{"command":{quoted}}}}}]}}}}"#),
            2 => format!(r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":{quoted},"is_error":true}}]}}}}"#),
            3 => format!(r#"{{"type":"result","is_error":true,"errors":[{quoted}],"permission_denials":[{{"tool_name":{quoted}}}]}}"#),
            4 => format!(r#"{{"type":"system","subtype":"api_retry","error":{quoted}}}"#),
            5 => format!(r#"{{"type":"system","subtype":"init","model":{quoted},"cwd":{quoted}}}"#),
            6 => format!(r#"{{"type":"stream_event","event":{{"type":"content_block_delta","delta":{{"text":{quoted}}}}}}}"#),
            7 => format!(r#"{{"type":"assistant","error":"x","parent_tool_use_id":"t","message":{{"content":[{{"type":"text","text":{quoted}}},{{"type":"thinking","thinking":{quoted}}}]}}}}"#),
            _ => text.clone(),
        };
        let shown = plain(line.as_bytes());
        prop_assert!(is_safe(&shown), "{shown:?}");
        let coloured = rendered(line.as_bytes(), Style { color: true, width: Some(30), partial: true });
        let without_ours = ["\u{1b}[0m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"]
            .iter()
            .fold(coloured, |shown, ours| shown.replace(ours, ""));
        prop_assert!(is_safe(&without_ours), "{without_ours:?}");
    }

    #[test]
    fn any_bytes_are_shown_safely(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let shown = plain(&bytes);
        prop_assert!(is_safe(&shown), "{shown:?}");
    }
}
