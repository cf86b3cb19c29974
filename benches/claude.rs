//! How fast event lines are understood and shown; the goal is 200 MB/s for each, so that a run never waits for
//! whoever reads along.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use serde_json::json;
use wezterm_parallel::claude::{Renderer, Style, Transcript};

const SESSION: &str = "5d9da90f-5f70-40e3-951f-1c84e11dd6f6";

/// Words a model writes between two newlines.
const SENTENCE: &str = "The failing test expects the lock to be released before the journal is flushed, \
                        so the order in `close` has to change. ";

/// Each piece of an answer while it is written.
fn deltas() -> Vec<String> {
    let delta = |text: &str| {
        format!(
            "{{\"type\":\"stream_event\",\"event\":{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"text_delta\",\"text\":\"{text}\"}}}},\"session_id\":\"{SESSION}\",\
             \"parent_tool_use_id\":null,\"uuid\":\"{SESSION}\",\"api_message_id\":\"msg_b55955af194948dabf05\"}}"
        )
    };
    (0..4_000)
        .map(|n| delta(&SENTENCE[n % 40..n % 40 + 45]))
        .collect()
}

/// A file that a tool read, given twice as the CLI does: for the model and for programs.
fn tool_results() -> Vec<String> {
    let file = "    let mut frame = self.frame(\"header\\n\")?; // as on disk\n".repeat(64 * 1024 / 58);
    let call = json!({"model": "claude-opus-5-5", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/home/dev/project/src/frame.rs"}},
    ]});
    let result = json!({"content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": file}]});
    let meta = json!([{"id": "toolu_1", "permission_decision": {"decision": "accept", "source": "config"}}]);
    let pair = [
        event("assistant", &format!("\"message\":{call},\"parent_tool_use_id\":null")),
        event(
            "user",
            &format!(
                "\"message\":{result},\"parent_tool_use_id\":null,\"tool_use_result\":{},\"tool_result_meta\":{meta}",
                json!({"file": {"content": file}})
            ),
        ),
    ];
    pair.into_iter().cycle().take(20).collect()
}

/// Whole messages, without pieces.
fn texts() -> Vec<String> {
    let message = json!({"model": "claude-opus-5-5", "content": [
        {"type": "text", "text": format!("{}\n\n", SENTENCE.repeat(6)).repeat(4)},
    ]});
    vec![
        event(
            "assistant",
            &format!("\"message\":{message},\"parent_tool_use_id\":null")
        );
        300
    ]
}

fn event(kind: &str, fields: &str) -> String {
    format!("{{\"type\":\"{kind}\",{fields},\"session_id\":\"{SESSION}\",\"uuid\":\"{SESSION}\"}}")
}

fn mixes() -> [(&'static str, Vec<String>); 4] {
    let all = [deltas(), tool_results(), texts()].concat();
    [
        ("deltas", deltas()),
        ("tool results", tool_results()),
        ("texts", texts()),
        ("all", all),
    ]
}

fn bytes(lines: &[String]) -> Throughput {
    Throughput::Bytes(lines.iter().map(|line| line.len() as u64 + 1).sum())
}

fn understanding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transcript");
    for (name, lines) in mixes() {
        group.throughput(bytes(&lines));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut transcript = Transcript::new();
                for line in &lines {
                    black_box(transcript.line(black_box(line.as_bytes())));
                }
                transcript.saw_event_lines()
            });
        });
    }
    group.finish();
}

fn showing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    let style = Style {
        color: true,
        width: Some(120),
        partial: true,
    };
    for (name, lines) in mixes() {
        group.throughput(bytes(&lines));
        group.bench_function(name, |bencher| {
            let mut out = String::new();
            bencher.iter(|| {
                let mut renderer = Renderer::new(style);
                for line in &lines {
                    out.clear();
                    renderer.line(black_box(line.as_bytes()), &mut out);
                }
                renderer.finish(&mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, understanding, showing);
criterion_main!(benches);
