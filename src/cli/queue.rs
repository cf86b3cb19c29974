//! `queue`: hands one prompt or command to the daemon and prints its id.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::attempt_output::Shown;
use super::claude_options::ClaudeArgs;
use super::context::Context;
use super::draft::Draft;
use super::exit::{Exit, Failure};
use super::value::{self, EnvSetting};
use super::viewer_panes::{self, PaneTarget};
use super::{current_workspace, follow, screen, wait};
use crate::protocol::{Answer, Message, TaskQueue};

/// What is true of the caller and not of what it queues: whose worker it is, and in which pane it runs.
const OWN_VARIABLES: [&str; 6] = [
    "WEZTERM_PARALLEL_TASK",
    "WEZTERM_PARALLEL_ATTEMPT",
    "WEZTERM_PARALLEL_FOLDER",
    "WEZTERM_PARALLEL_WORKTREE",
    "WEZTERM_PANE",
    "WEZTERM_UNIX_SOCKET",
];

/// The profile that `--shell` stands for.
pub(crate) const SHELL: &str = "shell";

/// Queue a prompt or a command and print its id
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "wezterm-parallel queue [OPTIONS] PROMPT\n       \
                      wezterm-parallel queue [OPTIONS] --shell COMMAND\n       \
                      wezterm-parallel queue [OPTIONS] -- ARGV...\n       \
                      wezterm-parallel queue [OPTIONS] -\n       \
                      wezterm-parallel queue [OPTIONS] --edit",
    after_help = "It runs in the folder and with the environment that it is queued from.\n\n\
                  Examples:\n  \
                  wezterm-parallel queue 'fix the flaky test'\n  \
                  wezterm-parallel queue --ask --max-budget-usd 2 - < plan.md\n  \
                  wezterm-parallel queue --continue-from 7 'now write the changelog'\n  \
                  wezterm-parallel queue --shell 'make test && make doc'\n  \
                  wezterm-parallel queue -p high --after 7 -- cargo test --workspace"
)]
pub(crate) struct QueueArgs {
    /// A prompt, or what else the worker takes; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    command: Vec<String>,
    /// The same, whatever it begins with: `--prompt='--help is wrong'`
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["command", "argv"])]
    prompt: Option<String>,
    /// Write it in an editor ($VISUAL, $EDITOR or vi)
    #[arg(short, long, conflicts_with_all = ["command", "prompt", "argv"])]
    edit: bool,
    /// A program and its arguments, run without a shell
    #[arg(last = true, value_name = "ARGV", value_hint = clap::ValueHint::CommandWithArguments)]
    argv: Vec<String>,
    /// 0 to 255, or low, normal, high, urgent; larger runs first
    #[arg(short, long, value_name = "N", value_parser = value::priority, allow_negative_numbers = true)]
    priority: Option<u8>,
    /// A name for the task, in place of the next number
    #[arg(long, value_parser = value::task_id)]
    id: Option<String>,
    /// The worker profile
    #[arg(long, value_name = "PROFILE")]
    worker: Option<String>,
    /// It is a shell line: the same as --worker shell
    #[arg(short, long, conflicts_with_all = ["worker", "argv"])]
    shell: bool,
    /// The workspace it belongs to; empty for none [default: the one in whose folder it is queued,
    /// else the one of `workspace use`]
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Run in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    cwd: Option<PathBuf>,
    /// Run in a git worktree of its own, on a branch of its own
    #[arg(long, overrides_with = "no_worktree")]
    worktree: bool,
    /// Run in the folder itself, whatever the workspace says
    #[arg(long, overrides_with = "worktree", conflicts_with = "worktree_base")]
    no_worktree: bool,
    /// Begin its worktree at this branch, tag or commit [default: what is checked out]
    #[arg(long, value_name = "COMMIT")]
    worktree_base: Option<String>,
    /// Set a variable, or copy it from here; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = value::env_setting)]
    env: Vec<EnvSetting>,
    /// A word to find the task by
    #[arg(long)]
    label: Option<String>,
    /// Start after a task; WHEN is success (default), failure or any
    #[arg(
        long,
        value_name = "ID[:WHEN]",
        value_delimiter = ',',
        value_parser = value::dependency
    )]
    after: Vec<String>,
    /// Start no sooner than after this time, like 90s or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms, conflicts_with = "at")]
    delay: Option<u64>,
    /// Start no sooner than at this moment, like 18:30 or "2026-01-02 03:04"
    #[arg(long, value_name = "MOMENT", value_parser = value::moment_ms)]
    at: Option<u64>,
    /// Stop an attempt that runs longer than this
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms)]
    timeout: Option<u64>,
    /// Run it again after a failure, at most this many times
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Memory that it needs at its peak, like 400MiB [default: what was learned of such tasks]
    #[arg(long, value_name = "SIZE", value_parser = value::size_bytes)]
    memory: Option<u64>,
    /// Processors that it uses, like 2 or 0.5 [default: what is measured decides]
    #[arg(long, value_name = "N", value_parser = value::cpus)]
    cpus: Option<f64>,
    /// Skip it if it has not started within this time
    #[arg(long, value_name = "DURATION", value_parser = value::duration_ms)]
    max_queue_time: Option<u64>,
    /// Start it only when it is released
    #[arg(long)]
    hold: bool,
    /// Show it in a pane of WezTerm: current, new (a new tab) or a pane's number
    #[arg(long, value_name = "PANE", value_parser = viewer_panes::pane_target)]
    pane: Option<PaneTarget>,
    /// Wait until it ends; exit 1 if it did not succeed
    #[arg(long)]
    wait: bool,
    /// Wait, and show its output as it comes
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    claude: ClaudeArgs,
}

impl QueueArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (wait, follow, pane, edit) = (self.wait, self.follow, self.pane, self.edit);
        let task = self.into_task()?;
        let id = if edit {
            Draft::new(context, &task)?.queue(&task, |task| submit(context, task))?
        } else {
            submit(context, task)?
        };
        if follow {
            // Stdout belongs to the task's own output.
            screen::note(&format!("queued task {id}"));
        } else {
            screen::print_line(&id)?;
        }
        if let Some(pane) = pane {
            viewer_panes::show_queued_task(context, &id, pane);
        }
        if follow {
            return follow::follow(context, &[id], Shown::default());
        }
        if wait {
            return wait::wait_for(context, &[id]);
        }
        Ok(Exit::Ok)
    }

    fn into_task(self) -> Result<TaskQueue, Failure> {
        let (command, argv) = match self.prompt {
            // It is written later.
            _ if self.edit => (None, None),
            Some(text) => (Some(not_empty(text)?), None),
            None => work(&self.command, self.argv)?,
        };
        let env = environment_for_tasks();
        let env_add = added_environment(self.env, &env)?;
        Ok(TaskQueue {
            id: self.id.unwrap_or_default(),
            priority: self.priority,
            command,
            argv,
            worker: self.worker.or_else(|| self.shell.then(|| SHELL.to_owned())),
            cwd_gives_way: self.cwd.is_none(),
            cwd: Some(working_folder(self.cwd.as_deref())?),
            env: Some(env),
            env_add,
            workspace: self.workspace,
            label: self.label,
            after: self.after,
            delay_ms: self.delay,
            not_before_ms: self.at,
            timeout_ms: self.timeout,
            retries: self.retries,
            max_queue_time_ms: self.max_queue_time,
            hold: self.hold,
            memory_bytes: self.memory,
            cpus: self.cpus,
            claude: self.claude.into_options(),
            worktree: value::wanted(self.worktree || self.worktree_base.is_some(), self.no_worktree),
            worktree_base: self.worktree_base,
            ..TaskQueue::default()
        })
    }
}

/// Queues the task: its id.
fn submit(context: &Context, mut task: TaskQueue) -> Result<String, Failure> {
    let current = current_workspace::read(context)?;
    current_workspace::fill_in(&mut task, current.as_deref());
    match context.ask(&Message::TaskQueue(Box::new(task)))? {
        Answer::StatusUpdate(update) => Ok(update.process_id),
        other => Err(Failure::unexpected_answer(&other)),
    }
}

/// The forms of the command line, for whoever used none of them.
const FORMS: &str = "`queue 'fix the flaky test'` takes a prompt, `queue --shell 'make test'` a shell \
                     line, `queue -- cargo test` a program with its arguments, and `queue -` reads \
                     from stdin";

fn not_empty(line: String) -> Result<String, Failure> {
    if line.trim().is_empty() {
        return Err(Failure::usage("the prompt or command is empty").hint(FORMS));
    }
    Ok(line)
}

/// The command or the argv, from the three forms of the command line.
fn work(command: &[String], argv: Vec<String>) -> Result<(Option<String>, Option<Vec<String>>), Failure> {
    match (command, argv.is_empty()) {
        ([], true) => Err(Failure::usage("there is nothing to queue").hint(FORMS)),
        ([], false) => Ok((None, Some(argv))),
        ([dash], true) if dash == "-" => Ok((Some(command_from_stdin()?), None)),
        ([line], true) => Ok((Some(not_empty(line.clone())?), None)),
        (words, true) => {
            let words = words.join(" ");
            let forms = format!(
                "write `queue '{words}'` for a prompt, `queue --shell '{words}'` for a shell line, or \
                 `queue -- {words}` for a program with its arguments"
            );
            Err(Failure::usage(format!("a prompt is one argument, and `{words}` is several")).hint(forms))
        }
        (_, false) => Err(Failure::usage("there is a prompt before `--` and a program after it").hint(FORMS)),
    }
}

fn command_from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("cannot read stdin", &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::usage(format!("what stdin says is not UTF-8: byte {place} is wrong"))
    })?;
    let command = text.trim_end_matches(['\n', '\r']);
    if command.trim().is_empty() {
        return Err(Failure::usage("there is nothing on stdin").hint(
            "pipe the prompt in, or with `--shell` the command: `wezterm-parallel queue - < prompt.md`",
        ));
    }
    Ok(command.to_owned())
}

/// The whole environment of the caller; a variable that JSON cannot carry is named on stderr.
fn caller_environment() -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                env.insert(name, value);
            }
            (Ok(name), Err(_)) => {
                screen::note(&format!(
                    "warning: the variable {name} is not UTF-8 and is left out"
                ));
            }
            (Err(name), _) => {
                screen::note(&format!(
                    "warning: the variable {name:?} is not UTF-8 and is left out"
                ));
            }
        }
    }
    env
}

/// The environment that tasks queued from here get.
pub(crate) fn environment_for_tasks() -> BTreeMap<String, String> {
    let mut env = caller_environment();
    for name in OWN_VARIABLES {
        env.remove(name);
    }
    env
}

/// The variables that options set, or copy from the caller.
pub(crate) fn added_environment(
    settings: Vec<EnvSetting>,
    caller: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    settings
        .into_iter()
        .map(
            |EnvSetting { name, value }| match value.or_else(|| caller.get(&name).cloned()) {
                Some(value) => Ok((name, value)),
                None => Err(Failure::usage(format!("the variable {name} is not set here"))
                    .hint(format!("`--env {name}=VALUE` sets it"))),
            },
        )
        .collect()
}

/// The folder to run in, absolute: the given one, which must exist, else the caller's.
pub(crate) fn working_folder(given: Option<&Path>) -> Result<String, Failure> {
    let folder = match given {
        None => std::env::current_dir()
            .map_err(|error| Failure::file("cannot tell the current folder", &error))?,
        Some(given) => {
            let absolute = std::path::absolute(given).map_err(|error| {
                Failure::file(format!("cannot use the folder {}", given.display()), &error)
            })?;
            if !absolute.is_dir() {
                return Err(
                    Failure::usage(format!("there is no folder {}", absolute.display()))
                        .hint("create it, or name another with --cwd"),
                );
            }
            absolute
        }
    };
    folder
        .into_os_string()
        .into_string()
        .map_err(|folder| Failure::usage(format!("the name of the folder {folder:?} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_argument_is_a_prompt() {
        assert_eq!(
            work(&words(&["echo hi"]), vec![]).unwrap(),
            (Some("echo hi".into()), None)
        );
    }

    #[test]
    fn a_prompt_of_its_own_option_may_begin_with_a_dash() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            queue: QueueArgs,
        }
        let queued = |words: &[&str]| {
            let line = Line::try_parse_from(["queue"].iter().chain(words)).ok()?;
            line.queue.into_task().ok()?.command
        };
        for prompt in ["-", "--help", "-p 3", "--", "fix\nboth"] {
            assert_eq!(queued(&[&format!("--prompt={prompt}")]).as_deref(), Some(prompt));
        }
        assert_eq!(
            queued(&["--shell", "--prompt=-x"]).as_deref(),
            Some("-x"),
            "a command too"
        );
        for wrong in [
            &["--prompt= "][..],
            &["--prompt=a", "b"],
            &["--prompt=a", "--", "b"],
        ] {
            assert_eq!(queued(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn words_after_the_dashes_are_an_argv() {
        let argv = words(&["echo", "hi there"]);
        assert_eq!(work(&[], argv.clone()).unwrap(), (None, Some(argv)));
    }

    #[test]
    fn several_words_show_all_forms() {
        let failure = work(&words(&["echo", "hi"]), vec![]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.message,
            "a prompt is one argument, and `echo hi` is several"
        );
        let forms = [
            "`queue 'echo hi'`",
            "`queue --shell 'echo hi'`",
            "`queue -- echo hi`",
        ];
        assert!(
            forms.iter().all(|form| failure.hint.contains(form)),
            "{}",
            failure.hint
        );
    }

    #[test]
    fn nothing_and_both_are_refused() {
        assert_eq!(
            work(&[], vec![]).unwrap_err().message,
            "there is nothing to queue"
        );
        assert_eq!(
            work(&words(&["  "]), vec![]).unwrap_err().message,
            "the prompt or command is empty"
        );
        assert!(work(&words(&["a"]), words(&["b"])).is_err());
    }

    #[test]
    fn a_copied_variable_must_be_set() {
        let caller = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let settings = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| value::env_setting(text).unwrap())
                .collect()
        };
        let added = added_environment(settings(&["A", "B=2"]), &caller).unwrap();
        assert_eq!(added.into_values().collect::<Vec<_>>(), ["1", "2"]);
        let failure = added_environment(settings(&["C"]), &caller).unwrap_err();
        assert_eq!(failure.message, "the variable C is not set here");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let failure = working_folder(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert_eq!(failure.message, "there is no folder /no/such/folder");
        assert!(working_folder(None).unwrap().starts_with('/'));
    }
}
