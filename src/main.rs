//! The program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    wezterm_parallel::cli::run()
}
