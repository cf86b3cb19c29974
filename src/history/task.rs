//! A task and its attempts as the history has them: what `history --json` and `history export` print.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::claude::Tokens;
use crate::journal::{AttemptImage, TaskImage};

/// The version of what `history export` writes.
pub const FORMAT: u32 = 1;

/// An ended task. Names and units are those of `show --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryTask {
    /// [`FORMAT`].
    pub version: u32,
    /// Its number: the same task as another one if this and `submitted_at_ms` are the same.
    pub key: u64,
    /// Its id.
    pub id: String,
    /// `succeeded failed cancelled skipped lost`.
    pub state: String,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// 0 to 255, larger first.
    pub priority: u8,
    /// The worker profile.
    pub worker: String,
    /// The workspace; empty for none.
    pub workspace: String,
    /// The user's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The shell line or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The working folder.
    pub cwd: String,
    /// When it was queued, in milliseconds since the Unix epoch.
    pub submitted_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: u64,
    /// Its attempts, oldest first.
    pub attempts: Vec<HistoryAttempt>,
    /// Where it stands among all others: `--page` goes on after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One execution of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryAttempt {
    /// Its number, from 1.
    pub n: u32,
    /// The outcome in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The exit code, if the command ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal's number, if one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// User and system time of the whole tree, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The largest resident size seen of the whole tree, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Bytes that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Claude workers: the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Claude workers: what it cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Claude workers: turns of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// Claude workers: tokens by model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, Tokens>,
}

impl HistoryTask {
    /// An ended task as the journal has it; `None` if it has not ended.
    #[must_use]
    pub fn from_image(image: &TaskImage) -> Option<Self> {
        let (task, spec) = (&image.task, &image.spec);
        let ended_at = image.ended_at.filter(|_| task.state.is_end())?;
        let submission = &task.submission;
        Some(Self {
            version: FORMAT,
            key: submission.key.0,
            id: id_of(image),
            state: task.state.name().to_owned(),
            reason: task.reason.map(|reason| reason.name().to_owned()),
            priority: submission.priority,
            worker: submission.lane.worker.to_string(),
            workspace: submission.lane.workspace.to_string(),
            label: spec.label.as_deref().map(str::to_owned),
            command: spec.command.as_deref().map(str::to_owned),
            argv: spec.argv.as_deref().map(<[String]>::to_vec),
            cwd: spec.cwd.to_string(),
            submitted_at_ms: submission.submitted_at.0,
            ended_at_ms: ended_at.0,
            attempts: image.attempts.iter().map(HistoryAttempt::from_image).collect(),
            cursor: None,
        })
    }

    /// The command or the words of the program's argv: what is searched.
    #[must_use]
    pub fn text(&self) -> String {
        match (&self.command, &self.argv) {
            (Some(command), _) => command.clone(),
            (None, Some(argv)) => argv.join(" "),
            (None, None) => String::new(),
        }
    }

    /// The different outcomes of its attempts, in order, with a space between two.
    #[must_use]
    pub fn outcomes(&self) -> String {
        let mut outcomes: Vec<&str> = Vec::new();
        for outcome in self
            .attempts
            .iter()
            .filter_map(|attempt| attempt.outcome.as_deref())
        {
            if !outcomes.contains(&outcome) {
                outcomes.push(outcome);
            }
        }
        outcomes.join(" ")
    }

    /// What its last attempt had to say.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.attempts
            .last()
            .and_then(|attempt| attempt.message.as_deref())
    }
}

impl HistoryAttempt {
    fn from_image(attempt: &AttemptImage) -> Self {
        let (exit, claude) = (attempt.exit.as_deref(), attempt.claude.as_deref());
        let by_shim = |ms: u64| (ms > 0).then_some(ms);
        Self {
            n: attempt.attempt,
            outcome: attempt.outcome.as_deref().map(str::to_owned),
            exit_code: exit.and_then(|exit| exit.exit_code),
            signal: exit.and_then(|exit| exit.signal),
            started_at_ms: exit
                .and_then(|exit| by_shim(exit.started_at_ms))
                .unwrap_or(attempt.started_at.0),
            ended_at_ms: exit
                .and_then(|exit| by_shim(exit.ended_at_ms))
                .or(attempt.ended_at.map(|at| at.0)),
            cpu_seconds: exit.map(|exit| exit.cpu_seconds),
            peak_memory_bytes: exit.map(|exit| exit.peak_memory_bytes),
            output_bytes: exit.map(|exit| exit.output_bytes),
            message: attempt.message.as_deref().map(str::to_owned),
            session_id: attempt.session.as_deref().map(str::to_owned),
            cost_usd: claude.and_then(|facts| facts.cost_usd),
            turns: claude.and_then(|facts| facts.turns),
            tokens: claude.map(|facts| facts.tokens.clone()).unwrap_or_default(),
        }
    }
}

/// The id of a task, as a person knows it.
pub(super) fn id_of(image: &TaskImage) -> String {
    match &image.spec.name {
        Some(name) => name.to_string(),
        None => image.task.submission.key.0.to_string(),
    }
}
