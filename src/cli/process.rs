//! `process`: long-lived companions of a workspace, kept running beside the queue.

use std::path::PathBuf;

use super::attempt_output::Shown;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::value::{self, EnvSetting};
use super::viewer_panes::{self, PaneTarget};
use super::{current_workspace, follow, log, process_text, queue, screen};
use crate::protocol::{
    self, Answer, Message, OneWorkspace, ProcessFilter, ProcessIds, ProcessSpawn, ProcessStop, ProcessView,
    ReadyCheck, RestartPolicy, WorkspacesAnswer,
};

/// Keep long-lived processes running beside the queue: a dev server, a watcher
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A process belongs to a workspace, runs at once, takes no slot, and is started again \
                  when it fails. ID is what `process spawn` prints (@1), or the name that was given.\n\n\
                  Examples:\n  \
                  wezterm-parallel process spawn --name dev --ready-port 5173 'npm run dev'\n  \
                  wezterm-parallel process spawn --workspace api --restart always -- cargo watch\n  \
                  wezterm-parallel process log dev -f"
)]
pub(crate) struct ProcessArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Spawn(Box<SpawnArgs>),
    List(ListArgs),
    Stop(StopArgs),
    Restart(RestartArgs),
    Log(LogArgs),
}

/// Start a process and print its id
#[derive(Debug, clap::Args)]
#[command(override_usage = "wezterm-parallel process spawn [OPTIONS] COMMAND\n       \
                      wezterm-parallel process spawn [OPTIONS] -- ARGV...")]
struct SpawnArgs {
    /// A shell line
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "argv",
        conflicts_with = "argv"
    )]
    command: Option<String>,
    /// A program and its arguments, run without a shell
    #[arg(last = true, value_name = "ARGV", value_hint = clap::ValueHint::CommandWithArguments)]
    argv: Vec<String>,
    /// The workspace it belongs to [default: the one in whose folder it is spawned, else the one of
    /// `workspace use`]
    #[arg(short, long, value_name = "NAME")]
    workspace: Option<String>,
    /// A name for it, of which there is one in a workspace
    #[arg(short, long, value_parser = value::task_id)]
    name: Option<String>,
    /// Run in this folder [default: the workspace's]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    cwd: Option<PathBuf>,
    /// Set a variable, or copy it from here; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = value::env_setting)]
    env: Vec<EnvSetting>,
    /// When it ends by itself, start it again: never, on-failure, always
    #[arg(long, value_name = "WHEN", value_parser = restart_policy, default_value = "on-failure")]
    restart: RestartPolicy,
    /// So many restarts in a row, and it is failed [default: 10, or the config's]
    #[arg(long, value_name = "N")]
    max_restarts: Option<u32>,
    /// It is ready when something listens on this TCP port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), group = "ready")]
    ready_port: Option<u16>,
    /// It is ready when a line of its output has this text in it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, group = "ready")]
    ready_line: Option<String>,
    /// It is ready when a line of its output matches this regular expression
    #[arg(long, value_name = "REGEX", value_parser = ready_pattern, allow_hyphen_values = true, group = "ready")]
    ready_pattern: Option<String>,
    /// It is ready when this shell line succeeds
    #[arg(long, value_name = "COMMAND", group = "ready")]
    ready_command: Option<String>,
    /// Stop a run that is not ready within this time; it counts as failed
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms, requires = "ready")]
    ready_timeout: Option<u64>,
    /// Memory to keep free for it, like 400MiB
    #[arg(long, value_name = "SIZE", value_parser = value::size_bytes)]
    memory: Option<u64>,
    /// Show it in a pane of WezTerm: current, new (a new tab) or a pane's number
    #[arg(long, value_name = "PANE", value_parser = viewer_panes::pane_target)]
    pane: Option<PaneTarget>,
}

/// List processes, those that have ended among them
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only these
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only those of this workspace
    #[arg(short, long, value_name = "NAME", conflicts_with = "ids")]
    workspace: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Stop processes, with all that they have started; they stay stopped
#[derive(Debug, clap::Args)]
struct StopArgs {
    /// Which
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Forget them, too, with their output
    #[arg(long)]
    remove: bool,
    /// The first signal, like INT [default: TERM]
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Kill what is left after this time [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms)]
    grace: Option<u64>,
}

/// Start processes anew, whether they run or not
#[derive(Debug, clap::Args)]
struct RestartArgs {
    /// Which
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Print what a process wrote
#[derive(Debug, clap::Args)]
struct LogArgs {
    /// Which
    id: String,
    /// Go on as it writes, through restarts, until it is stopped
    #[arg(short, long, conflicts_with = "run")]
    follow: bool,
    /// This run, counted from 1 [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<u32>,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
}

/// Reads the name of a restart policy.
fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    let all = [
        RestartPolicy::Never,
        RestartPolicy::OnFailure,
        RestartPolicy::Always,
    ];
    let found = all.into_iter().find(|policy| policy.name() == text);
    found.ok_or_else(|| "write never, on-failure or always".to_owned())
}

/// Checks a pattern here already, where the mistake was made.
fn ready_pattern(text: &str) -> Result<String, String> {
    match protocol::ready_pattern(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error} ({})", error.hint())),
    }
}

impl ProcessArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Spawn(args) => args.run(context),
            What::List(args) => args.run(context),
            What::Stop(args) => context.change(&Message::ProcessStop(ProcessStop {
                ids: args.ids,
                remove: args.remove,
                signal: args.signal,
                grace_ms: args.grace,
            })),
            What::Restart(args) => context.change(&Message::ProcessRestart(ProcessIds { ids: args.ids })),
            What::Log(args) => args.run(context),
        }
    }
}

impl SpawnArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let workspace = match self.workspace {
            Some(name) => name,
            None => workspace_here(context)?,
        };
        let env = queue::environment_for_tasks();
        let env_add = queue::added_environment(self.env, &env)?;
        let cwd = self
            .cwd
            .map(|cwd| queue::working_folder(Some(&cwd)))
            .transpose()?;
        let ready = ReadyCheck {
            port: self.ready_port,
            line: self.ready_line,
            pattern: self.ready_pattern,
            command: self.ready_command,
        };
        let spawn = ProcessSpawn {
            workspace: workspace.clone(),
            command: self.command,
            argv: Some(self.argv).filter(|argv| !argv.is_empty()),
            name: self.name,
            cwd,
            env: Some(env),
            env_add,
            restart: Some(self.restart),
            max_restarts: self.max_restarts,
            ready: (ready != ReadyCheck::default()).then_some(ready),
            ready_timeout_ms: self.ready_timeout,
            memory_bytes: self.memory,
        };
        let id = match context.ask(&Message::ProcessSpawn(Box::new(spawn)))? {
            Answer::StatusUpdate(update) => update.process_id,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        screen::print_line(&id)?;
        if let Some(pane) = self.pane {
            viewer_panes::show_spawned_process(context, &id, &workspace, pane);
        }
        Ok(Exit::Ok)
    }
}

/// The workspace in whose folder the caller is, else the one of `workspace use`.
fn workspace_here(context: &Context) -> Result<String, Failure> {
    let here = PathBuf::from(queue::working_folder(None)?);
    let WorkspacesAnswer { workspaces } = match context.ask(&Message::WorkspaceList {})? {
        Answer::Workspaces(answer) => answer,
        other => return Err(Failure::unexpected_answer(&other)),
    };
    let around = workspaces.into_iter().filter_map(|view| {
        let folder = PathBuf::from(view.settings.folder.clone()?);
        let depth = here.starts_with(&folder).then(|| folder.components().count())?;
        Some((depth, std::cmp::Reverse(view.created_at_ms), view.name))
    });
    if let Some((.., name)) = around.max() {
        return Ok(name);
    }
    match current_workspace::read(context)? {
        // It may have been removed since.
        Some(name) => match context.ask(&Message::WorkspaceShow(OneWorkspace { name }))? {
            Answer::Workspace(view) => Ok(view.name),
            other => Err(Failure::unexpected_answer(&other)),
        },
        None => Err(Failure::usage("a process belongs to a workspace, and this folder is in none").hint(
            "name one with `--workspace NAME`, or make one of this folder: `wezterm-parallel workspace create NAME`",
        )),
    }
}

/// Processes as they stand.
fn ask(context: &Context, filter: ProcessFilter) -> Result<Vec<ProcessView>, Failure> {
    match context.ask(&Message::ProcessList(filter))? {
        Answer::Processes(answer) => Ok(answer.processes),
        other => Err(Failure::unexpected_answer(&other)),
    }
}

/// One of them, by id or name.
pub(crate) fn one(context: &Context, id: String) -> Result<ProcessView, Failure> {
    let ids = vec![id];
    let found = ask(context, ProcessFilter { ids, workspace: None })?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(process), None) => Ok(process),
        _ => Err(Failure::bug(
            "the daemon told of another number of processes than one",
        )),
    }
}

/// Those of a workspace, as a table; nothing if there are none.
pub(crate) fn table_of(context: &Context, workspace: String) -> Result<String, Failure> {
    let ids = Vec::new();
    let workspace = Some(workspace);
    let processes = ask(context, ProcessFilter { ids, workspace })?;
    if processes.is_empty() {
        return Ok(String::new());
    }
    let table = process_text::table(&processes, value::now_ms(), screen::width());
    Ok(format!("\n{table}"))
}

impl ListArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let processes = ask(
            context,
            ProcessFilter {
                ids: self.ids,
                workspace: self.workspace,
            },
        )?;
        if self.json {
            screen::print_json(&processes)?;
        } else if processes.is_empty() {
            screen::note("there are no processes: `wezterm-parallel process spawn COMMAND` starts one");
        } else {
            screen::print(&process_text::table(&processes, value::now_ms(), screen::width()))?;
        }
        Ok(Exit::Ok)
    }
}

impl LogArgs {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let process = one(context, self.id)?;
        if self.follow {
            let shown = Shown {
                tail: self.tail,
                ..Shown::default()
            };
            return follow::follow(context, std::slice::from_ref(&process.id), shown);
        }
        log::print_attempt(&context.task(process.id.clone())?, self.run, self.tail)?;
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_words() {
        assert_eq!(restart_policy("always"), Ok(RestartPolicy::Always));
        assert_eq!(restart_policy("on-failure"), Ok(RestartPolicy::OnFailure));
        assert!(restart_policy("sometimes").unwrap_err().contains("never"));
    }
}
