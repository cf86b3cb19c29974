//! Panes of the terminal: where workers are seen.

pub mod wezterm;
