//! Why a run failed, from what the CLI says about it: by its fields as far as they tell, then by its words.
//!
//! Versions differ in what they set. The words below are the CLI's own, never a model's: they are looked for
//! only in errors.

use super::values::Outcome;

/// Everything that an error said about itself; empty where it said nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    /// The status of the service's answer.
    pub(super) status: Option<u64>,
    /// The CLI's word on a message: `rate_limit`, `server_error` …
    pub(super) word: String,
    /// The CLI's finer word: `connection_failed`, `usage_limit_reached` …
    pub(super) api_error: String,
    /// The service's word: `overloaded_error` …
    pub(super) api_type: String,
    pub(super) subtype: String,
    pub(super) terminal_reason: String,
    pub(super) stop_reason: String,
    /// What it says to people.
    pub(super) text: String,
}

/// An outcome, and whether trying again in a moment may well help.
pub(super) type Cause = (Outcome, bool);

impl Failure {
    /// The cause; `None` if nothing tells.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.by_reason()
            .or_else(|| self.by_api_error())
            .or_else(|| self.by_status())
            .or_else(|| by_word(&self.api_type))
            .or_else(|| by_word(&self.word))
            .or_else(|| self.by_text())
    }

    fn by_text(&self) -> Option<Cause> {
        let cause = by_text(&self.text);
        if self.word == "server_error" && !cause.is_some_and(|(_, transient)| transient) {
            return Some((Outcome::ApiError, true));
        }
        cause
    }

    fn by_reason(&self) -> Option<Cause> {
        if self.stop_reason == "refusal" {
            return Some((Outcome::Refusal, false));
        }
        [&self.terminal_reason, &self.subtype]
            .into_iter()
            .find_map(|reason| {
                let outcome = match reason.as_str() {
                    "budget_exhausted" | "error_max_budget_usd" => Outcome::Budget,
                    "max_turns" | "error_max_turns" => Outcome::MaxTurns,
                    "prompt_too_long" => Outcome::PromptTooLong,
                    aborted if aborted.starts_with("aborted") => Outcome::Interrupted,
                    _ => return None,
                };
                Some((outcome, false))
            })
    }

    fn by_api_error(&self) -> Option<Cause> {
        match self.api_error.as_str() {
            "max_output_tokens" => Some((Outcome::Truncated, false)),
            "usage_limit_reached" => Some((Outcome::Limited, true)),
            "connection_failed" if was_cut_off(&self.text) => Some((Outcome::Truncated, true)),
            "connection_failed" => Some((Outcome::Unreachable, true)),
            _ => None,
        }
    }

    fn by_status(&self) -> Option<Cause> {
        match self.status? {
            401 => Some((Outcome::Auth, false)),
            408 | 409 => Some((Outcome::ApiError, true)),
            429 => Some((Outcome::Limited, true)),
            529 => Some((Outcome::Overloaded, true)),
            400..=499 if self.text.starts_with("Prompt is too long") => Some((Outcome::PromptTooLong, false)),
            400..=499 => Some((Outcome::ApiError, false)),
            500.. => Some((Outcome::ApiError, true)),
            _ => None,
        }
    }
}

/// By the words of the CLI and of the service. `server_error` is too broad to tell before the text does.
fn by_word(word: &str) -> Option<Cause> {
    match word {
        "rate_limit" | "rate_limit_error" => Some((Outcome::Limited, true)),
        "overloaded" | "overloaded_error" => Some((Outcome::Overloaded, true)),
        "authentication_failed" | "authentication_error" => Some((Outcome::Auth, false)),
        "permission_error" | "billing_error" | "model_not_found" | "not_found_error" => {
            Some((Outcome::ApiError, false))
        }
        "api_error" | "timeout_error" => Some((Outcome::ApiError, true)),
        "max_output_tokens" => Some((Outcome::Truncated, false)),
        _ => None,
    }
}

/// Phrases of the CLI, and what they mean; the first that is found counts.
const PHRASES: [(&str, Cause); 21] = [
    (
        "No conversation found with session ID",
        (Outcome::NoSession, false),
    ),
    ("[Request interrupted by user", (Outcome::Interrupted, false)),
    ("Connection lost mid-response", (Outcome::Truncated, true)),
    ("may be incomplete", (Outcome::Truncated, true)),
    ("output token maximum", (Outcome::Truncated, false)),
    ("Prompt is too long", (Outcome::PromptTooLong, false)),
    ("API Error: 529", (Outcome::Overloaded, true)),
    ("Overloaded", (Outcome::Overloaded, true)),
    ("Request rejected (429)", (Outcome::Limited, true)),
    ("You've hit your", (Outcome::Limited, true)),
    ("usage limit reached", (Outcome::Limited, true)),
    ("Unable to connect to API", (Outcome::Unreachable, true)),
    ("Connection refused", (Outcome::Unreachable, true)),
    ("Connection error", (Outcome::Unreachable, true)),
    ("Request timed out", (Outcome::Unreachable, true)),
    ("Not logged in", (Outcome::Auth, false)),
    ("Please run /login", (Outcome::Auth, false)),
    ("Invalid API key", (Outcome::Auth, false)),
    ("empty or malformed response", (Outcome::ApiError, true)),
    ("API Error: 5", (Outcome::ApiError, true)),
    ("API Error", (Outcome::ApiError, false)),
];

fn by_text(text: &str) -> Option<Cause> {
    PHRASES
        .iter()
        .find(|(phrase, _)| text.contains(phrase))
        .map(|(_, cause)| *cause)
}

/// The cause that standard error names, for a run that printed no result.
pub(super) fn of_stderr(stderr: &str) -> Option<Cause> {
    let told = [
        "No conversation found with session ID",
        "Not logged in",
        "Please run /login",
        "Invalid API key",
    ];
    let phrase = told.into_iter().find(|phrase| stderr.contains(phrase))?;
    by_text(phrase)
}

fn was_cut_off(text: &str) -> bool {
    text.contains("mid-response") || text.contains("may be incomplete")
}
