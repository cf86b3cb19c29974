//! What it costs to count an event, and to scrape: the goals are 1 µs and 5 ms.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::print_stdout, reason = "the size is told beside the times")]

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion};
use wezterm_parallel::metrics::{catalog, Exporter, Ledger};

const WORKERS: [&str; 3] = ["claude", "shell", "exec"];
const CLASSES: [&str; 4] = ["low", "normal", "high", "urgent"];

/// What fifty workspaces with ten thousand tasks in all leave behind.
fn fill(ledger: &mut Ledger) {
    let workspaces: Vec<String> = (0..50).map(|number| format!("workspace-{number}")).collect();
    let states = ["queued", "held", "delayed", "running"];
    for workspace in &workspaces {
        for state in states {
            for class in CLASSES {
                ledger.set(catalog::TASKS, [state, workspace, class], 12.0);
            }
        }
        for worker in WORKERS {
            ledger.add(catalog::TASKS_SUBMITTED, [workspace, worker], 70);
            ledger.add(catalog::ATTEMPTS_STARTED, [workspace, worker], 60);
            ledger.set(catalog::LEARNED_PEAK, [workspace, worker], 123_456_789.0);
        }
        for (state, reason) in [
            ("succeeded", "ok"),
            ("failed", "exit_code"),
            ("failed", "timeout"),
            ("cancelled", "cancelled"),
        ] {
            ledger.add(catalog::TASKS_ENDED, [workspace, state, reason], 15);
        }
        ledger.add_up(catalog::CLAUDE_COST, ["claude-opus-5-5", workspace], 0.123_456);
    }
    for worker in WORKERS {
        for class in CLASSES {
            ledger.observe(catalog::TASK_WAIT, [worker, class], 3.0, 100);
        }
        for state in ["ok", "failed"] {
            ledger.observe(catalog::ATTEMPT_RUN, [worker, state], 42.0, 100);
        }
    }
}

fn recording(criterion: &mut Criterion) {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    fill(&mut ledger);
    let mut group = criterion.benchmark_group("record");
    group.bench_function("counter without labels", |bencher| {
        bencher.iter(|| ledger.add(catalog::OOM_KILLS, [], black_box(1)));
    });
    group.bench_function("counter with two labels", |bencher| {
        let labels = black_box(["workspace-37", "shell"]);
        bencher.iter(|| ledger.add(catalog::TASKS_SUBMITTED, labels, 1));
    });
    group.bench_function("counter with three labels", |bencher| {
        let labels = black_box(["workspace-37", "succeeded", "ok"]);
        bencher.iter(|| ledger.add(catalog::TASKS_ENDED, labels, 1));
    });
    group.bench_function("gauge with three labels", |bencher| {
        let labels = black_box(["queued", "workspace-37", "normal"]);
        bencher.iter(|| ledger.set(catalog::TASKS, labels, black_box(3.0)));
    });
    // As in the daemon, what was observed is sorted into its buckets now and then; that is part of the figure.
    let mut count = 0_u32;
    group.bench_function("histogram with two labels", |bencher| {
        let labels = black_box(["shell", "normal"]);
        bencher.iter(|| {
            ledger.observe(catalog::TASK_WAIT, labels, black_box(0.3), 1);
            count += 1;
            if count.is_multiple_of(16_384) {
                exporter.settle();
            }
        });
    });
}

fn scraping(criterion: &mut Criterion) {
    let exporter = Exporter::new();
    let mut ledger = exporter.ledger();
    fill(&mut ledger);
    let text = exporter.text();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    println!("a scrape has {} bytes and {series} series", text.len());
    criterion.bench_function("scrape of 50 workspaces", |bencher| {
        bencher.iter(|| exporter.text());
    });
}

criterion_group!(benches, recording, scraping);
criterion_main!(benches);
