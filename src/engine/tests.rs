//! The engine's rounds with an executor without processes and a journal that fails on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use wezterm_parallel_scheduler::{TaskKey, Tick};

use super::*;
use crate::executor::{AttemptId, Exit, FakeExecutor, FakeHandle, StopCause};
use crate::gauge::Gauge;
use crate::host::{FakeHost, HostHandle};
use crate::journal::Broken;
use crate::protocol::{
    Answer, Cancel, Clean, DaemonInfo, ErrorCode, Ids, Message, OneTask, Shutdown, StatusUpdate, TaskQueue,
    TaskView,
};

/// An engine whose rounds the test plays by hand.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) handle: FakeHandle,
    pub(super) host: HostHandle,
    pub(super) folder: tempfile::TempDir,
    pub(super) exporter: crate::metrics::Exporter,
    _commands: mpsc::Sender<Command>,
}

pub(super) fn config(slots: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let lookup = |name: &str| (name == "HOME").then(|| folder.path().as_os_str().to_owned());
    let paths = crate::config::Paths::from_variables(lookup, None).expect("paths");
    let env = [("SLOTS", slots), ("DEFAULT_WORKER", "shell")];
    let env = env.map(|(name, value)| (format!("WEZTERM_PARALLEL_POOL_{name}"), value.to_owned()));
    Config::load(None, env.into_iter(), &paths)
        .expect("a config")
        .config
}

impl Stage {
    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a folder"))
    }

    fn open(folder: tempfile::TempDir) -> Self {
        Self::open_with(folder, config("2"), |_| {})
    }

    /// As after a restart: `found` says what becomes of attempts that ran before.
    pub(super) fn open_with(folder: tempfile::TempDir, config: Config, found: impl Fn(&FakeHandle)) -> Self {
        let journal = folder.path().join("journal");
        let options = crate::journal::Options {
            segment_bytes: config.journal.snapshot_bytes.0,
        };
        let (journal, recovered, warnings) = recover(&journal, options).expect("a journal");
        assert!(warnings.is_empty(), "{warnings:?}");
        let (commands_tx, commands) = mpsc::channel(COMMANDS_MAX);
        let (reports_tx, reports) = mpsc::channel(REPORTS_MAX);
        let (heard_tx, heard) = mpsc::channel(crate::listener::HEARD_MAX);
        let (gauged_tx, gauged) = mpsc::channel(crate::gauge::GAUGED_MAX);
        let (probed_tx, probed) = mpsc::channel(crate::prober::PROBED_MAX);
        let (fake_host, host) = FakeHost::new();
        // Most tests are about something else than what a machine can carry.
        host.change(|reading| {
            let memory = reading.memory.as_mut().expect("it can be read");
            (memory.total_bytes, memory.available_bytes) = (256 << 30, 250 << 30);
        });
        let exporter = crate::metrics::Exporter::new();
        let (executor, handle) = FakeExecutor::new(reports_tx);
        found(&handle);
        let parts = Parts {
            config,
            journal,
            recovered,
            executor: Box::new(executor),
            listener: crate::listener::Listener::start(heard_tx).expect("a listener"),
            gauge: Gauge::start(Box::new(fake_host), gauged_tx).expect("a gauge"),
            prober: crate::prober::Prober::new(probed_tx),
            tasks_folder: folder.path().join("tasks"),
            peaks_file: folder.path().join("peaks.json"),
            status_file: folder.path().join("status.json"),
            history_file: folder.path().join("history.sqlite"),
            bell: Bell::new(std::sync::mpsc::sync_channel(1).0),
            templates: crate::templates::Templates::new(folder.path().join("templates")),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            groups: crate::cgroup::Means::None("this is a test".to_owned()),
            metrics: exporter.ledger(),
            info: DaemonInfo::default(),
            warnings: Vec::new(),
        };
        let inputs = Inputs {
            commands,
            reports,
            heard,
            gauged,
            probed,
        };
        let mut engine = Engine::new(parts, inputs);
        engine.adopt();
        engine.adopt_processes();
        engine.open_the_pool();
        let first = engine.gauged.blocking_recv().expect("a first reading");
        engine.play(vec![Happened::Gauged(first)]);
        Self {
            engine,
            handle,
            host,
            folder,
            exporter,
            _commands: commands_tx,
        }
    }

    /// One round with these lines of one client: its answers.
    pub(super) fn ask(&mut self, messages: Vec<Message>) -> Vec<Answer> {
        let (reply, mut answers) = oneshot::channel();
        let messages = messages.into_iter().map(Ok).collect();
        self.engine.play(vec![Happened::Asked(Command::Ask {
            messages,
            from: Lineage::default(),
            read_at: std::time::Instant::now(),
            reply,
        })]);
        answers.try_recv().expect("each round answers")
    }

    pub(super) fn ask_one(&mut self, message: Message) -> Answer {
        self.ask(vec![message]).remove(0)
    }

    /// A round without news, and one for what has been reported meanwhile.
    pub(super) fn tick(&mut self) {
        self.engine.play(vec![Happened::TimePassed]);
        while let Ok(report) = self.engine.reports.try_recv() {
            self.engine.play(vec![Happened::Reported(report)]);
        }
    }

    pub(super) fn task(&mut self, id: &str) -> TaskView {
        match self.ask_one(Message::Show(OneTask { id: id.to_owned() })) {
            Answer::Task(task) => *task,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn break_journal(&mut self, broken: bool) {
        self.engine
            .journal
            .break_for_test(broken.then_some(Broken::Write));
    }

    /// Launches since the last call.
    fn launched(&self) -> Vec<u64> {
        self.handle
            .take_launches()
            .iter()
            .map(|launch| launch.id.key.0)
            .collect()
    }

    fn end(&self, key: u64, code: i32) {
        let exit = Exit {
            exit_code: Some(code),
            ..Exit::default()
        };
        self.handle.end(attempt(key), exit);
    }

    /// With this config, and nothing in the journal.
    pub(super) fn of(config: Config) -> Self {
        Self::open_with(tempfile::tempdir().expect("a folder"), config, |_| {})
    }

    /// The next daemon, with the same folder.
    pub(super) fn reopen(self, config: Config) -> Self {
        let Self { engine, folder, .. } = self;
        drop(engine);
        Self::open_with(folder, config, |_| {})
    }

    /// The next daemon, which finds attempts as `found` says.
    pub(super) fn reopen_with(self, found: impl Fn(&FakeHandle)) -> Self {
        let Self { engine, folder, .. } = self;
        drop(engine);
        Self::open_with(folder, config("2"), found)
    }

    /// The newest attempt of this task.
    pub(super) fn attempt_of(&self, id: &str) -> AttemptId {
        let key = self.engine.store.find(id).expect("the task");
        let attempt = self.engine.scheduler.task(key).expect("the task").attempts;
        AttemptId { key, attempt }
    }

    /// An attempt is over, and the engine hears of it.
    pub(super) fn end_with(&mut self, id: AttemptId, exit: Exit) {
        self.handle.end(id, exit);
        self.tick();
    }

    /// As a shim reports it that was asked to stop.
    fn stopped(&self, key: u64) {
        let exit = Exit {
            signal: Some(libc::SIGTERM),
            stopped: Some(StopCause::Request),
            ..Exit::default()
        };
        self.handle.end(attempt(key), exit);
    }
}

fn attempt(key: u64) -> AttemptId {
    AttemptId {
        key: TaskKey(key),
        attempt: 1,
    }
}

fn queue(id: &str) -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        id: id.to_owned(),
        command: Some("true".to_owned()),
        cwd: Some("/".to_owned()),
        ..TaskQueue::default()
    }))
}

fn queued(id: &str) -> Answer {
    Answer::StatusUpdate(StatusUpdate {
        process_id: id.to_owned(),
        status: "Queued".to_owned(),
        note: None,
    })
}

pub(super) fn code(answer: &Answer) -> Option<ErrorCode> {
    match answer {
        Answer::Error(error) => Some(error.code),
        _ => None,
    }
}

pub(super) fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn answers_and_starts_wait_for_the_disk_and_share_one_sync() {
    let mut stage = Stage::new();
    let before = stage.engine.journal.last_lsn();
    let answers = stage.ask(vec![queue("a"), queue("b"), queue("c")]);
    assert_eq!(answers, [queued("a"), queued("b"), queued("c")]);
    assert!(stage.engine.journal.last_lsn() > before);
    assert_eq!(stage.launched(), [1, 2], "two slots");
    stage.break_journal(true);
    let answers = stage.ask(vec![queue("d"), queue("e")]);
    let codes: Vec<_> = answers.iter().map(code).collect();
    assert_eq!(codes, [Some(ErrorCode::JournalFailed); 2]);
    assert_eq!(
        code(&stage.ask_one(Message::Show(OneTask { id: "d".into() }))),
        Some(ErrorCode::UnknownTask)
    );
    stage.engine.scheduler.check_invariants();
}

#[test]
fn a_failed_journal_undoes_starts_keeps_ends_and_recovers_by_itself() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b"), queue("c")]);
    assert_eq!(stage.launched(), [1, 2]);
    stage.break_journal(true);
    stage.end(1, 3);
    stage.tick();
    assert_eq!(stage.task("a").state, "failed", "its end is known");
    assert_eq!(stage.task("c").state, "queued");
    assert_eq!(
        stage.launched(),
        [] as [u64; 0],
        "nothing starts that is not recorded"
    );
    let refused = stage.ask_one(Message::Hold(Ids {
        ids: ids(&["c"]),
        ..Ids::default()
    }));
    assert_eq!(code(&refused), Some(ErrorCode::JournalFailed));
    let gates = stage.engine.views().summary(stage.engine.clock.now()).blocked_by;
    assert!(gates.iter().any(|gate| gate.gate == "journal"), "{gates:?}");
    stage.break_journal(false);
    stage.tick();
    assert_eq!(stage.launched(), [3], "it starts as soon as that can be recorded");
    // What was kept in memory is on the disk now.
    let Stage { engine, folder, .. } = stage;
    drop(engine);
    let mut next = Stage::open(folder);
    assert_eq!(next.task("a").attempts[0].exit_code, Some(3));
}

#[test]
fn what_was_started_before_a_failed_sync_goes_on_and_is_recorded_later() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b"), queue("c")]);
    assert_eq!(stage.launched(), [1, 2]);
    stage.engine.journal.break_for_test(Some(Broken::Sync));
    stage.end(1, 0);
    stage.tick();
    assert_eq!(stage.launched(), [3], "its start was written");
    assert_eq!(stage.task("c").state, "running");
    stage.end(2, 0);
    stage.tick();
    stage.break_journal(false);
    stage.end(3, 0);
    stage.tick();
    let Stage { engine, folder, .. } = stage;
    drop(engine);
    let mut next = Stage::open(folder);
    for id in ["a", "b", "c"] {
        assert_eq!(next.task(id).state, "succeeded", "{id}");
    }
    assert_eq!(next.launched(), [] as [u64; 0]);
}

#[test]
fn a_restart_with_free_slots_starts_what_waits_and_records_it() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b"), queue("c"), queue("d")]);
    assert_eq!(stage.launched(), [1, 2]);
    stage.ask_one(Message::Shutdown(Shutdown { kill: true }));
    for key in [1, 2] {
        stage.end(key, 0);
    }
    stage.tick();
    let Stage { engine, folder, .. } = stage;
    drop(engine);
    let next = Stage::open(folder);
    assert_eq!(next.launched(), [3, 4]);
    let Stage { engine, folder, .. } = next;
    drop(engine);
    let mut last = Stage::open(folder);
    assert_eq!(last.task("c").attempts.len(), 1, "its start was recorded");
}

#[test]
fn a_task_that_is_queued_and_cancelled_in_one_round_is_started_and_stopped() {
    let mut stage = Stage::new();
    let cancel = Message::Cancel(Cancel {
        ids: ids(&["a"]),
        ..Cancel::default()
    });
    stage.ask(vec![queue("a"), cancel]);
    assert_eq!(stage.launched(), [1]);
    assert_eq!(stage.handle.take_stops().len(), 1);
}

#[test]
fn an_end_that_a_torn_commit_has_half_recorded_is_taken_again() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a")]);
    assert_eq!(stage.launched(), [1]);
    let task = TaskKey(1);
    let outcome = super::facts::Outcome {
        attempt: 1,
        exit: None,
        outcome: "ok".into(),
        message: None,
        claude: None,
        at: stage.engine.clock.now(),
    };
    super::facts::outcome(&mut stage.engine.store, task, outcome);
    stage.end(1, 0);
    stage.tick();
    assert_eq!(stage.task("a").state, "succeeded");
}

#[test]
fn a_journal_that_failed_with_nothing_left_to_write_is_tried_again() {
    let mut stage = Stage::new();
    // The environment is in the journal already, so that a withdrawn task leaves no record.
    stage.ask_one(queue("a"));
    stage.launched();
    stage.break_journal(true);
    assert_eq!(code(&stage.ask_one(queue("b"))), Some(ErrorCode::JournalFailed));
    stage.tick();
    assert_eq!(code(&stage.ask_one(queue("b"))), Some(ErrorCode::JournalFailed));
    stage.break_journal(false);
    stage.tick();
    assert_eq!(stage.ask_one(queue("b")), queued("b"));
    assert_eq!(stage.launched().len(), 1);
}

#[test]
fn a_cancel_takes_effect_whether_or_not_it_can_be_written() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b")]);
    stage.launched();
    stage.break_journal(true);
    for id in ["a", "b"] {
        let cancel = Cancel {
            ids: ids(&[id]),
            ..Cancel::default()
        };
        let answer = stage.ask_one(Message::Cancel(cancel));
        assert!(matches!(answer, Answer::Changed(_)), "{answer:?}");
    }
    let stopped: Vec<u64> = stage.handle.take_stops().iter().map(|(id, _)| id.key.0).collect();
    assert_eq!(stopped, [1, 2]);
    stage.end(1, 0);
    stage.end(2, 0);
    stage.tick();
    stage.handle.assert_empty();
}

#[test]
fn output_is_not_removed_before_its_removal_is_on_the_disk() {
    let mut stage = Stage::new();
    stage.ask_one(queue("a"));
    stage.launched();
    stage.end(1, 0);
    stage.tick();
    let output = stage.folder.path().join("tasks/a/1/output");
    std::fs::create_dir_all(output.parent().expect("a parent")).expect("a folder");
    std::fs::write(&output, "precious").expect("a file");
    stage.break_journal(true);
    let clean = stage.ask_one(Message::Clean(Clean::default()));
    assert_eq!(code(&clean), Some(ErrorCode::JournalFailed));
    let kept: Vec<&str> = stage
        .engine
        .unwritten_removals
        .iter()
        .map(|removed| removed.id.as_str())
        .collect();
    assert_eq!(kept, ["a"]);
    assert!(output.exists());
    stage.break_journal(false);
    stage.tick();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while output.exists() {
        assert!(std::time::Instant::now() < deadline, "it was never removed");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(
        code(&stage.ask_one(queue("a"))),
        Some(ErrorCode::Conflict),
        "an id is never used again"
    );
}

#[test]
fn a_plan_for_one_stop_is_not_used_for_another() {
    let mut stage = Stage::new();
    stage.ask_one(queue("a"));
    stage.launched();
    let hard = Cancel {
        ids: ids(&["a"]),
        signal: Some("KILL".to_owned()),
        grace_ms: Some(5),
    };
    stage.ask_one(Message::Cancel(hard.clone()));
    assert_eq!(stage.handle.take_stops()[0].1.grace_ms, 5);
    stage.end(1, 0);
    stage.tick();
    assert_eq!(
        code(&stage.ask_one(Message::Cancel(hard))),
        Some(ErrorCode::WrongState)
    );
    let retry = crate::protocol::Retry {
        ids: ids(&["a"]),
        ..crate::protocol::Retry::default()
    };
    stage.ask_one(Message::Retry(retry));
    assert_eq!(stage.launched(), [1]);
    stage.ask_one(Message::Cancel(Cancel {
        ids: ids(&["a"]),
        ..Cancel::default()
    }));
    let plan = stage.handle.take_stops()[0].1;
    assert_eq!((plan.signal, plan.grace_ms), (libc::SIGTERM, 10_000));
}

#[test]
fn retention_keeps_the_newest_and_what_others_wait_for() {
    let mut stage = Stage::new();
    for id in ["a", "b", "c", "d"] {
        stage.ask_one(queue(id));
        let key = stage.launched()[0];
        stage.end(key, i32::from(id == "a"));
        stage.tick();
    }
    let Message::TaskQueue(mut waits) = queue("waits") else {
        panic!("a task");
    };
    waits.after = ids(&["b:failure"]);
    let Answer::StatusUpdate(skipped) = stage.ask_one(Message::TaskQueue(waits)) else {
        panic!("not queued");
    };
    assert_eq!(skipped.status, "Skipped", "b succeeded");
    let mut config = config("2");
    config.retention.tasks = 2;
    stage
        .engine
        .play(vec![Happened::Asked(Command::Reload(Box::new(Reloaded {
            config,
            warnings: Vec::new(),
            metrics: None,
        })))]);
    stage.tick();
    let left: Vec<String> = stage
        .engine
        .views()
        .filtered(&crate::protocol::Filter::default(), None)
        .into_iter()
        .map(|task| task.id)
        .collect();
    assert_eq!(left, ["d", "waits"]);
}

#[test]
fn a_shutdown_with_kill_waits_for_the_workers_and_starts_nothing() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b"), queue("c")]);
    stage.launched();
    stage.ask_one(Message::Shutdown(Shutdown { kill: true }));
    assert!(!stage.engine.is_over());
    assert_eq!(code(&stage.ask_one(queue("d"))), Some(ErrorCode::ShuttingDown));
    assert_eq!(stage.handle.take_stops().len(), 2);
    stage.stopped(1);
    stage.tick();
    assert!(!stage.engine.is_over());
    stage.stopped(2);
    stage.tick();
    assert!(stage.engine.is_over());
    assert_eq!(stage.task("a").state, "cancelled");
    assert_eq!(stage.task("c").state, "queued", "it is for the next daemon");
    stage.handle.assert_empty();
}

#[test]
fn new_limits_take_effect_at_once() {
    let mut stage = Stage::new();
    stage.ask(vec![queue("a"), queue("b"), queue("c"), queue("d")]);
    assert_eq!(stage.launched(), [1, 2]);
    let reload = Command::Reload(Box::new(Reloaded {
        config: config("3"),
        warnings: vec!["careful".to_owned()],
        metrics: None,
    }));
    stage.engine.play(vec![Happened::Asked(reload)]);
    assert_eq!(stage.launched(), [3]);
    assert_eq!(stage.engine.info.warnings, ["careful"]);
}

#[test]
fn weights_of_workspaces_take_effect_with_the_config() {
    let mut weighted = config("1");
    weighted.limits.weights = BTreeMap::from([("web".to_owned(), 3)]);
    let mut stage = Stage::open_with(tempfile::tempdir().expect("a folder"), weighted.clone(), |_| {});
    let in_workspace = |id: &str, name: &str| match queue(id) {
        Message::TaskQueue(task) => Message::TaskQueue(Box::new(TaskQueue {
            workspace: Some(name.to_owned()),
            ..*task
        })),
        other => other,
    };
    let api = ["a1", "a2", "a3", "a4"].map(|id| in_workspace(id, "api"));
    let web = ["w5", "w6", "w7", "w8"].map(|id| in_workspace(id, "web"));
    stage.ask(api.into_iter().chain(web).collect());
    assert_eq!(stage.launched(), [1]);
    weighted.pool.slots = crate::config::Slots::Count(5);
    let reload = Command::Reload(Box::new(Reloaded {
        config: weighted,
        warnings: Vec::new(),
        metrics: None,
    }));
    stage.engine.play(vec![Happened::Asked(reload)]);
    // Three parts of what is free to one.
    assert_eq!(stage.launched(), [2, 5, 6, 7]);
}

#[test]
fn a_launch_that_fails_is_tried_again_later() {
    let mut stage = Stage::new();
    stage.handle.refuse_launches(Some("no room"));
    stage.ask_one(queue("a"));
    let own = std::mem::take(&mut stage.engine.own_reports);
    stage
        .engine
        .play(own.into_iter().map(Happened::Reported).collect());
    let task = stage.task("a");
    assert_eq!((task.state.as_str(), task.retries_used), ("delayed", 0));
    assert_eq!(task.attempts[0].message.as_deref(), Some("no room"));
    assert!(task.not_before_ms > Some(Tick::default().0));
}
