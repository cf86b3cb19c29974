//! The program: the launcher, the entrance of a worker, or the command line: parse, run, exit code.

use std::process::ExitCode;

use wezterm_parallel::{cli, entrance, executor};

fn main() -> ExitCode {
    // The launcher forks: it must come before anything that could start a thread.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == executor::LAUNCHER_ARGUMENT)
    {
        return executor::launcher_main();
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == entrance::ENTRANCE_ARGUMENT)
    {
        return entrance::entrance_main();
    }
    cli::run()
}
