//! `top`: the machine, the queue and its tasks on the whole screen, as they change, with keys to act on them.
//!
//! A pure model ([`model`]) takes in what happens and a pure drawing ([`draw`]) shows it; the shell around them
//! waits for the daemon's events, for keys and for files that grow.

mod ansi;
mod answering;
mod areas;
mod columns;
mod draw;
mod filter;
mod history;
mod in_full;
mod link;
mod list;
mod machine;
mod model;
mod obey;
mod pager;
mod processes;
mod shell;
mod tail;
mod tasks;
mod terminal;
mod typed;

use std::io::IsTerminal as _;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;

/// Watch the machine and the queue, and act on tasks, on the whole screen
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: ? shows them all. Enter opens a task with its output, / filters, s sorts,\n\
                  c cancels, r runs again, + and - change the priority, h holds, p pauses,\n\
                  P pauses all starts, a answers what a worker asks, q quits.\n\n\
                  Without a terminal: wezterm-parallel status --watch"
)]
pub(crate) struct TopArgs {}

impl TopArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        // No daemon is started for a screen that there is not.
        if !std::io::stdin().is_terminal() || !screen::stdout_is_terminal() {
            return Err(shell::no_terminal());
        }
        shell::run(context)
    }
}
