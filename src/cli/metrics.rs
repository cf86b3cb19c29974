//! `metrics`: what Prometheus would read, through the socket.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen;
use crate::protocol::{Answer, Message};

/// The node exporter runs as another user.
const MODE: u32 = 0o644;

/// Print the daemon's metrics in Prometheus' text format
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                  wezterm-parallel metrics | grep tasks\n  \
                  wezterm-parallel metrics --textfile /var/lib/node_exporter/wezterm_parallel.prom")]
pub(crate) struct MetricsArgs {
    /// Write them to this file in one step, for the node exporter; its name must end in .prom
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    textfile: Option<PathBuf>,
}

impl MetricsArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        if let Some(path) = &self.textfile {
            check_name(path)?;
        }
        let text = match context.ask(&Message::Metrics {})? {
            Answer::Metrics(metrics) => metrics.text,
            other => return Err(Failure::unexpected_answer(&other)),
        };
        match &self.textfile {
            Some(path) => {
                let failed = |error| {
                    Failure::file(
                        format_args!("cannot write the metrics to {}", path.display()),
                        &error,
                    )
                };
                replace(path, text.as_bytes()).map_err(failed)?;
            }
            None => screen::print(&text)?,
        }
        Ok(Exit::Ok)
    }
}

/// The node exporter passes over files of other names without a word.
fn check_name(path: &Path) -> Result<(), Failure> {
    if path.extension().is_some_and(|extension| extension == "prom") {
        return Ok(());
    }
    let message = format!("{} does not end in .prom", path.display());
    Err(Failure::usage(message).hint("the node exporter reads no other files"))
}

/// Puts the file in the place of the old one. Until then it has a name that nobody reads.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension(format!("prom.{}", std::process::id()));
    let written = write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // It may not even have been made.
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text)
}
