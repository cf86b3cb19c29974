//! Pages and filters against a naive model.

use proptest::prelude::*;

use super::*;

#[test]
fn pages_follow_each_other_from_the_newest_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h");
    // In no order, and many in one moment.
    let mut tasks: Vec<HistoryTask> = (1..=3000).map(|key| ended(key, 5_000)).collect();
    tasks.extend([ended(3001, 4_999), ended(3002, 5_001), ended(3003, 5_002)]);
    import(&path, &tasks);
    let reader = Reader::open(&path).unwrap();
    let mut filter = HistoryFilter::default();
    let mut seen = Vec::new();
    loop {
        let (page, is_more) = reader.page(&filter, 700).unwrap();
        seen.extend(page.iter().map(|task| (task.ended_at_ms, task.key)));
        filter.after = page
            .last()
            .map(|task| task.cursor.as_deref().unwrap().parse().unwrap());
        if !is_more {
            break;
        }
    }
    assert_eq!(seen.len(), tasks.len());
    assert_eq!(seen.last(), Some(&(4_999, 3001)));
    let mut keys: Vec<u64> = seen.iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    assert!(keys.iter().copied().eq(1..=3003), "each once");
    // What was pushed into later milliseconds is still found by its own.
    let filter = HistoryFilter {
        until_ms: Some(5_001),
        since_ms: Some(5_000),
        ..HistoryFilter::default()
    };
    assert_eq!(reader.page(&filter, 5000).unwrap().0.len(), 3000);
}

/// Tasks of a small world, in which much is alike.
fn any_task(key: u64) -> impl Strategy<Value = HistoryTask> {
    let word = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    (
        word(&["succeeded", "failed", "lost"]),
        word(&["", "api", "web", "apiweb"]),
        prop::option::of(word(&["nightly", "x"])),
        prop::option::of(word(&["ok", "exit_code", "timeout"])),
        prop::collection::vec(prop::option::of(word(&["ok", "exit_code", "limited"])), 0..3),
        prop::collection::vec(
            word(&["make", "Test", "ÄRGER", "äb", "a\"b", "''", "%_", "日本語"]),
            0..4,
        ),
        prop::option::of(word(&["no such file", "Make it so"])),
        (0_u64..40, any::<bool>()),
    )
        .prop_map(
            move |(state, workspace, label, reason, outcomes, words, message, (at, is_argv))| {
                let attempts = (1_u32..).zip(outcomes).map(|(n, outcome)| HistoryAttempt {
                    n,
                    outcome,
                    message: message.clone(),
                    started_at_ms: at,
                    ..HistoryAttempt::default()
                });
                HistoryTask {
                    state,
                    workspace,
                    label,
                    reason,
                    command: (!is_argv).then(|| words.join(" ")),
                    argv: is_argv.then_some(words),
                    attempts: attempts.collect(),
                    ..ended(key, at)
                }
            },
        )
}

fn any_filter() -> impl Strategy<Value = HistoryFilter> {
    let some = |words: &'static [&'static str]| {
        let word = prop::sample::select(words).prop_map(str::to_owned);
        prop::collection::vec(word, 0..3)
    };
    let texts: &[&str] = &[
        "make",
        "e t",
        "test",
        "Ärg",
        "äb",
        "\"",
        "''",
        "%",
        "本語",
        "so",
        "make test make",
        "nowhere",
    ];
    let text = || prop::option::of(prop::sample::select(texts).prop_map(str::to_owned));
    (
        some(&["succeeded", "failed", "lost"]),
        some(&["", "api", "web"]),
        some(&["nightly", "x"]),
        some(&["ok", "timeout"]),
        some(&["ok", "limited"]),
        text(),
        text(),
        (prop::option::of(0_u64..40), prop::option::of(0_u64..40)),
    )
        .prop_map(
            |(states, workspaces, labels, reasons, outcomes, command, search, (since_ms, until_ms))| {
                HistoryFilter {
                    states,
                    workspaces,
                    labels,
                    reasons,
                    outcomes,
                    command,
                    search,
                    since_ms,
                    until_ms,
                    ..HistoryFilter::default()
                }
            },
        )
}

/// What the filter means, said the long way.
fn passes(filter: &HistoryFilter, task: &HistoryTask) -> bool {
    let among = |values: &[String], value: Option<&String>| {
        values.is_empty() || value.is_some_and(|value| values.contains(value))
    };
    let holds = |text: &str, wanted: &str| text.to_lowercase().contains(&wanted.to_lowercase());
    let outcomes = task
        .attempts
        .iter()
        .filter_map(|attempt| attempt.outcome.as_ref());
    among(&filter.states, Some(&task.state))
        && among(&filter.workspaces, Some(&task.workspace))
        && among(&filter.labels, task.label.as_ref())
        && among(&filter.reasons, task.reason.as_ref())
        && (filter.outcomes.is_empty() || outcomes.into_iter().any(|one| filter.outcomes.contains(one)))
        && filter
            .command
            .as_ref()
            .is_none_or(|text| holds(&task.text(), text))
        && filter.search.as_ref().is_none_or(|text| {
            holds(&task.text(), text) || task.message().is_some_and(|said| holds(said, text))
        })
        && filter.since_ms.is_none_or(|since| task.ended_at_ms >= since)
        && filter.until_ms.is_none_or(|until| task.ended_at_ms < until)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn filters_let_through_what_they_say(
        tasks in (1_u64..30).prop_flat_map(|count| (1..=count).map(any_task).collect::<Vec<_>>()),
        filters in prop::collection::vec(any_filter(), 8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h");
        import(&path, &tasks);
        let reader = Reader::open(&path).unwrap();
        for filter in filters {
            let mut found = ids(&reader, &filter);
            found.sort_unstable();
            let wanted: Vec<u64> = tasks.iter().filter(|task| passes(&filter, task)).map(|task| task.key).collect();
            prop_assert_eq!(found, wanted, "{:?}", filter);
        }
    }
}
