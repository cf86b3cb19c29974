//! The listener on real files, written as a worker writes them.

use std::fs::OpenOptions;
use std::io::Write;

use wezterm_parallel_scheduler::TaskKey;

use super::*;
use crate::claude::Outcome;

const ID: AttemptId = AttemptId {
    key: TaskKey(7),
    attempt: 1,
};
/// Long enough for a loaded machine; a test that hits it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

struct Stage {
    folder: tempfile::TempDir,
    listener: Listener,
    heard: mpsc::Receiver<Heard>,
}

impl Stage {
    fn new() -> Self {
        let (tx, heard) = mpsc::channel(HEARD_MAX);
        Self {
            folder: tempfile::tempdir().unwrap(),
            listener: Listener::start(tx).unwrap(),
            heard,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn follow(&self, stall_timeout: Duration) {
        self.listener
            .follow(ID, self.folder.path().to_owned(), stall_timeout);
    }

    fn conclude(&self, exit: Exit) {
        let folder = self.folder.path().to_owned();
        self.listener.conclude(ID, folder, Ending::Exited(Box::new(exit)));
    }

    fn next(&mut self) -> Heard {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let heard = runtime.block_on(async { tokio::time::timeout(DEADLINE, self.heard.recv()).await });
        heard
            .expect("something is heard in time")
            .expect("the listener lives")
    }

    /// The news up to what is not news.
    fn news(&mut self) -> (Vec<News>, Heard) {
        let mut all = Vec::new();
        loop {
            match self.next() {
                Heard::News(id, news) => {
                    assert_eq!(id, ID);
                    all.push(news);
                }
                other => return (all, other),
            }
        }
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read(format!("{root}/tests/fixtures/claude/2.1.330/{name}.jsonl")).unwrap()
}

fn exit_code(code: i32) -> Exit {
    Exit {
        exit_code: Some(code),
        ..Exit::default()
    }
}

#[test]
fn news_come_while_it_runs_and_the_end_is_judged() {
    let mut stage = Stage::new();
    let lines = fixture("usage_warning_subscription");
    let (first, rest) = lines.split_at(lines.len() / 2);
    stage.write("output", first);
    stage.follow(Duration::MAX);
    let (news, then) = stage.news();
    assert!(matches!(then, Heard::CaughtUp(ID)), "{then:?}");
    assert!(matches!(news[0], News::Began { .. }), "{news:?}");
    stage.write("output", rest);
    stage.conclude(exit_code(0));
    let (news, then) = stage.news();
    assert!(news.iter().any(|news| matches!(news, News::Limit(_))), "{news:?}");
    let Heard::Concluded(ID, Ending::Exited(exit), judged) = then else {
        panic!("{then:?}");
    };
    assert_eq!(exit.exit_code, Some(0));
    assert_eq!(judged.conclusion.outcome, Outcome::Ok);
}

#[test]
fn an_end_is_judged_without_having_been_listened_to() {
    let mut stage = Stage::new();
    stage.write("output", &fixture("permission_denied"));
    stage.conclude(exit_code(0));
    let (_, then) = stage.news();
    let Heard::Concluded(_, _, judged) = then else {
        panic!("{then:?}");
    };
    assert_eq!(judged.conclusion.outcome, Outcome::Denied);
}

#[test]
fn the_last_words_on_stderr_are_part_of_the_judgement() {
    let mut stage = Stage::new();
    stage.write("stderr", b"error: unknown option '--nonsense'\n");
    stage.conclude(exit_code(1));
    let (_, then) = stage.news();
    let Heard::Concluded(_, _, judged) = then else {
        panic!("{then:?}");
    };
    assert_eq!(judged.conclusion.outcome, Outcome::Crashed);
    assert!(judged
        .conclusion
        .message
        .as_deref()
        .unwrap_or_default()
        .contains("--nonsense"));
}

#[test]
fn a_question_is_told_once_and_not_again_after_it_was_answered() {
    let mut stage = Stage::new();
    stage.write("output", &fixture("question_open"));
    stage.follow(Duration::MAX);
    let (news, _) = stage.news();
    let asked = news.iter().find_map(|news| match news {
        News::Asked(question) => Some(question.clone()),
        _ => None,
    });
    let question = asked.expect("a question");
    assert_eq!(question.tool, "Bash");
    let answer = crate::claude::allow_line(&question, None);
    stage.write("stdin", answer.as_bytes());
    // The next daemon's listener.
    let mut next = Stage::new();
    next.listener
        .follow(ID, stage.folder.path().to_owned(), Duration::MAX);
    let (news, then) = next.news();
    assert!(matches!(then, Heard::CaughtUp(ID)));
    assert!(
        !news.iter().any(|news| matches!(news, News::Asked(_))),
        "{news:?}"
    );
}

#[test]
fn silence_is_told_each_time_that_it_has_lasted() {
    let mut stage = Stage::new();
    stage.follow(Duration::from_millis(1));
    assert!(matches!(stage.news().1, Heard::CaughtUp(ID)));
    for _ in 0..2 {
        assert!(matches!(stage.news().1, Heard::Silent(ID)));
    }
}

#[test]
fn a_line_without_end_is_passed_over() {
    let mut stage = Stage::new();
    let lines = fixture("success");
    let mut split = lines.splitn(2, |byte| *byte == b'\n');
    let (first, rest) = (split.next().unwrap(), split.next().unwrap());
    stage.write("output", first);
    stage.write("output", b"\n");
    stage.write("output", &vec![b'x'; 17 << 20]);
    stage.write("output", b"\n");
    stage.write("output", rest);
    stage.conclude(exit_code(0));
    let Heard::Concluded(_, _, judged) = stage.news().1 else {
        panic!("no conclusion");
    };
    assert_eq!(judged.conclusion.outcome, Outcome::Ok);
}
