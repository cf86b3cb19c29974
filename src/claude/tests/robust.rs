//! What must never happen, whatever comes: a success that is none, and a panic.

use proptest::prelude::*;

use super::*;

#[test]
fn no_part_of_a_run_is_a_success() {
    for (name, bytes) in fixtures() {
        let mut transcript = Transcript::new();
        let mut begin = 0;
        for end in 0..bytes.len() {
            if end > 0 && bytes[end - 1] == b'\n' {
                transcript.line(&bytes[begin..end - 1]);
                begin = end;
            }
            let outcome = transcript.conclude(&end_of(&bytes[..end], 0)).outcome;
            assert!(
                !matches!(outcome, Outcome::Ok | Outcome::Denied),
                "{name}: {end} bytes"
            );
        }
    }
}

/// The rest behind the last newline may be handed over as a line as well: a reader cannot know better.
#[test]
fn half_a_line_is_no_event() {
    for name in ["2.1.197/success", "2.1.330/success", "2.1.330/permission_denied"] {
        let bytes = fixture(name);
        for end in 0..bytes.len() {
            let outcome = conclude(&bytes[..end], 0).outcome;
            assert!(
                !matches!(outcome, Outcome::Ok | Outcome::Denied),
                "{name}: {end} bytes"
            );
        }
    }
}

#[test]
fn what_is_not_known_changes_nothing() {
    let strangers: [&[u8]; 13] = [
        b"{\"type\":\"tool_progress\",\"elapsed\":1e999}",
        b"{\"elapsed\":[{}],\"type\":\"news\"}",
        b"{\"type\":\"system\",\"subtype\":\"status\",\"status\":{\"now\":1},\"tasks\":7}",
        b"{\"type\":\"system\",\"subtype\":\"hook_started\",\"session_id\":5,\"patch\":[]}",
        b"{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"wondrous\"}}",
        b"{\"type\":\"keep_alive\"}",
        b"{\"type\":7}",
        b"{\"type\":\"result\",\"is_error\":fal",
        b"{\"no\":\"type\"}",
        b"(node:1) Warning: \xff\xfe \"type\":\"result\"",
        b"[1,2,3]",
        b"null",
        b"   ",
    ];
    for (name, bytes) in fixtures() {
        let expected = conclude(&bytes, exit_code(&name));
        let mut transcript = Transcript::new();
        let mut news = Vec::new();
        for line in lines(&bytes) {
            for stranger in strangers {
                assert_eq!(transcript.line(stranger), None, "{name}");
            }
            news.extend(transcript.line(line));
        }
        for stranger in strangers {
            transcript.line(stranger);
        }
        assert_eq!(transcript.conclude(&exited(exit_code(&name))), expected, "{name}");
        assert_eq!(news, news_of(&bytes), "{name}");
    }
}

#[test]
fn wrong_types_cost_a_field_and_not_the_line() {
    let mut transcript = Transcript::new();
    let line = br#"{"is_error":false,"stop_reason":"end_turn","result":{"a":1},"errors":"x","modelUsage":[],
        "permission_denials":{"a":[]},"num_turns":-1,"api_error_status":"what","session_id":["s"],
        "total_cost_usd":123456789012345678901234567890,"structured_output":{},"type":"result"}"#;
    assert_eq!(transcript.line(line), Some(News::TurnOver { background: false }));
    let end = transcript.conclude(&exited(0));
    assert_eq!(
        (end.outcome, end.turns, end.session_id),
        (Outcome::NoOp, None, None)
    );
    assert_eq!(transcript.saw_event_lines(), 1);
}

#[test]
fn deep_nesting_and_invalid_utf8_are_passed_over() {
    let mut line = b"{\"type\":\"user\",\"message\":".to_vec();
    line.extend(std::iter::repeat_n(b'[', 100_000));
    let mut transcript = Transcript::new();
    assert_eq!(transcript.line(&line), None);
    let mut deep = b"{\"deep\":".to_vec();
    deep.extend(std::iter::repeat_n(b'[', 100_000));
    deep.extend(std::iter::repeat_n(b']', 100_000));
    deep.extend_from_slice(b",\"type\":\"control_request\",\"request\":3}");
    assert_eq!(transcript.line(&deep), None);
    let init = b"{\"type\":\"system\",\"subtype\":\"init\",\"cwd\":\"/\xff\",\"session_id\":\"s\"}";
    let session_id = "s".to_owned();
    assert_eq!(transcript.line(init), Some(News::Began { session_id }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), code in 0..2) {
        let outcome = conclude(&bytes, code).outcome;
        prop_assert!(!matches!(outcome, Outcome::Ok | Outcome::Denied));
        answered_requests(&bytes);
    }

    #[test]
    fn damaged_runs_are_taken(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let all = fixtures();
        let (_, mut bytes) = all[which.index(all.len())].clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        conclude(&bytes, 0);
        let mut renderer = Renderer::new(Style::default());
        let mut out = String::new();
        lines(&bytes).for_each(|line| renderer.line(line, &mut out));
        renderer.finish(&mut out);
        prop_assert!(!out.contains('\u{1b}'), "{out:?}");
    }
}
