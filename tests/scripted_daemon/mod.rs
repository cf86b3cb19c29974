//! A daemon that answers as a test says, and the real binary run against it in a home of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use wezterm_parallel::protocol::{
    decode, encode, Answer, AttemptView, Changed, EnvironmentStored, ErrorAnswer, ErrorCode, Event, Message,
    Reserved, StatusAnswer, StatusUpdate, TaskQueue, TaskView,
};

/// No test takes longer, unless something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What the scripted daemon does about a message.
pub(crate) enum Reply {
    Say(Vec<Answer>),
    /// Closes the connection without an answer.
    HangUp,
}

/// A home of its own, and a daemon that answers as the test says.
pub(crate) struct Stage {
    pub(crate) home: TempDir,
    pub(crate) heard: Arc<Mutex<Vec<Message>>>,
}

impl Stage {
    pub(crate) fn new(
        script: impl FnMut(&Message, &mut dyn FnMut(Answer)) -> Reply + Send + 'static,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(home.path().join("socket")).unwrap();
        let script = Arc::new(Mutex::new(script));
        let ear = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, ear) = (Arc::clone(&script), Arc::clone(&ear));
                std::thread::spawn(move || serve(&stream.unwrap(), &script, &ear));
            }
        });
        Self { home, heard }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wezterm-parallel"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("WEZTERM_PARALLEL_TASK", "7")
            .current_dir(self.home.path())
            .args(["--no-autostart", "--socket"])
            .arg(self.home.path().join("socket"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn queued(&self) -> Vec<TaskQueue> {
        let tasks = self.heard().into_iter().filter_map(|message| match message {
            Message::TaskQueue(task) => Some(*task),
            _ => None,
        });
        tasks.collect()
    }
}

pub(crate) fn serve<S>(stream: &UnixStream, script: &Mutex<S>, ear: &Mutex<Vec<Message>>)
where
    S: FnMut(&Message, &mut dyn FnMut(Answer)) -> Reply,
{
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let message = decode(line.strip_suffix(b"\n").unwrap_or(&line)).unwrap();
        line.clear();
        ear.lock().unwrap().push(message.clone());
        let mut say = |answer: Answer| {
            let mut bytes = Vec::new();
            encode(&answer, &mut bytes);
            // A client that has seen enough goes away.
            let mut stream = stream;
            let _ = stream.write_all(&bytes);
        };
        match (script.lock().unwrap())(&message, &mut say) {
            Reply::Say(answers) => answers.into_iter().for_each(&mut say),
            Reply::HangUp => {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

/// Queues everything, gives ids from 10 on, knows no other task.
pub(crate) fn obliging(message: &Message) -> Answer {
    match message {
        Message::TaskQueue(task) => Answer::StatusUpdate(StatusUpdate {
            process_id: if task.id.is_empty() {
                "1".into()
            } else {
                task.id.clone()
            },
            status: "Queued".into(),
            note: None,
        }),
        Message::ReserveIds(ids) => Answer::Reserved(Reserved {
            first: 10,
            last: 9 + ids.count,
        }),
        Message::Environment(_) => Answer::Environment(EnvironmentStored { hash: "00ff".into() }),
        Message::Status(_) => Answer::Status(StatusAnswer::default()),
        Message::Check(_) => Answer::Changed(Changed::default()),
        Message::Cancel(cancel) => Answer::Changed(Changed {
            ids: cancel.ids.clone(),
        }),
        other => refusal(ErrorCode::Unsupported, &format!("no script for {other:?}")),
    }
}

pub(crate) fn refusal(code: ErrorCode, message: &str) -> Answer {
    Answer::Error(ErrorAnswer {
        code,
        message: message.into(),
        hint: "do otherwise".into(),
    })
}

pub(crate) fn task(id: &str, state: &str, attempts: Vec<AttemptView>) -> TaskView {
    TaskView {
        id: id.into(),
        state: state.into(),
        worker: "shell".into(),
        command: Some("true".into()),
        reason: (state == "failed").then(|| "exit_code".into()),
        attempts,
        ..TaskView::default()
    }
}

pub(crate) fn attempt(n: u32, folder: &std::path::Path, exit_code: Option<i32>) -> AttemptView {
    AttemptView {
        n,
        outcome: exit_code.map(|code| if code == 0 { "ok" } else { "exit_code" }.into()),
        exit_code,
        started_at_ms: 1_000,
        ended_at_ms: exit_code.map(|_| 2_000),
        folder: folder.to_str().unwrap().into(),
        ..AttemptView::default()
    }
}

pub(crate) fn status(tasks: Vec<TaskView>) -> Answer {
    Answer::Status(StatusAnswer {
        tasks,
        ..StatusAnswer::default()
    })
}

pub(crate) fn event(task: TaskView) -> Answer {
    Answer::Event(Event::Task(Box::new(task)))
}

/// Stdout, stderr and exit code as one text.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}--- stderr\n{}--- exit {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}
