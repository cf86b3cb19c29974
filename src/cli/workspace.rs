//! `workspace`: places of work with a folder, an environment and limits of their own.

pub(crate) mod open;
mod panes;

use std::io::{self, IsTerminal as _};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::session::restore;
use super::workspace_values::{field, ValueArgs};
use super::{current_workspace, process, queue, screen, workspace_text};
use crate::client::ClientError;
use crate::protocol::{
    Answer, ErrorCode, Message, OneWorkspace, WorkspaceCreate, WorkspaceEdit, WorkspaceRemove,
    WorkspaceSettings, WorkspaceView,
};
use crate::templates::{Template, Templates};

/// Create, show, change and remove workspaces
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The workspace of a task is the one that --workspace names, else the one in whose folder it \
                  is queued, else the one of `workspace use`, else none.\n\n\
                  Examples:\n  \
                  wezterm-parallel workspace create api --folder ~/src/api --max-parallel 2\n  \
                  wezterm-parallel workspace create fix-7 --template review --set branch=fix-7\n  \
                  wezterm-parallel workspace edit api --weight 3 --unset max-parallel\n  \
                  wezterm-parallel workspace use api"
)]
pub(crate) struct WorkspaceArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Create(CreateArgs),
    /// List all workspaces
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one workspace in full, and where its values come from
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open its panes in WezTerm, as far as they are not open
    Open {
        /// Its name
        name: String,
    },
    Edit(EditArgs),
    Remove(RemoveArgs),
    Use(UseArgs),
}

/// Create a workspace; its tasks' ids are printed, if the template queues any
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Its name: 1 to 64 characters of A-Z a-z 0-9 . _ -
    name: String,
    /// The template to make it from; `template list` shows them
    #[arg(short, long, default_value = "default")]
    template: String,
    /// A value for a variable of the template; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// It has no folder
    #[arg(long, conflicts_with = "folder")]
    no_folder: bool,
    /// Do not open the panes of the template in WezTerm; `workspace open` does it later
    #[arg(long)]
    no_panes: bool,
    #[command(flatten)]
    values: ValueArgs,
}

/// Change a workspace; what is not named stays
#[derive(Debug, clap::Args)]
struct EditArgs {
    /// Its name
    name: String,
    /// Take a value away: folder, env, env.NAME, worker, max-parallel, rate, memory, budget, weight,
    /// priority-offset, allow-agents, worktree, sandbox, layout or panes; may be repeated
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    unset: Vec<String>,
    #[command(flatten)]
    values: ValueArgs,
}

/// Remove a workspace; its tasks stay, and keep its name
#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Its name
    name: String,
    /// Do not ask, even if tasks of it wait or run; its processes are stopped and removed
    #[arg(short, long)]
    force: bool,
}

/// Take a workspace for what is queued outside of all workspaces' folders
#[derive(Debug, clap::Args)]
struct UseArgs {
    /// Its name
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    name: Option<String>,
    /// Take none any more
    #[arg(long)]
    none: bool,
    /// Also start its processes and open its panes as they were, like `session restore`
    #[arg(long, conflicts_with = "none")]
    restore: bool,
}

/// Reads `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a variable is KEY=VALUE".to_owned()),
    }
}

impl WorkspaceArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Create(args) => args.run(context)?,
            What::List { json } => list(context, json)?,
            What::Show { name, json } => {
                let view = shown(context, &Message::WorkspaceShow(OneWorkspace { name }))?;
                if json {
                    screen::print_json(&view)?;
                } else {
                    screen::print(&workspace_text::workspace(&view))?;
                    screen::print(&process::table_of(context, view.name)?)?;
                }
            }
            What::Open { name } => {
                let view = shown(context, &Message::WorkspaceShow(OneWorkspace { name }))?;
                open::open(context, &view)?;
            }
            What::Edit(args) => args.run(context)?,
            What::Remove(args) => args.run(context)?,
            What::Use(args) => return args.run(context),
        }
        Ok(Exit::Ok)
    }
}

/// Asks for something that is answered with a workspace.
fn shown(context: &Context, message: &Message) -> Result<WorkspaceView, Failure> {
    match context.ask(message)? {
        Answer::Workspace(view) => Ok(*view),
        other => Err(Failure::unexpected_answer(&other)),
    }
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let workspaces = match context.ask(&Message::WorkspaceList {})? {
        Answer::Workspaces(answer) => answer.workspaces,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    if json {
        screen::print_json(&workspaces)?;
    } else if workspaces.is_empty() {
        screen::note("there are no workspaces: `wezterm-parallel workspace create NAME` makes one");
    } else {
        let current = current_workspace::read(context)?;
        screen::print(&workspace_text::table(
            &workspaces,
            current.as_deref(),
            screen::width(),
        ))?;
    }
    Ok(())
}

impl CreateArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let template = Templates::new(context.paths()?.templates()).load(&self.template)?;
        let mut variables: std::collections::BTreeMap<String, String> = self.set.into_iter().collect();
        ask_for_missing(&template, &mut variables)?;
        let mut settings = self.values.into_settings()?;
        if settings.folder.is_none() && template.folder.is_none() && !self.no_folder {
            settings.folder = Some(queue::working_folder(None)?);
        }
        let create = WorkspaceCreate {
            variables,
            ..WorkspaceCreate::new(self.name, self.template, settings)
        };
        let view = shown(context, &Message::WorkspaceCreate(Box::new(create)))?;
        let place = view
            .settings
            .folder
            .as_deref()
            .map(|folder| format!(" in {folder}"));
        screen::note(&format!(
            "created workspace {}{}",
            view.name,
            place.unwrap_or_default()
        ));
        if !view.processes.is_empty() {
            screen::note(&format!("processes: {}", view.processes.join(" ")));
        }
        for id in &view.tasks {
            screen::print_line(id)?;
        }
        if !self.no_panes {
            open::after_creation(context, &view);
        }
        Ok(())
    }
}

/// A person is asked; a script is told.
fn ask_for_missing(
    template: &Template,
    variables: &mut std::collections::BTreeMap<String, String>,
) -> Result<(), Failure> {
    if !is_somebody_there() {
        // The daemon says what is missing.
        return Ok(());
    }
    let missing: Vec<(String, String)> = template
        .missing(variables)
        .into_iter()
        .map(|(name, variable)| (name.to_owned(), variable.description.clone()))
        .collect();
    for (name, description) in missing {
        let what = if description.is_empty() {
            "?"
        } else {
            description.as_str()
        };
        screen::note(&format!("{name} ({what}):"));
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        let answer = answer.trim();
        if !matches!(read, Ok(1..)) || answer.is_empty() {
            return Err(Failure::refused(format!(
                "{name} was not given: nothing was created"
            )));
        }
        variables.insert(name, answer.to_owned());
    }
    Ok(())
}

impl EditArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = self.values.into_settings()?;
        let unset: Vec<String> = self.unset.iter().map(|name| field(name)).collect();
        if unset.is_empty() && settings == WorkspaceSettings::default() {
            return Err(Failure::usage("there is nothing to change")
                .hint("name a value, as in --weight 3, or take one away, as in --unset weight"));
        }
        let edit = WorkspaceEdit {
            name: self.name,
            unset,
            folder: settings.folder,
            env: settings.env,
            worker: settings.worker,
            max_parallel: settings.max_parallel,
            rate: settings.rate,
            memory_bytes: settings.memory_bytes,
            budget_usd: settings.budget_usd,
            weight: settings.weight,
            priority_offset: settings.priority_offset,
            sandbox: settings.sandbox,
            allow_agents: settings.allow_agents,
            worktree: settings.worktree,
        };
        shown(context, &Message::WorkspaceEdit(Box::new(edit))).map(drop)
    }
}

impl RemoveArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let removed = match remove(context, &self.name, self.force) {
            Err(refused) if refused.code == Some(ErrorCode::WrongState) && is_somebody_there() => {
                screen::note(&format!(
                    "{}. Remove it all the same? [y/N]",
                    refused.failure.message
                ));
                let mut answer = String::new();
                let read = io::stdin().read_line(&mut answer);
                if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
                    return Err(Failure::refused("nothing was removed"));
                }
                remove(context, &self.name, true)
            }
            removed => removed,
        };
        let (tasks, processes) = removed.map_err(|refused| refused.failure)?;
        if current_workspace::read(context)?.as_deref() == Some(self.name.as_str()) {
            current_workspace::write(context, None)?;
        }
        match tasks {
            0 => {}
            1 => screen::note(&format!("1 task goes on, and keeps the name {}", self.name)),
            _ => screen::note(&format!("{tasks} tasks go on, and keep the name {}", self.name)),
        }
        match processes {
            0 => {}
            1 => screen::note("1 process is stopped and removed"),
            _ => screen::note(&format!("{processes} processes are stopped and removed")),
        }
        Ok(())
    }
}

/// A failure, and what the daemon calls it.
struct Refused {
    code: Option<ErrorCode>,
    failure: Failure,
}

/// Removes a workspace: how many tasks keep its name, and how many processes go with it.
fn remove(context: &Context, name: &str, force: bool) -> Result<(u64, u64), Refused> {
    let message = Message::WorkspaceRemove(WorkspaceRemove {
        name: name.to_owned(),
        force,
    });
    let other = |failure| Refused { code: None, failure };
    match context.connect().map_err(other)?.ask(&message) {
        Ok(Answer::WorkspaceRemoved(removed)) => Ok((removed.tasks, removed.processes)),
        Ok(answer) => Err(other(Failure::unexpected_answer(&answer))),
        Err(ClientError::Refused(answer)) => Err(Refused {
            code: Some(answer.code),
            failure: ClientError::Refused(answer).into(),
        }),
        Err(error) => Err(other(error.into())),
    }
}

impl UseArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Some(name) = self.name else {
            current_workspace::write(context, None)?;
            return Ok(Exit::Ok);
        };
        // It is read once: a workspace that is created anew gets another one.
        let session = self
            .restore
            .then(|| restore::session_of(context, &name))
            .transpose()?;
        if let Some(session) = &session {
            restore::workspace_of(context, session)?;
        }
        // A name that was mistyped would go unnoticed until the tasks are looked for.
        let view = shown(context, &Message::WorkspaceShow(OneWorkspace { name }))?;
        current_workspace::write(context, Some(&view.name))?;
        match session {
            Some(session) => restore::build_up(context, &session, true, true),
            None => Ok(Exit::Ok),
        }
    }
}

fn is_somebody_there() -> bool {
    io::stdin().is_terminal() && screen::stderr_is_terminal()
}
