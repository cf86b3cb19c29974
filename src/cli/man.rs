//! `man`: manual pages from the same definition that parses the command line.

use std::io::Write as _;
use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::screen;

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        wezterm-parallel man | man -l -\n  \
                        wezterm-parallel man --out ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write wezterm-parallel.1, wezterm-parallel-queue.1 … into this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

impl ManArgs {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let Some(folder) = self.out else {
            let mut page = Vec::new();
            clap_mangen::Man::new(super::definition()).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
            return Ok(Exit::Ok);
        };
        let doing = format!("cannot write manual pages into {}", folder.display());
        std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(super::definition(), &folder))
            .map_err(|error| Failure::file(doing, &error))?;
        screen::note(&format!("wrote the manual pages into {}", folder.display()));
        Ok(Exit::Ok)
    }
}
