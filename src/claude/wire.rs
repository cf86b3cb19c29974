//! The CLI's output lines as they stand on the wire, with the few fields that are needed.
//!
//! Nothing is copied that has no escapes, nothing is kept that is not asked for: an answer with a large file
//! in it costs one pass over its bytes.

use std::borrow::Cow;

use serde::Deserialize;

use super::cause::Failure;
use super::loose::{Flag, List, Number, Object, Text};
use super::values::{LimitStatus, RateLimit};

/// The name that the CLI gives as the model of its own messages.
const SYNTHETIC: &str = "<synthetic>";

/// What a line is, by its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    System,
    Assistant,
    User,
    Stream,
    RateLimit,
    ControlRequest,
    ControlCancel,
    Result,
    /// An event of a type that is not known here.
    Other,
}

/// The kind of an event line; `None` for everything else.
///
/// # Speed
/// Most lines begin with their type. Only of the others the whole line is read for it.
pub(super) fn kind(line: &[u8]) -> Option<Kind> {
    if let Some(name) = leading_type(line) {
        return Some(named(name));
    }
    if first_byte(line) != Some(b'{') {
        return None;
    }
    let line = readable(line);
    let typed: Typed<'_> = parse(&line)?;
    typed
        .kind
        .is_some()
        .then(|| named(typed.kind.as_str().as_bytes()))
}

fn first_byte(line: &[u8]) -> Option<u8> {
    line.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// The name in `{"type":"name"`, if the line begins like that and has the end of an object.
fn leading_type(line: &[u8]) -> Option<&[u8]> {
    const NAME_BYTES_MAX: usize = 64;
    let rest = line.strip_prefix(b"{\"type\":\"")?;
    if !line.trim_ascii_end().ends_with(b"}") {
        return None;
    }
    let end = rest
        .iter()
        .take(NAME_BYTES_MAX)
        .position(|byte| *byte == b'"' || *byte == b'\\')?;
    (rest[end] == b'"').then(|| &rest[..end])
}

fn named(name: &[u8]) -> Kind {
    match name {
        b"system" => Kind::System,
        b"assistant" => Kind::Assistant,
        b"user" => Kind::User,
        b"stream_event" => Kind::Stream,
        b"rate_limit_event" => Kind::RateLimit,
        b"control_request" => Kind::ControlRequest,
        b"control_cancel_request" => Kind::ControlCancel,
        b"result" => Kind::Result,
        _ => Kind::Other,
    }
}

/// The line as a text, in which invalid UTF-8 is replaced.
pub(super) fn readable(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

/// Reads a line as an event; `None` if it is none.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Option<T> {
    serde_json::from_str(line).ok()
}

#[derive(Default, Deserialize)]
struct Typed<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
}

/// Many events in one: `subtype` says which.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct System<'a> {
    #[serde(borrow)]
    pub(super) subtype: Text<'a>,
    #[serde(borrow)]
    pub(super) session_id: Text<'a>,
    #[serde(borrow)]
    pub(super) model: Text<'a>,
    #[serde(borrow)]
    pub(super) cwd: Text<'a>,
    pub(super) attempt: Number,
    pub(super) max_retries: Number,
    pub(super) retry_delay_ms: Number,
    pub(super) error_status: Number,
    #[serde(borrow)]
    pub(super) error: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_name: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    #[serde(borrow)]
    pub(super) task_id: Text<'a>,
    #[serde(borrow)]
    pub(super) description: Text<'a>,
    #[serde(borrow)]
    pub(super) summary: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    pub(super) is_backgrounded: Flag,
    #[serde(borrow)]
    pub(super) patch: Object<Patch<'a>>,
    #[serde(borrow)]
    pub(super) tasks: List<Object<Task<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Patch<'a> {
    #[serde(borrow)]
    pub(super) status: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Task<'a> {
    #[serde(borrow)]
    pub(super) task_id: Text<'a>,
}

/// A message of the model or of the user, with its content as `C`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Default + Deserialize<'de>"))]
pub(super) struct Spoken<'a, C> {
    #[serde(default)]
    pub(super) message: Object<Message<'a, C>>,
    #[serde(borrow, default)]
    pub(super) parent_tool_use_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) error: Text<'a>,
    #[serde(borrow, default)]
    pub(super) api_error: Text<'a>,
    #[serde(borrow, default)]
    pub(super) api_error_type: Text<'a>,
    #[serde(default)]
    pub(super) api_error_status: Number,
    #[serde(borrow, default)]
    pub(super) tool_result_meta: List<Object<ResultMeta<'a>>>,
}

impl<C> Spoken<'_, C> {
    /// What an error message of the CLI says, with its text.
    pub(super) fn failure(&self, text: String) -> Failure {
        Failure {
            status: self.api_error_status.count(),
            word: self.error.as_str().to_owned(),
            api_error: self.api_error.as_str().to_owned(),
            api_type: self.api_error_type.as_str().to_owned(),
            text,
            ..Failure::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Default + Deserialize<'de>"))]
pub(super) struct Message<'a, C> {
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(default)]
    pub(super) content: C,
}

impl<C: Default> Default for Message<'_, C> {
    fn default() -> Self {
        Self {
            model: Text::default(),
            content: C::default(),
        }
    }
}

/// How a tool call was decided.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultMeta<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) permission_decision: Object<Decision<'a>>,
}

impl ResultMeta<'_> {
    /// A user said no, in an answer to a question; nobody's silence and no rule did.
    pub(super) fn is_users_refusal(&self) -> bool {
        let decision = &self.permission_decision.0;
        decision.decision.as_str() == "reject" && decision.source.as_str().starts_with("user")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision<'a> {
    #[serde(borrow)]
    pub(super) decision: Text<'a>,
    #[serde(borrow)]
    pub(super) source: Text<'a>,
}

/// A block of a message, without its texts: all that is needed to tell what happened.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct BareBlock<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Text<'a>,
    pub(super) is_error: Flag,
}

/// A block of a message with its text.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TextBlock<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
}

/// A content whose texts are not looked at.
pub(super) type BareContent<'a> = List<Object<BareBlock<'a>>>;
/// A content of which only texts are looked at.
pub(super) type TextContent<'a> = List<Object<TextBlock<'a>>>;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LimitEvent<'a> {
    #[serde(borrow)]
    rate_limit_info: Object<LimitInfo<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LimitInfo<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(rename = "resetsAt")]
    resets_at_s: Number,
    #[serde(borrow, rename = "rateLimitType")]
    kind: Text<'a>,
    utilization: Number,
    #[serde(rename = "isUsingOverage")]
    uses_overage: Flag,
}

impl LimitEvent<'_> {
    /// The limit; `None` if its status is a word that is not known here.
    pub(super) fn limit(&self) -> Option<RateLimit> {
        let info = &self.rate_limit_info.0;
        let status = match info.status.as_str() {
            "allowed" => LimitStatus::Allowed,
            "allowed_warning" => LimitStatus::Warning,
            // Beyond the limit, but paid for: the run goes on.
            "rejected" if info.uses_overage.is_set() => LimitStatus::Allowed,
            "rejected" => LimitStatus::Rejected,
            _ => return None,
        };
        Some(RateLimit {
            status,
            resets_at_s: info.resets_at_s.count(),
            kind: info.kind.owned(),
            utilization: info.utilization.0,
        })
    }
}

/// A piece of a message that is still being written.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream<'a> {
    #[serde(borrow)]
    pub(super) event: Object<StreamEvent<'a>>,
    #[serde(borrow)]
    pub(super) parent_tool_use_id: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) delta: Object<Delta<'a>>,
    #[serde(borrow)]
    pub(super) message: Object<Started<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Started<'a> {
    #[serde(borrow)]
    pub(super) model: Text<'a>,
}

/// Whether a model of this name is one, and not the CLI itself.
pub(super) fn is_real_model(name: &str) -> bool {
    !name.is_empty() && name != SYNTHETIC
}

/// A request of the CLI to whoever holds its standard input.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Control<'a> {
    #[serde(borrow)]
    pub(super) request_id: Text<'a>,
    #[serde(borrow)]
    pub(super) request: Object<Request<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) subtype: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_name: Text<'a>,
    pub(super) input: serde_json::Value,
    #[serde(borrow)]
    pub(super) description: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_use_id: Text<'a>,
    pub(super) requires_user_interaction: Flag,
}

impl Request<'_> {
    /// It asks for more than a yes or no.
    pub(super) fn wants_choice(&self) -> bool {
        self.requires_user_interaction.is_set() || self.tool_name.as_str() == "AskUserQuestion"
    }
}
