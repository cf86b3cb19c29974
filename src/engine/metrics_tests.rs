//! What is counted of tasks agrees with the journal, and gauges with the queue.

use std::time::Duration;

use super::tests::{code, config, ids, Stage};
use super::*;
use crate::executor::Exit;
use crate::host::TreeMemory;
use crate::platform::since_boot;
use crate::protocol::{Answer, Cancel, ErrorCode, Ids, Message, Retry, TaskQueue};

/// A scrape of all workspaces, workers and states is no larger than this.
const TEXT_BYTES_MAX: usize = 200 * 1024;

fn task(id: &str, workspace: &str) -> TaskQueue {
    TaskQueue {
        id: id.to_owned(),
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        workspace: Some(workspace.to_owned()).filter(|name| !name.is_empty()),
        ..TaskQueue::default()
    }
}

fn queue(task: TaskQueue) -> Message {
    Message::TaskQueue(Box::new(task))
}

fn exit(code: i32) -> Exit {
    Exit {
        exit_code: Some(code),
        started_at_ms: 1_000,
        ended_at_ms: 3_500,
        output_bytes: 10,
        ..Exit::default()
    }
}

impl Stage {
    /// The value of one of our series; `None` if there is none.
    pub(super) fn counted(&self, series: &str) -> Option<f64> {
        let text = self.exporter.text();
        let series = format!("wezterm_parallel_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series))?;
        value.parse().ok()
    }

    /// The gauges as they stand now, rather than a quarter of a second ago.
    pub(super) fn published(&mut self) {
        let now = self.engine.clock.now();
        let summary = self.engine.views().summary(now);
        self.engine.publish(now, &summary);
    }
}

#[test]
fn each_step_of_a_task_is_counted_once() {
    let mut stage = Stage::of(config("1"));
    let retried = TaskQueue {
        retries: Some(1),
        ..task("a", "api")
    };
    let answers = stage.ask(vec![queue(retried), queue(task("b", ""))]);
    assert!(answers
        .iter()
        .all(|answer| matches!(answer, Answer::StatusUpdate(_))));
    let submitted = |stage: &Stage, workspace| {
        stage.counted(&format!(
            "tasks_submitted_total{{workspace=\"{workspace}\",worker=\"shell\"}}"
        ))
    };
    assert_eq!(
        (submitted(&stage, "api"), submitted(&stage, "none")),
        (Some(1.0), Some(1.0))
    );
    // The same again is no second submission.
    stage.ask_one(queue(task("b", "")));
    assert_eq!(submitted(&stage, "none"), Some(1.0));
    assert_eq!(stage.counted("submit_ack_seconds_count"), Some(3.0));
    let started = "attempts_started_total{workspace=\"api\",worker=\"shell\"}";
    assert_eq!(stage.counted(started), Some(1.0));
    assert_eq!(stage.counted("dispatch_latency_seconds_count"), Some(1.0));
    assert_eq!(
        stage.counted("task_wait_seconds_count{worker=\"shell\",priority=\"normal\"}"),
        Some(1.0)
    );

    stage.handle.take_launches();
    let id = stage.attempt_of("a");
    stage.end_with(id, exit(7));
    let ended = "attempts_ended_total{worker=\"shell\",outcome=\"exit_code\"}";
    assert_eq!(stage.counted(ended), Some(1.0));
    assert_eq!(
        stage.counted("task_retries_total{worker=\"shell\",reason=\"exit_code\"}"),
        Some(1.0)
    );
    assert_eq!(
        stage.counted("attempt_run_seconds_sum{worker=\"shell\",state=\"failed\"}"),
        Some(2.5)
    );
    assert_eq!(stage.counted("output_bytes_total{worker=\"shell\"}"), Some(10.0));

    let id = stage.attempt_of("b");
    stage.end_with(id, exit(0));
    stage.ask_one(Message::Cancel(Cancel {
        ids: ids(&["a"]),
        ..Cancel::default()
    }));
    let ended = |stage: &Stage, workspace, state, reason| {
        let labels = format!("{{workspace=\"{workspace}\",state=\"{state}\",reason=\"{reason}\"}}");
        stage.counted(&format!("tasks_ended_total{labels}"))
    };
    assert_eq!(ended(&stage, "none", "succeeded", "ok"), Some(1.0));
    assert_eq!(ended(&stage, "api", "cancelled", "cancelled"), Some(1.0));
    // Who is wanted again has not waited since it ended.
    stage.ask_one(Message::Retry(Retry {
        ids: ids(&["b"]),
        ..Retry::default()
    }));
    assert_eq!(
        stage.counted("task_wait_seconds_count{worker=\"shell\",priority=\"normal\"}"),
        Some(3.0)
    );
    assert!(stage.counted("newest_start_timestamp_seconds") > Some(1.7e9));
    let records = stage.engine.journal.last_lsn().0 as f64;
    stage.published();
    assert_eq!(stage.counted("journal_records_total"), Some(records));
}

#[test]
fn what_could_not_be_written_is_not_counted_before_it_is() {
    let mut stage = Stage::of(config("1"));
    stage.ask(vec![queue(task("a", "")), queue(task("b", ""))]);
    let syncs = stage.counted("journal_fsync_seconds_count");
    stage.break_journal(true);
    assert_eq!(
        code(&stage.ask_one(queue(task("c", "")))),
        Some(ErrorCode::JournalFailed)
    );
    let submitted = "tasks_submitted_total{workspace=\"none\",worker=\"shell\"}";
    assert_eq!(stage.counted(submitted), Some(2.0), "it was taken back");
    assert_eq!(stage.counted("submit_ack_seconds_count"), Some(2.0));
    let id = stage.attempt_of("a");
    stage.end_with(id, exit(0));
    let ended = "tasks_ended_total{workspace=\"none\",state=\"succeeded\",reason=\"ok\"}";
    assert_eq!(stage.counted(ended), None, "only this daemon knows of it");
    stage.published();
    assert_eq!(stage.counted("journal_failing"), Some(1.0));
    assert_eq!(stage.counted("queue_blocked{gate=\"journal\"}"), Some(1.0));
    assert_eq!(stage.counted("journal_fsync_seconds_count"), syncs);
    stage.break_journal(false);
    stage.tick();
    assert_eq!(stage.counted(ended), Some(1.0));
    assert_eq!(stage.counted(submitted), Some(2.0), "and never counted");
    let outcome = "attempts_ended_total{worker=\"shell\",outcome=\"ok\"}";
    assert_eq!(stage.counted(outcome), Some(1.0));
    stage.published();
    assert_eq!(stage.counted("journal_failing"), Some(0.0));
    assert_eq!(stage.counted("queue_blocked{gate=\"journal\"}"), Some(0.0));
}

#[test]
fn a_task_that_is_removed_in_the_round_of_its_end_is_counted_where_it_belongs() {
    let mut config = config("1");
    config.retention.tasks = 0;
    let mut stage = Stage::of(config);
    stage.ask_one(queue(task("a", "api")));
    let id = stage.attempt_of("a");
    stage.end_with(id, exit(0));
    assert_eq!(stage.engine.store.len(), 0);
    let ended = "tasks_ended_total{workspace=\"api\",state=\"succeeded\",reason=\"ok\"}";
    assert_eq!(stage.counted(ended), Some(1.0));
}

#[test]
fn a_restart_counts_nothing_again() {
    let mut stage = Stage::of(config("1"));
    let held = TaskQueue {
        hold: true,
        ..task("a", "api")
    };
    stage.ask_one(queue(held));
    let mut stage = stage.reopen(config("1"));
    let submitted = "tasks_submitted_total{workspace=\"api\",worker=\"shell\"}";
    assert_eq!(stage.counted(submitted), None);
    stage.published();
    let held = "tasks{state=\"held\",workspace=\"api\",priority=\"normal\"}";
    assert_eq!(
        stage.counted(held),
        Some(1.0),
        "gauges stand where the queue does"
    );
}

#[test]
fn gauges_show_the_queue_as_it_stands() {
    let mut stage = Stage::of(config("1"));
    let urgent = TaskQueue {
        priority: Some(200),
        ..task("c", "api")
    };
    stage.ask(vec![queue(task("a", "api")), queue(task("b", "")), queue(urgent)]);
    stage.published();
    let tasks = |stage: &Stage, state, workspace, class| {
        let labels = format!("{{state=\"{state}\",workspace=\"{workspace}\",priority=\"{class}\"}}");
        stage.counted(&format!("tasks{labels}"))
    };
    assert_eq!(tasks(&stage, "running", "api", "normal"), Some(1.0));
    assert_eq!(tasks(&stage, "queued", "none", "normal"), Some(1.0));
    assert_eq!(tasks(&stage, "queued", "api", "urgent"), Some(1.0));
    assert_eq!(
        (stage.counted("slots"), stage.counted("slots_used")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(stage.counted("queue_blocked{gate=\"slots\"}"), Some(1.0));
    assert_eq!(stage.counted("host_memory_bytes"), Some((256_u64 << 30) as f64));
    assert!(stage.counted("host_reading_timestamp_seconds") > Some(1.7e9));
    stage.ask_one(Message::Pause(Ids::default()));
    stage.ask_one(Message::Hold(Ids {
        ids: ids(&["b"]),
        ..Ids::default()
    }));
    stage.published();
    assert_eq!(stage.counted("paused"), Some(1.0));
    assert_eq!(
        tasks(&stage, "queued", "none", "normal"),
        Some(0.0),
        "a series stays"
    );
    assert_eq!(tasks(&stage, "held", "none", "normal"), Some(1.0));
    stage.engine.scheduler.check_invariants();
}

#[test]
fn the_cpu_time_of_a_slot_never_falls() {
    let mut stage = Stage::of(config("1"));
    stage.ask_one(queue(task("a", "")));
    let id = stage.attempt_of("a");
    let see = |stage: &mut Stage, seconds| {
        let tree = TreeMemory {
            bytes: 4_096,
            cpu: Duration::from_secs(seconds),
            ..TreeMemory::default()
        };
        let gauged = Gauged::Trees(since_boot(), vec![(id, tree)]);
        stage.engine.play(vec![Happened::Gauged(gauged)]);
        stage.counted("worker_cpu_seconds_total{slot=\"0\"}")
    };
    assert_eq!(see(&mut stage, 3), Some(3.0));
    assert_eq!(see(&mut stage, 2), Some(3.0), "a process has ended as an orphan");
    assert_eq!(see(&mut stage, 4), Some(4.0));
    stage.published();
    assert_eq!(stage.counted("worker_memory_bytes{slot=\"0\"}"), Some(4_096.0));
    let exit = Exit {
        cpu_seconds: 6.5,
        ..exit(0)
    };
    stage.end_with(id, exit);
    stage.published();
    assert_eq!(stage.counted("worker_cpu_seconds_total{slot=\"0\"}"), Some(6.5));
    assert_eq!(stage.counted("worker_memory_bytes{slot=\"0\"}"), Some(0.0));
}

#[test]
fn ten_thousand_tasks_in_fifty_workspaces_fit_into_a_scrape() {
    let mut config = config("64");
    config.retention.tasks = 100;
    let mut stage = Stage::of(config);
    for round in 0..20_u32 {
        let tasks = (0..500_u32).map(|number| {
            let number = round * 500 + number;
            let argv = (number % 3 == 0).then(|| vec!["true".to_owned()]);
            queue(TaskQueue {
                priority: Some((number / 50 % 4 * 60) as u8),
                command: Some("true".to_owned()).filter(|_| argv.is_none()),
                argv,
                hold: number % 7 == 0,
                delay_ms: (number % 11 == 0).then_some(3_600_000),
                ..task("", &format!("workspace-{}", number % 50))
            })
        });
        stage.ask(tasks.collect());
        for launch in stage.handle.take_launches() {
            let code = i32::from(launch.id.key.0 % 5 == 0);
            let exit = Exit {
                peak_memory_bytes: 1 << 20,
                ..exit(code)
            };
            stage.handle.end(launch.id, exit);
        }
        stage.tick();
    }
    stage.published();
    let text = stage.exporter.text();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(
        text.len() <= TEXT_BYTES_MAX,
        "{} bytes, {series} series",
        text.len()
    );
    assert!(series > 500, "{series} series");
}
