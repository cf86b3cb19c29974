//! The lines about the session itself: its start, retries, refusals, tasks in the background.

use super::{label, words, Look, Renderer};
use crate::claude::clean::one_line;
use crate::claude::wire::System;

impl Renderer {
    pub(super) fn system(&mut self, event: &System<'_>, out: &mut String) {
        match event.subtype.as_str() {
            "init" => self.introduction(event, out),
            "api_retry" => self.note(out, Look::Notice, &retry(event)),
            "permission_denied" => self.refusal(event, out),
            "task_started" if event.is_backgrounded.0 != Some(false) => {
                let what = one_line(event.description.as_str(), self.page.columns);
                self.aside(out, &format!("◦ in the background: {what}"));
            }
            "task_notification" => {
                let what = one_line(event.summary.as_str(), self.page.columns);
                self.note(out, Look::Dim, &format!("◦ {what}"));
            }
            "compact_boundary" => self.note(out, Look::Dim, "… the conversation was shortened"),
            "informational" => {
                let what = one_line(event.content.as_str(), self.page.columns);
                self.note(out, Look::Dim, &format!("… {what}"));
            }
            _ => {}
        }
    }

    /// Turns that the CLI takes by itself introduce the same session again.
    fn introduction(&mut self, event: &System<'_>, out: &mut String) {
        if self.introduced {
            return;
        }
        self.introduced = true;
        let columns = self.page.columns;
        let model = one_line(event.model.as_str(), columns);
        let folder = one_line(event.cwd.as_str(), columns);
        self.note(out, Look::Dim, &format!("▸ {model} in {folder}"));
    }

    fn refusal(&mut self, event: &System<'_>, out: &mut String) {
        let id = event.tool_use_id.as_str();
        let known = self.calls.get(id).cloned();
        let label = known.unwrap_or_else(|| label(event.tool_name.as_str(), ""));
        self.denied(id, &label, out);
    }

    /// A line that does not part a call from its result.
    fn aside(&mut self, out: &mut String, text: &str) {
        let last_call = self.last_call.take();
        self.note(out, Look::Dim, text);
        self.last_call = last_call;
    }
}

/// `… 529 overloaded, try 2 of 10 in 1.1 s`
fn retry(event: &System<'_>) -> String {
    let word = event.error.as_str().replace('_', " ");
    let what = match event.error_status.count() {
        Some(status) => format!("{status} {word}"),
        None if word.is_empty() || word == "unknown" => "no answer".to_owned(),
        None => word,
    };
    let attempt = event.attempt.count().unwrap_or(0);
    let of = event
        .max_retries
        .count()
        .map(|max| format!(" of {max}"))
        .unwrap_or_default();
    let delay = event
        .retry_delay_ms
        .0
        .map(|delay| format!(" in {}", words::duration(delay)));
    format!("… {what}, try {attempt}{of}{}", delay.unwrap_or_default())
}
