//! What a run of the CLI amounts to, in plain values: its outcome, its cost, its limits and its questions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked, as far as the CLI can tell.
    Ok,
    /// It ended well, but a tool was not permitted: the work is probably not done.
    Denied,
    /// A usage or rate limit.
    Limited,
    /// The service has no room for now.
    Overloaded,
    /// Not logged in, or a key that is not accepted.
    Auth,
    /// The service answered with another error.
    ApiError,
    /// The service did not answer.
    Unreachable,
    /// The conversation does not fit the model.
    PromptTooLong,
    /// The run's own limit on cost.
    Budget,
    /// The run's own limit on turns.
    MaxTurns,
    /// The model refused.
    Refusal,
    /// The answer was cut off.
    Truncated,
    /// Nothing was done: no model spoke, or it said nothing and used no tool.
    NoOp,
    /// A user or a signal stopped it, and it said so.
    Interrupted,
    /// It ended without saying how.
    Crashed,
    /// The session to resume is not there.
    NoSession,
}

impl Outcome {
    /// The word for it, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Overloaded => "overloaded",
            Self::Auth => "auth",
            Self::ApiError => "api_error",
            Self::Unreachable => "unreachable",
            Self::PromptTooLong => "prompt_too_long",
            Self::Budget => "budget",
            Self::MaxTurns => "max_turns",
            Self::Refusal => "refusal",
            Self::Truncated => "truncated",
            Self::NoOp => "no_op",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::NoSession => "no_session",
        }
    }
}

/// What one model used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens read that no cache held.
    pub input: u64,
    /// Tokens written by the model.
    pub output: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens put into the cache.
    pub cache_write: u64,
    /// What that costs by the CLI's own price list, in US dollars.
    pub cost_usd: f64,
}

impl Tokens {
    /// Adds what was used later.
    pub(super) fn add(&mut self, later: Self) {
        self.input = self.input.saturating_add(later.input);
        self.output = self.output.saturating_add(later.output);
        self.cache_read = self.cache_read.saturating_add(later.cache_read);
        self.cache_write = self.cache_write.saturating_add(later.cache_write);
        self.cost_usd += later.cost_usd;
    }
}

/// A tool call that was not permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The tool's name.
    pub tool: String,
    /// Its key argument in one short line; empty if it has none.
    pub subject: String,
}

/// What a limit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitStatus {
    /// Everything.
    Allowed,
    /// Everything, but most of it is used up.
    Warning,
    /// Nothing until it resets.
    Rejected,
}

/// What the CLI says about the account's usage limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    /// What it lets through.
    pub status: LimitStatus,
    /// When it resets, in seconds since the Unix epoch.
    pub resets_at_s: Option<u64>,
    /// The CLI's word for it: `five_hour`, `seven_day` …
    pub kind: Option<String>,
    /// The part that is used, 1 for all of it.
    pub utilization: Option<f64>,
}

/// A tool call that waits for somebody's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What the answer must name.
    pub request_id: String,
    /// The tool's name.
    pub tool: String,
    /// Its whole input.
    pub input: serde_json::Value,
    /// The model's own words for what it does.
    pub description: Option<String>,
    /// It asks for a choice between answers, so that a plain yes is none.
    pub wants_choice: bool,
}

/// What matters while a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The session began; again before each turn that the CLI takes by itself.
    Began {
        /// What `--resume` takes.
        session_id: String,
    },
    /// The first message of a real model: the account and the way to the service are good.
    Working,
    /// Where the usage limit stands.
    Limit(RateLimit),
    /// The service does not accept the login; the CLI's own words.
    AuthTrouble(String),
    /// A tool call waits for an answer.
    Asked(Question),
    /// A question is no longer open.
    Withdrawn {
        /// Which one.
        request_id: String,
    },
    /// A turn ended with a result.
    TurnOver {
        /// Tasks still run in the background, so that another turn will come.
        background: bool,
    },
    /// The last background task ended.
    BackgroundOver,
}

/// How the process ended, and what else is known about its output.
#[derive(Clone, Copy, Debug, Default)]
pub struct End<'a> {
    /// Its exit code, unless a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The output ends without a newline.
    pub partial_line: bool,
    /// The last part of its standard error.
    pub stderr_tail: &'a str,
    /// The middle of the output was not kept.
    pub output_dropped: bool,
}

/// What a whole run amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// The CLI's own words, or the last of its standard error; none for [`Outcome::Ok`].
    pub message: Option<String>,
    /// Trying again in a moment may well help.
    pub transient: bool,
    /// What `--resume` takes.
    pub session_id: Option<String>,
    /// The session began.
    pub begun: bool,
    /// A tool ran, or may have: starting over could do things twice. Also set if output is missing.
    pub acted: bool,
    /// What the run cost in US dollars, without earlier runs of its session where the CLI tells them apart.
    pub cost_usd: Option<f64>,
    /// What each model used, by its name.
    pub tokens: BTreeMap<String, Tokens>,
    /// Turns of all results together.
    pub turns: Option<u64>,
    /// Tool calls that nobody permitted; those that a user refused in an answer are none.
    pub denials: Vec<Denial>,
    /// The limit that stopped it, for [`Outcome::Limited`].
    pub limit: Option<RateLimit>,
}
