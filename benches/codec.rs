//! How fast lines are read and answers written; the goal is 300,000 `TaskQueue` lines a second.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use wezterm_parallel::protocol::{
    decode, encode, encode_message, Answer, LineReader, Message, StatusUpdate, TaskQueue,
};

/// Lines in one read of the reader's benchmark.
const LINES: u64 = 10_000;

fn line(task: TaskQueue) -> Vec<u8> {
    let mut line = Vec::new();
    encode_message(&Message::TaskQueue(Box::new(task)), &mut line);
    line.pop();
    line
}

fn small() -> TaskQueue {
    TaskQueue {
        id: "12345".to_owned(),
        priority: Some(100),
        command: Some("cargo test --workspace".to_owned()),
        cwd: Some("/home/me/src/api".to_owned()),
        ..TaskQueue::default()
    }
}

/// As `queue` sends it: with the caller's whole environment.
fn with_environment() -> TaskQueue {
    let variable = |n: usize| (format!("VARIABLE_{n}"), "/usr/local/bin:/usr/bin".to_owned());
    TaskQueue {
        env: Some((0..40).map(variable).collect::<BTreeMap<_, _>>()),
        ..small()
    }
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, line) in [
        ("small", line(small())),
        ("with environment", line(with_environment())),
        ("unknown field", b"{\"TaskQueue\":{\"comand\":\"true\"}}".to_vec()),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| decode(black_box(&line))));
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let answer = Answer::StatusUpdate(StatusUpdate {
        process_id: "12345".to_owned(),
        status: "Queued".to_owned(),
    });
    let mut buffer = Vec::new();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    group.bench_function("StatusUpdate", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            encode(black_box(&answer), &mut buffer);
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O cannot fail");
    let mut stream = line(small());
    stream.push(b'\n');
    let stream = stream.repeat(usize::try_from(LINES).expect("it fits"));
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("10,000 small lines", |bencher| {
        bencher.iter(|| {
            let mut reader = LineReader::new(stream.as_slice());
            runtime.block_on(async {
                while let Ok(batch) = reader.next_batch(1024).await {
                    if batch.end.is_some() {
                        break;
                    }
                    black_box(batch);
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, decoding, encoding, reading);
criterion_main!(benches);
