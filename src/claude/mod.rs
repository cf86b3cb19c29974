//! What the Claude Code CLI prints with `--output-format stream-json --verbose`, understood.
//!
//! Pure: lines in, values out; no files, no clocks, no processes. A [`Transcript`] follows a run and judges it
//! at its end, a [`Renderer`] shows the same lines to people. Both take whatever comes: versions add events and
//! change fields, a run dies in the middle of a line, and other programs print in between.

mod answers;
mod background;
mod cause;
mod clean;
mod loose;
mod render;
mod spending;
mod subject;
mod transcript;
mod turn_result;
mod values;
mod verdict;
mod wire;

pub use answers::{allow_line, answered_requests, deny_line, prompt_line};
pub use render::{outcome_words, Renderer, Style};
pub use subject::KEY_ARGUMENTS;
pub use transcript::Transcript;
pub use values::{Conclusion, Denial, End, LimitStatus, News, Outcome, Question, RateLimit, Tokens};

#[cfg(test)]
mod tests;
