//! What goes to the CLI's standard input: prompts, and answers to its questions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{json, Value};

use super::loose::{Object, Text};
use super::values::Question;
use super::wire;

/// A prompt as one line, its newline included.
pub fn prompt_line(text: &str) -> String {
    line(&json!({"type": "user", "message": {"role": "user", "content": text}}))
}

/// Permits the tool call, as one line. The answers of a user are named by the questions in the tool's input.
pub fn allow_line(question: &Question, answers: Option<&BTreeMap<String, String>>) -> String {
    let mut input = question.input.clone();
    if let Some(answers) = answers {
        if !input.is_object() {
            input = json!({});
        }
        input["answers"] = json!(answers);
    }
    response_line(
        &question.request_id,
        &json!({"behavior": "allow", "updatedInput": input}),
    )
}

/// Refuses the tool call, as one line; the model reads the message.
pub fn deny_line(request_id: &str, message: &str) -> String {
    response_line(request_id, &json!({"behavior": "deny", "message": message}))
}

/// The requests that lines of a standard input answer already.
///
/// A line without its newline is no answer: the CLI has not read it.
pub fn answered_requests(stdin: &[u8]) -> BTreeSet<String> {
    let whole = stdin
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    stdin[..whole]
        .split(|byte| *byte == b'\n')
        .filter_map(|line| answered_request(&wire::readable(line)))
        .collect()
}

fn answered_request(line: &str) -> Option<String> {
    let answered: Answered<'_> = wire::parse(line)?;
    let is_response = answered.kind.as_str() == "control_response";
    answered.response.0.request_id.owned().filter(|_| is_response)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answered<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    response: Object<Response<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow)]
    request_id: Text<'a>,
}

fn response_line(request_id: &str, response: &Value) -> String {
    line(&json!({
        "type": "control_response",
        "response": {"subtype": "success", "request_id": request_id, "response": response},
    }))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(input: Value) -> Question {
        Question {
            request_id: "r1".to_owned(),
            tool: "AskUserQuestion".to_owned(),
            input,
            description: None,
            wants_choice: true,
        }
    }

    #[test]
    fn a_prompt_is_one_line_whatever_it_holds() {
        let line = prompt_line("two\nlines and \"quotes\" \u{2028}");
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"]["content"], "two\nlines and \"quotes\" \u{2028}");
    }

    #[test]
    fn answers_go_into_the_input() {
        let answers = BTreeMap::from([("Which?".to_owned(), "A".to_owned())]);
        let value: Value =
            serde_json::from_str(&allow_line(&question(json!({"questions": []})), Some(&answers))).unwrap();
        assert_eq!(value["response"]["request_id"], "r1");
        let given = &value["response"]["response"];
        assert_eq!(given["behavior"], "allow");
        assert_eq!(
            given["updatedInput"],
            json!({"questions": [], "answers": {"Which?": "A"}})
        );
    }

    #[test]
    fn a_plain_yes_gives_the_input_back() {
        let value: Value = serde_json::from_str(&allow_line(&question(json!({"a": 1})), None)).unwrap();
        assert_eq!(value["response"]["response"]["updatedInput"], json!({"a": 1}));
    }

    #[test]
    fn what_was_answered_is_found_again() {
        let mut stdin = prompt_line("control_response").into_bytes();
        stdin.extend_from_slice(allow_line(&question(json!({})), None).as_bytes());
        stdin.extend_from_slice(b"garbage \xff\n[]\n");
        stdin.extend_from_slice(deny_line("r2", "no").as_bytes());
        stdin.extend_from_slice(deny_line("r3", "cut off").trim_end().as_bytes());
        let expected = BTreeSet::from(["r1".to_owned(), "r2".to_owned()]);
        assert_eq!(answered_requests(&stdin), expected);
    }
}
