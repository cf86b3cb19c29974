//! Where text goes: stdout and stderr with or without colour, and what the terminal can show.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use clap::ValueEnum;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorWhen {
    /// Makes the choice hold for everything printed from now on.
    pub(crate) fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Prints text that holds styles; they go away where they do not belong.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints text in place of what is on the terminal, without a moment in which that is empty.
pub(crate) fn print_in_place(text: &str) -> io::Result<()> {
    let plain = || anstream::adapter::strip_str(text).to_string();
    let text = if stdout_has_color() {
        text.to_owned()
    } else {
        plain()
    };
    let lines = text.lines().map(|line| format!("{line}\x1b[K\r\n"));
    let shown: String = lines.collect();
    // Where styles are taken out, these would be too.
    let mut stdout = io::stdout().lock();
    write!(stdout, "\x1b[H{shown}\x1b[J")?;
    stdout.flush()
}

/// Prints a line as it is.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> io::Result<()> {
    let mut stdout = BufWriter::new(raw_stdout()?);
    serde_json::to_writer(&mut stdout, value).map_err(io::Error::from)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Tells the person at the terminal something that is not the command's result.
pub(crate) fn note(text: &str) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Stdout without a buffer of its own, for bytes that come in large pieces.
pub(crate) fn raw_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Whether a person looks at stdout.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether what goes to stdout is coloured.
pub(crate) fn stdout_has_color() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether a person looks at stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns and rows of the terminal; `None` when stdout is none.
pub(crate) fn size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
    Some((usize::from(width.0), usize::from(height.0)))
}

/// The width that tables fit; `None` when stdout is no terminal.
pub(crate) fn width() -> Option<usize> {
    size().map(|(width, _)| width)
}
