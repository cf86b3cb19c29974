//! The catalog is sound, and what is counted shows in the text.

use super::catalog::{self, Kind, CATALOG, LABELS_MAX};
use super::{page, Exporter};

/// The value of a series in a text.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn every_metric_follows_the_conventions() {
    for metric in CATALOG {
        let name = metric.name();
        let is_counter = metric.kind.name() == "counter";
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert_eq!(
            metric.buckets.is_empty(),
            metric.kind != Kind::Histograms,
            "{name}"
        );
        assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{name}");
        assert!(metric.labels.len() <= LABELS_MAX, "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
        assert!(!metric.labels.contains(&"le"), "{name}");
        let same = CATALOG.iter().filter(|other| other.name() == name);
        assert_eq!(same.count(), 1, "{name}");
    }
}

#[test]
fn the_page_is_the_one_made_from_the_catalog() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let expected = page();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/metrics.md differs from the catalog; look at the difference after\n  \
         UPDATE=1 cargo test --lib metrics::"
    );
}

#[test]
fn what_is_counted_shows_with_its_help_and_type() {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    ledger.add(catalog::TASKS_SUBMITTED, ["api", "shell"], 2);
    ledger.add(catalog::TASKS_SUBMITTED, ["", "claude"], 1);
    ledger.add_up(catalog::CLAUDE_COST, ["m", "api"], 0.5);
    ledger.add_up(catalog::CLAUDE_COST, ["m", "api"], 0.25);
    ledger.set(catalog::SLOTS, [], 3.0);
    let text = exporter.text();
    let submitted = "wezterm_parallel_tasks_submitted_total";
    assert!(text.contains(&format!(
        "# HELP {submitted} Tasks that were queued.\n# TYPE {submitted} counter\n"
    )));
    assert_eq!(
        value(
            &text,
            &format!("{submitted}{{workspace=\"api\",worker=\"shell\"}}")
        ),
        Some(2.0)
    );
    assert_eq!(
        value(
            &text,
            &format!("{submitted}{{workspace=\"none\",worker=\"claude\"}}")
        ),
        Some(1.0)
    );
    let cost = "wezterm_parallel_claude_cost_usd_total";
    assert!(
        text.contains(&format!("# TYPE {cost} counter\n")),
        "a sum is a counter"
    );
    assert_eq!(
        value(&text, &format!("{cost}{{model=\"m\",workspace=\"api\"}}")),
        Some(0.75)
    );
    assert_eq!(value(&text, "wezterm_parallel_slots"), Some(3.0));
    assert!(value(&text, "process_cpu_seconds_total").is_some());
}

#[test]
fn two_ledgers_count_the_same_series() {
    let exporter = Exporter::new();
    let (mut one, mut other) = (exporter.ledger(), exporter.ledger());
    one.add(catalog::OOM_KILLS, [], 1);
    other.add(catalog::OOM_KILLS, [], 2);
    assert_eq!(
        value(&exporter.text(), "wezterm_parallel_oom_kills_total"),
        Some(3.0)
    );
}

#[test]
fn observations_are_in_their_buckets_whether_somebody_asks_or_not() {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    ledger.observe(catalog::JOURNAL_FSYNC, [], 0.003, 1);
    exporter.settle();
    ledger.observe(catalog::JOURNAL_FSYNC, [], 0.07, 2);
    let text = exporter.text();
    let bucket = |le: &str| {
        value(
            &text,
            &format!("wezterm_parallel_journal_fsync_seconds_bucket{{le=\"{le}\"}}"),
        )
    };
    assert_eq!(
        (bucket("0.0025"), bucket("0.005"), bucket("0.1")),
        (Some(0.0), Some(1.0), Some(3.0))
    );
    assert_eq!(bucket("+Inf"), Some(3.0));
    assert_eq!(
        value(&text, "wezterm_parallel_journal_fsync_seconds_count"),
        Some(3.0)
    );
    let sum = value(&text, "wezterm_parallel_journal_fsync_seconds_sum").unwrap();
    assert!((sum - 0.143).abs() < 1e-9, "{sum}");
}

#[test]
fn workspaces_without_end_are_other() {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    ledger.know("workspace", ["of-the-config"]);
    for number in 0..300 {
        ledger.add(catalog::TASKS_SUBMITTED, [&format!("w{number}"), "shell"], 1);
    }
    ledger.add(catalog::TASKS_SUBMITTED, ["of-the-config", "shell"], 5);
    let text = exporter.text();
    let submitted = |workspace: &str| {
        let labels = format!("{{workspace=\"{workspace}\",worker=\"shell\"}}");
        value(&text, &format!("wezterm_parallel_tasks_submitted_total{labels}"))
    };
    assert_eq!(submitted("w0"), Some(1.0));
    assert_eq!(submitted("w98"), Some(1.0));
    assert_eq!(submitted("w99"), None);
    assert_eq!(submitted("other"), Some(201.0));
    assert_eq!(submitted("of-the-config"), Some(5.0));
}

#[test]
fn a_gauge_that_is_published_as_a_whole_forgets_nothing() {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    let queued = |workspace: &'static str, count: f64| (["queued", workspace, "normal"], count);
    ledger.publish(
        catalog::TASKS,
        [queued("api", 2.0), queued("api", 3.0), queued("web", 1.0)],
        |a, b| a + b,
    );
    let shown = |workspace: &str| {
        let labels = format!("{{state=\"queued\",workspace=\"{workspace}\",priority=\"normal\"}}");
        value(&exporter.text(), &format!("wezterm_parallel_tasks{labels}"))
    };
    assert_eq!((shown("api"), shown("web")), (Some(5.0), Some(1.0)));
    ledger.publish(catalog::TASKS, [queued("web", 4.0)], |a, b| a + b);
    assert_eq!((shown("api"), shown("web")), (Some(0.0), Some(4.0)));
}

#[test]
fn the_text_is_in_order() {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    for message in ["Status", "Info", "TaskQueue"] {
        ledger.add(catalog::MESSAGES, [message], 1);
    }
    ledger.set(catalog::CONNECTIONS, [], 1.0);
    let text = exporter.text();
    let ours: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("wezterm_parallel_"))
        .collect();
    assert!(ours.is_sorted(), "{ours:#?}");
}
