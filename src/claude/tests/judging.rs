//! What each recorded run amounts to.

use std::fmt::Write as _;

use super::*;

#[test]
fn every_recorded_run_is_judged() {
    let mut table = String::new();
    for (name, bytes) in fixtures() {
        let end = conclude(&bytes, exit_code(&name));
        let _ = write!(table, "{name}: {}", end.outcome.name());
        for (flag, word) in [
            (end.transient, "transient"),
            (end.begun, "begun"),
            (end.acted, "acted"),
        ] {
            if flag {
                let _ = write!(table, " {word}");
            }
        }
        let cost = end
            .cost_usd
            .map_or("unknown".to_owned(), |cost| format!("${cost:.4}"));
        let turns = end.turns.map_or("no".to_owned(), |turns| turns.to_string());
        let used: Vec<String> = end
            .tokens
            .iter()
            .map(|(model, tokens)| format!("{model} {}/{}", tokens.input, tokens.output))
            .collect();
        let _ = writeln!(table, ", {cost}, {turns} turns, {used:?}\n    {:?}", end.message);
        assert_eq!(end.outcome == Outcome::Ok, end.message.is_none(), "{name}");
        assert_eq!(
            end.outcome == Outcome::Denied,
            exit_code(&name) == 0 && !end.denials.is_empty(),
            "{name}"
        );
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_resumed_session_counts_only_its_own_part() {
    for name in ["2.1.330/resumed_session", "2.1.330/forked_session"] {
        let end = conclude(&fixture(name), 0);
        assert_eq!(end.cost_usd, Some(0.0008), "{name}");
        assert_eq!(end.tokens["claude-opus-5-5"].input, 100, "{name}");
    }
}

#[test]
fn several_results_are_added_up() {
    let end = conclude(&fixture("2.1.330/background_task_two_results"), 0);
    assert_eq!(end.outcome, Outcome::Ok);
    assert!(
        (end.cost_usd.unwrap() - 0.0024).abs() < 1e-9,
        "{:?}",
        end.cost_usd
    );
    assert_eq!(end.tokens["claude-opus-5-5"].output, 60);
    assert_eq!(end.turns, Some(3));
    let older = conclude(&fixture("2.1.197/background_task_two_results"), 0);
    assert_eq!(older.cost_usd, Some(0.003));
    assert_eq!(older.turns, Some(3));
}

#[test]
fn a_limit_says_when_it_resets() {
    let end = conclude(&fixture("2.1.330/usage_limit_after_tool"), 1);
    let limit = end.limit.unwrap();
    assert_eq!(
        (limit.status, limit.resets_at_s),
        (LimitStatus::Rejected, Some(1_795_345_558))
    );
    assert_eq!(limit.kind.as_deref(), Some("five_hour"));
    assert!(!end.transient);
    let without = conclude(&fixture("2.1.330/rate_limited_api_key"), 1);
    assert_eq!(
        (without.outcome, without.transient, without.limit),
        (Outcome::Limited, true, None)
    );
}

#[test]
fn a_denial_names_the_tool_and_its_argument() {
    let end = conclude(&fixture("2.1.330/permission_denied"), 0);
    let expected = Denial {
        tool: "Bash".to_owned(),
        subject: "echo MARK > out.txt".to_owned(),
    };
    assert_eq!(end.denials, [expected]);
    assert_eq!(end.message.as_deref(), Some("Bash(echo MARK > out.txt)"));
    assert!(!end.acted, "a tool that was not permitted did not run");
}

#[test]
fn a_users_own_no_is_no_denial_but_silence_is_one() {
    let refused = conclude(&fixture("2.1.330/question_denied"), 0);
    assert_eq!((refused.outcome, refused.acted), (Outcome::Ok, false));
    assert!(refused.denials.is_empty());
    let unanswered = conclude(&fixture("2.1.330/question_unanswered"), 0);
    assert_eq!(unanswered.outcome, Outcome::Denied);
    let both = conclude(&fixture("2.1.330/two_questions"), 0);
    assert_eq!((both.outcome, both.acted), (Outcome::Ok, true));
}

#[test]
fn a_tool_that_waits_for_an_answer_has_not_run() {
    let open = fixture("2.1.330/question_open");
    assert!(!conclude(&open, 1).acted);
    let terminated = fixture("2.1.330/terminated_no_result");
    assert!(conclude(&terminated, 143).acted);
}

#[test]
fn a_good_result_needs_a_good_exit() {
    let success = fixture("2.1.330/success");
    let transcript = transcript_of(&success);
    assert_eq!(transcript.conclude(&exited(0)).outcome, Outcome::Ok);
    assert_eq!(transcript.final_text(), Some("hi there"));
    let killed = End {
        signal: Some(9),
        ..End::default()
    };
    let end = transcript.conclude(&killed);
    assert_eq!(end.outcome, Outcome::Crashed);
    assert_eq!(end.message.as_deref(), Some("after a good result: signal 9"));
    for end in [
        exited(1),
        End::default(),
        End {
            partial_line: true,
            ..exited(0)
        },
    ] {
        assert_eq!(transcript.conclude(&end).outcome, Outcome::Crashed, "{end:?}");
    }
}

#[test]
fn an_exit_of_0_makes_no_error_good() {
    for (name, bytes) in fixtures().into_iter().filter(|(name, _)| exit_code(name) == 1) {
        let outcome = conclude(&bytes, 0).outcome;
        assert!(
            !matches!(outcome, Outcome::Ok | Outcome::Denied),
            "{name}: {}",
            outcome.name()
        );
    }
}

#[test]
fn without_output_standard_error_has_the_last_word() {
    let none = Transcript::new();
    let stderr_tail = "warning: x\n\nError: one\ntwo\nNo conversation found with session ID: 1\n";
    let end = none.conclude(&End {
        stderr_tail,
        ..exited(1)
    });
    assert_eq!(end.outcome, Outcome::NoSession);
    assert_eq!(
        end.message.as_deref(),
        Some("Error: one\ntwo\nNo conversation found with session ID: 1")
    );
    let broken = none.conclude(&End {
        stderr_tail: "SyntaxError: x",
        ..exited(1)
    });
    assert_eq!(
        (broken.outcome, broken.message.as_deref()),
        (Outcome::Crashed, Some("SyntaxError: x"))
    );
    let silent = none.conclude(&exited(0));
    assert_eq!(silent.message.as_deref(), Some("it ended without a result"));
    assert_eq!(none.conclude(&exited(7)).message.as_deref(), Some("exit code 7"));
}

#[test]
fn a_known_cause_counts_although_the_result_is_missing() {
    let limited = fixture("2.1.330/usage_limit_subscription");
    let before_result = lines(&limited).take(3).collect::<Vec<_>>().join(&b'\n');
    let end = transcript_of(&before_result).conclude(&exited(1));
    assert_eq!((end.outcome, end.limit.is_some()), (Outcome::Limited, true));
    let killed = End {
        signal: Some(15),
        ..End::default()
    };
    assert_eq!(
        transcript_of(&before_result).conclude(&killed).outcome,
        Outcome::Crashed
    );
}

#[test]
fn missing_output_may_hold_a_tool_call() {
    let dropped = End {
        output_dropped: true,
        ..exited(0)
    };
    let end = transcript_of(&fixture("2.1.330/no_visible_output")).conclude(&dropped);
    assert_eq!((end.outcome, end.acted), (Outcome::Ok, true));
}

#[test]
fn a_run_that_leaves_tasks_behind_is_not_over() {
    for version in ["2.1.197", "2.1.330"] {
        let whole = fixture(&format!("{version}/background_task_two_results"));
        let all: Vec<&[u8]> = lines(&whole).collect();
        let results = all
            .iter()
            .filter(|line| wire::kind(line) == Some(wire::Kind::Result))
            .count();
        assert_eq!(results, 2);
        for count in 1..all.len() {
            let end = transcript_of(&all[..count].join(&b'\n')).conclude(&exited(0));
            assert_eq!(end.outcome, Outcome::Crashed, "{version}: {count} lines");
        }
    }
}

#[test]
fn causes_are_told_by_fields_before_words() {
    use crate::claude::cause::Failure;
    let failure = |status, word: &str, text: &str| Failure {
        status,
        word: word.to_owned(),
        text: text.to_owned(),
        ..Failure::default()
    };
    for (failure, expected) in [
        (
            failure(Some(503), "", "Overloaded"),
            Some((Outcome::ApiError, true)),
        ),
        (failure(Some(408), "", ""), Some((Outcome::ApiError, true))),
        (
            failure(Some(404), "model_not_found", ""),
            Some((Outcome::ApiError, false)),
        ),
        (
            failure(Some(413), "", "Prompt is too long"),
            Some((Outcome::PromptTooLong, false)),
        ),
        (
            failure(None, "server_error", "API Error: 502 Bad gateway"),
            Some((Outcome::ApiError, true)),
        ),
        (
            failure(None, "server_error", "what"),
            Some((Outcome::ApiError, true)),
        ),
        (
            failure(None, "unknown", "API Error: what"),
            Some((Outcome::ApiError, false)),
        ),
        (failure(None, "", "what"), None),
        (failure(Some(7), "", ""), None),
    ] {
        assert_eq!(failure.cause(), expected, "{failure:?}");
    }
}
