//! The client against servers that do as they are told, on real sockets.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::Paths;
use crate::protocol::{decode, encode, ErrorAnswer, ErrorCode, Event, StatusUpdate, TaskQueue};

/// A socket on which one caller is served by `serve`.
struct Server {
    folder: TempDir,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(serve: impl FnOnce(UnixStream) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let thread = thread::spawn(move || serve(listener.accept().unwrap().0));
        Self { folder, thread }
    }

    fn client(&self) -> Client {
        Client::connect(&self.folder.path().join("s")).unwrap()
    }

    fn end(self) {
        self.thread.join().unwrap();
    }
}

fn say(stream: &mut UnixStream, answer: &Answer) {
    let mut line = Vec::new();
    encode(answer, &mut line);
    stream.write_all(&line).unwrap();
}

fn refusal() -> ErrorAnswer {
    ErrorAnswer::new(ErrorCode::TooBusy, "too many", "later")
}

fn task(n: usize) -> Message {
    Message::TaskQueue(Box::new(TaskQueue {
        id: format!("t{n}"),
        command: Some("true".to_owned()),
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

/// Answers every task until the client goes; refuses each whose number ends in 7.
fn answer_tasks(mut stream: UnixStream) {
    let reader = BufReader::new(stream.try_clone().unwrap());
    for line in reader.lines() {
        let Message::TaskQueue(task) = decode(line.unwrap().as_bytes()).unwrap() else {
            panic!("only tasks are expected");
        };
        let answer = if task.id.ends_with('7') {
            Answer::Error(refusal())
        } else {
            queued(&task.id)
        };
        say(&mut stream, &answer);
    }
}

#[test]
fn nobody_listening_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let told = |error: ClientError| error.to_string().replace(folder.path().to_str().unwrap(), "~");
    insta::assert_snapshot!(told(Client::connect(&socket).unwrap_err()), @"no daemon is listening on ~/s");
    drop(UnixListener::bind(&socket).unwrap());
    let stale = Client::connect(&socket).unwrap_err();
    assert!(matches!(stale, ClientError::NotRunning { .. }), "{stale}");
    let blocked = Client::connect(&socket.join("below-a-file")).unwrap_err();
    assert!(matches!(blocked, ClientError::Connect { .. }), "{blocked}");
}

#[test]
fn an_answer_belongs_to_its_question() {
    let server = Server::start(answer_tasks);
    let mut client = server.client();
    assert_eq!(client.ask(&task(1)).unwrap(), queued("t1"));
    let refused = client.ask(&task(7)).unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(answer) if *answer == refusal()));
    assert_eq!(
        (refused.to_string().as_str(), refused.hint().as_str()),
        ("too many", "later")
    );
    assert_eq!(client.ask(&task(2)).unwrap(), queued("t2"));
    drop(client);
    server.end();
}

#[test]
fn a_broken_connection_leaves_the_outcome_unknown() {
    let server = Server::start(|stream| {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
    });
    let broken = server.client().ask(&task(1)).unwrap_err();
    insta::assert_snapshot!(broken, @"the connection to the daemon broke: it was closed before the answer came; whether the request was done is unknown");
    insta::assert_snapshot!(broken.hint(), @"look with `wezterm-parallel status`; repeating with the same id doubles nothing");
    server.end();
}

#[test]
fn half_an_answer_is_none() {
    let server = Server::start(|mut stream| {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        stream
            .write_all(b"{\"StatusUpdate\":{\"process_id\":\"t1\"")
            .unwrap();
    });
    let broken = server.client().ask(&task(1)).unwrap_err();
    assert!(matches!(broken, ClientError::Broken { .. }), "{broken}");
    server.end();
}

#[test]
fn a_caller_that_is_turned_away_hears_why() {
    let server = Server::start(|mut stream| say(&mut stream, &Answer::Error(refusal())));
    let mut client = server.client();
    let folder = server.folder;
    server.thread.join().unwrap();
    let refused = client.ask(&task(1)).unwrap_err();
    assert!(matches!(refused, ClientError::Refused(_)), "{refused}");
    drop(folder);
}

#[test]
fn nonsense_is_a_protocol_error() {
    let server = Server::start(|mut stream| stream.write_all(b"hello\n").unwrap());
    let error = server.client().lines.next_answer(None).unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    server.end();
}

#[test]
fn a_batch_is_answered_in_order_refusals_included() {
    let server = Server::start(answer_tasks);
    let mut client = server.client();
    let count = 50_000;
    let mut next = 0;
    client
        .ask_all((0..count).map(task), |n, answer| {
            assert_eq!(n, next);
            next += 1;
            match answer {
                Answer::Error(error) => assert!(n % 10 == 7 && error == refusal()),
                answer => assert_eq!(answer, queued(&format!("t{n}"))),
            }
        })
        .unwrap();
    assert_eq!(next, count);
    assert_eq!(
        client.ask(&task(1)).unwrap(),
        queued("t1"),
        "the connection goes on"
    );
    client
        .ask_all(std::iter::empty(), |_, _| panic!("nothing was asked"))
        .unwrap();
    drop(client);
    server.end();
}

#[test]
fn full_buffers_on_both_sides_stall_nobody() {
    // Answers far longer than the messages, and a server that reads nothing while it writes.
    let server = Server::start(|mut stream| {
        let reader = BufReader::new(stream.try_clone().unwrap());
        for _ in reader.lines() {
            say(&mut stream, &queued(&"x".repeat(10_000)));
        }
    });
    let mut client = server.client();
    let mut answers = 0;
    client.ask_all((0..5_000).map(task), |_, _| answers += 1).unwrap();
    assert_eq!(answers, 5_000);
    drop(client);
    server.end();
}

#[test]
fn a_batch_that_breaks_tells_what_was_answered() {
    let server = Server::start(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        say(&mut stream, &queued("t0"));
    });
    let mut answered = 0;
    let broken = server
        .client()
        .ask_all((0..100_000).map(task), |_, _| answered += 1)
        .unwrap_err();
    assert!(matches!(broken, ClientError::Broken { .. }), "{broken}");
    assert!(answered <= 1, "{answered}");
    server.end();
}

#[test]
fn events_come_with_and_without_waiting() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::start(move |mut stream| {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "{\"Subscribe\":{\"ids\":[\"t1\"]}}\n");
        say(&mut stream, &Answer::Status(StatusAnswer::default()));
        let mut event = Vec::new();
        encode(&Answer::Event(Event::Removed { id: "t1".to_owned() }), &mut event);
        wait.recv().unwrap();
        stream.write_all(&event[..10]).unwrap();
        wait.recv().unwrap();
        stream.write_all(&event[10..]).unwrap();
        say(&mut stream, &Answer::Event(Event::Lagged { dropped: 3 }));
    });
    let subscribe = Subscribe {
        ids: vec!["t1".to_owned()],
        ..Subscribe::default()
    };
    let (status, mut events) = server.client().subscribe(subscribe).unwrap();
    assert_eq!(status, StatusAnswer::default());
    let brief = Duration::from_millis(20);
    assert_eq!(events.next_timeout(brief).unwrap(), None);
    assert_eq!(events.next_timeout(Duration::ZERO).unwrap(), None);
    go.send(()).unwrap();
    assert_eq!(events.next_timeout(brief).unwrap(), None, "half an event is none");
    go.send(()).unwrap();
    assert_eq!(
        events.next().unwrap().unwrap(),
        Event::Removed { id: "t1".to_owned() }
    );
    let second = events.next_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(second, Some(Event::Lagged { dropped: 3 }));
    assert!(matches!(events.next(), Some(Err(ClientError::Broken { .. }))));
    assert!(events.next().is_none(), "it ends after the first error");
    server.end();
}

/// A home for `ensure_daemon`, and a program that stands in for the daemon.
fn home(script: &str) -> (TempDir, Paths, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let lookup = |name: &str| (name == "HOME").then(|| folder.path().as_os_str().to_owned());
    let paths = Paths::from_variables(lookup, None).unwrap();
    let program = folder.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, paths, program)
}

fn wait_for(path: &Path) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "{} never came",
            path.display()
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_daemon_that_fails_is_quoted() {
    let (folder, paths, program) = home("echo one >&2; echo two; exit 70");
    let error = ensure_daemon(&paths, &program, None).unwrap_err();
    insta::assert_snapshot!(error, @r"
    the daemon could not be started: it ended with exit status: 70
      one
      two
    ");
    let mode = fs::metadata(&paths.log_file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let again = ensure_daemon(&paths, &program, None).unwrap_err().to_string();
    assert_eq!(again.matches("one").count(), 1, "only its own words: {again}");
    let missing = ensure_daemon(&paths, &folder.path().join("missing"), None).unwrap_err();
    assert!(matches!(missing, ClientError::NotStarted { .. }), "{missing}");
}

#[test]
fn a_daemon_that_lost_the_race_is_no_failure() {
    let (_folder, paths, program) = home("");
    let started = paths.data.join("started");
    let script = format!(
        "#!/bin/sh\npwd > {0}.tmp; echo \"$@\" >> {0}.tmp; mv {0}.tmp {0}\n",
        started.display()
    );
    fs::write(&program, script).unwrap();
    let winner = {
        let (started, socket) = (started.clone(), paths.socket.clone());
        thread::spawn(move || {
            wait_for(&started);
            let listener = UnixListener::bind(socket).unwrap();
            answer_tasks(listener.accept().unwrap().0);
        })
    };
    let mut client = ensure_daemon(&paths, &program, Some(Path::new("/c.toml"))).unwrap();
    assert_eq!(client.ask(&task(1)).unwrap(), queued("t1"));
    drop(client);
    winner.join().unwrap();
    let expected = format!(
        "/\ndaemon --detach --socket {} --config /c.toml\n",
        paths.socket.display()
    );
    assert_eq!(fs::read_to_string(started).unwrap(), expected);
    let mode = fs::metadata(&paths.runtime).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}
