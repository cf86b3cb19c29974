//! The daemon's log: to stderr in the foreground, to a file for each day otherwise.
//!
//! Prompts, environments and commands are never logged by the code; what looks like a key or a
//! token is taken out here as well, whatever a call site or a library does.

mod daily;
mod redact;

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::EnvFilter;

pub use redact::{redact, Redacting};

use crate::config::LogConfig;
use daily::DailyFile;

/// Overrides the config's level; takes tracing's filters, as `info,wezterm_parallel::engine=debug`.
pub const FILTER_VARIABLE: &str = "WEZTERM_PARALLEL_LOG";

/// Lines that wait for a slow disk at most; more are dropped, since a log must not stop the queue.
const LINES_MAX: usize = 4096;

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the terminal, or whatever stderr is.
    Stderr,
    /// Into this folder, one file for each day; it is there already.
    Folder(PathBuf),
}

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// A file cannot be written.
    #[error("cannot write a log into {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The filter cannot be read.
    #[error("{FILTER_VARIABLE}: {detail}")]
    Filter {
        /// Why.
        detail: String,
    },
    /// The process has a log already.
    #[error("the log has been started before")]
    StartedBefore,
}

/// Writes out what still waits when dropped: keep it until the process ends.
#[derive(Debug)]
pub struct LogGuard {
    _worker: Option<WorkerGuard>,
}

/// Starts the log of this process. `filter` is the value of [`FILTER_VARIABLE`], if it is set.
///
/// # Errors
/// If the folder cannot be written, the filter is wrong, or there is a log already.
pub fn start(
    destination: &Destination,
    config: &LogConfig,
    filter: Option<&str>,
) -> Result<LogGuard, LogError> {
    let filter = self::filter(config, filter)?;
    let set = |subscriber: Box<dyn Subscriber + Send + Sync>| {
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::StartedBefore)
    };
    let folder = match destination {
        Destination::Stderr => {
            set(Box::new(subscriber(io::stderr, filter)))?;
            return Ok(LogGuard { _worker: None });
        }
        Destination::Folder(folder) => folder,
    };
    let file = DailyFile::open(folder, config.files).map_err(|source| LogError::Folder {
        folder: folder.clone(),
        source,
    })?;
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(file);
    set(Box::new(subscriber(writer, filter)))?;
    Ok(LogGuard {
        _worker: Some(worker),
    })
}

fn filter(config: &LogConfig, overriding: Option<&str>) -> Result<EnvFilter, LogError> {
    let level: LevelFilter = config.level.parse().unwrap_or(LevelFilter::INFO);
    match overriding.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => EnvFilter::builder()
            .parse(text)
            .map_err(|error| LogError::Filter {
                detail: error.to_string(),
            }),
        None => Ok(EnvFilter::default().add_directive(level.into())),
    }
}

/// Formats events, takes secrets out, and writes each with one call.
fn subscriber<W>(writer: W, filter: EnvFilter) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(redact::MakeRedacting::new(writer))
        .finish()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(config: &LogConfig, overriding: Option<&str>, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = {
            let kept = kept.clone();
            move || kept.clone()
        };
        let filter = filter(config, overriding).unwrap();
        tracing::subscriber::with_default(subscriber(writer, filter), log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_secret_gets_through_whatever_the_call_site_does() {
        let secret = "sk-ant-api03-abcdefghijkl_mn";
        let text = logged(&LogConfig::default(), None, || {
            tracing::info!(command = %format!("curl -H 'Bearer {secret}'"), "start {secret}");
            tracing::warn!(env = ?[("API_TOKEN", "hunter2hunter2")], "GITHUB_TOKEN=hunter2 done");
        });
        assert!(!text.contains("api03"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("start [redacted]") && text.contains("done"),
            "{text}"
        );
    }

    #[test]
    fn the_variable_overrides_the_level() {
        let config = LogConfig {
            level: "warn".to_owned(),
            ..LogConfig::default()
        };
        let log = || {
            tracing::info!("quiet");
            tracing::warn!("loud");
        };
        let text = logged(&config, None, log);
        assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
        let text = logged(&config, Some("info"), log);
        assert!(text.contains("loud") && text.contains("quiet"), "{text}");
        let text = logged(&config, Some(" "), log);
        assert!(
            !text.contains("quiet"),
            "an empty variable changes nothing: {text}"
        );
        let wrong = filter(&config, Some("a=b=c")).unwrap_err();
        assert!(matches!(wrong, LogError::Filter { .. }), "{wrong}");
    }

    #[test]
    fn the_log_of_a_process_goes_into_a_private_file() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::Folder(folder.path().to_owned());
        let guard = start(&destination, &LogConfig::default(), None).unwrap();
        tracing::info!("hello from the log");
        let again = start(&destination, &LogConfig::default(), None);
        assert!(matches!(again, Err(LogError::StartedBefore)));
        drop(guard);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1);
        let path = files[0].as_ref().unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("hello from the log"), "{text}");
    }
}
