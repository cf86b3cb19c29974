//! `config`: what holds, where it is written, and whether it is right.

use std::path::PathBuf;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use crate::config::DEFAULTS_TOML;

/// Show, find or check the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the configuration that holds, all layers together
    Show {
        /// Print the built-in defaults, with comments
        #[arg(long)]
        default: bool,
    },
    /// Print where the config file is, or would be
    Path,
    /// Check the configuration; exit 2 if it is wrong
    Check,
}

impl ConfigArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Show { default: true } => screen::print(DEFAULTS_TOML)?,
            What::Show { default: false } => {
                let loaded = context.load_config()?;
                let text = toml::to_string_pretty(&loaded.config)
                    .map_err(|error| Failure::bug(format!("cannot write the config as TOML: {error}")))?;
                screen::print(&text)?;
            }
            What::Path => {
                screen::print_line(&config_file(context)?.display().to_string())?;
            }
            What::Check => {
                let loaded = context.load_config()?;
                for warning in &loaded.warnings {
                    Context::warn(warning);
                }
                match &loaded.file {
                    Some(file) => screen::note(&format!("{} is right", file.display())),
                    None => screen::note("there is no config file: the defaults hold"),
                }
            }
        }
        Ok(Exit::Ok)
    }
}

/// The file that is used, or that would be. A file with mistakes still has a place.
fn config_file(context: &Context) -> Result<PathBuf, Failure> {
    if let Some(file) = context.config_file() {
        return Ok(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    }
    let folder = context.paths()?.config_dir;
    let names = ["config.toml", "config.yaml", "config.yml"];
    let found = names
        .iter()
        .map(|name| folder.join(name))
        .find(|file| file.exists());
    Ok(found.unwrap_or_else(|| folder.join(names[0])))
}
