//! docs/metrics.md, made from the catalog.

use std::fmt::Write as _;

use super::catalog::{Metric, CATALOG};
use super::values::VALUES_MAX;

/// What stands above the tables.
const HEAD: &str = "\
# Metrics

The daemon tells Prometheus how it is at `http://127.0.0.1:9469/metrics`; `[metrics]` in the config says where, or
`\"off\"`. `wezterm-parallel metrics` prints the same through the daemon's socket, and `--textfile PATH` writes it to a
file for the node exporter. This page is made from the program's own table by `UPDATE=1 cargo test --lib metrics::`.

Counters begin at 0 with each daemon. What they count of tasks is counted when it is in the journal, and only then: what
was taken back because the disk was full has never been counted. Gauges of the queue and of the machine are at most a
quarter of a second old while something changes, and five seconds while nothing does.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    let _ = write!(
        page,
        "
A label has at most {VALUES_MAX} values over a daemon's life, those of the config first; what comes after them is `other`.
The workspace of tasks without one is `none`. `priority` is a class: `low` (0 to 99), `normal` (100 to 149), `high`
(150 to 199), `urgent` (200 to 255).
"
    );
    let mut section = "";
    for metric in CATALOG {
        if metric.section != section {
            section = metric.section;
            let _ = write!(
                page,
                "\n## {section}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
            );
        }
        row(&mut page, metric);
    }
    page.push_str("\n## Buckets\n\n| histogram | upper bounds, in seconds |\n|---|---|\n");
    for metric in CATALOG.iter().filter(|metric| !metric.buckets.is_empty()) {
        let bounds: Vec<String> = metric.buckets.iter().map(f64::to_string).collect();
        let _ = writeln!(page, "| `{}` | {} |", metric.name(), bounds.join(", "));
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let (name, kind, labels) = (metric.name(), metric.kind.name(), labels.join(", "));
    let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {} |", metric.help);
}
