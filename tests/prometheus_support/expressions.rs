//! Every expression of the dashboards: what a panel asks, and what a variable is filled with.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dashboards;

/// What Grafana would put in place of its variables.
const VARIABLES: [(&str, &str); 4] = [
    ("$__rate_interval", "5m"),
    ("$__range", "15m"),
    ("$instance", ".+"),
    ("$workspace", ".+"),
];

/// One expression, and where it stands.
#[derive(Debug)]
pub(crate) struct Expression {
    /// The dashboard's file and the panel's title.
    pub(crate) place: String,
    /// The expression, without variables.
    pub(crate) text: String,
}

/// The dashboards by the names of their files.
pub(crate) fn all_dashboards() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(dashboards("grafana")).expect("dashboards/grafana");
    let mut all: Vec<_> = folder
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a dashboard");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).expect("JSON"))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The members of a list.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// What the panels ask.
pub(crate) fn of_panels() -> Vec<Expression> {
    let mut expressions = Vec::new();
    for (name, dashboard) in all_dashboards() {
        for panel in list(&dashboard, "/panels") {
            for target in list(panel, "/targets") {
                expressions.push(Expression {
                    place: format!("{name}, {}", panel["title"]),
                    text: without_variables(target["expr"].as_str().expect("an expression")),
                });
            }
        }
    }
    expressions
}

/// What the variables of the dashboards are filled with, as expressions whose series have the label.
pub(crate) fn of_variables() -> Vec<Expression> {
    let mut expressions = Vec::new();
    for (name, dashboard) in all_dashboards() {
        for variable in list(&dashboard, "/templating/list") {
            let Some(definition) = variable["definition"].as_str() else {
                continue;
            };
            let inner = definition
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'));
            let (metric, label) = inner
                .and_then(|inner| inner.rsplit_once(", "))
                .expect("label_values(metric, label)");
            expressions.push(Expression {
                place: format!("{name}, variable {label}"),
                text: format!("count by ({label}) ({})", without_variables(metric)),
            });
        }
    }
    expressions
}

/// The names of metrics in an expression: ours, those that rules record, and those that Prometheus adds.
pub(crate) fn metrics_of(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words
        .filter(|word| {
            let ours = ["wezterm_parallel_", "process_", "scrape_"];
            ours.iter().any(|begin| word.starts_with(begin))
                || word.contains(":wezterm_parallel_")
                || *word == "up"
        })
        .map(str::to_owned)
        .collect()
}

fn without_variables(expression: &str) -> String {
    let text = VARIABLES
        .iter()
        .fold(expression.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        });
    assert!(!text.contains('$'), "a variable that is not known: {text}");
    text
}
