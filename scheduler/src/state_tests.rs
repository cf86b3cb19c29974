//! Every pair of state and change, against a table written by hand.

use super::{Change, Next, Reason, Requeue, State};
use crate::{Edit, TaskKey, Tick};

/// One column: its heading and the change.
fn changes() -> Vec<(&'static str, Change)> {
    let ended = |state| Change::Ended {
        state,
        reason: Reason::Ok,
    };
    let requeued = |cause| Change::Requeued {
        cause,
        reason: Reason::ExitCode,
        not_before: Some(Tick(9)),
    };
    let free_edit = Edit {
        priority: Some(7),
        max_retries: Some(1),
        ..Edit::default()
    };
    let after_edit = Edit {
        after: Some(Vec::new()),
        ..Edit::default()
    };
    let delay_edit = Edit {
        not_before: Some(Tick(1)),
        ..Edit::default()
    };
    vec![
        ("started", Change::Started { attempt: 1, slot: 0 }),
        ("stop", Change::StopRequested),
        ("suspend", Change::Suspended),
        ("continue", Change::Continued),
        ("retry", requeued(Requeue::Retry)),
        ("free", requeued(Requeue::Free)),
        ("succeed", ended(State::Succeeded)),
        ("fail", ended(State::Failed)),
        ("cancel", ended(State::Cancelled)),
        ("skip", ended(State::Skipped)),
        ("lose", ended(State::Lost)),
        ("no end", ended(State::Queued)),
        ("hold", Change::Held),
        ("release", Change::Released),
        ("edit", Change::Edited(free_edit)),
        ("after", Change::Edited(after_edit)),
        ("delay", Change::Edited(delay_edit)),
        ("revive", Change::Revived),
        ("ask", Change::Asked),
        ("answer", Change::Answered),
        ("claim", Change::Claimed(None)),
        ("relieve", Change::Relieved { until: Tick(9) }),
        ("put back", Change::PutBackRequested),
    ]
}

/// `.` is refused, `*` is pending (whichever the facts say), `=` stays.
const TABLE: &str = "
            started  stop     suspend  continue retry    free     succeed  fail     cancel    skip     lose     no end hold     release  edit     after    delay    revive              ask      answer   claim  relieve  put back
 delayed    running  .        .        .        .        .        .        .        cancelled skipped  .        .      *        .        *        *        *        .                   .        .        *      .        .
 blocked    .        .        .        .        .        .        .        .        cancelled skipped  .        .      *        .        *        *        *        .                   .        .        *      .        .
 held       .        .        .        .        .        .        .        .        cancelled skipped  .        .      .        *        *        *        *        .                   .        .        *      .        .
 queued     running  .        .        .        .        .        .        .        cancelled skipped  .        .      *        .        *        *        *        .                   .        .        *      .        .
 running    .        =        paused   .        *        *        succeeded failed   cancelled .        lost     .      .        .        =        .        .        .                  waiting  .        =      paused   .
 paused     .        =        .        running  *        *        succeeded failed   cancelled .        lost     .      .        .        =        .        .        .                  .        .        =      .        =
 waiting    .        =        paused   .        *        *        succeeded failed   cancelled .        lost     .      .        .        =        .        .        .                  .        running  =      .        .
 succeeded  .        .        .        .        .        .        .        .        .         .        .        .      .        .        .        .        .        *                   .        .        =      .        .
 failed     .        .        .        .        .        .        .        .        .         .        .        .      .        .        .        .        .        *                   .        .        =      .        .
 cancelled  .        .        .        .        .        .        .        .        .         .        .        .      .        .        .        .        .        *                   .        .        =      .        .
 skipped    .        .        .        .        .        .        .        .        .         .        .        .      .        .        .        .        .        *                   .        .        =      .        .
 lost       .        .        .        .        .        .        .        .        .         .        .        .      .        .        .        .        .        *                   .        .        =      .        .
";

fn cell(from: State, next: Option<Next>) -> &'static str {
    match next {
        None => ".",
        Some(Next::Pending) => "*",
        Some(Next::Is(state)) if state == from => "=",
        Some(Next::Is(state)) => state.name(),
    }
}

#[test]
fn every_pair_of_state_and_change_is_as_written_down() {
    let mut rows = TABLE.lines().filter(|line| !line.is_empty());
    let headings: Vec<&str> = changes().iter().map(|(heading, _)| *heading).collect();
    let written = rows
        .next()
        .expect("the table has a heading")
        .replace("no end", "no_end")
        .replace("put back", "put_back");
    let expected: Vec<String> = written
        .split_whitespace()
        .map(|word| word.replace('_', " "))
        .collect();
    assert_eq!(headings, expected);
    let mut seen = 0;
    for (row, state) in rows.zip(State::ALL) {
        let mut cells = row.split_whitespace();
        assert_eq!(cells.next(), Some(state.name()));
        for ((heading, change), expected) in changes().iter().zip(cells) {
            let actual = cell(state, state.after(change));
            assert_eq!(actual, expected, "{state} takes {heading}");
            seen += 1;
        }
    }
    assert_eq!(seen, State::ALL.len() * headings.len());
}

#[test]
fn only_these_states_count_as_ends() {
    let every = [
        State::Delayed,
        State::Blocked,
        State::Held,
        State::Queued,
        State::Running,
        State::Paused,
        State::Waiting,
    ];
    for state in every {
        let ended = Change::Ended {
            state,
            reason: Reason::Dependency(TaskKey(1)),
        };
        assert!(
            State::ALL.iter().all(|from| from.after(&ended).is_none()),
            "{state}"
        );
    }
}

#[test]
fn names_are_those_of_the_json() {
    for state in State::ALL {
        let kinds = [state.is_pending(), state.is_active(), state.is_end()];
        assert_eq!(
            kinds.iter().filter(|kind| **kind).count(),
            1,
            "{state} is of one kind"
        );
        let debug = format!("{state:?}").to_lowercase();
        assert_eq!(state.name(), debug);
        assert_eq!(State::ALL[state as usize], state);
    }
}

#[test]
fn reasons_are_called_what_their_json_says() {
    let reasons = [
        Reason::Ok,
        Reason::ExitCode,
        Reason::Signal,
        Reason::Timeout,
        Reason::SpawnError,
        Reason::Cancelled,
        Reason::Lost,
        Reason::QueueTime,
        Reason::NotStarted,
        Reason::Denied,
        Reason::Limited,
        Reason::Overloaded,
        Reason::Auth,
        Reason::ApiError,
        Reason::Unreachable,
        Reason::PromptTooLong,
        Reason::Budget,
        Reason::MaxTurns,
        Reason::Refusal,
        Reason::Truncated,
        Reason::NoOp,
        Reason::Interrupted,
        Reason::Crashed,
        Reason::NoSession,
        Reason::Stalled,
    ];
    for reason in reasons {
        assert_eq!(reason.name(), snake_case(&format!("{reason:?}")));
    }
    assert_eq!(Reason::Dependency(TaskKey(1)).name(), "dependency");
}

/// `NoOp` becomes `no_op`, as serde has it.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
