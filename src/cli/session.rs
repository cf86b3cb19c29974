//! `session`: what is remembered of workspaces, so that they can be built up again after a reboot.
//!
//! Sessions are files: listing, showing and forgetting them needs no daemon, and starts none.

pub(super) mod restore;
mod text;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::{screen, value};
use crate::protocol::check_id;
use crate::workspace_session::{Session, Sessions};

/// List, show, restore and forget what is remembered of workspaces
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The daemon saves a session of each workspace: its panes in WezTerm, its processes, its Claude \
                  sessions.\n\n\
                  Examples:\n  \
                  wezterm-parallel session restore api\n  \
                  wezterm-parallel workspace use api --restore\n  \
                  wezterm-parallel session show api"
)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List all sessions
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is remembered of one workspace
    Show {
        /// The workspace
        #[arg(value_parser = workspace)]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a workspace up again: its processes, and its panes in WezTerm
    Restore(restore::RestoreArgs),
    /// Forget sessions; what is open then is remembered anew
    Forget {
        /// The workspaces
        #[arg(value_name = "NAME", required = true, value_parser = workspace)]
        names: Vec<String>,
    },
}

/// A name that a workspace can have: it becomes the name of a file.
fn workspace(text: &str) -> Result<String, String> {
    check_id(text).map_err(|error| error.message)?;
    Ok(text.to_owned())
}

impl SessionArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let sessions = Sessions::new(context.paths()?.sessions());
        match self.what {
            What::List { json } => list(&sessions, json),
            What::Show { name, json } => {
                let session = sessions.get(&name)?;
                if json {
                    screen::print_json(&session)?;
                } else {
                    screen::print(&text::session(&session))?;
                }
                Ok(Exit::Ok)
            }
            What::Restore(args) => args.run(context),
            What::Forget { names } => forget(&sessions, &names),
        }
    }
}

fn list(sessions: &Sessions, json: bool) -> Result<Exit, Failure> {
    let all = sessions.list()?;
    let mut good: Vec<Session> = Vec::with_capacity(all.len());
    let mut is_whole = true;
    for (_, session) in all {
        match session {
            Ok(session) => good.push(session),
            Err(error) => {
                is_whole = false;
                Context::warn(&error.to_string());
                screen::note(&format!("hint: {}", error.hint()));
            }
        }
    }
    if json {
        screen::print_json(&good)?;
    } else if good.is_empty() {
        screen::note("there are no sessions: the daemon saves one for each workspace that was created");
    } else {
        screen::print(&text::table(&good, value::now_ms(), screen::width()))?;
    }
    Ok(if is_whole { Exit::Ok } else { Exit::NotSucceeded })
}

/// All of them or none: a typing error in the second name must not cost the first.
fn forget(sessions: &Sessions, names: &[String]) -> Result<Exit, Failure> {
    for name in names {
        if !sessions.path(name).exists() {
            // It says what there is instead.
            sessions.get(name)?;
        }
    }
    for name in names {
        sessions.forget(name)?;
    }
    Ok(Exit::Ok)
}
