//! Follows the event lines of one run, and says at once what matters while it goes on.
//!
//! What it keeps does not grow with the output: facts, a few ids, and the last result.

use std::collections::{BTreeMap, BTreeSet};

use super::background::Background;
use super::cause::Failure;
use super::loose::List;
use super::spending::Spending;
use super::turn_result::TurnResult;
use super::values::{Conclusion, Denial, End, LimitStatus, News, Question, RateLimit};
use super::verdict::{self, Ending};
use super::wire::{self, BareContent, Control, Kind, LimitEvent, Spoken, Stream, System, TextContent};

/// What the CLI writes when somebody stopped it.
const INTERRUPTED: &str = "[Request interrupted by user";

/// The longest subject made of a message, in columns.
const REASON_COLUMNS_MAX: usize = 100;

/// Everything that the output of one run said so far.
///
/// Feed it every line, without its newline. A line that is no event, or one of an unknown kind, changes nothing.
#[derive(Debug, Default)]
pub struct Transcript {
    pub(super) event_lines: u64,
    pub(super) session_id: Option<String>,
    pub(super) begun: bool,
    /// A real model spoke.
    pub(super) spoke: bool,
    /// It was said that one did.
    announced: bool,
    /// A tool ran for certain.
    ran_tool: bool,
    /// Tools that were called, and of which nothing tells that they ran.
    undecided_tools: BTreeSet<String>,
    /// Calls that were not permitted, by the id of the call.
    denied: BTreeMap<String, Denial>,
    /// Calls that a user refused in an answer.
    refused_by_user: BTreeSet<String>,
    /// Questions without an answer that took effect, and the calls that they are about.
    open_questions: BTreeMap<String, String>,
    pub(super) limit: Option<RateLimit>,
    /// The last error of the main conversation, unless a model spoke since.
    pub(super) trouble: Option<Failure>,
    pub(super) interrupted: Option<String>,
    /// The last result, unless another turn began since.
    pub(super) ending: Option<Ending>,
    final_text: Option<String>,
    pub(super) spending: Spending,
    pub(super) background: Background,
}

impl Transcript {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line, and says what it means for whoever watches the run.
    pub fn line(&mut self, line: &[u8]) -> Option<News> {
        let kind = wire::kind(line)?;
        match kind {
            // Most lines of a run with partial messages: only the first of them says something.
            Kind::Stream => {
                self.event_lines += 1;
                self.turn_goes_on();
                if self.announced {
                    None
                } else {
                    self.stream(&wire::readable(line))
                }
            }
            Kind::Other => {
                self.event_lines += 1;
                None
            }
            _ => {
                let readable = wire::readable(line);
                self.event(kind, &readable)
            }
        }
    }

    /// How many lines were events, of known kinds and others.
    pub fn saw_event_lines(&self) -> u64 {
        self.event_lines
    }

    /// The answer that the last result gave.
    pub fn final_text(&self) -> Option<&str> {
        self.final_text.as_deref()
    }

    /// The work is done and only tasks in the background are left, a server perhaps that never ends.
    pub fn rests(&self) -> bool {
        self.background.is_running() && self.ending.as_ref().is_some_and(|ending| !ending.failed())
    }

    /// What the run amounts to, now that it is over.
    pub fn conclude(&self, end: &End<'_>) -> Conclusion {
        verdict::conclude(self, end)
    }

    /// A tool ran, or nothing tells that it did not.
    pub(super) fn acted(&self) -> bool {
        let asked: BTreeSet<&String> = self.open_questions.values().collect();
        let not_run = |id: &&String| {
            self.denied.contains_key(*id) || self.refused_by_user.contains(*id) || asked.contains(*id)
        };
        self.ran_tool || !self.undecided_tools.iter().all(|id| not_run(&id))
    }

    /// What nobody permitted. A user's own no is an answer like any other: the run went on as that user wanted.
    pub(super) fn denials(&self) -> Vec<Denial> {
        let denied = self
            .denied
            .iter()
            .filter(|(id, _)| !self.refused_by_user.contains(*id));
        denied.map(|(_, denial)| denial.clone()).collect()
    }

    fn event(&mut self, kind: Kind, line: &str) -> Option<News> {
        let read = match kind {
            Kind::System => wire::parse(line).map(|event| self.system(&event)),
            Kind::Assistant => wire::parse(line).map(|event| self.assistant(&event, line)),
            Kind::User => wire::parse(line).map(|event| self.user(&event, line)),
            Kind::RateLimit => wire::parse(line).map(|event| self.rate_limit(&event)),
            Kind::ControlRequest => wire::parse(line).map(|event| self.control(event)),
            Kind::ControlCancel => wire::parse(line).map(|event| self.withdrawal(&event)),
            Kind::Result => wire::parse(line).map(|event| self.result(&event)),
            Kind::Stream | Kind::Other => None,
        };
        self.event_lines += u64::from(read.is_some());
        read.flatten()
    }

    /// Whatever the last result said, it was not the end.
    fn turn_goes_on(&mut self) {
        self.ending = None;
        self.interrupted = None;
    }

    fn system(&mut self, event: &System<'_>) -> Option<News> {
        match event.subtype.as_str() {
            "init" => {
                self.turn_goes_on();
                self.begun = true;
                self.background.turn_began();
                let session_id = event.session_id.owned()?;
                self.session_id = Some(session_id.clone());
                Some(News::Began { session_id })
            }
            "api_retry" => {
                let refused = event.error_status.count() == Some(401);
                // If it gets over that, it says so.
                self.announced &= !refused;
                refused.then(|| News::AuthTrouble(event.error.as_str().to_owned()))
            }
            "permission_denied" => {
                self.denied(event);
                None
            }
            _ => self
                .background
                .changed(event, self.ending.is_some())
                .then_some(News::BackgroundOver),
        }
    }

    fn denied(&mut self, event: &System<'_>) {
        let denial = Denial {
            tool: event.tool_name.as_str().to_owned(),
            // The input comes with the result, if there will be one.
            subject: super::clean::one_line(event.message.as_str(), REASON_COLUMNS_MAX),
        };
        self.denied
            .entry(event.tool_use_id.as_str().to_owned())
            .or_insert(denial);
    }

    fn assistant(&mut self, event: &Spoken<'_, BareContent<'_>>, line: &str) -> Option<News> {
        self.turn_goes_on();
        let real = wire::is_real_model(event.message.0.model.as_str());
        let in_main = event.parent_tool_use_id.as_str().is_empty();
        self.note_tools(&event.message.0.content);
        if event.error.is_some() {
            // Its text is read only now: there are few of them.
            let trouble = event.failure(first_text(line).unwrap_or_default());
            if in_main {
                self.trouble = Some(trouble);
            }
            return None;
        }
        if real && in_main {
            self.trouble = None;
        }
        self.spoken(real)
    }

    fn stream(&mut self, line: &str) -> Option<News> {
        let event: Stream<'_> = wire::parse(line)?;
        self.spoken(wire::is_real_model(event.event.0.message.0.model.as_str()))
    }

    fn spoken(&mut self, real: bool) -> Option<News> {
        let first = real && !self.announced;
        self.announced |= real;
        self.spoke |= real;
        first.then_some(News::Working)
    }

    fn note_tools(&mut self, content: &BareContent<'_>) {
        if self.ran_tool {
            return;
        }
        let calls = content
            .0
            .iter()
            .filter(|block| block.0.kind.as_str() == "tool_use");
        self.undecided_tools
            .extend(calls.map(|block| block.0.id.as_str().to_owned()));
    }

    fn user(&mut self, event: &Spoken<'_, BareContent<'_>>, line: &str) -> Option<News> {
        self.turn_goes_on();
        for block in &event.message.0.content.0 {
            match block.0.kind.as_str() {
                "tool_result" => {
                    self.tool_result(block.0.tool_use_id.as_str(), block.0.is_error.is_set(), event);
                }
                "text" => self.interrupted = first_text(line).filter(|text| text.starts_with(INTERRUPTED)),
                _ => {}
            }
        }
        None
    }

    fn tool_result(&mut self, id: &str, is_error: bool, event: &Spoken<'_, BareContent<'_>>) {
        self.open_questions.retain(|_, asked| asked != id);
        let meta = event
            .tool_result_meta
            .0
            .iter()
            .find(|meta| meta.0.id.as_str() == id);
        if meta.is_some_and(|meta| meta.0.is_users_refusal()) {
            self.refused_by_user.insert(id.to_owned());
        }
        match meta.map(|meta| meta.0.permission_decision.0.decision.as_str()) {
            Some("reject") => {
                self.undecided_tools.remove(id);
            }
            Some("accept") => self.tool_ran(),
            // An error may be a refusal; older versions tell only in the result.
            _ if is_error => {}
            _ => self.tool_ran(),
        }
    }

    fn tool_ran(&mut self) {
        self.ran_tool = true;
        self.undecided_tools.clear();
    }

    fn rate_limit(&mut self, event: &LimitEvent<'_>) -> Option<News> {
        let limit = event.limit()?;
        self.limit = (limit.status == LimitStatus::Rejected).then(|| limit.clone());
        Some(News::Limit(limit))
    }

    fn control(&mut self, event: Control<'_>) -> Option<News> {
        self.turn_goes_on();
        let request = event.request.0;
        if request.subtype.as_str() != "can_use_tool" {
            return None;
        }
        let request_id = event.request_id.owned()?;
        self.open_questions
            .insert(request_id.clone(), request.tool_use_id.as_str().to_owned());
        Some(News::Asked(Question {
            request_id,
            tool: request.tool_name.as_str().to_owned(),
            description: request.description.owned(),
            wants_choice: request.wants_choice(),
            input: request.input,
        }))
    }

    fn withdrawal(&mut self, event: &Control<'_>) -> Option<News> {
        let request_id = event.request_id.owned()?;
        self.open_questions.remove(&request_id);
        Some(News::Withdrawn { request_id })
    }

    fn result(&mut self, event: &TurnResult<'_>) -> Option<News> {
        self.session_id = event.session_id.owned().or(self.session_id.take());
        self.spending.add(event);
        for call in &event.permission_denials.0 {
            let denial = Denial {
                tool: call.0.tool_name.as_str().to_owned(),
                subject: call.0.tool_input.0.clone(),
            };
            self.denied.insert(call.0.tool_use_id.as_str().to_owned(), denial);
        }
        self.final_text = event.result.owned();
        self.ending = Some(Ending::of(event, self.trouble.as_ref()));
        let background = self.background.is_running();
        Some(News::TurnOver { background })
    }
}

fn first_text(line: &str) -> Option<String> {
    let event: Spoken<'_, TextContent<'_>> = wire::parse(line)?;
    let List(blocks) = event.message.0.content;
    blocks.iter().find_map(|block| block.0.text.owned())
}
