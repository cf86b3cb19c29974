//! What durability costs: commits of different sizes, and loading everything at a start.
//!
//! The folder is made where temporary files go; set `TMPDIR` to measure another disk. With
//! `JOURNAL_BENCH_RECORDS=1000000` loading is also measured with so many records.

use std::path::Path;
use std::sync::Arc;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use wezterm_parallel::journal::{EnvHash, Journal, Options, Record, Spec};
use wezterm_parallel_scheduler::{Backoff, Lane, Needs, Submission, TaskKey, Tick};

/// About 350 bytes in the journal, like a task that someone has queued by hand.
fn submitted(key: u64) -> Record {
    Record::Submitted {
        submission: Box::new(Submission {
            key: TaskKey(key),
            lane: Lane {
                workspace: "".into(),
                worker: "shell".into(),
            },
            priority: 100,
            submitted_at: Tick(1_700_000_000_000),
            after: Vec::new(),
            not_before: None,
            start_by: None,
            held: false,
            backoff: Backoff {
                max_retries: 0,
                base_ms: 1000,
                max_ms: 60_000,
            },
            session: None,
            cost: 0,
            needs: Needs::default(),
        }),
        spec: Box::new(Spec {
            name: None,
            command: Some(format!("make -C build/{key} check").into()),
            argv: None,
            cwd: Arc::from("/home/me/projects/api"),
            env: EnvHash(0x1234_5678_9abc_def0),
            label: None,
            timeout_ms: None,
            extra: None,
            claude: None,
            parent: None,
            content: key,
        }),
    }
}

fn open(folder: &Path) -> Journal {
    let opened = Journal::open(folder, Options::default(), drop);
    opened.expect("the folder is ours").journal
}

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for count in [1, 100, 1000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut journal = open(folder.path());
        let records: Vec<Record> = (1..=count).map(submitted).collect();
        group.throughput(Throughput::Elements(count));
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter(|| journal.commit(&records).expect("there is room"));
        });
    }
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    let more = std::env::var("JOURNAL_BENCH_RECORDS").ok();
    let more = more.and_then(|count| count.parse().ok());
    let mut group = criterion.benchmark_group("replay");
    group.sample_size(10);
    for count in [10_000, 100_000].into_iter().chain(more) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut journal = open(folder.path());
        for first in (1..=count).step_by(10_000) {
            let records: Vec<Record> = (first..first + 10_000).map(submitted).collect();
            journal.commit(&records).expect("there is room");
        }
        drop(journal);
        group.throughput(Throughput::Elements(count));
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter_batched(
                || Vec::with_capacity(usize::try_from(count).expect("it fits in memory")),
                |mut records| {
                    let opened = Journal::open(folder.path(), Options::default(), |record| {
                        records.push(record);
                    });
                    (opened.expect("it was written whole"), records)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, commit, replay);
criterion_main!(benches);
