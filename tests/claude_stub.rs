//! The stub of the API that the tests with the real CLI rest on, seen by a client that knows nothing of it.

#[path = "claude_support/stub/mod.rs"]
mod stub;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{json, Value};
use stub::{Reply, Script, Stub, Usage};

/// A connection that is used for one request after the other, as the CLI does.
struct Connection {
    reader: BufReader<TcpStream>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn limit_header(&self, name: &str) -> String {
        let name = format!("anthropic-ratelimit-unified-{name}: ");
        let found = self.head.lines().find_map(|line| line.strip_prefix(&name));
        found
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
            .to_owned()
    }

    fn events(&self) -> Vec<Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

impl Connection {
    fn to(stub: &Stub) -> Self {
        let stream = TcpStream::connect(stub.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn post(&mut self, path: &str, body: &Value) {
        let body = body.to_string();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nX-Api-Key: k\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// `None` when the connection ended before the answer did.
    fn answer(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&Some(self.line()).filter(|line| !line.is_empty())?);
        }
        let status = head.split(' ').nth(1)?.parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let body = match length {
            Some(length) => self.exactly(length.parse().unwrap()),
            None => self.chunks()?,
        };
        Some(Answer { status, head, body })
    }

    fn chunks(&mut self) -> Option<String> {
        let mut body = String::new();
        loop {
            let size = Some(self.line()).filter(|line| !line.is_empty())?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            body.push_str(&self.exactly(size));
            self.line();
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn ask(&mut self, body: &Value) -> Answer {
        self.post("/v1/messages?beta=true", body);
        self.answer().expect("an answer")
    }

    fn is_at_its_end(&mut self) -> bool {
        self.reader.fill_buf().map_or(true, <[u8]>::is_empty)
    }
}

fn question(prompt: &str, streams: bool) -> Value {
    json!({"model": "some-model", "stream": streams, "messages": [{"role": "user", "content": prompt}]})
}

#[test]
fn a_text_is_answered_whole_or_as_a_stream_whichever_was_asked_for() {
    let text = "naïve ".repeat(10_000);
    let usage = Usage {
        input: 7,
        output: 8,
        cache_read: 9,
        cache_write: 10,
    };
    let stub = Stub::start([Reply::text(&text).usage(usage)]);
    let mut connection = Connection::to(&stub);
    let whole = connection.ask(&question("hi", false)).json();
    assert_eq!(whole["content"][0]["text"], json!(text));
    assert_eq!(
        (
            &whole["model"],
            &whole["stop_reason"],
            &whole["usage"]["cache_read_input_tokens"]
        ),
        (&json!("some-model"), &json!("end_turn"), &json!(9))
    );

    let events = connection.ask(&question("hi", true)).events();
    let types: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(types[..2], ["message_start", "content_block_start"]);
    assert_eq!(
        types[types.len() - 3..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let said: String = events
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str())
        .collect();
    assert_eq!(said, text);
    let end = &events[events.len() - 2];
    assert_eq!(
        (&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(8))
    );
}

#[test]
fn a_tool_use_comes_with_its_input() {
    let stub = Stub::start([Reply::bash("echo hello")]);
    let mut connection = Connection::to(&stub);
    let whole = connection.ask(&question("hi", false)).json();
    assert_eq!(whole["stop_reason"], json!("tool_use"));
    assert_eq!(whole["content"][0]["input"]["command"], json!("echo hello"));
    let events = connection.ask(&question("hi", true)).events();
    assert_eq!(events[1]["content_block"]["name"], json!("Bash"));
    let input: Value = serde_json::from_str(events[2]["delta"]["partial_json"].as_str().unwrap()).unwrap();
    assert_eq!(input["command"], json!("echo hello"));
    assert_ne!(
        events[1]["content_block"]["id"], whole["content"][0]["id"],
        "ids are used once"
    );
}

#[test]
fn replies_come_in_order_and_the_last_one_repeats() {
    let stub = Stub::start([Reply::overloaded(), Reply::text("done")]);
    let mut connection = Connection::to(&stub);
    let overloaded = connection.ask(&question("hi", true));
    assert_eq!(
        (overloaded.status, overloaded.json()["error"]["type"].clone()),
        (529, json!("overloaded_error"))
    );
    for _ in 0..2 {
        let whole = connection.ask(&question("hi", false)).json();
        assert_eq!(whole["content"][0]["text"], json!("done"));
    }
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn limits_are_told_in_headers_and_reset_counted_from_the_answer() {
    let stub = Stub::start([
        Reply::usage_limit(3600),
        Reply::text("soon").usage_warning("0.91", 60),
    ]);
    let mut connection = Connection::to(&stub);
    let rejected = connection.ask(&question("hi", true));
    assert_eq!(rejected.status, 429);
    assert_eq!(rejected.limit_header("status"), "rejected");
    assert_eq!(rejected.limit_header("representative-claim"), "five_hour");
    let reset: u64 = rejected.limit_header("reset").parse().unwrap();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(reset > now && reset <= now + 3600, "{reset} at {now}");
    let warned = connection.ask(&question("hi", true));
    assert_eq!(
        (warned.status, warned.limit_header("status").as_str()),
        (200, "allowed_warning")
    );
    assert_eq!(warned.limit_header("5h-utilization"), "0.91");
    assert_eq!(warned.limit_header("5h-reset"), warned.limit_header("reset"));
}

#[test]
fn each_conversation_has_the_script_that_is_for_it() {
    let stub = Stub::with_scripts([
        Script::of("apples", [Reply::text("red"), Reply::text("green")]),
        Script::of("pears", [Reply::text("yellow")]),
    ]);
    let mut connection = Connection::to(&stub);
    let mut said = |prompt| connection.ask(&question(prompt, false)).json()["content"][0]["text"].clone();
    assert_eq!(said("what of apples?"), json!("red"));
    assert_eq!(said("what of pears?"), json!("yellow"));
    assert_eq!(said("apples again"), json!("green"));
    assert_eq!(connection.ask(&question("plums", false)).status, 400);
}

#[test]
fn requests_are_written_down() {
    let stub = Stub::start([Reply::text("ok")]);
    let mut connection = Connection::to(&stub);
    let blocks = json!([
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "out"}]},
        {"type": "text", "text": "and now?"},
    ]);
    let messages = json!([
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": blocks},
    ]);
    let body = json!({"model": "m", "messages": messages}).to_string();
    let (first, second) = body.split_at(10);
    connection.send(&format!(
        "POST /v1/messages HTTP/1.1\r\nX-Api-Key: secret\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{first}\r\n{:x};more=1\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    ));
    assert_eq!(connection.answer().unwrap().status, 200);
    let requests = stub.requests();
    let request = &requests[0];
    assert_eq!((request.model.as_str(), request.messages), ("m", 3));
    assert_eq!(request.user_texts, ["first", "out\nand now?"]);
    assert_eq!(request.last_user_text(), "out\nand now?");
    assert_eq!(request.headers["x-api-key"], "secret");
    assert!(request.says("firs") && !request.says("ok"));
}

#[test]
fn what_is_no_question_to_the_model_is_answered_and_not_counted() {
    let stub = Stub::start([Reply::text("ok")]);
    let mut connection = Connection::to(&stub);
    connection.post("/v1/messages/count_tokens", &question("hi", false));
    assert_eq!(connection.answer().unwrap().json()["input_tokens"], json!(1000));
    connection.send("HEAD / HTTP/1.1\r\n\r\n");
    assert_eq!(connection.answer().unwrap().status, 200);
    connection.send("GET /api/hello HTTP/1.1\r\n\r\n");
    assert_eq!(connection.answer().unwrap().status, 404);
    assert!(stub.requests().is_empty());
}

#[test]
fn a_held_reply_waits_for_its_gate_and_others_do_not() {
    let stub = Stub::with_scripts([
        Script::of("slow", [Reply::text("late").held("gate")]),
        Script::new([Reply::text("at once")]),
    ]);
    let mut slow = Connection::to(&stub);
    slow.post("/v1/messages", &question("slow", false));
    stub.wait_for_requests(1);
    let mut quick = Connection::to(&stub);
    assert_eq!(
        quick.ask(&question("quick", false)).json()["content"][0]["text"],
        json!("at once")
    );
    slow.reader.get_mut().set_nonblocking(true).unwrap();
    let early = slow.reader.fill_buf().map(<[u8]>::len);
    assert_eq!(
        early.map_err(|error| error.kind()),
        Err(std::io::ErrorKind::WouldBlock)
    );
    slow.reader.get_mut().set_nonblocking(false).unwrap();
    stub.release("gate");
    assert_eq!(slow.answer().unwrap().json()["content"][0]["text"], json!("late"));
    assert_eq!(
        slow.ask(&question("slow", false)).status,
        200,
        "a gate stays open"
    );
}

#[test]
fn a_test_can_wait_for_a_request_that_another_thread_makes() {
    let stub = Stub::start([Reply::text("ok")]);
    let mut connection = Connection::to(&stub);
    thread::scope(|scope| {
        scope.spawn(|| connection.ask(&question("hello there", true)));
        let found = stub.wait_for("a greeting", |requests| {
            requests.iter().position(|one| one.says("hello"))
        });
        assert_eq!(found, 0);
    });
}

#[test]
fn a_cut_ends_the_connection_within_the_answer() {
    let stub = Stub::start([Reply::cut(), Reply::text("whole")]);
    let mut connection = Connection::to(&stub);
    connection.post("/v1/messages", &question("hi", true));
    assert!(connection.answer().is_none());
    assert!(connection.is_at_its_end());
    assert_eq!(Connection::to(&stub).ask(&question("hi", true)).status, 200);
}

#[test]
fn replies_can_be_replaced() {
    let stub = Stub::start([Reply::unauthorized()]);
    let mut connection = Connection::to(&stub);
    assert_eq!(connection.ask(&question("hi", true)).status, 401);
    stub.replace([Reply::text("mended")]);
    assert_eq!(connection.ask(&question("hi", true)).status, 200);
}

#[test]
fn the_end_of_the_stub_ends_whatever_waits() {
    let stub = Stub::with_scripts([
        Script::of("held", [Reply::text("late").held("never")]),
        Script::of("hang", [Reply::hang()]),
    ]);
    let address = stub.address();
    let mut idle = Connection::to(&stub);
    let mut held = Connection::to(&stub);
    held.post("/v1/messages", &question("held", true));
    let mut hanging = Connection::to(&stub);
    hanging.post("/v1/messages", &question("hang", true));
    stub.wait_for_requests(2);
    drop(stub);
    assert!(idle.is_at_its_end() && hanging.is_at_its_end() && held.is_at_its_end());
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn it_is_reached_on_the_loopback_device_only() {
    let stub = Stub::start([Reply::text("ok")]);
    assert!(stub.address().ip().is_loopback());
    assert_eq!(stub.url(), format!("http://127.0.0.1:{}", stub.address().port()));
}
