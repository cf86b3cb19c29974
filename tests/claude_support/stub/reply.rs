//! What the stub of the API answers, and how it looks on the wire.

use std::io::{self, Write};
use std::time::SystemTime;

use serde_json::{json, Value};

use super::http::{self, Stream};

/// As much text as one event of a stream carries.
const DELTA_BYTES: usize = 16 << 10;

/// One answer of the model, or what went wrong with it.
#[derive(Clone, Debug)]
pub struct Reply {
    kind: Kind,
    headers: Vec<(String, String)>,
    resets_in_s: Option<u64>,
    usage: Usage,
    stop_reason: Option<String>,
    gate: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Text(String),
    Tools(Vec<(String, Value)>),
    Status(u16, String, String),
    Hang,
    Cut,
}

/// Tokens that an answer is said to have cost.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Read anew.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Written to the cache.
    pub cache_write: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            input: 100,
            output: 20,
            cache_read: 0,
            cache_write: 0,
        }
    }
}

impl Reply {
    /// The model says this and is done.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Kind::Text(text.into()))
    }

    /// The model uses a tool.
    pub fn tool(name: &str, input: Value) -> Self {
        Self::of(Kind::Tools(vec![(name.to_owned(), input)]))
    }

    /// The model runs a shell line.
    pub fn bash(command: &str) -> Self {
        Self::tool("Bash", json!({"command": command, "description": "as scripted"}))
    }

    /// An error: its HTTP status, its type, its message.
    pub fn status(status: u16, kind: &str, message: &str) -> Self {
        Self::of(Kind::Status(status, kind.to_owned(), message.to_owned()))
    }

    /// The subscription's five hours are used up, for so many seconds from the answer on.
    pub fn usage_limit(resets_in_s: u64) -> Self {
        let message = "This request would exceed your account's rate limit.";
        let refused = Self::status(429, "rate_limit_error", message);
        refused
            .header("anthropic-ratelimit-unified-status", "rejected")
            .resets_in(resets_in_s)
    }

    /// All of the API is too busy.
    pub fn overloaded() -> Self {
        Self::status(529, "overloaded_error", "Overloaded")
    }

    /// The key or the token is refused.
    pub fn unauthorized() -> Self {
        Self::status(401, "authentication_error", "invalid x-api-key")
    }

    /// No answer ever.
    pub fn hang() -> Self {
        Self::of(Kind::Hang)
    }

    /// The connection breaks off in the middle of the answer.
    pub fn cut() -> Self {
        Self::of(Kind::Cut)
    }

    /// With the headers that warn of the five hours' end.
    pub fn usage_warning(self, utilization: &str, resets_in_s: u64) -> Self {
        self.header("anthropic-ratelimit-unified-status", "allowed_warning")
            .header("anthropic-ratelimit-unified-5h-utilization", utilization)
            .header("anthropic-ratelimit-unified-5h-surpassed-threshold", "0.9")
            .resets_in(resets_in_s)
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this use of tokens.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// With another reason to stop than the usual one.
    pub fn stop_reason(mut self, reason: &str) -> Self {
        self.stop_reason = Some(reason.to_owned());
        self
    }

    /// Not before this gate is released.
    pub fn held(mut self, gate: &str) -> Self {
        self.gate = Some(gate.to_owned());
        self
    }

    /// The gate that it waits for.
    pub fn gate(&self) -> Option<&str> {
        self.gate.as_deref()
    }

    /// Whether no answer will ever come.
    pub fn hangs(&self) -> bool {
        matches!(self.kind, Kind::Hang)
    }

    /// Writes the answer; whether the connection can be used on.
    pub fn write(&self, to: &mut impl Write, model: &str, streams: bool) -> io::Result<bool> {
        match &self.kind {
            Kind::Hang => return Ok(false),
            Kind::Status(status, kind, message) => {
                let error = json!({"type": "error", "error": {"type": kind, "message": message}});
                http::answer(to, *status, &self.headers_now(), &error.to_string())?;
            }
            Kind::Cut if streams => {
                let mut stream = Stream::begin(to, &self.headers_now())?;
                stream.event(&self.message_start(model))?;
                stream.event(&block_start(0, &json!({"type": "text", "text": ""})))?;
                stream.event(&delta(0, &json!({"type": "text_delta", "text": "half of"})))?;
                return Ok(false);
            }
            Kind::Cut => return Ok(false),
            Kind::Text(_) | Kind::Tools(_) if streams => self.stream(to, model)?,
            Kind::Text(_) | Kind::Tools(_) => {
                let message = self.message(model, &self.blocks(), Some(self.stop()), self.usage);
                http::answer(to, 200, &self.headers_now(), &message.to_string())?;
            }
        }
        Ok(true)
    }

    /// With the five hours as what limits, and the moment at which they end.
    fn resets_in(mut self, seconds: u64) -> Self {
        self.resets_in_s = Some(seconds);
        self.header("anthropic-ratelimit-unified-representative-claim", "five_hour")
    }

    /// The headers as they are sent: a reset is counted from the answer, however late it comes.
    fn headers_now(&self) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        if let Some(seconds) = self.resets_in_s {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let reset = (now.expect("after 1970").as_secs() + seconds).to_string();
            for name in ["reset", "5h-reset"] {
                headers.push((format!("anthropic-ratelimit-unified-{name}"), reset.clone()));
            }
        }
        headers
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            headers: Vec::new(),
            resets_in_s: None,
            usage: Usage::default(),
            stop_reason: None,
            gate: None,
        }
    }

    fn stop(&self) -> &str {
        match (&self.stop_reason, &self.kind) {
            (Some(reason), _) => reason,
            (None, Kind::Tools(_)) => "tool_use",
            (None, _) => "end_turn",
        }
    }

    fn blocks(&self) -> Vec<Value> {
        match &self.kind {
            Kind::Text(text) => vec![json!({"type": "text", "text": text})],
            Kind::Tools(calls) => calls.iter().map(|(name, input)| tool_use(name, input)).collect(),
            Kind::Status(..) | Kind::Hang | Kind::Cut => Vec::new(),
        }
    }

    fn message(&self, model: &str, blocks: &[Value], stop: Option<&str>, usage: Usage) -> Value {
        json!({
            "id": unique("msg"), "type": "message", "role": "assistant", "model": model, "content": blocks,
            "stop_reason": stop, "stop_sequence": null, "usage": usage_fields(usage),
        })
    }

    fn message_start(&self, model: &str) -> Value {
        let usage = Usage {
            output: 1,
            ..self.usage
        };
        json!({"type": "message_start", "message": self.message(model, &[], None, usage)})
    }

    fn stream(&self, to: &mut impl Write, model: &str) -> io::Result<()> {
        let mut stream = Stream::begin(to, &self.headers_now())?;
        stream.event(&self.message_start(model))?;
        for (index, block) in self.blocks().iter().enumerate() {
            stream_block(&mut stream, index, block)?;
        }
        stream.event(&json!({
            "type": "message_delta", "delta": {"stop_reason": self.stop(), "stop_sequence": null},
            "usage": usage_fields(self.usage),
        }))?;
        stream.event(&json!({"type": "message_stop"}))?;
        stream.end()
    }
}

fn stream_block<W: Write>(stream: &mut Stream<'_, W>, index: usize, block: &Value) -> io::Result<()> {
    if let Some(text) = block["text"].as_str() {
        stream.event(&block_start(index, &json!({"type": "text", "text": ""})))?;
        for part in parts(text) {
            stream.event(&delta(index, &json!({"type": "text_delta", "text": part})))?;
        }
    } else {
        let mut begin = block.clone();
        begin["input"] = json!({});
        stream.event(&block_start(index, &begin))?;
        let input = block["input"].to_string();
        stream.event(&delta(
            index,
            &json!({"type": "input_json_delta", "partial_json": input}),
        ))?;
    }
    stream.event(&json!({"type": "content_block_stop", "index": index}))
}

fn block_start(index: usize, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

/// The text in pieces of at most [`DELTA_BYTES`], none of which ends within a character.
fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let mut end = text.len().min(DELTA_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (part, rest) = text.split_at(end);
        parts.push(part);
        text = rest;
    }
    parts
}

fn tool_use(name: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": unique("toolu"), "name": name, "input": input})
}

fn usage_fields(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cache_read, "cache_creation_input_tokens": usage.cache_write,
    })
}

/// An id like the API's.
fn unique(prefix: &str) -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{prefix}_{number:020}")
}
