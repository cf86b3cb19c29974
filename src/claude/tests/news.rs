//! What is said while a run goes on.

use serde_json::json;

use super::*;

fn names(bytes: &[u8]) -> Vec<String> {
    let name = |news: &News| match news {
        News::Began { .. } => "began".to_owned(),
        News::Limit(limit) => format!("limit {:?}", limit.status),
        News::AuthTrouble(text) => format!("auth trouble: {text}"),
        News::Asked(question) => format!("asked {}", question.tool),
        News::TurnOver { background } => format!("turn over, background {background}"),
        other => format!("{other:?}"),
    };
    news_of(bytes).iter().map(name).collect()
}

#[test]
fn a_plain_run_begins_works_and_ends() {
    let expected = ["began", "Working", "turn over, background false"];
    for name in ["success", "tool_use", "resumed_session"] {
        for version in ["2.1.197", "2.1.330"] {
            assert_eq!(
                names(&fixture(&format!("{version}/{name}"))),
                expected,
                "{version}/{name}"
            );
        }
    }
    assert_eq!(names(&fixture("2.1.330/partial_messages")), expected);
}

#[test]
fn the_first_piece_of_a_message_is_work_already() {
    let whole = fixture("2.1.330/partial_messages");
    let begin = lines(&whole).take(3).collect::<Vec<_>>().join(&b'\n');
    assert_eq!(names(&begin), ["began", "Working"]);
}

#[test]
fn messages_of_the_cli_itself_are_no_work() {
    for name in [
        "2.1.330/local_command",
        "2.1.330/server_error",
        "2.1.197/overloaded",
    ] {
        assert_eq!(
            names(&fixture(name)),
            ["began", "turn over, background false"],
            "{name}"
        );
    }
}

#[test]
fn background_tasks_announce_another_turn() {
    for version in ["2.1.197", "2.1.330"] {
        assert_eq!(
            names(&fixture(&format!("{version}/background_task_two_results"))),
            [
                "began",
                "Working",
                "turn over, background true",
                "BackgroundOver",
                "began",
                "turn over, background false",
            ]
        );
    }
}

#[test]
fn limits_and_logins_are_told_at_once() {
    assert_eq!(
        names(&fixture("2.1.330/usage_limit_after_tool")),
        [
            "began",
            "Working",
            "limit Allowed",
            "limit Rejected",
            "turn over, background false"
        ]
    );
    assert_eq!(
        names(&fixture("2.1.330/invalid_token")),
        [
            "began",
            "auth trouble: authentication_failed",
            "auth trouble: authentication_failed",
            "turn over, background false",
        ]
    );
    let News::Limit(limit) = &news_of(&fixture("2.1.330/usage_warning_subscription"))[2] else {
        panic!("no limit");
    };
    assert_eq!(
        (limit.status, limit.utilization),
        (LimitStatus::Warning, Some(0.91))
    );
}

#[test]
fn questions_carry_what_an_answer_needs() {
    let asked = |name: &str| {
        news_of(&fixture(name)).into_iter().find_map(|news| match news {
            News::Asked(question) => Some(question),
            _ => None,
        })
    };
    let question = asked("2.1.330/question_open").unwrap();
    assert_eq!(question.request_id, "9c2d8a79-a32d-4932-abcd-72c82410c409");
    assert_eq!(question.tool, "Bash");
    assert_eq!(
        question.input,
        json!({"command": "echo hi > out.txt", "description": "w"})
    );
    assert_eq!(question.description.as_deref(), Some("w"));
    assert!(!question.wants_choice);
    assert!(asked("2.1.330/user_question").unwrap().wants_choice);
}

#[test]
fn a_withdrawn_question_is_no_longer_open() {
    let mut transcript = transcript_of(&fixture("2.1.330/question_open"));
    assert!(!transcript.acted());
    let line = br#"{"type":"control_cancel_request","request_id":"9c2d8a79-a32d-4932-abcd-72c82410c409"}"#;
    let request_id = "9c2d8a79-a32d-4932-abcd-72c82410c409".to_owned();
    assert_eq!(transcript.line(line), Some(News::Withdrawn { request_id }));
}
