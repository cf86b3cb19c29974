//! WezTerm from outside: the only place that finds its servers and runs `wezterm cli`.
//!
//! What a pane shows is the output of a program of our own in that pane. Nothing is ever typed into a
//! pane, and the focus goes back to where it was. What can be decided without a process (reading a
//! listing, choosing a layout) is apart from the calls.

mod assignments;
mod call;
mod error;
mod layout;
mod listing;
mod registry;
mod server;
mod tab_plan;
mod tree;
mod viewers;

pub use assignments::{is_busy, known_panes, Assignment, Assignments, Remembered, Shown};
pub use call::Wezterm;
pub use error::WeztermError;
pub use layout::{plan, smallest, Layout, Side, Split};
pub use listing::{focused_pane, parse_panes, PaneInfo, PaneSize};
pub use registry::{register, Life, Registered, Registry};
pub use server::{is_alive, Server, Surroundings};
pub use tab_plan::{tabs_of_workspace, Listing, OpenTab, PanePlan, TabPlan};
pub use tree::{makes_all, rebuild};
pub use viewers::{Place, Program, Viewers};
