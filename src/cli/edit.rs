//! `edit`: gives a waiting task new values.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::value;
use crate::protocol::{EditTask, Message};

/// Change a task that has not ended
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("change").multiple(true).required(true),
    override_usage = "wezterm-parallel edit ID CHANGES...",
    after_help = "Examples:\n  \
                  wezterm-parallel edit 7 -p urgent\n  \
                  wezterm-parallel edit 7 --after 5,6:any --delay 10m"
)]
pub(crate) struct EditArgs {
    /// The task
    #[arg(value_parser = value::task_id)]
    id: String,
    /// 0 to 255, or low, normal, high, urgent
    #[arg(
        short,
        long,
        value_name = "N",
        group = "change",
        value_parser = value::priority,
        allow_negative_numbers = true
    )]
    priority: Option<u8>,
    /// A new label; an empty one removes it
    #[arg(long, group = "change")]
    label: Option<String>,
    /// New dependencies in place of the old ones
    #[arg(
        long,
        group = "change",
        value_name = "ID[:WHEN]",
        value_delimiter = ',',
        value_parser = value::dependency
    )]
    after: Option<Vec<String>>,
    /// Wait for no other task any more
    #[arg(long, group = "change", conflicts_with = "after")]
    no_after: bool,
    /// Start no sooner than after this time from now; 0 for at once
    #[arg(
        long,
        group = "change",
        value_name = "DURATION",
        value_parser = value::duration_ms,
        conflicts_with = "at"
    )]
    delay: Option<u64>,
    /// Start no sooner than at this moment
    #[arg(long, group = "change", value_name = "MOMENT", value_parser = value::moment_ms)]
    at: Option<u64>,
    /// A new timeout for attempts not yet started; 0 for none
    #[arg(long, group = "change", value_name = "DURATION", value_parser = value::duration_ms)]
    timeout: Option<u64>,
    /// A new limit of retries
    #[arg(long, group = "change", value_name = "N")]
    retries: Option<u32>,
    /// Memory that it needs; 0 for what was learned
    #[arg(long, group = "change", value_name = "SIZE", value_parser = value::size_or_none)]
    memory: Option<u64>,
    /// Processors that it uses; 0 for what is measured
    #[arg(long, group = "change", value_name = "N", value_parser = value::cpus_or_none)]
    cpus: Option<f64>,
    /// A new command, if it has not started
    #[arg(long, group = "change")]
    command: Option<String>,
}

impl EditArgs {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let after = if self.no_after {
            Some(Vec::new())
        } else {
            self.after
        };
        context.change(&Message::Edit(Box::new(EditTask {
            id: self.id,
            priority: self.priority,
            label: self.label,
            after,
            delay_ms: self.delay,
            not_before_ms: self.at,
            timeout_ms: self.timeout,
            retries: self.retries,
            memory_bytes: self.memory,
            cpus: self.cpus,
            command: self.command,
        })))
    }
}
