//! What a pane shows of the workers, and what may reach its terminal.
//!
//! Nothing in here prints, and nothing in here knows the daemon: bytes in, bytes out, and the
//! ways to hear of a file that grows and of a terminal that changes.

mod escape_filter;
mod terminal_words;

pub use escape_filter::EscapeFilter;
pub use terminal_words::{Attention, TabState, TabWords};
