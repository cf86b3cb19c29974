//! The real Prometheus with this repository's scrape config, rules and dashboards, against the real daemon.
//!
//! Most of it is ignored unless asked for: `.ci/run prometheus` installs Debian's prometheus and runs it.
#![cfg(target_os = "linux")]

mod prometheus_support;
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prometheus_support::expressions::{all_dashboards, list, metrics_of, of_panels, of_variables};
use prometheus_support::load::{self, Load};
use prometheus_support::metrics_text::Series;
use prometheus_support::{dashboards, free_port, get, promtool, truth, Prometheus};
use support::DEADLINE;
use wezterm_parallel::metrics::catalog::{Metric, CATALOG};

/// Metrics that no panel and no rule asks for, and why.
const NOT_ASKED_FOR: &[(&str, &str)] = &[
    (
        "process_start_time_seconds",
        "the same as wezterm_parallel_start_timestamp_seconds",
    ),
    (
        "process_virtual_memory_bytes",
        "address space says little, and dwarfs the memory in use",
    ),
];

/// A panel that has no data on some machines, even after the load.
struct MayBeEmpty {
    place: &'static str,
    reason: &'static str,
    is_so_here: fn() -> bool,
}

const MAY_BE_EMPTY: &[MayBeEmpty] = &[MayBeEmpty {
    place: "admission.json, \"Pressure\"",
    reason: "not every kernel tells of stalls (PSI)",
    is_so_here: || std::fs::read_to_string("/proc/pressure/memory").is_err(),
}];

// ---- what needs no Prometheus -----------------------------------------------------------------------------

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let (mut uids, mut panels) = (BTreeSet::new(), 0);
    for (name, dashboard) in all_dashboards() {
        assert!(
            uids.insert(dashboard["uid"].to_string()),
            "{name}: its uid is not its own"
        );
        assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource", "{name}");
        for panel in list(&dashboard, "/panels") {
            let place = format!("{name}, {}", panel["title"]);
            for text in [
                &panel["title"],
                &panel["description"],
                &panel["fieldConfig"]["defaults"]["unit"],
            ] {
                assert!(
                    text.as_str().is_some_and(|text| !text.is_empty()),
                    "{place}: {panel:#}"
                );
            }
            assert!(!list(panel, "/targets").is_empty(), "{place}");
            for target in list(panel, "/targets") {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
            }
            panels += 1;
        }
    }
    assert!(panels > 0);
}

#[test]
fn dashboards_and_rules_ask_for_every_metric_and_no_other() {
    let rules = ["rules.yml", "alerts.yml"]
        .map(|name| std::fs::read_to_string(dashboards("prometheus").join(name)).expect("rules"));
    let panels = of_panels().into_iter().map(|expression| expression.text);
    let asked_for: BTreeSet<_> = panels
        .chain(rules)
        .flat_map(|text| metrics_of(&text))
        .filter(|name| !name.contains(':') && name != "up" && !name.starts_with("scrape_"))
        .map(|name| {
            let parts = ["_bucket", "_count", "_sum"].into_iter();
            let histogram = parts.filter_map(|part| name.strip_suffix(part)).next();
            histogram.unwrap_or(&name).to_owned()
        })
        .chain(NOT_ASKED_FOR.iter().map(|(name, _)| (*name).to_owned()))
        .collect();
    let all: BTreeSet<_> = CATALOG.iter().map(Metric::name).collect();
    assert_eq!(asked_for, all);
}

#[test]
fn every_alert_has_a_runbook() {
    let alerts = std::fs::read_to_string(dashboards("prometheus/alerts.yml")).expect("the alerts");
    let runbooks = std::fs::read_to_string(dashboards("../docs/alerts.md")).expect("docs/alerts.md");
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!names.is_empty());
    for name in &names {
        let anchor = format!("docs/alerts.md#{}\n", name.to_lowercase());
        assert_eq!(alerts.matches(&anchor).count(), 1, "{name} links to its runbook");
        assert!(
            runbooks.contains(&format!("\n## {name}\n")),
            "docs/alerts.md has no {name}"
        );
        assert!(
            runbooks.contains(&format!("| [{name}](#{})", name.to_lowercase())),
            "no row for {name}"
        );
    }
    assert_eq!(
        runbooks.matches("\n## ").count(),
        names.len(),
        "a runbook without its alert"
    );
}

// ---- with Prometheus --------------------------------------------------------------------------------------

#[test]
#[ignore = "needs prometheus; `.ci/run prometheus` installs it"]
fn promtool_is_content_with_config_rules_and_their_tests() {
    let file = |name: &str| dashboards("prometheus").join(name).display().to_string();
    promtool(["check", "config", &file("prometheus.yml")], "");
    promtool(["check", "rules", &file("rules.yml"), &file("alerts.yml")], "");
    promtool(["test", "rules", &file("alerts.test.yml")], "");
    let (alerts, tests) = ["alerts.yml", "alerts.test.yml"]
        .map(|name| std::fs::read_to_string(file(name)).expect("it is there"))
        .into();
    for name in alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let begin = format!("- alertname: {name}\n");
        let (fires, silent): (Vec<_>, Vec<_>) = tests
            .split(&begin)
            .skip(1)
            .partition(|test| !test.lines().nth(1).unwrap_or_default().ends_with("[]"));
        assert!(
            !fires.is_empty() && !silent.is_empty(),
            "{name} is to fire in one test and not in another"
        );
    }
}

/// One daemon, one Prometheus and one load for all that is to be seen after it.
#[test]
#[ignore = "needs prometheus; `.ci/run prometheus` installs it"]
fn after_a_load_everything_has_data_and_counters_tell_the_truth() {
    let port = free_port();
    let home = load::home(port);
    let daemon = home.daemon();
    let prometheus = Prometheus::start(&home.path().join("prometheus"), port);
    let _load = Load::run(&home, &prometheus, port);
    promtool(["check", "metrics"], &get(port, "/metrics").expect("metrics"));
    truth::counters_agree_with_the_journal(&home, port);
    let ended = Series::parse(&get(port, "/metrics").expect("metrics")).sum("tasks_ended_total");
    prometheus.wait_for(&format!("sum(wezterm_parallel_tasks_ended_total) == {ended}"));
    panels_have_data(&prometheus);
    rules_have_data(&prometheus);
    home.ok(["shutdown", "--kill"]);
    daemon.wait();
    prometheus.wait_for(r#"ALERTS{alertname="WeztermParallelDown"}"#);
}

/// Each expression is accepted, and has a number to show.
fn panels_have_data(prometheus: &Prometheus) {
    let expressions: Vec<_> = of_panels().into_iter().chain(of_variables()).collect();
    let mut missing: Vec<_> = expressions.iter().collect();
    for empty in MAY_BE_EMPTY {
        let known = missing.iter().any(|expression| expression.place == empty.place);
        assert!(known, "no panel {}: {}", empty.place, empty.reason);
        missing.retain(|expression| expression.place != empty.place || !(empty.is_so_here)());
    }
    let begin = Instant::now();
    while !missing.is_empty() {
        assert!(begin.elapsed() < DEADLINE, "no data: {missing:#?}");
        missing.retain(|expression| !prometheus.has_data(&expression.text));
        // Between two looks: some readings come twice a second only.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Recording rules have data. Alerts have none while all is well, so what they look at must be there.
fn rules_have_data(prometheus: &Prometheus) {
    let data = prometheus.api("rules").expect("rules");
    let groups = list(&data, "/groups").iter();
    let rules: Vec<_> = groups.flat_map(|group| list(group, "/rules")).collect();
    assert!(!rules.is_empty());
    for rule in rules {
        let (name, expression) = (&rule["name"], rule["query"].as_str().expect("a query"));
        assert_eq!(rule["health"], "ok", "{rule:#}");
        let looked_at = match rule["type"].as_str() {
            Some("recording") => BTreeSet::from([name.as_str().expect("a name").to_owned()]),
            _ => metrics_of(&format!("{expression} {}", rule["annotations"])),
        };
        assert!(!looked_at.is_empty(), "{rule:#}");
        for metric in looked_at {
            assert!(prometheus.has_data(&metric), "{name}: {metric} has no data");
        }
    }
}
