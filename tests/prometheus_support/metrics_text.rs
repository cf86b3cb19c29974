//! Prometheus' text format as far as the tests need it: series with their labels and values.

use std::collections::BTreeMap;

/// Series of one reading, by name and labels.
#[derive(Debug)]
pub(crate) struct Series(Vec<(String, BTreeMap<String, String>, f64)>);

impl Series {
    /// From what the daemon's endpoint says.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| parse_line(line).unwrap_or_else(|| panic!("{line}")))
                .collect(),
        )
    }

    /// The sums of a metric by these labels; without what is zero.
    pub(crate) fn sums(&self, name: &str, by: &[&str]) -> BTreeMap<Vec<String>, f64> {
        let name = format!("wezterm_parallel_{name}");
        let mut sums = BTreeMap::new();
        for (_, labels, value) in self
            .0
            .iter()
            .filter(|(found, _, value)| *found == name && *value != 0.0)
        {
            let key = by
                .iter()
                .map(|label| labels.get(*label).cloned().unwrap_or_default());
            *sums.entry(key.collect()).or_insert(0.0) += value;
        }
        sums
    }

    /// The sum of a whole metric.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.sums(name, &[]).values().sum()
    }
}

fn parse_line(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.strip_suffix('}').and_then(|series| series.split_once('{')) else {
        return Some((series.to_owned(), BTreeMap::new(), value));
    };
    // No value of the tests has a quotation mark in it.
    let labels = labels.split("\",").map(|label| label.split_once("=\""));
    let labels = labels
        .map(|label| label.map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned())))
        .collect::<Option<_>>()?;
    Some((name.to_owned(), labels, value))
}
