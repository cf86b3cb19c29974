//! `history export` and `history import`: the history as lines of JSON, and back.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit::Failure;
use super::screen;
use crate::history::{HistoryError, HistoryTask, Import, Reader};

/// A longer line is no task: prompts have a megabyte at most.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Write all ended tasks with their attempts as JSON Lines, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The file to write [default: stdout]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Add ended tasks from a file of `history export`; what is there already is left alone
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file to read; - for stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
}

impl ExportArgs {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let reader = Reader::open(&context.paths()?.history())?;
        let Some(path) = self.file else {
            export(&reader, &mut BufWriter::new(screen::raw_stdout()?), Failure::from)?;
            return Ok(());
        };
        let failed =
            |error: std::io::Error| Failure::file(format!("cannot write {}", path.display()), &error);
        // Whoever looks finds the old file or the whole new one.
        let unfinished = unfinished(&path);
        let file = private(&unfinished).map_err(failed)?;
        let mut writer = BufWriter::new(file);
        let count = export(&reader, &mut writer, failed).inspect_err(|_| {
            let _ = std::fs::remove_file(&unfinished);
        })?;
        let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all()
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .map_err(failed)?;
        screen::note(&format!("wrote {} to {}", tasks(count), path.display()));
        Ok(())
    }
}

fn export(
    reader: &Reader,
    to: &mut impl Write,
    failed: impl Fn(std::io::Error) -> Failure,
) -> Result<u64, Failure> {
    let count = reader.each(|task| {
        serde_json::to_writer(&mut *to, &task)
            .map_err(std::io::Error::from)
            .and_then(|()| to.write_all(b"\n"))
            .map_err(&failed)
    })?;
    to.flush().map_err(&failed)?;
    Ok(count)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Prompts are nobody else's business.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

impl ImportArgs {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let paths = context.paths()?;
        crate::config::ensure_private_dir(&paths.data)?;
        let is_stdin = self.file.as_os_str() == "-";
        let name = if is_stdin {
            "stdin".to_owned()
        } else {
            self.file.display().to_string()
        };
        let input: Box<dyn BufRead> = if is_stdin {
            Box::new(std::io::stdin().lock())
        } else {
            let file = File::open(&self.file)
                .map_err(|error| Failure::file(format!("cannot read {name}"), &error))?;
            Box::new(BufReader::new(file))
        };
        let lines = Lines {
            input,
            name: &name,
            number: 0,
        };
        let done = Import::all(&paths.history(), lines).map_err(|error| match error {
            ImportError::Line(failure) => failure,
            ImportError::History(error) => error.into(),
        })?;
        screen::note(&format!(
            "added {} to the history; {} more were there already",
            tasks(done.added),
            done.known
        ));
        Ok(())
    }
}

fn tasks(count: u64) -> String {
    match count {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}

enum ImportError {
    Line(Failure),
    History(HistoryError),
}

impl From<HistoryError> for ImportError {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// The tasks of a file, line by line. Empty lines are passed over.
struct Lines<'a> {
    input: Box<dyn BufRead>,
    name: &'a str,
    number: usize,
}

impl Lines<'_> {
    fn task(&self, line: &[u8]) -> Result<HistoryTask, Failure> {
        let place = format!("{}:{}", self.name, self.number);
        let task: HistoryTask = serde_json::from_slice(line).map_err(|error| {
            // The line of the error's own is that of our line: always 1.
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            wrong(&format!("{place}:{}: {words}", error.column()))
        })?;
        task.check().map_err(|why| wrong(&format!("{place}: {why}")))?;
        Ok(task)
    }
}

fn wrong(message: &str) -> Failure {
    Failure::usage(super::text::visible(message))
        .hint("a line is what `history export` writes for one task; nothing was imported")
}

impl Iterator for Lines<'_> {
    type Item = Result<HistoryTask, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut self.input, LINE_BYTES_MAX).read_until(b'\n', &mut line);
            self.number += 1;
            match read {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.task(line.trim_ascii_end()).map_err(ImportError::Line)),
                Err(error) => {
                    let failure = Failure::file(format!("cannot read {}", self.name), &error);
                    return Some(Err(ImportError::Line(failure)));
                }
            }
        }
    }
}
