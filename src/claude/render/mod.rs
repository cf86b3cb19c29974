//! Shows a run to people: the answer as it comes, one line for each tool and its result, and how it ended.
//!
//! Lines that are no events are shown as they are: other programs print into the same file. Everything from
//! outside is cleaned before it is shown.

mod blocks;
mod page;
mod system;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::cause::Failure;
use super::loose::Text;
use super::spending::Spending;
use super::subject::{label, Subject};
use super::turn_result::TurnResult;
use super::values::{LimitStatus, Outcome, Tokens};
use super::verdict::{Ending, Work};
use super::wire::{self, Control, Kind, LimitEvent, Spoken, Stream};
use blocks::{Block, Content};
use page::{Look, Page};

pub use words::outcome_words;

/// The width of a line on a screen that nobody measured.
const COLUMNS: usize = 120;

/// Calls whose results are awaited. More of them at once are not told apart by their labels.
const CALLS_MAX: usize = 256;

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// With colours, as escape sequences of a terminal.
    pub color: bool,
    /// Columns of the screen: the lines about tools are cut to it, text is not.
    pub width: Option<usize>,
    /// Show text while it is written, if the CLI prints partial messages.
    pub partial: bool,
}

/// Turns event lines into text.
#[derive(Debug)]
pub struct Renderer {
    page: Page,
    partial: bool,
    /// How a moment in seconds since the Unix epoch is shown.
    moment: fn(u64) -> String,
    /// Labels of the tools whose results are awaited, by the id of the call.
    calls: BTreeMap<String, String>,
    /// The call whose line was the last one.
    last_call: Option<String>,
    /// Calls whose refusal was shown.
    denied: BTreeSet<String>,
    /// Calls that a user refused in an answer: their results say so already.
    refused_by_user: BTreeSet<String>,
    /// What the run did so far, for its last line.
    work: Work,
    /// The last error message; some versions say more in it than in the result.
    trouble: Option<Failure>,
    /// The text that flows at the moment, as it came.
    flowing: String,
    /// Texts that were shown as they came, and that whole messages will repeat.
    streamed: Vec<String>,
    introduced: bool,
}

impl Renderer {
    /// A renderer that stands at the start of an output.
    pub fn new(style: Style) -> Self {
        Self {
            page: Page::new(style.color, style.width.unwrap_or(COLUMNS)),
            partial: style.partial,
            moment: |moment_s| format!("at {moment_s} s since 1970"),
            calls: BTreeMap::new(),
            last_call: None,
            denied: BTreeSet::new(),
            refused_by_user: BTreeSet::new(),
            work: Work::default(),
            trouble: None,
            flowing: String::new(),
            streamed: Vec::new(),
            introduced: false,
        }
    }

    /// With a caller's way to show a moment, given in seconds since the Unix epoch: there is no clock in here,
    /// and no time zone.
    #[must_use]
    pub fn with_moments(mut self, moment: fn(u64) -> String) -> Self {
        self.moment = moment;
        self
    }

    /// From now on lines are cut to this width of the screen.
    pub fn set_width(&mut self, width: Option<usize>) {
        self.page.columns = width.unwrap_or(COLUMNS);
    }

    /// Appends what the line, without its newline, has to show.
    pub fn line(&mut self, line: &[u8], out: &mut String) {
        let line = &*wire::readable(line);
        let Some(kind) = wire::kind(line.as_bytes()) else {
            return self.foreign(line, out);
        };
        let shown = match kind {
            Kind::Stream => wire::parse(line).map(|event| self.stream(&event, out)),
            Kind::Assistant => wire::parse(line).map(|event| self.assistant(event, out)),
            Kind::User => wire::parse(line).map(|event| self.user(&event, out)),
            Kind::System => wire::parse(line).map(|event| self.system(&event, out)),
            Kind::RateLimit => wire::parse(line).map(|event| self.limit(&event, out)),
            Kind::ControlRequest => wire::parse(line).map(|event| self.question(&event, out)),
            Kind::Result => wire::parse(line).map(|event| self.result(&event, out)),
            Kind::ControlCancel => {
                self.note(out, Look::Dim, "? no longer asked");
                Some(())
            }
            Kind::Other => Some(()),
        };
        if shown.is_none() {
            self.foreign(line, out);
        }
    }

    /// Ends what stands open, at the end of the output.
    pub fn finish(&mut self, out: &mut String) {
        self.end_flow(out);
    }

    fn foreign(&mut self, line: &str, out: &mut String) {
        self.end_flow(out);
        self.page.block(out, false, line);
        self.last_call = None;
    }

    /// A line of its own in the main conversation.
    fn note(&mut self, out: &mut String, look: Look, text: &str) {
        self.say(out, false, look, text);
    }

    fn say(&mut self, out: &mut String, indented: bool, look: Look, text: &str) {
        self.end_flow(out);
        self.page.line(out, indented, look, text);
        self.last_call = None;
    }

    fn end_flow(&mut self, out: &mut String) {
        self.page.end_line(out);
        if !self.flowing.is_empty() {
            self.streamed.push(std::mem::take(&mut self.flowing));
        }
    }

    /// Agents of agents stay silent until their messages are whole: two texts cannot flow at once.
    fn stream(&mut self, event: &Stream<'_>, out: &mut String) {
        if !self.partial || !event.parent_tool_use_id.as_str().is_empty() {
            return;
        }
        let piece = &event.event.0;
        match piece.kind.as_str() {
            "message_start" => {
                self.end_flow(out);
                self.streamed.clear();
            }
            "content_block_delta" => self.flow(piece.delta.0.text.as_str(), out),
            "content_block_stop" | "message_stop" => self.end_flow(out),
            _ => {}
        }
    }

    fn flow(&mut self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        self.page.flow(out, text);
        self.flowing.push_str(text);
        self.last_call = None;
    }

    fn assistant(&mut self, event: Spoken<'_, Content<'_>>, out: &mut String) {
        let indented = !event.parent_tool_use_id.as_str().is_empty();
        self.work.spoke |= wire::is_real_model(event.message.0.model.as_str());
        if !indented {
            self.trouble = event.error.is_some().then(|| event.failure(String::new()));
        }
        for block in event.message.0.content.0 {
            match block.kind.as_str() {
                "text" if event.error.is_some() => self.error_text(&block.text, indented, out),
                "text" => self.text(block.text.as_str(), indented, out),
                "thinking" if !block.thinking.as_str().trim().is_empty() => {
                    let line = super::clean::one_line(block.thinking.as_str(), self.page.columns);
                    self.say(out, indented, Look::Dim, &format!("∴ {line}"));
                }
                "tool_use" | "server_tool_use" => self.call(&block, indented, out),
                _ => {}
            }
        }
    }

    /// A whole text, unless it was shown while it was written.
    fn text(&mut self, text: &str, indented: bool, out: &mut String) {
        if indented {
            self.end_flow(out);
            return self.page.block(out, true, text);
        }
        if !self.flowing.is_empty() && text.starts_with(self.flowing.as_str()) {
            let rest = &text[self.flowing.len()..];
            self.page.flow(out, rest);
            self.page.end_line(out);
            self.flowing.clear();
            return;
        }
        self.end_flow(out);
        if let Some(at) = self.streamed.iter().position(|shown| shown == text) {
            self.streamed.swap_remove(at);
            return;
        }
        self.page.block(out, false, text);
        self.last_call = None;
    }

    fn error_text(&mut self, text: &Text<'_>, indented: bool, out: &mut String) {
        self.end_flow(out);
        self.last_call = None;
        for line in text.as_str().lines().filter(|line| !line.trim().is_empty()) {
            self.page.whole_line(out, indented, Look::Bad, line);
        }
    }

    fn call(&mut self, block: &Block<'_>, indented: bool, out: &mut String) {
        let label = label(block.name.as_str(), &block.input.0);
        self.say(out, indented, Look::Tool, &format!("● {label}"));
        let id = block.id.as_str();
        if self.calls.len() < CALLS_MAX {
            self.calls.insert(id.to_owned(), label);
        }
        self.last_call = Some(id.to_owned());
    }

    fn user(&mut self, event: &Spoken<'_, Content<'_>>, out: &mut String) {
        let indented = !event.parent_tool_use_id.as_str().is_empty();
        let refused = event
            .tool_result_meta
            .0
            .iter()
            .filter(|meta| meta.0.is_users_refusal());
        self.refused_by_user
            .extend(refused.map(|meta| meta.0.id.as_str().to_owned()));
        for block in &event.message.0.content.0 {
            match block.kind.as_str() {
                "tool_result" => self.tool_result(block, indented, out),
                "text" => {
                    let line = super::clean::one_line(block.text.as_str(), self.page.columns);
                    self.say(out, indented, Look::Dim, &format!("› {line}"));
                }
                _ => {}
            }
        }
    }

    fn tool_result(&mut self, block: &Block<'_>, indented: bool, out: &mut String) {
        let summary = &block.content;
        let is_error = block.is_error.is_set();
        let said = match (summary.lines, summary.others) {
            (0, 0) => "no output".to_owned(),
            (0, others) => words::many(others, "attachment"),
            (1, _) => summary.first.clone(),
            _ if is_error => summary.first.clone(),
            (lines, _) => words::many(lines, "line"),
        };
        let id = block.tool_use_id.as_str();
        self.work.acted |= !is_error;
        let label = self.calls.remove(id);
        // Results of calls that run side by side come in any order.
        let whose = match label {
            Some(label) if self.last_call.as_deref() != Some(id) => format!("{label}: "),
            _ => String::new(),
        };
        // Without colours, too, an error is to be told from a result.
        let (look, mark) = if is_error {
            (Look::Bad, "✗ ")
        } else {
            (Look::Dim, "")
        };
        self.say(out, indented, look, &format!("  ⎿ {mark}{whose}{said}"));
    }

    fn limit(&mut self, event: &LimitEvent<'_>, out: &mut String) {
        let Some(limit) = event.limit() else { return };
        let kind = limit.kind.map(|kind| kind.replace('_', " "));
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        let resets = limit
            .resets_at_s
            .map(|moment_s| format!(", resets {}", (self.moment)(moment_s)));
        let resets = resets.unwrap_or_default();
        match limit.status {
            LimitStatus::Allowed => {}
            LimitStatus::Warning => {
                let used = limit
                    .utilization
                    .map(|part| format!(" {:.0} % used", part * 100.0));
                let used = used.unwrap_or_else(|| " almost reached".to_owned());
                self.note(out, Look::Notice, &format!("! usage limit{kind}{used}{resets}"));
            }
            LimitStatus::Rejected => {
                self.note(out, Look::Bad, &format!("! usage limit{kind} reached{resets}"));
            }
        }
    }

    fn question(&mut self, event: &Control<'_>, out: &mut String) {
        let request = &event.request.0;
        if request.subtype.as_str() != "can_use_tool" {
            return;
        }
        let label = label(request.tool_name.as_str(), &Subject::of(&request.input).0);
        let wanted = if request.wants_choice() {
            "an answer"
        } else {
            "permission"
        };
        let last_call = self.last_call.take();
        self.note(out, Look::Notice, &format!("? {label} needs {wanted}"));
        // The result of that very call comes next, most of the time.
        self.last_call = last_call;
    }

    fn denied(&mut self, id: &str, label: &str, out: &mut String) {
        if self.denied.insert(id.to_owned()) {
            let last_call = self.last_call.take();
            self.note(out, Look::Bad, &format!("✗ denied: {label}"));
            self.last_call = last_call;
        }
    }

    fn result(&mut self, event: &TurnResult<'_>, out: &mut String) {
        for call in &event.permission_denials.0 {
            let id = call.0.tool_use_id.as_str();
            if self.refused_by_user.contains(id) {
                continue;
            }
            self.work.denied = true;
            let label = label(call.0.tool_name.as_str(), &call.0.tool_input.0);
            self.denied(id, &label, out);
        }
        // Words for the CLI's own developers.
        for error in event
            .errors
            .0
            .iter()
            .filter(|error| !error.as_str().starts_with("[ede_diagnostic]"))
        {
            self.error_text(error, false, out);
        }
        let outcome = Ending::of(event, self.trouble.as_ref()).outcome(self.work);
        let look = if outcome == Outcome::Ok {
            Look::Good
        } else {
            Look::Bad
        };
        self.note(out, look, &end_line(outcome, event));
        self.streamed.clear();
        self.calls.clear();
    }
}

/// `■ ok · 3 turns · 12.4 s · 1.2k in / 340 out · $0.0123`
fn end_line(outcome: Outcome, event: &TurnResult<'_>) -> String {
    let mut spending = Spending::default();
    spending.add(event);
    let mut used = Tokens::default();
    for tokens in spending.tokens().values() {
        used.add(*tokens);
    }
    let read = used
        .input
        .saturating_add(used.cache_read)
        .saturating_add(used.cache_write);
    let mut parts = vec![format!("■ {}", outcome_words(outcome.name()))];
    parts.extend(spending.turns.map(|turns| words::many(turns, "turn")));
    parts.extend(event.duration_ms.0.map(words::duration));
    if read > 0 || used.output > 0 {
        parts.push(format!(
            "{} in / {} out",
            words::count(read),
            words::count(used.output)
        ));
    }
    parts.extend(spending.cost_usd().filter(|cost| *cost > 0.0).map(words::dollars));
    parts.join(" · ")
}
