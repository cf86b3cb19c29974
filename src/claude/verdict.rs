//! Judges a run that is over: by its result if it has a whole one, else by what it said before.
//!
//! Neither the exit code alone nor the result alone tells: the CLI ends with 0 after a denied tool and after an
//! answer that was cut off, and it calls a usage limit a success.

use super::cause::{self, Cause, Failure};
use super::loose::Text;
use super::subject::label;
use super::transcript::Transcript;
use super::turn_result::TurnResult;
use super::values::{Conclusion, Denial, End, Outcome, RateLimit};

/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// How many of the last lines of standard error are shown.
const STDERR_LINES: usize = 3;

/// What the last result said.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    is_error: bool,
    stop_reason: Option<String>,
    has_answer: bool,
    failure: Failure,
}

impl Ending {
    /// Of a result, and of the error message before it, which knows more in some versions.
    pub(super) fn of(result: &TurnResult<'_>, trouble: Option<&Failure>) -> Self {
        let is_error = result.is_error.0.unwrap_or(true);
        let errors = result
            .errors
            .0
            .iter()
            .map(Text::as_str)
            .collect::<Vec<_>>()
            .join("\n");
        let before = trouble.filter(|_| is_error).cloned().unwrap_or_default();
        let or_before = |text: &str, before: String| if text.is_empty() { before } else { text.to_owned() };
        Self {
            is_error,
            stop_reason: result.stop_reason.owned(),
            has_answer: !result.result.as_str().trim().is_empty() || result.structured_output.0,
            failure: Failure {
                status: result.api_error_status.count().or(before.status),
                word: before.word,
                api_error: or_before(result.api_error.as_str(), before.api_error),
                api_type: or_before(result.api_error_type.as_str(), before.api_type),
                subtype: result.subtype.as_str().to_owned(),
                terminal_reason: result.terminal_reason.as_str().to_owned(),
                stop_reason: result.stop_reason.as_str().to_owned(),
                text: or_before(result.result.as_str(), errors),
            },
        }
    }

    /// How the turn ended by itself, for a reader who knows nothing of the process: [`Outcome::Crashed`] if
    /// nothing tells why it failed.
    pub(super) fn outcome(&self, work: Work) -> Outcome {
        if self.failed() {
            self.failure
                .cause()
                .map_or(Outcome::Crashed, |(outcome, _)| outcome)
        } else {
            self.unless_failed(work).0 .0
        }
    }

    /// What an end without an error amounts to, and in which words.
    fn unless_failed(&self, work: Work) -> (Cause, &'static str) {
        match self.stop_reason.as_deref() {
            None if !work.spoke => ((Outcome::NoOp, false), "no model was asked"),
            None => ((Outcome::Truncated, true), "the answer was cut off"),
            Some("max_tokens") => ((Outcome::Truncated, false), "the answer was too long"),
            Some(_) if work.denied => ((Outcome::Denied, false), ""),
            Some(_) if !self.has_answer && !work.acted => {
                ((Outcome::NoOp, false), "the answer is empty and no tool ran")
            }
            Some(_) if !work.spoke => ((Outcome::NoOp, false), "no model was asked"),
            Some(_) => ((Outcome::Ok, false), ""),
        }
    }

    /// It says itself that something went wrong; by more than `is_error`, which has been wrong before.
    fn failed(&self) -> bool {
        let ended_early = !matches!(self.failure.terminal_reason.as_str(), "" | "completed");
        self.is_error || ended_early || self.failure.stop_reason == "refusal"
    }
}

/// What a run did, for the judgement of an end without an error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// A real model said something.
    pub(super) spoke: bool,
    /// A tool ran, or may have.
    pub(super) acted: bool,
    /// A tool was not permitted.
    pub(super) denied: bool,
}

/// An outcome with its message.
struct Verdict {
    outcome: Outcome,
    message: Option<String>,
    transient: bool,
}

impl Verdict {
    fn new((outcome, transient): Cause, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = (!message.is_empty()).then(|| shortened(&message));
        Self {
            outcome,
            message,
            transient,
        }
    }

    fn lasting(outcome: Outcome, message: impl Into<String>) -> Self {
        Self::new((outcome, false), message)
    }
}

pub(super) fn conclude(run: &Transcript, end: &End<'_>) -> Conclusion {
    let denials = run.denials();
    let acted = run.acted() || end.output_dropped;
    let ending = run.ending.as_ref().filter(|_| !end.partial_line);
    let mut verdict = match ending {
        Some(ending) if ending.failed() => of_failure(run, ending, end),
        Some(ending) => of_success(run, ending, end, &denials, acted),
        None => of_no_result(run, end),
    };
    let limit = limit_of(run, &mut verdict);
    Conclusion {
        outcome: verdict.outcome,
        message: verdict.message,
        transient: verdict.transient,
        session_id: run.session_id.clone(),
        begun: run.begun,
        acted,
        cost_usd: run.spending.cost_usd(),
        tokens: run.spending.tokens().clone(),
        turns: run.spending.turns,
        denials,
        limit,
    }
}

/// A limit that says when it resets is not worth a try before.
fn limit_of(run: &Transcript, verdict: &mut Verdict) -> Option<RateLimit> {
    if verdict.outcome != Outcome::Limited {
        return None;
    }
    verdict.transient = run.limit.as_ref().is_none_or(|limit| limit.resets_at_s.is_none());
    run.limit.clone()
}

fn of_failure(run: &Transcript, ending: &Ending, end: &End<'_>) -> Verdict {
    match ending.failure.cause() {
        Some(cause @ (Outcome::Interrupted, _)) => {
            Verdict::new(cause, run.interrupted.as_deref().unwrap_or("interrupted"))
        }
        Some(cause) => Verdict::new(cause, ending.failure.text.as_str()),
        None if ending.failure.text.is_empty() => Verdict::lasting(Outcome::Crashed, last_words(end)),
        None => Verdict::lasting(Outcome::Crashed, ending.failure.text.as_str()),
    }
}

fn of_success(run: &Transcript, ending: &Ending, end: &End<'_>, denials: &[Denial], acted: bool) -> Verdict {
    if end.exit_code != Some(0) || end.signal.is_some() {
        return Verdict::lasting(
            Outcome::Crashed,
            format!("after a good result: {}", last_words(end)),
        );
    }
    if run.background.is_unfinished() {
        return Verdict::lasting(
            Outcome::Crashed,
            "it ended before its background tasks were done with",
        );
    }
    let work = Work {
        spoke: run.spoke || end.output_dropped,
        acted,
        denied: !denials.is_empty(),
    };
    match ending.unless_failed(work) {
        (cause @ (Outcome::Denied, _), _) => Verdict::new(cause, denied_calls(denials)),
        (cause, words) => Verdict::new(cause, words),
    }
}

fn of_no_result(run: &Transcript, end: &End<'_>) -> Verdict {
    if let Some(words) = &run.interrupted {
        return Verdict::lasting(Outcome::Interrupted, words.as_str());
    }
    if end.signal.is_some() {
        return Verdict::lasting(Outcome::Crashed, last_words(end));
    }
    let told = run
        .trouble
        .as_ref()
        .and_then(|trouble| Some((trouble.cause()?, trouble)));
    if let Some((cause, trouble)) = told {
        return Verdict::new(cause, trouble.text.as_str());
    }
    match cause::of_stderr(end.stderr_tail) {
        Some(cause) => Verdict::new(cause, last_words(end)),
        None => Verdict::lasting(Outcome::Crashed, last_words(end)),
    }
}

/// `Bash(cargo publish), Edit(/etc/hosts)`
fn denied_calls(denials: &[Denial]) -> String {
    denials
        .iter()
        .map(|denial| label(&denial.tool, &denial.subject))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What is left to say of a process that did not say it: its last lines on standard error, or how it ended.
fn last_words(end: &End<'_>) -> String {
    let lines: Vec<&str> = end
        .stderr_tail
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    if !lines.is_empty() {
        return lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n");
    }
    match (end.signal, end.exit_code) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) if code != 0 => format!("exit code {code}"),
        _ => "it ended without a result".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MESSAGE_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=MESSAGE_BYTES_MAX)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}
