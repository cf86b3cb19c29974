//! Panes of the terminal, where workers are seen: what a pane shows and what may reach its terminal,
//! and how WezTerm is asked for panes ([`wezterm`]).
//!
//! Nothing in here prints, and nothing in here knows the daemon: bytes in, bytes out, and the
//! ways to hear of a file that grows, of keys, and of a terminal that changes.

mod escape_filter;
mod growth;
mod harmless;
mod keys;
mod settle;
mod signals;
mod terminal_words;
mod typed_bytes;
pub mod wezterm;

pub use escape_filter::EscapeFilter;
pub use growth::Growth;
pub use keys::{Key, Keys};
pub use settle::settle;
pub use signals::Signals;
pub use terminal_words::{notification, Attention, TabState, TabWords};
pub use typed_bytes::{PASTE_MARKS_OFF, PASTE_MARKS_ON};
