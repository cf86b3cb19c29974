//! docs/protocol.md and docs/protocol.schema.json say what the code does, or a test fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use wezterm_parallel::protocol::{
    check_edit, check_task, decode, decode_answer, encode_message, schema, Answer, ErrorCode, Message,
    StatusAnswer, TaskView,
};

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn page() -> String {
    fs::read_to_string(docs("protocol.md")).unwrap()
}

/// The examples that begin with `arrow`, with their line numbers.
fn examples(page: &str, arrow: char) -> Vec<(usize, &str)> {
    page.lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix(arrow)?.trim())))
        .collect()
}

/// The names of a type's variants, by the schema.
fn variants(name: &str) -> BTreeSet<String> {
    let schema = schema();
    let alternatives = schema["$defs"][name]["oneOf"].as_array().unwrap();
    alternatives
        .iter()
        .map(|variant| {
            variant["required"][0]
                .as_str()
                .unwrap_or_else(|| variant["const"].as_str().unwrap())
        })
        .map(str::to_owned)
        .collect()
}

fn name_of(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    value.as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn the_schema_is_the_one_made_from_the_types() {
    let expected = format!("{:#}\n", schema());
    let path = docs("protocol.schema.json");
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/protocol.schema.json differs from the types; look at the difference after\n  \
         UPDATE=1 cargo test --test protocol_docs"
    );
}

#[test]
fn every_message_has_an_example_that_the_daemon_takes() {
    let page = page();
    let mut shown = BTreeSet::new();
    for (line, example) in examples(&page, '→') {
        let message = decode(example.as_bytes())
            .unwrap_or_else(|error| panic!("docs/protocol.md:{line}: {}", error.message));
        let mut encoded = Vec::new();
        encode_message(&message, &mut encoded);
        assert_eq!(decode(encoded.trim_ascii()), Ok(message.clone()), "line {line}");
        match &message {
            Message::TaskQueue(task) => assert_eq!(check_task(task), Ok(()), "line {line}"),
            Message::Edit(edit) => assert_eq!(check_edit(edit), Ok(()), "line {line}"),
            _ => {}
        }
        shown.insert(name_of(example));
    }
    // The one example that is meant to be refused is looked at by another test.
    assert_eq!(shown, variants("Message"));
}

#[test]
fn every_answer_has_an_example_of_exactly_its_shape() {
    let page = page();
    let mut shown = BTreeSet::new();
    for (line, example) in examples(&page, '←') {
        let answer = decode_answer(example.as_bytes())
            .unwrap_or_else(|error| panic!("docs/protocol.md:{line}: {error}"));
        let shape: Value = serde_json::from_str(example).unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap(), shape, "line {line}");
        shown.insert(name_of(example));
    }
    assert_eq!(shown, variants("Answer"));
}

#[test]
fn what_is_refused_on_the_page_is_refused_with_these_words() {
    let page = page();
    let (_, refused) = examples(&page, '✗')[0];
    let (_, expected) = examples(&page, '←')[0];
    let error = decode(refused.as_bytes()).unwrap_err();
    let Answer::Error(expected) = decode_answer(expected.as_bytes()).unwrap() else {
        panic!("the first answer on the page is the error");
    };
    assert_eq!(error, expected);
}

#[test]
fn every_error_code_is_explained() {
    let page = page();
    let explained: BTreeSet<String> = page
        .lines()
        .skip_while(|line| *line != "| code | meaning |")
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(explained, variants("ErrorCode"));
    for code in explained {
        serde_json::from_value::<ErrorCode>(Value::from(code)).unwrap();
    }
}

#[test]
fn every_field_of_a_task_is_explained() {
    let page = page();
    let schema = schema();
    let fields = schema["$defs"]["TaskQueue"]["properties"].as_object().unwrap();
    for field in fields.keys() {
        assert!(page.contains(&format!("\n| `{field}` | ")), "{field} is missing");
    }
}

/// Each JSON block that follows `<!-- name -->` is one of type `T`, and nothing else is in it.
fn assert_blocks<T: DeserializeOwned + Serialize>(name: &str) {
    let page = page();
    let marker = format!("<!-- {name} -->\n```json\n");
    let blocks: Vec<&str> = page.split(&marker).skip(1).collect();
    assert!(!blocks.is_empty(), "{name}");
    for block in blocks {
        let (block, _) = block.split_once("\n```").unwrap();
        let shown: Value = serde_json::from_str(block).unwrap();
        let parsed: T = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(serde_json::to_value(parsed).unwrap(), shown);
    }
}

#[test]
fn the_json_of_the_command_line_is_as_shown() {
    assert_blocks::<TaskView>("TaskView");
    assert_blocks::<StatusAnswer>("StatusAnswer");
}

#[test]
fn every_option_for_claude_is_explained() {
    let page = page();
    let (_, table) = page.split_once("| in `claude` | meaning |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let schema = schema();
    let fields = schema["$defs"]["ClaudeOptions"]["properties"]
        .as_object()
        .unwrap();
    for field in fields.keys() {
        assert!(table.contains(&format!("`{field}`")), "{field} is missing");
    }
}

#[test]
fn every_outcome_of_a_claude_worker_is_explained() {
    let page = page();
    let (_, table) = page
        .split_once("Claude workers only, whatever their exit code:")
        .unwrap();
    let (table, _) = table.split_once("\n\nA whole status").unwrap();
    let schema = schema();
    let words = schema["$defs"]["AttemptView"]["properties"]["outcome"]["description"].as_str();
    let (_, words) = words.unwrap().split_once("for Claude workers also").unwrap();
    let (words, _) = words.trim().trim_matches('`').split_once('`').unwrap();
    for word in words.split_whitespace() {
        assert!(table.contains(&format!("`{word}`")), "{word} is missing");
    }
}
