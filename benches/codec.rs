//! How fast lines are read and answers written; the goals are 300,000 `TaskQueue` lines a second
//! decoded, and a client that is no bottleneck at 150,000 tasks a second.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use wezterm_parallel::client::Client;
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
    let answer = queued();
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

/// The client's share of a batch: a server that decodes each line and answers at once.
fn asking(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let server = std::thread::spawn(move || listener.accept().map(|(stream, _)| serve(&stream)));
    let mut client = Client::connect(&socket).expect("the server listens");
    let mut group = criterion.benchmark_group("client");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("ask_all of 10,000", |bencher| {
        bencher.iter(|| {
            let tasks = (0..LINES).map(|_| Message::TaskQueue(Box::new(small())));
            client
                .ask_all(tasks, |_, answer| drop(black_box(answer)))
                .expect("the server answers");
        });
    });
    group.finish();
    drop(client);
    drop(server.join());
}

fn serve(stream: &UnixStream) {
    let mut answers = BufWriter::new(stream);
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    let mut answer = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        drop(black_box(decode(line.trim_ascii())));
        line.clear();
        answer.clear();
        encode(&queued(), &mut answer);
        let is_last = lines.buffer().is_empty();
        if answers.write_all(&answer).is_err() || (is_last && answers.flush().is_err()) {
            return;
        }
    }
}

fn queued() -> Answer {
    Answer::StatusUpdate(StatusUpdate {
        process_id: "12345".to_owned(),
        status: "Queued".to_owned(),
        note: None,
    })
}

criterion_group!(benches, decoding, encoding, reading, asking);
criterion_main!(benches);
