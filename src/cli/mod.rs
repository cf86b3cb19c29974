//! The command line: one file per command, and the only place in the program that prints.
//!
//! No command here needs the async runtime or the config before it knows that it does: a `queue`
//! is one connection, one line and one answer.

mod admission;
mod admission_text;
mod answer;
mod attach;
mod attempt_output;
mod batch;
mod cancel;
mod claude_options;
mod claude_text;
mod clean;
mod completions;
mod config;
mod context;
mod cost;
mod cost_text;
mod current_workspace;
mod daemon;
mod doctor;
mod doctor_claude;
mod doctor_history;
mod doctor_journal;
mod draft;
mod edit;
mod exit;
mod explain;
mod follow;
mod history;
mod history_files;
mod history_restore;
mod history_text;
mod hold;
mod human_view;
mod interrupt;
mod line_splitter;
mod log;
mod man;
mod metrics;
mod output_file;
mod panes;
mod pause;
mod prefix;
mod process;
mod process_text;
mod question_text;
mod queue;
mod report;
mod retry;
mod room_text;
mod screen;
mod service;
mod session;
mod setup;
mod show;
mod shutdown;
mod status;
mod status_format;
mod status_watch;
mod task_text;
mod template;
mod text;
mod top;
mod typed;
mod value;
mod viewer_panes;
mod wait;
mod watch;
mod wezterm_config;
mod workspace;
mod workspace_text;
mod workspace_values;
mod worktree;
mod worktree_text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Context;
use exit::{Exit, Failure};

/// Queue prioritized work, and run it on as many workers as the machine can carry.
#[derive(Debug, Parser)]
#[command(
    name = "wezterm-parallel",
    bin_name = "wezterm-parallel",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    disable_help_flag = true,
    after_help = "Exit codes: 0 ok, 1 a task did not succeed, 2 usage, 3 no daemon, 4 refused,
            70 bug, 130 interrupted"
)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Talk to the daemon at this socket
    #[arg(long, global = true, env = "WEZTERM_PARALLEL_SOCKET", hide_env = true, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// Use this config file
    #[arg(long, global = true, env = "WEZTERM_PARALLEL_CONFIG", hide_env = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Fail with exit code 3 rather than start a daemon
    #[arg(
        long,
        global = true,
        env = "WEZTERM_PARALLEL_NO_AUTOSTART",
        hide_env = true,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    no_autostart: bool,
    /// Colour the output
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help = "Colour the output: auto, always, never",
        hide_default_value = true
    )]
    color: screen::ColorWhen,
    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Queue(Box<queue::QueueArgs>),
    Batch(batch::BatchArgs),
    Status(status::StatusArgs),
    Top(top::TopArgs),
    Show(show::ShowArgs),
    Explain(explain::ExplainArgs),
    Admission(admission::AdmissionArgs),
    Log(log::LogArgs),
    Follow(follow::FollowArgs),
    Attach(attach::AttachArgs),
    Answer(answer::AnswerArgs),
    Cost(cost::CostArgs),
    History(Box<history::HistoryArgs>),
    Metrics(metrics::MetricsArgs),
    Wait(wait::WaitArgs),
    Cancel(cancel::CancelArgs),
    Retry(retry::RetryArgs),
    Edit(edit::EditArgs),
    Hold(hold::HoldArgs),
    Release(hold::ReleaseArgs),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Clean(clean::CleanArgs),
    Workspace(workspace::WorkspaceArgs),
    Template(template::TemplateArgs),
    Process(process::ProcessArgs),
    Report(report::ReportArgs),
    Worktree(worktree::WorktreeArgs),
    Session(session::SessionArgs),
    Panes(panes::PanesArgs),
    Daemon(daemon::DaemonArgs),
    Shutdown(shutdown::ShutdownArgs),
    Service(service::ServiceArgs),
    Setup(setup::SetupArgs),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Parses the command line, does what it says, and returns the exit code.
pub fn run() -> ExitCode {
    exit::report_panics();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return usage(&error).into(),
    };
    line.global.color.apply();
    let context = Context::new(line.global);
    match line.command.run(&context) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

/// Prints what clap has to say: help and version to stdout, mistakes to stderr.
fn usage(error: &clap::Error) -> Exit {
    // A reader that has gone away is no reason to fail.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    }
}

impl Command {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Queue(args) => args.run(context),
            Self::Batch(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::Top(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Explain(args) => args.run(context),
            Self::Admission(args) => args.run(context),
            Self::Log(args) => args.run(context),
            Self::Follow(args) => args.run(context),
            Self::Attach(args) => args.run(context),
            Self::Answer(args) => args.run(context),
            Self::Cost(args) => args.run(context),
            Self::History(args) => args.run(context),
            Self::Metrics(args) => args.run(context),
            Self::Wait(args) => args.run(context),
            Self::Cancel(args) => args.run(context),
            Self::Retry(args) => args.run(context),
            Self::Edit(args) => args.run(context),
            Self::Hold(args) => args.run(context),
            Self::Release(args) => args.run(context),
            Self::Pause(args) => args.run(context),
            Self::Resume(args) => args.run(context),
            Self::Clean(args) => args.run(context),
            Self::Workspace(args) => args.run(context),
            Self::Template(args) => args.run(context),
            Self::Process(args) => args.run(context),
            Self::Report(args) => args.run(context),
            Self::Worktree(args) => args.run(context),
            Self::Session(args) => args.run(context),
            Self::Panes(args) => args.run(context),
            Self::Daemon(args) => args.run(context),
            Self::Shutdown(args) => args.run(context),
            Self::Service(args) => args.run(context),
            Self::Setup(args) => args.run(),
            Self::Config(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Completions(args) => args.run(),
            Self::Man(args) => args.run(),
        }
    }
}

/// The definition of the command line, for completions and man pages.
fn definition() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        let words = line.split_whitespace();
        CommandLine::try_parse_from(std::iter::once("wezterm-parallel").chain(words))
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn help_reads_well_at_80_columns() {
        let mut command = definition().term_width(80);
        command.build();
        let mut shown = command.render_help().to_string();
        for command in command.get_subcommands_mut() {
            let help = command.render_help();
            let _ = write!(shown, "\n=== {} ===\n{help}", command.get_name());
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        for line in [
            "--socket /tmp/s --color never --no-autostart status",
            "status --socket /tmp/s --color never --no-autostart",
            "--socket /tmp/s status --no-autostart --color never",
        ] {
            let global = parse(line).unwrap().global;
            assert_eq!(global.socket, Some(PathBuf::from("/tmp/s")), "{line}");
            assert_eq!(global.color, screen::ColorWhen::Never, "{line}");
            assert!(global.no_autostart, "{line}");
        }
    }

    #[test]
    fn what_follows_the_dashes_is_left_alone() {
        assert!(parse("queue -- git log --color always -p 3").is_ok());
        assert!(parse("queue -").is_ok());
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in MISTAKES {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
    }

    const MISTAKES: &[&str] = &[
        "queue -p 256 x",
        "queue -p -1 x",
        "queue --delay 5 x",
        "queue --delay 5s --at 18:30 x",
        "queue --id a/b x",
        "queue --memory lots x",
        "queue --cpus 0 x",
        "queue --after a:later x",
        "status --state sleeping",
        "edit 7",
        "retry",
        "retry 7 --all-failed",
        "answer 7",
        "answer 7 maybe",
        "cost --by hour",
        "cost --since soon",
        "cost --json --by day",
        "history --state running",
        "history --limit 0",
        "history --page here",
        "history --since soon",
        "history --until 18:30",
        "history --json export",
        "history import",
        "queue --shell --worker claude x",
        "queue --shell -- ls",
        "queue --fork x",
        "queue --resume a --continue-from 7 x",
        "resume 7 --worker claude",
        "wait 7 --all",
        "pause 7 --workspace api",
        "cancel",
        "queue --no-such-option x",
        "queue --pane here x",
        "queue --edit x",
        "queue --edit --prompt x",
        "queue --edit -- ls",
        "setup",
        "setup wezterm --print --yes",
        "panes",
        "panes open --slots 0",
        "panes open --layout spiral",
        "panes open --here --new-tab",
        "panes open --restore --slots 2",
        "panes assign 1",
        "workspace create",
        "workspace create api --rate soon",
        "workspace create api --set branch",
        "workspace create api --folder /tmp --no-folder",
        "workspace use",
        "workspace use api --none",
        "workspace use --none --restore",
        "session",
        "session restore",
        "session show a/b",
        "template new a/b",
        "process spawn",
        "process spawn x -- y",
        "process spawn --ready-port 0 x",
        "process spawn --ready-port 80 --ready-line up x",
        "process spawn --ready-timeout 5s x",
        "process spawn --restart sometimes x",
        "process stop",
        "process log dev -f --run 2",
        "report asleep",
        "log @x",
        "panes assign 1 new",
        "queue --no-worktree --worktree-base main x",
        "worktree",
        "worktree merge",
        "worktree diff",
        "no-such-command",
    ];

    #[test]
    fn completions_and_manual_pages_can_be_made() {
        for shell in <clap_complete::Shell as clap::ValueEnum>::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut definition(), "wezterm-parallel", &mut script);
            assert!(
                String::from_utf8(script).unwrap().contains("max-queue-time"),
                "{shell}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(definition(), folder.path()).unwrap();
        assert!(folder.path().join("wezterm-parallel-queue.1").exists());
    }
}
