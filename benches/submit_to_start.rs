//! From a submission to the first byte that its command writes, through the real daemon and disk.

use std::io::Read;

use criterion::{criterion_group, criterion_main, Criterion};
use wezterm_parallel::protocol::{Answer, Message, TaskQueue};

#[path = "../tests/support/mod.rs"]
mod support;

fn submit_to_start(criterion: &mut Criterion) {
    let home = support::Home::with_config("[pool]\nslots = 2\n");
    let _daemon = home.daemon();
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo works");
    let write = Message::TaskQueue(Box::new(TaskQueue {
        command: Some(format!("echo started >{}", pipe.display())),
        ..TaskQueue::default()
    }));
    let mut client = home.client();
    criterion.bench_function("submit_to_start", |bench| {
        bench.iter(|| {
            let answer = client.ask(&write);
            assert!(matches!(answer, Ok(Answer::StatusUpdate(_))), "{answer:?}");
            let mut text = String::new();
            let mut reader = std::fs::File::open(&pipe).expect("the pipe is there");
            reader.read_to_string(&mut text).expect("the command writes");
        });
    });
    criterion.bench_function("submit_to_durable_answer", |bench| {
        let held = Message::TaskQueue(Box::new(TaskQueue {
            command: Some("true".to_owned()),
            hold: true,
            ..TaskQueue::default()
        }));
        bench.iter(|| client.ask(&held).expect("an answer"));
    });
}

criterion_group!(benches, submit_to_start);
criterion_main!(benches);
