//! The one binary: the daemon, its launcher and the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == wezterm_parallel::executor::LAUNCHER_ARGUMENT)
    {
        return wezterm_parallel::executor::launcher_main();
    }
    ExitCode::SUCCESS
}
