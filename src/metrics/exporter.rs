//! All metrics as the text that Prometheus reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalog::{Kind, Metric, CATALOG};
use super::ledger::{Ledger, Observations};
use super::process;

/// Makes the text. Whoever asks for it waits for nobody but others who ask.
#[derive(Debug)]
pub struct Exporter {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    observations: Arc<Observations>,
    kinds: HashMap<String, Kind>,
    /// What is read of the daemon's own process when somebody asks, and not before.
    own: Mutex<Ledger>,
}

impl Exporter {
    /// One without any series yet, except counters and histograms without labels.
    #[must_use]
    pub fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in CATALOG.iter().filter(|metric| metric.kind == Kind::Histograms) {
            let name = Matcher::Full(metric.name());
            let with_buckets = builder.set_buckets_for_metric(name, metric.buckets);
            builder = with_buckets.expect("a test looks for histograms without buckets");
        }
        let recorder = builder.build_recorder();
        for metric in CATALOG {
            describe(&recorder, metric);
        }
        let handle = recorder.handle();
        let (recorder, observations) = (Arc::new(recorder), Arc::new(Observations::default()));
        let own = Ledger::new(Arc::clone(&recorder), Arc::clone(&observations));
        Self {
            recorder,
            handle,
            observations,
            kinds: CATALOG
                .iter()
                .map(|metric| (metric.name(), metric.kind))
                .collect(),
            own: Mutex::new(own),
        }
    }

    /// A ledger, for a thread that counts.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::new(Arc::clone(&self.recorder), Arc::clone(&self.observations))
    }

    /// All metrics as text, families and series in alphabetical order.
    #[must_use]
    pub fn text(&self) -> String {
        {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            process::measure(&mut own);
        }
        self.observations.clear();
        tidy(&self.handle.render(), &self.kinds)
    }

    /// Sorts what was observed into its buckets. Without that it would lie in memory until the next [`text`](Self::text).
    pub fn settle(&self) {
        self.observations.clear();
        self.handle.run_upkeep();
    }

    /// Returns once there are many observations that are in no bucket yet.
    pub(super) async fn have_many(&self) {
        self.observations.are_many.notified().await;
    }
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let (name, help) = (metric.name().into(), metric.help.into());
    match metric.kind {
        Kind::Counters => recorder.describe_counter(name, None, help),
        Kind::Sums | Kind::Gauges => recorder.describe_gauge(name, None, help),
        Kind::Histograms => recorder.describe_histogram(name, None, help),
    }
}

/// Puts the text in order, which people and files that are compared are glad of, and calls sums what they are: the
/// exporter's own counters are whole numbers, so that seconds and dollars are kept as gauges.
fn tidy(text: &str, kinds: &HashMap<String, Kind>) -> String {
    let families: BTreeMap<&str, &str> = text
        .split("\n\n")
        .filter_map(|family| {
            let name = family.strip_prefix("# HELP ")?.split(' ').next()?;
            Some((name, family))
        })
        .collect();
    let mut tidied = String::with_capacity(text.len());
    for (name, family) in families {
        let kind = kinds.get(name).copied();
        let (comments, mut series): (Vec<&str>, Vec<&str>) =
            family.lines().partition(|line| line.starts_with('#'));
        // Buckets come in the order of their bounds already.
        if kind != Some(Kind::Histograms) {
            series.sort_unstable();
        }
        for line in comments {
            if kind == Some(Kind::Sums) && line.starts_with("# TYPE ") {
                tidied.extend(["# TYPE ", name, " counter\n"]);
            } else {
                tidied.extend([line, "\n"]);
            }
        }
        for line in series {
            tidied.extend([line, "\n"]);
        }
    }
    tidied
}
