//! Builds a workspace up again from its session: the workspace itself if the daemon does not know it, its processes,
//! and its panes in WezTerm. What is there already stays as it is, so that a second call changes nothing.

use std::collections::HashMap;
use std::fs::File;

use rustix::fs::{flock, FlockOperation};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::workspace::open::open_and_tell;
use crate::cli::{queue, screen};
use crate::client::ClientError;
use crate::config::ensure_private_dir;
use crate::pane::wezterm::{PanePlan, Shown, TabPlan};
use crate::protocol::{
    Answer, ErrorCode, Message, OneTask, OneWorkspace, ProcessFilter, ProcessIds, ProcessSpawn, ProcessView,
    WorkspaceCreate, WorkspaceView,
};
use crate::workspace_session::{SavedProcess, Session, Sessions};

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The workspace
    #[arg(value_parser = super::workspace)]
    name: String,
    /// Open no panes
    #[arg(long)]
    no_panes: bool,
    /// Start no processes
    #[arg(long)]
    no_processes: bool,
}

impl RestoreArgs {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let session = session_of(context, &self.name)?;
        build_up(context, &session, !self.no_processes, !self.no_panes)
    }
}

/// Restores a workspace from a session that has been read, as far as it is wanted: as soon as the workspace is there again, the
/// daemon saves another session.
pub(in crate::cli) fn build_up(
    context: &Context,
    session: &Session,
    processes: bool,
    panes: bool,
) -> Result<Exit, Failure> {
    let _alone = alone(context)?;
    let workspace = workspace_of(context, session)?;
    let mut exit = Exit::Ok;
    let mut ids = HashMap::new();
    if processes {
        ids = restore_processes(context, session, &mut exit)?;
    }
    if panes {
        restore_panes(context, session, &workspace, &ids)?;
    }
    Ok(exit)
}

/// A key that is pressed twice must not spawn anything twice: one restores, and then the other.
fn alone(context: &Context) -> Result<File, Failure> {
    let data = context.paths()?.data;
    ensure_private_dir(&data)?;
    let path = data.join("restore.lock");
    let failed = |error: std::io::Error| Failure::file(format!("cannot lock {}", path.display()), &error);
    let file = File::create(&path).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// The session of a workspace.
pub(in crate::cli) fn session_of(context: &Context, name: &str) -> Result<Session, Failure> {
    Ok(Sessions::new(context.paths()?.sessions()).get(name)?)
}

/// The workspace; created anew if the daemon has none of this name.
pub(in crate::cli) fn workspace_of(context: &Context, session: &Session) -> Result<WorkspaceView, Failure> {
    let show = Message::WorkspaceShow(OneWorkspace {
        name: session.workspace.clone(),
    });
    match context.connect()?.ask(&show) {
        Ok(Answer::Workspace(view)) => return Ok(*view),
        Ok(other) => return Err(Failure::unexpected_answer(&other)),
        Err(ClientError::Refused(refusal)) if refusal.code == ErrorCode::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    // Its template would queue its tasks once more.
    let (name, template) = (session.workspace.clone(), "default".to_owned());
    let create = WorkspaceCreate::new(name, template, session.settings.clone());
    match context.ask(&Message::WorkspaceCreate(Box::new(create)))? {
        Answer::Workspace(view) => {
            screen::note(&format!("created workspace {} again", view.name));
            Ok(*view)
        }
        other => Err(Failure::unexpected_answer(&other)),
    }
}

/// Starts what is to run and does not: the ids of processes that have new ones.
fn restore_processes(
    context: &Context,
    session: &Session,
    exit: &mut Exit,
) -> Result<HashMap<String, String>, Failure> {
    let filter = ProcessFilter {
        workspace: Some(session.workspace.clone()),
        ..ProcessFilter::default()
    };
    let mut known = match context.ask(&Message::ProcessList(filter))? {
        Answer::Processes(answer) => answer.processes,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    let mut ids = HashMap::new();
    for saved in &session.processes {
        let title = saved.name.as_deref().unwrap_or(&saved.id);
        // Of two that run the same, each is one of those that there are.
        let place = known.iter().position(|view| is_same(view, saved));
        let done = match place.map(|place| known.swap_remove(place)) {
            Some(view) => {
                if view.id != saved.id {
                    ids.insert(saved.id.clone(), view.id.clone());
                }
                start_again(context, &view, saved)
            }
            None if saved.wanted => spawn(context, session, saved).map(|id| {
                let words = format!("spawned process {title} as {id}");
                ids.insert(saved.id.clone(), id);
                Some(words)
            }),
            None => Ok(None),
        };
        match done {
            Ok(words) => words.iter().for_each(|words| screen::note(words)),
            // The others, and the panes, are wanted all the same.
            Err(failure) => {
                *exit = Exit::NotSucceeded;
                Context::warn(&format!("process {title} is not restored: {failure}"));
                if !failure.hint.is_empty() {
                    screen::note(&format!("hint: {}", failure.hint));
                }
            }
        }
    }
    Ok(ids)
}

fn is_same(view: &ProcessView, saved: &SavedProcess) -> bool {
    let argv = view.argv.as_deref();
    saved.is_same(view.name.as_deref(), view.command.as_deref(), argv, &view.cwd)
}

/// What was done, if anything was.
fn start_again(
    context: &Context,
    view: &ProcessView,
    saved: &SavedProcess,
) -> Result<Option<String>, Failure> {
    let is_down = matches!(view.state.as_str(), "stopped" | "failed");
    if !saved.wanted || !is_down {
        return Ok(None);
    }
    let ids = vec![view.id.clone()];
    context.change(&Message::ProcessRestart(ProcessIds { ids }))?;
    Ok(Some(format!(
        "started process {} again",
        saved.name.as_deref().unwrap_or(&view.id)
    )))
}

/// Its id. It gets the caller's environment, as at its first time.
fn spawn(context: &Context, session: &Session, saved: &SavedProcess) -> Result<String, Failure> {
    let spawn = ProcessSpawn {
        workspace: session.workspace.clone(),
        command: saved.command.clone(),
        argv: saved.argv.clone(),
        name: saved.name.clone(),
        cwd: Some(saved.cwd.clone()),
        env: Some(queue::environment_for_tasks()),
        restart: Some(saved.restart),
        max_restarts: Some(saved.max_restarts),
        ready: saved.ready.clone(),
        ready_timeout_ms: saved.ready_timeout_ms,
        memory_bytes: saved.memory_bytes,
        ..ProcessSpawn::default()
    };
    match context.ask(&Message::ProcessSpawn(Box::new(spawn)))? {
        Answer::StatusUpdate(update) => Ok(update.process_id),
        other => Err(Failure::unexpected_answer(&other)),
    }
}

/// Opens what is not open. `ids` are those of processes that have new ones.
fn restore_panes(
    context: &Context,
    session: &Session,
    workspace: &WorkspaceView,
    ids: &HashMap<String, String>,
) -> Result<(), Failure> {
    let mut tabs: Vec<TabPlan> = session.tabs.iter().map(|tab| tab.plan.clone()).collect();
    let is_in_a_tab = |id: &String| {
        let mut panes = tabs.iter().flat_map(|tab| &tab.panes);
        panes.any(|pane| pane.shown == Shown::Task(id.clone()))
    };
    let others: Vec<TabPlan> = session
        .attached
        .iter()
        .filter(|id| !is_in_a_tab(id))
        .map(|id| tab_of(id))
        .collect();
    tabs.extend(others);
    let mut openable = Vec::new();
    for mut tab in tabs {
        let mut has_any = false;
        for pane in &mut tab.panes {
            has_any |= is_there(context, session, ids, pane)?;
        }
        // Of one whose viewers have all lost their tasks, nothing is left to be shown.
        openable.extend(has_any.then_some(tab));
    }
    let tabs = openable;
    if tabs.is_empty() {
        screen::note(&format!("workspace {} has no panes to open", session.workspace));
        return Ok(());
    }
    open_and_tell(context, workspace, &tabs)
}

/// Whether there is still something to show in a pane. A task that is gone has a shell in its place, if its tab has other panes.
fn is_there(
    context: &Context,
    session: &Session,
    ids: &HashMap<String, String>,
    pane: &mut PanePlan,
) -> Result<bool, Failure> {
    let Shown::Task(id) = &mut pane.shown else {
        return Ok(true);
    };
    if let Some(new) = ids.get(id) {
        id.clone_from(new);
    } else if !is_known(context, id, &session.workspace)? {
        Context::warn(&format!("{} is no longer known", name_of(id)));
        pane.shown = Shown::Shell(None);
        return Ok(false);
    }
    Ok(true)
}

fn tab_of(id: &str) -> TabPlan {
    TabPlan {
        panes: vec![PanePlan {
            shown: Shown::Task(id.to_owned()),
            cwd: None,
        }],
        ..TabPlan::default()
    }
}

fn name_of(id: &str) -> String {
    format!("{} {id}", crate::cli::process_text::noun(id))
}

/// One of the same number may be another workspace's, if the journal was begun anew.
fn is_known(context: &Context, id: &str, workspace: &str) -> Result<bool, Failure> {
    match context
        .connect()?
        .ask(&Message::Show(OneTask { id: id.to_owned() }))
    {
        Ok(Answer::Task(view)) => Ok(view.workspace == workspace),
        Ok(other) => Err(Failure::unexpected_answer(&other)),
        Err(ClientError::Refused(refusal))
            if matches!(refusal.code, ErrorCode::UnknownTask | ErrorCode::NotFound) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
