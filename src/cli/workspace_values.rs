//! The options that stand for the values of a workspace, for `workspace create` and `workspace edit`.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::queue;
use super::value::{self, EnvSetting};
use crate::config::StartRate;
use crate::protocol::{AgentRight, NoRight, Sandbox, WorkspaceSettings};

/// The values of a workspace.
#[derive(Debug, clap::Args)]
pub(crate) struct ValueArgs {
    /// Its folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Set a variable for its tasks, or copy it from here; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = value::env_setting)]
    env: Vec<EnvSetting>,
    /// The worker profile of commands that name none
    #[arg(long, value_name = "PROFILE")]
    worker: Option<String>,
    /// The most tasks that run at once; 0 for none
    #[arg(long, value_name = "N")]
    max_parallel: Option<u32>,
    /// How fast tasks start, like 10/min or "10/min burst 3"
    #[arg(long, value_name = "RATE")]
    rate: Option<StartRate>,
    /// Memory that a task needs which declares none, like 400MiB
    #[arg(long, value_name = "SIZE", value_parser = value::size_bytes)]
    memory: Option<u64>,
    /// What its Claude workers may cost in one day, in US dollars
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<f64>,
    /// Parts of the slots among tasks of equal priority: 1 to 1000
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// Added to the priority of each task: -255 to 255
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority_offset: Option<i16>,
    /// What its workers may ask for besides what concerns their own tasks: workspaces, secrets, tasks, daemon; or none
    #[arg(long, value_name = "RIGHT", value_delimiter = ',', value_parser = agent_right)]
    allow_agents: Vec<Option<AgentRight>>,
    /// Run its tasks in git worktrees of their own
    #[arg(long, overrides_with = "no_worktree")]
    worktree: bool,
    /// Do not
    #[arg(long, overrides_with = "worktree")]
    no_worktree: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
}

/// `none` stands for no right, in place of those that the config gives.
fn agent_right(text: &str) -> Result<Option<AgentRight>, String> {
    match text {
        "none" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|error: NoRight| format!("{error}, or none")),
    }
}

/// What the tasks of a workspace are kept in. Options that are given together replace what was there.
#[derive(Debug, clap::Args)]
struct SandboxArgs {
    /// Its tasks write nowhere but in its folder, where they run, and in temporary folders
    #[arg(long)]
    sandbox: bool,
    /// Without a kernel that can do it, they are not started; implies --sandbox
    #[arg(long)]
    sandbox_required: bool,
    /// They can write there, too; implies --sandbox; may be repeated
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    sandbox_write: Vec<PathBuf>,
    /// Beside the system's folders they read nothing else; implies --sandbox; may be repeated
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    sandbox_read: Vec<PathBuf>,
    /// They connect to no other TCP port, or to "none"; implies --sandbox
    #[arg(long, value_name = "PORTS", value_parser = ports)]
    sandbox_connect: Option<Ports>,
    /// They listen on no other TCP port, or on "none"; implies --sandbox
    #[arg(long, value_name = "PORTS", value_parser = ports)]
    sandbox_bind: Option<Ports>,
}

/// TCP ports.
#[derive(Clone, Debug)]
struct Ports(Vec<u16>);

/// Reads `443,8080` or `none`.
fn ports(text: &str) -> Result<Ports, String> {
    if text == "none" {
        return Ok(Ports(Vec::new()));
    }
    let one = |port: &str| {
        let wrong = |_| format!("{port:?} is no port (examples: 443, 80,443, none)");
        port.trim().parse().map_err(wrong)
    };
    text.split(',').map(one).collect::<Result<_, _>>().map(Ports)
}

impl SandboxArgs {
    fn into_sandbox(self) -> Result<Option<Sandbox>, Failure> {
        let paths = |paths: Vec<PathBuf>| {
            let whole = paths.iter().map(|path| absolute(path));
            whole.collect::<Result<Vec<String>, Failure>>()
        };
        let read = paths(self.sandbox_read)?;
        let sandbox = Sandbox {
            enabled: None,
            required: self.sandbox_required,
            write: paths(self.sandbox_write)?,
            read: (!read.is_empty()).then_some(read),
            connect_tcp: self.sandbox_connect.map(|ports| ports.0),
            bind_tcp: self.sandbox_bind.map(|ports| ports.0),
        };
        Ok((self.sandbox || sandbox != Sandbox::default()).then_some(sandbox))
    }
}

/// A path that need not exist, whole.
fn absolute(path: &Path) -> Result<String, Failure> {
    let whole = std::path::absolute(path)
        .map_err(|error| Failure::file(format!("cannot use the path {}", path.display()), &error))?;
    // `a/..` is dropped only where `a` is known to be no link.
    let whole = whole.canonicalize().unwrap_or(whole);
    let text = whole.into_os_string().into_string();
    text.map_err(|path| Failure::usage(format!("the path {path:?} is not UTF-8")))
}

impl ValueArgs {
    /// As the daemon takes them.
    pub(crate) fn into_settings(self) -> Result<WorkspaceSettings, Failure> {
        let caller = queue::environment_for_tasks();
        Ok(WorkspaceSettings {
            folder: self.folder.as_deref().map(whole).transpose()?,
            env: queue::added_environment(self.env, &caller)?,
            worker: self.worker,
            max_parallel: self.max_parallel,
            rate: self.rate.map(|rate| rate.to_string()),
            memory_bytes: self.memory,
            budget_usd: self.budget,
            weight: self.weight,
            priority_offset: self.priority_offset,
            sandbox: self.sandbox.into_sandbox()?,
            allow_agents: (!self.allow_agents.is_empty())
                .then(|| self.allow_agents.into_iter().flatten().collect()),
            worktree: value::wanted(self.worktree, self.no_worktree),
            ..WorkspaceSettings::default()
        })
    }
}

/// The folder as programs in it see it, behind all links: that is where tasks are queued from.
fn whole(folder: &Path) -> Result<String, Failure> {
    let real = std::fs::canonicalize(folder)
        .map_err(|error| Failure::file(format!("cannot use the folder {}", folder.display()), &error))?;
    if !real.is_dir() {
        return Err(Failure::usage(format!("{} is no folder", real.display())));
    }
    real.into_os_string()
        .into_string()
        .map_err(|folder| Failure::usage(format!("the name of the folder {folder:?} is not UTF-8")))
}

/// The name of a value on the wire, from that of its option.
pub(crate) fn field(option: &str) -> String {
    match option {
        "memory" => "memory_bytes".to_owned(),
        "budget" => "budget_usd".to_owned(),
        variable if variable.starts_with("env.") => variable.to_owned(),
        option => option.replace('-', "_"),
    }
}
