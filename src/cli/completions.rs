//! `completions`: what a shell needs to complete this command line.

use std::io::Write as _;

use super::exit::{Exit, Failure};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        eval \"$(wezterm-parallel completions bash)\"\n  \
                        wezterm-parallel completions zsh > \"${fpath[1]}/_wezterm-parallel\"\n  \
                        wezterm-parallel completions fish | source")]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut super::definition(),
            "wezterm-parallel",
            &mut script,
        );
        std::io::stdout().lock().write_all(&script)?;
        Ok(Exit::Ok)
    }
}
