//! A stub of the Messages API on the loopback device, so that the real CLI can be tested without an account: it
//! answers as scripted, writes down what it was asked, and never reaches beyond this machine.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file uses its own part of this"
)]

mod http;
mod reply;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufReader, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use http::Incoming;
pub use reply::{Reply, Usage};

/// Long enough for a loaded machine; a test that hits it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// A request for an answer of the model.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model that was asked.
    pub model: String,
    /// How many messages the conversation has.
    pub messages: usize,
    /// What the user's side said, oldest first: prompts and the results of tools.
    pub user_texts: Vec<String>,
    /// Headers by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// All of it.
    pub body: Value,
}

impl Request {
    /// Whether the user's side of the conversation has this in it.
    pub fn says(&self, text: &str) -> bool {
        self.user_texts.iter().any(|said| said.contains(text))
    }

    /// The newest message of the user's side.
    pub fn last_user_text(&self) -> &str {
        self.user_texts.last().map_or("", String::as_str)
    }

    fn new(incoming: Incoming) -> Self {
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let none = Vec::new();
        let messages = body["messages"].as_array().unwrap_or(&none);
        let of_user = messages.iter().filter(|message| message["role"] == "user");
        Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            messages: messages.len(),
            user_texts: of_user.map(|message| text_of(&message["content"])).collect(),
            headers: incoming.headers,
            body,
        }
    }
}

/// The text of a message's content: a string, or blocks of text and of tools' results.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<String> = blocks.iter().map(text_of).collect();
            texts.join("\n")
        }
        Value::Object(block) => ["text", "content"]
            .iter()
            .filter_map(|key| block.get(*key))
            .map(text_of)
            .collect(),
        _ => String::new(),
    }
}

/// Replies for one conversation, or for all that no other script is for; the last one repeats.
#[derive(Debug)]
pub struct Script {
    prompt: Option<String>,
    replies: Vec<Reply>,
    next: usize,
}

impl Script {
    /// For every conversation.
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            prompt: None,
            replies: replies.into_iter().collect(),
            next: 0,
        }
    }

    /// For conversations in which the user's side says this.
    pub fn of(prompt: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            prompt: Some(prompt.to_owned()),
            ..Self::new(replies)
        }
    }

    fn is_for(&self, request: &Request) -> bool {
        self.prompt.as_ref().is_none_or(|prompt| request.says(prompt))
    }

    fn next_reply(&mut self) -> Option<Reply> {
        let reply = self.replies.get(self.next).or(self.replies.last()).cloned();
        self.next += 1;
        reply
    }
}

/// The running stub; dropped, it cuts every connection and ends.
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    scripts: Vec<Script>,
    requests: Vec<Request>,
    released: BTreeSet<String>,
    connections: HashMap<u64, TcpStream>,
    is_over: bool,
}

impl Stub {
    /// A stub that gives these replies, one after the other; the last one repeats.
    pub fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with_scripts([Script::new(replies)])
    }

    /// A stub for several conversations; the first script that is for a request answers it.
    pub fn with_scripts(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        shared.lock().scripts = scripts.into_iter().collect();
        let listening = thread::spawn({
            let shared = Arc::clone(&shared);
            move || listen(&listener, &shared)
        });
        Self {
            address,
            shared,
            listening: Some(listening),
        }
    }

    /// Where it listens, as the CLI wants to be told.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these replies, whatever was left of the ones before.
    pub fn replace(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().scripts = vec![Script::new(replies)];
    }

    /// Lets every reply go that is held at this gate, now and later.
    pub fn release(&self, gate: &str) {
        self.shared.lock().released.insert(gate.to_owned());
        self.shared.changed.notify_all();
    }

    /// Every request for an answer of the model so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Waits until there are this many requests.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        self.wait_for(&format!("{count} requests"), |requests| {
            (requests.len() >= count).then(|| requests.to_vec())
        })
    }

    /// Waits for something about the requests.
    pub fn wait_for<T>(&self, what: &str, condition: impl Fn(&[Request]) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        let mut state = self.shared.lock();
        loop {
            if let Some(value) = condition(&state.requests) {
                return value;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited {DEADLINE:?} in vain for {what}; there were {:#?}",
                state
                    .requests
                    .iter()
                    .map(Request::last_user_text)
                    .collect::<Vec<_>>()
            );
            state = self.shared.changed.wait_timeout(state, left).expect("no panic").0;
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        for connection in state.connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the listener, which then finds that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl Shared {
    /// A test that fails in here has failed anyway: the others may still end cleanly.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes a request down, and what to answer.
    fn next_reply(&self, request: Request) -> Reply {
        let mut state = self.lock();
        let script = state.scripts.iter_mut().find(|script| script.is_for(&request));
        let reply = script.and_then(Script::next_reply);
        state.requests.push(request);
        drop(state);
        self.changed.notify_all();
        reply
            .unwrap_or_else(|| Reply::status(400, "invalid_request_error", "the stub has no script for this"))
    }

    fn wait_for_gate(&self, gate: &str) {
        let state = self.lock();
        let is_closed = |state: &mut State| !state.is_over && !state.released.contains(gate);
        drop(self.changed.wait_while(state, is_closed));
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving = Vec::new();
    for (number, connection) in listener.incoming().enumerate() {
        let Ok(connection) = connection else { continue };
        let mut state = shared.lock();
        if state.is_over {
            break;
        }
        let number = number as u64;
        let Ok(second_handle) = connection.try_clone() else {
            continue;
        };
        state.connections.insert(number, second_handle);
        drop(state);
        let shared = Arc::clone(shared);
        serving.push(thread::spawn(move || {
            // A client that goes away in the middle is no trouble of the stub's.
            let _ = serve(&connection, &shared);
            let _ = connection.shutdown(Shutdown::Both);
            shared.lock().connections.remove(&number);
        }));
    }
    for thread in serving {
        let _ = thread.join();
    }
}

/// Answers request after request until one side ends the connection.
fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    while let Some(incoming) = http::read(&mut reader)? {
        match (incoming.method.as_str(), incoming.path.as_str()) {
            ("POST", "/v1/messages") => {
                let request = Request::new(incoming);
                let (model, streams) = (request.model.clone(), request.body["stream"] == json!(true));
                let reply = shared.next_reply(request);
                if let Some(gate) = reply.gate() {
                    shared.wait_for_gate(gate);
                }
                if reply.hangs() {
                    // Until the client has had enough, or the stub ends.
                    return io::copy(&mut reader.by_ref(), &mut io::sink()).map(drop);
                }
                if !reply.write(&mut writer, &model, streams)? {
                    return Ok(());
                }
            }
            ("POST", "/v1/messages/count_tokens") => {
                http::answer(&mut writer, 200, &[], r#"{"input_tokens":1000}"#)?;
            }
            ("HEAD", _) => http::answer(&mut writer, 200, &[], "")?,
            (_, path) => {
                let error = json!({"type": "error", "error": {"type": "not_found_error", "message": path}});
                http::answer(&mut writer, 404, &[], &error.to_string())?;
            }
        }
    }
    Ok(())
}
