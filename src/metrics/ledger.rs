//! Where one thread writes down what it counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use tokio::sync::Notify;

use super::catalog::{Counters, Gauges, Histograms, Kind, Metric, Sums, CATALOG, LABELS_MAX};
use super::values::Values;

/// Observations lie in memory, 16 bytes each, until they are sorted into their buckets. After so many somebody is
/// woken to do it: a batch of a hundred thousand tasks a second is not kept for the seconds until the next scrape.
const OBSERVATIONS_MAX: usize = 16_384;

/// The recorder wants to know where a metric comes from; ours come from one place.
const ORIGIN: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

/// Observations that are in no bucket yet.
#[derive(Debug, Default)]
pub(super) struct Observations {
    count: AtomicUsize,
    pub(super) are_many: Notify,
}

impl Observations {
    fn add(&self, count: usize) {
        let before = self.count.fetch_add(count, Ordering::Relaxed);
        if before < OBSERVATIONS_MAX && before + count >= OBSERVATIONS_MAX {
            self.are_many.notify_one();
        }
    }

    /// They are sorted into their buckets now.
    pub(super) fn clear(&self) {
        self.count.store(0, Ordering::Relaxed);
    }
}

/// The numbers of a series' label values; unused ones are 0.
type Numbers = [u16; LABELS_MAX];

/// The handles of one metric.
struct Page {
    metric: &'static Metric,
    /// Its labels, as places in `Ledger::values`.
    labels: Vec<usize>,
    series: HashMap<Numbers, Series>,
    /// What was published last, of gauges that are published as a whole.
    published: HashMap<Numbers, f64>,
}

/// The handle of one series.
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// One thread's way to the metrics: it knows the handles of its series, and the values of its labels.
pub struct Ledger {
    recorder: Arc<PrometheusRecorder>,
    observations: Arc<Observations>,
    values: Vec<Values>,
    pages: Vec<Page>,
}

impl Ledger {
    pub(super) fn new(recorder: Arc<PrometheusRecorder>, observations: Arc<Observations>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut pages = Vec::with_capacity(CATALOG.len());
        for metric in CATALOG {
            let place = |label: &&'static str| {
                names.iter().position(|name| name == label).unwrap_or_else(|| {
                    names.push(label);
                    names.len() - 1
                })
            };
            pages.push(Page {
                metric,
                labels: metric.labels.iter().map(place).collect(),
                series: HashMap::new(),
                published: HashMap::new(),
            });
        }
        Self {
            recorder,
            observations,
            values: names.iter().map(|_| Values::new()).collect(),
            pages,
        }
    }

    /// Counts so many more; with 0 the series is there from now on.
    pub fn add<const LABELS: usize>(&mut self, counter: Counters<LABELS>, labels: [&str; LABELS], more: u64) {
        if let Series::Counter(counter) = self.series(counter.0, labels) {
            counter.increment(more);
        }
    }

    /// The count is this much by now; one that is less than before changes nothing.
    pub fn reach<const LABELS: usize>(
        &mut self,
        counter: Counters<LABELS>,
        labels: [&str; LABELS],
        now: u64,
    ) {
        if let Series::Counter(counter) = self.series(counter.0, labels) {
            counter.absolute(now);
        }
    }

    /// Adds so much to a sum; with 0 the series is there from now on.
    pub fn add_up<const LABELS: usize>(&mut self, sum: Sums<LABELS>, labels: [&str; LABELS], more: f64) {
        if let Series::Gauge(sum) = self.series(sum.0, labels) {
            sum.increment(more);
        }
    }

    /// The sum is this much by now.
    pub fn sum_up<const LABELS: usize>(&mut self, sum: Sums<LABELS>, labels: [&str; LABELS], now: f64) {
        if let Series::Gauge(sum) = self.series(sum.0, labels) {
            sum.set(now);
        }
    }

    /// The gauge stands there from now on.
    pub fn set<const LABELS: usize>(&mut self, gauge: Gauges<LABELS>, labels: [&str; LABELS], now: f64) {
        if let Series::Gauge(gauge) = self.series(gauge.0, labels) {
            gauge.set(now);
        }
    }

    /// The gauge goes up by so much, or down.
    pub fn move_by<const LABELS: usize>(&mut self, gauge: Gauges<LABELS>, labels: [&str; LABELS], by: f64) {
        if let Series::Gauge(gauge) = self.series(gauge.0, labels) {
            gauge.increment(by);
        }
    }

    /// So many things took so long each, in seconds.
    pub fn observe<const LABELS: usize>(
        &mut self,
        histogram: Histograms<LABELS>,
        labels: [&str; LABELS],
        seconds: f64,
        count: usize,
    ) {
        if let Series::Histogram(histogram) = self.series(histogram.0, labels) {
            histogram.record_many(seconds, count);
        }
        self.observations.add(count);
    }

    /// All values of a gauge at once. Series that are not among them are 0 from now on; of those that have the same
    /// labels, which is so for what is `other`, `fold` makes one value.
    pub fn publish<'a, const LABELS: usize>(
        &mut self,
        gauge: Gauges<LABELS>,
        values: impl IntoIterator<Item = ([&'a str; LABELS], f64)>,
        fold: impl Fn(f64, f64) -> f64,
    ) {
        let mut fresh: HashMap<Numbers, f64> = HashMap::new();
        for (labels, value) in values {
            let numbers = self.numbers(gauge.0, labels);
            let place = fresh.entry(numbers).or_insert(f64::NAN);
            *place = if place.is_nan() {
                value
            } else {
                fold(*place, value)
            };
        }
        let before = std::mem::take(&mut self.pages[gauge.0].published);
        for numbers in before.keys() {
            fresh.entry(*numbers).or_insert(0.0);
        }
        for (numbers, value) in &fresh {
            if before.get(numbers) != Some(value) {
                if let Series::Gauge(gauge) = self.series_of(gauge.0, *numbers) {
                    gauge.set(*value);
                }
            }
        }
        self.pages[gauge.0].published = fresh;
    }

    /// Gives these values of a label their numbers, so that later ones are `other` rather than they.
    pub fn know<'a>(&mut self, label: &str, values: impl IntoIterator<Item = &'a str>) {
        let mut pages = self.pages.iter();
        let place = pages.find_map(|page| {
            let at = page.metric.labels.iter().position(|name| *name == label)?;
            Some(page.labels[at])
        });
        if let Some(place) = place {
            for value in values {
                self.values[place].number(value);
            }
        }
    }

    fn series<const LABELS: usize>(&mut self, place: usize, labels: [&str; LABELS]) -> &Series {
        let numbers = self.numbers(place, labels);
        self.series_of(place, numbers)
    }

    fn numbers<const LABELS: usize>(&mut self, place: usize, labels: [&str; LABELS]) -> Numbers {
        let mut numbers = Numbers::default();
        for (number, (value, at)) in numbers
            .iter_mut()
            .zip(labels.iter().zip(&self.pages[place].labels))
        {
            *number = self.values[*at].number(value);
        }
        numbers
    }

    fn series_of(&mut self, place: usize, numbers: Numbers) -> &Series {
        let page = &mut self.pages[place];
        let (metric, labels) = (page.metric, &page.labels);
        let (recorder, values) = (&self.recorder, &self.values);
        page.series.entry(numbers).or_insert_with(|| {
            let named = metric.labels.iter().zip(labels.iter().zip(numbers));
            let label = |(name, (at, number)): (&&'static str, (&usize, u16))| {
                Label::new(*name, values[*at].name(number).to_owned())
            };
            let key = Key::from_parts(metric.name(), named.map(label).collect::<Vec<_>>());
            match metric.kind {
                Kind::Counters => Series::Counter(recorder.register_counter(&key, &ORIGIN)),
                Kind::Sums | Kind::Gauges => Series::Gauge(recorder.register_gauge(&key, &ORIGIN)),
                Kind::Histograms => Series::Histogram(recorder.register_histogram(&key, &ORIGIN)),
            }
        })
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let series: usize = self.pages.iter().map(|page| page.series.len()).sum();
        formatter.debug_struct("Ledger").field("series", &series).finish()
    }
}
